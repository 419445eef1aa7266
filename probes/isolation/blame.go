package isolation

import (
	"slices"

	"prober/internal/canary"
	"prober/internal/drop"
	"prober/internal/httpx"
)

// A read also shows what became of a write, and what a cache keeps. If an ordinary read shows another org's object too,
// the read is at fault, and neither the write nor the cache.

// blamed returns the assertion that is violated by leaks in the response to a request: that of the request, or that reads
// are isolated.
func (r *run) blamed(req request, leaks []leak) *assertion {
	a, rr := req.assertion, req.assertion.resource
	planned := rr.assertions[a.check+a.op] == a
	if req.op() != "read" || req.tenant == nil || a.op == "read" || a.check == checkInterleave || !planned || rr.assertion(checkIsolated, "read") == nil {
		return a
	}
	if known := r.leaking(req); known != nil {
		return known
	}
	for _, found := range leaks {
		if !found.unauthorized() && r.readLeaks(req, found.owner) {
			return rr.assertion(checkIsolated, "read")
		}
	}
	return a
}

// readLeaks reads another object of an org as the caller of a request, and records a violation if that is shown. If a cache
// is in question, it is an object that nobody has read before, or a request that no cache has seen.
func (r *run) readLeaks(req request, owner *tenant) bool {
	rr := req.assertion.resource
	obj, m := rr.seeded[owner], mutation{}
	if req.assertion.check == checkCache {
		if spare, ok := rr.spares[owner]; ok {
			obj = spare
		} else {
			m = mutation{query: "prober", org: canary.Random(), uncached: true}
		}
	}
	if owner == req.tenant || obj.owner == nil {
		return false
	}
	control := request{
		assertion: rr.assertion(checkIsolated, "read"), tenant: req.tenant, template: rr.Read,
		vars: vars{org: req.tenant.id, id: obj.id}, mutation: m, want: rr.Read.Denied.Statuses(), again: true,
	}
	answer := r.send(r.ctx, control)
	httpReq, err := r.p.build(control.template, control.vars, control.mutation)
	if err != nil {
		return false
	}
	leaks := drop.If(r.leaksIn(control, httpReq, answer), func(l leak) bool { return l.attempt != nil })
	for _, found := range leaks {
		r.recordLeak(control.assertion, control, answer, found)
	}
	return len(leaks) > 0
}

// leaking returns the assertion by which the operation of a request, or a cache in front of it, is known to show callers the
// objects of other orgs; nil if neither is.
func (r *run) leaking(req request) *assertion {
	rr := req.assertion.resource
	all := []*assertion{rr.assertion(checkIsolated, req.op()), rr.assertion(checkCache, "cache")}
	if req.assertion.check == checkIdentity {
		all = append(all, req.assertion)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range all {
		if a != nil && slices.ContainsFunc(a.violations, func(v violation) bool { return v.rule == ruleLeak }) {
			return a
		}
	}
	return nil
}

// recordLeak records that a response shows its caller a text of another org.
func (r *run) recordLeak(a *assertion, req request, answer *httpx.Answer, found leak) {
	rule, why := ruleLeak, leakBody
	switch {
	case a.check == checkInterleave:
		rule, why = ruleCrossTalk, crossTalk
	case found.where != inBody:
		why = leakHeader
	case slices.Contains([]string{"list", "search", "export", "count"}, req.op()):
		why = leakList
	}
	r.violated(a, answer, rule, why, "%s was shown the %s of %s (%s, %s, in the %s; got %d): %s",
		req.caller(), found.kind, found.owner.name, canary.Hash(found.text), found.form, found.where, answer.Status, req.describe())
}
