package main

import (
	"context"
	"sync"

	"prober/internal/probe"
	"prober/internal/schedule"
)

// An onceRunner runs all jobs, round after round. It is the Sink that keeps a round's results. A probe that still hangs
// from one round is not run in the next.
type onceRunner struct {
	scheduler *schedule.Scheduler
	mu        sync.Mutex
	results   map[probe.ID]probe.Result
}

func newOnceRunner(concurrency int) *onceRunner {
	a := &onceRunner{}
	a.scheduler = schedule.New(a, schedule.Options{MaxConcurrent: concurrency})
	return a
}

// run runs every job once and returns the results in the order of the jobs.
func (a *onceRunner) run(ctx context.Context, jobs []probe.Job) []probe.Result {
	a.mu.Lock()
	a.results = map[probe.ID]probe.Result{}
	a.mu.Unlock()
	a.scheduler.Once(ctx, jobs)
	a.mu.Lock()
	defer a.mu.Unlock()
	results := make([]probe.Result, 0, len(jobs))
	for _, j := range jobs {
		if r, ok := a.results[j.ID]; ok {
			results = append(results, r)
		}
	}
	return results
}

// finished returns how many results the round has so far.
func (a *onceRunner) finished() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.results)
}

// Observe stores a result.
func (a *onceRunner) Observe(r probe.Result) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.results[r.ID] = r
}
