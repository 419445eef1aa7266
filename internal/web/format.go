package web

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// reasonText is a reason in words for people.
func reasonText(why probe.Reason) string {
	if why == probe.OK {
		return ""
	}
	return cmp.Or(why.Text, strings.ReplaceAll(why.Word, "_", " "))
}

// verdictText is the verdict for "… since".
func verdictText(v probe.Verdict) string {
	switch v {
	case probe.Pass:
		return "passed"
	case probe.Fail:
		return "failed"
	}
	return "inconclusive"
}

// selfCheckBanner says what a failed self-check means for the verdicts.
func selfCheckBanner(check string) banner {
	what := banner{What: "A self-check of the prober failed: " + check + "."}
	switch check {
	case "network":
		what.Why = "The reference cannot be reached. The prober's own network may be down, so targets that cannot be reached may be healthy."
	case "clock":
		what.Why = "The wall clock was set or jumped. Times on this page and the ages of certificates and tokens may be wrong."
	case "storage":
		what.Why = "The storage file cannot be written or was lost. History and incident notes may not survive a restart."
	default:
		what.Why = "The verdicts may be wrong."
	}
	return what
}

// formatElapsed writes a duration in its two largest units.
func formatElapsed(d time.Duration) string {
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

// rfc3339 writes a time for the datetime attribute.
func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// formatTime writes a time as formatDateTime does, without the date if it is today.
func formatTime(t time.Time) string {
	if now := time.Now().UTC(); t.UTC().Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.UTC().Format("15:04:05 UTC")
	}
	return formatDateTime(t)
}

// formatDateTime writes a time for people, in UTC like incident notes; the zero time is a dash.
func formatDateTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// formatLatency writes a latency with two or three digits and a unit; zero is a dash.
//
//go:noinline
func formatLatency(d time.Duration) string {
	switch {
	case d <= 0:
		return "-"
	case d < 100*time.Microsecond:
		return "<0.1 ms"
	}
	return text.Duration(d)
}
