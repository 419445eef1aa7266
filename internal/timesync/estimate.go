package timesync

import "time"

// A Sample is one reading of another clock: it showed a time between Earliest and Latest at some moment between Sent and
// Received on this machine's clock.
type Sample struct{ Earliest, Latest, Sent, Received time.Time }

// An Estimate combines the samples of one clock. The zero value has no samples.
type Estimate struct {
	Interval      // where the offset lies; empty if no single offset explains all samples
	Samples  int  // how many were added
	Moved    bool // whether the clock was seen to advance: a single sample may be a copy that never changes
	at       time.Time
	first    time.Time     // what the clock showed first
	since    time.Time     // when that was
	unit     time.Duration // the resolution of a sample
	lead     time.Duration // how long a request takes to arrive, by the last one
}

// Add narrows the estimate by a sample. Samples are added in the order in which they were taken.
func (e *Estimate) Add(s Sample) {
	read := Read(s.Earliest, s.Latest, s.Sent, s.Received)
	if e.Samples == 0 {
		e.Interval, e.first, e.since = read, s.Earliest, s.Received
	} else {
		e.Interval = e.Until(s.Received).Intersect(read)
	}
	e.Moved = e.Moved || !s.Earliest.Equal(e.first)
	e.Samples++
	e.at, e.unit = s.Received, s.Latest.Sub(s.Earliest)
	e.lead = s.Received.Sub(s.Sent) / 2
}

// Until returns where the offset lies at a later time.
func (e *Estimate) Until(now time.Time) Interval { return e.Interval.Widen(Drift(now.Sub(e.at))) }

// Next returns how long to wait before reading the clock again so that the sample narrows the estimate most. A reading of
// a clock with whole seconds shows only on which side of a tick it was made. So the clock is read when the tick is
// expected, which halves the uncertainty. The clock may be updated late by up to spare. The request is sent this long
// after the wait: before. A clock with fractions of a second can be read at once.
func (e *Estimate) Next(now time.Time, spare, before time.Duration) time.Duration {
	const second = time.Second
	if e.unit < second {
		return 0
	}
	about := e.Interval
	about.Hi = max(about.Lo, about.Hi-spare)
	there := now.Add(before + e.lead + about.Mid())
	wait := (second - time.Duration(there.Nanosecond())) % second
	return wait
}

// WaitForTick returns how long to wait until the clock must have advanced since the first sample, unless it is stopped.
func (e *Estimate) WaitForTick(now time.Time) time.Duration {
	return max(e.since.Add(e.unit).Sub(now), 0)
}

// Exhausted reports whether more samples would hardly narrow the estimate: what remains is the network delay and
// the spare.
func (e *Estimate) Exhausted(spare time.Duration) bool {
	return e.Moved && e.Width()-spare <= max(4*e.lead, 20*time.Millisecond)
}
