package protected

import (
	"fmt"
	"slices"
	"strings"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/text"
)

// judgeForged tells whether every forged token was rejected, while the untouched one was accepted before and after.
func (v *replicaRun) judgeForged(control bool) checkOutcome {
	held := control && v.stillAdmitted()
	for i := range v.forged.all {
		v.cases[forgedPrefix+v.forged.all[i].name] = caseError // until it is known better
	}
	for name, outcome := range v.probe.turns.outcomes(v.target) {
		v.cases[forgedPrefix+name] = outcome
	}
	var let []string
	var trouble checkOutcome // the first, of those that fail if any does
	for _, f := range v.presented {
		n, outcome := v.judgeForgery(f)
		switch {
		case outcome == caseAccepted:
			if let = append(let, f.words); len(let) == 1 {
				v.decisive = f.answer
			}
		case !held:
			outcome = caseError
		case n.check != "" && (trouble.check == "" || n.verdict == probe.Fail && trouble.verdict != probe.Fail):
			trouble = n
			if let == nil {
				v.decisive = f.answer
			}
		}
		v.cases[forgedPrefix+f.name] = outcome
		v.probe.turns.tried(v.target, f.forgery, outcome)
	}
	limited := v.rateLimited()
	switch {
	case let != nil || !control:
	case limited != nil:
		v.decisive = limited
	case !held:
		v.decisive = v.after
	}
	made := len(v.chosen)
	switch {
	case let != nil:
		return outcomef(checkForgeries, probe.AuthBypass, "forged tokens are accepted (%d of %d): %s", len(let), made, strings.Join(let, "; "))
	case made == 0:
		return inconclusivef(checkForgeries, v.forged.Reason, "nothing could be forged: %s", v.forged.Detail)
	case !control:
		return inconclusivef(checkForgeries, probe.ControlFailed, "the valid caller was not accepted, or not by the route, so rejected forged tokens prove nothing")
	case limited != nil:
		return inconclusivef(checkForgeries, probe.RateLimited, "got 429 after %d of %s: the target limits the rate of the prober's requests", v.answeredBefore(limited), text.Count(made, "forged token"))
	case !held:
		return inconclusivef(checkForgeries, probe.ControlFailed, "the valid caller was accepted before the forged tokens and not after them, so their rejection proves nothing")
	case trouble.check != "":
		return trouble
	case len(v.presented) < made:
		return inconclusivef(checkForgeries, probe.Timeout, "the time was up after %d of %s; give the probe a longer timeout, or leave some out (except)", len(v.presented), text.Count(made, "forged token"))
	case !v.forged.Passed():
		return inconclusivef(checkForgeries, v.forged.Reason, "%s, but none was keyed with the public key: %s", v.rejected(), v.forged.Detail)
	case !v.forged.keyed:
		return outcomef(checkForgeries, probe.OK, "%s; none was keyed with the public key, since no keys are configured", v.rejected())
	}
	return outcomef(checkForgeries, probe.OK, "%s", v.rejected())
}

// rejected says how many forged tokens were rejected, and which of those that take turns was among them.
func (v *replicaRun) rejected() string {
	all := text.Count(len(v.chosen), "forged token") + " were rejected"
	if except := v.probe.Forgeries.Except; len(except) > 0 {
		all += " (left out: " + strings.Join(except, ", ") + ")"
	}
	waiting := len(v.forged.all) - len(v.chosen)
	for _, f := range v.chosen {
		if f.newKey && waiting > 0 {
			all += fmt.Sprintf(", one of them with a key that no verifier has (%s; %d others take turns)", f.name, waiting)
		}
	}
	return all
}

// rateLimited returns the answer that says that the rate is limited: after it nothing was presented. It is nil if there
// is none.
func (v *replicaRun) rateLimited() *httpx.Answer {
	for _, f := range v.presented {
		if classOf(f.answer) == httpx.ClassRateLimited {
			return f.answer
		}
	}
	if v.after != nil && classOf(v.after) == httpx.ClassRateLimited {
		return v.after
	}
	return nil
}

// answeredBefore counts the forged tokens before an answer.
func (v *replicaRun) answeredBefore(a *httpx.Answer) int {
	if i := slices.IndexFunc(v.presented, func(f presented) bool { return f.answer == a }); i >= 0 {
		return i
	}
	return len(v.presented)
}

// judgeForgery reads what one forged token was answered. The note is empty if it was rejected, or accepted.
func (v *replicaRun) judgeForgery(f presented) (checkOutcome, caseOutcome) {
	want := v.probe.forgeryDenials()
	switch a := f.answer; {
	case v.admits(a, want):
		return checkOutcome{}, caseAccepted
	case classOf(a) == httpx.ClassIncomplete:
		return inconclusivef(checkForgeries, a.Reason, "%s: %s", f.words, a.Detail), caseError
	case !want.Match(a):
		n, outcome := v.judgeOther(checkForgeries, want, a)
		n.Detail = f.words + ": " + n.Detail
		return n, outcome
	case a.Cached != "":
		return inconclusivef(checkForgeries, probe.StaleOrCached, "%s: the answer may come out of a cache (%s)", f.words, a.Cached), caseError
	}
	return checkOutcome{}, caseAsExpected
}

// stillAdmitted reports whether the untouched token was accepted after the forged ones.
func (v *replicaRun) stillAdmitted() bool {
	p, a := v.probe, v.after
	return a != nil && a.Reason == probe.OK && a.Cached == "" && p.valid.Status.Contains(a.Status) && p.isOwn(a) && !p.rejects(a) &&
		(p.valid.Code == "" || p.Code.Read(a) == p.valid.Code)
}
