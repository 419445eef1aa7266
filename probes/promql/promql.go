// Package promql asks a Prometheus server whether a service is well, by the service's own counters: values with limits, and
// whether shares of bad requests and quantiles are back to what they were.
package promql

import (
	"cmp"
	"context"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/probes/internal/limits"
)

// Probe asks a server of the Prometheus HTTP API about a service. The server is a witness: whatever is wrong with it says
// nothing of the service, so that no such answer is a pass or a failure. A dead service is still answered for, for minutes,
// from what was scraped before: so its series must be fresh.
type Probe struct {
	httpx.Settings `yaml:",inline"`

	URL     string           `yaml:"url" required:"true" doc:"the server's URL, as it is before /api/v1/query"`
	Fresh   Fresh            `yaml:"fresh" required:"true" doc:"what shows that the service is still scraped"`
	Control string           `yaml:"control" doc:"a query whose value must be above zero, such as the number of requests that went well"`
	Values  map[string]Value `yaml:"values" doc:"by name, queries of one value, with their limits"`

	Compare    map[string]Comparison `yaml:"compare" doc:"by name, what must not be worse than before"`
	Baseline   *Baseline             `yaml:"baseline" doc:"the time to compare with"`
	Windows    []probe.Duration      `yaml:"windows" doc:"the ranges to look at, each wider than the one before; default: 10m, 30m and 1h"`
	MinSamples int                   `yaml:"min_samples" default:"50" doc:"how many requests, or other events, a comparison needs at least, now and before"`

	client *httpx.Client
}

// Fresh is what shows that the service is still scraped.
type Fresh struct {
	Series string         `yaml:"series" required:"true" doc:"a selector of series that the service itself exposes, such as up{job=\"proxy\"} does not"`
	MaxAge probe.Duration `yaml:"max_age" default:"1m" doc:"how old its newest sample may be"`
}

// A Value is a query of one value, and its limits.
type Value struct {
	Query string         `yaml:"query" required:"true" doc:"a query whose answer is a vector of one sample"`
	Min   *limits.Number `yaml:"min" doc:"the least that it may be: a number, or a duration for seconds"`
	Max   *limits.Number `yaml:"max" doc:"the most that it may be"`
}

// A Baseline is the time to compare with.
type Baseline struct {
	Offset probe.Duration `yaml:"offset" required:"true" doc:"how long ago, such as 1d or 7d. While an incident of the system is open, the time before it is taken in its place"`
}

// A Comparison is a share of bad events, or a quantile, that must not be worse than before.
type Comparison struct {
	Bad      string        `yaml:"bad" doc:"a query for the number of bad events within {window}"`
	Good     string        `yaml:"good" doc:"in place of bad, a query for the number of good ones: it exists where nothing was ever bad"`
	Total    string        `yaml:"total" doc:"a query for the number of all events within {window}"`
	Buckets  string        `yaml:"buckets" doc:"in place of bad and total, a query for the buckets of a histogram within {window}: sum by (le) (increase(...)), or sum(increase(...)) of a native histogram"`
	Quantile limits.Number `yaml:"quantile" doc:"with buckets: which quantile, such as 0.99"`
	Own      Own           `yaml:"own" doc:"the prober's own requests, to be subtracted"`
	Worse    Worse         `yaml:"worse" doc:"by how much it must have grown to be worse; default: factor 1.25, and 1 point for a share"`
}

// Own are queries for the prober's own requests.
type Own struct {
	Bad   string `yaml:"bad" doc:"a query for their number among the bad ones"`
	Total string `yaml:"total" doc:"a query for their number among all"`
}

// Worse says when something is worse than before: beyond both of these.
type Worse struct {
	Factor limits.Number `yaml:"factor" doc:"a multiple of what it was"`
	Points limits.Number `yaml:"points" doc:"for a share: percentage points above what it was"`
}

// Reasons of this kind.
var (
	reasonValue = probe.Reason{Word: "value", Verdict: probe.Fail, Text: "a value beyond its limit",
		Action: "Run the query by hand and see which value is beyond its limit, and since when; then look at what was deployed at that time."}
	reasonWorse = probe.Reason{Word: "worse", Verdict: probe.Fail, Text: "worse than before",
		Action: "Compare with the time before: look at what was deployed at the onset; the fix has not brought it back yet."}
	reasonUncertain = probe.Reason{Word: "uncertain", Verdict: probe.Inconclusive, Text: "too uncertain to decide",
		Action: "Give it more to decide by: for a clock a nearer NTP server, for a share or a quantile more requests or a longer time."}
	reasonNoTraffic = probe.Reason{Word: "no_traffic", Verdict: probe.Inconclusive, Text: "nobody calls it",
		Action: "Check that requests reach the service at all; without them nothing can be said."}
	reasonNoData = probe.Reason{Word: "no_data", Verdict: probe.Inconclusive, Text: "no such series",
		Action: "Check the name of the series and its labels, and that Prometheus scrapes the service."}
	reasonNoBaseline = probe.Reason{Word: "no_baseline", Verdict: probe.Inconclusive, Text: "nothing to compare with",
		Action: "Choose a time before at which the service ran and was scraped (--since, or offset)."}
	reasonClipped = probe.Reason{Word: "clipped", Verdict: probe.Inconclusive, Text: "above the last finite bucket",
		Action: "Add a bucket above: the quantile lies beyond the last one that is finite."}
	reasonNaN = probe.Reason{Word: "not_a_number", Verdict: probe.Fail, Text: "a value is not a number",
		Action: "Look at how the value is computed: NaN or infinity usually comes from a division by zero, or from no requests at all."} // the word of contract, where it fails
	reasonManySeries = probe.Reason{Word: "many_series", Verdict: probe.Inconclusive, Text: "several series in place of one",
		Action: "Aggregate the query to one series, as with sum()."}
	reasonStale = probe.Reason{Word: "stale", Verdict: probe.Inconclusive, Text: "what it says is too old",
		Action: "Find out why the source is behind: an NTP server that lost its own source, or a service that Prometheus no longer scrapes."}
	reasonPartial = probe.Reason{Word: "partial", Verdict: probe.Inconclusive, Text: "answer with a warning, or in part",
		Action: "Look at Prometheus, or at what federates it: a part of the data is missing from the answer."}
	reasonBadQuery = probe.Reason{Word: "bad_query", Verdict: probe.Inconclusive, Text: "query could not be evaluated",
		Action: "Correct the query of the probe; the detail says how Prometheus refused it."}
)

// Measures of this kind.
var (
	valueGauge = &probe.Measure{
		Name:   "probe_promql_value",
		Help:   "A value of the last run, by its configured name: that of a query, the share of bad events, or the quantile.",
		Labels: []string{"name"},
	}
	baselineGauge = &probe.Measure{
		Name:   "probe_promql_baseline",
		Help:   "What the last run compared it with: the value at the time before.",
		Labels: []string{"name"},
	}
	samplesGauge = &probe.Measure{
		Name:   "probe_promql_samples",
		Help:   "Events that the value of the last run rests on, without the prober's own.",
		Labels: []string{"name"},
	}
	ageGauge = &probe.Measure{
		Name: "probe_promql_age_seconds",
		Help: "Age of the newest sample of the service, as the server sees it.",
	}
)

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return &Probe{} },
		Summary:  "a service by its own counters in Prometheus: values with limits, and whether error rates and quantiles are back to their baseline",
		Measures: []*probe.Measure{valueGauge, baselineGauge, samplesGauge, ageGauge},
		Reasons: []probe.Reason{
			reasonValue, reasonWorse, reasonUncertain, reasonNoTraffic, reasonNoData, reasonNoBaseline, reasonClipped, reasonNaN,
			reasonManySeries, reasonStale, reasonPartial, reasonBadQuery,
		},
	}
}

var (
	_ probe.Addresser        = (*Probe)(nil)
	_ probe.BaselineComparer = (*Probe)(nil)
	_ probe.Closer           = (*Probe)(nil)
)

// Addresses lists the server, and where its tokens are fetched.
func (p *Probe) Addresses() []string { return []string{p.URL, p.AuthURL()} }

// Close closes the connection to the server.
func (p *Probe) Close() { p.client.Close() }

// Compared names the comparisons.
func (p *Probe) Compared() []string { return sorted.Keys(p.Compare) }

// Checks names what a run notes.
func (p *Probe) Checks() []string {
	names := []string{"fresh"}
	if p.Control != "" {
		names = append(names, "control")
	}
	if len(p.Values) > 0 {
		names = append(names, "value")
	}
	if len(p.Compare) > 0 {
		names = append(names, "compare")
	}
	return names
}

// Ask asks for the age of the newest sample and, if it is fresh, everything else as of the same moment.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	at, fresh := p.askFresh(ctx, r)
	if note(r, "fresh", fresh); !fresh.Passed() {
		return
	}
	held := true
	if p.Control != "" {
		control := p.askControl(ctx, r, at)
		note(r, "control", control)
		held = control.Passed()
	}
	for _, name := range sorted.Keys(p.Values) {
		r.Each([]string{name}, func(_ int, r *probe.Result) {
			o := p.askValue(ctx, r, name, at)
			if o.Passed() && !held {
				o.Reason, o.Detail = probe.ControlFailed, o.Detail+", which proves nothing without its control"
			}
			note(r, "value", o)
		})
	}
	for _, name := range sorted.Keys(p.Compare) {
		r.Each([]string{name}, func(_ int, r *probe.Result) {
			o := p.compare(ctx, r, name, at)
			if o.Passed() && !held {
				o.Reason, o.Detail = probe.ControlFailed, o.Detail+", which proves nothing without its control"
			}
			note(r, "compare", o)
		})
	}
}

// note writes the outcome of a check. Only what the numbers say of the service passes or fails: the server is not what is
// asked about.
func note(r *probe.Result, check string, o probe.Outcome) {
	if o.Passed() || o.Reason == reasonValue || o.Reason == reasonWorse {
		r.Note(check, o)
		return
	}
	r.Inconclusive(check, o.Reason, "%s", o.Detail)
}

// defaultMaxAge is two scrapes at the usual intervals of 15 and 30 seconds.
const defaultMaxAge = time.Minute

func (p *Probe) maxAge() time.Duration { return cmp.Or(p.Fresh.MaxAge.D(), defaultMaxAge) }

const defaultMinSamples = 50

func (p *Probe) minSamples() float64 { return float64(cmp.Or(p.MinSamples, defaultMinSamples)) }

var defaultWindows = []probe.Duration{probe.Duration(10 * time.Minute), probe.Duration(30 * time.Minute), probe.Duration(time.Hour)}

func (p *Probe) windows() []probe.Duration {
	if len(p.Windows) == 0 {
		return defaultWindows
	}
	return p.Windows
}
