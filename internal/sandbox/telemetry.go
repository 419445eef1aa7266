package sandbox

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"prober/internal/sorted"
)

// A family is a metric of a service. Simulated customers call the services all the time, each kind of call at a rate of
// its own: what a service counts is theirs and what really came.
type family struct {
	name, kind, help string
	label            string                // of the series; empty if there is one series without labels
	rates            map[string]float64    // by the label's value: calls a second, to each replica
	edges            []float64             // of a histogram's buckets, without the last one
	shares           []float64             // of the calls in each bucket, the last one included
	gauge            func(m *meter) string // the value of a gauge
}

// The families that alerts and runbooks read.
const (
	requestsTotal   = "ibex_proxy_requests_total"
	requestDuration = "ibex_proxy_request_duration_seconds"
	validations     = "ibex_auth_validate_token_duration_seconds"
	cacheLookups    = "ibex_proxy_auth_cache_lookups_total"
	crossTenant     = "ibex_cross_tenant_access_total"
	startTime       = "process_start_time_seconds"
)

func proxyFamilies() []family {
	return []family{
		{name: requestsTotal, kind: "counter", help: "Requests by the status of their answer.", label: "code",
			rates: map[string]float64{"200": 6, "401": 0.06, "403": 0, "500": 0.03, "501": 0}},
		{name: requestDuration, kind: "histogram", help: "How long answers took.", rates: map[string]float64{"": 6.09},
			edges: []float64{0.1, 0.25, 0.5, 1, 2.5}, shares: []float64{0.5, 0.3, 0.15, 0.042, 0.007, 0.001}},
		{name: validations, kind: "histogram", help: "How long the validation of a token took.", label: "result",
			rates: map[string]float64{"ok": 6, "invalid": 0.03, "expired": 0.03, "revoked": 0, "org_suspended": 0},
			edges: []float64{0.005, 0.025, 0.1}, shares: []float64{0.9, 0.09, 0.009, 0.001}},
		{name: cacheLookups, kind: "counter", help: "Lookups of tokens in the cache.", label: "result",
			rates: map[string]float64{"hit": 5.4, "miss": 0.6}},
		startFamily(),
	}
}

func tenantFamilies() []family {
	return []family{
		{name: crossTenant, kind: "counter", help: "Reads of another org's data. Must never happen.", rates: map[string]float64{"": 0}},
		startFamily(),
	}
}

func startFamily() family {
	return family{name: startTime, kind: "gauge", help: "When the process started, in seconds since the epoch.",
		gauge: func(m *meter) string { return strconv.FormatInt(m.since.Unix(), 10) }}
}

// history is for how long the simulated customers have been calling when the sample system starts.
const history = 8 * 24 * time.Hour

// maxEvents is how many calls a meter remembers with their time. Older ones are only counted.
const maxEvents = 10_000

// A meter counts what one host does.
type meter struct {
	families []family
	since    time.Time // since when the customers have been calling

	mu     sync.Mutex
	events []event
	times  map[event][]time.Time // of the events, by the event without its time
	older  map[event]float64     // likewise, how many are not remembered with their time
}

// An event is a real call. Its bucket is that of a histogram.
type event struct {
	family, value string
	bucket        int
}

func newMeter(families []family) *meter {
	return &meter{families: families, since: time.Now().Add(-history).Truncate(time.Second), times: map[event][]time.Time{}, older: map[event]float64{}}
}

// count counts a call. The duration is for histograms.
func (m *meter) count(name, value string, took time.Duration) {
	i := slices.IndexFunc(m.families, func(f family) bool { return f.name == name })
	bucket, _ := slices.BinarySearch(m.families[i].edges, took.Seconds())
	m.mu.Lock()
	defer m.mu.Unlock()
	what := event{name, value, bucket}
	m.events = append(m.events, what)
	m.times[what] = append(m.times[what], time.Now())
	if len(m.events) > maxEvents {
		old := m.events[0]
		m.older[old]++
		m.times[old] = m.times[old][1:]
		m.events = m.events[1:]
	}
}

// real is how many real calls there were until then.
func (m *meter) real(what event, until time.Time) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	times := m.times[what]
	n := len(times)
	for n > 0 && times[n-1].After(until) { // most questions are about now
		n--
	}
	return m.older[what] + float64(n)
}

// A series is one that a host exposes, with its value at any time since the customers began to call.
type series struct {
	family *family
	name   string
	labels map[string]string
	at     func(time.Time) float64
}

// A trafficFault changes how often customers call: the rate of calls with a value of the label, or in a bucket of a histogram.
type trafficFault func(family, value string, bucket int, rate float64) float64

// series lists the host's series. While changes are given, the customers call otherwise since the time onset.
func (m *meter) series(onset time.Time, changes ...trafficFault) []series {
	var all []series
	for i := range m.families {
		f := &m.families[i]
		if f.gauge != nil {
			value, _ := strconv.ParseFloat(f.gauge(m), 64)
			all = append(all, series{f, f.name, map[string]string{}, func(time.Time) float64 { return value }})
			continue
		}
		for _, value := range sorted.Keys(f.rates) {
			labels := map[string]string{}
			if f.label != "" {
				labels[f.label] = value
			}
			counts := m.buckets(f, value, onset, changes)
			if f.kind != "histogram" {
				all = append(all, series{f, f.name, labels, counts[0]})
				continue
			}
			all = append(all, f.histogram(labels, counts)...)
		}
	}
	return all
}

// expectedStatuses lists what the prober itself exposes of a proxy's answers: it alone makes real calls.
func (m *meter) expectedStatuses() []series {
	var all []series
	for _, code := range []string{"401", "403", "501"} {
		labels := map[string]string{"probe": "protected-route", "code": code}
		all = append(all, series{name: "probe_expected_status_total", labels: labels, at: func(t time.Time) float64 {
			return m.real(event{family: requestsTotal, value: code}, t)
		}})
	}
	return all
}

// buckets returns the number of calls in each bucket of a histogram, or of all calls for a counter.
func (m *meter) buckets(f *family, value string, onset time.Time, changes []trafficFault) []func(time.Time) float64 {
	shares := f.shares
	if f.kind != "histogram" {
		shares = []float64{1}
	}
	var counts []func(time.Time) float64
	for i, share := range shares {
		rate := f.rates[value] * share
		changed := rate
		for _, change := range changes {
			changed = change(f.name, value, i, changed)
		}
		what := event{family: f.name, value: value, bucket: i}
		counts = append(counts, func(t time.Time) float64 {
			before, after := t, 0.0
			if t.After(onset) && changed != rate {
				before, after = onset, t.Sub(onset).Seconds()
			}
			return float64(int64(rate*before.Sub(m.since).Seconds())) + float64(int64(changed*after)) + m.real(what, t)
		})
	}
	return counts
}

// histogram returns the series of a histogram, whose buckets count all calls up to their edge.
func (f *family) histogram(labels map[string]string, counts []func(time.Time) float64) []series {
	upTo := func(n int) func(time.Time) float64 {
		return func(t time.Time) (sum float64) {
			for _, count := range counts[:n] {
				sum += count(t)
			}
			return sum
		}
	}
	var all []series
	for i := range counts {
		edge := "+Inf"
		if i < len(f.edges) {
			edge = strconv.FormatFloat(f.edges[i], 'g', -1, 64)
		}
		bucket := maps.Clone(labels)
		bucket["le"] = edge
		all = append(all, series{f, f.name + "_bucket", bucket, upTo(i + 1)})
	}
	total := func(t time.Time) (sum float64) {
		for i, count := range counts {
			edge := f.edges[min(i, len(f.edges)-1)]
			sum += count(t) * edge * 0.8 // somewhere in the bucket
		}
		return sum
	}
	return append(all, series{f, f.name + "_sum", labels, total}, series{f, f.name + "_count", labels, upTo(len(counts))})
}

// metricsRoute has the host's own metrics.
const metricsRoute = "GET /metrics"

// textFormat is the content type of Prometheus' text format.
const textFormat = "text/plain; version=0.0.4; charset=utf-8"

// serveMetrics lets a host count, and expose what it counted.
func serveMetrics(h *host, families []family) {
	h.meter = newMeter(families)
	h.handle(metricsRoute, func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, http.StatusOK, textFormat, expose(h.meter.series(time.Time{}), time.Now()))
	})
}

// expose writes series in Prometheus' text format.
func expose(all []series, now time.Time) string {
	var b strings.Builder
	for i, s := range all {
		if i == 0 || all[i-1].family != s.family {
			fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %[1]s %[3]s\n", s.family.name, s.family.help, s.family.kind)
		}
		fmt.Fprintf(&b, "%s%s %s\n", s.name, labelText(s.labels), strconv.FormatFloat(s.at(now), 'g', -1, 64))
	}
	return b.String()
}

// labelText writes labels as they stand behind a name.
func labelText(labels map[string]string) string {
	var pairs []string
	for _, name := range sorted.Keys(labels) {
		pairs = append(pairs, fmt.Sprintf("%s=%q", name, labels[name]))
	}
	if pairs == nil {
		return ""
	}
	return "{" + strings.Join(pairs, ",") + "}"
}
