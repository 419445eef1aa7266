package web

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
)

// A chart is the last runs as they are drawn, and in words.
type chart struct {
	Runs      []Run         // the oldest first
	Words     string        // "last 40 runs: 38 passed, 2 failed"
	Latencies string        // the words of the latencies; empty with fewer than two
	Top       time.Duration // of the scale of the latencies
	Limit     time.Duration // configured maximum of the latency; 0 if there is none
}

// scaled sets the scale of latencies up to the slowest, with the limit if it is near.
func (c *chart) scaled(slowest time.Duration) {
	c.Top = slowest
	if c.Limit > 0 && c.Limit <= maxLimitScale*slowest {
		c.Top = max(slowest, c.Limit)
	}
}

// The strip has a bar for each run, the last at the right. Height and form of the bar show the verdict as well as its
// color does: passed is low and filled, failed is high and filled, inconclusive is an outline.
const (
	barPitch      = 5 // of the bars
	chartWidth    = maxRuns * barPitch
	chartHeight   = 20
	passHeight    = 8
	latencyHeight = 60 // of the large chart
	maxLimitScale = 4  // a limit so many times the slowest run would leave nothing of the others to see
)

// newChart makes a chart of runs, the oldest first.
func newChart(runs []Run, limit time.Duration) chart {
	c := chart{Runs: runs, Limit: limit}
	var n [len(probe.Verdicts)]int
	var timed []time.Duration
	for _, r := range runs {
		n[r.Verdict]++
		if r.timed() {
			timed = append(timed, r.Latency)
		}
	}
	c.Words = describeRuns(len(runs), n)
	if len(timed) < 2 {
		return c
	}
	slices.Sort(timed)
	slowest := timed[len(timed)-1]
	c.Latencies = fmt.Sprintf("latency of %d runs: median %s, slowest %s", len(timed), formatLatency(timed[len(timed)/2]), formatLatency(slowest))
	if limit > 0 {
		c.Latencies += ", limit " + formatLatency(limit)
	}
	c.scaled(slowest)
	return c
}

// timed reports whether the latency of a run is that of an answer: a run that failed for another reason than its latency is
// neither fast nor slow.
func (r Run) timed() bool { return r.Verdict == probe.Pass || r.Reason == probe.Slow }

// words describes a run.
func (r Run) words() string {
	words := formatTime(r.Started) + ": " + verdictText(r.Verdict)
	if why := reasonText(r.Reason); why != "" {
		words += ", " + why
	}
	return words + ", " + formatLatency(r.Latency)
}

// x is where the bar of a run begins: those that are not there yet leave room at the left.
func (c chart) x(i int) int { return (maxRuns - len(c.Runs) + i) * barPitch }

// bar is the path of a verdict.
func bar(v probe.Verdict, x, width int) string {
	switch v {
	case probe.Pass:
		return fmt.Sprintf("M%d %dh%dv%dh-%[3]dz", x, chartHeight-passHeight, width, passHeight)
	case probe.Fail:
		return fmt.Sprintf("M%d 0h%dv%dh-%[2]dz", x, width, chartHeight)
	}
	return fmt.Sprintf("M%d.5 4.5h%dv%dh-%[2]dz", x, width-1, chartHeight-5)
}

// bars are the bars of all runs of a verdict, as one path.
func (c chart) bars(v probe.Verdict) string {
	var b strings.Builder
	for i, r := range c.Runs {
		if r.Verdict == v {
			b.WriteString(bar(v, c.x(i), barPitch-1))
		}
	}
	return b.String()
}

// line is the path of the latencies, with gaps for runs that have none.
func (c chart) line() string {
	var b strings.Builder
	command := byte('M')
	for i, r := range c.Runs {
		if !r.timed() {
			command = 'M'
			continue
		}
		fmt.Fprintf(&b, "%c%d %.4g", command, c.x(i)+barPitch/2, c.y(r.Latency, chartHeight))
		if command == 'M' && (i+1 == len(c.Runs) || !c.Runs[i+1].timed()) {
			b.WriteString("h1") // a line of one point would not be seen
		}
		command = 'L'
	}
	return b.String()
}

// y is the height of a latency in a chart, from its top.
func (c chart) y(latency time.Duration, height int) float64 {
	y := float64(height - 1)
	if c.Top > 0 {
		y -= float64(height-2) * float64(latency) / float64(c.Top)
	}
	return y
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
