package history

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// manyJobs are probes with names as long as people give them.
func manyJobs(n int) []probe.Job {
	all := make([]probe.Job, n)
	for i := range all {
		all[i] = probe.Job{ID: probe.ID{System: "platform", Name: fmt.Sprintf("checkout-api-eu-west-%05d", i), Type: "http"}, Interval: time.Minute}
	}
	return all
}

// runHour puts an hour of runs of all probes into the Store, as Observe does: with many latencies, and some failures.
func runHour(s *Store, all []probe.Job, hour time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, j := range all {
		p := s.probes[identityOf(j.ID)]
		s.cell(p, hour.Unix()/3600)
		for run := range 60 {
			p.open.add(probe.Pass, time.Duration(1+(n*31+run*7+hour.Hour()*13)%400)*time.Millisecond)
		}
		p.open.add(probe.Fail, 0)
		p.open.stand(probe.Pass, 3_540_000)
		p.open.stand(probe.Fail, 60_000)
		p.last, p.dirty = last{seen: hour.UnixMilli() + 3_599_000, since: start.UnixMilli(), verdict: probe.Pass, reason: "ok"}, true
	}
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestMemory_bound: without a file, two days of few probes are remembered by the hour; of many by several hours, so that they take
// 8 MiB at most, the states of the probes included.
func TestMemory_bound(t *testing.T) {
	testenv.Slow(t, "it counts 600,000 hours")
	testenv.WithoutRace(t)
	for _, c := range []struct {
		probes int
		width  int64 // hours of a cell, at most
	}{{100, 1}, {2000, 4}, {10_000, 32}} {
		all := manyJobs(c.probes)
		before := liveHeap()
		s := NewInMemory(Options{})
		s.SetJobs(all)
		hour := start
		var peak int64
		for n := range 50 {
			hour = start.Add(time.Duration(n) * time.Hour)
			for part := range slices.Chunk(all, 500) { // in a few seconds
				runHour(s, part, hour)
				select {
				case <-s.wake:
					s.write(false)
				default:
				}
			}
			if n%10 == 9 { // while a part of the hour that is over waits to be written, and after it
				peak = max(peak, liveHeap()-before)
			}
			s.write(true)
			if n%10 == 9 {
				peak = max(peak, liveHeap()-before)
			}
		}
		s.now = func() time.Time { return hour.Add(time.Hour - time.Second) }
		if peak > 8<<20 {
			t.Errorf("%d probes take %d KiB, expected at most 8 MiB", c.probes, peak>>10)
		}
		m := s.backend.(*memory)
		if m.width > c.width {
			t.Errorf("%d probes are remembered by %d hours, expected at most %d", c.probes, m.width, c.width)
		}
		u := s.Uptimes([]probe.ID{all[0].ID, all[c.probes-1].ID})
		for _, u := range u {
			if share := float64(u.Known) / float64(u.Span); share < .95 || u.Passed == u.Known {
				t.Errorf("%d probes: the last day is %+v", c.probes, u)
			}
		}
		past, err := s.Past(all[0].ID)
		if err != nil || past.Uptimes[1].Known < 40*time.Hour {
			t.Errorf("%d probes: the last week is %+v, %v", c.probes, past.Uptimes[1], err)
		}
		t.Logf("%d probes: %d KiB, by %d hours", c.probes, peak>>10, m.width)
		runtime.KeepAlive(all)
	}
}

// stuck opens a file whose reads and writes wait until they are released.
func stuck(t *testing.T) (s *Store, release func()) {
	s = open(t, filepath.Join(t.TempDir(), "history"), start, "up")
	see(s, "up", start, probe.Pass)
	s.write(true)
	f := s.backend.(*file)
	gate := make(chan struct{})
	f.mu.Lock() // every write waits for it, as for a disk
	for range cap(f.readers) {
		go f.view(func(*bolt.Tx) error { <-gate; return nil })
	}
	for len(f.readers) < cap(f.readers) {
		runtime.Gosched()
	}
	return s, func() { close(gate); f.mu.Unlock() }
}

// TestStore_stuckDisk: while the disk answers nothing, runs are counted at once, a page gives up after two seconds, and nothing of
// the runs is lost.
func TestStore_stuckDisk(t *testing.T) {
	t.Parallel()
	lost := uint64(0)
	s, release := stuck(t)
	s.options.Lost = func(n uint64) { lost += n }
	ctx, stop := context.WithCancel(t.Context())
	written := make(chan struct{})
	go func() { defer close(written); s.Run(ctx) }()
	s.signal()
	began := time.Now()
	const runs = 5000
	for n := range runs {
		see(s, "up", start.Add(time.Duration(n+1)*time.Second), probe.Pass)
	}
	if took := time.Since(began); took > readTimeout {
		t.Errorf("%d runs took %s while the disk was stuck", runs, took)
	}
	for what, read := range map[string]func() error{
		"a probe's page":  func() error { _, err := s.Past(id("up")); return err },
		"the public page": func() error { _, err := s.Joint([][]probe.ID{{id("up")}}, 0, 90); return err },
		"the incidents":   func() error { _, err := s.Incidents(time.Time{}); return err },
	} {
		began := time.Now()
		err := read()
		if took := time.Since(began); err == nil || took > 10*readTimeout {
			t.Errorf("%s: %v after %s", what, err, took)
		}
	}
	release()
	stop()
	<-written
	past, err := s.Past(id("up"))
	if err != nil {
		t.Fatal(err)
	}
	if today := past.Days[len(past.Days)-1]; today.Pass != runs+1 || lost != 0 {
		t.Errorf("%d runs are remembered and %d lost, expected %d", today.Pass, lost, runs+1)
	}
	s.Close()
}

// BenchmarkNinetyDays fills files with 90 days of probes that run every minute, and reports what it takes to use them. `make
// bench-history` runs it.
func BenchmarkNinetyDays(b *testing.B) {
	for _, probes := range []int{1000, 10_000} {
		b.Run(strconv.Itoa(probes), func(b *testing.B) { benchmarkNinetyDays(b, probes) })
	}
}

func benchmarkNinetyDays(b *testing.B, probes int) {
	const days = 90
	path := filepath.Join(b.TempDir(), "state")
	lost := func(n uint64) { b.Errorf("%d runs are lost", n) }
	s, err := Open(path, nil, Options{Lost: lost})
	if err != nil {
		b.Fatal(err)
	}
	s.backend.(*file).db.Load().NoSync = true // the size is the same
	all := manyJobs(probes)
	s.SetJobs(all)
	hour := start
	for day := range days {
		for part := range slices.Chunk(all, 500) { // all at once would be more than maxSealed cells: some would be lost
			for n := range 24 {
				hour = start.Add(time.Duration(day*24+n) * time.Hour)
				runHour(s, part, hour)
			}
			s.write(true)
		}
		for range probes/rollPerStep + 2 {
			s.backend.retain(hour)
		}
	}
	s.Close()
	before := liveHeap()
	begin := time.Now()
	if s, err = Open(path, nil, Options{Lost: lost}); err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	s.SetJobs(all)
	b.ReportMetric(float64(time.Since(begin).Milliseconds()), "ms/open")
	b.ReportMetric(float64(liveHeap()-before)/(1<<20), "MiB-at-rest")
	s.now = func() time.Time { return hour.Add(time.Hour) }
	about, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(about.Size())/1e6, "MB-file")
	var ids []probe.ID
	for _, j := range all {
		ids = append(ids, j.ID)
	}
	took := func(what string, do func()) {
		begin := time.Now()
		do()
		b.ReportMetric(float64(time.Since(begin).Microseconds())/1000, "ms/"+what)
	}
	took("front-page", func() { s.Uptimes(ids[:min(probes, 500)]) }) // as many as it lists
	took("probe-page", func() { s.Past(ids[7]) })
	joint := func(groups [][]probe.ID, ago, days int) {
		if got, err := s.Joint(groups, ago, days); err != nil || got[0][0].Known == 0 {
			b.Errorf("got %v", err)
		}
	}
	groups := slices.Collect(slices.Chunk(ids[:1000], 10))
	took("100-components-of-10", func() { // in parts, as the public page does
		for part := range slices.Chunk(groups, 5) {
			joint(part, 0, 90)
		}
	})
	took("again", func() { joint(groups, 0, 2) })
	took("a-component-of-all", func() { // day by day
		for ago := range 89 {
			joint([][]probe.ID{ids}, ago, 1)
		}
	})
	for _, id := range []probe.ID{ids[0], ids[probes/2], ids[probes-1]} {
		past, err := s.Past(id)
		if err != nil {
			b.Fatal(err)
		}
		for n, d := range past.Days[:days-1] {
			if d.Pass != 24*60 || d.Fail != 24 || d.Known != 24*time.Hour {
				b.Errorf("%s, day %d: got %+v", id.Name, n, d)
			}
		}
	}
}
