package web

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
)

// A chart is the last runs as paths for inline SVG, and as words.
type chart struct {
	Words                        string // "last 40 runs: 38 passed, 2 failed"
	Width                        int
	Passed, Failed, Inconclusive string // paths of the strip
	Latencies                    string // the words of the sparkline
	Line                         string // its path; empty with fewer than two latencies
}

// The strip has a bar for each run, the last at the right. Height and form of the bar show the verdict as well as its
// color does: passed is low and filled, failed is high and filled, inconclusive is an outline.
const (
	barPitch    = 5 // of the bars
	chartHeight = 20
	passHeight  = 8
)

// newChart makes a chart of runs, the oldest first.
func newChart(runs []Run) chart {
	c := chart{Width: maxRuns * barPitch}
	var paths [len(probe.Verdicts)]strings.Builder
	var n [len(probe.Verdicts)]int
	var latencies []time.Duration
	for i, r := range runs {
		x := (maxRuns - len(runs) + i) * barPitch
		switch r.Verdict {
		case probe.Pass:
			fmt.Fprintf(&paths[r.Verdict], "M%d %dh4v%dh-4z", x, chartHeight-passHeight, passHeight)
		case probe.Fail:
			fmt.Fprintf(&paths[r.Verdict], "M%d 0h4v%dh-4z", x, chartHeight)
		case probe.Inconclusive:
			fmt.Fprintf(&paths[r.Verdict], "M%d.5 4.5h3v%dh-3z", x, chartHeight-5)
		}
		n[r.Verdict]++
		latencies = append(latencies, r.Latency)
	}
	c.Passed, c.Failed, c.Inconclusive = paths[probe.Pass].String(), paths[probe.Fail].String(), paths[probe.Inconclusive].String()
	c.Words = describeRuns(len(runs), n)
	c.Latencies, c.Line = sparkline(latencies)
	return c
}

func describeRuns(runs int, n [len(probe.Verdicts)]int) string {
	text := fmt.Sprintf("last %d runs: ", runs)
	switch runs {
	case 0:
		return "no runs yet"
	case 1:
		text = "one run: "
	}
	return text + describeVerdicts(n[probe.Fail], n[probe.Inconclusive], n[probe.Pass])
}

// describeVerdicts counts verdicts in words, the worst first.
func describeVerdicts(failed, inconclusive, passed int) string {
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{{failed, "failed"}, {inconclusive, "inconclusive"}, {passed, "passed"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	return strings.Join(parts, ", ")
}

// sparkline draws latencies as a line between zero and the slowest, and describes them in words.
func sparkline(latencies []time.Duration) (text, path string) {
	if len(latencies) < 2 {
		return "", ""
	}
	sorted := slices.Sorted(slices.Values(latencies))
	slowest := sorted[len(sorted)-1]
	text = fmt.Sprintf("latency of the last %d runs: median %s, slowest %s", len(latencies), formatLatency(sorted[len(sorted)/2]), formatLatency(slowest))
	var b strings.Builder
	for i, d := range latencies {
		x := (maxRuns-len(latencies)+i)*barPitch + 2
		y := float64(chartHeight - 1)
		if slowest > 0 {
			y -= float64(chartHeight-2) * float64(d) / float64(slowest)
		}
		command := byte('L')
		if i == 0 {
			command = 'M'
		}
		fmt.Fprintf(&b, "%c%d %.4g", command, x, y)
	}
	return text, b.String()
}
