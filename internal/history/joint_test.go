package history

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"prober/internal/probe"
)

// TestJoint: a group was down in an hour for as long as its worst probe, up for as long as all of its probes, and all else is unknown.
func TestJoint(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"file", "memory", "written"} {
		s := newStore(newMemory(), Options{})
		if where != "memory" {
			s = open(t, filepath.Join(t.TempDir(), "history"), start)
			defer s.Close()
		}
		s.SetJobs(jobs("a", "b", "c"))
		for minute := range 180 { // from 10:00 to 13:00
			a, b := probe.Pass, probe.Pass
			if minute < 20 {
				a = probe.Fail // 20 minutes of the first hour
			}
			if minute >= 30 && minute < 40 {
				b = probe.Fail // 10 others
			}
			if minute >= 60 && minute < 90 {
				b = probe.Inconclusive // half of the second hour
			}
			if minute >= 150 {
				a = probe.Fail // half of the third, in which c did not run
			}
			at := start.Add(time.Duration(minute) * time.Minute)
			see(s, "a", at, a)
			see(s, "b", at, b)
			if minute < 120 {
				see(s, "c", at, probe.Pass)
			}
		}
		now := start.Add(179 * time.Minute)
		s.now = func() time.Time { return now }
		if where == "written" {
			s.write(true)
		}
		got, err := s.Joint([][]probe.ID{{id("a"), id("b")}, {id("a"), id("b"), id("c")}, {id("c")}, {id("other")}}, 0, 3)
		if err != nil {
			t.Fatal(err)
		}
		yesterday, err := s.Joint([][]probe.ID{{id("a"), id("b")}}, 1, 2)
		if err != nil || len(yesterday[0]) != 2 || !slices.Equal(yesterday[0], got[0][:2]) {
			t.Errorf("%s: the two days before today: %+v, %v, expected %+v", where, yesterday, err, got[0][:2])
		}
		for i, want := range []struct{ passed, failed time.Duration }{
			// An hour of 60 minutes ends with the run at its last minute, whose verdict stands until the next.
			{(40 + 30 + 30) * time.Minute, (20 + 29) * time.Minute}, // the first hour: a failed for 20, b for 10; all passed for 40 at least
			{(40 + 30) * time.Minute, (20 + 29) * time.Minute},
			{(120 + 1) * time.Minute, 0}, // the last run stands for a minute and a half, the half of which is past noon
			{0, 0},
		} {
			day := got[i][2]
			if len(got[i]) != 3 || !day.Start.Equal(start.Truncate(24*time.Hour)) || day.Span != now.Sub(day.Start) {
				t.Fatalf("%s, group %d: %+v", where, i, got[i])
			}
			if failed := day.Known - day.Passed; (day.Passed-want.passed).Abs() > 90*time.Second || failed != want.failed {
				t.Errorf("%s, group %d: passed %s, failed %s, expected %s and %s", where, i, day.Passed, failed, want.passed, want.failed)
			}
			if before := got[i][1]; before.Known != 0 || before.Span != 24*time.Hour {
				t.Errorf("%s, group %d: the day before: %+v", where, i, before)
			}
		}
	}
}

// TestLastRuns are those of this process or of the one before, whatever their age.
func TestLastRuns(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history")
	s := open(t, path, start, "a", "b")
	see(s, "a", start, probe.Pass)
	see(s, "a", start.Add(time.Minute), probe.Fail)
	check := func(s *Store) {
		t.Helper()
		got := s.LastRuns([]probe.ID{id("a"), id("b"), id("other")})
		at := start.Add(time.Minute)
		if a := got[0]; !a.At.Equal(at) || a.Verdict != probe.Fail || !a.Since.At.Equal(at) || !a.Since.Exact || a.Interval != time.Minute {
			t.Errorf("got %+v", a)
		}
		if got[1] != (probe.LastRun{}) || got[2] != (probe.LastRun{}) {
			t.Errorf("of probes that never ran: %+v", got[1:])
		}
	}
	check(s)
	s.write(true)
	s.Close()
	s = open(t, path, start.Add(time.Hour), "a", "b")
	defer s.Close()
	check(s)
}
