package isolation

import (
	"strconv"
	"time"

	"prober/internal/drop"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// A count that follows another org's objects is distinguished from one that changes because somebody else writes to the
// org: over several rounds, the first goes up and down with nearly every canary.
const (
	countRounds  = 6
	minFollowing = 5                      // rounds in which a count follows for it to be a leak
	maxUnchanged = 3                      // consecutive rounds in which the owner's own count does not grow; then it proves nothing
	retryWait    = 500 * time.Millisecond // for each round, once the count had the whole visibility delay to grow
)

// testCount checks that only the owner's count grew with its new canary. Somebody else may write to the same test orgs,
// such as another prober, and change a count or keep it constant. So if another's count changed, or the owner's did not,
// further canaries are created and deleted: a count that stays constant while the owner's grows is isolated, and one that
// goes up and down with nearly all of them is not.
func (r *run) testCount(rr *resourceRun, owner *tenant, before map[*tenant]int) {
	a := rr.assertion(checkIsolated, "count")
	wait := r.p.VisibilityDelay.D()
	grew, known := r.waitForGrowth(rr, owner, before[owner], wait)
	if !known {
		return // recorded, or the run is over; the rest of the matrix does not depend on it
	}
	if !grew {
		wait = min(wait, retryWait)
	}
	for _, t := range r.p.tenants {
		if t != owner && (!grew || r.count(rr, t) != before[t]) {
			r.retryCount(a, rr, owner, t, wait)
		}
	}
}

// retryCount creates and deletes canaries of the owner until it is clear whether the other org's count follows.
func (r *run) retryCount(a *assertion, rr *resourceRun, owner, other *tenant, wait time.Duration) {
	follows, unchanged := 0, 0
	for round := range countRounds {
		// The other's first: what an earlier canary still adds in between is evidence of a leak, never of isolation.
		before, own := r.count(rr, other), r.count(rr, owner)
		obj, ok := r.seedObject(rr, owner, a, mutation{}, nil)
		if !ok {
			return
		}
		grew, known := r.waitForGrowth(rr, owner, own, wait)
		if !known {
			return
		}
		during := r.count(rr, other)
		if !r.deleteNow(rr, obj, owner) {
			r.inconclusive(a, nil, probe.ControlFailed, "the count of %s changed, and a canary could not be deleted to see whether it follows that of %s", other.name, owner.name)
			return
		}
		if !r.sleep(time.Duration(round*round) * 5 * time.Millisecond) {
			return // the run is over, so the assertion does not complete
		}
		after := r.count(rr, other)
		if before < 0 || during < 0 || after < 0 {
			return // recorded by count
		}
		if !grew {
			if unchanged++; unchanged == maxUnchanged {
				r.inconclusive(a, nil, probe.NothingChecked, "the count of %s did not grow with its own canary: it proves nothing", owner.name)
				return
			}
			continue
		}
		unchanged = 0
		if before == during {
			return
		}
		if during > before && after < during {
			follows++
		}
	}
	if follows >= minFollowing {
		r.violated(a, nil, ruleLeak, leakList, "the count of %s went up and down with %d of %d canaries of %s: %s", other.name, follows, countRounds, owner.name, rr.Count.describe())
		return
	}
	r.inconclusive(a, nil, probe.ControlFailed, "the count of %s keeps changing: somebody else writes to the test org", other.name)
}

// waitForGrowth waits until an owner's count is above what it was. The answer is not known if the count could not be
// read, which is recorded, or the run was over.
func (r *run) waitForGrowth(rr *resourceRun, owner *tenant, before int, limit time.Duration) (grew, known bool) {
	known = true
	r.poll(limit, func() bool {
		now := r.count(rr, owner)
		grew, known = now > before, before >= 0 && now >= 0
		return grew || !known
	})
	return grew && known, known && (grew || r.ctx.Err() == nil)
}

// deleteNow deletes a canary before the run's own clean-up would, which then skips it.
func (r *run) deleteNow(rr *resourceRun, obj seededObject, owner *tenant) bool {
	if !r.deleteAs(r.ctx, rr, obj, owner) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.created = drop.If(r.created, func(c seededObject) bool { return c.same(obj) })
	return true
}

// countAll counts the objects of every org; -1 where that failed, nil for a resource without a count.
func (r *run) countAll(rr *resourceRun) map[*tenant]int {
	if rr.Count == nil {
		return nil
	}
	all := map[*tenant]int{}
	for _, t := range r.p.tenants {
		all[t] = r.count(rr, t)
	}
	return all
}

// count returns the number of an org's objects; -1, and a violation, if that fails.
func (r *run) count(rr *resourceRun, t *tenant) int {
	a := rr.assertion(checkIsolated, "count")
	req := request{assertion: a, tenant: t, template: rr.Count, vars: vars{org: t.id}, want: rr.Count.Status}
	answer := r.send(r.ctx, req)
	o := expectSuccess(req, answer, rr.Count.Status)
	n, counted := rr.parseCount(answer)
	switch {
	case o.Passed():
		o = counted
	case counted.Passed() && n == 0 && usable(answer).Passed() && rr.Count.deniesOwner(answer):
		o = counted // strangers are shown what an org without objects is; that the count grows must prove the rest
	}
	if !o.Passed() {
		r.inconclusive(a, answer, o.Reason, "%s cannot be shown its count: %s", t.name, o.Detail)
		return -1
	}
	if n > 0 {
		r.succeededAsOwner(rr, "count", t)
	}
	return n
}

// parseCount reads the number in a response to count.
func (r *Resource) parseCount(answer *httpx.Answer) (int, probe.Outcome) {
	doc, err := answer.JSON()
	if err == nil {
		var n int
		if n, err = strconv.Atoi(singleText(r.Number, doc)); err == nil {
			return n, probe.Outcome{Reason: probe.OK}
		}
	}
	return 0, probe.Outcomef(probe.ControlFailed, "there is no number at %s", r.Number)
}
