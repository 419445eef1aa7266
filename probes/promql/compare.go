package promql

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/stats"
)

// windowPlaceholder stands for the range in the queries of a comparison.
const windowPlaceholder = "{window}"

// A measurement is what one window shows.
type measurement struct {
	stats.Estimate
	events  float64 // without the prober's own
	clipped bool    // the quantile may lie above the last finite bucket
}

// compare compares ever wider windows with the baseline, until one of them decides.
func (p *Probe) compare(ctx context.Context, r *probe.Result, name string, now time.Time) probe.Outcome {
	c, windows := p.Compare[name], p.windows()
	level := stats.Level(len(windows), c.tolerance())
	at, when := p.baselineTime(ctx, now)
	before, o := p.measure(ctx, r, c, windows[len(windows)-1], at, level)
	if o = p.usableBaseline(before, o, when); !o.Passed() {
		return o
	}
	r.Measure(baselineGauge, before.Value, name)
	sequence := stats.Sequence{Before: before.Estimate, Tolerance: c.tolerance()}
	var last measurement
	var window probe.Duration
	for i, w := range windows {
		m, o := p.measure(ctx, r, c, w, now, level)
		if !o.Passed() {
			return o
		}
		decision := sequence.Next(m.Estimate)
		last, window = m, w
		if i == 0 && m.events < 1 {
			break // what older requests say does not show that anybody is served now
		}
		if m.events >= p.minSamples() && decision != stats.Undecided {
			p.measured(r, name, m)
			return c.decided(decision, m, before, w, when)
		}
	}
	p.measured(r, name, last)
	return p.undecided(c, last, before, window, when)
}

func (p *Probe) measured(r *probe.Result, name string, m measurement) {
	r.Measure(valueGauge, m.Value, name)
	r.Measure(samplesGauge, m.events, name)
}

// usableBaseline says why there is nothing to compare with, if there is nothing.
func (p *Probe) usableBaseline(before measurement, o probe.Outcome, when string) probe.Outcome {
	switch {
	case o.Reason == reasonNoData:
		return probe.Outcomef(reasonNoBaseline, "%s: %s", when, o.Detail)
	case !o.Passed():
		o.Detail = when + ": " + o.Detail
		return o
	case before.events < p.minSamples():
		return probe.Outcomef(reasonNoBaseline, "expected at least %s events %s, got %s", formatNumber(p.minSamples()), when, formatNumber(math.Floor(before.events)))
	}
	return o
}

// decided words a decision.
func (c Comparison) decided(d stats.Decision, now, before measurement, window probe.Duration, when string) probe.Outcome {
	if d == stats.Beyond {
		return probe.Outcomef(reasonWorse, "%s", c.sentence(now, before, window, when))
	}
	return probe.Outcomef(probe.OK, "%s", c.sentence(now, before, window, when))
}

// undecided says what keeps the widest window that was looked at from deciding.
func (p *Probe) undecided(c Comparison, last, before measurement, window probe.Duration, when string) probe.Outcome {
	sentence := c.sentence(last, before, window, when)
	switch {
	case last.events < 1:
		return probe.Outcomef(reasonNoTraffic, "expected at least %s events, got none within %s: nobody calls it", formatNumber(p.minSamples()), window)
	case last.events < p.minSamples():
		return probe.Outcomef(reasonUncertain, "expected at least %s events, got %s within %s", formatNumber(p.minSamples()), formatNumber(math.Floor(last.events)), window)
	case last.clipped:
		return probe.Outcomef(reasonClipped, "%s; beyond the last finite bucket nothing is known", sentence)
	}
	return probe.Outcomef(reasonUncertain, "%s; too close, or too few, to decide", sentence)
}

// sentence says expected and got, with the bounds of both.
func (c Comparison) sentence(now, before measurement, window probe.Duration, when string) string {
	return fmt.Sprintf("expected at most %s (%s of %s %s), got %s of %s within %s",
		c.format(c.tolerance().Limit(before.Value)), c.formatBounds(before), formatNumber(math.Floor(before.events)), when,
		c.formatBounds(now), formatNumber(math.Floor(now.events)), window)
}

func (c Comparison) formatBounds(m measurement) string {
	return fmt.Sprintf("%s, between %s and %s,", c.format(m.Value), c.format(max(m.Low, 0)), c.format(m.High))
}

// format writes a share in percent, and a quantile as it is.
func (c Comparison) format(v float64) string {
	switch {
	case math.IsNaN(v):
		return "unknown"
	case math.IsInf(v, 1):
		return "any"
	case c.Buckets == "":
		return formatNumber(roundTo(100*v, 3)) + " %"
	}
	return formatNumber(roundTo(v, 3))
}

// Defaults of worse.
const (
	defaultFactor = 1.25
	defaultPoints = 1
)

func (c Comparison) tolerance() stats.Tolerance {
	w := c.Worse
	if w == (Worse{}) {
		w.Factor = defaultFactor
		if c.Buckets == "" {
			w.Points = defaultPoints
		}
	}
	return stats.Tolerance{Factor: float64(w.Factor), Add: float64(w.Points) / 100}
}

// measure asks what a window that ends at a moment shows.
func (p *Probe) measure(ctx context.Context, r *probe.Result, c Comparison, window probe.Duration, at time.Time, level float64) (measurement, probe.Outcome) {
	within := func(query string) string {
		return strings.ReplaceAll(query, windowPlaceholder, fmt.Sprintf("%ds", int64(window.D().Seconds())))
	}
	number := func(what, query string) (float64, probe.Outcome) {
		if query == "" {
			return 0, probe.Outcome{Reason: probe.OK}
		}
		s, o := p.one(ctx, r, "compare", within(query), at)
		if o.Passed() && s.value < 0 {
			o = probe.Outcomef(probe.Schema, "expected a number of events, got %s", formatNumber(s.value))
		}
		if !o.Passed() {
			o.Detail = fmt.Sprintf("%s within %s: %s", what, window, o.Detail)
		}
		return s.value, o
	}
	ownTotal, o := number("own.total", c.Own.Total)
	if !o.Passed() {
		return measurement{}, o
	}
	if c.Buckets != "" {
		v, o := p.ask(ctx, r, "compare", within(c.Buckets), at)
		var h stats.Histogram
		if o.Passed() {
			h, o = histogramOf(v)
		}
		if !o.Passed() {
			o.Detail = fmt.Sprintf("buckets within %s: %s", window, o.Detail)
			return measurement{}, o
		}
		return quantile(h, float64(c.Quantile), ownTotal, level)
	}
	var n shareCounts
	n.ownTotal = ownTotal
	for _, query := range []struct {
		what, query string
		into        *float64
	}{{"own.bad", c.Own.Bad, &n.ownBad}, {"total", c.Total, &n.total}, {"good", c.Good, &n.good}, {"bad", c.Bad, &n.bad}} {
		if *query.into, o = number(query.what, query.query); !o.Passed() {
			return measurement{}, o
		}
	}
	if c.Good != "" {
		n.bad = max(0, n.total-n.good)
	}
	m, o := n.share(level)
	if !o.Passed() {
		o.Detail = fmt.Sprintf("within %s: %s", window, o.Detail)
	}
	return m, o
}

// quantile measures a quantile of a histogram.
func quantile(h stats.Histogram, q, own, level float64) (measurement, probe.Outcome) {
	events, o := customers(h.Count(), own)
	e := h.Quantile(q, level)
	return measurement{Estimate: e, events: events, clipped: math.IsInf(e.High, 1) && h.Beyond() > 0}, o
}

// shareCounts are the counts of a share.
type shareCounts struct{ bad, good, total, ownBad, ownTotal float64 }

// share measures the share of bad events that are not the prober's own.
func (n shareCounts) share(level float64) (measurement, probe.Outcome) {
	if n.good > n.total+1 { // increase() is no whole number
		return measurement{}, probe.Outcomef(probe.Schema, "expected no more good events than events, got %s of %s", formatNumber(n.good), formatNumber(n.total))
	}
	total, o := customers(n.total, n.ownTotal)
	if !o.Passed() {
		return measurement{}, o
	}
	bad, o := subtract(n.bad, n.ownBad, "bad requests")
	if !o.Passed() {
		return measurement{}, o
	}
	if bad > n.total+tolerated(n.total) {
		return measurement{}, probe.Outcomef(probe.Schema, "expected fewer bad events than events, got %s of %s", formatNumber(bad), formatNumber(n.total))
	}
	e := stats.RoughRatio(bad, total, tolerated(n.ownBad), level)
	return measurement{Estimate: e, events: total}, o
}

// tolerated is by how much a count may be off that the prober made itself: it is scraped at other moments than the service.
// Of nothing it is nothing.
func tolerated(own float64) float64 {
	if own == 0 {
		return 0
	}
	return 1 + own/20
}

// subtract takes the prober's own events from a count.
func subtract(all, own float64, what string) (float64, probe.Outcome) {
	left := all - own
	if left < -tolerated(own)-tolerated(all) {
		return 0, probe.Outcomef(probe.Schema, "the prober's own %s are more than all: expected at most %s, got %s", what, formatNumber(all), formatNumber(own))
	}
	return max(left, 0), probe.Outcome{Reason: probe.OK}
}

// customers is how many events are not the prober's own: none, if what is left may be due to the moments of the scrapes.
func customers(all, own float64) (float64, probe.Outcome) {
	left, o := subtract(all, own, "requests")
	if left <= tolerated(own) {
		left = 0
	}
	return left, o
}

// baselineTime returns the moment at which the baseline ends, with words for it. It is before the incident while one is
// open, and also if the usual time lies within the last one: a limit taken from an incident is met by the next.
//
// The incident may have begun before anybody noticed, by as much as the widest window.
func (p *Probe) baselineTime(ctx context.Context, now time.Time) (at time.Time, when string) {
	widest := slices.MaxFunc(p.windows(), cmp.Compare[probe.Duration]).D()
	at = now.Add(-p.Baseline.Offset.D())
	i := probe.IncidentOf(ctx)
	if i.Start.IsZero() || i.Start.After(now) {
		return at, p.Baseline.Offset.String() + " ago"
	}
	began := i.Start.Add(-widest)
	if i.End.IsZero() || at.After(began) && at.Add(-widest).Before(i.End) {
		return began, "before the incident of " + i.Start.UTC().Format(time.RFC3339)
	}
	return at, p.Baseline.Offset.String() + " ago"
}
