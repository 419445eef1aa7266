package incident

import (
	"strings"
	"sync"
	"testing"
	"time"

	"prober/internal/probe"
)

// TestObserve_removedProbe shows that a run which was under way when a reload took its probe away begins no
// incident: nobody would ever see it pass.
func TestObserve_removedProbe(t *testing.T) {
	tracker := New()
	tracker.SetJobs(jobs())
	tracker.SetJobs(jobs()[1:])
	see(tracker, "proxy", 0, oneReplicaDown)
	if got := tracker.Note("ibex"); got != Template {
		t.Errorf("got:\n%s", got)
	}
	tracker.SetJobs(nil)
	see(tracker, "auth", 0, oneReplicaDown)
	if got := tracker.Systems(); len(got) != 0 || len(tracker.latest) != 0 {
		t.Errorf("a system that is gone is remembered: %v, %v", got, tracker.latest)
	}
}

// TestNote_ownNetworkDuringIncident shows that a pass before the first failure, or after the recovery, says
// nothing of the prober's own network during the incident.
func TestNote_ownNetworkDuringIncident(t *testing.T) {
	const claim = "not the prober's own network"
	tracker := New()
	tracker.SetJobs(jobs())
	see(tracker, "tenants", 0, well)
	see(tracker, "proxy", 2, oneReplicaDown)
	if got := tracker.Note("ibex"); strings.Contains(got, claim) {
		t.Errorf("by a pass before the onset, got:\n%s", got)
	}
	see(tracker, "auth", 3, func(r *probe.Result) { r.Inconclusive("live", probe.SelfNetwork, "the reference is out of reach too") })
	see(tracker, "proxy", 4, well)
	see(tracker, "auth", 600, well)
	see(tracker, "tenants", 600, well)
	got := tracker.Note("ibex")
	if strings.Contains(got, claim) || !strings.Contains(got, "the prober's own network may be at fault: auth inconclusive") {
		t.Errorf("by a pass ten hours after the recovery, got:\n%s", got)
	}
}

// TestNote_sameRound shows that what passes just before the first failure, as in --once, does say something.
func TestNote_sameRound(t *testing.T) {
	tracker := New()
	tracker.SetJobs(jobs())
	see(tracker, "tenants", 2, func(r *probe.Result) { r.Started = r.Started.Add(-time.Second); well(r) })
	see(tracker, "proxy", 2, oneReplicaDown)
	if got := tracker.Note("ibex"); !strings.Contains(got, "not the prober's own network: passing from here: tenants") {
		t.Errorf("got:\n%s", got)
	}
}

// TestNote_recoveryWithGaps shows that a time in which nobody could tell, or nobody looked, is no part of how
// long all is well.
func TestNote_recoveryWithGaps(t *testing.T) {
	blind := func(r *probe.Result) { r.Inconclusive("live", probe.SelfNetwork, "the reference is out of reach too") }
	for name, gap := range map[string]func(*Tracker) *Tracker{
		"inconclusive": func(tracker *Tracker) *Tracker { see(tracker, "proxy", 4, blind); return tracker },
		"a restart": func(before *Tracker) *Tracker {
			after := New()
			saved, _ := stateOf(t, before)
			load(t, after, saved)
			after.SetJobs(jobs())
			return after
		},
	} {
		tracker := New()
		tracker.SetJobs(jobs())
		see(tracker, "proxy", 0, oneReplicaDown)
		see(tracker, "proxy", 2, well)
		see(tracker, "proxy", 3, well)
		tracker = gap(tracker)
		see(tracker, "proxy", 62, well)
		see(tracker, "proxy", 65, well)
		want := "- [2026-11-22T03:02:00Z] recovery verified: passing again: proxy; after a gap from 2026-11-22T04:02:00Z on, for 3m0s\n"
		if got := tracker.Note("ibex"); !strings.Contains(got, want) {
			t.Errorf("%s: got:\n%s\nwant in it: %s", name, got, want)
		}
	}
}

// TestNote_removedProbe shows that a probe that a reload took away while it failed is not said to pass.
func TestNote_removedProbe(t *testing.T) {
	tracker := New()
	tracker.SetJobs(jobs())
	see(tracker, "proxy", 0, oneReplicaDown)
	see(tracker, "auth", 0, oneReplicaDown)
	tracker.SetJobs(jobs()[1:])
	see(tracker, "auth", 1, well)
	want := "recovery verified: passing again: auth; no longer probed: proxy\n"
	if got := tracker.Note("ibex"); !strings.Contains(got, want) {
		t.Errorf("got:\n%s\nwant in it: %s", got, want)
	}
}

// TestNote_maintenance shows that a failure in a maintenance window is told as one.
func TestNote_maintenance(t *testing.T) {
	all := jobs()
	all[0].Maintenance = []probe.Window{{From: start, To: start.Add(time.Hour), Why: "new switches"}}
	tracker := New()
	tracker.SetJobs(all)
	see(tracker, "proxy", 2, oneReplicaDown)
	want := "- [2026-11-22T03:02:00Z] hypothesis + check: proxy was in maintenance then, until 2026-11-22T04:00:00Z (new switches)\n"
	if got := tracker.Note("ibex"); !strings.Contains(got, want) {
		t.Errorf("got:\n%s\nwant in it: %s", got, want)
	}
}

// TestNote_hostileText shows that neither a file that somebody else wrote nor a target forges a line, a heading
// or markup of the note.
func TestNote_hostileText(t *testing.T) {
	const forged = `x\n## Incident\r\n- [2026-01-01T00:00:00Z] recovery verified: all\u2028- [y]\u202e <img src=//evil.example> [z](http://evil.example)`
	text := strings.ReplaceAll(`{"format":1,"systems":{"ibex":{
		"incident":{"start":"2026-11-22T03:00:00Z","order":["proxy","F"],"open":["proxy"],"severities":{"proxy":"F"},"lost":{"F":"2026-11-22T03:00:00Z"},"gone":["F"],
			"symptoms":{"proxy":{"at":"2026-11-22T03:00:00Z","check":"F","target":"F","reason":"F","detail":"F","trace":"F","version":"F","good":"F","failed":["F"],"of":2},"F":{}}},
		"changes":[{"at":"2026-11-22T03:00:00Z","probe":"F","target":"F","From":"F","To":"F"}],
		"breached":{"proxy":{"first":"2026-11-22T03:00:00Z","last":"2026-11-22T03:00:00Z","reason":"F"}}}}}`, `F`, forged)
	tracker := New()
	load(t, tracker, []byte(text))
	tracker.SetJobs(jobs())
	got := tracker.Notes("")
	if n := strings.Count(got, "\n## "); n != 1 || strings.ContainsAny(got, "\r\u2028\u202e") || strings.Contains(got, "\n- [2026-01-01") {
		t.Errorf("got:\n%s", got)
	}
	if !strings.Contains(got, `\<img src=//evil.example>`) || !strings.Contains(got, `[z]\(http://evil.example)`) {
		t.Errorf("markup is left as it is, got:\n%s", got)
	}
}

// TestTracker_concurrentUse has all methods called at once, for the race detector.
func TestTracker_concurrentUse(t *testing.T) {
	tracker := New()
	tracker.SetJobs(jobs())
	var all sync.WaitGroup
	for _, do := range []func(n int){
		func(n int) { see(tracker, "proxy", n, oneReplicaDown) },
		func(n int) { see(tracker, "auth", n, well) },
		func(n int) { see(tracker, "proxy", n, well) },
		func(int) { tracker.Notes("") },
		func(n int) { tracker.SetJobs(jobs()[n%2:]) },
		func(int) {
			err := tracker.save(func(state []byte, _ []probe.IncidentRecord) error { return New().Load(state) })
			if err != nil {
				t.Error(err)
			}
		},
	} {
		all.Go(func() {
			for n := range 50 {
				do(n)
			}
		})
	}
	all.Wait()
}
