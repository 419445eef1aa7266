package incident

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// stateOf returns what a Tracker saves.
func stateOf(t *testing.T, tracker *Tracker) (state []byte, records []probe.IncidentRecord) {
	t.Helper()
	err := tracker.save(func(text []byte, all []probe.IncidentRecord) error { state, records = text, all; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return state, records
}

// load loads what another Tracker saved.
func load(t *testing.T, tracker *Tracker, state []byte) {
	t.Helper()
	if err := tracker.Load(state); err != nil {
		t.Fatal(err)
	}
}

// TestSave_andLoad shows that a new process writes the same note as the one before it.
func TestSave_andLoad(t *testing.T) {
	before := New()
	before.SetJobs(jobs())
	see(before, "proxy", 0, well)
	see(before, "proxy", 2, oneReplicaDown)
	state, _ := stateOf(t, before)
	after := New()
	load(t, after, state)
	after.SetJobs(jobs())
	if got, want := after.Note("ibex"), before.Note("ibex"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	see(after, "proxy", 5, well)
	if got := after.Note("ibex"); !strings.Contains(got, "[2026-11-22T03:05:00Z] recovery verified: passing again: proxy") {
		t.Errorf("got:\n%s", got)
	}
}

// TestSave_records: an incident is recorded from its start to its end, also if others follow before the next save, or its system
// leaves the configuration.
func TestSave_records(t *testing.T) {
	tracker := New()
	tracker.SetJobs(jobs())
	see(tracker, "proxy", 0, well)
	see(tracker, "proxy", 1, oneReplicaDown)
	_, records := stateOf(t, tracker)
	if len(records) != 1 || !records[0].Ongoing || !records[0].Start.Equal(start.Add(time.Minute)) || records[0].Severity != "P1" ||
		records[0].System != "ibex" || len(records[0].Probes) != 1 || records[0].Note != tracker.Note("ibex") {
		t.Errorf("got %+v", records)
	}
	for minute := 2; minute < 8; minute += 2 {
		see(tracker, "proxy", minute, well)
		see(tracker, "auth", minute+1, oneReplicaDown)
		see(tracker, "auth", minute+1, well)
	}
	failed := tracker.save(func([]byte, []probe.IncidentRecord) error { return errors.New("the disk is full") })
	_, records = stateOf(t, tracker)
	if failed == nil || len(records) != 4 {
		t.Fatalf("%v: got %d records: %+v", failed, len(records), records)
	}
	for i, r := range records {
		if r.Ongoing || r.End.IsZero() || i > 0 && r.Note == records[i-1].Note {
			t.Errorf("%d: got %+v", i, r)
		}
	}
	if _, records = stateOf(t, tracker); len(records) != 1 {
		t.Errorf("the second time: got %d records", len(records))
	}
	see(tracker, "auth", 20, oneReplicaDown)
	tracker.SetJobs(nil)
	if _, records = stateOf(t, tracker); len(records) == 0 || records[len(records)-1].Ongoing || !records[len(records)-1].End.IsZero() {
		t.Errorf("of a system that is gone: got %+v", records)
	}
}

// TestLoad_damagedFile shows that nothing in a file can keep the prober from probing.
func TestLoad_damagedFile(t *testing.T) {
	testenv.WithoutRace(t)
	for name, c := range map[string]struct{ text, want string }{
		"cut off":          {`{"format":1,"systems":{"ibex":{"inc`, "damaged"},
		"empty":            {``, "damaged"},
		"another format":   {`{"format":7}`, "expected format 1, got 7"},
		"another's":        {`[1,2,3]`, "damaged"},
		"nulls":            {`{"format":1,"systems":{"ibex":null}}`, ""},
		"half an object":   {`{"format":1,"systems":{"ibex":{"incident":{"order":["x","y"],"open":["x"]}}}}`, ""},
		"half of one open": {`{"format":1,"systems":{"ibex":{"incident":{"order":["x","auth"],"open":["auth"]}}}}`, ""},
		"nothing at all":   {`{"format":1}`, ""},
		"unknown members":  {`{"format":1,"more":1}`, ""},
	} {
		tracker := New()
		err := tracker.Load([]byte(c.text))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		tracker.SetJobs(jobs())
		see(tracker, "proxy", 0, oneReplicaDown)
		see(tracker, "proxy", 1, well)
		if got := tracker.Note("ibex"); !strings.Contains(got, "## Timeline") || !strings.Contains(got, "proxy live") || strings.Contains(got, "ibex: x") {
			t.Errorf("%s: got:\n%s", name, got)
		}
	}
}

// TestSave_largestState fills the memory of several systems: the state must not become too large to keep.
func TestSave_largestState(t *testing.T) {
	testenv.WithoutRace(t)
	targets := make([]string, maxTargets)
	for i := range targets {
		targets[i] = fmt.Sprintf("https://replica-%d.%s.example:8443/health", i, strings.Repeat("x", 60))
	}
	tracker := New()
	var all []probe.Job
	for n := range 12 * maxSymptoms {
		all = append(all, probe.Job{ID: probe.ID{System: fmt.Sprintf("s%d", n%12), Name: fmt.Sprintf("p%d", n)}})
	}
	tracker.SetJobs(all)
	for _, j := range all {
		r := probe.NewResult(j.ID)
		r.Started = start
		r.Each(targets, func(_ int, r *probe.Result) {
			r.Fail("live", probe.Refused, "nobody listens")
		})
		tracker.Observe(*r)
	}
	state, records := stateOf(t, tracker)
	load(t, New(), state)
	if len(state) > 60<<20 || len(records) != 12 {
		t.Errorf("got %d bytes, %d records", len(state), len(records))
	}
}

// TestPersist shows that a wave of failures is one write, and that the last one comes at the end.
func TestPersist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := New()
		tracker.SetJobs(jobs())
		ctx, cancel := context.WithCancel(t.Context())
		writes, done := 0, make(chan struct{})
		go func() {
			tracker.Persist(ctx, func([]byte, []probe.IncidentRecord) error { writes++; return nil }, func(err error) {
				if err != nil {
					t.Error(err)
				}
			})
			close(done)
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		first := writes
		for minute := range 5 {
			see(tracker, "proxy", minute, oneReplicaDown)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if writes != first+1 {
			t.Errorf("five failures in one second: %d writes, want 1", writes-first)
		}
		for minute := range 5 {
			see(tracker, "proxy", minute, oneReplicaDown)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if writes != first+1 {
			t.Errorf("no news: %d writes more", writes-first-1)
		}
		cancel()
		<-done
		if writes != first+2 {
			t.Errorf("at the end: %d writes, want 1", writes-first-1)
		}
	})
}
