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

// examine goes through the matrix for one resource. Where the owners do not see their own, nothing more is asked.
func (x *exam) examine(s *subject) {
	for _, step := range []func(*subject) bool{
		x.plant, x.reads, x.unknown, x.lists, x.caches, x.interleave, x.updates, x.creates, x.deletes, x.after,
	} {
		if x.over() || !step(s) {
			return
		}
	}
	s.claim(checkControl, s.seeing()).done = true
}

// after has every owner look for its canary once more.
func (x *exam) after(s *subject) bool {
	control := s.claim(checkControl, s.seeing())
	held := true
	for _, t := range x.p.tenants {
		patience := x.p.Settle.D()
		if s.lost[t] {
			patience = 0
		}
		held = x.sees(control, s.planted[t], patience) && held
	}
	control.says = "every owner saw its own canary before and after"
	x.row(13)
	return held
}

// reads asks for every object as every other org (rows 3, 4, 9 and 10).
func (x *exam) reads(s *subject) bool {
	if s.Read == nil {
		return true
	}
	isolated, oracle := s.claim(checkIsolated, "read"), s.claim(checkOracle, "read")
	var later []func()
	x.each(func(owner, intruder *tenant) {
		x.compare(s, s.planted[owner], intruder, isolated, oracle)
		later = append(later, x.readsInContext(s, owner, intruder)...)
	})
	x.fan(len(later), func(i int) { later[i]() })
	x.finish(isolated, "denied to every other org")
	x.finish(oracle, "denied like an object that never was")
	x.finish(s.claim(checkContext, "read"), "no way to leave out or forge the org was let in")
	x.row(3, 4)
	return true
}

// finish says that all was asked that a claim takes. A claim that the settings do not make is nil.
func (x *exam) finish(cl *claim, says string) {
	if cl != nil && !x.over() {
		cl.done = true
		cl.says = fmt.Sprintf("%s (%s)", says, text.Count(cl.asked, "request"))
	}
}

// readsInContext lists the reads of an owner's object, and of the intruder's own, with the org missing or forged.
func (x *exam) readsInContext(s *subject, owner, intruder *tenant) []func() {
	cl := s.claim(checkContext, "read")
	if cl == nil {
		return nil
	}
	var all []func()
	for _, m := range x.p.contexts(s.Read, "read", owner.id, intruder.id) {
		all = append(all, func() {
			a := asking{claim: cl, by: intruder, t: s.Read, v: vars{org: intruder.id, id: s.planted[owner].id}, m: m, want: x.p.Rejected}
			x.denied(a, x.ask(x.ctx, a), union(x.p.Rejected, x.p.Denied), ruleGranted, mismatchNotRejected)
		})
	}
	for _, m := range x.p.attacks(s.Read, owner.id, intruder.id) {
		all = append(all, func() {
			a := asking{claim: cl, by: intruder, t: s.Read, v: vars{org: intruder.id, id: s.planted[intruder].id}, m: m, want: x.p.Rejected}
			x.rejected(a, x.ask(x.ctx, a))
		})
	}
	x.row(9, 10)
	return all
}

// rejected notes what an answer is but a refusal of the wrong org. Where the settings say so, the caller's own may be
// answered.
func (x *exam) rejected(a asking, answer *httpx.Answer) {
	if (a.m.extra() || x.p.Mismatch == "ignore") && httpx.Success.Contains(answer.Status) {
		if why, detail, ok := provesNothing(answer); ok {
			x.blame(a.claim, answer, ruleUnproven, why, "%s by %s: %s", a.spoken(), a.who(), detail)
		}
		return
	}
	x.denied(a, answer, union(x.p.Rejected, x.p.Denied), ruleGranted, mismatchNotRejected)
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

// unknown asks for every object as nobody, with a made-up credential and with those of the strangers (row 11).
func (x *exam) unknown(s *subject) bool {
	says := "refused without a credential and with a made-up one"
	if len(x.p.Strangers) > 0 {
		says = "refused without a credential, with a made-up one, and to the strangers " + strings.Join(slices.Sorted(maps.Keys(x.p.Strangers)), ", ")
	}
	for _, op := range []string{"read", "list"} {
		cl := s.claim(checkAuthenticated, op)
		if cl == nil {
			continue
		}
		for _, t := range x.p.tenants {
			for i := range x.p.strangers {
				who := &x.p.strangers[i]
				a := asking{claim: cl, stranger: who, t: s.template(op), v: vars{org: t.id, id: s.planted[t].id, page: "1"}, want: who.refused}
				answer := x.ask(x.ctx, a)
				if answer.Status == http.StatusUnauthorized && answer.Reason == probe.OK {
					continue // whatever else is meant to refuse a stranger, this does
				}
				x.denied(a, answer, who.refused, ruleBypassed, probe.AuthBypass)
			}
		}
		x.finish(cl, says)
	}
	x.row(11)
	return true
}
