package isolation

import (
	"cmp"
	"slices"
	"time"

	"prober/internal/canary"
	"prober/internal/probe"
)

// Every text that a run writes tells who sent it. So a text that is found in another org was written across orgs, also if a
// worker did so after the run, and the prober was restarted since.

// nobody is the writer of what unauthorized callers send.
const nobody = "an unauthorized caller"

// mintBy makes a text for an org to send, or for an unauthorized caller.
func (r *run) mintBy(t *tenant) string {
	writer := nobody
	if t != nil {
		writer = t.id
	}
	return canary.MintBy(writer, r.p.Replica, time.Now())
}

// expectWrittenByOwner records a violation if an object that was found in an org, of all that were found in all orgs, has a
// text that another sent. It reports whether it has. What this process knows is recorded or judged elsewhere.
func (r *run) expectWrittenByOwner(obj seededObject, found, known []seededObject) bool {
	sender, why := nobody, probe.AuthBypass
	if i := slices.IndexFunc(r.p.tenants, func(t *tenant) bool { return canary.WrittenBy(t.id, obj.text) }); i >= 0 {
		sender, why = r.p.tenants[i].name, foreignWrite
	} else if !canary.WrittenBy(nobody, obj.text) {
		return false
	}
	sameObject := func(other seededObject) bool {
		return other.resource == obj.resource && other.owner == obj.owner && other.id == obj.id && obj.id != ""
	}
	sameText := func(other seededObject) bool { return other.resource == obj.resource && other.text == obj.text }
	listedBySender := slices.ContainsFunc(found, func(other seededObject) bool { return sameText(other) && other.owner.name == sender })
	if sender == obj.owner.name || listedBySender || slices.ContainsFunc(known, sameText) || r.attemptShown(obj.text) {
		return false // if its sender has it, the list shows others' objects, which is tested later
	}
	rr := r.resourceOf(obj)
	if update := rr.assertion(checkIsolated, "update"); slices.ContainsFunc(known, sameObject) && r.fails(update) {
		return false // its canary was changed
	}
	a := cmp.Or(rr.assertion(checkIsolated, "create"), rr.assertion(checkContext, "create"), rr.assertion(checkIsolated, "update"), rr.assertion(checkIsolated, rr.inventoryOp()))
	if authenticated := rr.assertion(checkAuthenticated, "create"); why == probe.AuthBypass && authenticated != nil {
		a = authenticated
	}
	r.violated(a, nil, ruleChanged, why, "%s is shown what %s sent in an earlier run (%s): it was carried out later", obj.owner.name, sender, canary.Hash(obj.text))
	return true
}
