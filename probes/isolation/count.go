package isolation

import (
	"slices"
	"strconv"
	"time"

	"prober/internal/probe"
)

// Tries to tell a count that grows with another org's objects from one that grows since somebody else writes to it.
const (
	countRounds  = 6
	minFollowing = 5
	maxUnchanged = 3                      // so many canaries in a row that the owner's own count misses, and it proves nothing
	retryWait    = 500 * time.Millisecond // for each of these, once the count had all its time to settle
)

// testCount tells whether only the owner's count grew with its new canary. Somebody else may write to the same test
// orgs, such as another prober, and make a count move or stand still. So where another's count did change, or the
// owner's did not, further canaries are made and deleted: a count that stays as it was while the owner's grows is its
// own, and one that goes up and down with nearly all of them is not.
func (r *run) testCount(rr *resourceRun, owner *tenant, before map[*tenant]int) {
	a := rr.assertion(checkIsolated, "count")
	grew, told := r.waitForGrowth(rr, owner, before[owner], r.p.VisibilityDelay.D())
	if !told {
		return // noted, or the run is over; the rest of the matrix stands on its own
	}
	patience := r.p.VisibilityDelay.D()
	if !grew {
		patience = min(patience, retryWait)
	}
	for _, t := range r.p.tenants {
		if t != owner && (!grew || r.count(rr, t) != before[t]) {
			r.retryCount(a, rr, owner, t, patience)
		}
	}
}

func (r *run) retryCount(a *assertion, rr *resourceRun, owner, other *tenant, patience time.Duration) {
	follows, vain := 0, 0
	for try := range countRounds {
		// The other's first: what an earlier canary still adds in between speaks against it, never for it.
		before, own := r.count(rr, other), r.count(rr, owner)
		obj, ok := r.seedObject(rr, owner, a, mutation{}, nil)
		if !ok {
			return
		}
		grew, told := r.waitForGrowth(rr, owner, own, patience)
		if !told {
			return
		}
		with := r.count(rr, other)
		if !r.deleteNow(rr, obj, owner) {
			r.violatedNoEvidence(a, ruleInconclusive, probe.ControlFailed, "the count of %s changed, and whether it follows that of %s could not be told: a canary could not be deleted", other.name, owner.name)
			return
		}
		if !r.sleep(time.Duration(try*try) * 5 * time.Millisecond) {
			return // the run is over, and the claim not finished
		}
		after := r.count(rr, other)
		if before < 0 || with < 0 || after < 0 {
			return // noted by count
		}
		if !grew {
			if vain++; vain == maxUnchanged {
				r.violatedNoEvidence(a, ruleInconclusive, probe.NothingChecked, "the count of %s did not grow with its own canary: it proves nothing", owner.name)
				return
			}
			continue
		}
		vain = 0
		if before == with {
			return
		}
		if with > before && after < with {
			follows++
		}
	}
	if follows >= minFollowing {
		r.violatedNoEvidence(a, ruleLeak, leakList, "the count of %s went up and down with %d of %d canaries of %s: %s", other.name, follows, countRounds, owner.name, rr.Count.describe())
		return
	}
	r.violatedNoEvidence(a, ruleInconclusive, probe.ControlFailed, "the count of %s never stands still: somebody else writes to the test org", other.name)
}

// waitForGrowth waits until an owner's count is above what it was. It has told nothing if the count could not be read, which
// is noted, or the run was over.
func (r *run) waitForGrowth(rr *resourceRun, owner *tenant, before int, patience time.Duration) (grew, told bool) {
	told = true
	r.poll(patience, func() bool {
		now := r.count(rr, owner)
		grew, told = now > before, before >= 0 && now >= 0
		return grew || !told
	})
	return grew && told, told && (grew || r.ctx.Err() == nil)
}

// deleteNow deletes a canary before the run's own clean-up would, which then need not.
func (r *run) deleteNow(rr *resourceRun, obj seededObject, owner *tenant) bool {
	if !r.deleteAs(r.ctx, rr, obj, owner) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.created = slices.DeleteFunc(r.created, func(m seededObject) bool { return m.id == obj.id })
	return true
}

// countAll asks every org how many objects it has; -1 where that could not be told, nil without a count.
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

func (r *run) count(rr *resourceRun, t *tenant) int {
	a := rr.assertion(checkIsolated, "count")
	req := request{assertion: a, tenant: t, template: rr.Count, vars: vars{org: t.id}, want: rr.Count.Status}
	answer := r.send(r.ctx, req)
	why, detail, bad := r.unsuccessful(req, answer, rr.Count.Status)
	doc, err := answer.JSON()
	n, nan := strconv.Atoi(singleText(rr.Number, doc))
	if !bad && (err != nil || nan != nil) {
		why, detail, bad = probe.ControlFailed, "there is no number at "+rr.Number.String(), true
	}
	if bad {
		r.violated(a, answer, ruleInconclusive, why, "%s cannot be told its count: %s", t.name, detail)
		return -1
	}
	return n
}
