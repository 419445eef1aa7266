package heartbeat

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A schedule is a line of crontab(5): five sets of numbers.
type schedule struct {
	minutes, hours, days, months, weekdays uint64 // a bit for each number
	eitherDay                              bool   // days and weekdays are both restricted: either is enough
	fixed                                  bool   // neither minutes nor hours begin with *
}

// A cronField is what one field of a line may have. Names stand for the numbers from low on.
type cronField struct {
	name      string
	low, high int
	names     string
}

var cronFields = [...]cronField{
	{"minute", 0, 59, ""},
	{"hour", 0, 23, ""},
	{"day of the month", 1, 31, ""},
	{"month", 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"},
	{"day of the week", 0, 7, "sun mon tue wed thu fri sat"},
}

// parseCron reads a line of crontab(5) without its command, or one of its words such as @daily.
func parseCron(line string) (s schedule, err error) {
	switch line {
	case "@hourly":
		line = "0 * * * *"
	case "@daily", "@midnight":
		line = "0 0 * * *"
	case "@weekly":
		line = "0 0 * * 0"
	case "@monthly":
		line = "0 0 1 * *"
	case "@yearly", "@annually":
		line = "0 0 1 1 *"
	}
	fields := strings.Fields(line)
	if len(fields) != len(cronFields) || len(line) > 1000 {
		return s, errors.New("expected five fields: minute, hour, day of the month, month, day of the week")
	}
	sets := [...]*uint64{&s.minutes, &s.hours, &s.days, &s.months, &s.weekdays}
	for i, f := range cronFields {
		if *sets[i], err = f.parse(strings.ToLower(fields[i])); err != nil {
			return s, err
		}
	}
	if s.weekdays&(1<<7) != 0 { // Sunday too
		s.weekdays |= 1
	}
	star := func(i int) bool { return fields[i][0] == '*' }
	s.eitherDay = !star(2) && !star(4)
	s.fixed = !star(0) && !star(1)
	return s, nil
}

func (f cronField) parse(text string) (set uint64, err error) {
	for part := range strings.SplitSeq(text, ",") {
		span, step, stepped := strings.Cut(part, "/")
		low, high := f.low, f.high
		ok := true
		if span != "*" {
			from, to, ranged := strings.Cut(span, "-")
			low, ok = f.number(from)
			if high = low; ranged && ok {
				high, ok = f.number(to)
			}
			ok = ok && low <= high && (ranged || !stepped)
		}
		by := 1
		if stepped && ok {
			if by, err = strconv.Atoi(step); err != nil || by < 1 || by > f.high || step[0] == '+' {
				ok = false
			}
		}
		if !ok {
			return 0, fmt.Errorf("%s: expected *, or %d to %d, as a, a-b, a-b/step or a list of them", f.name, f.low, f.high)
		}
		for n := low; n <= high; n += by {
			set |= 1 << n
		}
	}
	return set, nil
}

func (f cronField) number(text string) (int, bool) {
	for i, name := range strings.Fields(f.names) {
		if name == text {
			return i + f.low%2, true // months count from 1
		}
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && text[0] >= '0' && text[0] <= '9' && n >= f.low && n <= f.high
}

// onDay reports whether the schedule has the day of a time.
func (s schedule) onDay(t time.Time) bool {
	day, weekday := s.days>>t.Day()&1 == 1, s.weekdays>>t.Weekday()&1 == 1
	if s.months>>t.Month()&1 == 0 {
		return false
	}
	if s.eitherDay {
		return day || weekday
	}
	return day && weekday
}

// atMinute reports whether the schedule has the hour and the minute of a time.
func (s schedule) atMinute(hour, minute int) bool {
	return s.hours>>hour&1 == 1 && s.minutes>>minute&1 == 1
}

// horizon is how far next looks ahead: February 29 may be eight years away.
const horizon = 9 * 366 * 24 * time.Hour

// next returns the first time after another at which the schedule is due, in the zone of that; the zero time if there is none.
//
// Where clocks change it is that of cron(8) in Debian: what is due at a fixed time that is skipped is due when the clocks have
// changed, and what is due at one that comes twice is due the first time only. A schedule whose minutes or hours begin with *
// goes by real time.
func (s schedule) next(after time.Time) time.Time {
	t := after.Truncate(time.Minute)
	for end := after.Add(horizon); t.Before(end); {
		t = t.Add(time.Minute)
		changed, by := changeAt(t)
		if s.fixed && changed && by > 0 && s.skipped(t, by) {
			return t
		}
		if !s.onDay(t) {
			t = lastOfDay(t)
			continue
		}
		if s.atMinute(t.Hour(), t.Minute()) && !(s.fixed && again(t)) {
			return t
		}
		if s.hours>>t.Hour()&1 == 0 {
			t = lastOfHour(t)
		}
	}
	return time.Time{}
}

// changeAt reports whether the clocks change at a minute, and by how much they go ahead.
func changeAt(t time.Time) (changed bool, by time.Duration) {
	start, _ := t.ZoneBounds()
	if start.IsZero() || t.Sub(start) >= time.Minute || t.Before(start) {
		return false, 0
	}
	return true, offset(t) - offset(start.Add(-time.Second))
}

func offset(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

// skipped reports whether the schedule has a minute of those that the clocks left out just before t.
func (s schedule) skipped(t time.Time, by time.Duration) bool {
	wall := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC)
	for m := wall.Add(-min(by, 24*time.Hour)); m.Before(wall); m = m.Add(time.Minute) {
		if s.onDay(m) && s.atMinute(m.Hour(), m.Minute()) {
			return true
		}
	}
	return false
}

// again reports whether the clocks have shown a time before, since they were set back.
func again(t time.Time) bool {
	start, _ := t.ZoneBounds()
	if start.IsZero() {
		return false
	}
	return t.Sub(start) < offset(start.Add(-time.Second))-offset(t)
}

// lastOfDay returns the last minute that surely belongs to the day of t, or t.
func lastOfDay(t time.Time) time.Time {
	left := 24*60 - t.Hour()*60 - t.Minute() - 1
	return sameDay(t, time.Duration(left)*time.Minute)
}

// lastOfHour returns the last minute of the hour of t.
func lastOfHour(t time.Time) time.Time { return sameDay(t, time.Duration(59-t.Minute())*time.Minute) }

// sameDay adds to a time what the clocks do not change meanwhile; else nothing.
func sameDay(t time.Time, by time.Duration) time.Time {
	if _, end := t.ZoneBounds(); !end.IsZero() && !t.Add(by).Before(end) {
		return t
	}
	return t.Add(by)
}
