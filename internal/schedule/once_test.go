package schedule

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
)

func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var under, most atomic.Int32
		set := jobs(100, time.Second, func(ctx context.Context, r *probe.Result) {
			if n := under.Add(1); n > most.Load() {
				most.Store(n)
			}
			takes(700*time.Millisecond)(ctx, r)
			under.Add(-1)
		})
		var l log
		begin := time.Now()
		New(&l, Options{MaxConcurrent: 10, Watcher: &l}).Once(t.Context(), set)
		for i, j := range set {
			if got := fmt.Sprint(l.verdicts(j.Name)); got != "[pass(ok)]" {
				t.Errorf("%s: %s, want one pass", j.Name, got)
			}
			if l.starts[i].name != j.Name {
				t.Errorf("start %d is of %s, want the order of the list", i, l.starts[i].name)
			}
		}
		if took := time.Since(begin); took != 7*time.Second || most.Load() != 10 {
			t.Errorf("took %s with %d at once, want 7s with 10", took, most.Load())
		}
		if len(l.skips) > 0 {
			t.Errorf("skipped %v, want nothing, though the wait was longer than the interval", l.skips)
		}
		if last := l.starts[99]; last.lag != 6300*time.Millisecond {
			t.Errorf("the last start's lag is %s, want the wait of 6.3s", last.lag)
		}
		if last := l.depths[len(l.depths)-1]; last != [2]int{} {
			t.Errorf("the last depth told is %v, want none", last)
		}
	})
}

func TestOnce_withoutJobs(t *testing.T) {
	New(&log{}, Options{}).Once(t.Context(), nil)
}

func TestOnce_cancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		var asked atomic.Int32
		set := jobs(10, time.Minute, func(ctx context.Context, r *probe.Result) {
			asked.Add(1)
			takes(10*time.Second)(ctx, r)
		})
		var l log
		New(&l, Options{MaxConcurrent: 3, Watcher: &l}).Once(ctx, set)
		for i, j := range set {
			want := "[inconclusive(cancelled)]"
			if i < 3 {
				want = "[pass(ok)]"
			}
			if got := fmt.Sprint(l.verdicts(j.Name)); got != want {
				t.Errorf("%s: %s, want %s", j.Name, got, want)
			}
		}
		if asked.Load() != 6 {
			t.Errorf("%d targets were asked, want 6: none after the cancellation", asked.Load())
		}
	})
}

func TestOnce_hungProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var asked atomic.Int32
		a := job("a", 10*time.Second, func(_ context.Context, r *probe.Result) {
			asked.Add(1)
			<-release
			r.Pass("it", "good")
		})
		var l log
		s := New(&l, Options{Watcher: &l})
		s.Once(t.Context(), []probe.Job{a})
		s.Once(t.Context(), []probe.Job{a})
		if got := fmt.Sprint(l.verdicts("a")); got != "[inconclusive(hung) inconclusive(hung)]" || asked.Load() != 1 {
			t.Errorf("%s after asking %d times, want two times hung after asking once", got, asked.Load())
		}
		if got := l.skipped("a"); got != "hung 1" {
			t.Errorf("skipped %q, want hung 1", got)
		}
		close(release)
		synctest.Wait()
		s.Once(t.Context(), []probe.Job{a})
		if got := l.verdicts("a"); got[len(got)-1] != "pass(ok)" {
			t.Errorf("after the hung run ended: %s, want pass", got)
		}
	})
}

func TestHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		hung := job("hung", time.Minute, func(context.Context, *probe.Result) { <-release })
		hung.Timeout = 3 * time.Second
		r := forever(t, &log{}, Options{}, []probe.Job{hung, job("good", time.Second, good)})
		for len(r.verdicts("hung")) == 0 {
			pass(time.Second)
		}
		pass(time.Hour)
		if err := r.Healthy(); err != nil {
			t.Errorf("%v, want healthy: a restart does not help against a probe that hangs, and its target may be the cause", err)
		}
		r.sets <- nil
		pass(time.Second)
		if err := r.Healthy(); err != nil {
			t.Errorf("%v, want healthy once the hung probe is removed", err)
		}
		close(release)
		pass(time.Second)
		if err := r.Healthy(); err != nil {
			t.Errorf("%v, want healthy again", err)
		}
		pass(time.Hour)
		if err := r.Healthy(); err != nil {
			t.Errorf("%v, want an idle scheduler to be healthy", err)
		}
		r.sets <- []probe.Job{job("rare", time.Hour, good)}
		pass(10 * time.Minute)
		if err := r.Healthy(); err != nil {
			t.Errorf("%v, want one that waits to be healthy", err)
		}
		r.Scheduler.mu.Lock()
		defer r.Scheduler.mu.Unlock()
		if len(r.runs) != 0 {
			t.Errorf("%d runs are remembered that ended, of jobs that were removed", len(r.runs))
		}
	})
}

func TestHealthy_stuckLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var l log
		l.started = func(probe.ID) { <-release }
		a := job("a", time.Second, good)
		a.Timeout = time.Minute
		r := forever(t, &l, Options{}, []probe.Job{a})
		pass(10 * time.Second)
		if err := r.Healthy(); err != nil {
			t.Errorf("after 10s: %v", err)
		}
		pass(10 * time.Second)
		if err := r.Healthy(); err == nil || !strings.Contains(err.Error(), "the scheduler has been stuck for") {
			t.Errorf("after 20s: %v, want an error", err)
		}
		close(release)
		synctest.Wait()
		if err := r.Healthy(); err != nil {
			t.Errorf("after it went on: %v", err)
		}
	})
}

func TestHealthy_stuckSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var l log
		l.observed = func(probe.Result) { <-release }
		r := forever(t, &l, Options{}, []probe.Job{job("a", time.Second, good)})
		for len(l.of("a")) == 0 {
			pass(10 * time.Millisecond)
		}
		pass(hungTimeouts * 800 * time.Millisecond)
		if err := r.Healthy(); err != nil {
			t.Errorf("%v, want healthy as long as the run may be on its way", err)
		}
		pass(probe.Grace + 10*time.Millisecond)
		if err := r.Healthy(); err == nil || !strings.Contains(err.Error(), "probe ibex/a has not ended") {
			t.Errorf("%v, want an error", err)
		}
		close(release)
	})
}

func TestHealthy_concurrentUse(t *testing.T) {
	l := &log{}
	s := New(l, Options{Watcher: l})
	stop := make(chan struct{})
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for {
			select {
			case <-stop:
				return
			default:
				s.Healthy()
			}
		}
	}()
	s.Once(t.Context(), jobs(1000, time.Second, good))
	close(stop)
	<-asked
	if err := s.Healthy(); err != nil || len(l.results) != 1000 {
		t.Errorf("%d results, %v", len(l.results), err)
	}
}

// TestHealthy_limits: what lasts exactly as long as it may is healthy.
func TestHealthy_limits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(&log{}, Options{})
		for beat, healthy := range map[time.Duration]bool{stuckAfter: true, stuckAfter + 1: false} {
			s.lastBeat = time.Now().Add(-beat)
			if err := s.Healthy(); (err == nil) != healthy {
				t.Errorf("no iteration for %s: %v", beat, err)
			}
		}
		s.lastBeat = time.Now()
		for took, healthy := range map[time.Duration]bool{10*time.Second + probe.Grace: true, 10*time.Second + probe.Grace + 1: false} {
			s.runs[probe.Key{Name: "a"}] = &run{began: time.Now().Add(-took), timeout: time.Second}
			if err := s.Healthy(); (err == nil) != healthy {
				t.Errorf("a run of %s: %v", took, err)
			}
		}
		if s.max != 256 {
			t.Errorf("%d runs at the same time by default", s.max)
		}
	})
}
