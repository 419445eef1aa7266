package promql

import (
	"context"
	"math"
	"strconv"
	"time"

	"prober/internal/probe"
)

// askFresh asks for the time of the newest sample of the service. It returns the server's own now, as of which everything
// else is asked: so neither the clocks of two machines nor the time that a run takes are in any number.
func (p *Probe) askFresh(ctx context.Context, r *probe.Result) (now time.Time, o probe.Outcome) {
	s, o := p.one(ctx, r, "fresh", "max(timestamp("+p.Fresh.Series+"))", time.Time{})
	if !o.Passed() {
		if o.Reason == reasonNoData {
			o.Detail = "expected a sample of the service, got none: it is not scraped any more, or exposes no such series"
		}
		return now, o
	}
	if off := time.Since(s.at).Abs(); off > maxClockDifference {
		return now, probe.Outcomef(probe.StaleOrCached, "the answer is for a moment %s from the prober's now: it comes out of a cache, or the clocks differ", off.Round(time.Second))
	}
	age := seconds(s.at) - s.value
	r.Measure(ageGauge, age)
	limit := p.maxAge().Seconds()
	if !(age <= limit && age >= -limit) {
		return now, probe.Outcomef(reasonStale, "expected a sample not older than %s, got one of %s ago: the numbers are those of before", formatSeconds(limit), formatSeconds(age))
	}
	return s.at, probe.Outcomef(probe.OK, "the newest sample is %s old", formatSeconds(age))
}

// askControl asks the query whose value must be above zero.
func (p *Probe) askControl(ctx context.Context, r *probe.Result, now time.Time) probe.Outcome {
	s, o := p.one(ctx, r, "control", p.Control, now)
	switch {
	case !o.Passed():
		return o
	case s.value <= 0:
		return probe.Outcomef(probe.ControlFailed, "expected a value above zero, got %s", formatNumber(s.value))
	}
	return probe.Outcomef(probe.OK, "got %s", formatNumber(s.value))
}

// askValue asks a query and compares its value with its limits.
func (p *Probe) askValue(ctx context.Context, r *probe.Result, name string, now time.Time) probe.Outcome {
	v := p.Values[name]
	s, o := p.one(ctx, r, "value", v.Query, now)
	if !o.Passed() {
		return o
	}
	r.Measure(valueGauge, s.value, name)
	got := formatNumber(s.value)
	switch {
	case v.Max != nil && s.value > float64(*v.Max):
		return probe.Outcomef(reasonValue, "expected at most %s, got %s", formatNumber(float64(*v.Max)), got)
	case v.Min != nil && s.value < float64(*v.Min):
		return probe.Outcomef(reasonValue, "expected at least %s, got %s", formatNumber(float64(*v.Min)), got)
	}
	return probe.Outcomef(probe.OK, "got %s", got)
}

// formatNumber writes a number as people do.
func formatNumber(v float64) string {
	switch a := math.Abs(v); {
	case math.IsInf(v, 0) || a >= 1e15 || a > 0 && a < 1e-6:
		return strconv.FormatFloat(v, 'g', 4, 64)
	case a >= 1e6:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(roundTo(v, 6), 'f', -1, 64)
}

// roundTo rounds to so many digits that count.
func roundTo(v float64, digits int) float64 {
	out, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
	if err != nil {
		return v
	}
	return out
}

func formatSeconds(v float64) string {
	const century = 100 * 365 * 24 * 3600
	if !(math.Abs(v) < century) {
		return "more than a century"
	}
	return time.Duration(v * float64(time.Second)).Round(100 * time.Millisecond).String()
}
