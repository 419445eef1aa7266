package isolation

import (
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// ownerSees waits until an owner sees its own canary, and otherwise records why it does not.
func (r *run) ownerSees(a *assertion, obj seededObject, limit time.Duration) bool {
	var last observation
	r.poll(limit, func() bool {
		last = r.fetchAsOwner(a, obj)
		return last.visibility == visible || last.visibility == visibilityUnknown
	})
	switch last.visibility {
	case visible:
		return true
	case visibilityUnknown:
		r.inconclusive(a, last.answer, last.Reason, "%s cannot be shown its own canary: %s", obj.owner.name, last.Detail)
	default:
		r.inconclusive(a, last.answer, probe.ControlFailed, "%s does not see its own canary: %s; a denial to others proves nothing", obj.owner.name, last.Detail)
	}
	return false
}

// A visibility is how an org sees an object.
type visibility int

const (
	visibilityUnknown visibility = iota
	visible
	absent   // a success without the canary
	notFound // a denial, or a status that means that the object does not exist
)

// An observation is how an owner sees its own canary, why it does not, and the response that shows it.
type observation struct {
	visibility
	probe.Outcome
	answer *httpx.Answer
}

// fetchAsOwner requests a canary as its owner.
func (r *run) fetchAsOwner(a *assertion, obj seededObject) observation {
	op := obj.resourceRun.visibilityOp()
	if op != "read" {
		return r.listAsOwner(a, obj, op)
	}
	read := obj.resourceRun.Read
	req := request{assertion: a, tenant: obj.owner, template: read, vars: vars{org: obj.owner.id, id: obj.id}, want: read.Status}
	answer := r.send(r.ctx, req)
	shown := canary.NewHaystack(answer.Body).Find(obj.needles[0]) != ""
	hidden := !httpx.Success.Contains(answer.Status) || !shown
	missing := goneStatuses.Contains(answer.Status) || hidden && read.Denied.Match(answer)
	if missing && usable(answer).Passed() {
		return observation{notFound, probe.Outcomef(probe.ControlFailed, "got %d from %s", answer.Status, req.describe()), answer}
	}
	if o := expectSuccess(req, answer, read.Status); !o.Passed() {
		return observation{visibilityUnknown, o, answer}
	}
	if !shown {
		return observation{absent, probe.Outcomef(probe.ControlFailed, "got %d without it from %s", answer.Status, req.describe()), answer}
	}
	if read.deniesOwner(answer) {
		return observation{visibilityUnknown, contradicted(req, answer), answer}
	}
	r.succeededAsOwner(obj.resourceRun, op, obj.owner)
	r.noteView(obj, answer)
	return observation{visible, probe.Outcome{Reason: probe.OK}, answer}
}

// goneStatuses mean that an object does not exist.
var goneStatuses = httpx.Codes(404, 410)

// fetchAs requests an object as an org that may or may not be its owner.
func (r *run) fetchAs(a *assertion, obj seededObject, t *tenant) (visibility, *httpx.Answer) {
	if obj.resourceRun.Read == nil {
		found, o, answer := r.findListed(r.ctx, a, obj, t)
		switch {
		case !o.Passed():
			return visibilityUnknown, answer
		case found:
			return visible, answer
		}
		return notFound, answer
	}
	req := request{assertion: a, tenant: t, template: obj.resourceRun.Read, vars: vars{org: t.id, id: obj.id}}
	answer := r.send(r.ctx, req)
	switch {
	case !usable(answer).Passed():
		return visibilityUnknown, answer
	case !httpx.Success.Contains(answer.Status), req.template.Denied.Match(answer):
		return notFound, answer
	case canary.NewHaystack(answer.Body).Find(obj.needles[0]) != "":
		return visible, answer
	}
	return absent, answer
}
