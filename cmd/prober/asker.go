package main

import (
	"context"
	"sync"

	"prober/internal/probe"
	"prober/internal/schedule"
)

// An asker asks rounds of jobs. It is the Sink that keeps a round's results, and what a probe that hangs left behind
// in one round it does not ask in the next.
type asker struct {
	scheduler *schedule.Scheduler
	mu        sync.Mutex
	results   map[probe.ID]probe.Result
}

func newAsker(concurrency int) *asker {
	a := &asker{}
	a.scheduler = schedule.New(a, schedule.Options{MaxConcurrent: concurrency})
	return a
}

// ask asks every job once and returns the results in the order of the jobs.
func (a *asker) ask(ctx context.Context, jobs []probe.Job) []probe.Result {
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

// answered is how many results the round has so far.
func (a *asker) answered() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.results)
}

// Observe keeps a result.
func (a *asker) Observe(r probe.Result) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.results[r.ID] = r
}
