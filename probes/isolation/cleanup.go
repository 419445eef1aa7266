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
	mostLeftovers = 50               // above it nothing is planted any more
	mostSwept     = 100              // leftovers that one run deletes
	sweptAfter    = 10 * time.Minute // a younger one may be of a run that is under way
	cleanUpTime   = 5 * time.Second  // after a stop
)

// sweep deletes what earlier runs of this prober left behind: what it remembers, and what it finds by name in the
// lists of the orgs after a crash. Another prober's canaries have another name and are left alone.
func (x *exam) sweep() {
	before := x.p.memory.take()
	var found []planted
	for _, s := range x.plan.subjects {
		if s.Create == nil || s.List == nil && s.Search == nil {
			continue
		}
		for _, t := range x.p.tenants {
			found = append(found, x.marked(x.ctx, s, t)...)
		}
	}
	old := time.Now().Add(-sweptAfter)
	for _, c := range found {
		known := slices.ContainsFunc(before, func(b planted) bool { return b.id == c.id && b.resource == c.resource })
		switch {
		case known:
		case c.id != "" && canary.Find(c.text)[0].Made.Before(old):
			before = append(before, c)
		default:
			x.strays++
		}
	}
	n := min(len(before), mostSwept)
	left := append(x.remove(x.ctx, before[:n]), before[n:]...)
	x.p.memory.keep(left)
	x.strays += len(left)
}

// marked lists the canaries of this prober that an org is shown.
func (x *exam) marked(ctx context.Context, s *subject, t *tenant) []planted {
	op, text := "list", ""
	if s.List == nil {
		op, text = "search", canary.Prefix(x.p.Replica)
	}
	cl := &claim{check: "cleanup", surface: s.name + "/" + op, subject: s}
	var found []planted
	x.pages(ctx, cl, s, t, op, text, func(_ asking, answer *httpx.Answer) {
		var body any
		in := json.NewDecoder(bytes.NewReader(answer.Body))
		in.UseNumber() // an id of many digits must stay what it is
		if in.Decode(&body) != nil {
			return
		}
		walk(body, s.idName(), "", func(id string, m canary.Mark) {
			if m.Replica == x.p.Replica && len(found) < 10*mostSwept {
				found = append(found, planted{subject: s, resource: s.name, owner: t, id: id, text: m.Text, minted: true})
			}
		})
	})
	return found
}

// idName is what the id is called where objects are listed: as in the answer to create.
func (r *Resource) idName() string {
	if name := lastName.FindString(strings.TrimRight(r.ID.JSON.String(), `'"]`)); name != "" {
		return name
	}
	return "id"
}

var lastName = regexp.MustCompile(`[A-Za-z0-9_-]+$`)

// walk finds the canaries in a JSON value, each with the id of the object that it stands in.
func walk(value any, name, id string, found func(id string, m canary.Mark)) {
	switch value := value.(type) {
	case string:
		for _, m := range canary.Find(value) {
			found(id, m)
		}
	case []any:
		for _, inner := range value {
			walk(inner, name, id, found)
		}
	case map[string]any:
		switch own := value[name].(type) {
		case string:
			id = own
		case json.Number:
			id = own.String()
		}
		for _, inner := range value {
			walk(inner, name, id, found)
		}
	}
}

// crowded reports whether too much is left over to plant any more.
func (x *exam) crowded() bool { return x.strays > mostLeftovers }

// cleanUp deletes what the run planted, also after it was stopped; what it cannot delete the next run tries again.
// An owner that is denied the deletion of its own makes the denials to others worth nothing.
func (x *exam) cleanUp(ctx context.Context) {
	end := time.Now().Add(cleanUpTime)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(probe.Grace/2).Before(end) {
		end = deadline.Add(probe.Grace / 2)
	}
	clean, done := context.WithDeadline(context.WithoutCancel(ctx), end)
	defer done()
	x.mu.Lock()
	x.cleaning = true
	x.mu.Unlock()
	minted := append(slices.Clone(x.minted), x.lostAndFound(clean)...)
	left := x.remove(clean, minted)
	x.strays += len(left)
	x.p.memory.keep(left)
	if len(minted) > 0 {
		x.row(14)
	}
}

// lostAndFound looks in the lists of the orgs for canaries that may have been planted without an answer.
func (x *exam) lostAndFound(ctx context.Context) []planted {
	var found []planted
	for _, s := range x.plan.subjects {
		lost := slices.DeleteFunc(slices.Clone(x.lost), func(c planted) bool { return c.resource != s.name })
		if len(lost) == 0 || s.List == nil && s.Search == nil {
			continue
		}
		for _, t := range x.p.tenants {
			for _, c := range x.marked(ctx, s, t) {
				if slices.ContainsFunc(lost, func(l planted) bool { return l.text == c.text }) && c.id != "" {
					found = append(found, c)
				}
			}
		}
	}
	return found
}

// remove deletes canaries as their owners and returns those that are still there.
func (x *exam) remove(ctx context.Context, all []planted) []planted {
	gone := make([]bool, len(all))
	x.fan(len(all), func(i int) { gone[i] = x.removeOne(ctx, all[i]) })
	var left []planted
	for i, c := range all {
		if !gone[i] {
			left = append(left, c)
			x.failures++
		}
	}
	return left
}

// removeOne deletes a canary as its owner and, where it may have got into another org, as that one.
func (x *exam) removeOne(ctx context.Context, c planted) (gone bool) {
	s := x.subjectOf(c)
	if s == nil || s.Delete == nil {
		return false
	}
	gone = x.removeAs(ctx, s, c, c.owner)
	if c.also != nil {
		gone = x.removeAs(ctx, s, c, c.also) && gone
	}
	return gone
}

// removeAs deletes a canary as an org. What is not there is gone, unless it was made a moment ago, or its owner saw it:
// who may not delete its own says nothing by denying others.
func (x *exam) removeAs(ctx context.Context, s *subject, c planted, t *tenant) bool {
	cl := &claim{check: "cleanup", surface: s.name + "/delete", subject: s}
	a := asking{claim: cl, by: t, t: s.Delete, v: vars{org: t.id, id: c.id, canary: c.text}, want: s.Delete.Status}
	answer := x.ask(ctx, a)
	why, detail, bad := provesNothing(answer)
	if !bad && s.Delete.Status.Contains(answer.Status) {
		return t == c.also || !x.remains(ctx, cl, c, t)
	}
	// A service that fails for its owner and denies to others has told them apart all the same.
	if s.planted[t].id == c.id && s.claim(checkControl, s.seeing()).done && answer.Status < 500 {
		if !bad {
			why, detail = probe.ControlFailed, fmt.Sprintf("got %d", answer.Status)
		}
		x.blame(s.claim(checkIsolated, "delete"), answer, ruleUnproven, why, "%s cannot delete even its own canary: %s; a denial to others proves nothing", t.name, detail)
		return false
	}
	if unsettled := time.Since(c.made) < x.p.Settle.D() && !s.lost[t]; unsettled && t == c.owner {
		return false // it may not be there yet; the next run tries again
	}
	return !bad && (answer.Status == 404 || answer.Status == 410 || t == c.also)
}

// remains reports whether an object is still shown to its owner, who was told that it is deleted. Whoever asked us to
// ask for less is believed.
func (x *exam) remains(ctx context.Context, cl *claim, c planted, t *tenant) bool {
	s := x.subjectOf(c)
	x.mu.Lock()
	stopped := x.stop != nil
	x.mu.Unlock()
	if stopped {
		return false
	}
	answer := x.ask(ctx, asking{claim: cl, by: t, t: s.Read, v: vars{org: t.id, id: c.id}, want: httpx.Codes(404, 410)})
	return answer.Reason == probe.OK && httpx.Success.Contains(answer.Status) && canary.NewHaystack(answer.Body).Find(canary.NewNeedle(c.text)) != ""
}

// subjectOf returns the subject of this run that a canary of this or an earlier run belongs to.
func (x *exam) subjectOf(c planted) *subject {
	i := slices.IndexFunc(x.plan.subjects, func(s *subject) bool { return s.name == c.resource })
	if i < 0 {
		return nil
	}
	return x.plan.subjects[i]
}

// take returns what earlier runs left behind and forgets it.
func (l *leftovers) take() []planted {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := l.kept
	l.kept = nil
	return kept
}

// keep remembers what could not be deleted, up to a bound: beyond it the lists of the orgs still tell.
func (l *leftovers) keep(more []planted) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range more {
		if len(l.kept) < 10*mostSwept {
			l.kept = append(l.kept, planted{resource: c.resource, owner: c.owner, also: c.also, id: c.id, text: c.text, minted: true})
		}
	}
}
