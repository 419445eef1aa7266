package probe

import (
	"context"
	"sync"
	"time"
)

// pulse is how often a run looks whether the prober itself was stopped; a pulse later than stall means that it was.
// On a busy machine pulses are some hundred milliseconds late without anybody having stopped it.
const (
	pulse = 250 * time.Millisecond
	stall = 1500 * time.Millisecond
)

// An interruption tells whether a run was cancelled, or the prober suspended in the middle of it. What was noted before
// stands; what is noted after it may be its consequence.
type interruption struct {
	ctx   context.Context // of the run; its timeout is another
	began time.Time

	mu        sync.Mutex
	last      time.Time // when somebody last looked
	suspended bool
	timer     *time.Timer
	end       time.Time // when the run is given up
	extended  bool      // it was put off
	over      bool      // the run has ended or was given up
}

func watchInterruption(ctx context.Context, began time.Time) *interruption {
	return &interruption{ctx: ctx, began: began, last: began}
}

// wasSuspended reports whether the prober was suspended since the run began.
func (i *interruption) wasSuspended() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.look()
}

// look is wasSuspended while i.mu is held.
func (i *interruption) look() bool {
	now := time.Now()
	i.suspended = i.suspended || now.Sub(i.last) > pulse+stall || clockJumped(i.began, now)
	i.last = now
	return i.suspended
}

// happened reports whether the run was cancelled or suspended. Results that no Job runs have none.
func (i *interruption) happened() bool { return i != nil && (i.ctx.Err() != nil || i.wasSuspended()) }

// watch calls giveUp, from another goroutine, if the run has not ended by limit. After a stop all timers fire at once, the deadline
// of the probe among them, so it has another Grace to heed that.
func (i *interruption) watch(limit time.Duration, giveUp func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.end = time.Now().Add(limit)
	i.timer = time.AfterFunc(min(pulse, limit), func() {
		if i.expired() {
			giveUp()
		}
	})
}

// expired looks, and reports whether the run is given up now.
func (i *interruption) expired() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.over {
		return false
	}
	suspended := i.look()
	left := time.Until(i.end)
	if left <= 0 && suspended && !i.extended {
		left, i.extended = Grace, true
		i.end = time.Now().Add(Grace)
	}
	if i.over = left <= 0; !i.over {
		i.timer.Reset(min(pulse, left))
	}
	return i.over
}

// stop ends the watch and reports whether the run ended before it was given up.
func (i *interruption) stop() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.timer.Stop()
	inTime := !i.over
	i.look()
	i.over = true
	return inTime
}

// clockJumped reports whether the wall clock went ahead of the monotonic one, as it does when a machine sleeps.
func clockJumped(from, to time.Time) bool {
	return Step(from, to) > stall
}
