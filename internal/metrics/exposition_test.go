package metrics

import (
	"bytes"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/exposition"
	"prober/internal/probe"
	"prober/internal/testenv"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

var stateMeasure = &probe.Measure{Name: "probe_health_state", Help: `State of a replica, 1 for the "current" one.`, Labels: []string{"target", "state"}}
var offsetMeasure = &probe.Measure{Name: "probe_clock_offset_seconds", Help: "Offset of a clock."}

// sampleMetrics is a small system that has every series: a probe of replicas with a signal, one with TLS and statuses caused
// on purpose, and one that never ran.
func sampleMetrics() *Metrics {
	m := New(Build{Version: "1.2.3", Revision: "abc123", Branch: "main"})
	health := job("proxy", func(j *probe.Job) {
		j.Type = "health"
		j.Signals = map[string]probe.Signal{"live": {Name: "ibex_process_up", Labels: map[string]string{"service": "proxy"}}}
	})
	protected := job("protected-route", func(j *probe.Job) {
		j.Type, j.Runbook, j.Severity, j.RunbookURL = "protected", "auth-failures", "P2", ""
		j.Probe = fake{"proxy": {401, 501, 200}}
		j.Signals = map[string]probe.Signal{"valid": {Name: "ibex_auth_ok"}}
	})
	never := job("never-ran", func(j *probe.Job) {
		j.System, j.Labels = "1pass", nil
		j.Signals = map[string]probe.Signal{"up": {Name: "onepass_up"}}
	})
	m.SetJobs([]probe.Job{health, protected, never})
	m.ConfigLoaded(true)
	m.SelfCheck("clock", true)
	m.SelfCheck("network", false)
	m.Started(health.ID, 300*time.Microsecond)
	m.Skipped(health.ID, "in_flight")
	m.Depth(3, 1)
	time.Sleep(2 * time.Second) // of the bubble
	m.Observe(passed(protected))
	m.Observe(resultOf(health, 1500*time.Millisecond, func(r *probe.Result) {
		targets := []string{"10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080"}
		r.Each(targets, func(i int, r *probe.Result) {})
		for i, target := range targets {
			x := probe.Exchange{Check: "live", Target: target, Status: 200, Took: time.Duration(i+1) * 400 * time.Millisecond, Connections: 1, TraceID: trace(i + 1), Version: "v1.4." + string(rune('0'+i%2))}
			if i == 2 {
				x.Status, x.Reason, x.Version = 0, probe.Timeout, ""
				x.Phases = []probe.Phase{{Name: "connect", Took: 2 * time.Millisecond}, {Name: "processing", Took: 1100 * time.Millisecond}}
			}
			r.Exchanged(x)
			r.Measure(stateMeasure, 1, target, "serving")
		}
		r.Checks = append(r.Checks,
			probe.Check{Name: "live", Target: targets[0], Verdict: probe.Pass, Reason: probe.OK},
			probe.Check{Name: "live", Target: targets[1], Verdict: probe.Inconclusive, Reason: probe.StaleOrCached},
			probe.Check{Name: "live", Target: targets[2], Verdict: probe.Fail, Reason: probe.Timeout})
	}))
	m.Observe(resultOf(protected, 90*time.Millisecond, func(r *probe.Result) {
		r.Pass("valid", "got 501 as wanted")
		r.Pass("nobody", "got 401 as wanted")
		r.Measure(offsetMeasure, -0.25)
		r.Exchanged(probe.Exchange{Check: "valid", Target: "proxy", Status: 501, Expected: true, Took: 80 * time.Millisecond, Connections: 1, TraceID: trace(0xabc), CertExpiry: time.Now().Add(90 * 24 * time.Hour),
			Phases: []probe.Phase{{Name: "resolve", Took: time.Millisecond}, {Name: "connect", Took: time.Millisecond}, {Name: "tls", Took: 30 * time.Millisecond}, {Name: "processing", Took: 48 * time.Millisecond}, {Name: "transfer", Took: 0}}})
		r.Exchanged(probe.Exchange{Check: "nobody", Target: "proxy", Status: 401, Expected: true, Took: 8 * time.Millisecond, TraceID: trace(0xdef)})
	}))
	return m
}

// ownFamilies are the names of the families that do not depend on the process: those of probes and signals, and the prober's.
func ownFamilies(t *testing.T, m *Metrics) (names []string) {
	t.Helper()
	for _, f := range decode(t, m) {
		if name := f.GetName(); !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			names = append(names, name)
		}
	}
	return names
}

func TestHandler_equalsGoldenExposition(t *testing.T) {
	machine := regexp.MustCompile(`(goversion|goos|goarch)="[^"]*"`)
	synctest.Test(t, func(t *testing.T) {
		m := sampleMetrics()
		names := ownFamilies(t, m)
		testenv.Golden(t, "testdata/exposition.txt", machine.ReplaceAllString(scrapeText(t, m, textFormat, names...), `$1="any"`))
		testenv.Golden(t, "testdata/openmetrics.txt", machine.ReplaceAllString(scrapeText(t, m, openFormat, names...), `$1="any"`))
	})
}

func TestHandler_isAcceptedByPromtool(t *testing.T) {
	path := testenv.Need(t, "promtool")
	var exposition string
	synctest.Test(t, func(t *testing.T) { exposition = scrapeText(t, sampleMetrics(), textFormat) })
	check := exec.Command(path, "check", "metrics")
	check.Stdin = strings.NewReader(exposition)
	if out, err := testenv.Run(t, check); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// In OpenMetrics no two families have the same name, not even those of the Go runtime, and a signal cannot take one.
func TestHandler_openMetricsNamesAreUnique(t *testing.T) {
	m := New(Build{})
	job := job("a")
	job.Signals = map[string]probe.Signal{"live": {Name: "process_cpu_seconds"}}
	m.SetJobs([]probe.Job{job})
	m.Observe(resultOf(job, time.Second, func(r *probe.Result) { r.Pass("live", "good") }))
	seen := map[string]bool{}
	for line := range strings.Lines(scrapeText(t, m, openFormat)) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ = strings.Cut(name, " ")
			if seen[name] {
				t.Errorf("there are two families %s", name)
			}
			seen[name] = true
		}
	}
	for _, name := range []string{"go_memstats_heap_alloc_bytes", "go_memstats_alloc_bytes", "process_cpu_seconds"} {
		if !seen[name] {
			t.Errorf("there is no family %s", name)
		}
	}
}

func TestHandler_writesFamiliesOnceInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := sampleMetrics()
		var before string
		seen := map[string]int{}
		for line := range strings.Lines(scrapeText(t, m, textFormat)) {
			fields := strings.Fields(line)
			if fields[0] != "#" {
				continue
			}
			seen[fields[1]+" "+fields[2]]++
			if fields[1] == "TYPE" && fields[2] <= before {
				t.Errorf("%s comes after %s", fields[2], before)
			}
			if fields[1] == "TYPE" {
				before = fields[2]
			}
		}
		for what, n := range seen {
			if n != 1 {
				t.Errorf("# %s appears %d times", what, n)
			}
		}
		for _, name := range []string{"go_goroutines", "process_start_time_seconds", "probe_success", "prober_build_info", "ibex_process_up"} {
			if seen["TYPE "+name] != 1 {
				t.Errorf("%s is missing", name)
			}
		}
	})
}

// decode reads a scrape in protobuf.
func decode(t testing.TB, m *Metrics, names ...string) (families []*dto.MetricFamily) {
	t.Helper()
	dec := expfmt.NewDecoder(strings.NewReader(scrapeText(t, m, binaryFormat, names...)), expfmt.FmtProtoDelim)
	for {
		f := &dto.MetricFamily{}
		if err := dec.Decode(f); err != nil {
			if err.Error() != "EOF" {
				t.Fatal(err)
			}
			return families
		}
		families = append(families, f)
	}
}

// checkEqualsExpfmt checks that our text of some families is what the library writes of the same families in protobuf.
func checkEqualsExpfmt(t *testing.T, m *Metrics, names ...string) {
	t.Helper()
	families := decode(t, m, names...)
	for _, accept := range []string{textFormat, openFormat} {
		format := expfmt.FmtText
		var options []expfmt.EncoderOption
		if accept == openFormat {
			format = expfmt.FmtOpenMetrics_1_0_0
			if m.CreatedLines {
				options = append(options, expfmt.WithCreatedLines())
			}
		}
		var want bytes.Buffer
		enc := expfmt.NewEncoder(&want, format, options...)
		for _, f := range families {
			if err := enc.Encode(f); err != nil {
				t.Fatal(err)
			}
		}
		if err := enc.(expfmt.Closer).Close(); err != nil {
			t.Fatal(err)
		}
		w, g := strings.Split(want.String(), "\n"), strings.Split(scrapeText(t, m, accept, names...), "\n")
		for i := range min(len(w), len(g)) {
			if w[i] != g[i] {
				t.Fatalf("%s line %d\nlibrary %s\nours    %s", accept, i+1, w[i], g[i])
			}
		}
		if len(w) != len(g) {
			t.Fatalf("%s: the library writes %d lines, we write %d", accept, len(w), len(g))
		}
	}
}

func TestHandler_textEqualsExpfmt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := sampleMetrics()
		names := ownFamilies(t, m)
		checkEqualsExpfmt(t, m, names...)
		m.CreatedLines = true
		checkEqualsExpfmt(t, m, names...)
		if text := scrapeText(t, m, openFormat, names...); !strings.Contains(text, "probe_runs_created{") || !strings.Contains(text, "probe_run_duration_seconds_created{") {
			t.Error("the created lines asked for are missing")
		}
	})
}

func TestHandler_protobufHasNativeHistograms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		m := sampleMetrics()
		for _, f := range decode(t, m) {
			if !strings.HasPrefix(f.GetName(), "probe_") {
				continue
			}
			for _, x := range f.Metric {
				if c := x.Counter; c != nil && c.CreatedTimestamp.AsTime().Before(start) {
					t.Errorf("%s was created at %s", f.GetName(), c.CreatedTimestamp.AsTime())
				}
			}
		}
		families := decode(t, m, "probe_run_duration_seconds")
		if len(families) != 1 || len(families[0].Metric) != 3 {
			t.Fatalf("expected one family with three probes, got %v", families)
		}
		for i, x := range families[0].Metric {
			h := x.Histogram
			if !h.CreatedTimestamp.AsTime().Equal(start) || h.GetSchema() != 3 || len(h.Bucket) < len(exposition.Bounds) {
				t.Errorf("created %s, schema %d, %d buckets", h.CreatedTimestamp.AsTime(), h.GetSchema(), len(h.Bucket))
			}
			if i == 0 {
				continue // never ran
			}
			if len(h.PositiveSpan) == 0 || len(h.Exemplars) == 0 || h.Exemplars[0].Timestamp == nil || h.Exemplars[0].Label[0].GetName() != "trace_id" {
				t.Errorf("expected native buckets and exemplars with times, got %v", h)
			}
		}
	})
}
