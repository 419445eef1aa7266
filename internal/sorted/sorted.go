// Package sorted sorts slices of structs. The functions of package slices are compiled once for each such type, 15 to
// 20 kB each, which a limit on the size of the binary cannot afford for lists of a dozen.
package sorted

import "sort"

// By sorts s by compare, which returns a negative number, 0 or a positive one as slices.SortStableFunc's does. What is
// equal keeps its order.
func By[T any](s []T, compare func(a, b T) int) {
	sort.SliceStable(s, func(i, j int) bool { return compare(s[i], s[j]) < 0 })
}
