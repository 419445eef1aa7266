package main

import (
	"testing"
	"time"

	"prober/internal/incident"
	"prober/internal/probe"
)

// TestIncidents_onceSeesNoOnset: what the rounds of --once see is no onset. Only --since, or what the prober that serves has
// stored, says when an incident began.
func TestIncidents_onceSeesNoOnset(t *testing.T) {
	jobs := []probe.Job{{ID: probe.ID{System: "shop", Name: "up"}}}
	observe := func(tracker *incident.Tracker, at time.Time, note func(r *probe.Result)) {
		r := probe.NewResult(jobs[0].ID)
		r.Started = at
		note(r)
		tracker.Observe(*r)
	}
	passes := func(r *probe.Result) { r.Pass("status", "got 200") }
	fails := func(r *probe.Result) { r.Fail("status", probe.Status, "got 500") }
	stored := incident.New()
	stored.SetJobs(jobs)
	of := onceOptions{}.incidents(stored, jobs)
	observe(stored, time.Now(), passes)
	observe(stored, time.Now(), fails) // the rounds
	if got := of("shop"); !got.Start.IsZero() || !got.Onset.IsZero() || got.Open {
		t.Errorf("an onset of the rounds: %v", got)
	}
	if got := (onceOptions{}).incidents(stored, jobs)("shop"); got.Start.IsZero() {
		t.Error("the stored onset is not taken")
	}
	got := onceOptions{since: "40m"}.incidents(stored, jobs)("shop")
	if ago := time.Since(got.Start); ago < 40*time.Minute || ago > 41*time.Minute {
		t.Errorf("--since 40m is %s ago", ago)
	}
}
