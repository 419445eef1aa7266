//go:build unix

package schedule

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"prober/internal/probe"
)

type counter struct {
	n    atomic.Int64
	want int64
	done func()
}

func (c *counter) Observe(probe.Result) {
	if c.n.Add(1) == c.want {
		c.done()
	}
}

// lags is a watcher that keeps how late the runs started.
type lags struct {
	nopWatcher
	all []time.Duration
}

func (l *lags) Started(_ probe.ID, lag time.Duration) { l.all = append(l.all, lag) }

// BenchmarkForever tells what a start costs beside the probe itself, at 10,000 starts a second: the heap, the timer,
// the loop, the goroutines and what Job.Do needs. The time is set by the intervals; look at cpu-ns/start.
func BenchmarkForever(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	sink := &counter{want: int64(b.N), done: cancel}
	sets := make(chan []probe.Job, 1)
	sets <- jobs(10_000, time.Second, good)
	late := &lags{all: make([]time.Duration, 0, b.N+1000)}
	b.ReportAllocs()
	before := processor(b)
	New(sink, Options{Watcher: late}).Forever(ctx, sets)
	b.ReportMetric(float64(processor(b)-before)/float64(b.N), "cpu-ns/start")
	slices.Sort(late.all)
	b.ReportMetric(float64(late.all[len(late.all)*99/100].Microseconds())/1000, "p99-lag-ms")
}

// processor is the processor time this process has used.
func processor(b *testing.B) time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// BenchmarkDo is what of that is Job.Do.
func BenchmarkDo(b *testing.B) {
	j := job("a", time.Second, good)
	b.ReportAllocs()
	for b.Loop() {
		j.Do(b.Context())
	}
}

func BenchmarkReload(b *testing.B) {
	l := New(&log{}, Options{}).loop(b.Context())
	set := jobs(10_000, 10*time.Second, good)
	b.ReportAllocs()
	for b.Loop() {
		l.apply(set)
	}
}

// BenchmarkIdleJob tells the memory of a job that waits, beside the one that the configuration holds.
func BenchmarkIdleJob(b *testing.B) {
	const n = 10_000
	set := jobs(n, 10*time.Second, good)
	var before, after runtime.MemStats
	var l *loop
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		l = New(&log{}, Options{}).loop(b.Context())
		l.apply(set)
		runtime.GC()
		runtime.ReadMemStats(&after)
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/job")
	runtime.KeepAlive(l)
}
