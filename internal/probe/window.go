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
	now := face(at.In(w.Zone))
	for _, back := range []int{0, 1} { // it may have opened yesterday
		midnight := time.Date(now.Year(), now.Month(), now.Day()-back, 0, 0, 0, 0, time.UTC)
		closes := midnight.Add(w.Closes)
		if midnight.Weekday() == w.Day && !now.Before(midnight.Add(w.Opens)) && now.Before(closes) {
			return shows(at.In(w.Zone), closes), true
		}
	}
	return time.Time{}, false
}

// face is what a clock shows at a time, as if it were UTC. Windows are compared by it and not by the moments at which
// they would open: people start and stop by the clock, also where it shows an hour twice or leaves one out.
func face(local time.Time) time.Time {
	_, ahead := local.Zone()
	return local.UTC().Add(time.Duration(ahead) * time.Second)
}

// shows is when the clock first shows a face, or a later one, after a time.
func shows(local, wanted time.Time) time.Time {
	for {
		then := local.Add(wanted.Sub(face(local)))
		_, change := local.ZoneBounds()
		if change.IsZero() || then.Before(change) {
			return then
		}
		if local = change; !face(local).Before(wanted) {
			return local
		}
	}
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
