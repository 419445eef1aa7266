package main

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"prober/config"
	"prober/internal/memory"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes"
)

// TestMemory_ofAProbe bounds what a probe takes at rest, and what a reload takes for it beside that. In the shipped limits both
// have to fit 2,000 times, together with everything that `make endure` does at the same time.
func TestMemory_ofAProbe(t *testing.T) {
	testenv.Slow(t, "it collects garbage often")
	const many = 400
	s := bareServer()
	load := func(generation int) {
		var b strings.Builder
		fmt.Fprintf(&b, "system: many\ninterval: 15s\nlabels: {generation: g%d}\nprobes:\n", generation)
		for i := range many {
			fmt.Fprintf(&b, "  - {name: p%d, type: http, url: \"http://127.0.0.1:1/%d\"}\n", i, i)
		}
		before := cmp.Or(s.config.Load(), &config.Config{})
		cfg, err := before.Reparse(probes.Kinds(), config.File{Name: "many.yaml", Data: []byte(b.String())})
		if err != nil {
			t.Fatal(err)
		}
		jobs, err := s.filter.apply(cfg.Jobs)
		if err != nil {
			t.Fatal(err)
		}
		s.apply(cfg, jobs, true)
	}
	before := liveHeap()
	load(0)
	load(1)
	rest := liveHeap() - before
	more := int64(math.MaxInt64) // the least of some: what is allocated while a slow collection runs counts as in use
	for generation := 2; generation < 8; generation++ {
		more = min(more, peakHeap(func() { load(generation) })-before-rest)
	}
	if rest/many > 4000 || more/many > 3000 {
		t.Errorf("a probe that has not run takes %d bytes and a reload %d more, expected at most 4,000 and 3,000", rest/many, more/many)
	}
	t.Logf("%d bytes at rest, and %d more during a reload", rest/many, more/many)
	runtime.KeepAlive(s)
}

// liveHeap returns how many bytes of the heap are in use.
func liveHeap() int64 {
	runtime.GC()
	sample := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}
	runtimemetrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}

// peakHeap returns how many bytes of the heap were in use at most during f, as a collector that runs often sees it.
func peakHeap(f func()) (peak int64) {
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	runtime.GC()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	sample := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for {
		runtimemetrics.Read(sample)
		peak = max(peak, int64(sample[0].Value.Uint64()))
		select {
		case <-done:
			return peak
		case <-time.After(time.Millisecond):
		}
	}
}

// A reload needs as much memory as a large answer: it waits until the runs that have one in memory have ended.
func TestReload_waitsForLargeAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.NewBudget(1 << 20)
		run, account := b.Open(t.Context())
		if err := memory.Take(run, 1<<20); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(memoryPatience-time.Second, account.Close)
		r := &reloader{server: &server{memory: b}}
		began := time.Now()
		r.awaitMemory()()
		if waited := time.Since(began); waited != memoryPatience-time.Second {
			t.Errorf("waited %s, expected until the run ended", waited)
		}
		run, account = b.Open(t.Context())
		defer account.Close()
		if err := memory.Take(run, 1<<20); err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		r.awaitMemory()()
		if waited := time.Since(began); waited != memoryPatience {
			t.Errorf("waited %s for a run that does not end, expected %s", waited, memoryPatience)
		}
	})
}

// closings count probes that are being closed, and those that were. Each takes a second.
type closings struct {
	mu                 sync.Mutex
	open, peak, closed int
}

type closingProbe struct {
	probe.Probe
	*closings
}

func (c closingProbe) Close() {
	c.add(1)
	<-time.After(time.Second)
	c.add(-1)
}

func (c *closings) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open += n
	c.peak = max(c.peak, c.open)
	if n < 0 {
		c.closed++
	}
}

// A reload closes thousands of probes while two configurations are in memory: not each may have a goroutine.
func TestCloseProbes_fewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all closings
		jobs := make([]probe.Job, 10*maxClosing)
		for i := range jobs {
			jobs[i].Probe = closingProbe{closings: &all}
		}
		began := time.Now()
		closeProbes(jobs)
		if all.peak != maxClosing || all.closed != len(jobs) || time.Since(began) != 10*time.Second {
			t.Errorf("closed %d of %d in %s, %d at a time", all.closed, len(jobs), time.Since(began), all.peak)
		}
	})
}
