package isolation

import (
	"strconv"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// testUpdates has every org change its own canary, which must work, and every other's, which must not (row 6).
func (r *run) testUpdates(rr *resourceRun) bool {
	if rr.Update == nil {
		return true
	}
	a := rr.assertion(checkIsolated, "update")
	for _, t := range r.p.tenants {
		obj := rr.seeded[t]
		req := request{assertion: a, tenant: t, template: rr.Update, vars: vars{org: t.id, id: obj.id, canary: obj.text}, want: rr.Update.Status}
		answer := r.send(r.ctx, req)
		if why, detail, ok := r.unsuccessful(req, answer, rr.Update.Status); ok {
			r.violated(a, answer, ruleInconclusive, why, "%s cannot change even its own canary: %s; a denial to others proves nothing", t.name, detail)
		}
	}
	r.crossTenantWrite(rr, "update", foreignWrite)
	r.complete(a, "denied to every other org, and nothing changed")
	r.complete(rr.assertion(checkContext, "update"), "no way to leave out or forge the org changed anything")
	r.tested(6)
	return true
}

// testDeletes has every org delete every other's canary, which must not work (row 7). That each can delete its own is
// seen when the run cleans up.
func (r *run) testDeletes(rr *resourceRun) bool {
	if rr.Delete == nil {
		return true
	}
	r.crossTenantWrite(rr, "delete", foreignDelete)
	r.complete(rr.assertion(checkIsolated, "delete"), "denied to every other org, and nothing was deleted")
	r.complete(rr.assertion(checkContext, "delete"), "no way to leave out or forge the org deleted anything")
	r.tested(7)
	return true
}

// crossTenantWrite has every org write to every other's canary, with the org said rightly and wrongly, and has its owner look
// after each whether it is still there, unchanged.
func (r *run) crossTenantWrite(rr *resourceRun, op string, why probe.Reason) {
	r.eachPair(func(owner, intruder *tenant) {
		obj := rr.seeded[owner]
		v := vars{org: intruder.id, id: obj.id, canary: canary.Mint(r.p.Replica, time.Now())}
		a := rr.assertion(checkIsolated, op)
		req := request{assertion: a, tenant: intruder, template: rr.template(op), vars: v, want: r.p.Denied}
		answer := r.send(r.ctx, req)
		r.expectDenied(req, answer, r.p.Denied, ruleNotDenied, misleadingSuccess)
		r.expectUnchanged(req, answer, obj, why)
		a = rr.assertion(checkContext, op)
		if a == nil {
			return
		}
		for _, m := range r.p.tamperingsFor(req.template, op, owner.id, intruder.id) {
			req.assertion, req.mutation = a, m
			answer := r.send(r.ctx, req)
			r.expectDenied(req, answer, union(r.p.Rejected, r.p.Denied), ruleNotDenied, mismatchNotRejected)
			r.expectUnchanged(req, answer, obj, why)
		}
		r.tested(9, 10)
	})
}

// expectUnchanged has an owner look whether its canary is as it was after an intruder's request, twice if it is not.
func (r *run) expectUnchanged(req request, answer *httpx.Answer, obj seededObject, why probe.Reason) {
	seen := r.fetchAsOwner(req.assertion, obj)
	if seen.visibility == absent || seen.visibility == notFound {
		seen = r.fetchAsOwner(req.assertion, obj)
	}
	lost := obj.run.tampered
	switch {
	case seen.visibility == visible:
	case lost[obj.owner]:
		r.violated(req.assertion, seen.answer, ruleInconclusive, probe.ControlFailed, "the canary of %s was gone or changed before", obj.owner.name)
	case seen.visibility == visibilityUnknown:
		r.violated(req.assertion, seen.answer, ruleInconclusive, seen.why, "whether the canary of %s is as it was could not be told: %s", obj.owner.name, seen.detail)
	default:
		lost[obj.owner] = true
		got := "no answer"
		if answer.Status != 0 {
			got = strconv.Itoa(answer.Status)
		}
		r.violated(req.assertion, answer, ruleChanged, why, "after %s of %s by %s, which got %s, the canary of %s (%s) is gone or changed: %s",
			req.describe(), obj.owner.name, req.tenant.name, got, obj.owner.name, canary.Hash(obj.text), seen.detail)
	}
}

// testCreates has every org create an object and say that it is another's: in the body, which nobody documents, and where
// the org is usually said (row 8). Where the objects went is looked for once all are made.
func (r *run) testCreates(rr *resourceRun) bool {
	isolated, inContext := rr.assertion(checkIsolated, "create"), rr.assertion(checkContext, "create")
	var made []crossTenantObject
	r.eachPair(func(owner, intruder *tenant) {
		try := func(a *assertion, m mutation) {
			if found, ok := r.crossTenantCreate(rr, a, owner, intruder, m); ok {
				made = append(made, found)
			}
		}
		for _, member := range r.p.Overrides.Body {
			if isolated != nil {
				try(isolated, mutation{name: "the owner's org as " + member + " in the body", member: member, org: owner.id})
			}
		}
		if inContext != nil {
			for _, m := range r.p.tamperingsFor(rr.Create, "create", owner.id, intruder.id) {
				try(inContext, m)
			}
			r.tested(9, 10)
		}
	})
	for _, found := range made {
		r.locate(found)
	}
	r.complete(isolated, "no org could create anything in another")
	r.complete(inContext, "no way to leave out or forge the org was let in")
	if isolated != nil {
		r.tested(8)
	}
	return true
}

// crossTenantObject is an object that an org created while it named another.
type crossTenantObject struct {
	seededObject
	request
	answer *httpx.Answer
	named  *tenant
}

// crossTenantCreate has an intruder create an object in one of the ways to name another org. It reports whether there is one now.
func (r *run) crossTenantCreate(rr *resourceRun, a *assertion, owner, intruder *tenant, m mutation) (crossTenantObject, bool) {
	found := crossTenantObject{named: owner}
	var ok bool
	found.seededObject, ok = r.seedObject(rr, intruder, a, m, func(req request, got *httpx.Answer) bool {
		found.request, found.answer = req, got
		if _, _, bad := unusable(got); bad || !httpx.Success.Contains(got.Status) {
			r.expectCreateRejected(req, got)
			return false
		}
		return true
	})
	if !ok {
		return found, false
	}
	r.mu.Lock()
	r.created[len(r.created)-1].also = owner
	r.mu.Unlock()
	return found, true
}

// locate finds out where an object went: into the other org, into the creator's own, or nowhere. It waits until one of
// them is shown it.
func (r *run) locate(found crossTenantObject) {
	a := found.assertion
	var own, other visibility
	var answer *httpx.Answer
	r.poll(r.p.VisibilityDelay.D(), func() bool {
		own, _ = r.fetchAs(a, found.seededObject, found.tenant)
		other, answer = r.fetchAs(a, found.seededObject, found.named)
		return own == visible || other == visible || own == visibilityUnknown || other == visibilityUnknown
	})
	leaks, _ := found.seededObject.run.assertion(checkIsolated, "read").decisive()
	switch {
	case other == visible && leaks.rule == ruleLeak:
		r.violated(a, answer, ruleInconclusive, probe.ControlFailed, "where it went could not be told, since %s is shown what is not its own", found.named.name)
	case other == visible:
		r.violated(a, found.answer, ruleChanged, foreignWrite, "%s created an object in %s: %s", found.tenant.name, found.named.name, found.describe())
	case own == visibilityUnknown || other == visibilityUnknown:
		r.violated(a, answer, ruleInconclusive, probe.ControlFailed, "where it went could not be told (%d): %s by %s", answer.Status, found.describe(), found.tenant.name)
	case own == visible && !found.mutation.undocumented() && r.p.Mismatch != "ignore":
		r.violated(a, found.answer, ruleNotDenied, mismatchNotRejected, "wanted %s, got %d: %s by %s", r.p.Rejected, found.answer.Status, found.describe(), found.tenant.name)
	case own == visible || r.ctx.Err() != nil: // where the run is over the claim is not finished
	default:
		r.violated(a, found.answer, ruleNotDenied, misleadingSuccess, "got %d, and neither %s nor %s is shown what was created: %s",
			found.answer.Status, found.tenant.name, found.named.name, found.describe())
	}
}

// expectCreateRejected notes what an answer to a creation is but a refusal: any 4xx that says no.
func (r *run) expectCreateRejected(req request, answer *httpx.Answer) {
	want := union(union(r.p.Rejected, r.p.Denied), httpx.Codes(405, 409, 422))
	r.expectDenied(req, answer, want, ruleNotDenied, mismatchNotRejected)
}
