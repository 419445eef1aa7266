package isolation

import (
	"strconv"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// updates has every org change its own canary, which must work, and every other's, which must not (row 6).
func (x *exam) updates(s *subject) bool {
	if s.Update == nil {
		return true
	}
	cl := s.claim(checkIsolated, "update")
	for _, t := range x.p.tenants {
		c := s.planted[t]
		a := asking{claim: cl, by: t, t: s.Update, v: vars{org: t.id, id: c.id, canary: c.text}, want: s.Update.Status}
		answer := x.ask(x.ctx, a)
		if why, detail, ok := x.failed(a, answer, s.Update.Status); ok {
			x.blame(cl, answer, ruleUnproven, why, "%s cannot change even its own canary: %s; a denial to others proves nothing", t.name, detail)
		}
	}
	x.trespass(s, "update", foreignWrite)
	x.finish(cl, "denied to every other org, and nothing changed")
	x.finish(s.claim(checkContext, "update"), "no way to leave out or forge the org changed anything")
	x.row(6)
	return true
}

// deletes has every org delete every other's canary, which must not work (row 7). That each can delete its own is
// seen when the run cleans up.
func (x *exam) deletes(s *subject) bool {
	if s.Delete == nil {
		return true
	}
	x.trespass(s, "delete", foreignDelete)
	x.finish(s.claim(checkIsolated, "delete"), "denied to every other org, and nothing was deleted")
	x.finish(s.claim(checkContext, "delete"), "no way to leave out or forge the org deleted anything")
	x.row(7)
	return true
}

// trespass has every org write to every other's canary, with the org said rightly and wrongly, and has its owner look
// after each whether it is still there, unchanged.
func (x *exam) trespass(s *subject, op string, why probe.Reason) {
	x.each(func(owner, intruder *tenant) {
		c := s.planted[owner]
		v := vars{org: intruder.id, id: c.id, canary: canary.Mint(x.p.Replica, time.Now())}
		cl := s.claim(checkIsolated, op)
		a := asking{claim: cl, by: intruder, t: s.template(op), v: v, want: x.p.Denied}
		answer := x.ask(x.ctx, a)
		x.denied(a, answer, x.p.Denied, ruleGranted, misleadingSuccess)
		x.unchanged(a, answer, c, why)
		cl = s.claim(checkContext, op)
		if cl == nil {
			return
		}
		for _, m := range x.p.contexts(a.t, op, owner.id, intruder.id) {
			a.claim, a.m = cl, m
			answer := x.ask(x.ctx, a)
			x.denied(a, answer, union(x.p.Rejected, x.p.Denied), ruleGranted, mismatchNotRejected)
			x.unchanged(a, answer, c, why)
		}
		x.row(9, 10)
	})
}

// unchanged has an owner look whether its canary is as it was after an intruder's request, twice if it is not.
func (x *exam) unchanged(a asking, answer *httpx.Answer, c planted, why probe.Reason) {
	seen := x.view(a.claim, c)
	if seen.sight == elsewhere || seen.sight == missing {
		seen = x.view(a.claim, c)
	}
	lost := c.subject.lost
	switch {
	case seen.sight == there:
	case lost[c.owner]:
		x.blame(a.claim, seen.answer, ruleUnproven, probe.ControlFailed, "the canary of %s was gone or changed before", c.owner.name)
	case seen.sight == unknownView:
		x.blame(a.claim, seen.answer, ruleUnproven, seen.why, "whether the canary of %s is as it was could not be told: %s", c.owner.name, seen.detail)
	default:
		lost[c.owner] = true
		got := "no answer"
		if answer.Status != 0 {
			got = strconv.Itoa(answer.Status)
		}
		x.blame(a.claim, answer, ruleChanged, why, "after %s of %s by %s, which got %s, the canary of %s (%s) is gone or changed: %s",
			a.spoken(), c.owner.name, a.by.name, got, c.owner.name, canary.Hash(c.text), seen.detail)
	}
}

// creates has every org create an object and say that it is another's: in the body, which nobody documents, and where
// the org is usually said (row 8). Where the objects went is looked for once all are made.
func (x *exam) creates(s *subject) bool {
	isolated, inContext := s.claim(checkIsolated, "create"), s.claim(checkContext, "create")
	var made []smuggled
	x.each(func(owner, intruder *tenant) {
		try := func(cl *claim, m mutation) {
			if found, ok := x.smuggle(s, cl, owner, intruder, m); ok {
				made = append(made, found)
			}
		}
		for _, member := range x.p.Overrides.Body {
			if isolated != nil {
				try(isolated, mutation{name: "the owner's org as " + member + " in the body", member: member, org: owner.id})
			}
		}
		if inContext != nil {
			for _, m := range x.p.contexts(s.Create, "create", owner.id, intruder.id) {
				try(inContext, m)
			}
			x.row(9, 10)
		}
	})
	for _, found := range made {
		x.trace(found)
	}
	x.finish(isolated, "no org could create anything in another")
	x.finish(inContext, "no way to leave out or forge the org was let in")
	if isolated != nil {
		x.row(8)
	}
	return true
}

// smuggled is an object that an org created while it named another.
type smuggled struct {
	planted
	asking
	answer *httpx.Answer
	into   *tenant
}

// smuggle has an intruder create an object in one of the ways to name another org. It reports whether there is one now.
func (x *exam) smuggle(s *subject, cl *claim, owner, intruder *tenant, m mutation) (smuggled, bool) {
	found := smuggled{into: owner}
	var ok bool
	found.planted, ok = x.place(s, intruder, cl, m, func(a asking, got *httpx.Answer) bool {
		found.asking, found.answer = a, got
		if _, _, bad := provesNothing(got); bad || !httpx.Success.Contains(got.Status) {
			x.refused(a, got)
			return false
		}
		return true
	})
	if !ok {
		return found, false
	}
	x.mu.Lock()
	x.minted[len(x.minted)-1].also = owner
	x.mu.Unlock()
	return found, true
}

// trace finds out where an object went: into the other org, into the creator's own, or nowhere. It waits until one of
// them is shown it.
func (x *exam) trace(found smuggled) {
	cl := found.claim
	var own, other sight
	var answer *httpx.Answer
	x.again(x.p.Settle.D(), func() bool {
		own, _ = x.viewAs(cl, found.planted, found.by)
		other, answer = x.viewAs(cl, found.planted, found.into)
		return own == there || other == there || own == unknownView || other == unknownView
	})
	leaks, _ := found.planted.subject.claim(checkIsolated, "read").first()
	switch {
	case other == there && leaks.rule == ruleLeak:
		x.blame(cl, answer, ruleUnproven, probe.ControlFailed, "where it went could not be told, since %s is shown what is not its own", found.into.name)
	case other == there:
		x.blame(cl, found.answer, ruleChanged, foreignWrite, "%s created an object in %s: %s", found.by.name, found.into.name, found.spoken())
	case own == unknownView || other == unknownView:
		x.blame(cl, answer, ruleUnproven, probe.ControlFailed, "where it went could not be told (%d): %s by %s", answer.Status, found.spoken(), found.by.name)
	case own == there && !found.m.extra() && x.p.Mismatch != "ignore":
		x.blame(cl, found.answer, ruleGranted, mismatchNotRejected, "wanted %s, got %d: %s by %s", x.p.Rejected, found.answer.Status, found.spoken(), found.by.name)
	case own == there || x.ctx.Err() != nil: // where the run is over the claim is not finished
	default:
		x.blame(cl, found.answer, ruleGranted, misleadingSuccess, "got %d, and neither %s nor %s is shown what was created: %s",
			found.answer.Status, found.by.name, found.into.name, found.spoken())
	}
}

// refused notes what an answer to a creation is but a refusal: any 4xx that says no.
func (x *exam) refused(a asking, answer *httpx.Answer) {
	want := union(union(x.p.Rejected, x.p.Denied), httpx.Codes(405, 409, 422))
	x.denied(a, answer, want, ruleGranted, mismatchNotRejected)
}
