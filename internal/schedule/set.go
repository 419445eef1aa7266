package schedule

import (
	"container/heap"
	"slices"
	"sync/atomic"
	"time"

	"prober/internal/probe"
)

// key names a job, in whatever set.
type key struct{ system, name string }

func keyOf(id probe.ID) key { return key{id.System, id.Name} }

// An entry is a job of the present set with its place in time. Times are counted from the start of the loop.
type entry struct {
	job      *probe.Job
	interval time.Duration
	index    int           // among the jobs of that interval
	due      time.Duration // the next tick
	next     atomic.Int64  // the next run, for Next

	queued bool          // waits for a free place
	wanted time.Duration // the tick for which it waits
	answer chan error    // of the wish for which it waits; nil if it is a tick alone

	factor    time.Duration // by which rate limits stretch the interval; 0 or 1: not at all
	notBefore time.Duration // no run for ticks before this one
}

// apply puts a new set in place of the present one.
func (l *loop) apply(jobs []probe.Job) {
	l.ticks = l.adopt(jobs)
	heap.Init(&l.ticks)
	l.plan.Store(&plan{start: l.start, entries: l.entries})
	l.queue = slices.DeleteFunc(l.queue, func(e *entry) bool {
		gone := l.entries[keyOf(e.job.ID)] != e
		if gone {
			e.refuse(Unknown)
		}
		return gone
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget()
	for k, r := range l.runs {
		if e := l.entries[k]; e == nil || e.job.ID != r.id {
			r.settled.Store(true)
		}
	}
}

// adopt returns the entries of the jobs in their order. Known jobs keep their places in time, new ones take what is
// free.
func (l *loop) adopt(jobs []probe.Job) ticks {
	jobs = slices.Clone(jobs) // the caller may go on using the slice
	before := l.entries
	l.entries = make(map[key]*entry, len(jobs))
	all := make(ticks, 0, len(jobs))
	var moved ticks
	taken := map[time.Duration]*places{}
	for i := range jobs {
		k := keyOf(jobs[i].ID)
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
		interval := max(jobs[i].Interval, shortest)
		if taken[interval] == nil {
			taken[interval] = &places{}
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
		l.place(e)
	}
	return all
}

// place gives an entry its first tick: the next of its grid, or one before that if the interval is long.
func (l *loop) place(e *entry) {
	defer l.foresee(e)
	now, at := l.now(), phase(e.index, e.interval, l.offset)
	if e.interval > soon {
		e.due = now + part(at, soon)
		return
	}
	e.due = next(now, l.wall, at, e.interval)
}

// after returns the tick of the grid that follows one of an entry. From a first tick off the grid that is a step of
// half an interval at least.
func (l *loop) after(e *entry, tick time.Duration) time.Duration {
	return next(tick+e.interval/2, l.wall, phase(e.index, e.interval, l.offset), e.interval)
}

// places are the indices in use among the jobs of one interval.
type places struct {
	used   []bool
	lowest int // none below is free
}

func (p *places) take(index int) {
	if grow := index + 1 - len(p.used); grow > 0 {
		p.used = append(p.used, make([]bool, grow)...)
	}
	p.used[index] = true
}

func (p *places) free() int {
	for p.lowest < len(p.used) && p.used[p.lowest] {
		p.lowest++
	}
	p.take(p.lowest)
	return p.lowest
}

// ticks is a heap of entries, the earliest first.
type ticks []*entry

func (t ticks) Len() int           { return len(t) }
func (t ticks) Less(i, j int) bool { return t[i].due < t[j].due }
func (t ticks) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *ticks) Push(x any)        { *t = append(*t, x.(*entry)) }
func (t *ticks) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}
