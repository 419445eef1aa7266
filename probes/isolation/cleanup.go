package isolation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// Bounds of what a prober leaves behind.
const (
	maxOrphans       = 50               // above it nothing is planted any more
	maxOrphansPerRun = 100              // leftovers that one run deletes
	orphanAge        = 10 * time.Minute // a younger one may be of a run that is under way
	cleanUpTime      = 5 * time.Second  // after a stop
)

// cleanOrphans deletes what earlier runs of this prober left behind: what it remembers, and what it finds by name in the
// lists of the orgs after a crash. Another prober's canaries have another name and are left alone.
func (r *run) cleanOrphans() {
	before := r.p.orphans.take()
	var found []seededObject
	for _, rr := range r.plan.resources {
		if rr.Create == nil || rr.List == nil && rr.Search == nil {
			continue
		}
		for _, t := range r.p.tenants {
			found = append(found, r.listCanaries(r.ctx, rr, t)...)
		}
	}
	old := time.Now().Add(-orphanAge)
	for _, c := range found {
		known := slices.ContainsFunc(before, func(b seededObject) bool { return b.id == c.id && b.resource == c.resource })
		switch {
		case known:
		case c.id != "" && canary.Find(c.text)[0].Made.Before(old):
			before = append(before, c)
		default:
			r.orphanCount++
		}
	}
	n := min(len(before), maxOrphansPerRun)
	left := append(r.deleteAll(r.ctx, before[:n]), before[n:]...)
	r.p.orphans.add(left)
	r.orphanCount += len(left)
}

// listCanaries lists the canaries of this prober that an org is shown.
func (r *run) listCanaries(ctx context.Context, rr *resourceRun, t *tenant) []seededObject {
	op, text := "list", ""
	if rr.List == nil {
		op, text = "search", canary.Prefix(r.p.Replica)
	}
	a := &assertion{check: "cleanup", surface: rr.name + "/" + op, resource: rr}
	var found []seededObject
	r.eachPage(ctx, a, rr, t, op, text, func(_ request, answer *httpx.Answer) {
		var body any
		in := json.NewDecoder(bytes.NewReader(answer.Body))
		in.UseNumber() // an id of many digits must stay what it is
		if in.Decode(&body) != nil {
			return
		}
		walkCanaries(body, rr.idField(), "", func(id string, m canary.Mark) {
			if m.Replica == r.p.Replica && len(found) < 10*maxOrphansPerRun {
				found = append(found, seededObject{run: rr, resource: rr.name, owner: t, id: id, text: m.Text, created: true})
			}
		})
	})
	return found
}

// idField is what the id is called where objects are listed: as in the answer to create.
func (r *Resource) idField() string {
	if name := lastIdentifier.FindString(strings.TrimRight(r.ID.JSON.String(), `'"]`)); name != "" {
		return name
	}
	return "id"
}

var lastIdentifier = regexp.MustCompile(`[A-Za-z0-9_-]+$`)

// walkCanaries finds the canaries in a JSON value, each with the id of the object that it stands in.
func walkCanaries(value any, name, id string, found func(id string, m canary.Mark)) {
	switch value := value.(type) {
	case string:
		for _, m := range canary.Find(value) {
			found(id, m)
		}
	case []any:
		for _, inner := range value {
			walkCanaries(inner, name, id, found)
		}
	case map[string]any:
		switch own := value[name].(type) {
		case string:
			id = own
		case json.Number:
			id = own.String()
		}
		for _, inner := range value {
			walkCanaries(inner, name, id, found)
		}
	}
}

// tooManyOrphans reports whether too much is left over to plant any more.
func (r *run) tooManyOrphans() bool { return r.orphanCount > maxOrphans }

// cleanUp deletes what the run planted, also after it was stopped; what it cannot delete the next run tries again.
// An owner that is denied the deletion of its own makes the denials to others worth nothing.
func (r *run) cleanUp(ctx context.Context) {
	end := time.Now().Add(cleanUpTime)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(probe.Grace/2).Before(end) {
		end = deadline.Add(probe.Grace / 2)
	}
	clean, done := context.WithDeadline(context.WithoutCancel(ctx), end)
	defer done()
	r.mu.Lock()
	r.cleaningUp = true
	r.mu.Unlock()
	minted := append(slices.Clone(r.created), r.findUnacknowledged(clean)...)
	left := r.deleteAll(clean, minted)
	r.orphanCount += len(left)
	r.p.orphans.add(left)
	if len(minted) > 0 {
		r.tested(14)
	}
}

// findUnacknowledged looks in the lists of the orgs for canaries that may have been planted without an answer.
func (r *run) findUnacknowledged(ctx context.Context) []seededObject {
	var found []seededObject
	for _, rr := range r.plan.resources {
		lost := slices.DeleteFunc(slices.Clone(r.unacknowledged), func(obj seededObject) bool { return obj.resource != rr.name })
		if len(lost) == 0 || rr.List == nil && rr.Search == nil {
			continue
		}
		for _, t := range r.p.tenants {
			for _, obj := range r.listCanaries(ctx, rr, t) {
				if slices.ContainsFunc(lost, func(l seededObject) bool { return l.text == obj.text }) && obj.id != "" {
					found = append(found, obj)
				}
			}
		}
	}
	return found
}

// deleteAll deletes canaries as their owners and returns those that are still there.
func (r *run) deleteAll(ctx context.Context, all []seededObject) []seededObject {
	gone := make([]bool, len(all))
	r.parallel(len(all), func(i int) { gone[i] = r.deleteObject(ctx, all[i]) })
	var left []seededObject
	for i, c := range all {
		if !gone[i] {
			left = append(left, c)
			r.cleanUpFailures++
		}
	}
	return left
}

// deleteObject deletes a canary as its owner and, where it may have got into another org, as that one.
func (r *run) deleteObject(ctx context.Context, obj seededObject) (gone bool) {
	rr := r.resourceOf(obj)
	if rr == nil || rr.Delete == nil {
		return false
	}
	gone = r.deleteAs(ctx, rr, obj, obj.owner)
	if obj.also != nil {
		gone = r.deleteAs(ctx, rr, obj, obj.also) && gone
	}
	return gone
}

// deleteAs deletes a canary as an org. What is not there is gone, unless it was made a moment ago, or its owner saw it:
// who may not delete its own says nothing by denying others.
func (r *run) deleteAs(ctx context.Context, rr *resourceRun, obj seededObject, t *tenant) bool {
	a := &assertion{check: "cleanup", surface: rr.name + "/delete", resource: rr}
	req := request{assertion: a, tenant: t, template: rr.Delete, vars: vars{org: t.id, id: obj.id, canary: obj.text}, want: rr.Delete.Status}
	answer := r.send(ctx, req)
	why, detail, bad := unusable(answer)
	if !bad && rr.Delete.Status.Contains(answer.Status) {
		return t == obj.also || !r.stillVisible(ctx, a, obj, t)
	}
	// A service that fails for its owner and denies to others has told them apart all the same.
	if rr.seeded[t].id == obj.id && rr.assertion(checkControl, rr.visibilityOp()).complete && answer.Status < 500 {
		if !bad {
			why, detail = probe.ControlFailed, fmt.Sprintf("got %d", answer.Status)
		}
		r.violated(rr.assertion(checkIsolated, "delete"), answer, ruleInconclusive, why, "%s cannot delete even its own canary: %s; a denial to others proves nothing", t.name, detail)
		return false
	}
	if unsettled := time.Since(obj.createdAt) < r.p.VisibilityDelay.D() && !rr.tampered[t]; unsettled && t == obj.owner {
		return false // it may not be there yet; the next run tries again
	}
	return !bad && (answer.Status == 404 || answer.Status == 410 || t == obj.also)
}

// stillVisible reports whether an object is still shown to its owner, who was told that it is deleted. Whoever asked us to
// ask for less is believed.
func (r *run) stillVisible(ctx context.Context, a *assertion, obj seededObject, t *tenant) bool {
	rr := r.resourceOf(obj)
	r.mu.Lock()
	stopped := r.stopped != nil
	r.mu.Unlock()
	if stopped {
		return false
	}
	answer := r.send(ctx, request{assertion: a, tenant: t, template: rr.Read, vars: vars{org: t.id, id: obj.id}, want: httpx.Codes(404, 410)})
	return answer.Reason == probe.OK && httpx.Success.Contains(answer.Status) && canary.NewHaystack(answer.Body).Find(canary.NewNeedle(obj.text)) != ""
}

// resourceOf returns the subject of this run that a canary of this or an earlier run belongs to.
func (r *run) resourceOf(obj seededObject) *resourceRun {
	i := slices.IndexFunc(r.plan.resources, func(rr *resourceRun) bool { return rr.name == obj.resource })
	if i < 0 {
		return nil
	}
	return r.plan.resources[i]
}

// take returns what earlier runs left behind and forgets it.
func (l *orphanStore) take() []seededObject {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := l.objects
	l.objects = nil
	return kept
}

// add remembers what could not be deleted, up to a bound: beyond it the lists of the orgs still tell.
func (l *orphanStore) add(more []seededObject) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range more {
		if len(l.objects) < 10*maxOrphansPerRun {
			l.objects = append(l.objects, seededObject{resource: c.resource, owner: c.owner, also: c.also, id: c.id, text: c.text, created: true})
		}
	}
}
