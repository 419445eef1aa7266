package schedule

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// maxStartsPerSecond is the largest number of starts in any 100 ms, of sorted times.
func maxStartsPerSecond(at []time.Duration) int {
	most, from := 0, 0
	for i := range at {
		for at[i]-at[from] >= 100*time.Millisecond {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

func TestForever_spreadsStarts(t *testing.T) {
	testenv.WithoutRace(t)
	synctest.Test(t, func(t *testing.T) {
		const n, interval = 10_000, 10 * time.Second
		begin := time.Now()
		r := forever(t, &log{}, Options{}, jobs(n, interval, good))
		pass(3*interval - 1)
		r.stop()
		at := make([]time.Duration, len(r.starts))
		each := map[string]int{}
		for i, s := range r.starts {
			at[i] = s.at.Sub(begin)
			each[s.name]++
			if s.lag != 0 {
				t.Fatalf("%s started %s late", s.name, s.lag)
			}
		}
		mean := float64(n) / float64(interval/(100*time.Millisecond))
		if ratio := float64(maxStartsPerSecond(at)) / mean; ratio > 1.1 {
			t.Errorf("the busiest 100 ms have %.2f times the mean of starts, want at most 1.1", ratio)
		}
		for name, times := range each {
			if times != 3 {
				t.Fatalf("%s ran %d times in three intervals", name, times)
			}
		}
		if len(each) != n || len(r.skips) > 0 || len(r.results) != 3*n {
			t.Errorf("%d jobs ran, %d ticks were skipped, %d runs observed", len(each), len(r.skips), len(r.results))
		}
	})
}

func TestPhase_isEven(t *testing.T) {
	for _, n := range []int{2, 3, 10, 97, 1000, 4321, 10_000, 100_000} {
		for _, interval := range []time.Duration{time.Second, 10 * time.Second, 37 * time.Second, 5 * time.Minute} {
			at := make([]time.Duration, n)
			for i := range at {
				at[i] = fraction(phase(i, interval, 0), interval)
			}
			slices.Sort(at)
			if at[0] < 0 || at[n-1] >= interval {
				t.Fatalf("a phase is outside the interval of %s", interval)
			}
			widest := at[0] + interval - at[n-1]
			for i := range at[1:] {
				widest = max(widest, at[i+1]-at[i])
			}
			if even := interval / time.Duration(n); widest > even*27/10 {
				t.Errorf("%d jobs every %s: the widest gap is %s, want at most 2.7 times the even one of %s", n, interval, widest, even)
			}
		}
	}
}

func TestPhase_firstJobsOfAllIntervals(t *testing.T) {
	seen := map[time.Duration]bool{}
	for s := range 30 {
		at := fraction(phase(0, time.Duration(s+1)*time.Second, 0), time.Minute)
		seen[at.Truncate(time.Second)] = true
	}
	if len(seen) < 15 {
		t.Errorf("the first jobs of 30 intervals share %d seconds of the minute, want them apart", len(seen))
	}
}

func TestPhase_replicas(t *testing.T) {
	for i := range 100 {
		const interval = 30 * time.Second
		var ticks []time.Duration
		for replica := range 3 {
			s := New(nil, Options{Offset: float64(replica) / 3})
			ticks = append(ticks, fraction(phase(i, interval, s.offset), interval))
		}
		for j, at := range ticks {
			if later := (at - ticks[0] + interval) % interval; (later - time.Duration(j)*interval/3).Abs() > time.Microsecond {
				t.Fatalf("job %d: replica %d asks %s after the first, want %d thirds of %s", i, j, later, j, interval)
			}
		}
	}
}

func TestPhase_offset(t *testing.T) {
	for offset, want := range map[float64]float64{0: 0, 0.25: 0.25, 1: 0, 1.5: 0.5, -1: 0} {
		if got := float64(New(nil, Options{Offset: offset}).offset) / (1 << 63) / 2; got != want {
			t.Errorf("offset %v is taken as %v, want %v", offset, got, want)
		}
	}
}

// phases returns the place of each job's first start within its interval, by the wall clock.
func phases(r *running, interval time.Duration) map[string]time.Duration {
	out := map[string]time.Duration{}
	for _, s := range r.starts {
		if _, known := out[s.name]; !known {
			out[s.name] = time.Duration(s.at.UnixNano() % int64(interval))
		}
	}
	return out
}

func TestPhase_survivesRestartAndGrowth(t *testing.T) {
	for _, interval := range []time.Duration{30 * time.Second, maxFirstWait} {
		survivesRestartAndGrowth(t, interval)
	}
}

func survivesRestartAndGrowth(t *testing.T, interval time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		set := jobs(100, interval, good)
		r := forever(t, &log{}, Options{}, set)
		pass(interval)
		r.stop()
		before := phases(r, interval)

		pass(1234567 * time.Microsecond)
		r = forever(t, &log{}, Options{}, set)
		pass(interval)
		again := phases(r, interval)
		for name, at := range before {
			if again[name] != at {
				t.Errorf("%s: phase %s before the restart and %s after", name, at, again[name])
			}
		}

		r.sets <- append([]probe.Job{job("new", interval, good)}, set...)
		r.reset()
		pass(interval)
		grown := phases(r, interval)
		if len(grown) != 101 {
			t.Errorf("%d jobs ran, want 101", len(grown))
		}
		for name, at := range before {
			if grown[name] != at {
				t.Errorf("%s: phase %s before a job was added and %s after", name, at, grown[name])
			}
		}
	})
}

func TestForever_firstRunOfALongInterval(t *testing.T) {
	testenv.WithoutRace(t)
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		r := forever(t, &log{}, Options{}, jobs(50, 24*time.Hour, good))
		pass(4 * 24 * time.Hour)
		for _, j := range jobs(50, 0, nil) {
			starts := r.of(j.Name)
			if len(starts) < 4 {
				t.Fatalf("%s ran %d times in four days", j.Name, len(starts))
			}
			if first := starts[0].at.Sub(begin); first > time.Minute {
				t.Errorf("%s ran first after %s, want within a minute", j.Name, first)
			}
			if step := starts[1].at.Sub(starts[0].at); step < 12*time.Hour || step > 36*time.Hour {
				t.Errorf("%s ran again after %s, want about a day", j.Name, step)
			}
			if step := starts[2].at.Sub(starts[1].at); step != 24*time.Hour {
				t.Errorf("%s then ran after %s, want a day", j.Name, step)
			}
		}
		if len(r.skips) > 0 {
			t.Errorf("%d ticks were skipped", len(r.skips))
		}
	})
}

func TestLatest(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name               string
		due, now, interval time.Duration
		tick               time.Duration
		missed             int
		fresh              bool
	}{
		{"on time", 10 * s, 10 * s, 10 * s, 10 * s, 0, true},
		{"a little late", 10 * s, 10*s + 400*time.Millisecond, 10 * s, 10 * s, 0, true},
		{"as late as may be", 10 * s, 10*s + 500*time.Millisecond, 10 * s, 10 * s, 0, true},
		{"too late", 10 * s, 10*s + 501*time.Millisecond, 10 * s, 10 * s, 1, false},
		{"late by nearly an interval", 10 * s, 19 * s, 10 * s, 10 * s, 1, false},
		{"late by an interval", 10 * s, 20 * s, 10 * s, 20 * s, 1, true},
		{"late by an interval and some", 10 * s, 23 * s, 10 * s, 20 * s, 2, false},
		{"late by an hour", 10 * s, 3610*s + 100*time.Millisecond, 10 * s, 3610 * s, 360, true},
		{"short interval", 0, 250 * time.Millisecond, s, 0, 0, true},
		{"short interval, too late", 0, 251 * time.Millisecond, s, 0, 1, false},
		{"long interval", 0, 2 * s, time.Hour, 0, 0, true},
		{"long interval, too late", 0, 2001 * time.Millisecond, time.Hour, 0, 1, false},
	}
	for _, tt := range tests {
		tick, missed, fresh := latest(tt.due, tt.now, tt.interval)
		if tick != tt.tick || missed != tt.missed || fresh != tt.fresh {
			t.Errorf("%s: got tick %s, missed %d, fresh %v; want %s, %d, %v", tt.name, tick, missed, fresh, tt.tick, tt.missed, tt.fresh)
		}
	}
}

func TestNext_isOnTheGrid(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		wall := chance.Int64N(4e18)
		interval := time.Duration(1 + chance.Int64N(int64(24*time.Hour)))
		at := time.Duration(chance.Int64N(int64(1000 * time.Hour)))
		p := chance.Uint64()
		tick := next(at, wall, p, interval)
		if tick < at || tick-at >= interval {
			t.Fatalf("next(%d, %d, %d, %d) = %d, which is not within an interval from at", at, wall, p, interval, tick)
		}
		place := (wall%int64(interval) + int64(tick)%int64(interval)) % int64(interval)
		if time.Duration(place) != fraction(p, interval) {
			t.Fatalf("next(%d, %d, %d, %d) = %d, which is off the grid", at, wall, p, interval, tick)
		}
		if on, behind := next(tick, wall, p, interval), next(tick+1, wall, p, interval); on != tick || behind != tick+interval {
			t.Fatalf("at the tick %d the next is %d, and just after it %d; want itself and the one after an interval of %d", tick, on, behind, interval)
		}
	}
}

func TestForever_monotonicClock(t *testing.T) {
	l := New(nil, Options{}).loop(t.Context())
	if l.start == l.start.Round(0) {
		t.Error("the start of the loop has no monotonic reading: a step of the wall clock would move every tick")
	}
}
