// Package schedule decides when probes run.
//
// One goroutine keeps all jobs in one heap of due times; another exists only while a probe runs. Every job has a
// grid of its own, one tick per interval, and each tick either starts a run or is skipped and told to the Watcher:
// the prober never makes up for lost time, so neither a slow target nor a stall of the prober itself leads to a
// burst. Due times follow the monotonic clock; a step of the wall clock moves nothing.
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

// The reasons for which a tick is skipped, as told to Watcher.Skipped.
const (
	InFlight    = "in_flight"    // the run before has not ended yet
	Hung        = "hung"         // the run before ignored its timeout and still has not ended
	Late        = "late"         // the prober itself was too late, as after a stall
	Overrun     = "overrun"      // waited for a free place until the next tick came
	RateLimited = "rate_limited" // the target asked for fewer requests
)

// Skips lists the reasons for which a tick is skipped.
var Skips = [...]string{InFlight, Hung, Late, Overrun, RateLimited}

// A Watcher is told what the scheduler does. Its methods are called one at a time, by the goroutine that starts the
// runs, so they must be quick.
type Watcher interface {
	// Started tells that a run starts, lag after it was due. The lag includes the wait for a free place; it is the
	// prober's own and no part of the target's latency.
	Started(id probe.ID, lag time.Duration)
	// Skipped tells that a tick passed without a run. It is called once for each tick.
	Skipped(id probe.ID, why string)
	// Depth tells how many runs are under way and how many wait for a place, whenever that changed.
	Depth(running, queued int)
}

// Options are the settings of a Scheduler. The zero value works.
type Options struct {
	MaxConcurrent int     // runs at the same time; 0 means 256
	Offset        float64 // moves all ticks by this part of their interval, so that replicas take turns
	Watcher       Watcher // nil: nobody watches
}

// A Scheduler starts runs and hands their results to a sink. It does one Forever or one Once at a time.
type Scheduler struct {
	sink    probe.Sink
	watcher Watcher
	max     int
	offset  uint64 // in 2^-64 of an interval
	wishes  chan wish
	plan    atomic.Pointer[plan] // of Forever; nil while there is none

	mu   sync.Mutex
	beat time.Time    // when the loop last turned; zero while there is none
	runs map[key]*run // started and not ended, those left behind included
}

// New returns a scheduler that hands every result to sink, from the goroutine of the run.
func New(sink probe.Sink, o Options) *Scheduler {
	s := &Scheduler{sink: sink, watcher: o.Watcher, max: cmp.Or(max(o.MaxConcurrent, 0), 256), runs: map[key]*run{}, wishes: make(chan wish)}
	if s.watcher == nil {
		s.watcher = nobody{}
	}
	if _, part := math.Modf(o.Offset); part > 0 {
		s.offset = uint64(part * (1 << 63) * 2)
	}
	return s
}

// Forever runs the jobs of the set last received, each at its interval, until ctx is done. It waits for the first
// set; a later set takes the place of the one before. Jobs that are in both, by system and name and with the same
// interval, keep their due times, also when other settings changed, which count from the next run on. A run under
// way of a job that is gone is not observed any more. When sets is closed the last set stays.
//
// When ctx is done nothing starts any more. Forever returns when all runs have ended; what the cancellation cut off
// is not observed, and what ignored its timeout is not waited for.
func (s *Scheduler) Forever(ctx context.Context, sets <-chan []probe.Job) {
	defer s.plan.Store(nil)
	s.loop(ctx).turn(sets)
}

// Once runs each job one time, as soon as there is a place, and returns when all results have been observed. When
// ctx is done, what has not started is observed as inconclusive(cancelled) without asking its target, and so is, as
// inconclusive(hung), a job whose run by an earlier Once never ended.
func (s *Scheduler) Once(ctx context.Context, jobs []probe.Job) {
	l := s.loop(ctx)
	l.once = true
	for _, e := range l.adopt(jobs) {
		l.admit(e, 0)
	}
	l.turn(nil)
}

type nobody struct{}

func (nobody) Started(probe.ID, time.Duration) {}
func (nobody) Skipped(probe.ID, string)        {}
func (nobody) Depth(int, int)                  {}
