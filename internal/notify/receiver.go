package notify

import (
	"context"
	"errors"
	"time"
)

// minPause is how long a receiver is left alone after a request that it took, and after the first that it did not.
const minPause = time.Second

// A receiver is something that is told of alerts, or that the prober works. It has a goroutine of its own.
type receiver struct {
	name     string          // closed: it is a label
	interval time.Duration   // how often it is told
	wake     <-chan struct{} // tells it sooner; nil: nothing does
	tell     func(context.Context) error
	report   func(receiver string, err error) // of each attempt
}

// run tells the receiver until ctx ends. One that fails is tried again after a second, and then after twice the time up to the
// interval. What it refuses is not sent again before the interval is over.
func (r *receiver) run(ctx context.Context) {
	backoff := minPause
	for {
		select {
		case <-r.wake: // it is told now
		default:
		}
		err := r.tell(ctx)
		if ctx.Err() != nil {
			return
		}
		if !errors.Is(err, errIdle) {
			r.report(r.name, err)
		}
		pause, wake := r.interval, r.wake
		switch {
		case err == nil || errors.Is(err, errIdle) || errors.Is(err, errRefused):
			backoff = minPause
			if !pausing(ctx, min(minPause, pause)) {
				return
			}
			pause -= min(minPause, pause)
		default:
			pause, wake = min(backoff, r.interval), nil
			backoff = min(2*backoff, r.interval)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-wake:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// errIdle means that there was nothing to send.
var errIdle = errors.New("nothing to send")

// pausing waits, and reports whether ctx has not ended.
func pausing(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
