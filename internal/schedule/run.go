package schedule

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"prober/internal/probe"
)

const (
	heartbeatInterval = time.Second      // the loop iterates at least this often
	stuckAfter        = 15 * time.Second // a loop without iteration for so long is stuck
	maxBackoff        = 8                // the largest factor by which rate limits stretch an interval
	maxRetryAfter     = 15 * time.Minute // how long a target may ask to be left alone, if maxBackoff intervals are shorter
	hungTimeouts      = 10               // timeouts after which a run that was not even abandoned makes the prober unhealthy
)

// A run is one run of one job.
type run struct {
	id        probe.ID
	settings  string // of the job
	tick      time.Duration
	began     time.Time
	timeout   time.Duration
	observed  atomic.Bool     // its result was observed, or must not be
	abandoned <-chan struct{} // set if it was abandoned; closed when it ends. Guarded by Scheduler.mu
}

// ended is what the loop learns of a run that ended.
type ended struct {
	*run
	abandoned       <-chan struct{}
	limited, passed bool
	retryAfter      time.Duration // for how long the target asked to be left alone; 0 if it did not say
}

// startRun starts a run.
func (l *loop) startRun(e *entry, lag time.Duration) {
	r := &run{id: e.job.ID, settings: e.job.Settings, tick: e.queuedTick, began: time.Now(), timeout: e.job.Timeout}
	l.mu.Lock()
	l.runs[r.id.Key()] = r
	l.mu.Unlock()
	l.running++
	l.lateness.Watch()
	l.watcher.Started(r.id, lag)
	job, answer := e.job, e.answer // a later set may change the entry
	e.answer = nil
	l.finished.begin()
	ended := func(result probe.Result) {
		if l.shouldObserve(result) && !r.observed.Swap(true) {
			l.sink.Observe(result)
		}
		wait, limited := result.RateLimited()
		l.finished.add(ended{run: r, abandoned: result.Abandoned, limited: limited, retryAfter: wait, passed: result.Verdict() == probe.Pass})
		if answer != nil {
			answer <- nil
		}
	}
	l.workers.do(func() { job.Run(l.ctx, ended) })
}

// shouldObserve reports whether a result says more than that the prober is stopping, as a failure does that was proven
// before. Once observes every result.
func (l *loop) shouldObserve(result probe.Result) bool {
	return l.once || l.ctx.Err() == nil || result.Verdict() == probe.Fail ||
		!slices.ContainsFunc(result.Checks, func(c probe.Check) bool { return c.Reason == probe.Cancelled })
}

// finish handles a run that ended or was abandoned.
func (l *loop) finish(was ended) {
	l.running--
	k := was.id.Key()
	l.mu.Lock()
	if was.run.abandoned = was.abandoned; was.abandoned == nil {
		delete(l.runs, k)
	}
	l.mu.Unlock()
	e := l.entries[k]
	switch {
	case e == nil:
	case was.limited:
		e.limit(was.tick, l.now(), was.retryAfter)
		l.watcher.Limited(e.job.ID, l.start.Add(e.notBefore))
	case was.passed:
		if e.notBefore > 0 {
			l.watcher.Limited(e.job.ID, time.Time{})
		}
		e.factor, e.notBefore = 1, 0
	}
	if e != nil {
		l.updateNext(e)
	}
}

// limit keeps an entry from running for a while after a run that was due at tick and ended now. A target that says for how
// long is believed, within bounds: it must not end its own monitoring. For another one each rate limit doubles the interval.
func (e *entry) limit(tick, now, retryAfter time.Duration) {
	if retryAfter > 0 {
		e.factor, e.notBefore = 1, now+min(retryAfter, max(maxRetryAfter, maxBackoff*e.interval))
		return
	}
	e.factor = min(2*max(e.factor, 1), maxBackoff)
	e.notBefore = tick + e.factor*e.interval
}

// reportSkipped observes a result for a job that does not run.
func (l *loop) reportSkipped(e *entry, why probe.Reason, text string) {
	r := probe.NewResult(e.job.ID)
	r.Started = time.Now()
	r.Inconclusive(probe.RunCheck, why, "%s", text)
	l.sink.Observe(*r)
}

// busy returns why a job cannot run now; empty if it can.
func (s *Scheduler) busy(k probe.Key) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.runs[k]
	switch {
	case r == nil:
	case r.abandoned == nil:
		return InFlight
	case !r.hasEnded():
		return Hung
	}
	return ""
}

// hasEnded reports whether an abandoned run has ended since.
func (r *run) hasEnded() bool {
	select {
	case <-r.abandoned: // nil, and so never ready, if the run was not abandoned
		return true
	default:
		return false
	}
}

// dropEnded drops the abandoned runs that have ended since. Scheduler.mu is held.
func (s *Scheduler) dropEnded() {
	for k, r := range s.runs {
		if r.hasEnded() {
			delete(s.runs, k)
		}
	}
}

// heartbeat stores for Healthy when the loop last iterated. The zero time means that it does not run.
func (s *Scheduler) heartbeat(at time.Time) {
	s.mu.Lock()
	s.lastBeat = at
	s.mu.Unlock()
}

// Healthy returns an error if only a restart of the prober can help: the loop that starts the runs is stuck, or what becomes
// of a result is. It does not depend on any target: a probe that ignores its timeout is inconclusive(hung), and a restart
// would only make it hang again. It may be called at any time from any goroutine.
func (s *Scheduler) Healthy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if still := time.Since(s.lastBeat); !s.lastBeat.IsZero() && still > stuckAfter {
		return fmt.Errorf("the scheduler has been stuck for %s, expected an iteration every %s", still.Round(time.Second), heartbeatInterval)
	}
	var worst *run
	for _, r := range s.runs {
		if r.abandoned == nil && time.Since(r.began) > hungTimeouts*r.timeout+probe.Grace && (worst == nil || r.began.Before(worst.began)) {
			worst = r
		}
	}
	if worst == nil {
		return nil
	}
	return fmt.Errorf("probe %s/%s has not ended its run for %s, its timeout is %s",
		worst.id.System, worst.id.Name, time.Since(worst.began).Round(time.Second), worst.timeout)
}
