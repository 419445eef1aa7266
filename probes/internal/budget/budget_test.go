package budget

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// within is a context that ends after a time; 0 is never.
func within(t *testing.T, limit time.Duration) context.Context {
	if limit == 0 {
		return t.Context()
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// TestShare_Keep: a step ends when its part of the time is over, and not at all where nothing ends.
func TestShare_Keep(t *testing.T) {
	for name, c := range map[string]struct {
		limit time.Duration
		step  func(context.Context) (context.Context, context.CancelFunc)
		want  time.Duration
	}{
		"a part":                     {10 * time.Second, func(ctx context.Context) (context.Context, context.CancelFunc) { return Share(ctx, 0.25) }, 2500 * time.Millisecond},
		"a part of no limit":         {0, func(ctx context.Context) (context.Context, context.CancelFunc) { return Share(ctx, 0.25) }, 0},
		"all but a rest":             {10 * time.Second, func(ctx context.Context) (context.Context, context.CancelFunc) { return Keep(ctx, 3*time.Second) }, 7 * time.Second},
		"all but a rest of no limit": {0, func(ctx context.Context) (context.Context, context.CancelFunc) { return Keep(ctx, 3*time.Second) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				ctx, done := c.step(within(t, c.limit))
				defer done()
				end, limited := ctx.Deadline()
				if limited != (c.want > 0) || limited && end.Sub(began) != c.want {
					t.Errorf("ends after %s (%t), want %s", end.Sub(began), limited, c.want)
				}
				if done(); ctx.Err() == nil {
					t.Error("it goes on after it was ended")
				}
			})
		})
	}
}

// TestSleep: it sleeps for as long as it is asked to, or does not begin.
func TestSleep(t *testing.T) {
	for name, c := range map[string]struct {
		limit, wait, took time.Duration
		cancelled         time.Duration // after which time; 0 is not
		want              bool
	}{
		"there is time":              {2 * time.Second, time.Second, time.Second, 0, true},
		"there is no limit":          {0, time.Second, time.Second, 0, true},
		"there is too little time":   {time.Second, 2 * time.Second, 0, 0, false},
		"nothing would be left":      {time.Second, time.Second, 0, 0, false},
		"the run is cancelled":       {0, 3 * time.Second, 2 * time.Second, 2 * time.Second, false},
		"the run was cancelled":      {0, time.Second, 0, -1, false},
		"the run was, and has limit": {time.Minute, time.Second, 0, -1, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(within(t, c.limit))
				defer cancel()
				switch {
				case c.cancelled < 0:
					cancel()
				case c.cancelled > 0:
					time.AfterFunc(c.cancelled, cancel)
				}
				began := time.Now()
				if got, took := Sleep(ctx, c.wait), time.Since(began); got != c.want || took != c.took {
					t.Errorf("got %t after %s, want %t after %s", got, took, c.want, c.took)
				}
			})
		})
	}
}

// TestWithGrace: what must be done in the end may take its time after a cancellation, but no longer than the run may.
func TestWithGrace(t *testing.T) {
	for name, c := range map[string]struct {
		limit, cancelled, want time.Duration
	}{
		"not cancelled":              {10 * time.Second, 0, 10 * time.Second},
		"cancelled":                  {10 * time.Second, time.Second, 4 * time.Second},
		"cancelled, without a limit": {0, time.Second, 4 * time.Second},
		"cancelled near the end":     {10 * time.Second, 9 * time.Second, 10 * time.Second},
		"cancelled before":           {10 * time.Second, -1, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				ctx, cancel := context.WithCancel(within(t, c.limit))
				defer cancel()
				switch {
				case c.cancelled < 0:
					cancel()
				case c.cancelled > 0:
					time.AfterFunc(c.cancelled, cancel)
				}
				longer, done := WithGrace(ctx, 3*time.Second)
				defer done()
				share, over := Share(longer, 0.3)
				defer over()
				if end, limited := share.Deadline(); limited != (c.limit > 0) || limited && end.Sub(began) != c.limit*3/10 {
					t.Errorf("a part of it ends after %s (%t)", end.Sub(began), limited)
				}
				<-longer.Done()
				if took := time.Since(began); took != c.want {
					t.Errorf("it ended after %s, want %s", took, c.want)
				}
			})
		})
	}
}
