package isolation

import (
	"fmt"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// sees looks whether an owner sees its own canary, again and again for so long. What keeps it from that is noted
// against the claim.
func (x *exam) sees(cl *claim, c planted, patience time.Duration) bool {
	var last seen
	x.again(patience, func() bool {
		last = x.view(cl, c)
		return last.sight == there || last.sight == unknownView
	})
	switch last.sight {
	case there:
		return true
	case unknownView:
		x.blame(cl, last.answer, ruleUnproven, last.why, "%s cannot be shown its own canary: %s", c.owner.name, last.detail)
	default:
		x.blame(cl, last.answer, ruleUnproven, probe.ControlFailed, "%s does not see its own canary: %s; a denial to others proves nothing", c.owner.name, last.detail)
	}
	return false
}

// A sight is what an owner sees of its own canary.
type sight int

const (
	unknownView sight = iota // could not be told
	there
	elsewhere // an answer without it
	missing   // there is no such object
)

// seen is what an owner sees of its own canary, why it is not there, and the answer that shows it.
type seen struct {
	sight
	why    probe.Reason
	detail string
	answer *httpx.Answer
}

// view asks for a canary as its owner.
func (x *exam) view(cl *claim, c planted) seen {
	op := c.subject.seeing()
	if op != "read" {
		return x.viewListed(cl, c, op)
	}
	a := asking{claim: cl, by: c.owner, t: c.subject.Read, v: vars{org: c.owner.id, id: c.id}, want: c.subject.Read.Status}
	answer := x.ask(x.ctx, a)
	if answer.Reason == probe.OK && (answer.Status == 404 || answer.Status == 410) {
		return seen{missing, probe.ControlFailed, fmt.Sprintf("got %d from %s", answer.Status, a.spoken()), answer}
	}
	if why, detail, ok := x.failed(a, answer, c.subject.Read.Status); ok {
		return seen{unknownView, why, detail, answer}
	}
	if canary.NewHaystack(answer.Body).Find(c.marks[0]) == "" {
		return seen{elsewhere, probe.ControlFailed, fmt.Sprintf("it is not in the answer %d to %s", answer.Status, a.spoken()), answer}
	}
	return seen{there, probe.Reason{}, "", answer}
}

// viewAs asks for an object as an org that may or may not be its owner, and reports whether it is shown it.
func (x *exam) viewAs(cl *claim, c planted, t *tenant) (sight, *httpx.Answer) {
	a := asking{claim: cl, by: t, t: c.subject.Read, v: vars{org: t.id, id: c.id}}
	answer := x.ask(x.ctx, a)
	if _, _, ok := provesNothing(answer); ok {
		return unknownView, answer
	}
	switch {
	case !httpx.Success.Contains(answer.Status):
		return missing, answer
	case canary.NewHaystack(answer.Body).Find(c.marks[0]) != "":
		return there, answer
	}
	return elsewhere, answer
}
