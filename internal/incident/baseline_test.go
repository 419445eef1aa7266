package incident

import (
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// A comparer is a probe that compares errors and p99 with what was before.
type comparer struct{ probe.Probe }

func (comparer) Compared() []string { return []string{"errors", "p99"} }

func withComparer() []probe.Job {
	all := jobs()
	all[2].Probe = comparer{}
	return all
}

// TestIncident: an onset is known only if the probe was seen to pass before it failed.
func TestIncident(t *testing.T) {
	for name, test := range map[string]struct {
		play func(*Tracker)
		want probe.Incident
	}{
		"none":           {func(tr *Tracker) { see(tr, "proxy", 0, well) }, probe.Incident{}},
		"passed before":  {func(tr *Tracker) { see(tr, "proxy", 0, well); see(tr, "proxy", 1, oneReplicaDown) }, probe.Incident{Start: start.Add(time.Minute)}},
		"failed at once": {func(tr *Tracker) { see(tr, "proxy", 1, oneReplicaDown) }, probe.Incident{}},
		"another passed": {func(tr *Tracker) { see(tr, "auth", 0, well); see(tr, "proxy", 1, oneReplicaDown) }, probe.Incident{}},
		"unknown before": {func(tr *Tracker) {
			see(tr, "proxy", 0, func(r *probe.Result) { r.Inconclusive("live", probe.SelfNetwork, "no network") })
			see(tr, "proxy", 1, oneReplicaDown)
		}, probe.Incident{}},
		"over": {func(tr *Tracker) {
			see(tr, "proxy", 0, well)
			see(tr, "proxy", 1, oneReplicaDown)
			see(tr, "proxy", 5, well)
		}, probe.Incident{Start: start.Add(time.Minute), End: start.Add(5 * time.Minute)}},
		"begins again": {func(tr *Tracker) {
			see(tr, "proxy", 0, well)
			see(tr, "proxy", 1, oneReplicaDown)
			see(tr, "proxy", 5, well)
			see(tr, "proxy", 9, oneReplicaDown)
		}, probe.Incident{Start: start.Add(9 * time.Minute)}},
		"after a restart": {func(tr *Tracker) {
			see(tr, "proxy", 0, well)
			see(tr, "proxy", 1, oneReplicaDown)
			saved, _ := stateOf(t, tr)
			*tr = *New() //nolint:govet // nobody else has it yet
			load(t, tr, saved)
			tr.SetJobs(jobs())
			see(tr, "proxy", 3, oneReplicaDown)
		}, probe.Incident{Start: start.Add(time.Minute)}},
	} {
		tracker := New()
		tracker.SetJobs(jobs())
		test.play(tracker)
		if got := tracker.Incident("ibex"); got.Start != test.want.Start || got.End != test.want.End {
			t.Errorf("%s: got %v, expected %v", name, got, test.want)
		}
	}
}

// TestNote_baseline: the line of the recovery says what is back to its baseline, and of what that is not known.
func TestNote_baseline(t *testing.T) {
	uncertain := probe.Reason{Word: "uncertain", Verdict: probe.Inconclusive, Text: "too few"}
	for name, test := range map[string]struct {
		after func(*Tracker)
		want  string
	}{
		"back": {func(tr *Tracker) { see(tr, "tenants", 5, well) }, "passing again: proxy; back to baseline: errors, p99 (tenants)\n"},
		"not known": {func(tr *Tracker) {
			see(tr, "tenants", 5, func(r *probe.Result) { r.Report("compare", uncertain, "too few") })
		}, "; not known to be back to baseline: errors, p99 (tenants, uncertain); not passing now: tenants\n"},
		"not asked yet": {func(tr *Tracker) {}, "passing again: proxy\n"},
	} {
		tracker := New()
		tracker.SetJobs(withComparer())
		see(tracker, "tenants", 0, well)
		see(tracker, "proxy", 0, well)
		see(tracker, "proxy", 1, oneReplicaDown)
		see(tracker, "proxy", 4, well)
		test.after(tracker)
		if got := tracker.Note("ibex"); !strings.Contains(got, test.want) {
			t.Errorf("%s: got\n%s\nexpected %q in it", name, got, test.want)
		}
	}
}
