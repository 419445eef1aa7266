package isolation

import (
	"slices"

	"prober/internal/canary"
	"prober/internal/drop"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// An attempt to write to an org contains a text of its own. Whoever is shown that text has been written to, whatever the
// response to the attempt was.

// protectAttempt adds the text that a request writes to those that nobody must be shown but the caller's own org. The
// owner is the org that would have it, if the caller has none.
func (r *run) protectAttempt(req request, owner *tenant) {
	if req.tenant != nil {
		owner = req.tenant
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	text := req.vars.canary
	r.protected = append(r.protected, protectedText{owner: owner, kind: "canary", text: text, needle: canary.NewNeedle(text), attempt: &req})
}

// attemptSucceeded records that an attempt to write succeeded, as a response shows. If the operation shows its callers
// the objects of other orgs in any case, that is the violation, and the text may be in the org that wrote it.
func (r *run) attemptSucceeded(text protectedText, req request, answer *httpx.Answer) {
	attempt := text.attempt
	if attempt.tenant != nil && r.leaking(req) != nil {
		return
	}
	rr, why := attempt.assertion.resource, foreignWrite
	r.mu.Lock()
	if attempt.unauthorized != nil {
		why = probe.AuthBypass
		sameText := func(obj seededObject) bool { return obj.text == text.text }
		if attempt.op() == "create" && !slices.ContainsFunc(r.created, sameText) && !slices.ContainsFunc(r.unacknowledged, sameText) {
			r.unacknowledged = append(r.unacknowledged, seededObject{resourceRun: rr, resource: rr.name, owner: text.owner, text: text.text, created: true})
		}
	}
	known := slices.Contains(r.succeeded, text.text)
	r.succeeded = append(r.succeeded, text.text)
	r.mu.Unlock()
	if !known {
		r.violated(attempt.assertion, answer, ruleChanged, why, "%s is shown what %s sent (%s): %s",
			req.caller(), attempt.caller(), canary.Hash(text.text), attempt.describe())
	}
}

// attemptShown reports whether a response showed what a request wrote.
func (r *run) attemptShown(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.succeeded, text)
}

// testAttempts lists what every org is shown after all attempts to write to it. What others sent to it must not be there;
// if it is, it is deleted with what was created.
func (r *run) testAttempts(rr *resourceRun) bool {
	op := rr.inventoryOp()
	if rr.Create == nil || op == "" {
		return true
	}
	a := rr.assertion(checkIsolated, op)
	for _, t := range r.p.tenants {
		found := r.listCanaries(r.ctx, a, rr, t)
		if r.leaking(request{assertion: a, template: rr.template(op)}) != nil {
			continue // whose they are is not known
		}
		for _, obj := range found {
			r.adopt(obj)
		}
	}
	r.expectListedStill(rr, rr.assertion(checkAuthenticated, "delete"), probe.AuthBypass)
	return true
}

// attemptedText reports whether a text was written by an attempt.
func (r *run) attemptedText(text string) bool {
	return slices.ContainsFunc(r.protected, func(p protectedText) bool { return p.attempt != nil && p.text == text })
}

// adopt has an object deleted that was created by an attempt to write, where and by the id by which it was found.
func (r *run) adopt(obj seededObject) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sameText := func(other seededObject) bool { return other.text == obj.text }
	same := func(other seededObject) bool { return other.resource == obj.resource && other.same(obj) }
	at := slices.IndexFunc(r.created, same)
	switch {
	case !r.attemptedText(obj.text) || !obj.canBeNamed():
		return
	case at < 0:
		r.created = append(r.created, obj)
	case r.created[at].owner != obj.owner:
		r.created[at] = obj
	}
	r.unacknowledged = drop.If(r.unacknowledged, sameText)
}
