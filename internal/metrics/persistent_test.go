package metrics

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

var (
	breaches = &probe.Measure{Name: "probe_test_breach_total", Help: "Breaches.", Labels: []string{"surface"}, Counter: true}
	proven   = &probe.Measure{Name: "probe_test_proven_timestamp_seconds", Help: "When.", Kept: true}
	balance  = &probe.Measure{Name: "probe_test_balance", Help: "Below zero too.", Kept: true}
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

// TestPersistent_bounded: a probe has no more series that outlive its runs than fit, and what does not fit is counted.
func TestPersistent_bounded(t *testing.T) {
	var all []string
	for i := range maxPersistent + 3 { // the first place is that of another measure
		all = append(all, fmt.Sprintf("s%05d", i))
	}
	surface := func(i int) string { return "probe_test_breach_total{" + base + `,surface="` + all[i] + `"}` }
	m := New(Build{})
	m.SetJobs([]probe.Job{job("a", func(j *probe.Job) { j.Probe = persistentProbe{all[:maxPersistent+2]} })})
	for series, want := range map[string]string{surface(0): "0", surface(maxPersistent - 2): "0", surface(maxPersistent - 1): "absent", "prober_label_overflow_total": "3"} {
		if got := value(t, m, series); got != want {
			t.Errorf("configured: %s is %s, want %s", series, got, want)
		}
	}
	r := probe.NewResult(job("a").ID)
	r.Started = time.Now()
	r.Measure(breaches, 1, all[0])
	r.Measure(breaches, 1, all[maxPersistent+2])
	m.Observe(*r)
	for series, want := range map[string]string{surface(0): "1", surface(maxPersistent + 2): "absent", "prober_label_overflow_total": "4"} {
		if got := value(t, m, series); got != want {
			t.Errorf("noted by a run: %s is %s, want %s", series, got, want)
		}
	}
}

// TestSelf: what the prober counts of itself.
func TestSelf(t *testing.T) {
	m := New(Build{})
	m.Notifies([]string{"mail", "pager"})
	m.Notified("mail", true)
	m.Notified("pager", false)
	m.Shard(0, 0)
	m.Shard(2, 3)
	m.InboundRequests("taken", 0)
	m.InboundRequests("refused", 2)
	m.HistoryLost(3)
	for series, want := range map[string]string{
		`prober_notification_requests_total{outcome="taken",receiver="mail"}`: "1", `prober_notification_requests_total{outcome="failed",receiver="mail"}`: "0",
		`prober_notification_requests_total{outcome="taken",receiver="pager"}`: "0", `prober_notification_requests_total{outcome="failed",receiver="pager"}`: "1",
		`prober_notification_last_success_timestamp_seconds{receiver="pager"}`: "0", `prober_shards{shard="0"}`: "absent", `prober_shards{shard="2"}`: "3",
		`prober_inbound_requests_total{outcome="taken"}`: "0", `prober_inbound_requests_total{outcome="refused"}`: "2", "prober_history_lost_total": "3",
	} {
		if got := value(t, m, series); got != want {
			t.Errorf("%s is %s, want %s", series, got, want)
		}
	}
	if got := value(t, m, `prober_notification_last_success_timestamp_seconds{receiver="mail"}`); got == "0" || got == "absent" {
		t.Errorf("mail was taken at %s", got)
	}
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
		r.Measure(balance, -3)
		r.Measure(breaches, 1, "late") // not known before
		r.Measure(breaches, 0, "none")
		r.Measure(&probe.Measure{Name: "probe_test_odd_total", Labels: []string{"env"}, Counter: true}, 1, "x")
		r.Measure(passing, 14)
	})
	late, odd := "probe_test_breach_total{"+base+`,surface="late"}`, "probe_test_odd_total{"+base+"}"
	want("after a run", map[string]string{read: "2", list: "0", last: "12", rows: "14", late: "1", "probe_test_balance{" + base + "}": "-3", odd: "absent"})
	want("a counter of nothing", map[string]string{"probe_test_breach_total{" + base + `,surface="none"}`: "0"})
	want("what is left out", map[string]string{"prober_label_overflow_total": "2"})
	run(func(r *probe.Result) { r.Measure(breaches, 1, "read") })
	want("after a run that says less", map[string]string{read: "3", list: "0", last: "12", rows: "absent"})
	set("one", "read", "list")
	want("after a reload", map[string]string{read: "3", last: "12"})
	set("another", "read")
	want("after a reload with other settings", map[string]string{read: "3", list: "absent", last: "0"})
	m.CreatedLines = true
	if got := scrapeText(t, m, openFormat); !regexp.MustCompile(`\nprobe_test_breach_created\{.*\} [1-9]`).MatchString(got) || strings.Contains(got, "probe_test_proven_timestamp_seconds_created") {
		t.Errorf("expected to be told when the counter was created, and nothing else, in\n%s", got)
	}
	got := scrapeText(t, m, "")
	for _, line := range []string{"# TYPE probe_test_breach_total counter\n", "# TYPE probe_test_proven_timestamp_seconds gauge\n"} {
		if !strings.Contains(got, line) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
}
