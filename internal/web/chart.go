package web

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
)

// A chart is what the templates draw of the last runs: paths for inline SVG, and words that say the same.
type chart struct {
	Words                    string // "last 40 runs: 38 passed, 2 failed"
	Width                    int
	Passed, Failed, Doubtful string // paths of the strip
	Latencies                string // the words of the sparkline
	Line                     string // its path; empty for want of two latencies
}

// The strip has a bar for each run, the last at the right. A verdict is told by the bar's height and form as well as by
// its colour: passed is low and filled, failed is high and filled, and what could not be told is a frame.
const (
	pitch  = 5 // of the bars
	height = 20
	low    = 8
)

// draw makes a chart of runs, the oldest first.
func draw(runs []Run) chart {
	c := chart{Width: mostRuns * pitch}
	var paths [len(probe.Verdicts)]strings.Builder
	var n [len(probe.Verdicts)]int
	var latencies []time.Duration
	for i, r := range runs {
		x := (mostRuns - len(runs) + i) * pitch
		switch r.Verdict {
		case probe.Pass:
			fmt.Fprintf(&paths[r.Verdict], "M%d %dh4v%dh-4z", x, height-low, low)
		case probe.Fail:
			fmt.Fprintf(&paths[r.Verdict], "M%d 0h4v%dh-4z", x, height)
		case probe.Inconclusive:
			fmt.Fprintf(&paths[r.Verdict], "M%d.5 4.5h3v%dh-3z", x, height-5)
		}
		n[r.Verdict]++
		latencies = append(latencies, r.Latency)
	}
	c.Passed, c.Failed, c.Doubtful = paths[probe.Pass].String(), paths[probe.Fail].String(), paths[probe.Inconclusive].String()
	c.Words = inWords(len(runs), n)
	c.Latencies, c.Line = spark(latencies)
	return c
}

func inWords(runs int, n [len(probe.Verdicts)]int) string {
	text := fmt.Sprintf("last %d runs: ", runs)
	switch runs {
	case 0:
		return "no runs yet"
	case 1:
		text = "one run: "
	}
	return text + tally(n[probe.Fail], n[probe.Inconclusive], n[probe.Pass])
}

// tally counts verdicts in words, the worst first.
func tally(failed, unclear, passed int) string {
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{{failed, "failed"}, {unclear, "could not tell"}, {passed, "passed"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	return strings.Join(parts, ", ")
}

// spark draws latencies as a line between nothing and the slowest, and says them in words.
func spark(latencies []time.Duration) (text, path string) {
	if len(latencies) < 2 {
		return "", ""
	}
	sorted := slices.Sorted(slices.Values(latencies))
	slowest := sorted[len(sorted)-1]
	text = fmt.Sprintf("latency of the last %d runs: median %s, slowest %s", len(latencies), short(sorted[len(sorted)/2]), short(slowest))
	var b strings.Builder
	for i, d := range latencies {
		x := (mostRuns-len(latencies)+i)*pitch + 2
		y := float64(height - 1)
		if slowest > 0 {
			y -= float64(height-2) * float64(d) / float64(slowest)
		}
		command := byte('L')
		if i == 0 {
			command = 'M'
		}
		fmt.Fprintf(&b, "%c%d %.4g", command, x, y)
	}
	return text, b.String()
}
