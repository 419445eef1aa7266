package secret

import "math/bits"

// counts tell of how many values each piece is one. A piece is a hash already, and those of a value come sorted, so that they are one
// after the other in memory: a map takes nearly twice as long. It is a table with open addressing and linear probing.
type counts struct {
	pieces []uint64 // at the place that their first bits name or after it, with no gap in between; 0 where there is none
	of     []uint32 // at the same place
	used   int
}

// home is where the first bits of a piece name in a table of so many places, which are a power of two.
func home(piece uint64, places int) int { return int(piece >> (64 - bits.TrailingZeros(uint(places)))) }

// place returns where a piece is, or where it belongs.
func (c *counts) place(piece uint64) int {
	at := home(piece, len(c.pieces))
	for c.pieces[at] != piece && c.pieces[at] != 0 {
		at = (at + 1) & (len(c.pieces) - 1)
	}
	return at
}

func (c *counts) has(piece uint64) bool { return c.pieces[c.place(piece)] != 0 }

// add counts the pieces of a value. There is room for all before the first: sorted ones would crowd at the beginning of a small table.
func (c *counts) add(pieces []uint64) {
	if need := (c.used + len(pieces)) * 4 / 3; need >= len(c.pieces) {
		old := *c
		c.pieces, c.of = make([]uint64, 1<<bits.Len(uint(need))), make([]uint32, 1<<bits.Len(uint(need)))
		for i, p := range old.pieces {
			if p != 0 {
				at := c.place(p)
				c.pieces[at], c.of[at] = p, old.of[i]
			}
		}
	}
	for _, p := range pieces {
		at := c.place(p)
		if c.of[at]++; c.of[at] == 1 {
			c.pieces[at] = p
			c.used++
		}
	}
}

// drop takes back the pieces of a value, and returns how many are of none any more.
func (c *counts) drop(pieces []uint64) (gone int) {
	for _, p := range pieces {
		at := c.place(p)
		if c.of[at]--; c.of[at] == 0 {
			c.remove(at)
			gone++
		}
	}
	c.used -= gone
	return gone
}

// remove frees a place, and moves those behind it that would be beyond a gap.
func (c *counts) remove(at int) {
	last := len(c.pieces) - 1
	for next := (at + 1) & last; c.pieces[next] != 0; next = (next + 1) & last {
		if (next-home(c.pieces[next], len(c.pieces)))&last >= (next-at)&last {
			c.pieces[at], c.of[at] = c.pieces[next], c.of[next]
			at = next
		}
	}
	c.pieces[at], c.of[at] = 0, 0
}
