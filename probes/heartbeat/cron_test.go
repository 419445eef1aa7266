package heartbeat

import (
	"strings"
	"testing"
	"time"
)

// TestSchedule_next has the times that follow one in a zone, two for each line. Where clocks change it is as in crontab(5): what is
// due at a fixed time that is skipped is due after the change, what is due at one that comes twice is due the first time only, and
// what begins with * goes by real time.
func TestSchedule_next(t *testing.T) {
	for _, test := range []struct{ line, zone, from, want string }{
		{"0 3 * * *", "UTC", "2026-11-29T02:59:59Z", "2026-11-29T03:00:00Z 2026-11-30T03:00:00Z"},
		{"0 3 * * *", "UTC", "2026-11-29T03:00:00Z", "2026-11-30T03:00:00Z 2026-12-01T03:00:00Z"},
		{"*/20 9-10 * * *", "UTC", "2026-11-29T09:21:00Z", "2026-11-29T09:40:00Z 2026-11-29T10:00:00Z"},
		{"5,50 0 1 jan *", "UTC", "2026-11-29T00:00:00Z", "2027-01-01T00:05:00Z 2027-01-01T00:50:00Z"},
		{"0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z 2108-02-29T00:00:00Z"},
		{"0 0 13 * fri", "UTC", "2026-11-01T00:00:00Z", "2026-11-06T00:00:00Z 2026-11-13T00:00:00Z"},  // either day
		{"0 0 */2 * fri", "UTC", "2026-11-01T00:00:00Z", "2026-11-13T00:00:00Z 2026-11-27T00:00:00Z"}, // both: it begins with *
		{"0 12 * * 7", "UTC", "2026-11-29T12:00:00Z", "2026-12-06T12:00:00Z 2026-12-13T12:00:00Z"},
		{"0 12 * * MON-fri/2", "UTC", "2026-11-29T12:00:00Z", "2026-11-30T12:00:00Z 2026-12-02T12:00:00Z"},
		{"@weekly", "UTC", "2026-11-29T00:00:00Z", "2026-12-06T00:00:00Z 2026-12-13T00:00:00Z"},
		{"@hourly", "Asia/Kolkata", "2026-11-29T00:00:00Z", "2026-11-29T00:30:00Z 2026-11-29T01:30:00Z"},
		{"30 2 * * *", "Asia/Kolkata", "2026-11-29T00:00:00Z", "2026-11-29T21:00:00Z 2026-11-30T21:00:00Z"},

		// Berlin goes from 02:00 to 03:00 on 2026-03-29, at 01:00 UTC, and from 03:00 to 02:00 on 2026-10-25, at 01:00 UTC.
		{"30 2 * * *", "Europe/Berlin", "2026-03-28T02:00:00Z", "2026-03-29T01:00:00Z 2026-03-30T00:30:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-10-24T02:00:00Z", "2026-10-25T00:30:00Z 2026-10-26T01:30:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", "2026-10-26T01:30:00Z 2026-10-27T01:30:00Z"},
		{"0 2 * * *", "Europe/Berlin", "2026-03-28T02:00:00Z", "2026-03-29T01:00:00Z 2026-03-30T00:00:00Z"},
		{"0 3 * * *", "Europe/Berlin", "2026-03-28T02:30:00Z", "2026-03-29T01:00:00Z 2026-03-30T01:00:00Z"},
		{"0,30 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z 2026-03-29T01:30:00Z"}, // once, not twice
		{"*/30 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z 2026-03-29T01:30:00Z"},
		{"*/30 * * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z 2026-10-25T01:30:00Z"}, // both 02:00 and 02:30
		{"0 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z 2026-10-25T02:00:00Z"},
		{"*/30 2 * * *", "Europe/Berlin", "2026-03-28T02:00:00Z", "2026-03-30T00:00:00Z 2026-03-30T00:30:00Z"}, // there is no such hour
		{"*/59 0 1 * *", "UTC", "2026-12-01T00:00:00Z", "2026-12-01T00:59:00Z 2027-01-01T00:00:00Z"},
		{"*/1 0 1 * *", "UTC", "2026-12-01T00:58:00Z", "2026-12-01T00:59:00Z 2027-01-01T00:00:00Z"},
		{"30 2 29 3 *", "Europe/Berlin", "2026-03-01T00:00:00Z", "2026-03-29T01:00:00Z 2027-03-29T00:30:00Z"},
		{"30 2 30 3 *", "Europe/Berlin", "2026-03-01T00:00:00Z", "2026-03-30T00:30:00Z 2027-03-30T00:30:00Z"},
		// Lord Howe by half an hour, Havana at midnight, Apia left out 2011-12-30.
		{"15 2 * * *", "Australia/Lord_Howe", "2026-10-02T16:00:00Z", "2026-10-03T15:30:00Z 2026-10-04T15:15:00Z"},
		{"45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", "2026-04-04T14:45:00Z 2026-04-05T15:15:00Z"},
		{"30 0 * * *", "America/Havana", "2026-03-07T06:00:00Z", "2026-03-08T05:00:00Z 2026-03-09T04:30:00Z"},
		{"0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", "2011-12-30T10:00:00Z 2012-12-29T22:00:00Z"},
	} {
		zone, err := time.LoadLocation(test.zone)
		if err != nil {
			t.Fatal(err)
		}
		s, err := parseCron(test.line)
		if err != nil {
			t.Fatalf("%s: %v", test.line, err)
		}
		from, _ := time.Parse(time.RFC3339, test.from)
		first := s.next(from.In(zone))
		if got := first.UTC().Format(time.RFC3339) + " " + s.next(first).UTC().Format(time.RFC3339); got != test.want {
			t.Errorf("%s in %s after %s:\n got  %s\n want %s", test.line, test.zone, test.from, got, test.want)
		}
	}
}

func TestParseCron_refuses(t *testing.T) {
	for line, want := range map[string]string{
		"":                                      "expected five fields",
		"* * * *":                               "expected five fields",
		"0 0 3 * * *":                           "expected five fields",
		"@reboot":                               "expected five fields",
		"60 * * * *":                            "minute: expected *, or 0 to 59",
		"-1 * * * *":                            "minute: ",
		"+1 * * * *":                            "minute: ",
		"5/10 * * * *":                          "minute: ",
		"*/0 * * * *":                           "minute: ",
		"*/60 * * * *":                          "minute: ",
		"*/+5 * * * *":                          "minute: ",
		"10-5 * * * *":                          "minute: ",
		"1,,2 * * * *":                          "minute: ",
		"1- * * * *":                            "minute: ",
		"* 24 * * *":                            "hour: ",
		"* * 0 * *":                             "day of the month: expected *, or 1 to 31",
		"* * L * *":                             "day of the month: ",
		"* * * 0 *":                             "month: ",
		"* * * january *":                       "month: ",
		"* * * * 8":                             "day of the week: ",
		"* * * * fri-mon":                       "day of the week: ",
		strings.Repeat("0", 991) + " * * * *  ": "expected five fields", // 1,001 bytes
	} {
		if _, err := parseCron(line); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: expected %q, got %v", line, want, err)
		}
	}
}

// TestParseCron_longest: a line of as many bytes as there may be.
func TestParseCron_longest(t *testing.T) {
	if _, err := parseCron(strings.Repeat("0", 992) + " * * * *"); err != nil {
		t.Error(err)
	}
}

// FuzzSchedule holds that what is read is due at a time that comes later, and at its own minute unless the clocks changed.
func FuzzSchedule(f *testing.F) {
	for _, line := range []string{"0 3 * * *", "*/5 1-3,7 1,15 jan-mar/2 sun", "30 2 29 2 *", "@daily", "a b c d e", "1-5/3 * * * 7"} {
		f.Add(line, int64(1_774_740_000))
		f.Add(line, int64(1_792_890_000))
	}
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line string, unix int64) {
		s, err := parseCron(line)
		if err != nil || unix < 0 || unix > 1<<33 {
			return
		}
		from := time.Unix(unix, 0).In(zone)
		next := s.next(from)
		if next.IsZero() {
			return
		}
		if !next.After(from) || next.Second() != 0 {
			t.Fatalf("%q after %s: got %s", line, from, next)
		}
		if changed, _ := changeAt(next); !changed && !(s.onDay(next) && s.atMinute(next.Hour(), next.Minute())) {
			t.Fatalf("%q after %s: got %s, which it does not have", line, from, next)
		}
		if again := s.next(next); !again.IsZero() && !again.After(next) {
			t.Fatalf("%q after %s: got %s", line, next, again)
		}
	})
}
