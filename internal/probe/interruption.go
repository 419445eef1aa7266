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
}

func watchInterruption(ctx context.Context, began time.Time) *interruption {
	return &interruption{ctx: ctx, began: began, last: began}
}

// wasSuspended reports whether the prober was suspended since the run began.
func (i *interruption) wasSuspended() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := time.Now()
	i.suspended = i.suspended || now.Sub(i.last) > pulse+stall || clockJumped(i.began, now)
	i.last = now
	return i.suspended
}

// happened reports whether the run was cancelled or suspended. Results that no Job runs have none.
func (i *interruption) happened() bool { return i != nil && (i.ctx.Err() != nil || i.wasSuspended()) }

// await waits for done, at most for limit, and reports whether that was reached. After a stop all timers fire at once, the
// deadline of the probe among them, so it has another Grace to heed that.
func (i *interruption) await(done <-chan struct{}, limit time.Duration) (hung bool) {
	end, extended := time.Now().Add(limit), false
	timer := time.NewTimer(min(pulse, limit))
	defer timer.Stop()
	for {
		select {
		case <-done:
			i.wasSuspended()
			return false
		case <-timer.C:
		}
		suspended := i.wasSuspended()
		if left := time.Until(end); left > 0 {
			timer.Reset(min(pulse, left))
			continue
		}
		select {
		case <-done:
			return false
		default:
		}
		if !suspended || extended {
			return true
		}
		extended, end = true, time.Now().Add(Grace)
		timer.Reset(min(pulse, Grace))
	}
}

// clockJumped reports whether the wall clock went ahead of the monotonic one, as it does when a machine sleeps.
func clockJumped(from, to time.Time) bool {
	return Step(from, to) > stall
}
