// Package drop removes elements of slices. slices.DeleteFunc is compiled for each type, to three times as much, which a limit on
// the size of the binary cannot afford for lists of a dozen.
package drop

// If removes the elements for which f returns true, in place as slices.DeleteFunc does: it zeroes what is left at the end of s.
//
//go:noinline
func If[S ~[]E, E any](s S, f func(E) bool) S {
	n := 0
	for i := range s {
		if !f(s[i]) {
			s[n] = s[i]
			n++
		}
	}
	clear(s[n:])
	return s[:n]
}
