package isolation

import (
	"fmt"
	"slices"
	"time"

	"prober/internal/httpx"
	"prober/internal/text"
)

// A matrixRow is a row of the matrix in docs/kinds/isolation.md, which has the same numbers.
type matrixRow int

const (
	rowSeeded       matrixRow = 1 + iota // every org has its own canary
	rowOwnerBefore                       // its owner is shown it
	rowForeignRead                       // others are denied it by its id
	rowNonexistent                       // a nonexistent id is denied in the same way
	rowLists                             // list, search, export and count show the caller's own only
	rowUpdate                            // others cannot change it
	rowDelete                            // others cannot delete it
	rowCreate                            // no org creates in another
	rowForgedOrg                         // the same with the owner's org named
	rowMalformedOrg                      // the same with no org, an empty one, two, one that does not exist
	rowUnauthorized                      // unauthorized callers are rejected
	rowInterleaved                       // every org gets its own responses on shared connections
	rowOwnerAfter                        // its owner is still shown it
	rowOwnerDelete                       // its owner can delete it
)

// matrixSize is the number of rows.
const matrixSize = int(rowOwnerDelete)

// testResource goes through the matrix for one resource. It stops if the owners do not see their own canaries.
func (r *run) testResource(rr *resourceRun) {
	for _, step := range []func(*resourceRun) bool{
		r.seed, r.testReads, r.testUnauthorized, r.testLists, r.testCache, r.testInterleaving,
		r.testTwins, r.testUpdates, r.testCreates, r.testUniqueness, r.testDeletes, r.testWriteOracles, r.testUnauthorizedWrites, r.testAttempts, r.testOwnersAfter,
	} {
		if r.ended() || !step(rr) {
			return
		}
	}
	rr.assertion(checkControl, rr.visibilityOp()).complete = true
}

// testOwnersAfter checks that every owner still sees its canary.
func (r *run) testOwnersAfter(rr *resourceRun) bool {
	control := rr.assertion(checkControl, rr.visibilityOp())
	held := true
	for _, t := range r.p.tenants {
		limit := r.p.VisibilityDelay.D()
		if rr.tampered[t] {
			limit = 0
		}
		shown := r.ownerSees(control, rr.seeded[t], limit)
		if twin, ok := rr.twins[t]; ok && !shown && !rr.tampered[t] {
			rr.tampered[t] = r.expectNotGone(rr, leftCanary{rr.seeded[t], twin, time.Now()}, "of this run")
		}
		held = shown && held
	}
	control.summary = "every owner saw its own canary before and after" + r.p.unproven()
	r.tested(rowOwnerAfter)
	return held
}

// unproven says what the controls leave open, for a sentence; empty if it is nothing.
func (p *Probe) unproven() string {
	switch {
	case p.Mismatch == "trust":
		return "; which org a request is for is the caller's word, and the service lets anybody act as any org"
	case !p.knowsOrgs():
		return "; that the credentials belong to different orgs is known from that alone"
	}
	return ""
}

// testReads reads every object as every other org.
func (r *run) testReads(rr *resourceRun) bool {
	if rr.Read == nil {
		return true
	}
	isolated, oracle := rr.assertion(checkIsolated, "read"), rr.assertion(checkOracle, "read")
	var tampered []func()
	r.eachPair(func(owner, intruder *tenant) {
		r.sampler(rr, "read", owner, intruder).sample()
		tampered = append(tampered, r.tamperedReads(rr, owner, intruder)...)
	})
	r.parallel(len(tampered), func(i int) { tampered[i]() })
	if !r.fails(isolated) && !r.fails(rr.assertion(checkContext, "read")) { // else the plain path is enough
		var traversing []func()
		r.eachNeighbor(func(owner, intruder *tenant) {
			traversing = append(traversing, r.traversingReads(rr, owner, intruder)...)
		})
		r.parallel(len(traversing), func(i int) { traversing[i]() })
	}
	r.complete(isolated, "denied to every other org")
	r.complete(oracle, "denied like a nonexistent object")
	r.complete(rr.assertion(checkContext, "read"), "every missing or forged org was rejected")
	r.tested(rowForeignRead, rowNonexistent)
	return true
}

// complete marks an assertion as fully tested, unless the run ended before. The assertion is nil if the settings do not
// allow it to be tested.
func (r *run) complete(a *assertion, summary string) {
	if a != nil && !r.ended() {
		a.complete = true
		a.summary = fmt.Sprintf("%s (%s)", summary, text.Count(a.sent, "request"))
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
			req := request{assertion: a, tenant: intruder, template: rr.Read, vars: vars{org: intruder.id, id: rr.seeded[owner].id}, mutation: m, want: rr.Read.wrongOrg().Statuses()}
			r.expectDenied(req, r.send(r.ctx, req), req.template.wrongOrg(), ruleNotDenied, mismatchNotRejected)
		})
	}
	for _, m := range r.p.tamperings(rr.Read, owner.id, intruder.id) {
		all = append(all, func() {
			req := request{assertion: a, tenant: intruder, template: rr.Read, vars: vars{org: intruder.id, id: rr.seeded[intruder].id}, mutation: m, want: rr.Read.wrongOrg().Statuses()}
			r.expectRejected(req, r.send(r.ctx, req))
		})
	}
	r.tested(rowForgedOrg, rowMalformedOrg)
	return all
}

// traversingReads lists the reads of an owner's object by paths that begin as an intruder's own. What is shown decides: how
// such a path is rejected depends on what is in front of the service.
func (r *run) traversingReads(rr *resourceRun, owner, intruder *tenant) []func() {
	var all []func()
	own, foreign := rr.seeded[intruder], rr.seeded[owner]
	for _, m := range r.p.traversals(rr.Read, vars{org: intruder.id, id: own.id}, vars{org: owner.id, id: foreign.id}) {
		all = append(all, func() {
			r.send(r.ctx, request{
				assertion: rr.assertion(checkIsolated, "read"), tenant: intruder, template: rr.Read,
				vars: vars{org: intruder.id, id: foreign.id}, mutation: m, want: rr.Read.wrongOrg().Statuses(),
			})
		})
	}
	return all
}

// expectRejected records a violation unless a response rejects the wrong org. It may also be for the caller's own org,
// if the settings or the mutation allow that.
func (r *run) expectRejected(req request, answer *httpx.Answer) {
	if (req.mutation.undocumented() || r.p.Mismatch == "ignore") && httpx.Success.Contains(answer.Status) {
		if o := usable(answer); !o.Passed() {
			r.inconclusive(req.assertion, answer, o.Reason, "%s by %s: %s", req.describe(), req.caller(), o.Detail)
		}
		return
	}
	r.expectDenied(req, answer, req.template.wrongOrg(), ruleNotDenied, mismatchNotRejected)
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
