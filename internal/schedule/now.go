package schedule

import (
	"context"
	"time"

	"prober/internal/probe"
)

// A Refusal is why Now does not run a job, as a sentence for whoever asked.
type Refusal string

// The reasons for which Now refuses.
const (
	Unknown  Refusal = "there is no such probe any more"
	Running  Refusal = "a run is under way"
	Stuck    Refusal = "an earlier run ignored its timeout and still has not ended"
	Waiting  Refusal = "a run waits for a free place already"
	Spared   Refusal = "the target asked for fewer requests"
	Stopping Refusal = "the prober is stopping"
)

func (why Refusal) Error() string { return string(why) }

// A wish is a run that somebody wants at once.
type wish struct {
	key    key
	answer chan error // takes one answer without anybody waiting for it
}

// Now runs a job of Forever's set at once, beside its grid, and returns when the result has been observed. It never
// overlaps another run of the job, waits for a free place as all do, and heeds a target that asked for fewer requests:
// the error is then a Refusal, and nothing was asked. When ctx ends first, its error is returned and the run goes on.
func (s *Scheduler) Now(ctx context.Context, id probe.ID) error {
	w := wish{key: keyOf(id), answer: make(chan error, 1)}
	select {
	case s.wishes <- w:
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

// grant queues a run that was wished for, or says why not.
func (l *loop) grant(w wish) {
	l.collect() // whoever was told that a run ended may wish for the next
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
		w.answer <- Spared
		return
	}
	switch l.busy(w.key) {
	case InFlight:
		w.answer <- Running
	case Hung:
		w.answer <- Stuck
	default:
		e.queued, e.wanted, e.answer = true, l.now(), w.answer
		l.queue = append(l.queue, e)
	}
}

// refuse tells whoever wished for the run of an entry that it will not be.
func (e *entry) refuse(why Refusal) {
	if e.answer != nil {
		e.answer <- why
		e.answer = nil
	}
}

// A plan is what Next may read while the loop turns: the map is never changed, and of an entry only next is read.
type plan struct {
	start   time.Time
	entries map[key]*entry
}

// Next returns when the next run of a job is due, rate limits heeded; the zero time if Forever has no such job. It may
// be called at any time from any goroutine.
func (s *Scheduler) Next(id probe.ID) time.Time {
	p := s.plan.Load()
	if p == nil || p.entries[keyOf(id)] == nil {
		return time.Time{}
	}
	due := time.Duration(p.entries[keyOf(id)].next.Load())
	return time.Now().Add(due - time.Since(p.start)) // by the monotonic clock, as the loop goes
}

// foresee notes for Next when an entry will run.
func (l *loop) foresee(e *entry) {
	due := e.due
	for due < e.notBefore {
		due = l.after(e, due)
	}
	e.next.Store(int64(due))
}
