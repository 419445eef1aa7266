package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
	"prober/probes"
)

// notes is a probe that notes whatever it is told.
type notes struct {
	probe.Probe
	note func(r *probe.Result, checks []string)
}

func (n notes) Ask(_ context.Context, r *probe.Result) { n.note(r, n.Checks()) }

func TestEngine_tellsGoodTargetsFromBadOnes(t *testing.T) {
	t.Parallel()
	if err := newEngine(probes.Kinds(), nil).test(t.Context()); err != nil {
		t.Errorf("the prober as it is: %v", err)
	}
}

// A broken kind, in every way in which the verdict can be wrong.
func TestEngine_noticesThatItIsBroken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		note func(r *probe.Result, checks []string)
		want string
	}{
		"all pass": {func(r *probe.Result, checks []string) {
			for _, name := range checks {
				r.Pass(name, "good")
			}
		}, "wrong-status: expected fail (status), got pass (ok)"},
		"all fail":           {func(r *probe.Result, _ []string) { r.Fail("status", probe.Status, "bad") }, "good: expected pass (ok), got fail (status)"},
		"nothing is checked": {func(*probe.Result, []string) {}, "good: expected pass (ok), got inconclusive (nothing_checked)"},
		"the engine panics":  {func(*probe.Result, []string) { panic("no") }, "good: expected pass (ok), got inconclusive (panic)"},
	} {
		e := newEngine(probes.Kinds(), nil)
		e.do = func(j probe.Job, ctx context.Context) probe.Result {
			j.Probe = notes{j.Probe, c.note}
			return j.Do(ctx)
		}
		err := e.test(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestEngine_noVerdictCountsWhileItDoesNotWork(t *testing.T) {
	t.Parallel()
	reported := make(chan bool, 1)
	e := newEngine(nil, func(check string, ok bool) {
		if check != "engine" {
			t.Errorf("reported %s", check)
		}
		reported <- ok
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go e.run(ctx)
	if <-reported {
		t.Error("an engine without kinds is said to work")
	}
	if err := e.works(); err == nil {
		t.Error("an engine without kinds works")
	}
}

func TestEngine_isTestedBeforeTheFirstVerdict(t *testing.T) {
	t.Parallel()
	e := newEngine(probes.Kinds(), func(string, bool) {})
	got := make(chan error)
	go func() { got <- e.works() }()
	select {
	case err := <-got:
		t.Fatalf("a verdict counted before the test: %v", err)
	case <-time.After(10 * time.Millisecond):
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go e.run(ctx)
	if err := <-got; err != nil {
		t.Error(err)
	}
}

// TestEngine_stoppedDuringTheFirstTest: what a run has proven before the prober is stopped must count, so the test that says
// whether it counts is completed.
func TestEngine_stoppedDuringTheFirstTest(t *testing.T) {
	t.Parallel()
	e := newEngine(probes.Kinds(), func(string, bool) {})
	ctx, stop := context.WithCancel(t.Context())
	e.do = func(j probe.Job, ctx context.Context) probe.Result {
		stop()
		return j.Do(ctx)
	}
	e.run(ctx) // returns, since it is stopped
	if err := e.works(); err != nil {
		t.Error(err)
	}
}

// TestOutlast checks that a context that outlasts another ends with its own time, and not before.
func TestOutlast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		longer, cancel := outlast(ctx, 3*time.Second)
		defer cancel()
		time.Sleep(time.Hour)
		stop()
		time.Sleep(2 * time.Second)
		if longer.Err() != nil {
			t.Error("it ends before its time is over")
		}
		time.Sleep(2 * time.Second)
		if longer.Err() == nil {
			t.Error("it does not end")
		}
	})
}
