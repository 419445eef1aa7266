package isolation

import (
	"net/http"
	"strings"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// testCache has orgs ask for one URL in turn, in both orders: what one was answered must not be kept for the other.
func (r *run) testCache(rr *resourceRun) bool {
	a := rr.assertion(checkCache, "cache")
	op := rr.visibilityOp()
	if v, ok := rr.assertion(checkIsolated, op).decisive(); ok && v.rule == ruleLeak {
		r.diagnoseCache(rr, a, v)
		return true
	}
	shared := op != "read" && !rr.template(op).contains("{org}")
	r.eachPair(func(owner, intruder *tenant) {
		obj := rr.seeded[owner]
		for _, t := range []*tenant{owner, intruder, intruder, owner, intruder} {
			v := vars{org: t.id, id: obj.id, canary: obj.text, page: "1"}
			req := request{assertion: a, tenant: t, template: rr.template(op), vars: v, want: r.p.Denied}
			answer := r.send(r.ctx, req)
			switch {
			case t == owner:
				r.expectOwn(req, answer, obj)
			case op == "read":
				r.expectDenied(req, answer, r.p.Denied, ruleNotDenied, misleadingSuccess)
			case shared:
				r.expectOwn(req, answer, rr.seeded[t])
			}
		}
	})
	r.complete(a, "what one org was answered was not kept for another, in either order")
	return true
}

// diagnoseCache tells whether what one org is shown of another's is kept for it by something between them, a cache that
// does not know the org, or would be shown at any rate. It is «Identify path».
func (r *run) diagnoseCache(rr *resourceRun, a *assertion, leak violation) {
	untold := "it takes create, read, and a search, export or list to see that an object is there without reading it"
	if rr.Read != nil && rr.Create != nil && rr.discoveryOp() != "" {
		r.eachPair(func(owner, intruder *tenant) {
			if len(a.violations) == 0 {
				untold = r.compareBeforeAfterOwner(rr, a, leak, owner, intruder)
			}
		})
	}
	if len(a.violations) == 0 {
		r.violatedNoEvidence(a, ruleInconclusive, probe.ControlFailed, "%s is shown another's anyway, and whether something between them keeps it could not be told: %s", rr.name, untold)
	}
}

// compareBeforeAfterOwner has a new object that nobody has asked for be asked for by an intruder, then by its owner, and by the intruder
// again. Where that tells nothing it returns why.
func (r *run) compareBeforeAfterOwner(rr *resourceRun, a *assertion, leak violation, owner, intruder *tenant) (untold string) {
	obj, ok := r.seedObject(rr, owner, a, mutation{}, nil)
	if !ok {
		return "" // noted
	}
	if !r.poll(r.p.VisibilityDelay.D(), func() bool { return r.listAsOwner(a, obj, rr.discoveryOp()).visibility == visible }) {
		return "a new object of " + owner.name + " is not found by its " + rr.discoveryOp()
	}
	var cold, warm visibility
	var first, second *httpx.Answer
	// What is found already may still be missing where it is read: it gets as long again.
	r.poll(time.Since(obj.createdAt)+readLag, func() bool {
		cold, first = r.fetchAs(a, obj, intruder)
		return cold != notFound || shownIn(first, obj)
	})
	own, _ := r.fetchAs(a, obj, owner)
	warm, second = r.fetchAs(a, obj, intruder)
	switch {
	case cold == visibilityUnknown || own != visible || warm == visibilityUnknown:
		return "a new object could not be asked for in turn"
	case cold == visible || shownIn(first, obj):
		r.violated(a, first, ruleInconclusive, probe.ControlFailed, "%s was shown an object of %s that nobody had asked for before: that is no cache, or not a cache alone", intruder.name, owner.name)
	case warm == visible || shownIn(second, obj):
		a.rootCause = true
		r.violated(a, second, ruleLeak, leak.why, "%s was shown an object of %s only after %s had asked for it: something between them keeps answers and does not know the org",
			intruder.name, owner.name, owner.name)
	}
	return "with a new object it was not seen again"
}

// readLag is how long a read may lag behind a search that does not.
const readLag = 250 * time.Millisecond

// discoveryOp is the operation by which an object can be seen without being read: the one whose request is the least like
// another's first.
func (r *Resource) discoveryOp() string {
	for _, op := range []string{"search", "export", "list"} {
		if r.template(op) != nil {
			return op
		}
	}
	return ""
}

// shownIn reports whether a canary is anywhere in an answer.
func shownIn(answer *httpx.Answer, obj seededObject) bool {
	return canary.NewHaystack(answer.Body).Find(obj.needles[0]) != "" || canary.NewHaystack(headText(answer)).Find(obj.needles[0]) != ""
}

// expectOwn notes against the claim where an owner was not answered its own canary, or in a way that a shared cache may keep.
func (r *run) expectOwn(req request, answer *httpx.Answer, obj seededObject) {
	if why, detail, ok := r.unsuccessful(req, answer, req.template.Status); ok {
		r.violated(req.assertion, answer, ruleInconclusive, why, "%s cannot be shown its own: %s", req.tenant.name, detail)
		return
	}
	if req.op() == "read" && canary.NewHaystack(answer.Body).Find(obj.needles[0]) == "" {
		r.violated(req.assertion, answer, ruleInconclusive, probe.StaleOrCached, "%s is not answered its own canary: %s", req.tenant.name, req.describe())
	}
	if why := r.p.cacheableBecause(answer.Header); why != "" {
		r.violated(req.assertion, answer, ruleInconclusive, probe.StaleOrCached, "a shared cache may keep what %s is answered: %s", req.tenant.name, why)
	}
}

// cacheableBecause says why a cache that stands before the API may store an answer and give it to another org (RFC 9111, sections
// 3 and 3.5); empty if it may not.
func (p *Probe) cacheableBecause(h http.Header) string {
	control := strings.ToLower(strings.Join(h.Values("Cache-Control"), ","))
	vary := strings.ToLower(strings.Join(h.Values("Vary"), ","))
	says := func(word string) bool { return strings.Contains(control, word) }
	if says("no-store") || says("private") || strings.Contains(vary, "*") || strings.Contains(vary, "authorization") {
		return ""
	}
	if says("public") || says("s-maxage") {
		return "Cache-Control allows it and Vary does not name the credential"
	}
	return ""
}
