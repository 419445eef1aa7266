package isolation

import (
	"cmp"
	"net/http"
	"slices"

	"prober/internal/canary"
	"prober/internal/drop"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/expect"
)

// Every org has a third object, its spare, for what an owner tries with an object of its own: moving it to another org,
// and deleting it.

// seedSpare gives an org a spare, unless it could not delete it. Without one, what it is for is not tested.
func (r *run) seedSpare(rr *resourceRun, t *tenant, control *assertion) {
	if rr.Delete == nil {
		return
	}
	if spare, ok := r.seedObject(rr, t, control, mutation{}, nil); ok {
		rr.spares[t] = spare
		r.protect(spare)
	}
}

// testMoves has every org update its spare and name every other org as well, in all undocumented places. Whatever the
// service answers, the other org must not be shown the spare.
func (r *run) testMoves(rr *resourceRun) {
	inContext := rr.assertion(checkContext, "update")
	isolated := cmp.Or(rr.assertion(checkIsolated, "update"), inContext)
	r.eachPair(func(owner, intruder *tenant) {
		for _, m := range r.p.memberTamperings(rr.Update, owner.id) {
			r.tryMove(rr, isolated, m, intruder, owner)
		}
		for _, m := range r.p.undocumentedTamperings(rr.Update, owner.id) {
			if inContext != nil {
				r.tryMove(rr, inContext, m, intruder, owner)
			}
		}
	})
}

// tryMove has an org update its spare with the name of another org, and looks whether that is shown the spare.
func (r *run) tryMove(rr *resourceRun, a *assertion, m mutation, from, to *tenant) {
	spare, ok := rr.spares[from]
	if !ok || r.ended() {
		return
	}
	req := request{assertion: a, tenant: from, template: rr.Update, vars: vars{org: from.id, id: spare.id}, mutation: m}
	r.sendAttempt(&req)
	spare = r.renamed(spare, req.vars.canary)
	rr.spares[from] = spare
	seen, answer := r.fetchAs(a, spare, to)
	withoutText := seen == absent && r.leaking(request{assertion: a, template: rr.Read}) == nil
	if seen == visible && r.attemptShown(spare.text) || withoutText {
		delete(rr.spares, from)
		r.unprotect(from, answer)
		r.moved(spare, to)
	}
}

// unprotect takes what a response shows of an org from the texts that others must not be shown: that it is shown once more
// is no other violation.
func (r *run) unprotect(owner *tenant, answer *httpx.Answer) {
	body := canary.NewHaystack(answer.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.protected = drop.If(slices.Clone(r.protected), func(text protectedText) bool {
		return text.owner == owner && text.attempt == nil && !text.short && body.Find(text.needle) != ""
	})
}

// moved notes that an object of this run is in another org now, which has to delete it.
func (r *run) moved(obj seededObject, to *tenant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, c := range r.created {
		if c.text == obj.text {
			r.created[i].owner, r.created[i].also = to, obj.owner
		}
	}
}

// renamed notes that an object of this run has another text now, and returns it with that.
func (r *run) renamed(obj seededObject, text string) seededObject {
	before := obj.text
	obj.text, obj.needles = text, []canary.Needle{canary.NewNeedle(text)}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, c := range r.created {
		if c.text == before {
			r.created[i].text = text
		}
	}
	return obj
}

// testDeletions has every org delete its spare, which must work. Then nobody else must be shown it.
func (r *run) testDeletions(rr *resourceRun) {
	for _, t := range r.p.tenants {
		spare, ok := rr.spares[t]
		if !ok || r.ended() {
			continue
		}
		a := cmp.Or(rr.assertion(checkIsolated, "delete"), rr.assertion(checkContext, "delete"))
		if a == nil {
			return
		}
		if rr.Update != nil { // its text was sent with the names of other orgs
			spare = r.renamed(spare, r.newCanary(rr, t))
			rr.spares[t] = spare
			r.updateAsOwner(cmp.Or(rr.assertion(checkIsolated, "update"), a), spare)
		}
		if !r.ownerSees(a, spare, r.p.VisibilityDelay.D()) {
			continue
		}
		r.protect(spare)
		r.tested(rowOwnerDelete)
		r.deleteNow(rr, spare, t) // otherwise the clean-up tries again
		r.expectNotShown(rr, a, spare)
	}
}

// expectNotShown requests an object that its owner deleted as every other org and every unauthorized caller.
func (r *run) expectNotShown(rr *resourceRun, a *assertion, obj seededObject) {
	if rr.Read == nil {
		return
	}
	gone := expect.DeniedBy(goneStatuses...)
	for _, t := range r.p.tenants {
		if t != obj.owner {
			want := either(rr.Read.Denied, gone)
			req := request{assertion: a, tenant: t, template: rr.Read, vars: vars{org: t.id, id: obj.id}, want: want.Statuses()}
			r.expectDenied(req, r.send(r.ctx, req), want, ruleNotDenied, misleadingSuccess)
		}
	}
	for i := range r.p.unauthorized {
		caller := &r.p.unauthorized[i]
		want := either(either(caller.refusedBy(rr.Read), expect.DeniedBy(http.StatusUnauthorized)), either(rr.Read.Denied, gone))
		req := request{assertion: a, unauthorized: caller, template: rr.Read, vars: vars{org: obj.owner.id, id: obj.id}, want: want.Statuses()}
		r.expectDenied(req, r.send(r.ctx, req), want, ruleAuthBypass, probe.AuthBypass)
	}
}
