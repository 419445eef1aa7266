package probe

import (
	"testing"
	"time"
)

// TestUptime: a share is never rounded up, and what is not known of its time is told.
func TestUptime(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, u := range []Uptime{{Span: day}, {Known: day, Passed: day}} {
		if got := u.String(); got != "unknown" {
			t.Errorf("%+v: got %s, want unknown", u, got)
		}
	}
	if got, want := (Uptime{Span: 5, Known: 3, Passed: 2}).Add(Uptime{Span: 50, Known: 30, Passed: 20}), (Uptime{Span: 55, Known: 33, Passed: 22}); got != want {
		t.Errorf("the sum is %+v, want %+v", got, want)
	}
	for want, u := range map[string]Uptime{
		"unknown":                   {},
		"100 %":                     {Passed: day, Known: day, Span: day},
		"99.99 %":                   {Passed: day - time.Second, Known: day, Span: day},
		"0 %":                       {Passed: 0, Known: day, Span: day},
		"50 % (50 % unknown)":       {Passed: 6 * time.Hour, Known: 12 * time.Hour, Span: day},
		"100 % (1 % unknown)":       {Passed: 99 * day, Known: 99 * day, Span: 100 * day},
		"100 % (under 1 % unknown)": {Passed: 995 * day, Known: 995 * day, Span: 1000 * day},
		"100 % (99 % unknown)":      {Passed: day, Known: day, Span: 100 * day},
		"100 % (over 99 % unknown)": {Passed: day, Known: day, Span: 101 * day},
	} {
		if got := u.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
