package isolation

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/text"
)

// testResource goes through the matrix for one resource. Where the owners do not see their own, nothing more is asked.
func (r *run) testResource(rr *resourceRun) {
	for _, step := range []func(*resourceRun) bool{
		r.seed, r.testReads, r.testUnauthorized, r.testLists, r.testCache, r.testInterleaving, r.testUpdates, r.testCreates, r.testDeletes, r.testAfter,
	} {
		if r.ended() || !step(rr) {
			return
		}
	}
	rr.assertion(checkControl, rr.visibilityOp()).complete = true
}

// testAfter has every owner look for its canary once more.
func (r *run) testAfter(rr *resourceRun) bool {
	control := rr.assertion(checkControl, rr.visibilityOp())
	held := true
	for _, t := range r.p.tenants {
		patience := r.p.VisibilityDelay.D()
		if rr.tampered[t] {
			patience = 0
		}
		held = r.ownerSees(control, rr.seeded[t], patience) && held
	}
	control.summary = "every owner saw its own canary before and after"
	r.tested(13)
	return held
}

// testReads asks for every object as every other org (rows 3, 4, 9 and 10).
func (r *run) testReads(rr *resourceRun) bool {
	if rr.Read == nil {
		return true
	}
	isolated, oracle := rr.assertion(checkIsolated, "read"), rr.assertion(checkOracle, "read")
	var later []func()
	r.eachPair(func(owner, intruder *tenant) {
		r.sampleDenials(rr, rr.seeded[owner], intruder, isolated, oracle)
		later = append(later, r.tamperedReads(rr, owner, intruder)...)
	})
	r.parallel(len(later), func(i int) { later[i]() })
	r.complete(isolated, "denied to every other org")
	r.complete(oracle, "denied like an object that never was")
	r.complete(rr.assertion(checkContext, "read"), "no way to leave out or forge the org was let in")
	r.tested(3, 4)
	return true
}

// complete says that all was asked that a claim takes. A claim that the settings do not make is nil.
func (r *run) complete(a *assertion, says string) {
	if a != nil && !r.ended() {
		a.complete = true
		a.summary = fmt.Sprintf("%s (%s)", says, text.Count(a.sent, "request"))
	}
}

// tamperedReads lists the reads of an owner's object, and of the intruder's own, with the org missing or forged.
func (r *run) tamperedReads(rr *resourceRun, owner, intruder *tenant) []func() {
	a := rr.assertion(checkContext, "read")
	if a == nil {
		return nil
	}
	var all []func()
	for _, m := range r.p.tamperingsFor(rr.Read, "read", owner.id, intruder.id) {
		all = append(all, func() {
			req := request{assertion: a, tenant: intruder, template: rr.Read, vars: vars{org: intruder.id, id: rr.seeded[owner].id}, mutation: m, want: r.p.Rejected}
			r.expectDenied(req, r.send(r.ctx, req), union(r.p.Rejected, r.p.Denied), ruleNotDenied, mismatchNotRejected)
		})
	}
	for _, m := range r.p.tamperings(rr.Read, owner.id, intruder.id) {
		all = append(all, func() {
			req := request{assertion: a, tenant: intruder, template: rr.Read, vars: vars{org: intruder.id, id: rr.seeded[intruder].id}, mutation: m, want: r.p.Rejected}
			r.expectRejected(req, r.send(r.ctx, req))
		})
	}
	r.tested(9, 10)
	return all
}

// expectRejected notes what an answer is but a refusal of the wrong org. Where the settings say so, the caller's own may be
// answered.
func (r *run) expectRejected(req request, answer *httpx.Answer) {
	if (req.mutation.undocumented() || r.p.Mismatch == "ignore") && httpx.Success.Contains(answer.Status) {
		if why, detail, ok := unusable(answer); ok {
			r.violated(req.assertion, answer, ruleInconclusive, why, "%s by %s: %s", req.describe(), req.caller(), detail)
		}
		return
	}
	r.expectDenied(req, answer, union(r.p.Rejected, r.p.Denied), ruleNotDenied, mismatchNotRejected)
}

func union(a, b httpx.Statuses) httpx.Statuses {
	all := slices.Clone(a)
	for _, code := range b {
		if !slices.Contains(all, code) {
			all = append(all, code)
		}
	}
	return all
}

// testUnauthorized asks for every object as nobody, with a made-up credential and with those of the strangers (row 11).
func (r *run) testUnauthorized(rr *resourceRun) bool {
	says := "refused without a credential and with a made-up one"
	if len(r.p.UnauthorizedCredentials) > 0 {
		says = "refused without a credential, with a made-up one, and to the strangers " + strings.Join(slices.Sorted(maps.Keys(r.p.UnauthorizedCredentials)), ", ")
	}
	for _, op := range []string{"read", "list"} {
		a := rr.assertion(checkAuthenticated, op)
		if a == nil {
			continue
		}
		for _, t := range r.p.tenants {
			for i := range r.p.unauthorized {
				who := &r.p.unauthorized[i]
				req := request{assertion: a, unauthorized: who, template: rr.template(op), vars: vars{org: t.id, id: rr.seeded[t].id, page: "1"}, want: who.refused}
				answer := r.send(r.ctx, req)
				if answer.Status == http.StatusUnauthorized && answer.Reason == probe.OK {
					continue // whatever else is meant to refuse a stranger, this does
				}
				r.expectDenied(req, answer, who.refused, ruleAuthBypass, probe.AuthBypass)
			}
		}
		r.complete(a, says)
	}
	r.tested(11)
	return true
}
