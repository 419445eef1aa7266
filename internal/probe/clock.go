package probe

import "time"

// MaxClockStep is how far this machine's wall clock may move against its monotonic one while times are compared. An NTP
// daemon that keeps a clock right moves both alike, so more than this means that somebody set the clock.
const MaxClockStep = 50 * time.Millisecond

// Step returns how far the wall clock was set ahead between two readings, negative if back: what went by on it less
// what went by on the monotonic clock, which nobody can set. A machine that slept looks as if it had been set ahead.
func Step(from, to time.Time) time.Duration {
	wall, monotonic := to.Round(0).Sub(from.Round(0)), to.Sub(from)
	return wall - monotonic
}

// ReadClock returns time.Now, read so that Step can trust it. The two clocks are read one after the other, and on a
// busy machine a thread may be held up in between: of three readings it is the one that was held up least.
func ReadClock() time.Time {
	best := time.Now()
	for range 2 {
		if next := time.Now(); Step(best, next) > 0 {
			best = next
		}
	}
	return best
}

// A ClockWatch tells whether this machine's clock was set while a run compared times with it. The zero value is of no
// use; WatchClock returns one.
type ClockWatch struct{ began time.Time }

// WatchClock begins to watch. A kind that compares what others say of the time with time.Now does so first, and asks
// Stepped before it blames anybody.
func WatchClock() ClockWatch { return ClockWatch{ReadClock()} }

// Began is when the watch began.
func (w ClockWatch) Began() time.Time { return w.began }

// Stepped returns how far the clock was set since the watch began, and whether that is too far for times read
// meanwhile to be compared (over MostStep). The reason to give then is SelfClock.
func (w ClockWatch) Stepped() (by time.Duration, tooFar bool) {
	by = Step(w.began, ReadClock())
	return by, by.Abs() > MaxClockStep
}
