package incident

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// everyDay has the probe of tenants run once a day.
func (w *deployWorld) everyDay() {
	all := withDeploys()
	for i := range all {
		if all[i].Name == "tenants" {
			all[i].Interval = 24 * time.Hour
		}
	}
	w.SetJobs(all)
}

func (w *deployWorld) passes(minute int, names ...string) {
	for _, name := range names {
		see(w.Tracker, name, minute, func(r *probe.Result) { r.Pass("live", "answers 200") })
	}
}

// TestLastGood_unproven: a version is not good by what passed before it ran, nor by what nobody saw.
func TestLastGood_unproven(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		play func(w *deployWorld)
		want string
	}{
		"a daily probe passed before it": {func(w *deployWorld) {
			w.everyDay()
			w.passes(0, "tenants")
			for minute := 1; minute <= 60; minute++ {
				w.report(minute)
				w.passes(minute, "proxy", "auth")
			}
		}, ""},
		"a daily probe passed under it": {func(w *deployWorld) {
			w.everyDay()
			for minute := range 60 {
				w.report(minute)
				w.passes(minute, "proxy", "auth")
				if minute == 10 {
					w.passes(minute, "tenants")
				}
			}
		}, "1.4.1"},
		"a probe stopped running": {func(w *deployWorld) {
			w.wellFor(0, 5)
			for minute := 6; minute <= 60; minute++ {
				w.report(minute)
				w.passes(minute, "proxy", "auth")
			}
		}, ""},
		"the platform was last asked long ago": {func(w *deployWorld) {
			w.wellFor(0, 2)
			for minute := 3; minute <= 60; minute++ {
				w.passes(minute, "proxy", "auth", "tenants")
			}
		}, ""},
		"the platform was not asked for a while": {func(w *deployWorld) {
			w.everyDay()
			for minute := range 60 {
				w.passes(minute, "proxy", "auth", "tenants")
				if minute < 5 || minute > 40 {
					w.report(minute)
				}
			}
		}, ""},
		"a probe that fails was removed by a reload": {func(w *deployWorld) {
			w.passes(0, "proxy", "auth")
			w.report(0)
			w.fails("tenants", 0)
			w.SetJobs(slices.DeleteFunc(withDeploys(), func(j probe.Job) bool { return j.Name == "tenants" }))
			for minute := 1; minute <= 60; minute++ {
				w.passes(minute, "proxy", "auth")
				w.report(minute)
			}
		}, "1.4.1"},
		"a failure in the same second as passes": {func(w *deployWorld) {
			for minute := range 61 {
				w.report(minute)
				w.passes(minute, "proxy", "auth", "tenants")
				w.fails("auth", minute)
				w.passes(minute, "auth")
			}
		}, ""},
		"the platform is asked every ten minutes": {func(w *deployWorld) {
			all := withDeploys()
			all[3].Interval = 10 * time.Minute
			w.SetJobs(all)
			for minute := range 61 {
				w.passes(minute, "proxy", "auth", "tenants")
				if minute%10 == 0 {
					w.report(minute)
				}
			}
		}, "1.4.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newDeployWorld()
			test.play(w)
			if got := w.Incident("ibex").LastGood["deploys"]; got != test.want {
				t.Errorf("expected %q, got %q", test.want, got)
			}
		})
	}
}

// TestNote_deployStays: a deploy that is near the onset stays, whatever becomes of it, and also if the platform forgets when it
// started or ended.
func TestNote_deployStays(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(d *probe.Deploy){
		"canceled":               func(d *probe.Deploy) { d.State = probe.DeployCanceled },
		"waits again":            func(d *probe.Deploy) { d.State = probe.DeployWaiting },
		"no end":                 func(d *probe.Deploy) { d.State, d.Ended = probe.DeploySuperseded, time.Time{} },
		"no start":               func(d *probe.Deploy) { d.Started = time.Time{} },
		"a start after the fact": func(d *probe.Deploy) { d.Started = start.Add(50 * time.Minute) }, // as of a rollback, seen by a process that has just started
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newDeployWorld()
			w.wellFor(0, 40)
			w.deploy("dep-2", "1.4.2", 0, probe.DeployInProgress)
			if name == "no end" {
				w.deploys[0].State, w.deploys[0].Ended = probe.DeployLive, start.Add(41*time.Minute)
			}
			w.report(41)
			w.fails("proxy", 42)
			change(&w.deploys[0])
			for minute := range 3 {
				w.report(43 + minute)
			}
			if got := w.lines(); !strings.HasPrefix(got, "deploy near onset: dep-2 of version `1.4.2`, ") || !strings.Contains(got, ", started 42m0s before the first failure") {
				t.Errorf("got\n%s", got)
			}
			if near := w.Incident("ibex").Near["deploys"]; len(near) != 1 || near[0].ID != "dep-2" {
				t.Errorf("near are %v", near)
			}
		})
	}
	// What was queued before the onset, and began after it, is no cause.
	w := newDeployWorld()
	w.wellFor(0, 40)
	w.deploy("dep-2", "1.4.2", 40, probe.DeployQueued)
	w.report(41)
	w.fails("proxy", 42)
	w.deploys = nil
	w.deploy("dep-2", "1.4.2", 43, probe.DeployInProgress)
	w.report(44)
	if got := w.lines(); got != "" {
		t.Errorf("it began after the onset:\n%s", got)
	}
}

// TestNote_manyDeploys: the bound is for each probe of deploys, so that one does not hide those of another.
func TestNote_manyDeploys(t *testing.T) {
	t.Parallel()
	for range 5 { // the order of a map
		w := newDeployWorld()
		other := withDeploys()[3]
		other.Name = "other"
		w.SetJobs(append(withDeploys(), other))
		for n := range 8 {
			w.deploy(fmt.Sprintf("dep-%d", n), fmt.Sprintf("1.5.%d", n), float64(30+n), probe.DeployLive)
		}
		w.report(40)
		see(w.Tracker, "other", 40, func(r *probe.Result) {
			r.Deployed([]probe.Deploy{{ID: "other-1", Version: "7", State: probe.DeployLive, Started: start.Add(40 * time.Minute)}}, "7")
			r.Pass("latest", "live")
		})
		w.fails("proxy", 42)
		var ids []string
		for _, d := range w.Incident("ibex").Near["deploys"] {
			ids = append(ids, d.ID)
		}
		if want := []string{"dep-7", "dep-6", "dep-5", "dep-4", "dep-3"}; !slices.Equal(ids, want) {
			t.Errorf("expected the newest, %v, got %v", want, ids)
		}
		if got := w.lines(); !strings.Contains(got, "other-1 of version `7`") {
			t.Errorf("got\n%s", got)
		}
	}
}

// TestNote_failsAgain: what fails after all but the probe of deploys had passed again has its own onset.
func TestNote_failsAgain(t *testing.T) {
	t.Parallel()
	w := newDeployWorld()
	w.wellFor(0, 40)
	reportsFailure := func(minute int) {
		see(w.Tracker, "deploys", minute, func(r *probe.Result) {
			r.Deployed(w.deploys, "1.4.1")
			r.Fail("latest", probe.Status, "failed")
		})
	}
	w.deploy("dep-2", "1.4.2", 40, probe.DeployFailed)
	reportsFailure(41)
	w.fails("proxy", 42)
	if got := w.lines(); !strings.Contains(got, "dep-2") {
		t.Errorf("at first: got\n%s", got)
	}
	w.passes(50, "proxy")
	w.deploy("dep-3", "1.4.3", 300, probe.DeployFailed)
	reportsFailure(301)
	w.fails("proxy", 303)
	w.fails("auth", 302) // it started earlier, and took longer
	w.fails("proxy", 304)
	i := w.Incident("ibex")
	if want := start.Add(302 * time.Minute); !i.Onset.Equal(want) || !i.Open {
		t.Errorf("expected the onset %s, got %+v", want, i)
	}
	if got := w.lines(); !strings.Contains(got, "dep-3 of version `1.4.3`, failed, started 2m0s before") || strings.Contains(got, "dep-2") {
		t.Errorf("got\n%s", got)
	}
	saved, _ := stateOf(t, w.Tracker)
	*w.Tracker = *New() //nolint:govet // nobody else has it yet
	load(t, w.Tracker, saved)
	w.SetJobs(withDeploys())
	if got := w.Incident("ibex"); !got.Onset.Equal(i.Onset) || len(got.Near["deploys"]) != 1 {
		t.Errorf("after a restart: %+v", got)
	}
}

// TestIncident_severity: the severity is the most urgent one of what fails still. A freeze of P1 ends once all of P1 has recovered,
// though something of P2 fails on.
func TestIncident_severity(t *testing.T) {
	t.Parallel()
	w := newDeployWorld()
	w.wellFor(0, 5)
	for _, step := range []struct {
		fails, passes, severity string
	}{
		{"auth", "", "P2"}, {"proxy", "", "P1"}, {"", "proxy", "P2"}, {"tenants", "", "P1"}, {"proxy", "tenants", "P1"}, {"", "proxy", "P2"}, {"", "auth", ""},
	} {
		minute := 6 + len(w.Incident("ibex").Severity)
		if step.fails != "" {
			w.fails(step.fails, minute)
		}
		if step.passes != "" {
			w.passes(minute, step.passes)
		}
		got := w.Incident("ibex")
		if got.Severity != step.severity && got.Open || got.Open != (step.severity != "") {
			t.Errorf("%+v: got %q, open %t", step, got.Severity, got.Open)
		}
	}
}

// BenchmarkObserve measures the cost of a run that passes, beside thousands of others in its system.
func BenchmarkObserve(b *testing.B) {
	for _, size := range []int{10, 10_000} {
		for _, with := range []string{"without", "with"} {
			b.Run(fmt.Sprintf("%d probes %s deploys", size, with), func(b *testing.B) {
				jobs := withDeploys()
				reporter := jobs[3]
				jobs = jobs[:0]
				if with == "with" {
					jobs = append(jobs, reporter)
				}
				for i := range size {
					j := reporter
					j.Name, j.Probe, j.Interval = fmt.Sprintf("p%d", i), nil, time.Minute
					jobs = append(jobs, j)
				}
				tracker := New()
				tracker.SetJobs(jobs)
				results := make([]probe.Result, len(jobs))
				for i, j := range jobs {
					r := probe.NewResult(j.ID)
					r.Pass("live", "answers 200")
					r.Running = "1.4.1"
					results[i] = *r
				}
				rand.New(rand.NewPCG(1, 1)).Shuffle(len(results), func(i, j int) { results[i], results[j] = results[j], results[i] }) // as they start
				at := start
				for i := 0; b.Loop(); i++ {
					at = at.Add(time.Minute / time.Duration(size))
					r := results[i%len(results)]
					r.Started = at
					tracker.Observe(r)
				}
			})
		}
	}
}
