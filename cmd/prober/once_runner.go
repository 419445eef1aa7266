package main

import (
	"cmp"
	"context"
	"sync"

	"prober/internal/probe"
	"prober/internal/schedule"
	"prober/internal/sorted"
)

// An onceRunner runs all jobs, round after round. It is the Sink that keeps a round's results. A probe that still hangs
// from one round is not run in the next.
type onceRunner struct {
	scheduler *schedule.Scheduler
	mu        sync.Mutex
	results   map[probe.ID]probe.Result
	known     []probe.Result // of the next round: its jobs are not run again
}

// onceConcurrency is how many probes --once runs at the same time by default. All of them start at once, unlike those of a
// prober that serves: more of them would measure how they wait for each other, at the target and in the prober.
const onceConcurrency = 8

// spread returns jobs in an order in which the hosts take turns, so that those that run at the same time ask different
// hosts where there are any.
func spread(jobs []probe.Job) []probe.Job {
	type turn struct {
		job   probe.Job
		round int
	}
	turns, rounds := make([]turn, len(jobs)), map[string]int{}
	for i, j := range jobs {
		host := j.Host()
		turns[i] = turn{j, rounds[host]}
		rounds[host]++
	}
	sorted.By(turns, func(a, b turn) int { return cmp.Compare(a.round, b.round) })
	ordered := make([]probe.Job, len(jobs))
	for i, t := range turns {
		ordered[i] = t.job
	}
	return ordered
}

// newOnceRunner returns a runner of at most so many probes at the same time; 0 means onceConcurrency.
func newOnceRunner(concurrency int) *onceRunner {
	a := &onceRunner{}
	a.scheduler = schedule.New(a, schedule.Options{MaxConcurrent: cmp.Or(concurrency, onceConcurrency)})
	return a
}

// run runs every job once and returns the results in the order of the jobs.
func (a *onceRunner) run(ctx context.Context, jobs []probe.Job) []probe.Result {
	a.mu.Lock()
	a.results = map[probe.ID]probe.Result{}
	for _, r := range a.known {
		a.results[r.ID] = r
	}
	a.known = nil
	left := jobsThat(func(j *probe.Job) bool { return a.results[j.ID].Started.IsZero() }, jobs)
	a.mu.Unlock()
	a.scheduler.Once(ctx, spread(left))
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

// unfinished names the jobs of which the round has no results so far.
func (a *onceRunner) unfinished(jobs []probe.Job) (names []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, j := range jobs {
		if _, ok := a.results[j.ID]; !ok {
			names = append(names, j.Name)
		}
	}
	return names
}

// Observe stores a result.
func (a *onceRunner) Observe(r probe.Result) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.results[r.ID] = r
}
