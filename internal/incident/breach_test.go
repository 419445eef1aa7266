package incident

import (
	"errors"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

var leak = probe.Reason{Word: "leak", Verdict: probe.Fail, Breach: true}

// TestAcknowledge: an acknowledgement covers a breach until a run passes, over restarts, and changes nothing else.
func TestAcknowledge(t *testing.T) {
	t.Parallel()
	leaks := func(r *probe.Result) { r.Fail("isolated", leak, "org-b read an object of org-a") }
	key := probe.Key{System: "ibex", Name: "tenants"}
	tracker := New()
	tracker.SetJobs(jobs())
	if err := tracker.Acknowledge(key, "on-call", "x"); !errors.Is(err, ErrNoBreach) {
		t.Errorf("without a breach: got %v", err)
	}
	see(tracker, "tenants", 0, leaks)
	restart := func() {
		state, _ := stateOf(t, tracker)
		tracker = New()
		load(t, tracker, state)
		tracker.SetJobs(jobs())
	}
	open := func() bool { b := tracker.Breaches(); return len(b) == 1 && b[0].Acknowledged.At.IsZero() }
	restart()
	if !open() {
		t.Fatalf("got %+v", tracker.Breaches())
	}
	if err := tracker.Acknowledge(key, "on-call", "the key <b>is rotated\n## Incident"); err != nil {
		t.Fatal(err)
	}
	if err := tracker.Acknowledge(key, "another", "x"); !errors.Is(err, ErrNoBreach) {
		t.Errorf("twice: got %v", err)
	}
	restart()
	see(tracker, "tenants", 1, leaks)
	see(tracker, "tenants", 2, func(r *probe.Result) { r.Inconclusive("isolated", probe.SelfNetwork, "") })
	see(tracker, "tenants", 3, leaks)
	if a := tracker.Breaches()[0].Acknowledged; a.By != "on-call" || a.At.IsZero() {
		t.Errorf("while it lasts: got %+v", a)
	}
	if note := tracker.Note("ibex"); !strings.Contains(note, ` by on-call: the key \<b>is rotated`) || strings.Count(note, "\n## ") != 1 {
		t.Errorf("got %s", note)
	}
	see(tracker, "tenants", 4, well)
	if open() {
		t.Error("a pass takes the acknowledgement back")
	}
	see(tracker, "tenants", 5, leaks)
	if !open() {
		t.Error("the next breach is acknowledged already")
	}
}

// TestBreaches_removedProbe: a breach that nobody acknowledged does not leave with the configuration of its probe.
func TestBreaches_removedProbe(t *testing.T) {
	t.Parallel()
	for _, left := range [][]probe.Job{jobs()[:1], nil} {
		tracker := New()
		tracker.SetJobs(jobs())
		r := probe.NewResult(jobs()[2].ID)
		r.Started = time.Now()
		r.Fail("isolated", leak, "")
		tracker.Observe(*r)
		tracker.SetJobs(left)
		if b := tracker.Breaches(); len(b) != 1 || !b[0].Acknowledged.At.IsZero() {
			t.Errorf("got %+v", b)
		}
		if err := tracker.Acknowledge(r.Key(), "on-call", "the probe was moved"); err != nil {
			t.Error(err)
		}
		tracker.SetJobs(left)
		if b := tracker.Breaches(); len(b) != 0 {
			t.Errorf("acknowledged: got %+v", b)
		}
	}
}
