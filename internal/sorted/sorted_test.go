package sorted

import (
	"cmp"
	"reflect"
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

func TestKeys(t *testing.T) {
	type word string
	for _, c := range []struct{ got, want any }{
		{Keys(map[string]struct{ N int }{"b": {1}, "": {2}, "a": {3}}), []string{"", "a", "b"}},
		{Keys(map[word]error{"y": nil, "x": nil}), []word{"x", "y"}},
		{Keys(map[int]string{3: "", -1: "", 2: ""}), []int{-1, 2, 3}},
		{Keys(map[string]int(nil)), []string{}},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("got %#v, expected %#v", c.got, c.want)
		}
	}
}
