package web

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// words says a reason as a person would.
func words(why probe.Reason) string {
	if why == probe.OK {
		return ""
	}
	return cmp.Or(why.Text, strings.ReplaceAll(why.Word, "_", " "))
}

// state is the verdict of what lasts.
func state(v probe.Verdict) string {
	switch v {
	case probe.Pass:
		return "passed"
	case probe.Fail:
		return "failed"
	}
	return "unclear"
}

// unfit says what a self-check that failed means for the verdicts.
func unfit(check string) trouble {
	what := trouble{What: "A self-check of the prober failed: " + check + "."}
	switch check {
	case "network":
		what.Why = "The reference cannot be reached. The prober's own network may be cut off, so what cannot be reached may be well."
	case "clock":
		what.Why = "The wall clock was set or jumped. Times on this page, ages of certificates and of tokens may be wrong."
	case "storage":
		what.Why = "What is known of incidents cannot be kept or was lost. The note will not outlive a restart."
	default:
		what.Why = "The verdicts may not be right."
	}
	return what
}

// length writes how long something lasted, in its two greatest units.
func length(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(0, int(d/time.Second)))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d/time.Minute))
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d/time.Hour), int(d%time.Hour/time.Minute))
	}
	return fmt.Sprintf("%d d %d h", int(d/(24*time.Hour)), int(d%(24*time.Hour)/time.Hour))
}

// stamp writes a time for programs.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// moment writes a time as clock does, without the date if that is today's.
func moment(t time.Time) string {
	if now := time.Now().UTC(); t.UTC().Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.UTC().Format("15:04:05 UTC")
	}
	return clock(t)
}

// clock writes a time for people, in UTC as incident notes have it; no time is a dash.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// short writes a latency as a person would say it; none is a dash.
func short(d time.Duration) string {
	switch {
	case d <= 0:
		return "-"
	case d < 100*time.Microsecond:
		return "<0.1 ms"
	}
	return text.Duration(d)
}
