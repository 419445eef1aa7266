package schedule

import (
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"prober/internal/probe"
)

const (
	pulse    = time.Second      // the loop turns at least this often
	lifeless = 15 * time.Second // a loop that did not turn for so long is stuck
	slowest  = 8                // the most by which rate limits stretch an interval
	patience = 10               // timeouts after which a run that has not ended makes the prober unhealthy
)

// A run is one asking of one job.
type run struct {
	id      probe.ID
	tick    time.Duration
	began   time.Time
	timeout time.Duration
	settled atomic.Bool     // its result was observed, or never will be
	left    <-chan struct{} // it was left behind; closed when it ends. Guarded by Scheduler.mu
}

// An end is what a run tells the loop.
type end struct {
	*run
	left            <-chan struct{}
	limited, passed bool
}

// begin starts a run.
func (l *loop) begin(e *entry, lag time.Duration) {
	r := &run{id: e.job.ID, tick: e.wanted, began: time.Now(), timeout: e.job.Timeout}
	l.mu.Lock()
	l.runs[keyOf(r.id)] = r
	l.mu.Unlock()
	l.running++
	l.watcher.Started(r.id, lag)
	job, answer := e.job, e.answer // a later set may change the entry
	e.answer = nil
	go func() {
		result := job.Do(l.ctx)
		if l.counts(result) && !r.settled.Swap(true) {
			l.sink.Observe(result)
		}
		l.ended <- end{run: r, left: result.Abandoned, limited: limited(result), passed: result.Verdict() == probe.Pass}
		if answer != nil {
			answer <- nil
		}
	}()
}

// counts reports whether a result says anything but that the prober was told to stop. Once has something to say of
// every job.
func (l *loop) counts(result probe.Result) bool {
	return l.once || l.ctx.Err() == nil ||
		!slices.ContainsFunc(result.Checks, func(c probe.Check) bool { return c.Reason == probe.Cancelled })
}

// limited reports whether the target asked for fewer requests. A 429 that the probe causes on purpose does not.
func limited(result probe.Result) bool {
	return slices.ContainsFunc(result.Checks, func(c probe.Check) bool { return c.Reason == probe.RateLimited }) ||
		slices.ContainsFunc(result.Exchanges, func(x probe.Exchange) bool {
			return x.Status == http.StatusTooManyRequests && !x.Expected
		})
}

// end takes note of a run that ended or was left behind.
func (l *loop) end(was end) {
	l.running--
	k := keyOf(was.id)
	l.mu.Lock()
	if was.run.left = was.left; was.left == nil {
		delete(l.runs, k)
	}
	l.mu.Unlock()
	e := l.entries[k]
	switch {
	case e == nil:
	case was.limited:
		e.factor = min(2*max(e.factor, 1), slowest)
		e.notBefore = was.tick + e.factor*e.interval
	case was.passed:
		e.factor, e.notBefore = 1, 0
	}
	if e != nil {
		l.foresee(e)
	}
}

// excuse observes a result for a job that is not run.
func (l *loop) excuse(e *entry, why probe.Reason, text string) {
	r := probe.NewResult(e.job.ID)
	r.Started = time.Now()
	r.Inconclusive(probe.RunCheck, why, "%s", text)
	l.sink.Observe(*r)
}

// busy tells why a job cannot run now, or nothing.
func (s *Scheduler) busy(k key) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.runs[k]
	switch {
	case r == nil:
		return ""
	case r.left == nil:
		return InFlight
	case !r.over():
		return Hung
	}
	delete(s.runs, k)
	return ""
}

// over reports whether a run that was left behind has ended since.
func (r *run) over() bool {
	select {
	case <-r.left: // nil, and so never ready, while the run is under way
		return true
	default:
		return false
	}
}

// forget drops the runs that were left behind and have ended since. Scheduler.mu is held.
func (s *Scheduler) forget() {
	for k, r := range s.runs {
		if r.over() {
			delete(s.runs, k)
		}
	}
}

// sign tells Healthy when the loop last turned. The zero time: there is none to watch.
func (s *Scheduler) sign(at time.Time) {
	s.mu.Lock()
	s.beat = at
	s.mu.Unlock()
}

// Healthy returns an error if only a restart of the prober can help: the loop that starts the runs is stuck, or a
// run has not ended after ten times its timeout. It says nothing of any target, and may be called at any time from
// any goroutine.
func (s *Scheduler) Healthy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if still := time.Since(s.beat); !s.beat.IsZero() && still > lifeless {
		return fmt.Errorf("the scheduler has started nothing for %s, wanted a turn every %s", still.Round(time.Second), pulse)
	}
	s.forget()
	var worst *run
	for _, r := range s.runs {
		if time.Since(r.began) > patience*r.timeout+probe.Grace && (worst == nil || r.began.Before(worst.began)) {
			worst = r
		}
	}
	if worst == nil {
		return nil
	}
	return fmt.Errorf("probe %s/%s has not ended its run for %s, its timeout is %s",
		worst.id.System, worst.id.Name, time.Since(worst.began).Round(time.Second), worst.timeout)
}
