package schedule

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

func TestForever_day(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := forever(t, &log{}, Options{}, []probe.Job{job("a", 30*time.Second, takes(7*time.Second))})
		pass(24 * time.Hour)
		r.stop()
		starts := r.of("a")
		if n := len(starts); n < 2879 || n > 2881 {
			t.Errorf("ran %d times in 24 hours, want 2880", n)
		}
		if n := len(r.results); n < len(starts)-1 {
			t.Errorf("observed %d of %d runs", n, len(starts))
		}
		drift := starts[len(starts)-1].at.Sub(starts[0].at) - time.Duration(len(starts)-1)*30*time.Second
		if drift.Abs() >= 30*time.Second {
			t.Errorf("drifted by %s", drift)
		}
		if skipped := r.skipped("a"); skipped != "" {
			t.Errorf("skipped %s", skipped)
		}
	})
}

func TestForever_slowJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		slow := func(ctx context.Context, r *probe.Result) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			takes(90*time.Second)(ctx, r)
		}
		j := job("slow", time.Minute, slow)
		j.Timeout = 2 * time.Minute
		r := forever(t, &log{}, Options{}, []probe.Job{j})
		pass(time.Hour)
		r.stop()
		if n := len(r.of("slow")); n != 30 {
			t.Errorf("ran %d times in an hour, want 30: every second tick", n)
		}
		if got := r.skipped("slow"); got != "in_flight 30" {
			t.Errorf("skipped %q, want in_flight 30", got)
		}
		if most.Load() != 1 {
			t.Errorf("%d runs at the same time, want 1", most.Load())
		}
	})
}

func TestForever_hungProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		set := jobs(20, 10*time.Second, good)
		for i := range 5 {
			hung := job(fmt.Sprintf("hung%d", i), 10*time.Second, func(context.Context, *probe.Result) { <-release })
			hung.Timeout = 2 * time.Second
			set = append(set, hung)
		}
		r := forever(t, &log{}, Options{MaxConcurrent: 5}, set)
		pass(time.Minute)
		for i := range 20 {
			starts := r.of(fmt.Sprintf("p%05d", i))
			if len(starts) != 6 {
				t.Errorf("p%05d ran %d times, want 6", i, len(starts))
			}
			for _, s := range starts {
				if s.lag > 2500*time.Millisecond { // while all places are taken by what will be left behind
					t.Errorf("%s started %s late", s.name, s.lag)
				}
			}
		}
		if got := fmt.Sprint(r.verdicts("hung0")); got != "[inconclusive(hung)]" {
			t.Errorf("the hung probe's results are %s, want one inconclusive(hung)", got)
		}
		if got := r.skipped("hung0"); got != "hung 5" {
			t.Errorf("the hung probe's ticks were skipped as %q, want hung 5", got)
		}
		close(release)
		pass(10 * time.Second)
		if n := len(r.of("hung0")); n != 2 {
			t.Errorf("once it had ended the probe ran %d times, want 2", n)
		}
	})
}

func TestForever_panickingProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := forever(t, &log{}, Options{}, []probe.Job{
			job("bad", 10*time.Second, func(context.Context, *probe.Result) { panic("bad") }),
			job("good", 10*time.Second, good),
		})
		pass(20 * time.Second)
		if got := fmt.Sprint(r.verdicts("bad"), r.verdicts("good")); got != "[inconclusive(panic) inconclusive(panic)] [pass(ok) pass(ok)]" {
			t.Errorf("got %s", got)
		}
	})
}

func TestForever_stallIsNoBurst(t *testing.T) {
	testenv.WithoutRace(t)
	for _, stall := range []time.Duration{3 * time.Second, 10 * time.Second, 35 * time.Second, 10 * time.Minute} {
		t.Run(stall.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n, interval = 1000, 10 * time.Second
				var l log
				var stalled atomic.Bool
				var during string
				var resumed time.Time
				// The watcher is told on the loop: while it sleeps nothing can start.
				l.started = func(id probe.ID) {
					if stalled.Swap(false) {
						time.Sleep(stall)
						during, resumed = id.Name, time.Now()
					}
				}
				forever(t, &l, Options{MaxConcurrent: n}, jobs(n, interval, takes(4*time.Second)))
				pass(2 * interval)
				l.reset()
				begin := time.Now()
				stalled.Store(true)
				pass(stall + 2*interval)
				atOnce, inOneInterval := 0, map[string]int{}
				for _, s := range l.starts {
					if s.at.Equal(resumed) {
						atOnce++
					}
					if d := s.at.Sub(resumed); 0 <= d && d < interval {
						inOneInterval[s.name]++
					}
					if s.lag > tolerance(interval) {
						t.Errorf("%s ran for a tick %s ago", s.name, s.lag)
					}
				}
				if share := n * int(tolerance(interval)) / int(interval); atOnce > share+2 {
					t.Errorf("%d jobs started at once, want at most %d", atOnce, share)
				}
				for name, times := range inOneInterval {
					if times > 2 {
						t.Errorf("%s ran %d times in the interval after the stall", name, times)
					}
				}
				ticks := n * int(time.Since(begin)/interval)
				for _, s := range l.skips {
					if s.why != Late && s.name != during {
						t.Errorf("%s was skipped as %s, want late", s.name, s.why)
					}
				}
				if got := len(l.starts) + len(l.skips); got < ticks-2 || got > ticks+n {
					t.Errorf("%d runs and skips, want about %d: every tick is counted", got, ticks)
				}
				if want := n * int(stall-tolerance(interval)) / int(interval); len(l.skips) < want-5 || len(l.skips) > want+5 {
					t.Errorf("%d ticks counted as late, want %d", len(l.skips), want)
				}
			})
		})
	}
}

func TestForever_stallWhileCounting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		l.started = func(probe.ID) {
			if len(l.starts) == 200 {
				time.Sleep(3 * time.Second)
			}
		}
		stalled := false
		l.skipping = func(probe.ID) {
			if !stalled {
				stalled = true
				time.Sleep(8 * time.Second)
			}
		}
		forever(t, &l, Options{}, jobs(100, 10*time.Second, good))
		pass(2 * time.Minute)
		if !stalled {
			t.Fatal("the watcher was never told of a skip")
		}
		for _, s := range l.starts {
			if s.lag > tolerance(10*time.Second) {
				t.Errorf("%s ran for a tick %s ago", s.name, s.lag)
			}
		}
	})
}

func TestForever_maxConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Twenty runs of 1 s with two places take as long as the interval of 10 s.
		r := forever(t, &log{}, Options{MaxConcurrent: 2}, jobs(20, 10*time.Second, takes(time.Second)))
		pass(time.Minute)
		most, queued := 0, 0
		for _, d := range r.depths {
			most, queued = max(most, d[0]), max(queued, d[1])
		}
		if most != 2 || queued == 0 {
			t.Errorf("at most %d ran and %d waited, want 2 and some", most, queued)
		}
		waited := false
		for _, s := range r.starts {
			waited = waited || s.lag > 0
		}
		if !waited {
			t.Error("nothing waited, or the wait was not counted as lag")
		}
		for _, res := range r.results {
			if res.Took > time.Second {
				t.Errorf("%s took %s, want 1s: the wait is not the target's", res.Name, res.Took)
			}
		}
		r.stop()
		if last := r.depths[len(r.depths)-1]; last != [2]int{} {
			t.Errorf("the last depth told is %v, want none", last)
		}
	})
}

func TestForever_queueOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := forever(t, &log{}, Options{MaxConcurrent: 1}, jobs(40, 10*time.Second, takes(300*time.Millisecond)))
		pass(9 * time.Second)
		ticks := make([]time.Time, 0, len(r.starts))
		for _, s := range r.starts {
			ticks = append(ticks, s.at.Add(-s.lag))
		}
		if len(ticks) < 20 || !slices.IsSortedFunc(ticks, time.Time.Compare) {
			t.Errorf("%d starts, not in the order of their ticks", len(ticks))
		}
	})
}

func TestForever_overload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Two hundred runs of 1 s each 10 s with four places: a fifth of them fits. Short intervals get their turn too.
		set := jobs(200, 10*time.Second, takes(time.Second))
		set = append(set, job("short", time.Second, good))
		r := forever(t, &log{}, Options{MaxConcurrent: 4}, set)
		pass(10 * time.Minute)
		if got := len(r.starts); got < 4*600-10 {
			t.Errorf("%d runs, want all four places in use: 2400", got)
		}
		least := 1 << 30
		for _, j := range set {
			least = min(least, len(r.of(j.Name)))
		}
		if least < 8 {
			t.Errorf("a job ran only %d times in 60 ticks, want about 12", least)
		}
		for _, s := range r.starts {
			if s.lag > 10*time.Second {
				t.Errorf("%s started %s after its tick, want never later than its interval", s.name, s.lag)
			}
		}
		for _, s := range r.skips {
			if s.why != Overrun && s.why != InFlight { // that it waited may leave no time to end before its next tick
				t.Fatalf("skipped as %s, want overrun", s.why)
			}
		}
		if most := slices.MaxFunc(r.depths, func(a, b [2]int) int { return cmp.Compare(a[1], b[1]) }); most[1] > len(set) {
			t.Errorf("%d waited, want each job at most once", most[1])
		}
	})
}

func TestForever_rateLimit(t *testing.T) {
	limits := map[string]asks{
		"reason": func(_ context.Context, r *probe.Result) { r.Report("it", probe.RateLimited, "asked to wait") },
		"status": func(_ context.Context, r *probe.Result) {
			r.Exchanged(probe.Exchange{Status: 429})
			r.Fail("it", probe.Status, "wanted 200, got 429")
		},
	}
	for name, ask := range limits {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var limited atomic.Bool
				limited.Store(true)
				r := forever(t, &log{}, Options{}, []probe.Job{job("a", time.Minute, func(ctx context.Context, r *probe.Result) {
					if limited.Load() {
						ask(ctx, r)
						return
					}
					good(ctx, r)
				})})
				gaps := func() (out []time.Duration) {
					for i, s := range r.of("a")[1:] {
						out = append(out, s.at.Sub(r.of("a")[i].at)/time.Minute)
					}
					return out
				}
				pass(31 * time.Minute)
				limited.Store(false)
				pass(12 * time.Minute)
				want := []time.Duration{2, 4, 8, 8, 8, 8, 1, 1}
				if got := gaps(); len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
					t.Errorf("intervals between runs %d, want %d", got, want)
				}
				if got := r.skipped("a"); got != "rate_limited 32" {
					t.Errorf("skipped %q, want rate_limited 32", got)
				}
				limited.Store(true)
				r.reset()
				pass(4 * time.Minute)
				if got := gaps(); len(got) == 0 || got[0] != 2 {
					t.Errorf("limited again after a pass: intervals %d, want 2 first", got)
				}
			})
		})
	}
}

// A target that says how long it wants to be left alone is believed, but it cannot end its own monitoring.
func TestForever_retryAfter(t *testing.T) {
	for _, c := range []struct{ interval, asked, heeded, gap time.Duration }{
		{10 * time.Second, 5 * time.Second, 5 * time.Second, 10 * time.Second}, // no interval is stretched
		{10 * time.Second, 25 * time.Second, 25 * time.Second, 30 * time.Second},
		{10 * time.Second, 10 * time.Minute, 10 * time.Minute, 10 * time.Minute},
		{time.Minute, time.Hour, maxRetryAfter, maxRetryAfter},
		{5 * time.Minute, time.Hour, maxBackoff * 5 * time.Minute, 45 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			var runs atomic.Int32
			r := forever(t, &log{}, Options{}, []probe.Job{job("a", c.interval, func(ctx context.Context, r *probe.Result) {
				if runs.Add(1) > 1 {
					good(ctx, r)
					return
				}
				r.Exchanged(probe.Exchange{Status: 429, RetryAfter: c.asked})
				r.Report("it", probe.RateLimited, "asked to wait")
			})})
			pass(2 * time.Hour)
			r.stop()
			starts := r.of("a")
			first, gap := starts[0].at, starts[1].at.Sub(starts[0].at)
			if gap > c.gap || gap < c.heeded {
				t.Errorf("every %s, asked for %s: the next run came after %s, expected %s", c.interval, c.asked, gap, c.gap)
			}
			if len(r.limits) != 2 || !r.limits[0].Equal(first.Add(c.heeded)) || !r.limits[1].IsZero() {
				t.Errorf("every %s, asked for %s at %s: told %v, expected the time until which it waits and then none", c.interval, c.asked, first, r.limits)
			}
		})
	}
}

// A target that says for how long begins from scratch: the next rate limit without a time doubles the interval once.
func TestForever_retryAfterBetweenRateLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		r := forever(t, &log{}, Options{}, []probe.Job{job("a", time.Minute, func(_ context.Context, r *probe.Result) {
			limited := probe.Exchange{Status: 429}
			if runs.Add(1) == 3 {
				limited.RetryAfter = 90 * time.Second
			}
			r.Exchanged(limited)
			r.Report("it", probe.RateLimited, "asked to wait")
		})})
		pass(time.Hour)
		r.stop()
		var gaps []time.Duration
		starts := r.of("a")
		for i, s := range starts[1:] {
			gaps = append(gaps, s.at.Sub(starts[i].at)/time.Minute)
		}
		if want := []time.Duration{2, 4, 2, 2, 4, 8, 8}; len(gaps) < len(want) || !slices.Equal(gaps[:len(want)], want) {
			t.Errorf("intervals between runs %d, want %d", gaps, want)
		}
	})
}

func TestForever_expected429(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := forever(t, &log{}, Options{}, []probe.Job{job("a", time.Minute, func(_ context.Context, r *probe.Result) {
			r.Exchanged(probe.Exchange{Status: 429, Expected: true})
			r.Pass("it", "the limit works")
		})})
		pass(10 * time.Minute)
		if n := len(r.of("a")); n != 10 {
			t.Errorf("ran %d times in 10 minutes, want 10", n)
		}
	})
}

func TestForever_cancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		hung := job("hung", 10*time.Second, func(context.Context, *probe.Result) { <-release })
		hung.Timeout = time.Second
		tidy := job("tidy", 10*time.Second, func(ctx context.Context, r *probe.Result) {
			<-ctx.Done()
			time.Sleep(2 * time.Second) // as one that cleans up
		})
		set := append(jobs(50, 10*time.Second, takes(7*time.Second)), hung, tidy, job("quick", 10*time.Second, good))
		r := forever(t, &log{}, Options{MaxConcurrent: 20}, set)
		pass(30 * time.Second)
		for _, v := range append(r.verdicts("p00000"), r.verdicts("quick")...) {
			if v != "pass(ok)" {
				t.Errorf("before: %s", v)
			}
		}
		r.log.mu.Lock()
		observed, started := len(r.results), len(r.starts)
		r.log.mu.Unlock()
		at := time.Now()
		r.stop()
		if took := time.Since(at); took > 2*time.Second {
			t.Errorf("took %s to end, want 2s: the runs heed their context, and what is left behind is not waited for", took)
		}
		pass(time.Minute)
		if len(r.starts) != started {
			t.Errorf("%d runs started after the end", len(r.starts)-started)
		}
		if len(r.results) != observed {
			t.Errorf("%d cancelled runs were observed, last %+v", len(r.results)-observed, r.results[len(r.results)-1].Decisive())
		}
		if err := r.Healthy(); err != nil {
			t.Errorf("%v, want healthy: only a probe was left behind", err)
		}
	})
}

// What a run has proven is told, though the prober stops in the middle of it.
func TestForever_cancelledAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leak := job("leak", 10*time.Second, func(ctx context.Context, r *probe.Result) {
			r.Fail("it", probe.AuthBypass, "got 501")
			<-ctx.Done()
		})
		r := forever(t, &log{}, Options{}, []probe.Job{leak})
		pass(leak.Interval + leak.Timeout/2)
		r.reset()
		r.stop()
		if got := fmt.Sprint(r.verdicts("leak")); got != "[fail(auth_bypass)]" {
			t.Errorf("observed %s, want [fail(auth_bypass)]", got)
		}
	})
}

func TestForever_startsNothingOnceCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var l log
		l.started = func(probe.ID) {
			if len(l.starts) == 3 {
				cancel()
			}
		}
		New(&l, Options{Watcher: &l}).Once(ctx, jobs(10, time.Minute, takes(time.Second)))
		if len(l.starts) != 3 || len(l.results) != 10 {
			t.Errorf("%d runs started and %d results were observed, want 3 and 10", len(l.starts), len(l.results))
		}
	})
}

func TestForever_countsEveryTick(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				chance := rand.New(rand.NewPCG(seed, 1))
				var under, over atomic.Int32
				set := make([]probe.Job, 60)
				for i := range set {
					interval := time.Duration(1+chance.IntN(20)) * time.Second
					slow := time.Duration(chance.Int64N(int64(2 * interval)))
					busy := &atomic.Bool{}
					set[i] = job(fmt.Sprint(i), interval, func(ctx context.Context, r *probe.Result) {
						if busy.Swap(true) || under.Add(1) > 8 {
							over.Add(1)
						}
						takes(slow)(ctx, r)
						if i%7 == 0 {
							r.Report("it", probe.RateLimited, "wait")
						}
						under.Add(-1)
						busy.Store(false)
					})
					set[i].Timeout = interval * 3 / 2
				}
				var l log
				stalls := 0
				l.started = func(probe.ID) {
					if stalls++; stalls%300 == 299 {
						time.Sleep(7 * time.Second)
					}
				}
				began := time.Now()
				r := forever(t, &l, Options{MaxConcurrent: 8}, set)
				pass(20 * time.Minute)
				r.cancel()
				lasted := time.Since(began)
				<-r.ended
				for _, j := range set {
					counted := len(l.of(j.Name))
					for _, s := range l.skips {
						if s.name == j.Name {
							counted++
						}
					}
					for _, s := range l.of(j.Name) {
						if s.lag > j.Interval {
							t.Errorf("every %s: started %s late", j.Interval, s.lag)
						}
					}
					// One tick may still wait for a place, and one for the end of a stall.
					if ticks := int(lasted / j.Interval); counted < ticks-1-int(7*time.Second/j.Interval) || counted > ticks+1 {
						t.Errorf("every %s: %d runs and skips in %d ticks", j.Interval, counted, ticks)
					}
				}
				if over.Load() > 0 {
					t.Errorf("%d runs overlapped their own job's or were too many", over.Load())
				}
			})
		})
	}
}
