package schedule

import (
	"container/heap"
	"context"
	"math"
	"time"

	"prober/internal/probe"
)

// A loop is one Forever or Once. All its fields belong to the goroutine that turns it.
type loop struct {
	*Scheduler
	ctx   context.Context
	once  bool      // every job has one tick, which has come, and none is ever too late
	start time.Time // times are counted from here, by the monotonic clock
	wall  int64     // the start, in nanoseconds since 1970

	entries map[key]*entry
	ticks   ticks    // all entries, by their next tick
	queue   []*entry // those that wait for a free place, in the order in which their ticks came
	running int
	ended   chan end
	told    struct{ running, queued int }
}

func (s *Scheduler) loop(ctx context.Context) *loop {
	now := time.Now()
	// With room for all that can run at once no run ever waits to tell its end.
	return &loop{Scheduler: s, ctx: ctx, start: now, wall: now.UnixNano(), ended: make(chan end, s.max)}
}

func (l *loop) now() time.Duration { return time.Since(l.start) }

// turn starts what is due, until ctx is done (or, once, until nothing waits) and all runs have ended.
func (l *loop) turn(sets <-chan []probe.Job) {
	defer l.sign(time.Time{})
	wake := l.now()
	alarm := time.NewTimer(0) // goes off at wake
	defer alarm.Stop()
	done := l.ctx.Done()
	wishes := l.wishes
	if l.once {
		wishes = nil // another loop's
	}
	for {
		l.collect()
		if l.ctx.Err() == nil {
			l.fire()
			l.fill()
		} else {
			l.abandon()
		}
		l.tell()
		l.sign(time.Now())
		if l.running == 0 && (l.ctx.Err() != nil || l.once && len(l.queue) == 0) {
			return
		}
		if next := l.wanted(); next < wake {
			wake = next
			alarm.Reset(wake - l.now())
		}
		select {
		case <-alarm.C:
			wake = never
		case e := <-l.ended:
			l.end(e)
		case jobs, open := <-sets:
			if open {
				l.apply(jobs)
			} else {
				sets = nil
			}
		case w := <-wishes:
			l.grant(w)
		case <-done:
			done = nil
		}
	}
}

// never is later than everything.
const never = math.MaxInt64

// wanted is when the next tick comes, or the next sign of life is due.
func (l *loop) wanted() time.Duration {
	next := l.now() + pulse
	if len(l.ticks) > 0 && l.ctx.Err() == nil {
		next = min(next, l.ticks[0].due)
	}
	return next
}

// collect takes note of runs that ended, so that none is taken for one under way.
func (l *loop) collect() {
	for {
		select {
		case e := <-l.ended:
			l.end(e)
		default:
			return
		}
	}
}

// fire handles the ticks that have come. Those that come meanwhile are left for the next turn.
func (l *loop) fire() {
	for until := l.now(); len(l.ticks) > 0 && l.ticks[0].due <= until; heap.Fix(&l.ticks, 0) {
		e := l.ticks[0]
		tick, missed, fresh := latest(e.due, l.now(), e.interval)
		for range missed {
			l.watcher.Skipped(e.job.ID, Late)
		}
		e.due = l.after(e, tick)
		l.foresee(e)
		if fresh {
			l.admit(e, tick)
		}
	}
}

// admit queues an entry for a tick, unless something speaks against it.
func (l *loop) admit(e *entry, tick time.Duration) {
	busy := l.busy(keyOf(e.job.ID))
	switch {
	case busy != "":
		l.watcher.Skipped(e.job.ID, busy)
		if l.once {
			l.excuse(e, probe.Hung, "not asked: an earlier run ignored its timeout and still has not ended")
		}
	case tick < e.notBefore:
		l.watcher.Skipped(e.job.ID, RateLimited)
	case e.queued:
		// The new tick inherits the place in the queue, or a busy prober would never get to its short intervals.
		l.watcher.Skipped(e.job.ID, Overrun)
		e.wanted = tick
	default:
		e.queued, e.wanted = true, tick
		l.queue = append(l.queue, e)
	}
}

// fill starts runs while there are free places.
func (l *loop) fill() {
	for l.running < l.max && len(l.queue) > 0 && l.ctx.Err() == nil {
		e := l.queue[0]
		l.queue[0] = nil
		l.queue = l.queue[1:]
		e.queued = false
		lag := l.now() - e.wanted
		if lag > e.interval && !l.once {
			l.watcher.Skipped(e.job.ID, Overrun)
			e.refuse(Waiting)
			continue
		}
		l.begin(e, lag)
	}
}

// abandon gives up what waits. Of Once every job has a result all the same.
func (l *loop) abandon() {
	for _, e := range l.queue {
		e.queued = false
		e.refuse(Stopping)
		if l.once {
			l.excuse(e, probe.Cancelled, "not asked: cancelled before its turn")
		}
	}
	l.queue = nil
}

// tell tells the watcher how many run and wait, if that changed.
func (l *loop) tell() {
	was := l.told
	l.told.running, l.told.queued = l.running, len(l.queue)
	if l.told != was {
		l.watcher.Depth(l.told.running, l.told.queued)
	}
}
