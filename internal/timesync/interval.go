// Package timesync measures how far clocks are apart, with strict bounds: each source of time yields an interval in which
// its offset lies, and several are combined by arithmetic on intervals.
//
// An offset is another clock's time minus this machine's: positive if the other is ahead.
package timesync

import (
	"math"
	"time"
)

// An Interval is a range of offsets, from Lo to Hi. It is empty if Lo is above Hi.
type Interval struct{ Lo, Hi time.Duration }

// maxOffset bounds every offset, so that sums and differences of a few cannot overflow. NTP itself cannot represent
// differences of more than 68 years.
const maxOffset = 60 * 365 * 24 * time.Hour

// drift is how fast the offset between two clocks may change: 15 ppm for a free-running clock (RFC 5905, PHI), and
// 500 ppm by which a daemon may slew it (RFC 5905, section 11.3).
const drift = 515e-6

// Drift returns how much an offset may have changed since it was measured.
func Drift(age time.Duration) time.Duration {
	return time.Duration(math.Ceil(float64(age.Abs()) * drift))
}

// Around returns the interval of a half-width around a midpoint.
func Around(mid, half time.Duration) Interval {
	return Interval{bounded(mid - half), bounded(mid + half)}
}

// Read returns where the offset of a clock lies that showed a time between earliest and latest at some moment between
// sent and received on this machine's clock.
func Read(earliest, latest, sent, received time.Time) Interval {
	return Interval{bounded(earliest.Sub(received)), bounded(latest.Sub(sent))}
}

func bounded(offset time.Duration) time.Duration { return min(max(offset, -maxOffset), maxOffset) }

// Empty reports whether no offset is in the interval.
func (i Interval) Empty() bool { return i.Lo > i.Hi }

// Mid returns the midpoint.
func (i Interval) Mid() time.Duration { return i.Lo + i.Width()/2 }

// Width returns the length of the interval.
func (i Interval) Width() time.Duration { return i.Hi - i.Lo }

// Uncertainty returns how far the offset may be from the midpoint.
func (i Interval) Uncertainty() time.Duration { return i.Width() - i.Width()/2 }

// Intersect returns the offsets that are in both intervals.
func (i Interval) Intersect(other Interval) Interval {
	return Interval{max(i.Lo, other.Lo), min(i.Hi, other.Hi)}
}

// Meets reports whether an offset can lie in both intervals.
func (i Interval) Meets(other Interval) bool { return !i.Intersect(other).Empty() }

// Minus returns where the difference of two offsets lies: how far the one clock is ahead of the other. The error of this
// machine's own clock is in both and cancels out. Of two clocks that are both beyond what an offset can say, on the same side,
// nothing is known.
func (i Interval) Minus(other Interval) Interval {
	if min(i.Hi, other.Hi) == maxOffset || max(i.Lo, other.Lo) == -maxOffset {
		return Interval{-2 * maxOffset, 2 * maxOffset}
	}
	return Interval{i.Lo - other.Hi, i.Hi - other.Lo}
}

// Widen returns the interval extended on both sides.
func (i Interval) Widen(by time.Duration) Interval {
	return Interval{bounded(i.Lo - by), bounded(i.Hi + by)}
}

// Shift returns the interval moved.
func (i Interval) Shift(by time.Duration) Interval {
	return Interval{bounded(i.Lo + by), bounded(i.Hi + by)}
}

// Within reports whether the offset is certainly no further from zero than limit.
func (i Interval) Within(limit time.Duration) bool { return i.Lo >= -limit && i.Hi <= limit }

// Beyond reports whether the offset is certainly further from zero than limit. If it is neither Within nor Beyond, the
// result is inconclusive.
func (i Interval) Beyond(limit time.Duration) bool { return i.Lo > limit || i.Hi < -limit }
