package isolation

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"prober/internal/canary"
	"prober/internal/drop"
	"prober/internal/probe"
)

// A service may carry out a write that it denied, or accepted, only after the run: by a worker, or from a queue. So a run
// leaves the canaries that others tried to write to, each with its twin, for the next run to look at.

// maxLeft bounds the objects that a probe leaves between two runs.
const maxLeft = 40

// A leftCanary is a canary that a run left, and its twin.
type leftCanary struct {
	canary, twin seededObject
	at           time.Time
}

// A leftStore has what the last run left for the next one.
type leftStore struct {
	mu       sync.Mutex
	repeats  bool // there are further runs
	canaries []leftCanary
	attempts []protectedText // texts that others tried to write
}

// Repeat has every run leave some objects for the next one to look at, until Close.
func (p *Probe) Repeat() { p.left.setRepeats(true) }

// Close deletes what the last run left, and ends the connections that are kept. The probe may still be asked; a run then
// leaves nothing.
func (p *Probe) Close() { p.close(context.Background()) }

func (p *Probe) close(ctx context.Context) {
	defer p.anonymous.Close()
	p.left.setRepeats(false)
	canaries, _ := p.left.take()
	all := append(objectsOf(canaries), p.orphans.take()...)
	if len(all) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, cleanUpTime/2)
	defer cancel()
	r := newRun(p, ctx, probe.NewResult(probe.ID{}))
	r.cleaningUp = true
	r.deleteAll(ctx, all)
}

func (s *leftStore) setRepeats(repeats bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repeats = repeats
}

// take returns and forgets what the last run left.
func (s *leftStore) take() ([]leftCanary, []protectedText) {
	s.mu.Lock()
	defer s.mu.Unlock()
	canaries, attempts := s.canaries, s.attempts
	s.canaries, s.attempts = nil, nil
	return canaries, attempts
}

// leave keeps canaries for the next run. It reports whether there is one; otherwise they must be deleted.
func (s *leftStore) leave(canaries []leftCanary, attempts []protectedText) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.repeats || 2*(len(s.canaries)+len(canaries)) > maxLeft {
		return false
	}
	s.canaries, s.attempts = append(s.canaries, canaries...), attempts
	return true
}

// objectsOf lists the objects, as those of an earlier run.
func objectsOf(canaries []leftCanary) []seededObject {
	var all []seededObject
	for _, left := range canaries {
		for _, obj := range []seededObject{left.canary, left.twin} {
			obj.resourceRun = nil
			all = append(all, obj)
		}
	}
	return all
}

// leaveCanaries leaves the canaries of a run that was able to prove something, and returns what remains to be deleted.
func (r *run) leaveCanaries(created []seededObject) []seededObject {
	if r.ended() {
		return created
	}
	var canaries []leftCanary
	for _, rr := range r.plan.resources {
		for _, t := range r.p.tenants {
			twin, ok := rr.twins[t]
			if ok && rr.Delete != nil && !rr.tampered[t] && rr.assertion(checkControl, rr.visibilityOp()).complete {
				canaries = append(canaries, leftCanary{rr.seeded[t], twin, time.Now()})
			}
		}
	}
	attempts := drop.If(slices.Clone(r.protected), func(text protectedText) bool { return text.attempt == nil })
	if !r.p.left.leave(canaries, attempts) {
		return created
	}
	return drop.If(created, func(obj seededObject) bool {
		return slices.ContainsFunc(objectsOf(canaries), func(left seededObject) bool {
			return left.resource == obj.resource && left.owner == obj.owner && left.same(obj)
		})
	})
}

// revisit looks at what the last run left, and records a violation for what others did to it since. It returns the
// objects, which are to be deleted.
func (r *run) revisit() []seededObject {
	canaries, attempts := r.p.left.take()
	for _, text := range attempts {
		if attempt, ok := r.repeated(*text.attempt); ok {
			text.attempt = &attempt
			r.protected = append(r.protected, text)
		}
	}
	for _, left := range canaries {
		rr := r.resourceOf(left.canary)
		left.canary.resourceRun, left.twin.resourceRun = rr, rr
		r.expectNotGone(rr, left, "that the last run left")
	}
	for _, rr := range r.plan.resources {
		clear(rr.twins)
	}
	return objectsOf(canaries)
}

// repeated returns a request of the last run as one of this run.
func (r *run) repeated(req request) (request, bool) {
	i := slices.IndexFunc(r.plan.resources, func(rr *resourceRun) bool { return rr.name == req.assertion.resource.name })
	if i < 0 {
		return req, false
	}
	req.assertion = r.plan.resources[i].assertion(req.assertion.check, req.assertion.op)
	return req, req.assertion != nil
}

// expectNotGone records a violation if a canary that others tried to write to is gone, and its twin is not. It reports
// whether that is so. Objects that have been there for long may have been cleaned up by somebody, one after the other.
func (r *run) expectNotGone(rr *resourceRun, left leftCanary, which string) bool {
	a, why := cmp.Or(rr.assertion(checkIsolated, "delete"), rr.assertion(checkIsolated, "update")), foreignDelete
	owner := left.canary.owner
	if a == nil {
		return false
	}
	seen := r.fetchAsOwner(a, left.canary)
	if update := rr.assertion(checkIsolated, "update"); seen.visibility == absent && update != nil {
		a, why = update, foreignWrite
	}
	rr.twins[owner] = left.twin
	if time.Since(left.at) > orphanAge || !r.gone(a, sight{left.canary, owner}) {
		return false
	}
	r.violated(a, seen.answer, ruleChanged, why, "the canary of %s (%s) %s was deleted or changed: %s, while another canary of %s is still shown; what another org requested took effect later",
		owner.name, canary.Hash(left.canary.text), which, seen.Detail, owner.name)
	return true
}
