package timesync

import "time"

// A Sample is one reading of another clock: it stood between Earliest and Latest at some moment between Sent and
// Received, which are this machine's.
type Sample struct{ Earliest, Latest, Sent, Received time.Time }

// An Estimate is what samples of one clock tell together. The zero value is one without samples.
type Estimate struct {
	Interval      // where the offset lies; empty if no one offset explains all samples
	Samples  int  // how many there were
	Moved    bool // whether the clock was seen to move on: one that was seen but once may be a copy that stands still
	at       time.Time
	first    time.Time     // what the clock showed first
	since    time.Time     // when that was
	unit     time.Duration // what one sample leaves open
	lead     time.Duration // how long a question takes to get there, as the last one did
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

// Until is where the offset lies at a later time.
func (e *Estimate) Until(now time.Time) Interval { return e.Interval.Widen(Drift(now.Sub(e.at))) }

// Next returns how long to wait before the clock is read again, so that the answer tells most. A clock that shows
// whole seconds tells only on which side of a second's turn it was read; so it is read when, by what is known, it is
// about to turn, and the doubt is halved. Of what is shown, the last spare may be due to its being renewed late. The
// question is sent so much after the wait as before says. A clock that shows fractions may be read at once.
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

// WaitForTick returns how long to wait until the clock must show another time than at first, unless it stands still.
func (e *Estimate) WaitForTick(now time.Time) time.Duration {
	return max(e.since.Add(e.unit).Sub(now), 0)
}

// Exhausted reports whether more samples would hardly narrow the estimate: what is left is the time that questions
// take, and the spare.
func (e *Estimate) Exhausted(spare time.Duration) bool {
	return e.Moved && e.Width()-spare <= max(4*e.lead, 20*time.Millisecond)
}
