package isolation

import (
	"context"
	"slices"
	"sync"
	"time"

	"prober/internal/canary"
	"prober/internal/drop"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// Bounds of what a prober leaves behind.
const (
	maxOrphans       = 50               // above it, nothing is created
	maxOrphansPerRun = 100              // orphans that one run deletes
	maxRemembered    = 1000             // orphans that are remembered, or found in the lists of one org
	orphanAge        = 10 * time.Minute // a younger canary may belong to a run in progress
	cleanUpTime      = 5 * time.Second  // after a stop
)

// An orphanStore remembers the canaries that a run could not delete, for the next one to try.
type orphanStore struct {
	mu      sync.Mutex
	objects []seededObject
}

// take returns and forgets the canaries that earlier runs could not delete.
func (s *orphanStore) take() []seededObject {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.objects
	s.objects = nil
	return taken
}

// add remembers canaries that could not be deleted, up to a bound: beyond it, they are found in the lists of the orgs.
func (s *orphanStore) add(orphans []seededObject) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, obj := range orphans {
		if len(s.objects) < maxRemembered {
			s.objects = append(s.objects, seededObject{resource: obj.resource, owner: obj.owner, also: obj.also, id: obj.id, text: obj.text, created: true})
		}
	}
}

// cleanOrphans deletes what earlier runs of this prober left behind: what it remembers, and after a crash what it finds
// by name in the lists of the orgs. Another prober's canaries have another name and are left alone.
func (r *run) cleanOrphans() {
	orphans := append(r.revisit(), r.p.orphans.take()...)
	var found []seededObject
	for _, rr := range r.plan.resources {
		if rr.Create == nil || rr.Delete == nil || rr.inventoryOp() == "" {
			continue
		}
		for _, t := range r.p.tenants {
			found = append(found, r.listCanaries(r.ctx, rr.cleanUpAssertion(rr.inventoryOp()), rr, t)...)
		}
	}
	oldest := time.Now().Add(-orphanAge)
	for _, obj := range found {
		late := r.expectWrittenByOwner(obj, found, orphans)
		remembered := slices.ContainsFunc(orphans, func(o seededObject) bool { return o.resource == obj.resource && o.owner == obj.owner && o.same(obj) })
		switch {
		case remembered:
		case obj.canBeNamed() && (canary.Find(obj.text)[0].Made.Before(oldest) || r.attemptedText(obj.text) || late):
			orphans = append(orphans, obj)
		default:
			r.orphanCount++
		}
	}
	r.protected = nil // the texts of the last run's attempts
	n := min(len(orphans), maxOrphansPerRun)
	remaining := append(r.deleteAll(r.ctx, orphans[:n]), orphans[n:]...)
	r.p.orphans.add(remaining)
	r.orphanCount += len(remaining)
}

// cleanUpAssertion is an assertion for requests that clean up. Nobody judges it.
func (rr *resourceRun) cleanUpAssertion(op string) *assertion {
	return &assertion{check: "cleanup", surface: rr.name + "/" + op, resource: rr}
}

// tooManyOrphans reports whether too many orphans exist to create any more canaries.
func (r *run) tooManyOrphans() bool { return r.orphanCount > maxOrphans }

// cleanUp deletes what the run created, also after it was stopped. The next run tries again what this one cannot delete.
// If an owner is denied the deletion of its own canary, the denials to others prove nothing.
func (r *run) cleanUp(ctx context.Context) {
	end := time.Now().Add(cleanUpTime)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(probe.Grace/2).Before(end) {
		end = deadline.Add(probe.Grace / 2)
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), end)
	defer cancel()
	r.mu.Lock()
	r.cleaningUp = true
	created := slices.Clone(r.created)
	r.mu.Unlock()
	created = append(r.leaveCanaries(created), r.findUnacknowledged(ctx)...)
	created = drop.If(created, func(obj seededObject) bool { return r.resourceOf(obj).Delete == nil }) // they expire
	remaining := r.deleteAll(ctx, created)
	r.orphanCount += len(remaining)
	r.p.orphans.add(remaining)
	if len(created) > 0 {
		r.tested(rowOwnerDelete)
	}
}

// findUnacknowledged looks in the lists of the orgs for canaries whose creation got no response, or one without an id.
func (r *run) findUnacknowledged(ctx context.Context) []seededObject {
	r.mu.Lock()
	unacknowledged := slices.Clone(r.unacknowledged)
	r.mu.Unlock()
	var found []seededObject
	for _, rr := range r.plan.resources {
		mine := drop.If(slices.Clone(unacknowledged), func(obj seededObject) bool { return obj.resource != rr.name })
		if len(mine) == 0 || rr.Delete == nil {
			continue
		}
		if rr.inventoryOp() == "" {
			found = append(found, drop.If(mine, func(obj seededObject) bool { return obj.id == "" })...)
			continue
		}
		for _, t := range r.p.tenants {
			for _, obj := range r.listCanaries(ctx, rr.cleanUpAssertion(rr.inventoryOp()), rr, t) {
				if slices.ContainsFunc(mine, func(m seededObject) bool { return m.same(obj) }) && obj.canBeNamed() {
					found = append(found, obj)
				}
			}
		}
	}
	return found
}

// deleteAll deletes canaries as their owners and returns those that still exist.
func (r *run) deleteAll(ctx context.Context, all []seededObject) []seededObject {
	deleted := make([]bool, len(all))
	r.parallel(len(all), func(i int) { deleted[i] = r.deleteObject(ctx, all[i]) })
	var remaining []seededObject
	for i, obj := range all {
		if !deleted[i] {
			remaining = append(remaining, obj)
			r.cleanUpFailures++
		}
	}
	return remaining
}

// deleteObject deletes a canary as its owner, and also as the other org if it may have been created there.
func (r *run) deleteObject(ctx context.Context, obj seededObject) (deleted bool) {
	rr := r.resourceOf(obj)
	if rr == nil || rr.Delete == nil {
		return false
	}
	deleted = r.deleteAs(ctx, rr, obj, obj.owner)
	if obj.also != nil {
		deleted = r.deleteAs(ctx, rr, obj, obj.also) && deleted
	}
	return deleted
}

// deleteAs deletes a canary as an org. An object that is not found counts as deleted, unless it was created a moment ago
// or its owner saw it: a service that denies an owner its own object proves nothing by denying others.
func (r *run) deleteAs(ctx context.Context, rr *resourceRun, obj seededObject, t *tenant) bool {
	a := rr.cleanUpAssertion("delete")
	req := request{assertion: a, tenant: t, template: rr.Delete, vars: vars{org: t.id, id: obj.id, canary: obj.text}, want: rr.Delete.Status}
	answer := r.send(ctx, req)
	o := usable(answer)
	if o.Passed() && rr.Delete.Status.Contains(answer.Status) {
		if t == obj.also || r.stillVisible(ctx, a, obj, t) {
			return t == obj.also
		}
		r.succeededAsOwner(rr, "delete", t)
		return true
	}
	// A service that fails for the owner and denies others has told them apart all the same.
	ownerSaw := rr.spares[t].text == obj.text || rr.seeded[t].text == obj.text && rr.assertion(checkControl, rr.visibilityOp()).complete
	if ownerSaw && answer.Status < 500 {
		if o.Passed() {
			o = probe.Outcomef(probe.ControlFailed, "got %d", answer.Status)
		}
		r.inconclusive(rr.assertion(checkIsolated, "delete"), answer, o.Reason, "%s cannot delete even its own canary: %s; a denial to others proves nothing", t.name, o.Detail)
		return false
	}
	if isNew := time.Since(obj.createdAt) < r.p.VisibilityDelay.D() && !rr.tampered[t]; isNew && t == obj.owner {
		return false // it may become visible later; the next run tries again
	}
	return o.Passed() && (goneStatuses.Contains(answer.Status) || t == obj.also || r.forbidsMissing(ctx, a, rr, obj, t, answer))
}

// forbidsMissing reports whether the deletion of a canary is denied because the canary does not exist, by a service that
// answers so also to an owner. The canary must have been deleted or changed before, or have been left by an earlier run.
func (r *run) forbidsMissing(ctx context.Context, a *assertion, rr *resourceRun, obj seededObject, t *tenant, answer *httpx.Answer) bool {
	if rr.Read == nil || !rr.Delete.Denied.Match(answer) || !rr.tampered[t] && obj.resourceRun != nil {
		return false
	}
	req := request{assertion: a, tenant: t, template: rr.Read, vars: vars{org: t.id, id: obj.id}, want: rr.Read.Denied.Statuses()}
	read := r.send(ctx, req)
	return usable(read).Passed() && rr.Read.Denied.Match(read)
}

// stillVisible reports whether an owner is still shown an object that the service claims to have deleted. After a stop
// it trusts the service and sends no request.
func (r *run) stillVisible(ctx context.Context, a *assertion, obj seededObject, t *tenant) bool {
	r.mu.Lock()
	stopped := r.stopped != nil
	r.mu.Unlock()
	if stopped {
		return false
	}
	rr := r.resourceOf(obj)
	if rr.Read == nil {
		obj.resourceRun = rr
		found, _, _ := r.findListed(ctx, a, obj, t)
		return found
	}
	req := request{assertion: a, tenant: t, template: rr.Read, vars: vars{org: t.id, id: obj.id}, want: goneStatuses}
	answer := r.send(ctx, req)
	return answer.Reason == probe.OK && httpx.Success.Contains(answer.Status) && canary.NewHaystack(answer.Body).Find(canary.NewNeedle(obj.text)) != ""
}

// same reports whether two objects of a resource are one, of which perhaps only the id or the text is known.
func (o seededObject) same(other seededObject) bool {
	return o.text == other.text || o.id == other.id && o.id != ""
}

// canBeNamed reports whether requests can name an object: its id is known, or the API has none.
func (o seededObject) canBeNamed() bool { return o.id != "" || !o.resourceRun.needsID() }

// resourceOf returns the resource of a canary that this or an earlier run created.
//
//go:noinline
func (r *run) resourceOf(obj seededObject) *resourceRun {
	i := slices.IndexFunc(r.plan.resources, func(rr *resourceRun) bool { return rr.name == obj.resource })
	if i < 0 {
		return nil
	}
	return r.plan.resources[i]
}
