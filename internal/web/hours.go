package web

import (
	"fmt"
	"time"

	h "prober/internal/html"

	g "maragu.dev/gomponents"

	"prober/internal/probe"
)

// hourPitch is the room of an hour in the charts of the last day.
const hourPitch = 8

// lastDay shows the last 24 hours: what the verdicts were in each, and within what time 95 % of the runs that passed had their
// answer. An hour without a run, or without one that passed, is a gap.
func (v probeView) lastDay() g.Node {
	hours := v.Past.Hours
	if len(hours) == 0 {
		return nil
	}
	c := chart{Limit: v.Chart.Limit}
	slowest, passed, day := time.Duration(0), 0, probe.Day{}
	for _, d := range hours {
		day.Pass, day.Fail, day.Inconclusive = day.Pass+d.Pass, day.Fail+d.Fail, day.Inconclusive+d.Inconclusive
		if d.Pass > 0 {
			slowest = max(slowest, d.Latency95)
			passed++
		}
	}
	c.scaled(slowest)
	ends := h.Div(h.Class("ends"), shortClock(hours[0].Start), shortClock(hours[len(hours)-1].Start.Add(hours[len(hours)-1].Span)))
	latencies, scale, bars := "", g.Node(nil), g.Node(nil)
	if passed > 1 {
		latencies = "latency of the last 24 hours: within " + formatLatency(slowest) + " for 95 % of the runs of each hour"
		scale, bars = c.scale(), c.hourBars(hours, latencies)
	}
	return figure("last 24 hours: "+describeVerdicts(day.Fail, day.Inconclusive, day.Pass), latencies,
		dayBars(hours, "hours", hourPitch, hourWords), scale, bars, ends)
}

// hourBars draws a bar for the latency of each hour, with its own words.
func (c chart) hourBars(hours []probe.Day, words string) g.Node {
	bars := g.Group{}
	for i, d := range hours {
		if d.Pass == 0 {
			continue
		}
		line := fmt.Sprintf("M%d %.4gh%dV%dh-%[3]dz", i*hourPitch, c.y(d.Latency95, latencyHeight), hourPitch-1, latencyHeight)
		bars = append(bars, titledPath("latency", line, hourWords(d)))
	}
	width := len(hours) * hourPitch
	return drawing("latencies", words, width, latencyHeight, bars, c.limitLine(latencyHeight, width))
}

// hourWords describes an hour.
func hourWords(d probe.Day) string {
	return d.Start.Format("15:04") + " to " + d.Start.Add(d.Span).Format("15:04 MST") + ": " + runsWords(d)
}
