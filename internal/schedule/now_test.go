package schedule

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
)

func TestNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := forever(t, &log{}, Options{}, []probe.Job{job("a", time.Minute, takes(time.Second))})
		id := probe.ID{System: "ibex", Name: "a"}
		pass(90 * time.Second)
		before, next := len(r.of("a")), r.Next(id)
		asked := time.Now()
		if err := r.Now(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(asked); took != time.Second || len(r.of("a")) != before+1 || len(r.verdicts("a")) != before+1 {
			t.Errorf("returned after %s with %d runs and %d results; wanted the result of a run of 1s", took, len(r.of("a"))-before, len(r.verdicts("a"))-before)
		}
		if !r.Next(id).Equal(next) {
			t.Errorf("the grid moved from %s to %s", next, r.Next(id))
		}
		pass(time.Until(next))
		if starts := r.of("a"); !starts[len(starts)-1].at.Equal(next) {
			t.Errorf("no run at %s, which was foretold", next)
		}
		if skipped := r.skipped("a"); skipped != "" {
			t.Errorf("skipped %s", skipped)
		}
		ran := len(r.verdicts("a"))
		pass(5 * time.Minute)
		if n := len(r.verdicts("a")) - ran; n != 5 {
			t.Errorf("in the five minutes after it, %d runs ended", n)
		}
	})
}

// TestNow_afterASet: a set that was sent before the request is heeded first.
func TestNow_afterASet(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			s := New(&log{}, Options{})
			answer := make(chan error)
			go func() { answer <- s.Now(t.Context(), probe.ID{System: "ibex", Name: "a"}) }()
			synctest.Wait()
			sets := make(chan []probe.Job, 1)
			sets <- []probe.Job{job("a", time.Minute, good)}
			ctx, stop := context.WithCancel(t.Context())
			var all sync.WaitGroup
			all.Go(func() { s.Forever(ctx, sets) })
			if err := <-answer; err != nil {
				t.Error(err)
			}
			stop()
			all.Wait()
		})
	}
}

func TestNow_neverOverlaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, both, ran atomic.Int64
		slow := func(ctx context.Context, r *probe.Result) {
			if now.Add(1) > 1 {
				both.Add(1)
			}
			defer now.Add(-1)
			takes(10*time.Second)(ctx, r)
		}
		r := forever(t, &log{}, Options{}, []probe.Job{job("a", 15*time.Second, slow)})
		id := probe.ID{System: "ibex", Name: "a"}
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				err := r.Now(t.Context(), id)
				if err == nil {
					ran.Add(1)
				} else if !errors.Is(err, Running) && !errors.Is(err, Waiting) {
					t.Errorf("got %v", err)
				}
			})
			pass(1700 * time.Millisecond)
		}
		all.Wait()
		if both.Load() > 0 || ran.Load() < 10 {
			t.Errorf("%d runs overlapped another, %d were asked for; wanted none and some", both.Load(), ran.Load())
		}
		// The next may be asked for at once.
		pass(time.Until(r.Next(id)) + 11*time.Second)
		for range 2 {
			if err := r.Now(t.Context(), id); err != nil && !errors.Is(err, Running) {
				t.Error(err)
			}
		}
	})
}

func TestNow_refusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := func(name string) probe.ID { return probe.ID{System: "ibex", Name: name} }
		held := job("held", 10*time.Minute, takes(5*time.Minute))
		set := []probe.Job{held, job("goes", 2*time.Hour, good), job("stays", 2*time.Hour, good)}
		r := forever(t, &log{}, Options{MaxConcurrent: 1}, set)
		for len(r.of("held")) < 2 { // then everything waits for it, and nothing else is due
			pass(time.Second)
		}
		answers := map[string]error{}
		var mu sync.Mutex
		var all sync.WaitGroup
		want := func(name string, ctx context.Context) {
			all.Go(func() {
				err := r.Now(ctx, id(name))
				mu.Lock()
				defer mu.Unlock()
				answers[name] = err
			})
			synctest.Wait()
		}
		hasty, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		want("nobody", t.Context())
		want("goes", t.Context())
		want("stays", hasty)
		pass(2 * time.Second)
		if err := r.Now(t.Context(), id("stays")); !errors.Is(err, Waiting) {
			t.Errorf("what waits already: got %v", err)
		}
		r.sets <- []probe.Job{set[0], set[2]}
		synctest.Wait()
		r.stop()
		all.Wait()
		for name, want := range map[string]error{"nobody": Unknown, "goes": Unknown, "stays": context.DeadlineExceeded} {
			if !errors.Is(answers[name], want) {
				t.Errorf("%s: got %v, wanted %v", name, answers[name], want)
			}
		}
		late, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Now(late, id("stays")); !errors.Is(err, context.DeadlineExceeded) || !r.Next(id("stays")).IsZero() {
			t.Errorf("after the end: got %v, and a next run at %s", err, r.Next(id("stays")))
		}
	})
}

// TestNow_whileStopping: who waits for a slot is told that there will be none.
func TestNow_whileStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := forever(t, &log{}, Options{MaxConcurrent: 1}, []probe.Job{job("held", 10*time.Minute, takes(5*time.Minute)), job("waits", 2*time.Hour, good)})
		for len(r.of("held")) < 2 {
			pass(time.Second)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		answer := make(chan error, 1)
		go func() { answer <- r.Now(ctx, probe.ID{System: "ibex", Name: "waits"}) }()
		synctest.Wait()
		r.stop()
		if err := <-answer; !errors.Is(err, Stopping) {
			t.Errorf("got %v, want %v", err, Stopping)
		}
	})
}

// While the last run ends, a request for another is refused at once.
func TestNow_onceStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		slow := func(context.Context, *probe.Result) { <-release }
		r := forever(t, &log{}, Options{}, []probe.Job{job("slow", time.Minute, slow), job("other", time.Minute, good)})
		for len(r.of("slow")) == 0 {
			pass(time.Second)
		}
		r.cancel()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Now(ctx, probe.ID{System: "ibex", Name: "other"}); !errors.Is(err, Stopping) {
			t.Errorf("got %v, want %v", err, Stopping)
		}
		close(release)
		synctest.Wait()
	})
}

// Who waited for a slot while the prober itself stood still is told that there was none, and does not wait for ever.
func TestNow_acrossAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		var stall atomic.Bool
		l.skipping = func(probe.ID) { // on the loop
			if stall.Swap(false) {
				time.Sleep(3*time.Minute + 30*time.Second)
			}
		}
		r := forever(t, &l, Options{MaxConcurrent: 1}, []probe.Job{job("held", 10*time.Minute, takes(2*time.Minute)), job("waits", time.Minute, good)})
		for len(r.of("held")) == 0 {
			pass(time.Second)
		}
		stall.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		asked := time.Now()
		if err, took := r.Now(ctx, probe.ID{System: "ibex", Name: "waits"}), time.Since(asked); !errors.Is(err, Waiting) || took > 5*time.Minute {
			t.Errorf("got %v after %s, want %v after the stall", err, took, Waiting)
		}
	})
}

// TestNext_duringARun: while a job runs, the run after this one is foretold.
func TestNext_duringARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := forever(t, &log{}, Options{}, []probe.Job{job("slow", time.Minute, takes(30*time.Second))})
		for len(r.of("slow")) < 2 {
			pass(time.Second)
		}
		began := r.of("slow")[1].at
		if got := r.Next(probe.ID{System: "ibex", Name: "slow"}).Sub(began); got != time.Minute {
			t.Errorf("the next run is foretold for %s after this one began, want 1m", got)
		}
	})
}

func TestNow_rateLimitAndStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := func(name string) probe.ID { return probe.ID{System: "ibex", Name: name} }
		limited := func(_ context.Context, r *probe.Result) { r.Report("it", probe.RateLimited, "429") }
		release := make(chan struct{})
		stuck := func(context.Context, *probe.Result) { <-release }
		r := forever(t, &log{}, Options{}, []probe.Job{job("limited", time.Minute, limited), job("stuck", time.Minute, stuck)})
		for len(r.verdicts("limited")) == 0 {
			pass(time.Second)
		}
		ran := r.of("limited")
		if got := r.Next(id("limited")).Sub(ran[len(ran)-1].at); got != 2*time.Minute {
			t.Errorf("after a 429 the next run is foretold for %s later, want 2m", got)
		}
		pass(time.Minute)
		if err := r.Now(t.Context(), id("limited")); !errors.Is(err, Limited) {
			t.Errorf("a target that asked for fewer requests: got %v", err)
		}
		if err := r.Now(t.Context(), id("stuck")); !errors.Is(err, Stuck) {
			t.Errorf("a run that never ends: got %v", err)
		}
		close(release)
		synctest.Wait()
	})
}
