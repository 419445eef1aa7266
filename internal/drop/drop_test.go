package drop

import (
	"slices"
	"testing"
)

func TestIf(t *testing.T) {
	odd := func(n int) bool { return n%2 == 1 }
	for _, s := range [][]int{nil, {}, {1}, {2}, {1, 2}, {2, 1}, {1, 3}, {2, 4}, {1, 2, 3, 4, 5, 6}} {
		mine, want := slices.Clone(s), slices.Clone(s)
		got, left := If(mine, odd), slices.DeleteFunc(want, odd)
		if !slices.Equal(got, left) || !slices.Equal(mine, want) || (got == nil) != (left == nil) {
			t.Errorf("%v: got %v of %v, want %v of %v", s, got, mine, left, want)
		}
	}
}
