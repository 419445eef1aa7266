package text

import (
	"slices"
	"strings"
)

// DidYouMean ends a message with the known word that is nearest to the one written, if any is near.
//
//go:noinline
func DidYouMean(word string, known []string) string {
	if s := Nearest(word, known); s != "" {
		return "; did you mean " + s + "?"
	}
	return ""
}

// Nearest returns the known word that somebody who wrote word probably meant, or "".
func Nearest(word string, known []string) string {
	const longest = 64 // the cost of comparing grows with the square
	if len(word) > longest {
		return ""
	}
	best, least := "", 1+min(len(word)/3, 3)
	for _, k := range slices.Sorted(slices.Values(known)) {
		d := least
		switch {
		case len(word) >= 3 && strings.HasPrefix(plain(k), plain(word)):
			d = 1 // cut short
		case len(k) <= longest && max(len(k)-len(word), len(word)-len(k)) < least+2:
			d = distance(plain(word), plain(k))
		}
		if d < least {
			best, least = k, d
		}
	}
	return best
}

// plain makes timeOut, time-out and time_out look alike.
func plain(word string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(word))
}

// distance counts the letters to insert, drop, change or swap with a neighbour to make b of a (optimal string
// alignment).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
