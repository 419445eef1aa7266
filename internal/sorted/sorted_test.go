package sorted

import (
	"cmp"
	"slices"
	"testing"
)

func TestBy_keepsTheOrderOfEquals(t *testing.T) {
	type entry struct {
		rank int
		name string
	}
	list := []entry{{2, "a"}, {1, "b"}, {2, "c"}, {0, "d"}, {1, "e"}}
	By(list, func(a, b entry) int { return cmp.Compare(a.rank, b.rank) })
	want := []entry{{0, "d"}, {1, "b"}, {1, "e"}, {2, "a"}, {2, "c"}}
	if !slices.Equal(list, want) {
		t.Errorf("expected %v, got %v", want, list)
	}
	By([]entry(nil), func(a, b entry) int { return 0 })
}
