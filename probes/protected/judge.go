package protected

import (
	"net/http"
	"slices"
	"strings"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/probes/internal/expect"
)

// A checkOutcome is the outcome of one check at one replica.
type checkOutcome struct {
	check   string
	verdict probe.Verdict // that of the reason, or inconclusive
	probe.Outcome
}

//go:noinline
func outcomef(check string, why probe.Reason, format string, args ...any) checkOutcome {
	return checkOutcome{check, why.Verdict, probe.Outcomef(why, format, args...)}
}

//go:noinline
func inconclusivef(check string, why probe.Reason, format string, args ...any) checkOutcome {
	return checkOutcome{check, probe.Inconclusive, probe.Outcomef(why, format, args...)}
}

// priority orders what is reported: that somebody was accepted, what else failed, why nothing is proven, and then the rest.
func (n checkOutcome) priority() int {
	switch {
	case n.Reason == probe.AuthBypass:
		return 0
	case n.verdict == probe.Fail:
		return 1
	case n.verdict == probe.Inconclusive && (n.check == callerValid || n.check == checkCatchAll):
		return 2
	}
	return lowestPriority
}

const lowestPriority = 3

// note writes what was found of one urgency.
func (v *replicaRun) note(r *probe.Result, urgency int) {
	for _, n := range v.notes {
		switch {
		case n.priority() != urgency:
		case n.verdict == probe.Pass:
			r.Pass(n.check, "%s", n.Detail)
		case n.verdict == probe.Fail:
			r.Fail(n.check, n.Reason, "%s", n.Detail)
		default:
			r.Inconclusive(n.check, n.Reason, "%s", n.Detail)
		}
	}
}

// exportOutcome exports what the run at the replica came to.
func (v *replicaRun) exportOutcome(r *probe.Result) {
	v.exchanges(r)
	r.OneOf(outcomeGauge, v.outcome, outcomes, r.Target())
}

// judge reads the answers.
func (v *replicaRun) judge() {
	p := v.probe
	v.cases = map[string]caseOutcome{}
	admitted, outcome := v.judgeValid()
	path := v.judgePath(admitted)
	control := admitted.verdict == probe.Pass && path.verdict == probe.Pass
	if admitted.verdict == probe.Pass && !control {
		admitted = inconclusivef(callerValid, probe.ControlFailed, "%s, which proves nothing: %s", admitted.Detail, path.Detail)
		outcome = outcomeInconclusive
		v.cases[callerValid] = caseError
	}
	strangers := true // are rejected
	for _, c := range p.order {
		if c.name == callerValid {
			v.notes = append(v.notes, admitted, path)
			continue
		}
		n := v.judgeCaller(c, control)
		if (c.name == callerAnonymous || c.name == callerInvalid) && !c.denied.Match(v.answers[c.name]) && !denies(v.answers[c.name].Status) {
			strangers = false
		}
		v.notes = append(v.notes, n)
	}
	if v.forged != nil {
		v.notes = append(v.notes, v.judgeForged(control))
	}
	v.outcome = outcome
	if v.catchAll() {
		v.outcome = outcomeCatchAll
	} else if outcome == outcomePassed && !strangers {
		v.outcome = outcomeInconclusive
	}
	for _, n := range v.notes {
		if n.Reason == probe.AuthBypass {
			v.outcome = outcomeBypass
		}
	}
}

// catchAll reports whether the nonexistent path is answered 501 too: then 501 does not come from the route.
func (v *replicaRun) catchAll() bool {
	want := v.probe.valid.Status
	return want.Contains(501) && want.Contains(v.answers[checkCatchAll].Status)
}

// judgeValid tells whether the valid caller was accepted, and otherwise what that says of the route.
func (v *replicaRun) judgeValid() (checkOutcome, string) {
	p, a := v.probe, v.answers[callerValid]
	want := p.valid.Status
	v.cases[callerValid] = caseError
	f := v.tokens[callerValid]
	c := a.Classify(httpx.ClassifyOptions{Want: want, Credential: true, AllowCached: true}) // judgeAdmitted judges cached answers
	switch {
	case f != nil && f.unusableBecause != "":
		return inconclusivef(callerValid, probe.Credential, "the token %s", f.unusableBecause), outcomeInconclusive
	case v.cutOff(a):
		return v.timeUp(callerValid), outcomeInconclusive
	case c.Class == httpx.ClassIncomplete && a.Reason.Verdict == probe.Fail:
		return outcomef(callerValid, a.Reason, "expected %s: %s", want, a.Detail), outcomeUpstream
	}
	switch c.Class {
	case httpx.ClassIncomplete, httpx.ClassRateLimited, httpx.ClassCached:
		return outcomef(callerValid, c.Reason, "%s", c.Detail), outcomeInconclusive
	case httpx.ClassExpected:
		return v.judgeAdmitted(a)
	case httpx.ClassUnauthorized:
		v.cases[callerValid] = caseRejected
		return outcomef(callerValid, probe.ValidRejected, "expected %s, got %d: the valid token is rejected", want, a.Status), outcomeRejected
	case httpx.ClassRedirect:
		return outcomef(callerValid, c.Reason, "%s", c.Detail), outcomeMissing
	case httpx.ClassServerError:
		return outcomef(callerValid, reasonUpstream, "expected %s, got %d", want, a.Status), outcomeUpstream
	}
	if a.Status == http.StatusNotFound {
		return outcomef(callerValid, reasonMissing, "expected %s, got 404: the route does not exist", want), outcomeMissing
	}
	return outcomef(callerValid, reasonImplemented, "expected %s, got %d: the route now does something else; if that is intended, change the status", want, a.Status), outcomeImplemented
}

// judgeAdmitted tells whether an answer of the expected status is the service's own.
func (v *replicaRun) judgeAdmitted(a *httpx.Answer) (checkOutcome, string) {
	p := v.probe
	switch {
	case a.Cached != "":
		return inconclusivef(callerValid, probe.StaleOrCached, "the answer may come out of a cache (%s)", a.Cached), outcomeInconclusive
	case !p.isOwn(a):
		return inconclusivef(callerValid, probe.ControlFailed, "got %d, and not from the service itself: %s", a.Status, p.foreignReason()), outcomeInconclusive
	case p.rejects(a):
		return inconclusivef(callerValid, probe.ControlFailed, "got %d, and a body that a rejected caller gets too: the valid caller needs something to see", a.Status), outcomeInconclusive
	case p.valid.Code != "" && p.Code.Read(a) != p.valid.Code:
		return inconclusivef(callerValid, probe.ControlFailed, "got %d, and not from the service itself: it lacks the code %s", a.Status, p.valid.Code), outcomeInconclusive
	}
	v.cases[callerValid] = caseAsExpected
	return outcomef(callerValid, probe.OK, "accepted: got %d", a.Status), outcomePassed
}

// rejects reports whether an answer is one that anybody who must be rejected gets.
func (p *Probe) rejects(a *httpx.Answer) bool {
	return p.Forgeries != nil && p.forgeryDenials().Match(a) ||
		slices.ContainsFunc(p.order, func(c *caller) bool { return c.name != callerValid && c.denied.Match(a) })
}

// isOwn reports whether an answer is the service's and not that of something in front of it.
func (p *Probe) isOwn(a *httpx.Answer) bool {
	if p.Marker != nil {
		return p.Marker.Read(a) != ""
	}
	return a.Status < 500 || !strings.HasPrefix(strings.ToLower(a.Header.Get("Content-Type")), "text/html")
}

func (p *Probe) foreignReason() string {
	if p.Marker != nil {
		return "it lacks the marker"
	}
	return "it is an HTML page"
}

// judgePath tells whether a nonexistent path is answered differently from the route.
func (v *replicaRun) judgePath(admitted checkOutcome) checkOutcome {
	a, want := v.answers[checkCatchAll], v.probe.valid.Status
	c := a.Classify(httpx.ClassifyOptions{AllowCached: true}).Class
	switch {
	case v.catchAll():
		return outcomef(checkCatchAll, reasonCatchAll, "expected 404 for a nonexistent path, got 501: something in front of the route answers, so the other answers prove nothing")
	case c == httpx.ClassIncomplete:
		return inconclusivef(checkCatchAll, probe.ControlFailed, "a nonexistent path could not be requested: %s", a.Detail)
	case want.Contains(a.Status) && !v.probe.rejects(a):
		return inconclusivef(checkCatchAll, probe.ControlFailed, "expected 404 for a nonexistent path, got %d as for the route", a.Status)
	case c == httpx.ClassRateLimited || c == httpx.ClassServerError:
		return inconclusivef(checkCatchAll, probe.ControlFailed, "a nonexistent path is answered %d, which proves nothing", a.Status)
	case admitted.verdict != probe.Pass:
		return inconclusivef(checkCatchAll, probe.ControlFailed, "got %d for a nonexistent path, and there is no control: the valid caller was not accepted", a.Status)
	}
	return outcomef(checkCatchAll, probe.OK, "a nonexistent path is answered differently (%d)", a.Status)
}

// admits reports whether an answer lets somebody in: what the valid caller gets, or any success but one that says by
// its body that it is a refusal. An answer that was cut off counts as well, since its beginning was handed over.
func (v *replicaRun) admits(a *httpx.Answer, denied expect.Denials) bool {
	p := v.probe
	switch {
	case denied.Match(a):
		return false
	case a.Reason != probe.OK && denied.Statuses().Contains(a.Status):
		return false // the rest of the body would have said
	case a.Status/100 == 2:
		return true
	}
	return p.valid.Status.Contains(a.Status) && !v.catchAll() && p.isOwn(a)
}

// judgeCaller tells whether a caller who must be rejected was, and as expected. That somebody was accepted needs no
// control to be wrong; all else needs the valid caller to have been accepted at the same replica.
func (v *replicaRun) judgeCaller(c *caller, control bool) checkOutcome {
	n, outcome := v.judgeRefusal(c, v.answers[c.name])
	if !control && n.Reason != probe.AuthBypass && n.verdict != probe.Inconclusive {
		n = inconclusivef(c.name, probe.ControlFailed, "%s, which proves nothing while the valid caller is not accepted", n.Detail)
		outcome = caseError
	}
	v.cases[c.name] = outcome
	return n
}

func (v *replicaRun) judgeRefusal(c *caller, a *httpx.Answer) (checkOutcome, caseOutcome) {
	p, f := v.probe, v.tokens[c.name]
	class := classOf(a)
	switch {
	case v.admits(a, c.denied) && f != nil && f.expectedValid:
		return inconclusivef(c.name, probe.Credential, "accepted, and rightly so: the token %s", f.unusableBecause), caseError
	case v.admits(a, c.denied):
		return outcomef(c.name, probe.AuthBypass, "%s is accepted: expected %s, got %d%s", c.describe(), c.denied, a.Status, v.anyPath(a)), caseAccepted
	case v.cutOff(a):
		return v.timeUp(c.name), caseError
	case class == httpx.ClassIncomplete:
		return outcomef(c.name, a.Reason, "expected %s: %s", c.denied, a.Detail), caseError
	case class == httpx.ClassRateLimited:
		return outcomef(c.name, probe.RateLimited, "expected %s, got 429: the target limits the rate of the prober's requests", c.denied), caseError
	case f != nil && f.unusableBecause != "":
		return inconclusivef(c.name, probe.Credential, "got %d, which proves nothing: the token %s", a.Status, f.unusableBecause), caseError
	case !c.denied.Match(a):
		return v.judgeOther(c.name, c.denied, a)
	case a.Cached != "":
		return inconclusivef(c.name, probe.StaleOrCached, "the answer may come out of a cache (%s)", a.Cached), caseError
	case c.Code != "" && p.Code.Read(a) != c.Code:
		return outcomef(c.name, reasonWrongCode, "got %d, with %s in place of the code %s", a.Status, p.describeCode(p.Code.Read(a)), c.Code), caseWrongCode
	case c.Code != "":
		return outcomef(c.name, probe.OK, "rejected: got %d, %s", a.Status, c.Code), caseAsExpected
	}
	return outcomef(c.name, probe.OK, "rejected: got %d", a.Status), caseAsExpected
}

// classOf says what an answer means that nothing is expected of. That it may come out of a cache matters only once it is
// a rejection.
//
//go:noinline
func classOf(a *httpx.Answer) httpx.Class {
	return a.Classify(httpx.ClassifyOptions{AllowCached: true}).Class
}

// anyPath adds to the detail of an accepted caller that any path is answered so. It may be a page in front of the
// route, which would still be open to all.
func (v *replicaRun) anyPath(a *httpx.Answer) string {
	if v.answers[checkCatchAll].Status == a.Status {
		return ", as for a nonexistent path"
	}
	return ""
}

// judgeOther reads an answer that neither accepts nor rejects as expected.
func (v *replicaRun) judgeOther(check string, want expect.Denials, a *httpx.Answer) (checkOutcome, caseOutcome) {
	switch class := classOf(a); {
	case class == httpx.ClassUnauthorized && want.Statuses().Contains(a.Status):
		return outcomef(check, probe.Body, "rejected with another body: expected %s, got %d", want, a.Status), caseWrongCode
	case class == httpx.ClassUnauthorized:
		return outcomef(check, probe.Status, "rejected with another status: expected %s, got %d", want, a.Status), caseWrongCode
	case class == httpx.ClassCached:
		return outcomef(check, probe.StaleOrCached, "expected %s, got %d to a request that holds no copy", want, a.Status), caseError
	case class == httpx.ClassRedirect:
		return outcomef(check, probe.Redirect, "expected %s, got %d: redirects are not followed", want, a.Status), caseError
	case v.probe.valid.Status.Contains(a.Status):
		return inconclusivef(check, probe.ControlFailed, "expected %s, got %d, and not from the service itself", want, a.Status), caseError
	case class == httpx.ClassServerError:
		return outcomef(check, reasonUpstream, "expected %s, got %d", want, a.Status), caseError
	}
	return outcomef(check, probe.Status, "expected %s, got %d", want, a.Status), caseError
}

// describeCode names a code as far as it may be repeated: one that the configuration knows.
func (p *Probe) describeCode(code string) string {
	if code == "" {
		return "no code"
	}
	for _, c := range p.order {
		if c.Code == code {
			return "the code " + code
		}
	}
	return "another code"
}

// exportCases exports what became of each case, at the replica where it was worst.
func (p *Probe) exportCases(r *probe.Result, seen []*replicaRun) {
	worst := map[string]caseOutcome{}
	for _, v := range seen {
		for name, outcome := range v.cases {
			worst[name] = max(worst[name], outcome)
		}
	}
	for _, name := range sorted.Keys(worst) {
		r.OneOf(caseGauge, caseOutcomes[worst[name]], caseOutcomes[:], name)
	}
}
