package probe

import (
	"cmp"
	"context"
	"runtime"
	"sync"
	"time"
)

// latenessTick is how often a Lateness looks by default, and timerSlack by how much a timer is late on a machine that is idle.
const (
	latenessTick = 5 * time.Millisecond
	timerSlack   = time.Millisecond
)

// A Lateness adds up by how much this process was late: its own timer and, behind that, everything else that was ready to
// run. An answer that has arrived is read as late, so a part of what an exchange took may be the prober's own delay.
type Lateness struct {
	Tick time.Duration // how often it looks; 0: often enough to notice each time that a busy machine lets the process wait

	mu    sync.Mutex
	total time.Duration
	due   time.Time   // of the tick that is awaited; zero while nobody watches
	timer *time.Timer // fires at due; nil before the first
}

// Watch adds up from now on, until Rest.
func (l *Lateness) Watch() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.due.IsZero() {
		l.await()
	}
}

// Rest ends what Watch began.
func (l *Lateness) Rest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total += l.late()
	l.due = time.Time{}
}

// await awaits the next tick. l.mu is held.
func (l *Lateness) await() {
	tick := cmp.Or(l.Tick, latenessTick)
	l.due = time.Now().Add(tick)
	if l.timer == nil {
		l.timer = time.AfterFunc(tick, l.look)
	} else {
		l.timer.Reset(tick)
	}
}

// look adds what the tick that was awaited is late by, and awaits the next.
func (l *Lateness) look() {
	runtime.Gosched() // to the end of the queue: what a timer starts is put at its head
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.due.IsZero() {
		l.total += l.late()
		l.await()
	}
}

// late is by how much the tick that is awaited is late. l.mu is held.
func (l *Lateness) late() time.Duration {
	if l.due.IsZero() {
		return 0
	}
	if late := time.Since(l.due); late > timerSlack {
		return late
	}
	return 0
}

// Total is by how much the process was late in all, up to now. A nil Lateness was never late.
func (l *Lateness) Total() time.Duration {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total + l.late()
}

type latenessKey struct{}

// WithLateness returns a context in which LatenessOf returns l.
func WithLateness(ctx context.Context, l *Lateness) context.Context {
	return context.WithValue(ctx, latenessKey{}, l)
}

// LatenessOf returns what is watched while a run is in progress; nil if nothing is.
//
//go:noinline
func LatenessOf(ctx context.Context) *Lateness {
	l, _ := ctx.Value(latenessKey{}).(*Lateness)
	return l
}

// OwnDelay reports whether the exchange exceeds a limit and the prober's own delay may be why: it was late for half of the
// excess or more. It is late for a part of what it waits for only, so the excess may be twice as much.
func (x *Exchange) OwnDelay(limit time.Duration) bool {
	return x.Took > limit && x.Took-2*x.Late <= limit
}
