package incident

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

var start = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

// jobs are those of a small system.
func jobs() []probe.Job {
	named := func(name, severity string) probe.Job {
		return probe.Job{ID: probe.ID{System: "ibex", Name: name, Type: "health", Severity: severity}, Labels: map[string]string{"region": "eu-west-1"}}
	}
	return []probe.Job{named("proxy", "P1"), named("auth", "P2"), named("tenants", "P1")}
}

// see observes one run of a probe, so many minutes after the start.
func see(t *Tracker, name string, minute int, note func(r *probe.Result)) {
	id := probe.ID{System: "ibex", Name: name}
	for _, j := range jobs() {
		if j.Name == name {
			id = j.ID
		}
	}
	r := probe.NewResult(id)
	r.Started = start.Add(time.Duration(minute) * time.Minute)
	note(r)
	t.Observe(*r)
}

func well(r *probe.Result) {
	r.Exchanged(probe.Exchange{Check: "live", Version: "1.4.1", Started: r.Started})
	r.Pass("live", "answers 200")
}

// oneReplicaDown is a run in which the second of two replicas is down, after a deploy.
func oneReplicaDown(r *probe.Result) {
	r.Each([]string{"10.0.0.1:80", "10.0.0.2:80"}, func(_ int, r *probe.Result) {
		target := r.Target()
		if target == "10.0.0.1:80" {
			r.Pass("live", "answers 200")
			return
		}
		r.Exchanged(probe.Exchange{Check: "live", TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", Version: "1.4.2", Reason: probe.OK, Started: r.Started})
		r.Fail("live", probe.Refused, "wanted 200 from /health, nobody listens")
	})
}

// TestNote_withoutIncident compares with the form as the runbook gives it.
func TestNote_withoutIncident(t *testing.T) {
	tracker := New()
	tracker.SetJobs(jobs())
	see(tracker, "proxy", 0, well)
	see(tracker, "auth", 0, func(r *probe.Result) { r.Inconclusive("live", probe.SelfNetwork, "the reference is out of reach too") })
	const form = "## Incident\nStart time:\nSeverity:\nImpact:\nServices affected:\n## Timeline\n" +
		"- [time] observed symptom\n- [time] hypothesis + check\n- [time] mitigation applied\n- [time] recovery verified\n"
	if got := tracker.Note("ibex"); got != form {
		t.Errorf("got:\n%s", got)
	}
	if got := tracker.Systems(); len(got) != 0 {
		t.Errorf("an inconclusive run is no incident, got %v", got)
	}
}

// TestNote_golden follows an incident from its first failing run to its recovery.
func TestNote_golden(t *testing.T) {
	tracker := New()
	tracker.SetJobs(jobs())
	for _, p := range []string{"proxy", "auth", "tenants"} {
		see(tracker, p, 0, well)
	}
	deploy := func(r *probe.Result) {
		r.Exchanged(probe.Exchange{Check: "live", Version: "1.4.2", Started: r.Started})
		r.Pass("live", "answers 200")
	}
	see(tracker, "auth", 1, deploy)
	see(tracker, "proxy", 2, oneReplicaDown)
	see(tracker, "proxy", 3, oneReplicaDown) // no news
	see(tracker, "auth", 3, deploy)
	testenv.Golden(t, "testdata/open.md", tracker.Note("ibex"))

	see(tracker, "auth", 4, func(r *probe.Result) { r.Inconclusive("live", probe.Timeout, "no answer") })
	see(tracker, "auth", 5, well) // rolled back
	see(tracker, "proxy", 6, well)
	see(tracker, "proxy", 8, well)
	testenv.Golden(t, "testdata/recovered.md", tracker.Note("ibex"))

	see(tracker, "auth", 60, func(r *probe.Result) { r.Fail("live", probe.Status, "wanted 200, got 500") })
	if got := tracker.Note("ibex"); !strings.Contains(got, "Start time: 2026-11-22T04:00:00Z\nSeverity: P2\n") || strings.Contains(got, "proxy live") {
		t.Errorf("an hour later it is another incident, got:\n%s", got)
	}
}

// TestNote_recoveryNeedsAPass shows that nothing but a pass ends an incident: not silence, not an inconclusive run.
// TestNote_impact names what the failures mean to customers, each once, and not what did not happen.
func TestNote_impact(t *testing.T) {
	all := jobs()
	all[0].AboutRunbook.Impact, all[1].AboutRunbook.Impact = "nobody can log in", "nobody can log in"
	all[2].About.Impact = "customers see each other's data"
	tracker := New()
	tracker.SetJobs(all)
	for _, name := range []string{"proxy", "auth", "tenants"} {
		see(tracker, name, 0, well)
	}
	for _, name := range []string{"proxy", "auth"} {
		see(tracker, name, 1, func(r *probe.Result) { r.Fail("live", probe.Refused, "nobody listens") })
	}
	if note := tracker.Note("ibex"); !strings.Contains(note, "\nImpact: 2 of 3 probes failed; nobody can log in\n") {
		t.Errorf("got %s", note)
	}
}

func TestNote_recoveryNeedsAPass(t *testing.T) {
	tracker := New()
	tracker.SetJobs(jobs())
	see(tracker, "proxy", 0, oneReplicaDown)
	see(tracker, "proxy", 1, func(r *probe.Result) { r.Inconclusive("live", probe.ControlFailed, "the control failed") })
	if got := tracker.Note("ibex"); !strings.Contains(got, "\n- [time] recovery verified\n") {
		t.Errorf("got:\n%s", got)
	}
	see(tracker, "proxy", 2, well)
	see(tracker, "proxy", 3, oneReplicaDown)
	if got := tracker.Note("ibex"); !strings.Contains(got, "Start time: 2026-11-22T03:03:00Z") {
		t.Errorf("after a recovery a failure begins another incident, got:\n%s", got)
	}
}

// TestNote_ownNetwork shows that a prober cut off says so and accuses nobody.
func TestNote_ownNetwork(t *testing.T) {
	tracker := New()
	tracker.SetJobs(jobs())
	see(tracker, "proxy", 0, oneReplicaDown)
	see(tracker, "auth", 1, func(r *probe.Result) { r.Inconclusive("live", probe.SelfNetwork, "the reference is out of reach too") })
	if got := tracker.Note("ibex"); !strings.Contains(got, "hypothesis + check: the prober's own network may be at fault: auth inconclusive") {
		t.Errorf("got:\n%s", got)
	}
}

// TestNote_breach shows that a pass after a breach ends the incident and not the knowledge of it.
func TestNote_breach(t *testing.T) {
	tracker := New()
	tracker.SetJobs(jobs())
	see(tracker, "tenants", 0, func(r *probe.Result) { r.Fail("read", probe.AuthBypass, "org-b was shown what is org-a's") })
	see(tracker, "tenants", 1, well)
	see(tracker, "auth", 9, func(r *probe.Result) { r.Fail("live", probe.Status, "wanted 200, got 500") })
	got := tracker.Note("ibex")
	if want := "- [2026-11-22T03:00:00Z] observed symptom: tenants saw auth_bypass, last at 2026-11-22T03:00:00Z; not being reproducible now does not undo it\n"; !strings.Contains(got, want) {
		t.Errorf("got:\n%s\nwant in it: %s", got, want)
	}
}

// TestTracker_boundsMemory shows that a hundred probes that fail and a target whose version changes at each answer leave a
// note of bounded length.
func TestTracker_boundsMemory(t *testing.T) {
	tracker := New()
	many := jobs()
	for n := range 200 {
		many = append(many, probe.Job{ID: probe.ID{System: "ibex", Name: fmt.Sprintf("p%d", n)}})
	}
	tracker.SetJobs(many)
	for n := range 200 {
		see(tracker, fmt.Sprintf("p%d", n), 1, func(r *probe.Result) {
			r.Exchanged(probe.Exchange{Check: "live", Target: "one", Version: fmt.Sprint(n), Started: r.Started})
			r.Fail("live", probe.Refused, "nobody listens")
		})
		see(tracker, "proxy", 2*n, func(r *probe.Result) {
			r.Exchanged(probe.Exchange{Check: "live", Target: fmt.Sprint(n), Version: fmt.Sprint(n), Started: r.Started})
			r.Exchanged(probe.Exchange{Check: "live", Version: fmt.Sprint(n), Started: r.Started})
			r.Pass("live", "answers 200")
		})
	}
	s := tracker.systems["ibex"]
	if len(s.Incident.Symptoms) != maxSymptoms || s.Incident.NotKept != 150 || len(s.Changes) != maxChanges || len(s.Versions) != maxTargets {
		t.Errorf("got %d symptoms, %d unseen, %d changes, %d versions", len(s.Incident.Symptoms), s.Incident.NotKept, len(s.Changes), len(s.Versions))
	}
	if lines := strings.Count(tracker.Note("ibex"), "\n"); lines > 100 {
		t.Errorf("the note has %d lines", lines)
	}
	tracker.SetJobs(nil)
	if len(tracker.systems) != 0 || len(tracker.latest) != 0 {
		t.Error("a system that is no longer configured is remembered")
	}
}

// TestTracker_flappingVersion has one target report another version in each run: the deploy of another one before the onset
// stays in the note, and so does the line for what people did.
func TestTracker_flappingVersion(t *testing.T) {
	tracker := New()
	tracker.SetJobs(jobs())
	pass := func(name, version string, minute int) {
		see(tracker, name, minute, func(r *probe.Result) {
			r.Exchanged(probe.Exchange{Check: "live", Version: version, Started: r.Started})
			r.Pass("live", "answers 200")
		})
	}
	pass("auth", "1.4.1", 0)
	pass("auth", "1.4.2", 1)
	see(tracker, "auth", 2, func(r *probe.Result) { r.Fail("live", probe.Refused, "nobody listens") })
	for n := range 60 {
		pass("proxy", fmt.Sprint(n), n)
	}
	note := tracker.Note("ibex")
	if n := strings.Count(note, "proxy went from"); n != maxChangesPerHour {
		t.Errorf("the note has %d changes of the target that flaps, expected %d:\n%s", n, maxChangesPerHour, note)
	}
	for _, want := range []string{"auth went from version `1.4.1` to `1.4.2`", "- [time] mitigation applied\n"} {
		if !strings.Contains(note, want) {
			t.Errorf("the note lacks %q:\n%s", want, note)
		}
	}
}
