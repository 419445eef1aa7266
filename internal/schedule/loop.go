package schedule

import (
	"container/heap"
	"context"
	"math"
	"time"

	"prober/internal/probe"
)

// A loop is one Forever or Once. All its fields belong to the goroutine that runs it.
type loop struct {
	*Scheduler
	ctx   context.Context
	once  bool      // every job has one tick, which is due and never too late
	start time.Time // times are counted from here, by the monotonic clock
	wall  int64     // the start, in nanoseconds since 1970

	entries  map[probe.Key]*entry
	ticks    ticks    // all entries, by their next tick
	queue    []*entry // those that wait for a free slot, in the order of their ticks
	running  int
	lateness probe.Lateness // watched while runs are in progress
	finished finished
	workers  *workers
	reported struct{ running, queued int }
}

func (s *Scheduler) loop(ctx context.Context) *loop {
	now := time.Now()
	l := &loop{Scheduler: s, start: now, wall: now.UnixNano(), finished: finished{wake: make(chan struct{}, 1)}, workers: newWorkers()}
	l.lateness.Tick = s.tick
	l.ctx = probe.WithLateness(ctx, &l.lateness)
	return l
}

func (l *loop) now() time.Duration { return time.Since(l.start) }

// run starts what is due, until ctx is done (or, for Once, until the queue is empty) and all runs have ended.
func (l *loop) run(sets <-chan []probe.Job) {
	defer l.heartbeat(time.Time{})
	defer l.workers.end()
	wake := l.now()
	timer := time.NewTimer(0) // fires at wake
	defer timer.Stop()
	done := l.ctx.Done()
	receive := func(jobs []probe.Job, open bool) {
		if open {
			l.apply(jobs)
		} else {
			sets = nil
		}
	}
	for {
		l.collectEnded()
		if l.ctx.Err() == nil {
			l.enqueueDue()
			l.startQueued()
		} else {
			l.cancelQueued()
		}
		if l.running == 0 {
			l.lateness.Rest()
		}
		l.reportDepth()
		l.heartbeat(time.Now())
		if l.running == 0 && (l.ctx.Err() != nil || l.once && len(l.queue) == 0) {
			return
		}
		next := l.nextWake()
		l.finished.hurry(len(l.queue) > 0, next-l.now() > soon)
		if next < wake {
			wake = next
			timer.Reset(wake - l.now())
		}
		select {
		case <-timer.C:
			wake = never
		case <-l.finished.wake:
		case jobs, open := <-sets:
			receive(jobs, open)
		case w := <-l.requests:
			select {
			case jobs, open := <-sets: // the request may be about one of these
				receive(jobs, open)
			default:
			}
			l.accept(w)
		case <-done:
			done = nil
		}
	}
}

// soon is how long it is not told that a run has ended if no other is in progress: the loop iterates by then.
const soon = 10 * time.Millisecond

// never is later than everything.
const never = math.MaxInt64

// nextWake is when the next tick or the next heartbeat is due.
func (l *loop) nextWake() time.Duration {
	next := l.now() + heartbeatInterval
	if len(l.ticks) > 0 && l.ctx.Err() == nil {
		next = min(next, l.ticks[0].due)
	}
	return next
}

// collectEnded finishes runs that ended, so that none counts as in progress.
func (l *loop) collectEnded() {
	for _, e := range l.finished.take() {
		l.finish(e)
	}
}

// enqueueDue handles the ticks that are due. Ticks that become due in the meantime are left for the next iteration.
func (l *loop) enqueueDue() {
	for until := l.now(); len(l.ticks) > 0 && l.ticks[0].due <= until; heap.Fix(l.ticks, 0) {
		e := l.ticks[0]
		tick, missed, fresh := latest(e.due, l.now(), e.interval)
		for range missed {
			l.watcher.Skipped(e.job.ID, Late)
		}
		e.due = l.tickAfter(e, tick)
		l.updateNext(e)
		if fresh {
			l.enqueue(e, tick)
		}
	}
}

// enqueue queues an entry for a tick, unless it is running, rate-limited or queued already.
func (l *loop) enqueue(e *entry, tick time.Duration) {
	busy := l.busy(e.job.ID.Key())
	switch {
	case busy != "":
		l.watcher.Skipped(e.job.ID, busy)
		if l.once {
			l.reportSkipped(e, probe.Hung, "not run: an earlier run ignored its timeout and still has not ended")
		}
	case tick < e.notBefore:
		l.watcher.Skipped(e.job.ID, RateLimited)
	case e.queued:
		// The new tick keeps the position in the queue, or an overloaded prober would never run short intervals.
		l.watcher.Skipped(e.job.ID, Overrun)
		e.queuedTick = tick
	default:
		e.queued, e.queuedTick = true, tick
		l.queue = append(l.queue, e)
	}
}

// startQueued starts runs while there are free slots.
func (l *loop) startQueued() {
	for l.running < l.max && len(l.queue) > 0 && l.ctx.Err() == nil {
		e := l.queue[0]
		l.queue[0] = nil
		l.queue = l.queue[1:]
		e.queued = false
		lag := l.now() - e.queuedTick
		if lag > e.interval && !l.once {
			l.watcher.Skipped(e.job.ID, Overrun)
			e.reject(Waiting)
			continue
		}
		l.startRun(e, lag)
	}
}

// cancelQueued empties the queue. For Once, every job still gets a result.
func (l *loop) cancelQueued() {
	for _, e := range l.queue {
		e.reject(Stopping)
		if l.once {
			l.reportSkipped(e, probe.Cancelled, "not run: cancelled before its turn")
		}
	}
	l.queue = nil
}

// reportDepth calls Watcher.Depth if the numbers changed.
func (l *loop) reportDepth() {
	was := l.reported
	l.reported.running, l.reported.queued = l.running, len(l.queue)
	if l.reported != was {
		l.watcher.Depth(l.reported.running, l.reported.queued)
	}
}
