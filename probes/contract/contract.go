// Package contract asks whether a service exposes what alerts and runbooks read.
package contract

import (
	"context"
	"slices"

	"prober/internal/drop"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/selector"
	"prober/internal/sorted"
	"prober/internal/text"
	"prober/probes/internal/replicas"
)

// Probe reads the metrics that a service exposes, as Prometheus does, and compares them with what alerts and runbooks need of
// them. An alert on a series that is called otherwise today never fires, and nothing else tells.
type Probe struct {
	httpx.Settings `yaml:",inline"`

	URL      string            `yaml:"url" required:"true" doc:"where the service exposes its metrics"`
	Replicas replicas.Replicas `yaml:"replicas" doc:"where its replicas are and how many there must be; each has counters of its own"`
	Families map[string]Family `yaml:"families" doc:"by name, the metrics that must exist"`
	Zero     map[string]string `yaml:"zero" doc:"by a name of yours, series that must exist and be 0"`
	Moves    map[string]Move   `yaml:"moves" doc:"by a name of yours, counters that must rise"`

	client  *httpx.Client
	zeros   map[string]selector.Selector
	movers  map[string]*mover
	history history
}

// A Family is what alerts need of one metric.
type Family struct {
	Type    string              `yaml:"type" doc:"counter, gauge, histogram, summary or untyped; default: any"`
	Labels  map[string][]string `yaml:"labels" doc:"labels that every series must have, each with the values that must occur; [] for any"`
	Buckets []float64           `yaml:"buckets" doc:"upper bounds that buckets of the histogram must have, such as the limit in the runbook"`
}

// A Move is a counter that must rise: by itself from run to run, or because of a request.
type Move struct {
	Series  string         `yaml:"series" required:"true" short:"true" doc:"the series, which are added up: a name and labels"`
	Within  probe.Duration `yaml:"within" doc:"how long it may take to rise; default: 10m, or 2s after the request"`
	Request *Request       `yaml:"request" doc:"a request that must make it rise, sent in each run"`
}

// A Request is one that a counter must count.
type Request struct {
	httpx.Settings `yaml:",inline"`

	URL     string         `yaml:"url" required:"true" doc:"the URL to request"`
	Address string         `yaml:"address" doc:"dial this IP:port instead of what the URL's host resolves to; Host and SNI stay"`
	Method  string         `yaml:"method" default:"GET" doc:"the HTTP method"`
	Body    httpx.Value    `yaml:"body" mask:"true" doc:"what to send: a text, {file: PATH} or {env: NAME}"`
	Status  httpx.Statuses `yaml:"status" required:"true" doc:"the status that it must be answered with"`
}

// Reasons of the contract kind.
var (
	reasonNoSeries = probe.Reason{Word: "no_series", Verdict: probe.Fail, Text: "no metrics at all",
		Action: "Open the metrics URL by hand: the page is empty, or it is not a metrics page; alerts on it cannot fire."}
	reasonMissing = probe.Reason{Word: "family_missing", Verdict: probe.Fail, Text: "a metric is not exposed",
		Action: "Find the deploy that removed or renamed the metric: alerts and runbooks that read it see nothing."}
	reasonType = probe.Reason{Word: "wrong_type", Verdict: probe.Fail, Text: "a metric has another type",
		Action: "Find the deploy that changed the type: rate() and histogram_quantile() on it give nonsense."}
	reasonTwice = probe.Reason{Word: "duplicate_series", Verdict: probe.Fail, Text: "a series is exposed twice",
		Action: "Fix the exporter: Prometheus drops the whole scrape, or keeps one of the values at random."}
	reasonLabel = probe.Reason{Word: "label_missing", Verdict: probe.Fail, Text: "a series lacks a label",
		Action: "Find the deploy that removed the label: alerts that select by it match nothing."}
	reasonValue = probe.Reason{Word: "value_missing", Verdict: probe.Fail, Text: "no series has the value of a label",
		Action: "Find out why no series has the value: the code path did not run since the start, or the value was renamed."}
	reasonBucket = probe.Reason{Word: "bucket_missing", Verdict: probe.Fail, Text: "a histogram has no bucket with this bound",
		Action: "Restore the bucket: an SLO at this bound cannot be computed without it."}
	reasonSeries = probe.Reason{Word: "series_missing", Verdict: probe.Fail, Text: "a series is not exposed",
		Action: "Have the service export the series from its start, at 0; an alert on it cannot fire before."}
	reasonNaN = probe.Reason{Word: "not_a_number", Verdict: probe.Fail, Text: "a value is not a number",
		Action: "Look at how the value is computed: NaN or infinity usually comes from a division by zero, or from no requests at all."}
	reasonNotZero = probe.Reason{Word: "not_zero", Verdict: probe.Fail, Text: "telemetry that must stay 0 is not 0", Breach: true,
		Action: "Treat it as an incident: what must never happen has happened; the detail names the series, the service's log the case."}
	reasonStuck = probe.Reason{Word: "does_not_move", Verdict: probe.Fail, Text: "a counter does not rise",
		Action: "Check that the service does the work that the counter counts, and that the counter is still wired to it."}
	reasonFell = probe.Reason{Word: "decreased", Verdict: probe.Fail, Text: "a counter fell without a restart",
		Action: "Look for a counter that is reset without a restart: rates over it are wrong."}
	reasonMixed = probe.Reason{Word: "several_processes", Verdict: probe.Inconclusive, Text: "several processes answer at one address",
		Action: "Probe each replica by itself: a load balancer answers with the metrics of several processes."}
)

// Measures of the contract kind.
var (
	familyGauge = &probe.Measure{
		Name:   "probe_contract_family_ok",
		Help:   "1 if the metric was exposed as alerts and runbooks need it in the last run, 0 if not.",
		Labels: []string{"target", "family"},
	}
	zeroGauge = &probe.Measure{
		Name:   "probe_contract_zero",
		Help:   "Sum of the series that must stay 0 in the last run, by their configured name.",
		Labels: []string{"target", "name"},
	}
	movesGauge = &probe.Measure{
		Name:   "probe_contract_moves",
		Help:   "Sum of the series that must rise in the last run, by their configured name.",
		Labels: []string{"target", "name"},
	}
	seriesGauge = &probe.Measure{
		Name:   "probe_contract_series",
		Help:   "Series that the service exposed in the last run.",
		Labels: []string{"target"},
	}
)

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return &Probe{} },
		Summary:  "what alerts and runbooks read of a service's own metrics: that it is there, has the right form, moves, or stays 0",
		Measures: []*probe.Measure{familyGauge, zeroGauge, movesGauge, seriesGauge},
		Reasons: []probe.Reason{
			reasonNoSeries, reasonMissing, reasonType, reasonTwice, reasonLabel, reasonValue, reasonBucket, reasonSeries, reasonNaN,
			reasonNotZero, reasonStuck, reasonFell, reasonMixed,
		},
		Traits: probe.Traits{HTTPLatency: true},
	}
}

var (
	_ probe.Addresser      = (*Probe)(nil)
	_ probe.SeriesRequirer = (*Probe)(nil)
	_ probe.Closer         = (*Probe)(nil)
	_ probe.StatusProvoker = (*Probe)(nil)
	_ probe.TimeoutChecker = (*Probe)(nil)
)

// Checks names what a run notes.
func (p *Probe) Checks() []string {
	names := []string{"scrape"}
	if !p.Replicas.None() {
		names = append([]string{"replicas"}, names...)
	}
	has := map[string]bool{"families": len(p.Families) > 0, "zero": len(p.Zero) > 0, "moves": len(p.Moves) > 0}
	for _, f := range p.Families {
		has["labels"] = has["labels"] || len(f.Labels) > 0
		has["buckets"] = has["buckets"] || len(f.Buckets) > 0
	}
	for _, name := range []string{"families", "labels", "buckets", "zero", "moves"} {
		if has[name] {
			names = append(names, name)
		}
	}
	return names
}

// Addresses lists where the metrics are, and whom the requests go to.
func (p *Probe) Addresses() []string {
	all := append([]string{p.URL, p.AuthURL()}, p.Replicas.Addresses()...)
	for _, name := range sorted.Keys(p.Moves) {
		if q := p.Moves[name].Request; q != nil {
			all = append(all, q.URL, q.AuthURL(), q.Address)
		}
	}
	return all
}

// ExpectedStatuses lists the client and server errors that the requests provoke on purpose.
func (p *Probe) ExpectedStatuses() map[string][]int {
	var codes []int
	for _, name := range sorted.Keys(p.Moves) {
		if q := p.Moves[name].Request; q != nil {
			codes = append(codes, drop.If(q.Status.Codes(), func(code int) bool { return code < 400 })...)
		}
	}
	slices.Sort(codes)
	return map[string][]int{"": slices.Compact(codes)}
}

// Close ends the connections that are kept for reuse.
func (p *Probe) Close() {
	p.client.Close()
	for _, m := range p.movers {
		if m.client != nil {
			m.client.Close()
		}
	}
}

// Ask reads the metrics of each replica and compares them. Then it sends the requests, and reads the metrics again.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	found, ok := p.Replicas.Find(ctx, r, p.client.Resolver())
	if !ok {
		return
	}
	if !p.Replicas.None() {
		if len(found) < p.Replicas.Want {
			r.Fail("replicas", probe.Replicas, "expected %s, got %d", text.Count(p.Replicas.Want, "replica"), len(found))
		} else {
			r.Pass("replicas", "found %s", text.Count(len(found), "replica"))
		}
	}
	scrapes := make([]*scrape, len(found))
	p.each(r, found, func(i int, r *probe.Result) {
		scrapes[i] = p.scrape(ctx, r, found[i])
		if scrapes[i] == nil {
			return
		}
		p.judge(r, scrapes[i])
	})
	p.judgeMoves(ctx, r, found, scrapes)
}

// each asks all replicas, or the one service that has none.
func (p *Probe) each(r *probe.Result, found []string, ask func(i int, r *probe.Result)) {
	if p.Replicas.None() {
		ask(0, r)
		return
	}
	r.Each(found, ask)
}

// scrape reads the metrics at one address. It returns nil if there are none, and notes why.
func (p *Probe) scrape(ctx context.Context, r *probe.Result, address string) *scrape {
	s, o := p.read(ctx, r, "scrape", address)
	if s == nil {
		r.Note("scrape", o)
		return nil
	}
	r.Measure(seriesGauge, float64(s.Lines), r.Target())
	if s.Lines == 0 {
		r.Report("scrape", reasonNoSeries, "expected metrics, got none")
		return nil
	}
	if s.Old > 0 {
		r.Pass("scrape", "read %d series, %d of them with a time that is not now, of which Prometheus shows nothing", s.Lines, s.Old)
	} else {
		r.Pass("scrape", "read %d series", s.Lines)
	}
	return s
}
