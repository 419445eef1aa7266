package schedule

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
)

func TestReload_keepsDueTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := jobs(10, 30*time.Second, good)
		r := forever(t, &log{}, Options{}, set)
		pass(time.Minute)
		for range 1000 { // far more often than anything is due
			pass(100 * time.Millisecond)
			r.sets <- slices.Clone(set)
		}
		for _, j := range set {
			starts := r.of(j.Name)
			for i, s := range starts[1:] {
				if step := s.at.Sub(starts[i].at); step != 30*time.Second {
					t.Fatalf("%s ran %s after the run before, want 30s", j.Name, step)
				}
			}
			if len(starts) < 5 {
				t.Errorf("%s ran %d times in 160s", j.Name, len(starts))
			}
		}
	})
}

func TestReload_order(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := jobs(40, 30*time.Second, good)
		r := forever(t, &log{}, Options{}, set)
		pass(30 * time.Second)
		before := phases(r, 30*time.Second)
		slices.Reverse(set)
		r.sets <- set[10:]
		r.reset()
		pass(30 * time.Second)
		after := phases(r, 30*time.Second)
		if len(after) != 30 {
			t.Errorf("%d jobs ran, want the 30 that stayed", len(after))
		}
		for name, at := range after {
			if before[name] != at {
				t.Errorf("%s moved from %s to %s", name, before[name], at)
			}
		}
		// New jobs take the places of the removed ones.
		r.sets <- append(set[10:], job("new", 30*time.Second, good))
		r.reset()
		pass(30 * time.Second)
		fresh := phases(r, 30*time.Second)["new"]
		if !slices.ContainsFunc(set[:10], func(j probe.Job) bool { return before[j.Name] == fresh }) {
			t.Errorf("the new job's phase %s is none of those that became free", fresh)
		}
	})
}

func TestReload_takesEffectAtTheNextRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		say := func(what string) asks {
			return func(_ context.Context, r *probe.Result) { r.Pass("it", "%s", what) }
		}
		r := forever(t, &log{}, Options{}, []probe.Job{job("a", 10*time.Second, say("old"))})
		pass(20 * time.Second)
		r.sets <- []probe.Job{job("a", 10*time.Second, say("new"))}
		pass(20 * time.Second)
		r.sets <- []probe.Job{job("a", 5*time.Second, say("faster"))}
		pass(20 * time.Second)
		var got []string
		for _, res := range r.results {
			got = append(got, res.Checks[0].Detail)
		}
		want := "[old old new new faster faster faster faster]"
		if fmt.Sprint(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestReload_removedJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := jobs(3, 10*time.Second, takes(6*time.Second))
		r := forever(t, &log{}, Options{}, slow)
		pass(10 * time.Second) // whatever the phase, a run of each is under way at least once
		removed := slow[0].Name
		for len(r.of(removed)) != len(r.verdicts(removed))+1 {
			pass(time.Second)
		}
		seen, ran := len(r.verdicts(removed)), len(r.of(removed))
		r.sets <- slow[1:]
		pass(time.Minute)
		if n := len(r.verdicts(removed)); n != seen {
			t.Errorf("%d results of a removed job were observed", n-seen)
		}
		if n := len(r.of(removed)); n != ran {
			t.Errorf("a removed job ran %d times more", n-ran)
		}
		if n := len(r.of(slow[1].Name)); n < 6 {
			t.Errorf("a job that stayed ran %d times, want 7", n)
		}
	})
}

func TestReload_changedType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := job("a", 10*time.Second, takes(6*time.Second))
		a.Type = "http"
		r := forever(t, &log{}, Options{}, []probe.Job{a})
		for len(r.of("a")) == 0 {
			pass(time.Second)
		}
		b := job("a", 10*time.Second, good)
		b.Type = "jwks"
		r.sets <- []probe.Job{b}
		pass(30 * time.Second)
		for _, res := range r.results {
			if res.Type != "jwks" {
				t.Errorf("a result of type %s was observed after the job became one of type jwks", res.Type)
			}
		}
		if len(r.results) < 2 {
			t.Errorf("%d results, want 2 or 3", len(r.results))
		}
	})
}

// A run that is under way as the settings change has an answer to a question that is no longer asked: its pass would be that of the new
// one until that runs, which may take a day. A run whose job has new labels only counts.
func TestReload_changedSettings(t *testing.T) {
	for name, c := range map[string]struct{ settings, want string }{
		"others":   {"expects 500", "[]"},
		"the same": {"expects 200", "[pass(ok)]"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := job("a", time.Hour, takes(6*time.Second))
				a.Settings = "expects 200"
				r := forever(t, &log{}, Options{}, []probe.Job{a})
				for len(r.of("a")) == 0 {
					pass(time.Second)
				}
				b := a
				b.Settings, b.Labels = c.settings, map[string]string{"env": "test"}
				r.sets <- []probe.Job{b}
				pass(10 * time.Second)
				if got := fmt.Sprint(r.verdicts("a")); got != c.want {
					t.Errorf("observed %s, expected %s", got, c.want)
				}
			})
		})
	}
}

func TestReload_jobThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var under atomic.Int32
		a := job("a", 4*time.Second, func(ctx context.Context, r *probe.Result) {
			if under.Add(1) > 1 {
				t.Error("two runs at the same time")
			}
			takes(30*time.Second)(ctx, r)
			under.Add(-1)
		})
		a.Timeout = time.Minute
		r := forever(t, &log{}, Options{}, []probe.Job{a})
		pass(5 * time.Second)
		r.sets <- nil
		pass(5 * time.Second)
		r.sets <- []probe.Job{a}
		pass(50 * time.Second)
		if n := len(r.of("a")); n != 2 {
			t.Errorf("ran %d times, want 2: one before it was removed, one after that ended", n)
		}
		if len(r.results) != 0 {
			t.Errorf("observed %d results, want none: the first was of the removed job, the second is under way", len(r.results))
		}
	})
}

func TestReload_closedChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := forever(t, &log{}, Options{}, []probe.Job{job("a", 10*time.Second, good)})
		close(r.sets)
		pass(time.Minute)
		if n := len(r.results); n != 6 {
			t.Errorf("%d results, want 6", n)
		}
	})
}

func TestForever_waitsForTheFirstSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(nil, Options{})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.Forever(ctx, make(chan []probe.Job)) })
		pass(time.Hour)
		if err := s.Healthy(); err != nil {
			t.Error(err)
		}
		cancel()
		wg.Wait()
	})
}

func TestReload_duplicateJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := job("a", 10*time.Second, good)
		r := forever(t, &log{}, Options{}, []probe.Job{a, a})
		pass(time.Minute)
		if n := len(r.results); n != 6 {
			t.Errorf("%d results in six intervals, want 6", n)
		}
	})
}

// Daily jobs have a result within a minute of the start, and do not start all at once.
func TestForever_longIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, set := time.Now(), jobs(20, 24*time.Hour, good)
		r := forever(t, &log{}, Options{}, set)
		pass(maxFirstWait + time.Second)
		early := 0
		for _, j := range set {
			starts := r.of(j.Name)
			if len(starts) != 1 || starts[0].at.Sub(begun) > maxFirstWait {
				t.Fatalf("%s started %v", j.Name, starts)
			}
			if starts[0].at.Sub(begun) < maxFirstWait/2 {
				early++
			}
		}
		if early < 5 || early > 15 {
			t.Errorf("%d of 20 started in the first half of the minute", early)
		}
	})
}

// A scheduler needs no watcher.
func TestForever_unwatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		New(&l, Options{}).Once(t.Context(), jobs(3, time.Minute, good))
		if len(l.results) != 3 {
			t.Errorf("got %d results", len(l.results))
		}
	})
}

func TestForever_zeroInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := forever(t, &log{}, Options{}, []probe.Job{{ID: probe.ID{Name: "a"}, Probe: asks(good), Timeout: time.Second}})
		pass(10*time.Millisecond - 1)
		if n := len(r.of("a")); n != 10 {
			t.Errorf("ran %d times in 10 ms, want 10", n)
		}
	})
}

func TestReload_removedJobLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := []probe.Job{job("slow", 10*time.Second, takes(7*time.Second)), job("waits", 10*time.Second, good)}
		r := forever(t, &log{}, Options{MaxConcurrent: 1}, set)
		for r.waiting() == 0 {
			pass(100 * time.Millisecond)
		}
		ran := len(r.of("waits"))
		r.sets <- set[:1]
		pass(time.Minute)
		if n := len(r.of("waits")); n != ran {
			t.Errorf("a removed job that waited ran %d times more", n-ran)
		}
		if n := r.waiting(); n != 0 {
			t.Errorf("%d still wait", n)
		}
	})
}

func TestReload_storm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chance := rand.New(rand.NewPCG(1, 1))
		under := map[string]*atomic.Int32{}
		all := make([]probe.Job, 150)
		for i := range all {
			n := &atomic.Int32{}
			all[i] = job(fmt.Sprintf("p%05d", i), 2*time.Second, func(ctx context.Context, r *probe.Result) {
				if n.Add(1) > 1 {
					t.Error("two runs of a job at the same time")
				}
				takes(1500*time.Millisecond)(ctx, r)
				n.Add(-1)
			})
			under[all[i].Name] = n
		}
		var l log
		var present sync.Map
		l.observed = func(res probe.Result) {
			if _, ok := present.Load(res.Name); !ok {
				t.Errorf("observed %s, which had been removed", res.Name)
			}
		}
		for _, j := range all {
			present.Store(j.Name, true)
		}
		r := forever(t, &l, Options{}, all)
		pass(10 * time.Second)
		if d := l.depths[len(l.depths)-1]; d[0] < 100 {
			t.Fatalf("only %d runs under way, want 100", d[0])
		}
		stays := all[:100]
		for i := range 1000 {
			gone := chance.IntN(50)
			set := slices.Concat(stays, all[100:100+gone])
			for _, j := range all[100+gone:] {
				present.Delete(j.Name) // from here on it must not be observed; the set is applied before anything else can end
			}
			for _, j := range set {
				present.Store(j.Name, true)
			}
			if i%3 == 0 {
				chance.Shuffle(len(set), func(a, b int) { set[a], set[b] = set[b], set[a] })
			}
			r.sets <- set
			synctest.Wait()
			pass(time.Duration(chance.IntN(30)) * time.Millisecond)
		}
		r.stop()
		for _, j := range stays {
			starts := l.of(j.Name)
			for i, s := range starts[1:] {
				if step := s.at.Sub(starts[i].at); step != 2*time.Second {
					t.Fatalf("%s ran %s after the run before, want 2s in spite of the reloads", j.Name, step)
				}
			}
			if n := len(l.verdicts(j.Name)); n < len(starts)-1 {
				t.Errorf("%s: %d of %d runs observed", j.Name, n, len(starts))
			}
		}
	})
}
