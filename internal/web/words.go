package web

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"prober/internal/probe"
)

// words says a reason as a person would. A reason that a kind declares for itself reads as it is written.
func words(why probe.Reason) string {
	switch why {
	case probe.OK:
		return ""
	case probe.Status:
		return "wrong status"
	case probe.Body:
		return "wrong body"
	case probe.Schema:
		return "unreadable answer"
	case probe.Header:
		return "wrong header"
	case probe.Slow:
		return "too slow"
	case probe.Cert:
		return "certificate not to be trusted"
	case probe.TLS:
		return "TLS handshake failed"
	case probe.Refused:
		return "connection refused"
	case probe.Timeout:
		return "no complete answer in time"
	case probe.Reset:
		return "connection cut off"
	case probe.Truncated:
		return "answer cut short"
	case probe.TooLarge:
		return "answer too large"
	case probe.Redirect:
		return "sent elsewhere"
	case probe.Protocol:
		return "wrong protocol or address"
	case probe.NXDomain:
		return "name does not exist"
	case probe.Replicas:
		return "too few replicas"
	case probe.DNSTimeout:
		return "name server silent"
	case probe.DNSServfail:
		return "name server failed"
	case probe.Unreachable:
		return "no route to the host"
	}
	return doubts(why)
}

// doubts says the reasons that lie with the prober or with a missing proof.
func doubts(why probe.Reason) string {
	switch why {
	case probe.SelfNetwork:
		return "the prober's own network"
	case probe.SelfClock:
		return "the prober's own clock"
	case probe.Suspended:
		return "the prober was stopped"
	case probe.Cancelled:
		return "run cancelled"
	case probe.Credential:
		return "the prober's own credential"
	case probe.ControlFailed:
		return "a control did not hold"
	case probe.RateLimited:
		return "rate limited"
	case probe.StaleOrCached:
		return "out of date"
	case probe.Vacuous:
		return "nothing tested"
	case probe.Panicked:
		return "the probe panicked"
	case probe.Hung:
		return "the probe hung"
	}
	return strings.ReplaceAll(string(why), "_", " ")
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
	number := func(unit time.Duration, digits int) string {
		return strconv.FormatFloat(float64(d)/float64(unit), 'f', digits, 64)
	}
	switch {
	case d <= 0:
		return "-"
	case d < 100*time.Microsecond:
		return "<0.1 ms"
	case d < 10*time.Millisecond:
		return number(time.Millisecond, 1) + " ms"
	case d < time.Second:
		return number(time.Millisecond, 0) + " ms"
	}
	return number(time.Second, 1) + " s"
}
