package schedule

import (
	"container/heap"
	"sync/atomic"
	"time"

	"prober/internal/drop"
	"prober/internal/probe"
)

// An entry is a job of the current set with its schedule. Times are counted from the start of the loop.
type entry struct {
	job      *probe.Job
	interval time.Duration
	index    int           // among the jobs of that interval
	due      time.Duration // the next tick
	next     atomic.Int64  // the next run, for Next

	queued     bool          // waits for a free slot
	queuedTick time.Duration // the tick for which it waits
	answer     chan error    // of the request for which it waits; nil for a tick

	factor    time.Duration // by which rate limits stretch the interval; 0 or 1: not at all
	notBefore time.Duration // no run for ticks before this one
}

// apply replaces the current set.
func (l *loop) apply(jobs []probe.Job) {
	l.ticks = l.mergeJobs(jobs)
	heap.Init(l.ticks)
	l.plan.Store(&plan{start: l.start, entries: l.entries})
	l.queue = drop.If(l.queue, func(e *entry) bool {
		gone := l.entries[e.job.ID.Key()] != e
		if gone {
			e.reject(Unknown)
		}
		return gone
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropEnded()
	for k, r := range l.runs {
		if e := l.entries[k]; e == nil || e.job.ID != r.id || e.job.Settings != r.settings {
			r.observed.Store(true)
		}
	}
}

// mergeJobs returns the entries of the jobs in their order. Known jobs keep their phases, new ones take free indices.
func (l *loop) mergeJobs(jobs []probe.Job) ticks {
	before := l.entries
	l.entries = make(map[probe.Key]*entry, len(jobs))
	all := make(ticks, 0, len(jobs))
	var moved ticks
	taken := map[time.Duration]*slots{}
	for i := range jobs {
		k := jobs[i].ID.Key()
		if l.entries[k] != nil {
			continue // the same job twice must not run twice
		}
		e := before[k]
		if e == nil {
			e = &entry{}
		}
		e.job = &jobs[i]
		l.entries[k] = e
		all = append(all, e)
		interval := max(jobs[i].Interval, minInterval)
		if taken[interval] == nil {
			taken[interval] = &slots{}
		}
		if e.interval == interval {
			taken[interval].take(e.index)
			continue
		}
		e.interval = interval
		moved = append(moved, e)
	}
	for _, e := range moved {
		e.index = taken[e.interval].free()
		l.setFirstTick(e)
	}
	return all
}

// setFirstTick sets the first tick of an entry: the next one of its phase, or an earlier one if the interval is long.
func (l *loop) setFirstTick(e *entry) {
	defer l.updateNext(e)
	now, at := l.now(), phase(e.index, e.interval, l.offset)
	if e.interval > maxFirstWait {
		e.due = now + fraction(at, maxFirstWait)
		return
	}
	e.due = next(now, l.wall, at, e.interval)
}

// tickAfter returns the next tick of an entry. After an earlier first tick that is a step of at least half an interval.
func (l *loop) tickAfter(e *entry, tick time.Duration) time.Duration {
	return next(tick+e.interval/2, l.wall, phase(e.index, e.interval, l.offset), e.interval)
}

// slots are the indices in use among the jobs of one interval.
type slots struct {
	used   []bool
	lowest int // none below is free
}

func (p *slots) take(index int) {
	if grow := index + 1 - len(p.used); grow > 0 {
		p.used = append(p.used, make([]bool, grow)...)
	}
	p.used[index] = true
}

func (p *slots) free() int {
	for p.lowest < len(p.used) && p.used[p.lowest] {
		p.lowest++
	}
	p.take(p.lowest)
	return p.lowest
}

// ticks is a heap of entries, the earliest first. It is made as a whole: nothing is pushed or popped.
type ticks []*entry

func (t ticks) Len() int           { return len(t) }
func (t ticks) Less(i, j int) bool { return t[i].due < t[j].due }
func (t ticks) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (ticks) Push(any)             {}
func (ticks) Pop() any             { return nil }
