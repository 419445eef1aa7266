package alerts

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A series has a value at each step, or none: "_" for nothing, "stale" for what a failed scrape leaves.
type series struct {
	name   string
	labels map[string]string
	value  func(step int) float64
	shown  func(step int) string // overrides the value unless empty
}

func constant(v float64) func(int) float64 { return func(int) float64 { return v } }
func count(rate float64) func(int) float64 {
	return func(step int) float64 { return rate * float64(step) }
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// String writes the name and the labels of a series.
func (s *series) String() string { return metric(s.name, s.labels) }

func metric(name string, labels map[string]string) string {
	var pairs []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, equal(k, labels[k]))
	}
	return of(name, pairs...)
}

// values writes what a series shows at each step up to the last, in promtool's notation.
func (s *series) values(last int) string {
	all := make([]string, last+1)
	for i := range all {
		if all[i] = s.shown(i); all[i] == "" {
			all[i] = strconv.FormatFloat(s.value(i), 'g', 12, 64)
		}
	}
	var b strings.Builder
	for i := 0; i < len(all); {
		if i > 0 {
			b.WriteByte(' ')
		}
		n := 1
		for i+n < len(all) && all[i+n] == all[i] {
			n++
		}
		switch delta, rising := s.rise(i, all); {
		case all[i] == "_" && n > 1:
			fmt.Fprintf(&b, "_x%d", n)
		case n > 1 && all[i] != "stale":
			fmt.Fprintf(&b, "%sx%d", all[i], n-1)
		case rising > 2:
			n = rising
			fmt.Fprintf(&b, "%s+%sx%d", all[i], delta, n-1)
		default:
			n = 1
			b.WriteString(all[i])
		}
		i += n
	}
	return b.String()
}

// rise returns by how much the values rise from step i on, and over how many steps they do so evenly.
func (s *series) rise(i int, all []string) (delta string, n int) {
	if i+1 >= len(all) || s.shown(i) != "" || s.shown(i+1) != "" {
		return "", 1
	}
	by := s.value(i+1) - s.value(i)
	if by < 0 {
		return "", 1
	}
	n = 2
	for i+n < len(all) && s.shown(i+n) == "" && abs(s.value(i+n)-s.value(i)-by*float64(n)) < 1e-9*(1+s.value(i+n)) {
		n++
	}
	return strconv.FormatFloat(by, 'g', 12, 64), n
}

func abs(f float64) float64 { return max(f, -f) }
