package history

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// childRole names what TestChild does, if it is the process that a test starts.
const childRole = "PROBER_HISTORY_CHILD"

// child starts this test again, as a process with a role and a folder.
func child(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, "-test.run=^TestChild$", "-test.v")
	c.Env = append(os.Environ(), childRole+"="+role, "PROBER_HISTORY_DIR="+dir)
	return c
}

// TestChild is run by the other tests in a process of its own.
func TestChild(t *testing.T) {
	dir := os.Getenv("PROBER_HISTORY_DIR")
	switch os.Getenv(childRole) {
	case "writes":
		writeUntilKilled(t, filepath.Join(dir, "state"))
	case "full":
		fillDisk(t, dir)
	}
}

// writeUntilKilled observes runs, writes, and says after each write how many runs are in it.
func writeUntilKilled(t *testing.T, path string) {
	s, err := Open(path, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.SetJobs(jobs("up"))
	for n := 1; ; n++ {
		see(s, "up", start.Add(time.Duration(n)*7*time.Minute), probe.Verdict(1+n%2))
		s.write(n%3 == 0)
		s.backend.retain(start)
		if err := s.SaveState([]byte(`{"format":1}`), []probe.IncidentRecord{{System: "shop", Start: start.Add(time.Duration(n) * time.Hour)}}); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("\nwritten %d\n", n)
	}
}

// TestStore_killedWhileWriting kills a process that writes, again and again: no run that it wrote is lost, and none is there twice.
func TestStore_killedWhileWriting(t *testing.T) {
	testenv.Slow(t, "kills a process that writes, several times")
	testenv.WithoutRace(t)
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	rounds := 8
	if n, err := strconv.Atoi(os.Getenv("PROBER_HISTORY_ROUNDS")); err == nil {
		rounds = n
	}
	written := 0
	for round := range rounds {
		c := child(t, "writes", dir)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		last, stop := 0, 3+round*5%17
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if n, err := strconv.Atoi(strings.TrimPrefix(lines.Text(), "written ")); err == nil {
				if last = n; n == stop {
					_ = c.Process.Signal(syscall.SIGKILL)
				}
			}
		}
		_ = c.Wait()
		if last < stop {
			t.Fatalf("round %d: the process ended after %d writes, before it was killed", round, last)
		}
		written += last
		s, err := Open(path, nil, Options{})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		s.SetJobs(jobs("up"))
		s.write(true) // moves the open cell of the process that was killed
		got := 0
		err = s.backend.read(func(v view) error {
			p := s.ask([]probe.ID{id("up")}, start)[0].ref
			cells, _ := v.hours(p, start.Unix()/3600, start.Unix()/3600+24*30)
			for _, c := range append(cells, v.open(p)) {
				got += int(c.runs())
			}
			return nil
		})
		s.Close()
		if err != nil || got < written || got > written+1 { // one write may have taken effect before it was said
			t.Fatalf("round %d: %v: got %d runs, %d were written", round, err, got, written)
		}
		written = got
	}
}

// fillDisk uses a small disk of its own: history stops when it is full, and goes on when there is room again.
func fillDisk(t *testing.T, dir string) {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		fmt.Println("no rights:", err)
		return
	}
	path := filepath.Join(dir, "state")
	var lost uint64
	var failed error
	s, err := Open(path, nil, Options{Lost: func(n uint64) { lost += n }, Written: func(err error) { failed = err }})
	if err != nil {
		t.Fatal(err)
	}
	s.SetJobs(jobs("a", "b", "c"))
	see(s, "a", start, probe.Pass)
	s.write(true)
	if failed != nil {
		t.Fatal(failed)
	}
	ballast := filepath.Join(dir, "ballast")
	_ = os.WriteFile(ballast, bytes.Repeat([]byte("x"), 1<<20), 0o600) // as much as there is room
	runs, at, full := 1, start, false
	for n := 1; n < 3000; n++ {
		at = start.Add(time.Duration(n) * 20 * time.Minute)
		see(s, []string{"a", "b", "c"}[n%3], at, probe.Verdict(1+n%2))
		runs++
		if n%50 == 0 {
			s.write(true)
			s.backend.retain(at)
			if failed != nil && !full {
				full = true
				if !strings.Contains(failed.Error(), "no space left") {
					t.Errorf("got %v", failed)
				}
				s.now = func() time.Time { return at }
				if _, err := s.Past(id("a")); err != nil {
					t.Errorf("a full disk is not read: %v", err)
				}
			}
		}
	}
	if !full {
		t.Error("the disk was never full")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	s.write(true)
	if failed != nil {
		t.Errorf("there is room again: %v", failed)
	}
	got := 0
	err = s.backend.read(func(v view) error {
		for _, p := range s.ask([]probe.ID{id("a"), id("b"), id("c")}, start) {
			cells, _ := v.hours(p.ref, start.Unix()/3600, at.Unix()/3600+1)
			for _, c := range append(cells, p.recent...) {
				got += int(c.runs())
			}
		}
		return nil
	})
	if err != nil || uint64(got)+lost < uint64(runs) || got > runs {
		t.Errorf("%v: got %d of %d runs, %d are said to be lost", err, got, runs, lost)
	}
	s.Close()
	if again, err := Open(path, nil, Options{}); err != nil {
		t.Error(err)
	} else {
		again.Close()
	}
	fmt.Println("filled, lost", lost)
}

// TestStore_fullDisk needs a disk of its own, and so the right to mount one.
func TestStore_fullDisk(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	c := child(t, "full", t.TempDir())
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Unshareflags: syscall.CLONE_NEWNS}
	out, err := c.CombinedOutput()
	switch {
	case os.IsPermission(err) || strings.Contains(string(out), "no rights:"):
		t.Skipf("no right to mount a disk: %v %s", err, out)
	case err != nil || !strings.Contains(string(out), "filled"):
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// BenchmarkFile has 10,000 probes with a run a minute: a file of three days, written hour by hour.
func BenchmarkFile(b *testing.B) {
	const probes, days = 10_000, 3
	path := filepath.Join(b.TempDir(), "state")
	s, err := Open(path, nil, Options{})
	if err != nil {
		b.Fatal(err)
	}
	var all []probe.Job
	for n := range probes {
		all = append(all, probe.Job{ID: probe.ID{System: "system", Name: fmt.Sprintf("probe-%05d", n), Type: "http"}, Interval: time.Minute})
	}
	s.SetJobs(all)
	var hourly, minutely time.Duration
	for hour := range days * 24 {
		at := start.Add(time.Duration(hour) * time.Hour)
		s.mu.Lock()
		for n, j := range all {
			p := s.probes[identityOf(j.ID)]
			s.cell(p, at.Unix()/3600)
			for run := range 60 {
				p.open.add(probe.Pass, time.Duration(5+(n+run*7)%40)*time.Millisecond)
			}
			p.open.stand(probe.Pass, 3_600_000)
			p.last, p.dirty = last{seen: at.UnixMilli(), since: start.UnixMilli(), verdict: probe.Pass, reason: "ok"}, true
		}
		s.mu.Unlock()
		begin := time.Now()
		s.write(true)
		hourly += time.Since(begin)
		s.mu.Lock()
		for _, p := range s.probes {
			p.dirty = true
		}
		s.mu.Unlock()
		begin = time.Now()
		s.write(true)
		minutely += time.Since(begin)
		for range 12 {
			s.backend.retain(at)
		}
	}
	s.Close()
	at, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(hourly.Milliseconds())/(days*24), "ms/hour-write")
	b.ReportMetric(float64(minutely.Milliseconds())/(days*24), "ms/minute-write")
	b.ReportMetric(float64(at.Size())/1e6, "MB/3-days")
	begin := time.Now()
	s, err = Open(path, nil, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(time.Since(begin).Milliseconds()), "ms/open")
	s.SetJobs(all)
	s.now = func() time.Time { return start.Add(days * 24 * time.Hour) }
	ids := make([]probe.ID, 500)
	for i := range ids {
		ids[i] = all[i*20].ID
	}
	begin = time.Now()
	s.Uptimes(ids)
	b.ReportMetric(float64(time.Since(begin).Microseconds())/1000, "ms/500-uptimes")
	begin = time.Now()
	if _, err := s.Past(ids[77]); err != nil {
		b.Error(err)
	}
	b.ReportMetric(float64(time.Since(begin).Microseconds())/1000, "ms/past")
	s.Close()
}
