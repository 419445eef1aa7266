package schedule

import (
	"context"
	"time"

	"prober/internal/probe"
)

// A Refusal is why Now does not run a job, as a sentence for the caller.
type Refusal string

// The reasons for which Now refuses.
const (
	Unknown  Refusal = "the probe no longer exists"
	Running  Refusal = "a run is in progress"
	Stuck    Refusal = "an earlier run ignored its timeout and still has not ended"
	Waiting  Refusal = "a run is queued already"
	Limited  Refusal = "the target asked for fewer requests"
	Stopping Refusal = "the prober is stopping"
)

func (why Refusal) Error() string { return string(why) }

// A runRequest asks for a run at once.
type runRequest struct {
	key    probe.Key
	answer chan error // buffered, for one answer
}

// Now runs a job of Forever's set at once, in addition to its ticks, and returns when the result has been observed. It
// waits for a free slot. If a run of the job is in progress, or the target asked for fewer requests, it returns a Refusal
// and runs nothing. When ctx ends first, its error is returned and the run continues.
func (s *Scheduler) Now(ctx context.Context, id probe.ID) error {
	w := runRequest{key: id.Key(), answer: make(chan error, 1)}
	select {
	case s.requests <- w:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-w.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// accept queues a requested run, or rejects it.
func (l *loop) accept(w runRequest) {
	l.collectEnded() // a caller that saw a run end may request the next
	e := l.entries[w.key]
	switch {
	case l.ctx.Err() != nil:
		w.answer <- Stopping
		return
	case e == nil:
		w.answer <- Unknown
		return
	case e.queued:
		w.answer <- Waiting
		return
	case l.now() < e.notBefore:
		w.answer <- Limited
		return
	}
	switch l.busy(w.key) {
	case InFlight:
		w.answer <- Running
	case Hung:
		w.answer <- Stuck
	default:
		e.queued, e.queuedTick, e.answer = true, l.now(), w.answer
		l.queue = append(l.queue, e)
	}
}

// reject answers the request for a run of the entry, if there is one.
func (e *entry) reject(why Refusal) {
	if e.answer != nil {
		e.answer <- why
		e.answer = nil
	}
}

// A plan is what Next may read while the loop runs: the map is immutable, and of an entry only next is read.
type plan struct {
	start   time.Time
	entries map[probe.Key]*entry
}

// Next returns when the next run of a job is due, rate limits included; the zero time if Forever has no such job. It may
// be called at any time from any goroutine.
func (s *Scheduler) Next(id probe.ID) time.Time {
	p := s.plan.Load()
	if p == nil || p.entries[id.Key()] == nil {
		return time.Time{}
	}
	due := time.Duration(p.entries[id.Key()].next.Load())
	return time.Now().Add(due - time.Since(p.start)) // by the monotonic clock, like the loop
}

// updateNext stores for Next when an entry will run.
func (l *loop) updateNext(e *entry) {
	due := e.due
	for due < e.notBefore {
		due = l.tickAfter(e, due)
	}
	e.next.Store(int64(due))
}
