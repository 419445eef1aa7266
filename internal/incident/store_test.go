package incident

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// TestSave_andLoad shows that a new process writes the same note as the one before it.
func TestSave_andLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "incident.json")
	before := New()
	before.SetJobs(jobs())
	see(before, "proxy", 0, well)
	see(before, "proxy", 2, oneReplicaDown)
	if err := before.Save(path); err != nil {
		t.Fatal(err)
	}
	after := New()
	if err := after.Load(path); err != nil {
		t.Fatal(err)
	}
	after.SetJobs(jobs())
	if got, want := after.Note("ibex"), before.Note("ibex"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	see(after, "proxy", 5, well)
	if got := after.Note("ibex"); !strings.Contains(got, "[2026-11-22T03:05:00Z] recovery verified: passing again: proxy") {
		t.Errorf("got:\n%s", got)
	}
}

// TestFailingSince_restart: since when a probe fails is the start of the first of its failed runs in a row, of any process.
func TestFailingSince_restart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "incident.json")
	key := probe.Key{System: "ibex", Name: "proxy"}
	before := New()
	before.SetJobs(jobs())
	for minute, note := range []func(*probe.Result){oneReplicaDown, well, oneReplicaDown, oneReplicaDown} {
		see(before, "proxy", minute, note)
	}
	if err := before.Save(path); err != nil {
		t.Fatal(err)
	}
	after := New()
	if err := after.Load(path); err != nil {
		t.Fatal(err)
	}
	after.SetJobs(jobs())
	see(after, "proxy", 60, oneReplicaDown)
	if got, want := after.FailingSince(key), start.Add(2*time.Minute); !got.Equal(want) {
		t.Errorf("after a restart: fails since %s, expected %s", got, want)
	}
	see(after, "proxy", 61, func(r *probe.Result) { r.Inconclusive("live", probe.SelfNetwork, "the reference is out of reach too") })
	if got := after.FailingSince(key); !got.IsZero() {
		t.Errorf("after an inconclusive run: fails since %s", got)
	}
	see(after, "proxy", 62, oneReplicaDown)
	if got, want := after.FailingSince(key), start.Add(62*time.Minute); !got.Equal(want) {
		t.Errorf("after that: fails since %s, expected %s", got, want)
	}
	after.SetJobs(jobs()[1:])
	if got := after.FailingSince(key); !got.IsZero() {
		t.Errorf("of a probe that is gone: fails since %s", got)
	}
}

// TestLoad_damagedFile shows that nothing in a file can keep the prober from probing.
func TestLoad_damagedFile(t *testing.T) {
	testenv.WithoutRace(t)
	for name, c := range map[string]struct{ text, want string }{
		"cut off":         {`{"format":1,"systems":{"ibex":{"inc`, "damaged"},
		"empty":           {``, "damaged"},
		"another format":  {`{"format":7}`, "expected format 1, got 7"},
		"another's":       {`[1,2,3]`, "damaged"},
		"too large":       {strings.Repeat(" ", maxFileSize+1), "larger than"},
		"nulls":           {`{"format":1,"systems":{"ibex":null}}`, ""},
		"half an object":  {`{"format":1,"systems":{"ibex":{"incident":{"order":["x","y"],"open":["x"]}}}}`, ""},
		"nothing at all":  {`{"format":1}`, ""},
		"unknown members": {`{"format":1,"more":1}`, ""},
	} {
		path := filepath.Join(t.TempDir(), "incident.json")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		tracker := New()
		err := tracker.Load(path)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		tracker.SetJobs(jobs())
		see(tracker, "proxy", 0, oneReplicaDown)
		see(tracker, "proxy", 1, well)
		if got := tracker.Note("ibex"); !strings.Contains(got, "## Timeline") {
			t.Errorf("%s: got:\n%s", name, got)
		}
	}
	if err := New().Load(filepath.Join(t.TempDir(), "missing")); err != nil {
		t.Errorf("a file that is not there yet: %v", err)
	}
}

// TestSetAside keeps what a person may still read, and touches nothing but plain files.
func TestSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "incident.json")
	for _, text := range []string{"half a fi", "another"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		aside, err := SetAside(path)
		if kept, _ := os.ReadFile(path + ".damaged"); err != nil || aside != path+".damaged" || string(kept) != text {
			t.Errorf("got %q with %q and %v, want %q beside it", aside, kept, err, text)
		}
		if err := New().Load(path); err != nil {
			t.Errorf("the file is still there: %v", err)
		}
	}
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "missing")} {
		if aside, err := SetAside(path); err == nil {
			t.Errorf("%s was renamed to %s", path, aside)
		}
	}
}

// TestSave_largestFile fills the memory of several systems: the file must not become too large to read.
func TestSave_largestFile(t *testing.T) {
	testenv.WithoutRace(t)
	path := filepath.Join(t.TempDir(), "incident.json")
	targets := make([]string, maxTargets)
	for i := range targets {
		targets[i] = fmt.Sprintf("https://replica-%d.%s.example:8443/health", i, strings.Repeat("x", 60))
	}
	tracker := New()
	var all []probe.Job
	for n := range 12 * maxSymptoms {
		all = append(all, probe.Job{ID: probe.ID{System: fmt.Sprintf("s%d", n%12), Name: fmt.Sprintf("p%d", n)}})
	}
	tracker.SetJobs(all)
	for _, j := range all {
		r := probe.NewResult(j.ID)
		r.Started = start
		r.Each(targets, func(_ int, r *probe.Result) {
			r.Fail("live", probe.Refused, "nobody listens")
		})
		tracker.Observe(*r)
	}
	if err := tracker.Save(path); err != nil {
		t.Fatal(err)
	}
	if err := New().Load(path); err != nil {
		t.Error(err)
	}
}

// TestSave_failedWrite shows that a write is all or nothing, and leaves no litter.
func TestSave_failedWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "incident.json")
	tracker := New()
	if err := tracker.Save(path); err != nil {
		t.Fatal(err)
	}
	if err := tracker.Save(filepath.Join(dir, "missing", "incident.json")); err == nil {
		t.Error("a directory that is not there: no error")
	}
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := tracker.Save(filepath.Join(dir, "taken")); err == nil {
		t.Error("a directory in place of the file: no error")
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.tmp"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("expected a file for its owner only, got %v %v", info.Mode(), err)
	}
}

// TestPersist shows that a wave of failures is one write, and that the last one comes at the end.
func TestPersist(t *testing.T) {
	path := filepath.Join(t.TempDir(), "incident.json")
	synctest.Test(t, func(t *testing.T) {
		tracker := New()
		tracker.SetJobs(jobs())
		ctx, cancel := context.WithCancel(t.Context())
		writes, done := 0, make(chan struct{})
		go func() {
			tracker.Persist(ctx, path, func(err error) {
				if writes++; err != nil {
					t.Error(err)
				}
			})
			close(done)
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		first := writes
		for minute := range 5 {
			see(tracker, "proxy", minute, oneReplicaDown)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if writes != first+1 {
			t.Errorf("five failures in one second: %d writes, want 1", writes-first)
		}
		for minute := range 5 {
			see(tracker, "proxy", minute, oneReplicaDown)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if writes != first+1 {
			t.Errorf("no news: %d writes more", writes-first-1)
		}
		cancel()
		<-done
		if writes != first+2 {
			t.Errorf("at the end: %d writes, want 1", writes-first-1)
		}
	})
}
