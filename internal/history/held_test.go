package history

import (
	"path/filepath"
	"testing"
	"time"

	"prober/internal/probe"
)

// TestPast_days: of a time without a gap all is known, also of the day that is only in part within the last 30 and 90 days.
func TestPast_days(t *testing.T) {
	t.Parallel()
	now := start.Add(100 * 24 * time.Hour).Add(-4 * time.Hour) // at six in the morning
	s := open(t, filepath.Join(t.TempDir(), "history"), now, "up")
	defer s.Close()
	all := jobs("up")
	all[0].Interval = 4 * time.Hour
	s.SetJobs(all)
	midnight := now.Truncate(24 * time.Hour)
	failing := midnight.AddDate(0, 0, -30) // the whole day of which the last 30 days have 18 hours
	for at := now.Add(-95 * 24 * time.Hour); !at.After(now); at = at.Add(4 * time.Hour) {
		v := probe.Pass
		if !at.Before(failing.Add(-2*time.Hour)) && at.Before(failing.Add(22*time.Hour)) {
			v = probe.Fail
		}
		see(s, "up", at, v)
		if at.Hour() == 2 {
			s.write(true)
		}
	}
	near := func(a, b time.Duration) bool { return max(a-b, b-a) < time.Minute }
	past := pastOf(t, s, "up")
	for i, passed := range []time.Duration{24 * time.Hour, 7 * 24 * time.Hour, 30*24*time.Hour - 18*time.Hour + 90*time.Minute, 90*24*time.Hour - 24*time.Hour} {
		u := past.Uptimes[i]
		if !near(u.Known, u.Span) || i != 2 && !near(u.Passed, passed) || i == 2 && max(u.Passed-passed, passed-u.Passed) > 2*time.Hour {
			t.Errorf("the last %s: known %s, passed %s, expected all and %s", u.Span, u.Known, u.Passed, passed)
		}
	}
	for i, d := range past.Days {
		span := 24 * time.Hour
		if i == len(past.Days)-1 {
			span = now.Sub(midnight)
		}
		if !d.Start.Equal(midnight.AddDate(0, 0, i-len(past.Days)+1)) || d.Span != span || !near(d.Known, d.Span) {
			t.Errorf("day %d is %+v", i, d)
		}
	}
}

// TestPast_nothingKnown: a probe that never ran has no days, and one of whose runs nothing is known has them.
func TestPast_nothingKnown(t *testing.T) {
	t.Parallel()
	s := newStore(newMemory(), Options{})
	s.now = func() time.Time { return start.Add(time.Minute) }
	s.SetJobs(jobs("never", "unknown"))
	see(s, "unknown", start, probe.Inconclusive)
	if past := pastOf(t, s, "never"); past.Days != nil || past.Hours != nil || past.Uptimes[3].Known != 0 {
		t.Errorf("one that never ran: got %+v", past)
	}
	if past := pastOf(t, s, "unknown"); len(past.Days) != 90 || past.Days[89].Inconclusive != 1 || past.Uptimes[3].Known != 0 {
		t.Errorf("one of which nothing is known: got %d days, %+v", len(past.Days), past.Uptimes)
	}
}

// TestPast_afterARestart: what was seen in the present hour before a restart counts, before the first run after it and with it, once.
func TestPast_afterARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history")
	at := func(minute int) time.Time { return start.Add(time.Duration(minute) * time.Minute) }
	s := open(t, path, at(20), "up")
	for minute := range 20 {
		see(s, "up", at(minute), probe.Pass)
	}
	s.write(true)
	s.Close()
	s = open(t, path, at(21), "up")
	defer s.Close()
	wants := func(what string, runs int, known time.Duration) {
		t.Helper()
		past := pastOf(t, s, "up")
		hour, today := past.Hours[len(past.Hours)-1], past.Days[len(past.Days)-1]
		if hour.Pass != runs || today.Pass != runs || past.Uptimes[0].Known != known || past.Uptimes[3].Known != known || hour.Known != known {
			t.Errorf("%s: this hour %+v, today %+v, in all %s; expected %d runs and %s", what, hour, today, past.Uptimes[0].Known, runs, known)
		}
	}
	wants("before a run", 20, 20*time.Minute+30*time.Second)
	see(s, "up", at(21), probe.Pass)
	wants("after one", 21, 20*time.Minute+30*time.Second)
	s.write(true)
	wants("once it is written", 21, 20*time.Minute+30*time.Second)
}

// TestMemory_wider: with too many probes hours are remembered by the two, the four and the eight. What is known stays the same.
func TestMemory_wider(t *testing.T) {
	t.Parallel()
	now := start.Add(16 * time.Hour) // two in the morning
	s := newStore(newMemory(), Options{})
	s.now = func() time.Time { return now }
	s.SetJobs(jobs("up"))
	for at := now.Add(-23 * time.Hour); at.Before(now); at = at.Add(time.Minute) {
		v := probe.Pass
		if at.Hour() == 12 {
			v = probe.Fail
		}
		see(s, "up", at, v)
	}
	s.write(true)
	before := pastOf(t, s, "up")
	for width := 2; width <= 8; width *= 2 {
		s.backend.(*memory).widen()
		past := pastOf(t, s, "up")
		if u := past.Uptimes[0]; u.Passed >= u.Known || max(u.Known-before.Uptimes[0].Known, before.Uptimes[0].Known-u.Known) > time.Duration(width)*time.Hour/4 {
			t.Errorf("by %d hours: got %+v, expected about %+v", width, u, before.Uptimes[0])
		}
		if past.Uptimes[3].Known != before.Uptimes[3].Known || past.Uptimes[3].Passed != before.Uptimes[3].Passed {
			t.Errorf("by %d hours: got the days %+v, expected %+v", width, past.Uptimes[3], before.Uptimes[3])
		}
		runs, fails := 0, 0
		for i, h := range past.Hours {
			runs, fails = runs+h.Pass+h.Fail, fails+h.Fail
			if i > 0 && h.Start.Sub(past.Hours[i-1].Start) != time.Duration(width)*time.Hour || h.Start.Hour()%width != 0 || h.Known > h.Span {
				t.Errorf("by %d hours: got %+v", width, h)
			}
		}
		if runs != 23*60 || fails != 60 {
			t.Errorf("by %d hours: %d runs, %d of which failed, in %d parts", width, runs, fails, len(past.Hours))
		}
	}
}

// TestCell_uptime: a cell that has more than its span, since the clock was set back, keeps the share that passed.
func TestCell_uptime(t *testing.T) {
	t.Parallel()
	const hour = 3600_000
	for _, c := range []struct {
		passed, failed uint32
		span, known    time.Duration
		ok             time.Duration
	}{
		{hour, 0, time.Hour, time.Hour, time.Hour}, {hour / 2, hour / 4, time.Hour, 45 * time.Minute, 30 * time.Minute},
		{hour, hour, time.Hour, time.Hour, 30 * time.Minute}, {3 * hour, hour, time.Hour, time.Hour, 45 * time.Minute}, {hour, 0, 0, 0, 0},
	} {
		u := (&cell{passed: c.passed, failed: c.failed}).uptime(c.span)
		if u.Span != c.span || u.Known != c.known || u.Passed != c.ok {
			t.Errorf("%+v: got known %s, passed %s", c, u.Known, u.Passed)
		}
	}
}
