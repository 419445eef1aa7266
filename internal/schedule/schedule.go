// Package schedule decides when probes run.
//
// One goroutine keeps all jobs in one heap of due times; a run has another, of a few that wait for the next run. Every job has one tick
// per interval, at a phase of its own. Each tick either starts a run or is skipped and reported to the Watcher: the prober
// never catches up, so neither a slow target nor a stall of the prober itself leads to a burst. Due times follow the
// monotonic clock; a step of the wall clock moves nothing.
package schedule

import (
	"cmp"
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"prober/internal/probe"
)

// The reasons for which a tick is skipped.
const (
	InFlight    = "in_flight"    // the run before has not ended yet
	Hung        = "hung"         // the run before ignored its timeout and still has not ended
	Late        = "late"         // the prober itself was too late, as after a stall
	Overrun     = "overrun"      // waited for a free slot until the next tick came
	RateLimited = "rate_limited" // the target asked for fewer requests
)

// Skips lists the reasons for which a tick is skipped.
var Skips = [...]string{InFlight, Hung, Late, Overrun, RateLimited}

// A Watcher observes the scheduler. Its methods are called one at a time, by the goroutine that starts the
// runs, so they must be quick.
type Watcher interface {
	// Started reports that a run starts, lag after it was due. The lag includes the wait for a free slot; it is the
	// prober's own and not part of the target's latency.
	Started(id probe.ID, lag time.Duration)
	// Skipped reports that a tick passed without a run. It is called once for each tick.
	Skipped(id probe.ID, why string)
	// Limited reports until when a job is not run because its target asked for fewer requests; the zero time when it no
	// longer does.
	Limited(id probe.ID, until time.Time)
	// Depth reports how many runs are in progress and how many are queued, soon after that changed.
	Depth(running, queued int)
}

// Options are the settings of a Scheduler. The zero value works.
type Options struct {
	MaxConcurrent int     // runs at the same time; 0 means 256
	Offset        float64 // moves all ticks by this fraction of their interval, so that replicas take turns
	Watcher       Watcher // may be nil
}

// A Scheduler starts runs and hands their results to a sink. It does one Forever or one Once at a time.
type Scheduler struct {
	sink     probe.Sink
	watcher  Watcher
	max      int
	offset   uint64 // in 2^-64 of an interval
	requests chan runRequest
	tick     time.Duration        // of the lateness; 0: its default
	plan     atomic.Pointer[plan] // of Forever; nil while it does not run

	mu       sync.Mutex
	lastBeat time.Time          // when the loop last iterated; zero while it does not run
	runs     map[probe.Key]*run // started and not ended, abandoned ones included
}

// New returns a scheduler that hands every result to sink, from the goroutine of the run.
func New(sink probe.Sink, o Options) *Scheduler {
	s := &Scheduler{sink: sink, watcher: o.Watcher, max: cmp.Or(max(o.MaxConcurrent, 0), 256), runs: map[probe.Key]*run{}, requests: make(chan runRequest)}
	if s.watcher == nil {
		s.watcher = nopWatcher{}
	}
	if _, part := math.Modf(o.Offset); part > 0 {
		s.offset = uint64(part * (1 << 63) * 2)
	}
	return s
}

// Forever runs the jobs of the set last received, each at its interval, until ctx is done. It waits for the first
// set; a later set replaces the one before. A set must not be changed after it was sent. Jobs that are in both, by system and name and with the same interval,
// keep their due times. Other changed settings take effect at the next run. The result of a run is not
// observed if its job was removed, or got other settings, while it ran. When sets is closed the last set stays.
//
// When ctx is done nothing starts any more. Forever returns when all runs have ended. Runs that were cancelled are
// observed only if they had proven a failure before, and runs that ignore their timeout are not waited for.
func (s *Scheduler) Forever(ctx context.Context, sets <-chan []probe.Job) {
	defer s.plan.Store(nil)
	s.loop(ctx).run(sets)
}

// Once runs each job one time, as soon as there is a free slot, and returns when all results have been observed. When
// ctx is done, jobs that have not started are observed as inconclusive(cancelled) without a request. A job whose run by an
// earlier Once never ended is observed as inconclusive(hung).
func (s *Scheduler) Once(ctx context.Context, jobs []probe.Job) {
	l := s.loop(ctx)
	l.once = true
	for _, e := range l.mergeJobs(jobs) {
		l.enqueue(e, 0)
	}
	l.run(nil)
}

type nopWatcher struct{}

func (nopWatcher) Started(probe.ID, time.Duration) {}
func (nopWatcher) Skipped(probe.ID, string)        {}
func (nopWatcher) Limited(probe.ID, time.Time)     {}
func (nopWatcher) Depth(int, int)                  {}
