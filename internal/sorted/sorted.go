// Package sorted sorts slices of structs and the keys of maps. The functions of packages slices and maps are compiled once for
// each type, up to 20 kB each, which a limit on the size of the binary cannot afford for lists of a dozen.
package sorted

import (
	"cmp"
	"reflect"
	"slices"
	"sort"
)

// By sorts s by compare, which returns a negative number, 0 or a positive one as slices.SortStableFunc's does. What is
// equal keeps its order.
//
//go:noinline
func By[T any](s []T, compare func(a, b T) int) {
	sort.SliceStable(s, func(i, j int) bool { return compare(s[i], s[j]) < 0 })
}

// Keys returns the keys of a map in their order.
//
//go:noinline
//go:noinline
func Keys[K cmp.Ordered, V any](m map[K]V) []K { return keysOf[K](m) }

// keysOf is compiled once for all maps with keys of one type.
func keysOf[K cmp.Ordered](m any) []K {
	table := reflect.ValueOf(m)
	keys := make([]K, 0, table.Len())
	var key K
	at := reflect.ValueOf(&key).Elem()
	for each := table.MapRange(); each.Next(); keys = append(keys, key) {
		at.SetIterKey(each)
	}
	slices.Sort(keys)
	return keys
}
