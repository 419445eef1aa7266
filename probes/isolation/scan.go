package isolation

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"prober/internal/canary"
	"prober/internal/drop"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/expect"
)

// A leak is a text of an org in a response to a caller that must not be shown it.
type leak struct {
	protectedText
	form  string
	where string // body, header, trailer or interim answer
}

// scanForLeaks searches a response for texts that its caller must not be shown.
func (r *run) scanForLeaks(req request, httpReq httpx.Request, answer *httpx.Answer) {
	if req.again || req.tenant == nil && httpx.Success.Contains(answer.Status) {
		return // again: see misdelivered; and that an unauthorized caller was accepted is the graver violation
	}
	leaks := r.leaksIn(req, httpReq, answer)
	if len(leaks) == 0 {
		return
	}
	var a *assertion
	if req.assertion.check != checkInterleave && r.misdelivered(req, answer) {
		a = req.assertion.resource.assertion(checkInterleave, "interleave")
	} else {
		a = r.blamed(req, leaks)
	}
	byCaller := func(l leak) bool { return l.attempt != nil && (l.unauthorized() || a.check != checkInterleave) }
	for _, found := range leaks {
		if !byCaller(found) {
			r.recordLeak(a, req, answer, found)
		}
	}
	for _, found := range leaks { // last: what any caller is shown is no evidence of a write
		if byCaller(found) {
			r.attemptSucceeded(found.protectedText, req, answer)
		}
	}
}

// leaksIn lists the texts in a response that its caller must not be shown.
func (r *run) leaksIn(req request, httpReq httpx.Request, answer *httpx.Answer) []leak {
	r.mu.Lock()
	protected := r.protected // appended to, never changed
	r.mu.Unlock()
	parts := partsOf(answer)
	leaks := r.shortIDsIn(req, protected, answer)
	for _, text := range protected {
		if text.short || text.owner == req.tenant && !text.unauthorized() {
			continue
		}
		where, form := parts.find(text.needle)
		switch {
		case form == "":
		case requestContains(httpReq, text.text) && !(text.kind == "canary" && (req.echoesNothing || req.shows(answer))): // echoed
		case text.kind == "id" && form != string(canary.Plain) && withinOwnID(protected, req.tenant, text.text): // encoded, as in a cursor
		case req.vars.cursor != "" && canary.NewHaystack([]byte(req.vars.cursor)).Find(text.needle) != "": // sent, in a cursor
		default:
			leaks = append(leaks, leak{text, form, where})
		}
	}
	return leaks
}

// holdsCanary reports whether a text holds a canary of the run, or the one that is sent for the first time. A service may state one as
// its version, which would be a label.
func (r *run) holdsCanary(text, sent string) bool {
	r.mu.Lock()
	protected := r.protected // appended to, never changed
	r.mu.Unlock()
	hay := canary.NewHaystack(text)
	return hay.Find(canary.NewNeedle(sent)) != "" || slices.ContainsFunc(protected, func(p protectedText) bool {
		return p.kind == "canary" && hay.Find(p.needle) != ""
	})
}

// How often a leak must show again before it is put down to what is special about its request.
const (
	looksAgain     = 2
	moreLooksAgain = 4 // once responses were found to be mixed up
)

// misdelivered reports whether a response that shows another org's data was meant for somebody else: the same request does
// not show it again. Then it says nothing of the operation, of how the org was named, or of a cache.
func (r *run) misdelivered(req request, answer *httpx.Answer) bool {
	rr, op := req.assertion.resource, req.op()
	interleave := rr.assertion(checkInterleave, "interleave")
	readsOnly := slices.Contains([]string{"read", "list", "search", "export", "count"}, op)
	if interleave == nil || !readsOnly || req.tenant == nil || rr.assertion(req.assertion.check, req.assertion.op) == nil {
		return false
	}
	own := rr.seeded[req.tenant]
	asked := req.assertion.check == checkIsolated && (req.assertion.op == "read" && req.vars.id != own.id || op != "read" && shownIn(answer, own))
	r.mu.Lock()
	looks := looksAgain
	if slices.ContainsFunc(interleave.violations, func(v violation) bool { return v.rule == ruleCrossTalk }) {
		looks = moreLooksAgain
	}
	known := asked || req.assertion.reproduced || r.cleaningUp
	r.mu.Unlock()
	if known {
		return false // it was asked for, or shown beside the caller's own
	}
	req.again = true
	for range looks {
		next := r.send(r.ctx, req)
		if next.Started.IsZero() {
			return false // the run is over
		}
		if httpReq, err := r.p.build(req.template, req.vars, req.mutation); err != nil || len(r.leaksIn(req, httpReq, next)) == 0 {
			return true
		}
	}
	r.mu.Lock()
	req.assertion.reproduced = true
	r.mu.Unlock()
	return false
}

// shows reports whether a response is that to a read which was not denied: then it contains an object, and no echo.
func (req request) shows(answer *httpx.Answer) bool {
	return req.op() == "read" && httpx.Success.Contains(answer.Status) && !req.template.Denied.Match(answer)
}

// withinOwnID reports whether a text is part of an id that belongs to an org.
func withinOwnID(known []protectedText, org *tenant, text string) bool {
	return slices.ContainsFunc(known, func(h protectedText) bool {
		return h.owner == org && h.kind == "id" && strings.Contains(strings.ToLower(h.text), strings.ToLower(text))
	})
}

// requestContains reports whether a request contains a text.
func requestContains(httpReq httpx.Request, text string) bool {
	for _, values := range httpReq.Header {
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, text) }) {
			return true
		}
	}
	if decoded, err := url.PathUnescape(httpReq.URL); err == nil && strings.Contains(strings.ToLower(decoded), strings.ToLower(text)) {
		return true
	}
	return strings.Contains(httpReq.URL, url.PathEscape(text)) || strings.Contains(httpReq.URL, url.QueryEscape(text)) ||
		bytes.Contains(httpReq.Body, []byte(jsonEscaped(text))) || bytes.Contains(httpReq.Body, []byte(url.QueryEscape(text)))
}

// usable passes if a response may prove something, whatever its status means for the request.
func usable(answer *httpx.Answer) probe.Outcome {
	switch c := answer.Classify(httpx.ClassifyOptions{}); c.Class {
	case httpx.ClassIncomplete, httpx.ClassRateLimited, httpx.ClassCached, httpx.ClassRedirect, httpx.ClassServerError:
		return unproven(c)
	}
	return probe.Outcome{Reason: probe.OK}
}

// expectSuccess passes if a response has one of the wanted statuses.
func expectSuccess(req request, answer *httpx.Answer, want httpx.Statuses) probe.Outcome {
	c := answer.Classify(httpx.ClassifyOptions{Want: want, Credential: true})
	if c.Class == httpx.ClassExpected {
		if req.template.saysNo(answer) {
			return probe.Outcomef(probe.ControlFailed, "%s: got %d with a body that denies", req.describe(), answer.Status)
		}
		return probe.Outcome{Reason: probe.OK, Detail: c.Detail}
	}
	if answer.Status == http.StatusForbidden && c.Class == httpx.ClassUnauthorized {
		// The credential was accepted: identify used it before.
		return probe.Outcomef(probe.ControlFailed, "%s: expected %s, got 403", req.describe(), want)
	}
	o := unproven(c)
	return probe.Outcomef(o.Reason, "%s: %s", req.describe(), o.Detail)
}

// unproven is the outcome of a response that proves nothing of isolation. A reason that is a failure for other kinds is
// a control that failed here.
func unproven(c httpx.Classification) probe.Outcome {
	switch {
	case c.Reason == probe.TooLarge:
		return probe.Outcomef(probe.TooLarge, "%s, and could not be searched to its end", c.Detail)
	case c.Reason.Verdict == probe.Inconclusive:
		return probe.Outcome{Reason: c.Reason, Detail: c.Detail}
	}
	return probe.Outcome{Reason: probe.ControlFailed, Detail: c.Detail}
}

// expectDenied records a violation unless a response is a denial, by the given rule and reason if it is a success. It
// reports whether it is a denial.
func (r *run) expectDenied(req request, answer *httpx.Answer, want expect.Denials, rule violationRule, why probe.Reason) bool {
	received := answer.Reason == probe.OK || answer.Reason == probe.TooLarge || answer.Reason == probe.Truncated && !want.ByBody()
	succeeded, denied := httpx.Success.Contains(answer.Status), want.Match(answer)
	switch {
	case !succeeded || !received:
	case want.ByBody() && reportsError(answer) && !namedIn(want).Match(answer): // it may be empty for another reason
		r.inconclusive(req.assertion, answer, probe.ControlFailed, "expected %s, got %d with an error that is not a denial by the settings: %s by %s", want, answer.Status, req.describe(), req.caller())
		return false
	case !denied || req.tenant == nil && r.showsCanary(req, answer):
		r.violated(req.assertion, answer, rule, why, "expected %s, got %d: %s by %s", want, answer.Status, req.describe(), req.caller())
		return false
	}
	if o := usable(answer); !o.Passed() {
		r.inconclusive(req.assertion, answer, o.Reason, "expected a denial (%s) of %s by %s: %s", want, req.describe(), req.caller(), o.Detail)
		return false
	}
	tooLarge := req.mutation.oversized && slices.Contains(tooLargeStatuses, answer.Status)
	switch {
	case denied && succeeded:
		r.deniedByBody(req)
		return true
	case denied || tooLarge:
		return true
	case answer.Status == http.StatusUnauthorized:
		r.inconclusive(req.assertion, answer, probe.Credential, "expected %s, got 401: the credential of %s is not accepted, which is not a denial: %s", want, req.caller(), req.describe())
	default:
		r.inconclusive(req.assertion, answer, probe.ControlFailed, "expected %s, got %d, which is not a denial by the settings: %s by %s", want, answer.Status, req.describe(), req.caller())
	}
	return false
}

// showsCanary reports whether a response shows an unauthorized caller any canary or id that the request does not contain.
func (r *run) showsCanary(req request, answer *httpx.Answer) bool {
	httpReq, err := r.p.build(req.template, req.vars, req.mutation)
	if err != nil {
		return true
	}
	r.mu.Lock()
	protected := r.protected // appended to, never changed
	r.mu.Unlock()
	parts := partsOf(answer)
	return slices.ContainsFunc(protected, func(text protectedText) bool {
		return !text.short && !requestContains(httpReq, text.text) && parts.contain(text.needle)
	})
}

// deniedByBody notes that an assertion depends on a denial that has the status of a success. It holds only if the
// operation shows every owner its own data in the same run: an operation that is always empty denies nothing.
func (r *run) deniedByBody(req request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if op := req.op(); !slices.Contains(req.assertion.deniedByBody, op) {
		req.assertion.deniedByBody = append(req.assertion.deniedByBody, op)
	}
}

// succeededAsOwner notes that an operation worked for an owner.
func (r *run) succeededAsOwner(rr *resourceRun, op string, t *tenant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rr.succeeded[ownOperation{op, t}] = true
}

// withoutControl returns an operation that denied by its body, and did not work for every owner; empty if there is none.
func (r *run) withoutControl(a *assertion) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, op := range a.deniedByBody {
		if slices.ContainsFunc(r.p.tenants, func(t *tenant) bool { return !a.resource.succeeded[ownOperation{op, t}] }) {
			return op
		}
	}
	return ""
}

// namedIn returns the denials that say what is in a body, and not only that something is empty.
func namedIn(all expect.Denials) expect.Denials {
	return drop.If(slices.Clone(all), func(d expect.Denial) bool { return len(d.JSON) == 0 })
}

// saysNo reports whether the body of a success names a denial or an error. One that is merely empty may be a success.
func (tmpl *Template) saysNo(answer *httpx.Answer) bool {
	all := tmpl.Refusals.all()
	named := drop.If(slices.Clone(all), func(d expect.Denial) bool { return !d.Empty.IsZero() || !d.ByBody() })
	return named.Match(answer) || all.ByBody() && reportsError(answer)
}

// contradicted is the outcome of a response to an owner that denies by the settings.
func contradicted(req request, answer *httpx.Answer) probe.Outcome {
	return probe.Outcomef(probe.ControlFailed, "got %d with a body that is a denial by the settings, from %s", answer.Status, req.describe())
}

// deniesOwner reports whether the body of a success denies by the settings. Where that is the response to an owner, the
// same response to others proves nothing.
func (tmpl *Template) deniesOwner(answer *httpx.Answer) bool {
	return httpx.Success.Contains(answer.Status) && tmpl.Refusals.all().Match(answer)
}

// tooLargeStatuses reject a request because of its size.
var tooLargeStatuses = []int{http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge}
