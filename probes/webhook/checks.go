package webhook

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/signature"
	"prober/internal/text"
	"prober/internal/timesync"
	"prober/probes/internal/budget"
	"prober/probes/internal/issuance"
)

// judgeEvents notes what came of the events.
func (run *runState) judgeEvents(ctx context.Context, events []*event) {
	now := time.Now()
	run.readGap(run.began, now)
	var counted, accepted int
	run.state(func(st *state, _ *probe.InboxState) {
		for i, e := range events { // copies, which nobody adds to
			copied := *e
			copied.attempts, copied.refused = slices.Clone(e.attempts), slices.Clone(e.refused)
			events[i] = &copied
		}
		counted, accepted = st.run.tampered, st.run.accepted
	})
	run.judgeDelivered(events, now)
	run.judgeProofs(ctx, events, counted, accepted)
	run.judgeCases(events, now)
}

// readGap notes why deliveries may have come in vain since a time.
func (run *runState) readGap(from, now time.Time) {
	if gap, any := run.in.Gap(from, now); any {
		run.gap = gap.Why
	}
	run.unverified = probe.Unauthorized(run.in, from)
	run.state(func(st *state, _ *probe.InboxState) {
		if run.vain = !st.document.Vain.Before(from.Round(0)) && !st.document.Vain.After(now); run.vain {
			run.gap = "one could not be verified, since the prober could not read its own key"
		} else if !st.document.Doubt.Before(from.Round(0)) && !st.document.Doubt.After(now) {
			run.gap = "one may be a replay, since it was signed before the prober began to remember"
		}
		if refused, all := st.unverified(now, run.Within.D()); refused > 0 && all >= minRecent {
			run.unverified += fmt.Sprintf("; of the last %d to this path, %d did not verify: the sender signs some wrongly, or another one knows the path", all, refused)
		}
	})
}

// judgeDelivered notes whether all events were delivered in time.
func (run *runState) judgeDelivered(events []*event, now time.Time) {
	worst := probe.Outcome{}
	var slowest time.Duration
	for _, e := range events {
		r := run.judgeDelivery(e, now)
		if len(e.attempts) > 0 {
			slowest = max(slowest, e.attempts[0].at.Sub(e.triggered))
		}
		if worst.Reason.Word == "" || worst.Passed() && !r.Passed() || r.Reason.Verdict == probe.Fail && worst.Reason.Verdict != probe.Fail {
			worst = r.Outcome
		}
	}
	worst = run.excused(worst, false)
	if worst.Reason == reasonLost {
		worst.Detail += run.unverified
	}
	if worst.Reason == reasonLost && run.owed > 0 {
		worst.Detail += "; an earlier run was stopped after " + failingAnswers(run.owed) + ": see whether the endpoint is still enabled"
	}
	if worst.Passed() {
		worst.Detail = fmt.Sprintf("%s, within %s", text.Plural(len(events), "event", "events"), round1(slowest))
		run.r.Measure(deliverySeconds, slowest.Seconds())
	}
	run.r.Note(checkDelivered, worst)
}

// excused turns into inconclusive what may be due to deliveries that came in vain: something that is missing or, if it is about what
// must not come, a pass.
func (run *runState) excused(o probe.Outcome, negative bool) probe.Outcome {
	if run.gap == "" || o.Passed() && !negative || !o.Passed() && o.Reason != reasonLost && o.Reason != reasonLate && o.Reason != reasonDropped {
		return o
	}
	return probe.Outcomef(probe.ControlFailed, "not known, since deliveries may have come in vain: %s", run.gap)
}

// judgeProofs notes what the deliveries that verified, and those of the same events that did not, say of keys and times.
func (run *runState) judgeProofs(ctx context.Context, events []*event, copies, accepted int) {
	var all []attempt
	var refused []refusal // of events that were not delivered otherwise
	for _, e := range events {
		all = append(all, e.attempts...)
		if len(e.attempts) == 0 {
			refused = append(refused, e.refused...)
		}
	}
	i := slices.IndexFunc(refused, func(r refusal) bool { return r.err != errStale && r.err != signature.ErrUnknown })
	if i < 0 { // what nobody accepts tells more than what cannot be judged
		i = slices.IndexFunc(refused, func(r refusal) bool { return r.err != errStale })
	}
	switch {
	case i >= 0 && run.publishedSince(ctx, refused[i]):
		run.r.Fail(checkSignature, issuance.PublishedTooLate, "expected keys that are published before they sign, got one that was published less than %s before or after: receivers with a cached key set reject it", round1(time.Since(run.began)))
	case i >= 0:
		reason := probe.Reason{}
		for _, c := range causes {
			if c.err == refused[i].err {
				reason = c.reason
			}
		}
		run.r.Report(checkSignature, reason, "expected deliveries that verify, got %s with %s", text.Plural(len(refused), "delivery", "deliveries"), refused[i].err)
	case run.vain:
		run.noteVain()
	case len(all)+len(refused) == 0:
		run.r.Inconclusive(checkSignature, probe.NothingChecked, "nothing was delivered")
	default:
		run.r.Pass(checkSignature, "%s by %s%s", text.Plural(len(all)+len(refused), "delivery verifies", "deliveries verify"), run.Signature.Scheme, run.unverified)
	}
	run.judgeTimes(all, refused)
	if len(all) == 0 {
		run.r.Inconclusive(checkTampered, probe.NothingChecked, "nothing was delivered that verifies")
		return
	}
	switch {
	case accepted > 0:
		run.r.Inconclusive(checkTampered, probe.SelfEngine, "%d of %d copies with a byte changed verify too: what was proven by a signature is worth nothing", accepted, copies)
	case copies == 0:
		run.r.Inconclusive(checkTampered, probe.ControlFailed, "no copy with a byte changed could be made")
	default:
		run.r.Pass(checkTampered, "none of %d copies with a byte changed verifies", copies)
	}
	run.judgeKeys(all)
}

// noteVain notes that the prober had no key for a delivery. That says nothing of its signature.
func (run *runState) noteVain() {
	run.r.Inconclusive(checkSignature, probe.Credential, "a delivery could not be verified: signature.secrets or the key set could not be read when it came")
}

// judgeTimes notes whether the attempts were signed when they were sent.
func (run *runState) judgeTimes(all []attempt, refused []refusal) {
	if !run.timed() {
		return
	}
	limit := run.Signature.Tolerance.D()
	if by, far := run.clock.Stepped(); far {
		run.r.Inconclusive(checkTimestamp, probe.SelfClock, "the prober's own clock was set by %s during the run", by.Round(time.Millisecond))
		return
	}
	for _, r := range refused {
		switch {
		case r.err != errStale:
		case r.offset == timesync.Interval{}:
			run.r.Fail(checkTimestamp, reasonTimestamp, "expected the time of the attempt, got one that cannot be read")
			return
		default:
			run.r.Fail(checkTimestamp, reasonTimestamp, "expected a timestamp within %s of the arrival, got one that is %s %s", run.Signature.Tolerance, round1(r.offset.Mid().Abs()), side(r.offset.Mid()))
			return
		}
	}
	if len(all) == 0 {
		run.r.Inconclusive(checkTimestamp, probe.NothingChecked, "nothing was delivered that verifies")
		return
	}
	var furthest attempt
	for _, a := range all {
		if a.offset.Mid().Abs() >= furthest.offset.Mid().Abs() {
			furthest = a
		}
	}
	if !furthest.offset.Within(limit) {
		run.r.Inconclusive(checkTimestamp, reasonTimestamp, "a timestamp is %s %s: inconclusive for a limit of %s", round1(furthest.offset.Mid().Abs()), side(furthest.offset.Mid()), run.Signature.Tolerance)
		return
	}
	run.r.Pass(checkTimestamp, "within %s of the arrival", max(furthest.offset.Lo.Abs(), furthest.offset.Hi.Abs()).Round(time.Second))
}

func side(d time.Duration) string {
	if d < 0 {
		return "behind"
	}
	return "ahead"
}

// judgeKeys notes whether receivers with a cached key set had the keys that signed, and whether those that signed are kept.
func (run *runState) judgeKeys(all []attempt) {
	var d document
	run.state(func(st *state, _ *probe.InboxState) {
		d = st.document
		d.Keys = slices.Clone(d.Keys)
	})
	run.judgeLead(&d, all)
	if grace := run.Signature.Grace.D(); grace > 0 {
		gone, kept := time.Duration(-1), 0
		for _, k := range d.Keys {
			switch {
			case k.Signed.IsZero():
			case k.Seen.Before(d.Read) && d.Read.Sub(k.Signed) < grace:
				gone = d.Read.Sub(k.Signed)
			case !k.Seen.Before(d.Read):
				kept++
			}
		}
		switch {
		case gone >= 0:
			run.r.Fail(checkGrace, issuance.GraceTooShort, "expected a key to stay published for %s after it signed, got one that is gone after %s: what waits to be verified is rejected", run.Signature.Grace, round1(gone))
		case kept == 0:
			run.r.Inconclusive(checkGrace, probe.NothingChecked, "no key that signed is remembered")
		default:
			run.r.Pass(checkGrace, "%s that signed %s published", text.Plural(kept, "key", "keys"), map[bool]string{true: "is", false: "are"}[kept == 1])
		}
	}
}

// judgeLead notes whether every receiver with a cached key set had the keys that signed. What was published before the first
// run is unknown, so the check is noted only once there is evidence.
func (run *runState) judgeLead(d *document, all []attempt) {
	cache := run.Signature.Cache.D()
	if cache == 0 {
		return
	}
	run.r.Omit(checkCached) // unless there is evidence
	shortest := time.Duration(-1)
	for _, a := range all {
		record := d.find(a.signer)
		if record == nil {
			return // more keys are published than are remembered
		}
		least, most, bounded := record.lead(a.at)
		if bounded && most < cache {
			run.r.Fail(checkCached, issuance.PublishedTooLate, "signed with a key that has been published for at most %s: receivers that keep the key set for %s, as they are told, reject it", round1(most), run.Signature.Cache)
			return
		}
		if shortest < 0 || least < shortest {
			shortest = least
		}
	}
	if shortest >= cache {
		run.r.Pass(checkCached, "signed with a key that has been published for at least %s, longer than receivers keep the key set", round1(shortest))
	}
}

// judgeRevoked notes whether a revoked key is still published.
func (run *runState) judgeRevoked(set jwk.Set) {
	if len(run.Signature.Revoked) == 0 {
		return
	}
	for i, kid := range run.Signature.Revoked {
		text, err := kid.Read()
		switch {
		case err != nil:
			run.r.Inconclusive(checkRevoked, probe.Credential, "revoked[%d]: %s", i, err)
			return
		case len(set.Find(text)) > 0:
			run.r.Fail(checkRevoked, issuance.RevokedKeyPublished, "expected no key with the kid %q: whoever has it can sign events", text)
			return
		}
	}
	run.r.Pass(checkRevoked, "%s published, none of %s revoked", text.Plural(len(set), "key", "keys"), text.Plural(len(run.Signature.Revoked), "one", "ones"))
}

// judgeCases notes what came of each case, and whether the idempotency key stays the same.
func (run *runState) judgeCases(events []*event, now time.Time) {
	run.rules = make([]ruling, len(events))
	names := make([]string, len(events))
	for i, e := range events {
		names[i] = e.name
		run.rules[i] = run.judge(e, now)
		run.rules[i].Outcome = run.excused(run.rules[i].Outcome, e.quiet(run.Probe) > 0)
	}
	run.judgeKey(events)
	run.r.Each(names, func(i int, r *probe.Result) {
		o := run.rules[i].Outcome
		r.Note(checkCase, o)
		outcome := o.Reason.Word
		switch {
		case o.Passed():
			outcome = outcomes[0]
		case len(events[i].attempts) == 0 && run.judgeDelivery(events[i], now).Reason == reasonLost:
			outcome = reasonLost.Word
		case o.Reason.Verdict != probe.Fail:
			outcome = outcomes[1]
		}
		r.OneOf(caseGauge, outcome, outcomes, names[i])
		r.Measure(attemptsGauge, float64(len(events[i].attempts)), names[i])
	})
}

// judgeKey notes whether each event has one idempotency key in all of its attempts.
func (run *runState) judgeKey(events []*event) {
	if !slices.Contains(run.Checks(), checkKey) {
		return
	}
	compared := 0
	for _, e := range events {
		for i, a := range e.attempts {
			switch {
			case a.key == "":
				run.r.Fail(checkKey, reasonKey, "expected an idempotency key in attempt %d of %s, got none", i+1, e.name)
				return
			case a.key != e.attempts[0].key:
				run.r.Fail(checkKey, reasonKey, "expected the idempotency key of attempt 1 of %s in attempt %d, got another", e.name, i+1)
				return
			case i > 0:
				compared++
			}
		}
	}
	if compared == 0 {
		run.r.Inconclusive(checkKey, probe.NothingChecked, "no event was tried twice")
		return
	}
	run.r.Pass(checkKey, "the same in %s", text.Plural(compared, "retry", "retries"))
}

// judgeDead notes which events are among the dead letters. That one is not there proves something only because another is.
func (run *runState) judgeDead(ctx context.Context, events []*event) {
	if run.Dead == nil {
		return
	}
	var left []string
	var worst probe.Outcome
	asked := 0
	for _, mustBe := range []bool{true, false} {
		for i, e := range events {
			if e.Case.Dead == nil || *e.Case.Dead != mustBe {
				continue
			}
			if !run.rules[i].Passed() {
				worst = worse(worst, probe.Outcomef(probe.ControlFailed, "%s did not end as it must, so its dead letter says nothing", e.name))
				continue
			}
			has, o := run.hasDead(ctx, e)
			asked++
			switch {
			case !o.Passed():
			case has && !mustBe:
				o = probe.Outcomef(reasonNotSettled, "expected %s to be settled after it was %s, got it among the dead letters", e.name, e.said(e.Attempts))
			case !has && mustBe:
				o = probe.Outcomef(reasonNotDead, "expected %s among the dead letters after it was %s, got none", e.name, e.said(e.Attempts))
			case has:
				left = append(left, e.name)
			}
			worst = worse(worst, o)
		}
	}
	if len(left) > 0 { // a list that has everything proves nothing
		never := event{namedCase: events[0].namedCase, id: rand.Text()}
		if has, o := run.hasDead(ctx, &never); has && o.Passed() {
			worst = worse(worst, probe.Outcomef(probe.ControlFailed, "the list has a random id too, of an event that there never was: it does not depend on {id}"))
		}
	}
	if worst.Passed() {
		worst.Detail = fmt.Sprintf("%d asked for, as expected; left among the dead letters: %s", asked, strings.Join(left, ", "))
	}
	run.r.Note(checkDead, worst)
}

// worse returns the outcome with the worse verdict, the first of two that are alike.
func worse(a, b probe.Outcome) probe.Outcome {
	if a.Reason.Word == "" || a.Passed() && !b.Passed() || b.Reason.Verdict == probe.Fail && a.Reason.Verdict != probe.Fail {
		return b
	}
	return a
}

// hasDead asks whether an event is among the dead letters.
func (run *runState) hasDead(ctx context.Context, e *event) (bool, probe.Outcome) {
	if strings.Trim(e.id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.:") != "" {
		return false, probe.Outcomef(probe.Schema, "expected an id of letters, digits and _-.: that can stand in a path, got another")
	}
	if spent(ctx) {
		return false, probe.Outcomef(probe.ControlFailed, "the run was over before all dead letters could be asked for")
	}
	share, done := budget.Share(ctx, 0.3)
	defer done()
	url := strings.ReplaceAll(run.Dead.URL, idVariable, e.id)
	a := run.letters.Do(share, run.r, httpx.Request{Check: checkDead, URL: url, Show: run.Dead.URL, Want: httpx.Success})
	c := a.Classify(httpx.ClassifyOptions{Want: httpx.Success, Credential: run.once.Authenticates()})
	if c.Class != httpx.ClassExpected {
		return false, c.Outcome
	}
	doc, err := a.JSON()
	if err != nil {
		return false, httpx.NotJSON(err)
	}
	path, err := jsonpath.Parse(strings.ReplaceAll(run.Dead.Has, idVariable, e.id))
	if err != nil {
		return false, probe.Outcomef(probe.Schema, "the id of the event cannot stand in the path has")
	}
	return len(path.Find(doc)) > 0, probe.Outcome{Reason: probe.OK}
}

// spent reports whether so little of the run is left that no answer says nothing of who is asked.
func spent(ctx context.Context) bool {
	end, limited := ctx.Deadline()
	return limited && time.Until(end) < reserve/5
}

// stopGrace is how long a run that is stopped may take to have its failing answers end well.
const stopGrace = 3 * time.Second

// judgeEnabled has one event more delivered, answered 200, so that the failures of the run have an end, and notes whether it comes. If
// the run ended early, also since the prober stops, what is still tried again is answered 200 as well.
func (run *runState) judgeEnabled(ctx context.Context) {
	if !run.provokes() {
		return
	}
	early, failing := run.rules == nil || ctx.Err() != nil, 0
	run.state(func(*state, *probe.InboxState) {
		for _, e := range run.events {
			for _, a := range e.attempts {
				if a.given.Status/100 != 2 || a.given.Delay > 0 {
					failing++
				}
			}
			if early {
				e.Answers = nil
			}
		}
	})
	switch {
	case early && failing == 0:
		run.r.Inconclusive(checkEnabled, probe.NothingChecked, "the run ended early, before any failing answer was given")
		return
	case spent(ctx):
		run.r.Inconclusive(checkEnabled, reasonWindow, "the run was over before the last event could be asked for, after %s", failingAnswers(failing))
		return
	}
	ctx, done := budget.WithGrace(ctx, stopGrace)
	defer done()
	first := len(run.events)
	if !run.trigger(ctx, namedCase{"last", Case{Answers: []Answer{{Status: http.StatusOK}}, Attempts: 1, Within: run.Within}}, checkEnabled) {
		return
	}
	e := run.events[first]
	until, over := context.WithDeadline(ctx, e.triggered.Add(run.Within.D()))
	defer over()
	came := run.in.Wait(until, func(*probe.InboxState) bool { return len(e.attempts) > 0 }) == nil
	run.readGap(run.began, time.Now())
	switch {
	case came && failing == 0:
		run.r.Inconclusive(checkEnabled, probe.NothingChecked, "an event is delivered, but no failing answer was given before it")
	case came:
		run.r.Pass(checkEnabled, "after %s an event is delivered as before", failingAnswers(failing))
	case early:
		run.r.Inconclusive(checkEnabled, probe.ControlFailed, "no event came within %s after %s, but the run had ended early: see triggered and reachable", run.Within, failingAnswers(failing))
	case !slices.ContainsFunc(run.rules, func(r ruling) bool { return r.Reason != probe.ControlFailed }):
		run.r.Inconclusive(checkEnabled, probe.NothingChecked, "nothing was delivered before either")
	case run.gap != "":
		run.r.Inconclusive(checkEnabled, probe.ControlFailed, "not known, since deliveries may have come in vain: %s", run.gap)
	case ctx.Err() != nil || time.Now().Before(e.triggered.Add(run.Within.D())):
		run.r.Inconclusive(checkEnabled, reasonWindow, "the run was over before the last event was due")
	default:
		run.r.Fail(checkEnabled, reasonDisabled, "expected an event within %s after %s, got none", run.Within, failingAnswers(failing))
	}
}

func failingAnswers(n int) string { return text.Plural(n, "failing answer", "failing answers") }
