package isolation

import (
	"cmp"
	"strconv"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/expect"
)

// testUpdates has every org change its own canary, which must work, and every other's, which must not.
func (r *run) testUpdates(rr *resourceRun) bool {
	if rr.Update == nil {
		return true
	}
	a := cmp.Or(rr.assertion(checkIsolated, "update"), rr.assertion(checkContext, "update"))
	if a == nil {
		return true
	}
	if op := rr.visibilityOp(); op != "read" && !rr.showsText[op] {
		r.inconclusive(a, nil, probe.ControlFailed, "%s shows ids alone: whether another org changed an object would not be seen", rr.template(op).describe())
		return true
	}
	for _, t := range r.p.tenants {
		for _, obj := range []seededObject{rr.seeded[t], rr.twins[t]} {
			if obj.owner != nil {
				r.updateAsOwner(a, obj)
			}
		}
	}
	r.crossTenantWrite(rr, "update", foreignWrite)
	r.testMoves(rr)
	r.complete(a, "denied to every other org, and nothing changed; no org could move an object to another")
	r.complete(rr.assertion(checkContext, "update"), "every missing or forged org was rejected, and nothing changed")
	r.tested(rowUpdate)
	return true
}

// updateAsOwner has an org change its own canary to what it is.
func (r *run) updateAsOwner(a *assertion, obj seededObject) {
	tmpl := obj.resourceRun.Update
	req := request{assertion: a, tenant: obj.owner, template: tmpl, vars: vars{org: obj.owner.id, id: obj.id, canary: obj.text}, want: tmpl.Status}
	answer := r.send(r.ctx, req)
	if o := expectSuccess(req, answer, tmpl.Status); !o.Passed() {
		r.inconclusive(a, answer, o.Reason, "%s cannot change even its own canary: %s; a denial to others proves nothing", obj.owner.name, o.Detail)
		return
	}
	// Where the response to the owner would also deny, only the change itself shows that there is one.
	if tmpl.deniesOwner(answer) && obj.text == obj.resourceRun.twins[obj.owner].text && !r.changeTwin(a, obj) {
		r.inconclusive(a, answer, probe.ControlFailed, "%s is not shown what it changed its own canary to: %s; a denial to others proves nothing", obj.owner.name, req.describe())
		return
	}
	r.succeededAsOwner(obj.resourceRun, "update", obj.owner)
	if obj.id == obj.resourceRun.seeded[obj.owner].id {
		r.readByOthers(obj)
	}
}

// changeTwin has an org change its twin to another canary, and reports whether it is shown that.
func (r *run) changeTwin(a *assertion, twin seededObject) bool {
	rr, changed := twin.resourceRun, twin
	changed.text = r.newCanary(rr, twin.owner)
	changed.needles = []canary.Needle{canary.NewNeedle(changed.text)}
	req := request{assertion: a, tenant: twin.owner, template: rr.Update, vars: vars{org: twin.owner.id, id: twin.id, canary: changed.text}, want: rr.Update.Status}
	r.send(r.ctx, req)
	if !r.poll(r.p.VisibilityDelay.D(), func() bool { return r.fetchAsOwner(a, changed).visibility == visible }) {
		return false
	}
	rr.twins[twin.owner] = changed
	r.protect(changed)
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, obj := range r.created {
		if obj.text == twin.text {
			r.created[i].text = changed.text
		}
	}
	return true
}

// testDeletes has every org delete every other's canary, which must not work, and then an object of its own, which must.
func (r *run) testDeletes(rr *resourceRun) bool {
	if rr.Delete == nil {
		return true
	}
	r.noteListed(rr)
	r.crossTenantWrite(rr, "delete", foreignDelete)
	r.expectListedStill(rr, rr.assertion(checkIsolated, "delete"), foreignDelete)
	r.testDeletions(rr)
	r.complete(rr.assertion(checkIsolated, "delete"), "denied to every other org, and nothing was deleted; what an org deleted is shown to nobody")
	r.complete(rr.assertion(checkContext, "delete"), "every missing or forged org was rejected, and nothing was deleted")
	r.tested(rowDelete)
	return true
}

// crossTenantWrite has every org write to every other's canary, with the right org and with mutations of it. Before the
// first request and after each the owner checks that its canary exists, unchanged.
func (r *run) crossTenantWrite(rr *resourceRun, op string, why probe.Reason) {
	r.eachPair(func(owner, intruder *tenant) {
		obj, a := rr.seeded[owner], cmp.Or(rr.assertion(checkIsolated, op), rr.assertion(checkContext, op))
		shown := !rr.tampered[owner] && r.ownerSees(a, obj, r.p.VisibilityDelay.D())
		v := vars{org: intruder.id, id: obj.id, canary: obj.text}
		try := func(a *assertion, m mutation, want expect.Denials, notDenied probe.Reason) {
			req := request{assertion: a, tenant: intruder, template: rr.template(op), vars: v, mutation: m, want: want.Statuses()}
			answer := r.sendAttempt(&req)
			r.expectDenied(req, answer, want, ruleNotDenied, notDenied)
			shown = r.expectUnchanged(req, answer, obj, shown, why)
			if shown {
				r.deleteUpserted(req, answer)
			}
		}
		tmpl := rr.template(op)
		if a := rr.assertion(checkIsolated, op); a != nil {
			try(a, mutation{}, tmpl.Denied, misleadingSuccess)
		}
		a = rr.assertion(checkContext, op)
		if a == nil {
			return
		}
		for _, m := range r.p.tamperingsFor(tmpl, op, owner.id, intruder.id) {
			if !(m.undocumented() && rr.upserts(r.p, op)) {
				try(a, m, tmpl.wrongOrg(), mismatchNotRejected)
			}
		}
		r.tested(rowForgedOrg, rowMalformedOrg)
	})
	if !r.fails(rr.assertion(checkIsolated, op)) && !r.fails(rr.assertion(checkContext, op)) { // else the plain path is enough
		r.eachNeighbor(func(owner, intruder *tenant) { r.traversingWrite(rr, op, owner, intruder, why) })
	}
}

// traversingWrite has an intruder write to an owner's canary by a path that begins as its own. What became of the canary
// decides.
func (r *run) traversingWrite(rr *resourceRun, op string, owner, intruder *tenant, why probe.Reason) {
	tmpl, a, obj := rr.template(op), rr.assertion(checkIsolated, op), rr.seeded[owner]
	m, ok := r.p.writeTraversal(tmpl, vars{org: intruder.id, id: rr.seeded[intruder].id}, vars{org: owner.id, id: obj.id})
	createsAny := op == "update" && rr.ID.Text != "" // an object of the intruder's with that path as its id
	if !ok || a == nil || rr.tampered[owner] || createsAny {
		return
	}
	req := request{assertion: a, tenant: intruder, template: tmpl, vars: vars{org: intruder.id, id: obj.id, canary: obj.text}, mutation: m, want: tmpl.wrongOrg().Statuses()}
	r.expectUnchanged(req, r.sendAttempt(&req), obj, true, why)
}

// deleteUpserted deletes what an org created of its own when it tried to change another's object: where each org has keys
// of its own, a put to the owner's key does so, and its list shows that key from then on.
func (r *run) deleteUpserted(req request, answer *httpx.Answer) {
	rr := req.assertion.resource
	if rr.ID.Text == "" || req.op() != "update" || !httpx.Success.Contains(answer.Status) {
		return
	}
	obj := seededObject{
		resourceRun: rr, resource: rr.name, owner: req.tenant, id: req.vars.id, text: req.vars.canary, created: true, createdAt: time.Now(),
	}
	if !r.deleteAs(r.ctx, rr, obj, req.tenant) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.created = append(r.created, obj)
	}
}

// sendAttempt sends a request that writes to another org, with a text of its own if it stores one.
func (r *run) sendAttempt(req *request) *httpx.Answer {
	if writes(req.op()) {
		req.vars.canary = r.mintBy(req.tenant)
		r.protectAttempt(*req, req.tenant)
	}
	return r.send(r.ctx, *req)
}

// expectUnchanged records a violation unless an owner, which was shown its canary a moment before, is shown it unchanged
// after an intruder's request. It reports whether the owner is shown it.
func (r *run) expectUnchanged(req request, answer *httpx.Answer, obj seededObject, shownBefore bool, why probe.Reason) bool {
	before := r.lastView(obj)
	seen := r.fetchAsOwner(req.assertion, obj)
	if seen.visibility == absent || seen.visibility == notFound {
		seen = r.fetchAsOwner(req.assertion, obj)
	}
	tampered, owner := obj.resourceRun.tampered, obj.owner
	switch {
	case seen.visibility == visible:
		if shownBefore && !r.attemptShown(req.vars.canary) {
			r.expectSameView(req, answer, obj, before, why)
		}
		return true
	case r.attemptShown(req.vars.canary): // recorded
		tampered[owner] = true
	case tampered[owner]:
		r.inconclusive(req.assertion, seen.answer, probe.ControlFailed, "the canary of %s was deleted or changed before", owner.name)
	case seen.visibility == visibilityUnknown:
		r.inconclusive(req.assertion, seen.answer, seen.Reason, "%s could not check whether its canary is unchanged: %s", owner.name, seen.Detail)
	case shownBefore && r.gone(req.assertion, sight{obj, owner}):
		tampered[owner] = true
		r.violated(req.assertion, answer, ruleChanged, why, "after %s of %s by %s, which got %s, the canary of %s (%s) was deleted or changed: %s, while another canary of %s is still shown",
			req.describe(), owner.name, req.caller(), statusOf(answer), owner.name, canary.Hash(obj.text), seen.Detail, owner.name)
	default:
		r.inconclusive(req.assertion, seen.answer, probe.ControlFailed, "%s does not see its canary: %s; nothing shows that another org changed it, and the service may show %s nothing",
			owner.name, seen.Detail, owner.name)
	}
	return false
}

// statusOf is the status of a response in a message.
func statusOf(answer *httpx.Answer) string {
	if answer.Status == 0 {
		return "no response"
	}
	return strconv.Itoa(answer.Status)
}

// testCreates has every org create objects that name another org: in the body, which is undocumented, and where the org
// is usually named. Once all are created, it looks where they went.
func (r *run) testCreates(rr *resourceRun) bool {
	isolated, inContext := rr.assertion(checkIsolated, "create"), rr.assertion(checkContext, "create")
	var created []crossTenantObject
	r.eachPair(func(owner, intruder *tenant) {
		try := func(a *assertion, m mutation) {
			if found, ok := r.crossTenantCreate(rr, a, owner, intruder, m); ok {
				created = append(created, found)
			}
		}
		if isolated != nil {
			for _, m := range r.p.memberTamperings(rr.Create, owner.id) {
				try(isolated, m)
			}
		}
		if inContext != nil {
			for _, m := range r.p.tamperingsFor(rr.Create, "create", owner.id, intruder.id) {
				try(inContext, m)
			}
			r.tested(rowForgedOrg, rowMalformedOrg)
		}
	})
	for _, found := range created {
		r.locate(found)
	}
	r.complete(isolated, "no org could create anything in another")
	r.complete(inContext, "every missing or forged org was rejected")
	if isolated != nil {
		r.tested(rowCreate)
	}
	return true
}

// A crossTenantObject is an object that an org created while it named another.
type crossTenantObject struct {
	seededObject
	request
	answer *httpx.Answer
	named  *tenant
}

// crossTenantCreate has an intruder create an object that names another org by a mutation. It reports whether the
// service created one.
func (r *run) crossTenantCreate(rr *resourceRun, a *assertion, owner, intruder *tenant, m mutation) (crossTenantObject, bool) {
	found := crossTenantObject{named: owner}
	var ok bool
	found.seededObject, ok = r.seedObject(rr, intruder, a, m, func(req request, answer *httpx.Answer) bool {
		found.request, found.answer = req, answer
		denied := rr.Create.wrongOrg().Match(answer) && rr.idOfCreated(req, answer) == ""
		if !usable(answer).Passed() || !httpx.Success.Contains(answer.Status) || denied {
			r.expectCreateRejected(req, answer)
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

// locate finds out where an object was created: in the other org, in the creator's own, or nowhere. It waits until one
// of them is shown it.
func (r *run) locate(found crossTenantObject) {
	a, intruder, owner := found.assertion, found.tenant, found.named
	var own, other visibility
	var answer *httpx.Answer
	r.poll(r.p.VisibilityDelay.D(), func() bool {
		own, _ = r.fetchAs(a, found.seededObject, intruder)
		other, answer = r.fetchAs(a, found.seededObject, owner)
		return own == visible || other == visible || own == visibilityUnknown || other == visibilityUnknown
	})
	leak, _ := found.resourceRun.assertion(checkIsolated, found.resourceRun.visibilityOp()).decisive()
	switch {
	case other == visible && leak.rule == ruleLeak:
		r.inconclusive(a, answer, probe.ControlFailed, "where it was created is not known, since %s is shown other orgs' objects", owner.name)
	case r.attemptShown(found.text): // recorded
	case other == visible:
		r.violated(a, found.answer, ruleChanged, foreignWrite, "%s created an object in %s: %s", intruder.name, owner.name, found.describe())
	case own == visibilityUnknown || other == visibilityUnknown:
		r.inconclusive(a, answer, probe.ControlFailed, "where it was created is not known, got %d: %s by %s", answer.Status, found.describe(), intruder.name)
	case own == visible && !found.mutation.undocumented() && r.p.Mismatch != "ignore":
		r.violated(a, found.answer, ruleNotDenied, mismatchNotRejected, "expected %s, got %d: %s by %s", found.template.Rejected, found.answer.Status, found.describe(), intruder.name)
	case own == visible || r.ctx.Err() != nil: // if the run is over, the assertion does not complete
	case found.template.wrongOrg().Match(found.answer):
		r.deniedByBody(found.request)
	case !r.gone(a, sight{found.seededObject, intruder}, sight{found.seededObject, owner}):
		r.inconclusive(a, answer, probe.ControlFailed, "where it was created is not known, and the service may show %s and %s nothing: %s by %s", intruder.name, owner.name, found.describe(), intruder.name)
	default:
		r.violated(a, found.answer, ruleNotDenied, misleadingSuccess, "got %d, and neither %s nor %s is shown what was created: %s",
			found.answer.Status, intruder.name, owner.name, found.describe())
	}
}

// expectCreateRejected records a violation unless a response rejects a creation, by any of the usual statuses.
func (r *run) expectCreateRejected(req request, answer *httpx.Answer) {
	want := either(req.template.wrongOrg(), expect.DeniedBy(405, 409, 422))
	r.expectDenied(req, answer, want, ruleNotDenied, mismatchNotRejected)
}
