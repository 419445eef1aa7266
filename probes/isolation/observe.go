package isolation

import (
	"fmt"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// ownerSees looks whether an owner sees its own canary, again and again for so long. What keeps it from that is noted
// against the claim.
func (r *run) ownerSees(a *assertion, obj seededObject, patience time.Duration) bool {
	var last observation
	r.poll(patience, func() bool {
		last = r.fetchAsOwner(a, obj)
		return last.visibility == visible || last.visibility == visibilityUnknown
	})
	switch last.visibility {
	case visible:
		return true
	case visibilityUnknown:
		r.violated(a, last.answer, ruleInconclusive, last.why, "%s cannot be shown its own canary: %s", obj.owner.name, last.detail)
	default:
		r.violated(a, last.answer, ruleInconclusive, probe.ControlFailed, "%s does not see its own canary: %s; a denial to others proves nothing", obj.owner.name, last.detail)
	}
	return false
}

// A visibility is what an owner sees of its own canary.
type visibility int

const (
	visibilityUnknown visibility = iota // could not be told
	visible
	absent   // an answer without it
	notFound // there is no such object
)

// observation is what an owner sees of its own canary, why it is not there, and the answer that shows it.
type observation struct {
	visibility
	why    probe.Reason
	detail string
	answer *httpx.Answer
}

// fetchAsOwner asks for a canary as its owner.
func (r *run) fetchAsOwner(a *assertion, obj seededObject) observation {
	op := obj.run.visibilityOp()
	if op != "read" {
		return r.listAsOwner(a, obj, op)
	}
	req := request{assertion: a, tenant: obj.owner, template: obj.run.Read, vars: vars{org: obj.owner.id, id: obj.id}, want: obj.run.Read.Status}
	answer := r.send(r.ctx, req)
	if answer.Reason == probe.OK && (answer.Status == 404 || answer.Status == 410) {
		return observation{notFound, probe.ControlFailed, fmt.Sprintf("got %d from %s", answer.Status, req.describe()), answer}
	}
	if why, detail, ok := r.unsuccessful(req, answer, obj.run.Read.Status); ok {
		return observation{visibilityUnknown, why, detail, answer}
	}
	if canary.NewHaystack(answer.Body).Find(obj.needles[0]) == "" {
		return observation{absent, probe.ControlFailed, fmt.Sprintf("it is not in the answer %d to %s", answer.Status, req.describe()), answer}
	}
	return observation{visible, probe.Reason{}, "", answer}
}

// fetchAs asks for an object as an org that may or may not be its owner, and reports whether it is shown it.
func (r *run) fetchAs(a *assertion, obj seededObject, t *tenant) (visibility, *httpx.Answer) {
	req := request{assertion: a, tenant: t, template: obj.run.Read, vars: vars{org: t.id, id: obj.id}}
	answer := r.send(r.ctx, req)
	if _, _, ok := unusable(answer); ok {
		return visibilityUnknown, answer
	}
	switch {
	case !httpx.Success.Contains(answer.Status):
		return notFound, answer
	case canary.NewHaystack(answer.Body).Find(obj.needles[0]) != "":
		return visible, answer
	}
	return absent, answer
}
