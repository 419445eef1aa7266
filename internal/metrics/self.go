package metrics

import (
	"runtime"
	"strconv"
	"strings"
	"time"

	"prober/internal/drop"
	"prober/internal/probe"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
)

// Build describes the build for prober_build_info.
type Build struct{ Version, Revision, Branch, Tags string }

// self are the metrics of the prober itself, kept by client_golang.
type self struct {
	registry  *prometheus.Registry
	names     map[string]bool // of the families in the registry; never changed
	lag       prometheus.Histogram
	running   prometheus.Gauge
	queued    prometheus.Gauge
	skipped   *prometheus.CounterVec
	panics    prometheus.Counter
	denied    *prometheus.CounterVec
	overflow  prometheus.Counter
	lost      prometheus.Counter
	sent      *prometheus.CounterVec
	sentAt    *prometheus.GaugeVec
	checks    *prometheus.GaugeVec
	public    *prometheus.GaugeVec
	shards    *prometheus.GaugeVec
	inbound   *prometheus.CounterVec
	loaded    prometheus.Gauge
	loadedAt  prometheus.Gauge
	scrapeErr *prometheus.CounterVec
}

// Reasons for skipped runs, and classes of addresses that are never dialled. All of these counters exist from the start:
// increase() does not see a counter that appears with the value 1.
var (
	skipReasons = []string{"in_flight", "hung", "late", "overrun", "rate_limited"}
	denyClasses = []string{"link_local", "metadata", "unspecified", "multicast"}
)

// Causes of an error in a scrape.
const (
	gathering = "gathering" // a collector
	encoding  = "encoding"  // the writing of a family
)

func newSelf(build Build) *self {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	counters := func(name, help, label string, known ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		for _, value := range known {
			v.WithLabelValues(value)
		}
		return v
	}
	s := &self{
		registry: prometheus.NewRegistry(),
		names:    map[string]bool{},
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "prober_schedule_lag_seconds",
			Help:    "How much later than planned runs started.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},

			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  160,
			NativeHistogramMinResetDuration: time.Hour,
		}),
		running:  gauge("prober_runs_in_flight", "Runs under way."),
		queued:   gauge("prober_runs_queued", "Runs that are due and wait for a free slot."),
		skipped:  counters("prober_skipped_total", "Runs that did not start when they were due, by reason.", "reason", skipReasons...),
		panics:   counter("prober_panics_total", "Panics in probes. Each ended as an inconclusive check."),
		denied:   counters("prober_dial_denied_total", "Connections refused because the address is of a class that is never dialled.", "class", denyClasses...),
		overflow: counter("prober_label_overflow_total", "Series left out: over the limit of 2000 for each probe, or clashing with another."),
		lost:     counter("prober_history_lost_total", "Runs and changes that the history lost, because the disk was slow, full or damaged."),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "prober_notification_requests_total",
			Help: "Requests to those who are told of alerts, by receiver and outcome."}, []string{"receiver", "outcome"}),
		sentAt: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "prober_notification_last_success_timestamp_seconds",
			Help: "Time when a receiver last took a request; 0 before the first."}, []string{"receiver"}),
		checks:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "prober_self_check", Help: "Whether the self-check of the prober passed."}, []string{"check"}),
		public:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "prober_public_ok", Help: "Whether a part of the public page is as it should be: its logo, notices, history, incidents and export. Absent without a public page."}, []string{"part"}),
		shards:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "prober_shards", Help: "How many probers divide the probes; the label says which of them this one is, counted from 0. Absent if it runs all."}, []string{"shard"}),
		inbound:  counters("prober_inbound_requests_total", "Requests to the inbound listener, by outcome. Absent without one.", "outcome"),
		loaded:   gauge("prober_config_last_reload_successful", "Whether the latest attempt to load the configuration succeeded."),
		loadedAt: gauge("prober_config_last_reload_success_timestamp_seconds", "Time when a configuration was last loaded; 0 if none was."),
		scrapeErr: counters("promhttp_metric_handler_errors_total",
			"Total number of internal errors encountered by the promhttp metric handler.", "cause", gathering, encoding),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "prober_build_info", Help: "Version and build of this prober, always 1.",
		ConstLabels: prometheus.Labels{
			"version": valid(build.Version), "revision": valid(build.Revision), "branch": valid(build.Branch), "tags": valid(build.Tags),
			"goversion": runtime.Version(), "goos": runtime.GOOS, "goarch": runtime.GOARCH,
		},
	})
	info.Set(1)
	s.registry.MustRegister(s.lag, s.running, s.queued, s.skipped, s.panics, s.denied, s.overflow, s.lost, s.sent, s.sentAt, s.checks, s.public, s.shards, s.inbound, s.loaded,
		s.loadedAt, s.scrapeErr, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	families, _ := s.gather() // an error shows in every scrape
	for _, f := range families {
		s.names[openMetricsName(f)] = true
		s.names[f.GetName()] = true
	}
	return s
}

// gather returns the families of the registry, without a gauge that has the name of a counter in OpenMetrics, where the
// name of a counter's family lacks the _total: readers refuse a page on which a name is twice. The Go collector's
// go_memstats_alloc_bytes is one; go_memstats_heap_alloc_bytes is the same value.
func (s *self) gather() ([]*dto.MetricFamily, error) {
	families, err := s.registry.Gather()
	counters := map[string]bool{}
	for _, f := range families {
		if name := openMetricsName(f); name != f.GetName() {
			counters[name] = true
		}
	}
	return drop.If(families, func(f *dto.MetricFamily) bool { return counters[f.GetName()] }), err
}

// openMetricsName is the name of a family in OpenMetrics.
func openMetricsName(f *dto.MetricFamily) string {
	if f.GetType() == counter {
		return strings.TrimSuffix(f.GetName(), "_total")
	}
	return f.GetName()
}

// observe counts what a run says about the prober itself.
func (s *self) observe(r *probe.Result) {
	for i := range r.Checks {
		if r.Checks[i].Reason == probe.Panicked {
			s.panics.Inc()
		}
	}
	for i := range r.Exchanges {
		if class := r.Exchanges[i].Denied; class != "" {
			s.denied.WithLabelValues(labelValue(class)).Inc()
		}
	}
}

// Started notes that a run started, lag after it was due.
func (m *Metrics) Started(_ probe.ID, lag time.Duration) {
	m.self.lag.Observe(max(lag.Seconds(), 0))
}

// Skipped notes that a run did not start when it was due. The reason is one word of a closed set.
func (m *Metrics) Skipped(_ probe.ID, why string) {
	m.self.skipped.WithLabelValues(labelValue(why)).Inc()
}

// Limited notes until when a probe does not run, because its target asked for fewer requests; the zero time if it does.
func (m *Metrics) Limited(id probe.ID, until time.Time) {
	if s := m.jobs.Load().states[keyOf(id)]; s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.limited = unixSeconds(until)
	}
}

// Depth notes how many runs are in progress and how many are queued.
func (m *Metrics) Depth(running, queued int) {
	m.self.running.Set(float64(running))
	m.self.queued.Set(float64(queued))
}

// ConfigLoaded notes an attempt to load the configuration, the first one included.
func (m *Metrics) ConfigLoaded(ok bool) {
	m.self.loaded.Set(boolFloat(ok))
	if ok {
		m.self.loadedAt.Set(unixSeconds(time.Now()))
	}
}

// HistoryLost counts runs and changes that the history lost.
func (m *Metrics) HistoryLost(n uint64) { m.self.lost.Add(float64(n)) }

// Notifies creates the series of those who are told of alerts.
func (m *Metrics) Notifies(receivers []string) {
	for _, receiver := range receivers {
		m.self.sent.WithLabelValues(labelValue(receiver), "taken")
		m.self.sent.WithLabelValues(labelValue(receiver), "failed")
		m.self.sentAt.WithLabelValues(labelValue(receiver))
	}
}

// Notified notes the outcome of a request to a receiver.
func (m *Metrics) Notified(receiver string, ok bool) {
	if !ok {
		m.self.sent.WithLabelValues(labelValue(receiver), "failed").Inc()
		return
	}
	m.self.sent.WithLabelValues(labelValue(receiver), "taken").Inc()
	m.self.sentAt.WithLabelValues(labelValue(receiver)).Set(unixSeconds(time.Now()))
}

// SelfCheck notes the result of a self-check. The name is one of a closed set.
func (m *Metrics) SelfCheck(check string, ok bool) {
	m.self.checks.WithLabelValues(labelValue(check)).Set(boolFloat(ok))
}

// PublicPart notes whether a part of the public page is as it should be. Its name is one of a closed set.
func (m *Metrics) PublicPart(part string, ok bool) {
	m.self.public.WithLabelValues(labelValue(part)).Set(boolFloat(ok))
}

// Shard notes that this prober runs a part of the probes: that of shard index, counted from 0, of as many as of says; of all if that is 0.
func (m *Metrics) Shard(index, of int) {
	if of > 0 {
		m.self.shards.WithLabelValues(strconv.Itoa(index)).Set(float64(of))
	}
}

// InboundRequests counts requests to the inbound listener. The outcome is one of a closed set; 0 creates its series.
func (m *Metrics) InboundRequests(outcome string, n int) {
	m.self.inbound.WithLabelValues(labelValue(outcome)).Add(float64(n))
}

// boolFloat is 1 for true and 0 for false.
func boolFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
