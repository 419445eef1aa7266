package secret

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestCounts compares the table with a map, of pieces that crowd at both ends of it and of others that are anywhere.
func TestCounts(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	piece := func() uint64 {
		switch n := chance.Uint64N(40); chance.IntN(3) {
		case 0:
			return 1 + n
		case 1:
			return ^n
		default:
			return (1 + n) * goldenRatio
		}
	}
	var c counts
	want := map[uint64]uint32{}
	var held [][]uint64
	for step := range 5000 {
		if chance.IntN(2) == 0 || len(held) == 0 {
			value := make([]uint64, 1+chance.IntN(30))
			for i := range value {
				value[i] = piece()
			}
			slices.Sort(value)
			value = slices.Compact(value)
			held = append(held, value)
			c.add(value)
			for _, p := range value {
				want[p]++
			}
		} else {
			i, gone := chance.IntN(len(held)), 0
			for _, p := range held[i] {
				if want[p]--; want[p] == 0 {
					delete(want, p)
					gone++
				}
			}
			if got := c.drop(held[i]); got != gone {
				t.Fatalf("step %d: %d pieces are of no value any more, want %d", step, got, gone)
			}
			held = slices.Delete(held, i, i+1)
		}
		if c.used != len(want) {
			t.Fatalf("step %d: there are %d pieces, want %d", step, c.used, len(want))
		}
		for p, n := range want {
			if at := c.place(p); c.pieces[at] != p || c.of[at] != n {
				t.Fatalf("step %d: %x is a piece of %d, want %d", step, p, c.of[at], n)
			}
		}
		if p := piece(); c.has(p) != (want[p] > 0) {
			t.Fatalf("step %d: it has %x: %t", step, p, !c.has(p))
		}
	}
}

const goldenRatio = 0x9e3779b97f4a7c15
