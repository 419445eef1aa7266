package probe

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // zones, also where the machine has none
)

func TestWindowIsOpenByTheClocksOfItsZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	once := Window{From: at("2026-11-22T22:00:00Z"), To: at("2026-11-23T01:00:00Z")}
	sunday := Window{Zone: berlin, Day: time.Sunday, Opens: 2 * time.Hour, Closes: 4 * time.Hour}
	overnight := Window{Zone: berlin, Day: time.Saturday, Opens: 23 * time.Hour, Closes: 25 * time.Hour}
	santiago, err := time.LoadLocation("America/Santiago")
	if err != nil {
		t.Fatal(err)
	}
	half := Window{Zone: berlin, Day: time.Sunday, Opens: 2 * time.Hour, Closes: 150 * time.Minute}
	early := Window{Zone: berlin, Day: time.Sunday, Opens: 150 * time.Minute, Closes: 195 * time.Minute}
	late := Window{Zone: berlin, Day: time.Sunday, Opens: time.Hour, Closes: 150 * time.Minute}
	night := Window{Zone: santiago, Day: time.Sunday, Opens: 0, Closes: 2 * time.Hour}
	for _, c := range []struct {
		name  string
		w     Window
		at    string
		until string // empty: closed
	}{
		{"a moment before", once, "2026-11-22T21:59:59Z", ""},
		{"its first moment", once, "2026-11-22T22:00:00Z", "2026-11-23T01:00:00Z"},
		{"written in another zone", once, "2026-11-23T01:30:00+02:00", "2026-11-23T01:00:00Z"},
		{"its end is out", once, "2026-11-23T01:00:00Z", ""},
		{"winter time", sunday, "2026-11-22T01:30:00Z", "2026-11-22T03:00:00Z"},
		{"winter time, too late", sunday, "2026-11-22T03:00:00Z", ""},
		{"summer time is an hour earlier in UTC", sunday, "2026-07-05T00:30:00Z", "2026-07-05T02:00:00Z"},
		{"another day", sunday, "2026-11-23T01:30:00Z", ""},
		{"the hour that comes twice is in it both times, by the clock", sunday, "2026-10-25T01:30:00Z", "2026-10-25T03:00:00Z"},
		{"before midnight", overnight, "2026-11-21T22:30:00Z", "2026-11-22T00:00:00Z"},
		{"after midnight, the next day by the calendar", overnight, "2026-11-21T23:59:00Z", "2026-11-22T00:00:00Z"},
		{"the next evening", overnight, "2026-11-22T22:30:00Z", ""},
		{"the hour that comes twice, the first time", sunday, "2026-10-25T00:30:00Z", "2026-10-25T03:00:00Z"},
		{"a window within that hour, the first time", half, "2026-10-25T00:10:00Z", "2026-10-25T00:30:00Z"},
		{"between the two", half, "2026-10-25T00:40:00Z", ""},
		{"the second time", half, "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z"},
		{"it would open in the hour that is left out", early, "2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z"},
		{"not before that", early, "2026-03-29T00:59:59Z", ""},
		{"all of it is left out", half, "2026-03-29T01:00:00Z", ""},
		{"it would close in the hour that is left out", late, "2026-03-29T00:59:00Z", "2026-03-29T01:00:00Z"},
		{"and is closed after it", late, "2026-03-29T01:00:00Z", ""},
		{"a day that has no midnight", night, "2026-09-06T04:10:00Z", "2026-09-06T05:00:00Z"},
		{"not on the evening before", night, "2026-09-06T03:30:00Z", ""},
	} {
		until, open := c.w.Until(at(c.at))
		if open != (c.until != "") || open && !until.Equal(at(c.until)) {
			t.Errorf("%s: at %s got open=%v until %s, want until %q", c.name, c.at, open, until.UTC().Format(time.RFC3339), c.until)
		}
	}
	both := Job{Maintenance: []Window{once, {From: once.From, To: once.To.Add(time.Hour), Why: "longer"}}}
	if w, _, open := both.Maintained(once.From); !open || w.Why != "longer" {
		t.Errorf("of two open windows got %+v, want the one that closes last", w)
	}
	slices.Reverse(both.Maintenance)
	if w, _, open := both.Maintained(once.From); !open || w.Why != "longer" {
		t.Errorf("of two open windows got %+v, want the one that closes last", w)
	}
	if w, _, open := both.Maintained(once.From.Add(-time.Second)); open {
		t.Errorf("before its windows a job is maintained: %+v", w)
	}
	if _, _, open := (Job{}).Maintained(once.From); open {
		t.Error("a job without windows is maintained")
	}
}

// TestWindowTimes: when a window is open that is written in words.
func TestWindowTimes(t *testing.T) {
	const rule = "weekly: expected a weekday and two times, such as Sun 02:00-04:00"
	for _, c := range []struct {
		times      WindowTimes
		open, shut string // moments within and without, or what is wrong and nothing
	}{
		{WindowTimes{Weekly: "Sun 02:00-04:00"}, "2026-11-22T02:00:00Z 2026-11-22T03:59:59Z", "2026-11-22T01:59:59Z 2026-11-22T04:00:00Z 2026-11-23T03:00:00Z"},
		{WindowTimes{Weekly: "sat 23:00-01:30", Zone: "Europe/Berlin"}, "2026-11-21T22:00:00Z 2026-11-21T23:30:00Z 2026-11-22T00:29:59Z", "2026-11-21T21:59:59Z 2026-11-22T00:30:00Z 2026-11-21T00:15:00Z"},
		{WindowTimes{Weekly: "Wed 00:00-24:00"}, "2026-11-25T00:00:00Z 2026-11-25T23:59:59Z", "2026-11-24T23:59:59Z 2026-11-26T00:00:00Z"},
		{WindowTimes{Weekly: "Wed 23:59-00:00"}, "2026-11-25T23:59:30Z", "2026-11-25T23:58:59Z 2026-11-26T00:00:00Z"},
		{WindowTimes{From: "2026-11-22T22:00:00Z", To: "2026-11-22T22:00:01Z"}, "2026-11-22T22:00:00Z", "2026-11-22T22:00:01Z"},
		{WindowTimes{From: "2026-11-22T22:00:00Z", To: "2026-11-22T22:00:00Z"}, "to: must be after from", ""},
		{WindowTimes{Weekly: "Sun 02:00-02:00"}, rule + ", with hours from 00 to 24, minutes from 00 to 59, and not the same twice", ""},
		{WindowTimes{Weekly: "Sun 24:00-02:00"}, rule + ", with hours from 00 to 24, minutes from 00 to 59, and not the same twice", ""},
		{WindowTimes{Weekly: "Sun 02:00-24:01"}, rule + ", with hours from 00 to 24, minutes from 00 to 59, and not the same twice", ""},
		{WindowTimes{Weekly: "Sun 02:60-04:00"}, rule + ", with hours from 00 to 24, minutes from 00 to 59, and not the same twice", ""},
		{WindowTimes{Weekly: "Son 02:00-04:00"}, rule, ""},
		{WindowTimes{Weekly: "Sun 02:00-04:00", Zone: "Local"}, "zone: expected a time zone, such as Europe/Berlin", ""},
		{WindowTimes{Weekly: "Sun 02:00-04:00", Zone: "Europe/Nowhere"}, "zone: expected a time zone, such as Europe/Berlin", ""},
		{WindowTimes{Weekly: "Sun 02:00-04:00", From: "2026-11-22T22:00:00Z"}, "weekly: is in place of from and to", ""},
		{WindowTimes{Weekly: "Sun 02:00-04:00", To: "2026-11-22T22:00:00Z"}, "weekly: is in place of from and to", ""},
		{WindowTimes{From: "2026-11-22T22:00:00Z", To: "2026-11-22T23:00:00Z", Zone: "UTC"}, "zone: is for weekly; from and to name their own offset", ""},
		{WindowTimes{From: "2026-11-22T22:00:00Z", To: "tomorrow"}, "to: expected a time after RFC 3339, such as 2026-11-22T22:00:00Z", ""},
	} {
		wrong := ""
		w := c.times.Parse(func(key, format string, args ...any) { wrong += key + ": " + fmt.Sprintf(format, args...) })
		if c.shut == "" || wrong != "" {
			if wrong != c.open || c.shut != "" {
				t.Errorf("%+v: got %s", c.times, wrong)
			}
			continue
		}
		for i, moments := range []string{c.shut, c.open} {
			for text := range strings.FieldsSeq(moments) {
				at, err := time.Parse(time.RFC3339, text)
				if err != nil {
					t.Fatal(err)
				}
				if _, open := w.Until(at); open != (i == 1) {
					t.Errorf("%+v: at %s it is open: %t", c.times, text, open)
				}
			}
		}
	}
}
