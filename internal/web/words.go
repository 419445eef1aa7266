package web

import (
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

// mark is the verdict in a word that is told apart without colour.
func mark(v probe.Verdict) string {
	switch v {
	case probe.Pass:
		return "ok"
	case probe.Fail:
		return "FAIL"
	}
	return "???"
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
	case d < 10*time.Millisecond:
		return number(time.Millisecond, 1) + " ms"
	case d < time.Second:
		return number(time.Millisecond, 0) + " ms"
	}
	return number(time.Second, 1) + " s"
}
