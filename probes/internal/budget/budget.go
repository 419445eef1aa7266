// Package budget divides the time of a run among its steps.
package budget

import (
	"context"
	"errors"
	"time"
)

// Share returns a context that ends after a part of the time that is left.
func Share(ctx context.Context, part float64) (context.Context, context.CancelFunc) {
	end, limited := ctx.Deadline()
	if !limited {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(part*float64(time.Until(end))))
}

// Keep returns a context that ends before the other does, by the time that is to be left.
func Keep(ctx context.Context, left time.Duration) (context.Context, context.CancelFunc) {
	end, limited := ctx.Deadline()
	if !limited {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-left))
}

// Sleep waits. It returns false, and at once, where the context will end before.
func Sleep(ctx context.Context, wait time.Duration) bool {
	if end, limited := ctx.Deadline(); ctx.Err() != nil || limited && time.Until(end) <= wait {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// WithGrace returns a context that outlives the cancellation of another for a while, but not its deadline.
func WithGrace(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	if end, limited := ctx.Deadline(); limited {
		cancel()
		longer, cancel = context.WithDeadline(context.WithoutCancel(ctx), end)
	}
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			rest, done := context.WithTimeout(longer, grace)
			defer done()
			<-rest.Done()
		}
		cancel()
	})
	return longer, func() { stop(); cancel() }
}
