package incident

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// reporter is a probe that reports deploys.
type reporter struct{ probe.Probe }

func (reporter) ReportsDeploys() {}

// withDeploys are the jobs of the small system, and a probe that reports its deploys.
func withDeploys() []probe.Job {
	return append(jobs(), probe.Job{ID: probe.ID{System: "ibex", Name: "deploys", Type: "deploys", Severity: "P2"}, Probe: reporter{}, Interval: time.Minute})
}

// A deployWorld is a tracker that is told of runs at times in minutes after the start.
type deployWorld struct {
	*Tracker
	deploys []probe.Deploy
	running string
}

func newDeployWorld() *deployWorld {
	w := &deployWorld{Tracker: New(), running: "1.4.1"}
	w.SetJobs(withDeploys())
	return w
}

// deploy adds a deploy that started, and went live a minute later.
func (w *deployWorld) deploy(id, version string, minute float64, state probe.DeployState) {
	at := start.Add(time.Duration(minute * float64(time.Minute)))
	d := probe.Deploy{ID: id, Version: version, State: state, Started: at}
	if state == probe.DeployLive || state == probe.DeployFailed {
		d.Ended = at.Add(time.Minute)
	}
	w.deploys = append([]probe.Deploy{d}, w.deploys...)
}

// report observes a run of the probe of deploys.
func (w *deployWorld) report(minute int) {
	see(w.Tracker, "deploys", minute, func(r *probe.Result) {
		r.Deployed(w.deploys, w.running)
		r.Pass("latest", "live")
	})
}

// wellFor has all probes pass every minute from one to another.
func (w *deployWorld) wellFor(from, to int) {
	for minute := from; minute <= to; minute++ {
		w.report(minute)
		for _, name := range []string{"proxy", "auth", "tenants"} {
			see(w.Tracker, name, minute, func(r *probe.Result) { r.Pass("live", "answers 200") })
		}
	}
}

func (w *deployWorld) fails(name string, minute int) {
	see(w.Tracker, name, minute, func(r *probe.Result) { r.Fail("live", probe.Refused, "expected 200, got no response") })
}

// lines are those of the note that tell of deploys.
func (w *deployWorld) lines() string {
	var out []string
	for _, l := range strings.Split(w.Note("ibex"), "\n") {
		if strings.Contains(l, "near onset") || strings.Contains(l, "good") {
			_, text, _ := strings.Cut(l, ": ")
			out = append(out, text)
		}
	}
	return strings.Join(out, "\n")
}

// TestNote_deployNearOnset: a rollout that starts two minutes before the failure is in the note, with the version to go back
// to. One that starts after it is not, nor is one of long ago.
func TestNote_deployNearOnset(t *testing.T) {
	t.Parallel()
	good := "last known good version `1.4.1`: every probe passed under it for 40m0s, until 2026-11-22T03:40:00Z (deploys)"
	near := func(state, ago string) string {
		return "deploy near onset: dep-2 of version `1.4.2`" + state + ", started " + ago + " before the first failure (deploys)\n" + good
	}
	for name, test := range map[string]struct {
		minute float64
		state  probe.DeployState
		want   string
	}{
		"two minutes before":        {40, probe.DeployLive, near(", live since 2026-11-22T03:41:00Z", "2m0s")},
		"still in progress":         {40, probe.DeployInProgress, near(", in_progress", "2m0s")},
		"it failed":                 {40, probe.DeployFailed, near(", failed", "2m0s")},
		"at the same moment":        {42, probe.DeployInProgress, near(", in_progress", "0s")},
		"a second after":            {42.02, probe.DeployLive, ""},
		"two minutes after":         {44, probe.DeployLive, ""},
		"half an hour before":       {11, probe.DeployLive, near(", live since 2026-11-22T03:12:00Z", "31m0s")},
		"more than half an hour":    {10.5, probe.DeployLive, ""},
		"long in the making":        {-600, probe.DeployInProgress, near(", in_progress", "10h42m0s")},
		"it waits for approval":     {40, probe.DeployWaiting, ""},
		"it was canceled":           {40, probe.DeployCanceled, ""},
		"nobody knows when":         {-1e9, "", ""},
		"superseded, long ago":      {-600, probe.DeploySuperseded, ""},
		"superseded, two minutes":   {40, probe.DeploySuperseded, near(", superseded", "2m0s")},
		"unknown state, two before": {40, probe.DeployUnknown, near(", unknown", "2m0s")},
	} {
		for _, seen := range []string{"before the failure", "after it"} {
			t.Run(name+", seen "+seen, func(t *testing.T) {
				w := newDeployWorld()
				w.deploy("dep-1", "1.4.1", -5000, probe.DeployLive)
				w.wellFor(0, 40)
				if w.running = ""; test.state != "" {
					w.deploy("dep-2", "1.4.2", test.minute, test.state)
				} else {
					w.deploys = append([]probe.Deploy{{ID: "dep-2", Version: "1.4.2"}}, w.deploys...)
				}
				if seen == "before the failure" {
					w.report(41)
				}
				w.fails("proxy", 42)
				w.report(43)
				if got := w.lines(); got != test.want {
					t.Errorf("got\n%s\nwant\n%s", got, test.want)
				}
				if got := strings.Join(w.NearOnset("ibex"), "\n"); got != test.want {
					t.Errorf("on the page:\n%s\nwant\n%s", got, test.want)
				}
				i := w.Incident("ibex")
				if !i.Onset.Equal(start.Add(42*time.Minute)) || !i.Open || i.Severity != "P1" || i.LastGood["deploys"] != "1.4.1" {
					t.Errorf("got %+v", i)
				}

				// The list of the platform goes on, and the state too; what was near the onset stays.
				w.deploys = nil
				for n := range 20 {
					w.deploy(fmt.Sprintf("dep-%d", 10+n), "1.4.3", float64(50+n), probe.DeployLive)
				}
				w.report(80)
				if got := w.lines(); got != test.want {
					t.Errorf("later:\n%s\nwant\n%s", got, test.want)
				}
				see(w.Tracker, "proxy", 81, func(r *probe.Result) { r.Pass("live", "answers 200") })
				if got := w.NearOnset("ibex"); got != nil {
					t.Errorf("after recovery: %q", got)
				}
				// It outlives a restart.
				saved, _ := stateOf(t, w.Tracker)
				*w.Tracker = *New() //nolint:govet // nobody else has it yet
				load(t, w.Tracker, saved)
				w.SetJobs(withDeploys())
				if got := w.lines(); got != test.want {
					t.Errorf("after a restart:\n%s\nwant\n%s", got, test.want)
				}
			})
		}
	}
}

// TestNote_deployProbeFails: that a deploy failed is no onset. What comes after it is related to what breaks.
func TestNote_deployProbeFails(t *testing.T) {
	t.Parallel()
	w := newDeployWorld()
	w.wellFor(0, 5)
	w.fails("deploys", 6)
	if i := w.Incident("ibex"); !i.Onset.IsZero() || i.Open || i.Severity != "" {
		t.Errorf("got %+v", i)
	}
	w.deploy("dep-2", "1.4.2", 18, probe.DeployLive)
	w.report(19)
	w.fails("deploys", 19)
	w.fails("auth", 20)
	if got, want := w.lines(), "deploy near onset: dep-2 of version `1.4.2`, live since 2026-11-22T03:19:00Z, started 2m0s before the first failure (deploys)\nno version is known to be good: under none before did every probe pass for 30m (deploys)"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if i := w.Incident("ibex"); !i.Open || i.Severity != "P2" || i.LastGood != nil {
		t.Errorf("got %+v", i)
	}
}

// TestLastGood: a version is good once every probe has passed under it for half an hour, without a gap.
func TestLastGood(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		play func(w *deployWorld)
		want string
	}{
		"half an hour":        {func(w *deployWorld) { w.wellFor(0, 30) }, "1.4.1"},
		"a minute less":       {func(w *deployWorld) { w.wellFor(0, 29) }, ""},
		"not known what runs": {func(w *deployWorld) { w.running = ""; w.wellFor(0, 60) }, ""},
		"not known in between": {func(w *deployWorld) {
			w.wellFor(0, 20)
			w.running = ""
			w.report(21)
			w.running = "1.4.1"
			w.wellFor(22, 45)
		}, ""},
		"one failed in between": {func(w *deployWorld) { w.wellFor(0, 20); w.fails("auth", 20); w.wellFor(21, 45) }, ""},
		"one was inconclusive": {func(w *deployWorld) {
			w.wellFor(0, 20)
			see(w.Tracker, "auth", 20, func(r *probe.Result) { r.Inconclusive("live", probe.Credential, "no token") })
			w.wellFor(21, 45)
		}, ""},
		"the probe of deploys failed": {func(w *deployWorld) {
			for minute := range 35 {
				w.wellFor(minute, minute)
				see(w.Tracker, "deploys", minute, func(r *probe.Result) { r.Deployed(w.deploys, w.running); r.Fail("freeze", probe.Status, "frozen") })
			}
		}, "1.4.1"},
		"one never ran": {func(w *deployWorld) {
			for minute := range 60 {
				w.report(minute)
				see(w.Tracker, "proxy", minute, func(r *probe.Result) { r.Pass("live", "") })
				see(w.Tracker, "auth", minute, func(r *probe.Result) { r.Pass("live", "") })
			}
		}, ""},
		"nothing was seen":    {func(w *deployWorld) { w.wellFor(0, 15); w.wellFor(40, 60) }, ""},
		"another one came":    {func(w *deployWorld) { w.wellFor(0, 40); w.running = "1.4.2"; w.wellFor(41, 60) }, "1.4.1"},
		"another one is good": {func(w *deployWorld) { w.wellFor(0, 40); w.running = "1.4.2"; w.wellFor(41, 75) }, "1.4.2"},
		"it came back": {func(w *deployWorld) {
			w.wellFor(0, 40)
			w.running = "1.4.2"
			w.wellFor(41, 75)
			w.running = "1.4.1"
			w.wellFor(76, 110)
		}, "1.4.1"},
		// What passes first when another version may run already is no proof of the one that was reported last.
		"one passes only later": {func(w *deployWorld) {
			slow := withDeploys()
			for i := range slow {
				if slow[i].Name == "tenants" {
					slow[i].Interval = time.Hour
				}
			}
			w.SetJobs(slow)
			tenants := func(minute int) { see(w.Tracker, "tenants", minute, func(r *probe.Result) { r.Pass("live", "") }) }
			tenants(0)
			for minute := 1; minute <= 40; minute++ {
				w.report(minute)
				see(w.Tracker, "proxy", minute, func(r *probe.Result) { r.Pass("live", "") })
				see(w.Tracker, "auth", minute, func(r *probe.Result) { r.Pass("live", "") })
			}
			tenants(41) // 1.4.2 came after the last report
			w.running = "1.4.2"
			w.report(41)
		}, ""},
		"only deploys are left": {func(w *deployWorld) { w.SetJobs(withDeploys()[3:]); w.wellFor(0, 60) }, ""},
		"the probe is removed":  {func(w *deployWorld) { w.wellFor(0, 60); w.SetJobs(jobs()) }, ""},
		"many": {func(w *deployWorld) {
			for n := range 10 {
				w.running = fmt.Sprintf("2.%d", n)
				w.wellFor(40*n, 40*n+35)
			}
			if got := len(w.systems["ibex"].Good["deploys"]); got != maxGood {
				panic(fmt.Sprintf("expected %d versions, got %d", maxGood, got))
			}
		}, "2.9"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newDeployWorld()
			test.play(w)
			if got := w.Incident("ibex").LastGood["deploys"]; got != test.want {
				t.Errorf("expected %q, got %q", test.want, got)
			}
		})
	}
	w := newDeployWorld()
	w.wellFor(0, 30)
	known := w.Incident("ibex")
	w.wellFor(31, 32)
	if known.LastGood["deploys"] != "1.4.1" {
		t.Errorf("what was returned changes: %v", known)
	}
}
