package web

import (
	"fmt"
	"strconv"

	h "prober/internal/html"

	g "maragu.dev/gomponents"

	"prober/internal/probe"
)

// strip draws the verdicts of the last runs.
func (c chart) strip() g.Node {
	return drawing("strip", c.Words, chartWidth, chartHeight,
		path("pass", c.bars(probe.Pass)), path("fail", c.bars(probe.Fail)), path("inconclusive", c.bars(probe.Inconclusive)))
}

// runBars draws the verdicts, each bar with its own words. It is for few charts on a page: it is as long as forty strips.
func (c chart) runBars() g.Node {
	bars := g.Group{}
	for i, r := range c.Runs {
		bars = append(bars, titledPath(r.Verdict.String(), bar(r.Verdict, c.x(i), barPitch-1), r.words()))
	}
	return drawing("strip", c.Words, chartWidth, chartHeight, bars)
}

// spark draws the latencies of the last runs; nothing with fewer than two.
func (c chart) spark() g.Node {
	if c.Latencies == "" {
		return nil
	}
	return drawing("spark", c.Latencies, chartWidth, chartHeight, c.limitLine(chartHeight, chartWidth), path("line", c.line()))
}

// latencyBars draws a bar for the latency of each run, each with its own words; nothing with fewer than two.
func (c chart) latencyBars() g.Node {
	if c.Latencies == "" {
		return nil
	}
	bars := g.Group{}
	for i, r := range c.Runs {
		if !r.timed() {
			continue
		}
		y := c.y(r.Latency, latencyHeight)
		bars = append(bars, titledPath("latency", fmt.Sprintf("M%d %.4gh4V%dh-4z", c.x(i), y, latencyHeight), r.words()))
	}
	return drawing("latencies", c.Latencies, chartWidth, latencyHeight, bars, c.limitLine(latencyHeight, chartWidth))
}

// limitLine draws the limit of the latency; nothing without one, or if it is far above the scale.
func (c chart) limitLine(height, width int) g.Node {
	if c.Limit <= 0 || c.Limit > c.Top {
		return nil
	}
	return titledPath("limit", fmt.Sprintf("M0 %.4gh%d", c.y(c.Limit, height), width), "limit "+formatLatency(c.Limit))
}

// ends says from when to when the runs are: at both ends if the chart is full.
func (c chart) ends() g.Node {
	if len(c.Runs) == 0 {
		return nil
	}
	first, last := shortClock(c.Runs[0].Started), shortClock(c.Runs[len(c.Runs)-1].Started)
	if len(c.Runs) < maxRuns {
		return h.Div(h.Class("ends"), h.Span(h.Text("from "), first, h.Text(" to "), last))
	}
	return h.Div(h.Class("ends"), first, last)
}

// scale says what the top of the scale is, and where the limit is; nothing without latencies.
func (c chart) scale() g.Node {
	if c.Top == 0 {
		return nil
	}
	words := g.Group{h.Span(h.Text(formatLatency(c.Top)))}
	switch {
	case c.Limit > c.Top:
		words = append(words, h.Span(h.Text("limit "+formatLatency(c.Limit)+", above the scale")))
	case c.Limit > 0:
		words = append(words, h.Span(h.Class("limit"), h.Text("limit "+formatLatency(c.Limit))))
	}
	return h.Div(h.Class("ends"), words)
}

// drawing is an image with its words.
func drawing(class, words string, width, height int, lines ...g.Node) g.Node {
	number := strconv.Itoa
	return h.SVG(h.Class(class), h.Role("img"), h.Attr("viewBox", "0 0 "+number(width)+" "+number(height)), h.Width(number(width)), h.Height(number(height)),
		h.TitleEl(h.Text(words)), path("ground", fmt.Sprintf("M0 %d.5h%d", height-1, width)), g.Group(lines))
}

// path is a line of a chart; nothing without one.
func path(class, line string) g.Node {
	if line == "" {
		return nil
	}
	return h.El("path", h.Class(class), h.Attr("d", line))
}

// titledPath is a line with its own words.
func titledPath(class, line, words string) g.Node {
	return h.El("path", h.Class(class), h.Attr("d", line), h.TitleEl(h.Text(words)))
}
