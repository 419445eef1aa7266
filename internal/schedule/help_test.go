package schedule

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"prober/internal/probe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// asks is a probe that is a function.
type asks func(context.Context, *probe.Result)

func (asks) Validate() error                              { return nil }
func (asks) Checks() []string                             { return []string{"it"} }
func (ask asks) Ask(ctx context.Context, r *probe.Result) { ask(ctx, r) }

func good(_ context.Context, r *probe.Result) { r.Pass("it", "good") }

// takes is a good probe that takes a while and heeds its context.
func takes(d time.Duration) asks {
	return func(ctx context.Context, r *probe.Result) {
		select {
		case <-time.After(d):
			r.Pass("it", "good after a while")
		case <-ctx.Done():
			r.Fail("it", probe.Timeout, "no answer in time")
		}
	}
}

func job(name string, interval time.Duration, ask asks) probe.Job {
	return probe.Job{ID: probe.ID{System: "ibex", Name: name}, Probe: ask, Interval: interval, Timeout: interval * 4 / 5}
}

func jobs(n int, interval time.Duration, ask asks) []probe.Job {
	all := make([]probe.Job, n)
	for i := range all {
		all[i] = job(fmt.Sprintf("p%05d", i), interval, ask)
	}
	return all
}

// A log is a sink and a watcher that remembers.
type log struct {
	mu       sync.Mutex
	starts   []start
	results  []probe.Result
	skips    []skip
	depths   [][2]int
	limits   []time.Time    // as told by Limited
	started  func(probe.ID) // called on the loop
	skipping func(probe.ID) // called on the loop
	observed func(probe.Result)
}

type start struct {
	name string
	at   time.Time
	lag  time.Duration
}

type skip struct{ name, why string }

func (l *log) Started(id probe.ID, lag time.Duration) {
	l.mu.Lock()
	l.starts = append(l.starts, start{id.Name, time.Now(), lag})
	l.mu.Unlock()
	if l.started != nil {
		l.started(id)
	}
}

func (l *log) Skipped(id probe.ID, why string) {
	l.mu.Lock()
	l.skips = append(l.skips, skip{id.Name, why})
	l.mu.Unlock()
	if l.skipping != nil {
		l.skipping(id)
	}
}

func (l *log) Limited(_ probe.ID, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limits = append(l.limits, until)
}

func (l *log) Depth(running, queued int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.depths = append(l.depths, [2]int{running, queued})
}

func (l *log) Observe(r probe.Result) {
	if l.observed != nil {
		l.observed(r)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.results = append(l.results, r)
}

// of returns the starts of one job.
func (l *log) of(name string) []start {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.starts), func(s start) bool { return s.name != name })
}

// skipped tells how often which ticks were skipped, as in "in_flight 2, late 1".
func (l *log) skipped(name string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := map[string]int{}
	for _, s := range l.skips {
		if s.name == name {
			counts[s.why]++
		}
	}
	var words []string
	for _, why := range slices.Sorted(maps.Keys(counts)) {
		words = append(words, fmt.Sprintf("%s %d", why, counts[why]))
	}
	return strings.Join(words, ", ")
}

// verdicts lists the results of one job as verdicts with their reasons.
func (l *log) verdicts(name string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, r := range l.results {
		if r.Name == name {
			out = append(out, fmt.Sprintf("%s(%s)", r.Verdict(), r.Decisive().Reason))
		}
	}
	return out
}

// waiting is how many wait for a place now.
func (l *log) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.depths) == 0 {
		return 0
	}
	return l.depths[len(l.depths)-1][1]
}

func (l *log) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.starts, l.results, l.skips, l.depths = nil, nil, nil, nil
}

// A running is a Forever in a synctest bubble.
type running struct {
	*log
	*Scheduler
	sets   chan []probe.Job
	cancel context.CancelFunc
	ended  chan struct{}
}

// forever starts one in the bubble of t; it is stopped at the end of the test.
func forever(t *testing.T, l *log, o Options, set []probe.Job) *running {
	t.Helper()
	o.Watcher = l
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{log: l, Scheduler: New(l, o), sets: make(chan []probe.Job), cancel: cancel, ended: make(chan struct{})}
	r.tick = time.Second // in fake time nothing is late, and looking 200 times a second makes an hour long
	go func() {
		defer close(r.ended)
		r.Forever(ctx, r.sets)
	}()
	t.Cleanup(r.stop)
	r.sets <- set
	synctest.Wait()
	return r
}

func (r *running) stop() {
	r.cancel()
	<-r.ended
}

// pass lets fake time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
