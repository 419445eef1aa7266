// Package timesync tells how far clocks are apart, with bounds that hold: each source of time yields an interval that
// its offset lies in, and what follows from several is arithmetic on intervals.
//
// An offset is another clock's time less this machine's: positive where the other is ahead.
package timesync

import (
	"math"
	"time"
)

// An Interval is where an offset lies: at least Lo and at most Hi. It is empty where Lo is above Hi.
type Interval struct{ Lo, Hi time.Duration }

// farthest bounds every offset, so that sums and differences of any few cannot overflow. NTP itself cannot tell
// times apart that are more than 68 years from each other.
const farthest = 60 * 365 * 24 * time.Hour

// drift is how fast the offset between two clocks may change: 15 ppm that a clock left alone may be wrong by
// (RFC 5905, PHI), and 500 ppm that a daemon that keeps it right may turn it by (RFC 5905, section 11.3).
const drift = 515e-6

// Drift is how much an offset may have changed since it was measured.
func Drift(age time.Duration) time.Duration {
	return time.Duration(math.Ceil(float64(age.Abs()) * drift))
}

// Around is the interval around a middle.
func Around(mid, half time.Duration) Interval {
	return Interval{bounded(mid - half), bounded(mid + half)}
}

// Read is where the offset of a clock lies that stood between earliest and latest at some moment between sent and
// received on this machine's clock.
func Read(earliest, latest, sent, received time.Time) Interval {
	return Interval{bounded(earliest.Sub(received)), bounded(latest.Sub(sent))}
}

func bounded(offset time.Duration) time.Duration { return min(max(offset, -farthest), farthest) }

// Empty reports whether no offset is in the interval.
func (i Interval) Empty() bool { return i.Lo > i.Hi }

// Mid is the middle of the interval.
func (i Interval) Mid() time.Duration { return i.Lo + i.Width()/2 }

// Width is the length of the interval.
func (i Interval) Width() time.Duration { return i.Hi - i.Lo }

// Uncertainty is how far the offset may be from the middle.
func (i Interval) Uncertainty() time.Duration { return i.Width() - i.Width()/2 }

// Intersect is where the offset lies if it lies in both intervals.
func (i Interval) Intersect(other Interval) Interval {
	return Interval{max(i.Lo, other.Lo), min(i.Hi, other.Hi)}
}

// Meets reports whether an offset can lie in both intervals.
func (i Interval) Meets(other Interval) bool { return !i.Intersect(other).Empty() }

// Minus is where the difference of two offsets lies: how far the one clock is ahead of the other. What this machine's
// own clock is wrong by is in both, and cancels out.
func (i Interval) Minus(other Interval) Interval { return Interval{i.Lo - other.Hi, i.Hi - other.Lo} }

// Widen is the interval with that much more of doubt on either side.
func (i Interval) Widen(by time.Duration) Interval {
	return Interval{bounded(i.Lo - by), bounded(i.Hi + by)}
}

// Shift is the interval moved.
func (i Interval) Shift(by time.Duration) Interval {
	return Interval{bounded(i.Lo + by), bounded(i.Hi + by)}
}

// Within reports whether the offset is certainly no further from zero than limit.
func (i Interval) Within(limit time.Duration) bool { return i.Lo >= -limit && i.Hi <= limit }

// Beyond reports whether the offset is certainly further from zero than limit. Where an offset is neither Within nor
// Beyond, nobody can tell.
func (i Interval) Beyond(limit time.Duration) bool { return i.Lo > limit || i.Hi < -limit }
