package probe

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// WindowTimes are the times of a Window as a configuration states them: from one moment to another, or weekly.
type WindowTimes struct {
	From   string `yaml:"from" doc:"Start, by RFC 3339: 2026-11-22T22:00:00Z."`
	To     string `yaml:"to" doc:"End, by RFC 3339."`
	Weekly string `yaml:"weekly" doc:"Instead of from and to: a weekday and two times, Sun 02:00-04:00. An end before the start is on the next day."`
	Zone   string `yaml:"zone" default:"UTC" doc:"The time zone of weekly, such as Europe/Berlin."`
}

// Parse reads the times, and reports by key what is wrong with them, in texts that do not repeat the key.
func (t WindowTimes) Parse(wrong func(key, format string, args ...any)) (out Window) {
	if t.Weekly != "" {
		if t.From != "" || t.To != "" {
			wrong("weekly", "is in place of from and to")
		}
		t.parseWeekly(&out, wrong)
		return out
	}
	if t.Zone != "" {
		wrong("zone", "is for weekly; from and to name their own offset")
	}
	known := true
	moment := func(key, text string) time.Time {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			known = false
			wrong(key, "expected a time after RFC 3339, such as 2026-11-22T22:00:00Z")
		}
		return at
	}
	out.From, out.To = moment("from", t.From), moment("to", t.To)
	if known && !out.To.After(out.From) {
		wrong("to", "must be after from")
	}
	return out
}

var weeklyPattern = regexp.MustCompile(`^([A-Za-z]{3}) ([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})$`)

func (t WindowTimes) parseWeekly(out *Window, wrong func(key, format string, args ...any)) {
	const rule = "expected a weekday and two times, such as Sun 02:00-04:00"
	parts := weeklyPattern.FindStringSubmatch(t.Weekly)
	day := time.Weekday(-1)
	for d := time.Sunday; parts != nil && d <= time.Saturday; d++ {
		if strings.EqualFold(d.String()[:3], parts[1]) {
			day = d
		}
	}
	if day < 0 {
		wrong("weekly", rule)
		return
	}
	out.Day = day
	opens, first := clock(parts[2], parts[3])
	closes, second := clock(parts[4], parts[5])
	if !first || !second || opens == closes || opens == 24*time.Hour {
		wrong("weekly", "%s, with hours from 00 to 24, minutes from 00 to 59, and not the same twice", rule)
	}
	if closes < opens {
		closes += 24 * time.Hour
	}
	out.Opens, out.Closes, out.Zone = opens, closes, time.UTC
	if t.Zone == "" {
		return
	}
	zone, err := time.LoadLocation(t.Zone)
	if err != nil || t.Zone == "Local" { // another machine has another
		wrong("zone", "expected a time zone, such as Europe/Berlin")
		return
	}
	out.Zone = zone
}

// clock returns the time since midnight of a time of day.
func clock(hour, minute string) (time.Duration, bool) {
	h, _ := strconv.Atoi(hour) // two digits both: the pattern says so
	m, _ := strconv.Atoi(minute)
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute, m < 60 && (h < 24 || h == 24 && m == 0)
}
