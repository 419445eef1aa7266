package alerts

import (
	"fmt"
	"strconv"
	"strings"
)

// A timeSeries has a value at each step, unless its text overrides it: "_" for no sample, "stale" for a failed scrape.
type timeSeries struct {
	name   string
	labels map[string]string
	value  func(step int) float64
	text   func(step int) string
}

func constant(v float64) func(int) float64 { return func(int) float64 { return v } }
func rising(rate float64) func(int) float64 {
	return func(step int) float64 { return rate * float64(step) }
}

// values writes the samples up to the last step, as promtool reads them.
func (s *timeSeries) values(last int) string {
	all := make([]string, last+1)
	for i := range all {
		if all[i] = s.text(i); all[i] == "" {
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
		switch delta, even := s.rise(i, all); {
		case all[i] == "_" && n > 1:
			fmt.Fprintf(&b, "_x%d", n)
		case n > 1 && all[i] != "stale":
			fmt.Fprintf(&b, "%sx%d", all[i], n-1)
		case even > 2:
			n = even
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
func (s *timeSeries) rise(i int, all []string) (delta string, n int) {
	if i+1 >= len(all) || s.text(i) != "" || s.text(i+1) != "" {
		return "", 1
	}
	by := s.value(i+1) - s.value(i)
	if by < 0 {
		return "", 1
	}
	n = 2
	for i+n < len(all) && s.text(i+n) == "" && abs(s.value(i+n)-s.value(i)-by*float64(n)) < 1e-9*(1+s.value(i+n)) {
		n++
	}
	return strconv.FormatFloat(by, 'g', 12, 64), n
}

func abs(f float64) float64 { return max(f, -f) }
