package metrics

import (
	"context"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

var (
	breaches = &probe.Measure{Name: "probe_test_breach_total", Help: "Breaches.", Labels: []string{"surface"}, Counter: true}
	proven   = &probe.Measure{Name: "probe_test_proven_timestamp_seconds", Help: "When.", Kept: true}
	passing  = &probe.Measure{Name: "probe_test_rows", Help: "Rows."}
)

// persistentProbe is a probe with measures that outlive its runs.
type persistentProbe struct{ surfaces []string }

func (persistentProbe) Validate() error                    { return nil }
func (persistentProbe) Checks() []string                   { return nil }
func (persistentProbe) Ask(context.Context, *probe.Result) {}
func (l persistentProbe) InitialSamples() []probe.Sample {
	all := []probe.Sample{{Measure: proven}}
	for _, s := range l.surfaces {
		all = append(all, probe.Sample{Measure: breaches, Values: []string{s}})
	}
	return all
}

// TestPersistentMeasures: a counter of breaches is born at 0, or increase() would not see the first.
func TestPersistentMeasures(t *testing.T) {
	m := New(Build{})
	set := func(settings string, surfaces ...string) {
		m.SetJobs([]probe.Job{job("a", func(j *probe.Job) { j.Probe, j.Settings = persistentProbe{surfaces}, settings })})
	}
	run := func(note func(r *probe.Result)) {
		r := probe.NewResult(job("a").ID)
		r.Started = time.Now()
		note(r)
		m.Observe(*r)
	}
	want := func(when string, lines map[string]string) {
		t.Helper()
		for series, want := range lines {
			if got := value(t, m, series); got != want {
				t.Errorf("%s: %s is %s, expected %s", when, series, got, want)
			}
		}
	}
	read, list := "probe_test_breach_total{"+base+`,surface="read"}`, "probe_test_breach_total{"+base+`,surface="list"}`
	last, rows := "probe_test_proven_timestamp_seconds{"+base+"}", "probe_test_rows{"+base+"}"

	set("one", "read", "list")
	want("before the first run", map[string]string{read: "0", list: "0", last: "0", rows: "absent"})
	run(func(r *probe.Result) {
		r.Measure(breaches, 1, "read")
		r.Measure(breaches, 1, "read")
		r.Measure(breaches, -1, "list")
		r.Measure(proven, 12)
		r.Measure(passing, 14)
	})
	want("after a run", map[string]string{read: "2", list: "0", last: "12", rows: "14"})
	run(func(r *probe.Result) { r.Measure(breaches, 1, "read") })
	want("after a run that says less", map[string]string{read: "3", list: "0", last: "12", rows: "absent"})
	set("one", "read", "list")
	want("after a reload", map[string]string{read: "3", last: "12"})
	set("another", "read")
	want("after a reload with other settings", map[string]string{read: "3", list: "absent", last: "0"})
	got := scrapeText(t, m, "")
	for _, line := range []string{"# TYPE probe_test_breach_total counter\n", "# TYPE probe_test_proven_timestamp_seconds gauge\n"} {
		if !strings.Contains(got, line) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
}
