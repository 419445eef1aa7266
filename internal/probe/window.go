package probe

import "time"

// A Window is a time in which a system is worked on. Probing and metrics go on in it; only people are left alone.
type Window struct {
	Why string // for people; may be empty

	// A single window is open from From until To.
	From, To time.Time

	// A weekly one has Zone. It opens on Day at Opens after midnight, by the clocks of the zone, and closes at Closes
	// after the same midnight, which may be on the next day.
	Zone          *time.Location
	Day           time.Weekday
	Opens, Closes time.Duration
}

// Until returns when the window that is open at a time closes; false if it is not open then.
func (w Window) Until(at time.Time) (time.Time, bool) {
	if w.Zone == nil {
		return w.To, !at.Before(w.From) && at.Before(w.To)
	}
	local := at.In(w.Zone)
	for _, back := range []int{0, 1} { // it may have opened yesterday
		year, month, day := local.AddDate(0, 0, -back).Date()
		// Wall clocks, and not a length: where the hour changes in between, people still start and stop by the clock.
		wall := func(d time.Duration) time.Time {
			return time.Date(year, month, day, int(d/time.Hour), int(d%time.Hour/time.Minute), 0, 0, w.Zone)
		}
		opens, closes := wall(w.Opens), wall(w.Closes)
		if time.Date(year, month, day, 12, 0, 0, 0, time.UTC).Weekday() == w.Day && !at.Before(opens) && at.Before(closes) {
			return closes, true
		}
	}
	return time.Time{}, false
}

// Maintained returns the window of the job that is open at a time and closes last, and when it closes; false if none
// is open.
func (j Job) Maintained(at time.Time) (w Window, until time.Time, open bool) {
	for _, candidate := range j.Maintenance {
		if closes, is := candidate.Until(at); is && closes.After(until) {
			w, until, open = candidate, closes, true
		}
	}
	return w, until, open
}
