package protected

import (
	"strings"

	"prober/internal/probe"
	"prober/internal/text"
)

// judgeForged tells whether every forged token was rejected, while the untouched one was accepted before and after.
func (v *replicaRun) judgeForged(control bool) checkOutcome {
	held := control && v.stillAdmitted()
	for i := range v.forged.all {
		v.cases[forgedPrefix+v.forged.all[i].name] = caseError // until it is known better
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
	}
	if control && !held && let == nil {
		v.decisive = v.after
	}
	made := len(v.forged.all)
	switch {
	case let != nil:
		return outcomef(checkForgeries, probe.AuthBypass, "forged tokens are accepted (%d of %d): %s", len(let), made, strings.Join(let, "; "))
	case made == 0:
		return inconclusivef(checkForgeries, v.forged.Reason, "nothing could be forged: %s", v.forged.Detail)
	case !control:
		return inconclusivef(checkForgeries, probe.ControlFailed, "the valid caller was not accepted, or not by the route, so rejected forged tokens prove nothing")
	case !held:
		return inconclusivef(checkForgeries, probe.ControlFailed, "the valid caller was accepted before the forged tokens and not after them, so their rejection proves nothing")
	case trouble.check != "":
		return trouble
	case len(v.presented) < made:
		return inconclusivef(checkForgeries, probe.Timeout, "the time was up after %d of %s", len(v.presented), text.Count(made, "forged token"))
	case !v.forged.Passed():
		return inconclusivef(checkForgeries, v.forged.Reason, "%d forged tokens were rejected, but none was keyed with the public key: %s", made, v.forged.Detail)
	case !v.forged.keyed:
		return outcomef(checkForgeries, probe.OK, "%d forged tokens were rejected; none was keyed with the public key, since no keys are configured", made)
	}
	return outcomef(checkForgeries, probe.OK, "%d forged tokens were rejected", made)
}

// judgeForgery reads what one forged token was answered. The note is empty if it was rejected, or accepted.
func (v *replicaRun) judgeForgery(f presented) (checkOutcome, caseOutcome) {
	want := v.probe.forgeryDenials()
	switch a := f.answer; {
	case v.admits(a, want):
		return checkOutcome{}, caseAccepted
	case a.Reason != probe.OK:
		return inconclusivef(checkForgeries, a.Reason, "%s: %s", f.words, a.Detail), caseError
	case a.Status == 429:
		return inconclusivef(checkForgeries, probe.RateLimited, "got 429 for %s: the rate of the prober's requests is limited", f.words), caseError
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
