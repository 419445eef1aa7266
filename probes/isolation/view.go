package isolation

import (
	"fmt"
	"slices"
	"strings"

	"prober/internal/canary"
	"prober/internal/drop"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// A write that is denied may change what contains no text of the request, such as a flag. The owner's view of its canary
// then differs from the one before. So it does with a time, a counter of views, or a replica that lags: what another org's
// request caused, it causes again with new objects, where nothing else changes the same.

// A view is what an object's owner is shown of it: by their place, its texts, numbers and flags.
type view map[string]string

// viewOf returns the view in a body; nil without JSON.
func viewOf(body []byte) view {
	value := decodeJSON(body)
	if value == nil {
		return nil
	}
	leaves := map[string][]string{}
	walkView(value, "$", leaves)
	v := view{}
	for place, all := range leaves {
		slices.Sort(all) // the order of a list is none of the object's
		v[place] = strings.Join(all, "\n")
	}
	return v
}

func walkView(value any, place string, leaves map[string][]string) {
	switch value := value.(type) {
	case map[string]any:
		for member, inner := range value {
			walkView(inner, place+"."+member, leaves)
		}
	case []any:
		for _, inner := range value {
			walkView(inner, place+"[*]", leaves)
		}
	default:
		leaves[place] = append(leaves[place], fmt.Sprintf("%T %v", value, value))
	}
}

// differing lists the places at which two views differ.
//
//go:noinline
func (v view) differing(other view) []string {
	var all []string
	for place, text := range v {
		if now, ok := other[place]; !ok || now != text {
			all = append(all, place)
		}
	}
	for place := range other {
		if _, ok := v[place]; !ok {
			all = append(all, place)
		}
	}
	return all
}

// noteView keeps the last view that an owner had of an object.
func (r *run) noteView(obj seededObject, answer *httpx.Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	obj.resourceRun.views[obj.id] = viewOf(answer.Body)
}

// lastView returns that view; nil if there is none.
func (r *run) lastView(obj seededObject) view {
	r.mu.Lock()
	defer r.mu.Unlock()
	return obj.resourceRun.views[obj.id]
}

// ownersView returns the view that an owner has of an object now; nil if it is shown none.
func (r *run) ownersView(a *assertion, obj seededObject) view {
	if r.fetchAsOwner(a, obj).visibility != visible {
		return nil
	}
	return r.lastView(obj)
}

// viewRounds is how many new objects must be changed in the same way.
const viewRounds = 2

// expectSameView records a violation if an intruder's request changed an owner's view of its canary, though not its text.
func (r *run) expectSameView(req request, answer *httpx.Answer, obj seededObject, before view, why probe.Reason) {
	a, rr, now := req.assertion, obj.resourceRun, r.lastView(obj)
	if before == nil || now == nil || a.viewTested || rr.Create == nil || len(before.differing(now)) == 0 {
		return
	}
	steady := now.differing(r.ownersView(a, obj))
	changed := drop.If(before.differing(now), func(place string) bool { return slices.Contains(steady, place) })
	if len(changed) == 0 {
		return
	}
	a.viewTested = true
	for range viewRounds {
		if !r.changesView(req, obj, changed) {
			return
		}
	}
	r.violated(a, answer, ruleChanged, why, "after %s of %s by %s, which got %s, the canary of %s (%s) has other values beside its text, and so have %d new objects after the same",
		req.describe(), obj.owner.name, req.caller(), statusOf(answer), obj.owner.name, canary.Hash(obj.text), viewRounds)
}

// changesView sends an intruder's request for a new object of the owner, and reports whether that changes any of these places.
// What also changes by a read that is denied, or by itself, is not counted.
func (r *run) changesView(req request, like seededObject, places []string) bool {
	a, rr, owner := req.assertion, like.resourceRun, like.owner
	obj, ok := r.seedObject(rr, owner, a, mutation{}, nil)
	if !ok || !r.ownerSees(a, obj, r.p.VisibilityDelay.D()) {
		return false
	}
	r.protect(obj)
	first := r.lastView(obj)
	read := request{assertion: a, tenant: req.tenant, unauthorized: req.unauthorized, template: rr.Read, vars: req.vars, want: rr.Read.Denied.Statuses()}
	read.vars.id = obj.id
	r.send(r.ctx, read)
	second := r.ownersView(a, obj)
	third := r.ownersView(a, obj)
	if second == nil || third == nil {
		return false
	}
	volatile := append(first.differing(second), second.differing(third)...)
	req.vars.id, req.vars.canary = obj.id, r.mintBy(req.tenant)
	req.mutation.path = strings.ReplaceAll(req.mutation.path, like.id, obj.id)
	if writes(req.op()) {
		r.protectAttempt(req, owner)
	}
	r.send(r.ctx, req)
	found := third.differing(r.ownersView(a, obj))
	return slices.ContainsFunc(found, func(place string) bool { return slices.Contains(places, place) && !slices.Contains(volatile, place) })
}
