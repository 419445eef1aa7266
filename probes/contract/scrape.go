package contract

import (
	"context"
	"errors"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/common/model"

	"prober/internal/httpx"
	"prober/internal/memory"
	"prober/internal/probe"
	"prober/internal/selector"
	"prober/probes/internal/exposed"
)

// A scrape is what a service exposed at one moment.
type scrape struct {
	*exposed.Exposition
	started float64 // when its process started, in seconds since the epoch; 0 if it does not say
}

// startSeries says when a process started. All client libraries of Prometheus expose it.
const startSeries = "process_start_time_seconds"

// read asks for the metrics at one address. Without any it says why.
func (p *Probe) read(ctx context.Context, r *probe.Result, check, address string) (*scrape, probe.Outcome) {
	header := http.Header{}
	if !p.hasHeader("Accept") {
		header.Set("Accept", accept(p.namesUTF8()))
	}
	answer := p.client.Do(ctx, r, httpx.Request{Check: check, URL: p.URL, Addr: address, Header: header, Want: httpx.Codes(http.StatusOK)})
	c := answer.Classify(httpx.ClassifyOptions{Want: httpx.Codes(http.StatusOK), Credential: p.Authenticates(), Public: !p.Authenticates()})
	if c.Class != httpx.ClassExpected {
		return nil, c.Outcome
	}
	is, err := format(answer.Header.Get("Content-Type"))
	if err != nil {
		return nil, probe.Outcomef(probe.Schema, "%s", err)
	}
	x, err := exposed.Read(ctx, answer.Body, is == openMetricsType, p.wants)
	switch {
	case errors.Is(err, exposed.ErrCut):
		return nil, probe.Outcomef(probe.Truncated, "expected whole metrics, got fewer: %s", err)
	case memory.IsLimit(err):
		memory.Exceeded(ctx, answer.TraceID, err)
		return nil, probe.Outcomef(probe.SelfLimit, "%s", err)
	case err != nil:
		return nil, probe.Outcomef(probe.Schema, "%s", err)
	}
	s := &scrape{Exposition: x}
	s.started = s.total(selector.Selector{Name: startSeries}).sum
	return s, probe.Outcome{Reason: probe.OK}
}

func (p *Probe) hasHeader(name string) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(p.Headers)), func(h string) bool { return strings.EqualFold(h, name) })
}

// wants reports whether the contract is about a metric.
func (p *Probe) wants(name string) bool {
	if name == startSeries {
		return true
	}
	base := exposed.FamilyOf(name)
	if _, ok := p.Families[name]; ok {
		return true
	}
	if _, ok := p.Families[base]; ok {
		return true
	}
	return p.selects(func(s selector.Selector) bool { return exposed.FamilyOf(s.Name) == base })
}

// RequiresSeries reports whether the contract requires a series and, unless it is empty, a label of it.
func (p *Probe) RequiresSeries(name, label string) bool {
	for _, family := range []string{name, exposed.FamilyOf(name)} {
		f, ok := p.Families[family]
		grouped := f.Type == "histogram" || f.Type == "summary" || f.Type == ""
		if !ok || family != name && !grouped {
			continue
		}
		own := label == "le" && f.Type == "histogram" || label == "quantile" && f.Type == "summary"
		if _, listed := f.Labels[label]; label == "" || own || listed {
			return true
		}
	}
	return p.selects(func(s selector.Selector) bool {
		has := func(m selector.Matcher) bool { return m.Label == label }
		return s.Name == name && (label == "" || slices.ContainsFunc(s.Matchers, has))
	})
}

// selects reports whether one of the series that must be 0, or rise, meets a condition.
func (p *Probe) selects(is func(selector.Selector) bool) bool {
	for _, s := range p.zeros {
		if is(s) {
			return true
		}
	}
	for _, m := range p.movers {
		if is(m.series) {
			return true
		}
	}
	return false
}

// namesUTF8 reports whether a name of the contract is not of the form that all versions know.
func (p *Probe) namesUTF8() bool {
	odd := func(name string) bool { return !model.LegacyValidation.IsValidMetricName(name) }
	return slices.ContainsFunc(slices.Collect(maps.Keys(p.Families)), odd) || p.selects(func(s selector.Selector) bool { return odd(s.Name) })
}

// A total is what the series that a selector picks add up to.
type total struct {
	sum  float64
	n    int  // series
	nan  bool // one of them is not a number
	zero bool // each of them is 0
}

func (s *scrape) total(of selector.Selector) total {
	t := total{zero: true}
	for _, name := range slices.Compact([]string{of.Name, exposed.FamilyOf(of.Name)}) {
		exposed.Each(s.Families[name], func(name string, label func(string) string, value float64) {
			if of.Matches(name, label) {
				t.n++
				t.sum += value
				t.nan = t.nan || math.IsNaN(value)
				t.zero = t.zero && value == 0
			}
		})
	}
	return t
}
