package webhook

import (
	"fmt"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// A ruling is what the attempts of an event say so far.
type ruling struct {
	probe.Outcome
	settled bool      // nothing that comes later changes it but for the worse
	wake    time.Time // when to look again; only if it is not settled
}

// judge compares the attempts of an event with what its case says. It is asked again until the ruling is settled, and once more
// at the end of the run, when the last ruling counts: an event that was lost may have come late, and one that was final may have
// been tried again.
func (p *Probe) judge(e *event, now time.Time) ruling {
	rule := func(why probe.Reason, format string, args ...any) ruling {
		return ruling{Outcome: probe.Outcomef(why, format, args...), settled: true}
	}
	until := func(at time.Time, format string, args ...any) ruling {
		return ruling{Outcome: probe.Outcomef(reasonWindow, format, args...), wake: at}
	}
	n, want := len(e.attempts), e.Attempts
	switch {
	case e.followed != "":
		return rule(reasonRedirect, "expected no request to where the redirect leads, got %s", e.followed)
	case e.doubted:
		return rule(probe.ControlFailed, "a redirect was followed that had answered a replay: by the sender, or by another one who has seen the delivery")
	case n == 0:
		return rule(probe.ControlFailed, "no attempt came that could be answered; see delivered")
	}
	var previous time.Duration // pause
	for i, a := range e.attempts {
		if scripted := e.answer(i, p); i < len(e.Answers) && (a.given.Status != scripted.Status || a.given.Close != scripted.Close || a.given.Delay != scripted.Delay) {
			return rule(probe.ControlFailed, "attempt %d came before the trigger had said its id, and was not answered by the script", i+1)
		}
		if i == 0 {
			continue
		}
		before := e.attempts[i-1]
		pause, within := a.at.Sub(before.at)-before.given.Delay, e.Within.D()
		if pause < 0 { // it did not wait for the answer, and nobody knows for how long it did
			pause += before.given.Delay
		}
		switch {
		case i >= want:
			return rule(reasonRetried, "expected no attempt after one that was %s, got attempt %d %s after the one before", e.said(i), i+1, round1(a.at.Sub(before.at)))
		case i == 1 && pause < least(e.NotBefore):
			return rule(reasonEarly, "expected attempt 2 no sooner than %s after one that was %s, got it after %s", e.NotBefore, e.said(i), round1(pause))
		case i > 1 && pause < least(probe.Duration(e.Backoff*float64(previous))):
			return rule(reasonBackoff, "expected a pause before attempt %d of at least %g times the one before, which was %s, got %s", i+1, e.Backoff, round1(previous), round1(pause))
		case pause > within:
			return rule(reasonLate, "expected attempt %d within %s after one that was %s, got it after %s", i+1, probe.Duration(within), e.said(i), round1(pause))
		}
		previous = pause
	}
	last := e.attempts[n-1]
	end := last.at.Add(last.given.Delay)
	if n < want {
		if due := end.Add(e.Within.D()); now.Before(due) {
			return until(due, "the run was over %s after an attempt that was %s, before attempt %d was due", round1(now.Sub(end)), e.said(n), n+1)
		}
		return rule(reasonDropped, "expected another attempt within %s after one that was %s, got none", e.Within, e.said(n))
	}
	quiet := e.quiet(p)
	if due := end.Add(quiet.D()); now.Before(due) {
		return until(due, "the run was over %s after an attempt that was %s; whether another attempt follows is known after %s", round1(now.Sub(end)), e.said(n), quiet)
	}
	if !e.last().accepts() && quiet < p.Schedule {
		return rule(reasonWindow, "no attempt came within %s after one that was %s, but the sender may try again after %s (schedule)", quiet, e.said(n), p.Schedule)
	}
	if quiet == 0 {
		return rule(probe.OK, "%s, as expected; the last was %s", text.Plural(n, "attempt", "attempts"), e.said(n))
	}
	return rule(probe.OK, "%s, as expected; the last was %s, and none came within %s", text.Plural(n, "attempt", "attempts"), e.said(n), quiet)
}

// least is what counts as a pause of a length: timers are early, and what was under way before is not known.
func least(pause probe.Duration) time.Duration { return pause.D() - min(time.Second, pause.D()/10) }

// said describes how the n-th attempt was answered. It is not worded like what a target answers.
func (e *event) said(n int) string {
	if n > len(e.Answers) {
		return "answered 200"
	}
	a := e.Answers[n-1]
	what := fmt.Sprintf("answered %d", a.Status)
	if a.Close {
		what = "closed without an answer"
	}
	if a.After > 0 {
		what += " after " + a.After.String()
	}
	return what
}

// judgeDelivery says whether the first attempt of an event came in time.
func (p *Probe) judgeDelivery(e *event, now time.Time) ruling {
	due := e.triggered.Add(p.Within.D())
	switch {
	case len(e.attempts) > 0 && e.attempts[0].at.After(due):
		return ruling{Outcome: probe.Outcomef(reasonLate, "expected the event of %s within %s, got it after %s", e.name, p.Within, round1(e.attempts[0].at.Sub(e.triggered))), settled: true}
	case len(e.attempts) > 0:
		return ruling{Outcome: probe.Outcomef(probe.OK, "after %s", round1(e.attempts[0].at.Sub(e.triggered))), settled: true}
	case now.Before(due):
		return ruling{Outcome: probe.Outcomef(reasonWindow, "the run was over before the event of %s was due", e.name), wake: due}
	case len(e.refused) > 0:
		return ruling{Outcome: probe.Outcomef(probe.ControlFailed, "%s of the event of %s came, but a receiver accepts none of them; see signature and timestamp", text.Plural(len(e.refused), "delivery", "deliveries"), e.name), settled: true}
	}
	return ruling{Outcome: probe.Outcomef(reasonLost, "expected the event of %s within %s, got nothing", e.name, p.Within), settled: true}
}

// round1 shortens a duration for a sentence.
func round1(d time.Duration) time.Duration {
	if d > 10*time.Second {
		return d.Round(time.Second)
	}
	return d.Round(10 * time.Millisecond)
}
