package history

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

var start = time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)

func id(name string) probe.ID { return probe.ID{System: "shop", Name: name, Type: "http"} }

func jobs(names ...string) (all []probe.Job) {
	for _, name := range names {
		all = append(all, probe.Job{ID: id(name), Interval: time.Minute})
	}
	return all
}

// see observes one run.
func see(s *Store, name string, at time.Time, v probe.Verdict) {
	r := probe.NewResult(id(name))
	r.Started, r.Took = at, 20*time.Millisecond
	switch v {
	case probe.Pass:
		r.Pass("status", "got 200")
	case probe.Fail:
		r.Fail("status", probe.Status, "expected 2xx, got 500")
	default:
		r.Inconclusive("status", probe.SelfNetwork, "the reference is out of reach too")
	}
	s.Observe(*r)
}

// open opens a file for the probes, and writes no longer by itself.
func open(t *testing.T, path string, now time.Time, names ...string) *Store {
	t.Helper()
	s, err := Open(path, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return now }
	s.backend.(*file).db.Load().NoSync = true // the tests kill no machine
	s.SetJobs(jobs(names...))
	return s
}

func pastOf(t *testing.T, s *Store, name string) probe.Past {
	t.Helper()
	past, err := s.Past(id(name))
	if err != nil {
		t.Fatal(err)
	}
	return past
}

// TestPast counts only known time, and shows how much of it there was.
func TestPast(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"file", "memory"} {
		s := newStore(newMemory(), Options{})
		if where == "file" {
			s = open(t, filepath.Join(t.TempDir(), "history"), start)
			defer s.Close()
		}
		s.SetJobs(jobs("up"))
		for minute := range 240 { // 3 h passed, 30 min failed, 30 min inconclusive
			v := probe.Pass
			if minute >= 180 {
				v = probe.Fail
			}
			if minute >= 210 {
				v = probe.Inconclusive
			}
			see(s, "up", start.Add(time.Duration(minute)*time.Minute), v)
			if minute%37 == 0 {
				s.write(true)
			}
		}
		s.now = func() time.Time { return start.Add(240*time.Minute - time.Second) }
		past := pastOf(t, s, "up")
		for i, u := range past.Uptimes {
			if u.Known != 210*time.Minute || u.Passed != 180*time.Minute || u.Span != []time.Duration{24, 7 * 24, 30 * 24, 90 * 24}[i]*time.Hour {
				t.Errorf("%s: span %d: got %+v", where, i, u)
			}
		}
		if got := s.Uptimes([]probe.ID{id("other"), id("up")}); len(got) != 2 || got[0].Known != 0 || got[1] != past.Uptimes[0] {
			t.Errorf("%s: got %+v", where, got)
		}
		today := past.Days[len(past.Days)-1]
		if len(past.Days) != 90 || today.Pass != 180 || today.Fail != 30 || today.Inconclusive != 30 || today.Latency95 != 20*time.Millisecond {
			t.Errorf("%s: got %d days, the last is %+v", where, len(past.Days), today)
		}
		hours := past.Hours
		if len(hours) != 24 || hours[19].Pass+hours[19].Fail+hours[19].Inconclusive != 0 || hours[20].Pass != 60 || hours[20].Known != time.Hour ||
			hours[23].Fail != 30 || hours[23].Inconclusive != 30 || hours[23].Passed != 0 || !hours[20].Start.Equal(start) || hours[20].Latency95 != 20*time.Millisecond {
			t.Errorf("%s: got the hours %+v", where, hours)
		}
		if c := past.Changes; len(c) != 3 || c[0].Verdict != probe.Inconclusive || c[1].Reason != "status" || c[1].Detail != "expected 2xx, got 500" || !c[1].At.Equal(start.Add(180*time.Minute)) {
			t.Errorf("%s: got %+v", where, c)
		}
		s.now = func() time.Time { return start.Add(25 * time.Hour) } // the first hour is out of the day
		if got := s.Uptimes([]probe.ID{id("up")})[0]; got.Known != 150*time.Minute {
			t.Errorf("%s: an hour later: got %+v", where, got)
		}
	}
}

// TestPast_slowProbe: a verdict stands until the next run, over several hours if they are the interval.
func TestPast_slowProbe(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "history"), start.Add(13*time.Hour))
	defer s.Close()
	all := jobs("up")
	all[0].Interval = 6 * time.Hour
	s.SetJobs(all)
	see(s, "up", start, probe.Pass)
	see(s, "up", start.Add(6*time.Hour), probe.Fail)
	s.write(true)
	see(s, "up", start.Add(12*time.Hour), probe.Pass)
	if u := pastOf(t, s, "up").Uptimes[0]; u.Known != 13*time.Hour || u.Passed != 7*time.Hour {
		t.Errorf("got %+v", u)
	}
}

// TestSince continues over a restart, and does not claim more than was seen.
func TestSince(t *testing.T) {
	t.Parallel()
	at := func(minute int) time.Time { return start.Add(time.Duration(minute) * time.Minute) }
	path := filepath.Join(t.TempDir(), "history")
	s := open(t, path, start, "up", "down")
	see(s, "up", at(0), probe.Pass)
	see(s, "down", at(0), probe.Pass)
	see(s, "down", at(1), probe.Fail)
	for _, c := range []struct {
		name  string
		at    time.Time
		exact bool
	}{{"up", at(0), false}, {"down", at(1), true}} {
		if got := s.Since(id(c.name)); !got.At.Equal(c.at) || got.Exact != c.exact {
			t.Errorf("%s: got %+v", c.name, got)
		}
	}
	s.write(true)
	s.Close()

	s = open(t, path, start, "up", "down")
	see(s, "down", at(5), probe.Fail)
	see(s, "up", at(50), probe.Pass)
	if got := s.Since(id("down")); !got.At.Equal(at(1)) || !got.Exact {
		t.Errorf("soon after a restart: got %+v", got)
	}
	if got := s.Since(id("up")); !got.At.Equal(at(50)) || got.Exact {
		t.Errorf("after a long gap: got %+v", got)
	}
	see(s, "up", at(51), probe.Fail)
	if got := s.Since(id("up")); !got.At.Equal(at(51)) || !got.Exact {
		t.Errorf("after a change: got %+v", got)
	}
	s.Close()
}

// TestStore_clockJumps sets the clock at random between runs, restarts in between, and counts: no run is lost or counted twice.
func TestStore_clockJumps(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	path := filepath.Join(t.TempDir(), "history")
	s := open(t, path, start, "a", "b")
	at := start
	runs := map[string]int{}
	for n := range 1000 {
		switch random.IntN(20) {
		case 0:
			at = at.Add(-time.Duration(random.IntN(50)) * time.Hour)
		case 1:
			at = at.Add(time.Duration(random.IntN(50)) * time.Hour)
		default:
			at = at.Add(time.Minute)
		}
		name := []string{"a", "b"}[random.IntN(2)]
		see(s, name, at, probe.Verdict(random.IntN(3)))
		runs[name]++
		switch random.IntN(40) {
		case 0:
			s.write(true)
		case 1:
			s.write(false)
			s.backend.retain(at)
		case 2: // a restart; what was not written before is lost with a kill, and written at an ordinary end
			s.write(true)
			s.Close()
			s = open(t, path, at, "a", "b")
		case 3:
			s.SetJobs(jobs("a")) // without b, and with it again
			if n%2 == 0 {
				s.write(false)
			}
			s.SetJobs(jobs("a", "b"))
		}
	}
	s.write(true)
	for name, want := range runs {
		got := 0
		err := s.backend.read(func(v view) error {
			p := s.ask([]probe.ID{id(name)}, at)[0]
			cells, _ := v.hours(p.ref, 0, at.Unix()/3600+10*365*24)
			for _, c := range append(cells, p.recent...) {
				got += int(c.runs())
			}
			return nil
		})
		if err != nil || got != want {
			t.Errorf("%s: %v: got %d runs, expected %d", name, err, got, want)
		}
	}
	s.Close()
}

// TestStore_killed reads the file as a killed process left it.
func TestStore_killed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "history"), start, "up")
	for minute := range 90 {
		see(s, "up", start.Add(time.Duration(minute)*time.Minute), probe.Pass)
	}
	s.write(true)
	see(s, "up", start.Add(90*time.Minute), probe.Pass) // not written
	text, err := os.ReadFile(filepath.Join(dir, "history"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "copy"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, filepath.Join(dir, "copy"), start.Add(2*time.Hour), "up")
	see(s, "up", start.Add(100*time.Minute), probe.Pass)
	for range 2 {
		today := pastOf(t, s, "up").Days[89]
		if today.Pass != 91 {
			t.Errorf("got %d runs, expected 91", today.Pass)
		}
		s.write(true)
	}
	s.Close()
}

// TestRetention: hours go after 90 days, days after two years, and a clock that jumped ahead deletes nothing.
func TestRetention(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history")
	s := open(t, path, start, "up", "old")
	see(s, "old", start, probe.Pass)
	s.SetJobs(jobs("up"))
	days := 800
	for day := range days {
		at := start.AddDate(0, 0, day)
		see(s, "up", at, probe.Verdict(1+day%2))
		see(s, "up", at.Add(30*time.Second), probe.Pass)
		if day%10 == 0 {
			err := s.SaveState(nil, []probe.IncidentRecord{{System: "shop", Start: at, End: at.Add(time.Hour), Note: "note"}})
			if err != nil {
				t.Fatal(err)
			}
		}
		s.write(true)
		for range 5 {
			s.backend.retain(at)
		}
		if day == 50 {
			s.backend.retain(at.AddDate(70, 0, 0))
			see(s, "up", at.AddDate(70, 0, 0), probe.Pass)
			s.write(true)
			s.backend.retain(at.AddDate(70, 0, 0))
		}
	}
	now := start.AddDate(0, 0, days-1).Add(time.Minute)
	s.now = func() time.Time { return now }
	past := pastOf(t, s, "up")
	for i, d := range past.Days {
		if d.Pass+d.Fail != 2 {
			t.Errorf("day %d of 90: got %+v", i, d)
		}
	}
	if len(past.Changes) != shownChanges {
		t.Errorf("got %d changes", len(past.Changes))
	}
	err := s.backend.read(func(v view) error {
		tx := v.(fileView).tx
		to := now.Unix() / 86400
		if n := count(tx.Bucket(hoursBucket)); n != keptDays {
			t.Errorf("got hours of %d days", n)
		}
		if n := count(tx.Bucket(changesBucket)); n > keptDays {
			t.Errorf("got changes of %d days", n)
		}
		if n := count(tx.Bucket(probesBucket)); n != 1 {
			t.Errorf("got %d probes", n)
		}
		kept := v.days(s.ask([]probe.ID{id("up")}, now)[0].ref, to-799, to)
		if len(kept) < 731 || len(kept) > 731+2*daysInPeriod {
			t.Errorf("got %d days of 800", len(kept))
		}
		for _, d := range kept {
			if d.runs() != 2 && d.at != to {
				t.Errorf("day %d: got %d runs", d.at-to, d.runs())
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if got, err := s.Incidents(time.Time{}); err != nil || len(got) != 9 || got[0].Start.Before(got[1].Start) {
		t.Errorf("%v: got %d incidents", err, len(got))
	}
	s.Close()
}
