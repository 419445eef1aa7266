package isolation

import (
	"net/http"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
)

// testCache has orgs request one URL in turn, in both orders: a response to one must not be kept for the other.
func (r *run) testCache(rr *resourceRun) bool {
	a := rr.assertion(checkCache, "cache")
	op := rr.visibilityOp()
	leaks := func() (violation, bool) {
		v, ok := rr.assertion(checkIsolated, op).decisive()
		return v, ok && v.rule == ruleLeak
	}
	sameURL := op != "read" && !rr.template(op).contains("{org}")
	r.eachPair(func(owner, intruder *tenant) {
		if _, known := leaks(); known {
			return
		}
		obj := rr.seeded[owner]
		for _, t := range []*tenant{owner, intruder, intruder, owner, intruder} {
			v := vars{org: t.id, id: obj.id, canary: obj.text, page: "1"}
			req := request{assertion: a, tenant: t, template: rr.template(op), vars: v, want: rr.template(op).Denied.Statuses()}
			answer := r.send(r.ctx, req)
			_, known := leaks()
			switch {
			case known:
				return
			case t == owner:
				r.expectOwn(req, answer, obj)
			case op == "read":
				r.expectDenied(req, answer, req.template.Denied, ruleNotDenied, misleadingSuccess)
			case sameURL:
				r.expectOwn(req, answer, rr.seeded[t])
			}
		}
	})
	if v, known := leaks(); known {
		r.diagnoseCache(rr, a, v)
		return true
	}
	r.complete(a, "no response to one org was kept for another, in either order")
	return true
}

// readByOthers has every other caller read an object that its owner has just written: a cache that is filled by writes may
// not know whose object it is.
func (r *run) readByOthers(obj seededObject) {
	rr := obj.resourceRun
	if rr.Read == nil || !r.deniesRead(rr) {
		return // who could read it before shows nothing of a cache
	}
	for _, t := range r.p.tenants {
		if t != obj.owner {
			req := request{assertion: rr.assertion(checkCache, "cache"), tenant: t, template: rr.Read, vars: vars{org: t.id, id: obj.id}, want: rr.Read.Denied.Statuses()}
			answer := r.send(r.ctx, req)
			if !r.deniesRead(rr) {
				return
			}
			r.expectDenied(req, answer, rr.Read.Denied, ruleNotDenied, misleadingSuccess)
		}
	}
	if rr.assertion(checkAuthenticated, "read") == nil {
		return
	}
	for _, req := range r.unauthorizedRequests(rr, "read", obj.owner) {
		r.sendUnauthorized(req, obj.owner)
	}
}

// diagnoseCache finds out whether a leak comes from a cache that does not distinguish orgs, or from the service. It
// serves the runbook's «Identify path».
func (r *run) diagnoseCache(rr *resourceRun, a *assertion, leak violation) {
	unknown := "that needs create, read, and a search, export or list that shows an object without reading it"
	if rr.Read != nil && rr.Create != nil && rr.discoveryOp() != "" {
		r.eachPair(func(owner, intruder *tenant) {
			if len(a.violations) == 0 {
				unknown = r.compareBeforeAfterOwner(rr, a, leak, owner, intruder)
			}
		})
	}
	if len(a.violations) == 0 {
		r.inconclusive(a, nil, probe.ControlFailed, "%s shows other orgs' objects in any case, and whether a cache keeps them is not known: %s", rr.name, unknown)
	}
}

// compareBeforeAfterOwner has an intruder request a new object before its owner does and again after that. If that is no
// evidence of a leak, it returns why.
func (r *run) compareBeforeAfterOwner(rr *resourceRun, a *assertion, leak violation, owner, intruder *tenant) (unknown string) {
	obj, ok := r.seedObject(rr, owner, a, mutation{}, nil)
	if !ok {
		return "" // recorded
	}
	if !r.poll(r.p.VisibilityDelay.D(), func() bool { return r.listAsOwner(a, obj, rr.discoveryOp()).visibility == visible }) {
		return "a new object of " + owner.name + " is not found by its " + rr.discoveryOp()
	}
	var before, after visibility
	var first, second *httpx.Answer
	// A read may lag behind the operation that found the object: give it as long again.
	r.poll(time.Since(obj.createdAt)+readLag, func() bool {
		before, first = r.fetchAs(a, obj, intruder)
		return before != notFound || shownIn(first, obj)
	})
	own, _ := r.fetchAs(a, obj, owner)
	after, second = r.fetchAs(a, obj, intruder)
	_, third := r.fetchAs(a, obj, intruder) // what is mixed up is not shown twice
	switch {
	case before == visibilityUnknown || own != visible || after == visibilityUnknown:
		return "a new object could not be requested in turn"
	case before == visible || shownIn(first, obj):
		r.inconclusive(a, first, probe.ControlFailed, "%s was shown an object of %s that nobody had requested before: the cause is not a cache, or not only a cache", intruder.name, owner.name)
	case shownIn(second, obj) && shownIn(third, obj):
		a.rootCause = true
		r.violated(a, second, ruleLeak, leak.Reason, "%s was shown an object of %s only after %s had requested it: a cache between them does not distinguish orgs",
			intruder.name, owner.name, owner.name)
	}
	return "a new object was not leaked again"
}

// readLag is how long a read may lag behind a search.
const readLag = 250 * time.Millisecond

// discoveryOp is the operation that shows an object without reading it: the one whose request differs most from that of
// another org comes first.
func (r *Resource) discoveryOp() string {
	for _, op := range []string{"search", "export", "list"} {
		if r.template(op) != nil {
			return op
		}
	}
	return ""
}

// shownIn reports whether a canary is anywhere in a response. What was not seeded yet is nowhere.
func shownIn(answer *httpx.Answer, obj seededObject) bool {
	return len(obj.needles) > 0 && partsOf(answer).contain(obj.needles[0])
}

// expectOwn records a violation unless an owner is shown its own canary, in a response that no shared cache may keep.
func (r *run) expectOwn(req request, answer *httpx.Answer, obj seededObject) {
	if o := expectSuccess(req, answer, req.template.Status); !o.Passed() {
		r.inconclusive(req.assertion, answer, o.Reason, "%s cannot be shown its own canary: %s", req.tenant.name, o.Detail)
		return
	}
	if req.op() == "read" && !shownIn(answer, obj) && !shownIn(r.send(r.ctx, req), obj) { // twice, unless it was mixed up
		r.inconclusive(req.assertion, answer, probe.StaleOrCached, "%s is not shown its own canary: %s", req.tenant.name, req.describe())
	}
	if why := cacheableBecause(answer.Header); why != "" {
		r.inconclusive(req.assertion, answer, probe.StaleOrCached, "a shared cache may keep the response to %s: %s", req.tenant.name, why)
	}
}

// cacheableBecause says why a shared cache may store a response and give it to another org (RFC 9111, sections 3 and
// 3.5); empty if it may not.
func cacheableBecause(h http.Header) string {
	control := strings.ToLower(strings.Join(h.Values("Cache-Control"), ","))
	vary := strings.ToLower(strings.Join(h.Values("Vary"), ","))
	has := func(directive string) bool { return strings.Contains(control, directive) }
	if has("no-store") || has("private") || strings.Contains(vary, "*") || strings.Contains(vary, "authorization") {
		return ""
	}
	if has("public") || has("s-maxage") {
		return "Cache-Control allows it and Vary does not name the credential"
	}
	return ""
}
