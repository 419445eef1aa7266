package isolation

import (
	"slices"
	"strconv"
	"time"

	"prober/internal/probe"
)

// Tries to tell a count that grows with another org's objects from one that grows since somebody else writes to it.
const (
	countTries = 6
	countSure  = 5
	countVain  = 3                      // so many canaries in a row that the owner's own count misses, and it proves nothing
	countHaste = 500 * time.Millisecond // for each of these, once the count had all its time to settle
)

// counted tells whether only the owner's count grew with its new canary. Somebody else may write to the same test
// orgs, such as another prober, and make a count move or stand still. So where another's count did change, or the
// owner's did not, further canaries are made and deleted: a count that stays as it was while the owner's grows is its
// own, and one that goes up and down with nearly all of them is not.
func (x *exam) counted(s *subject, owner *tenant, before map[*tenant]int) {
	cl := s.claim(checkIsolated, "count")
	grew, told := x.grows(s, owner, before[owner], x.p.Settle.D())
	if !told {
		return // noted, or the run is over; the rest of the matrix stands on its own
	}
	patience := x.p.Settle.D()
	if !grew {
		patience = min(patience, countHaste)
	}
	for _, t := range x.p.tenants {
		if t != owner && (!grew || x.count(s, t) != before[t]) {
			x.recount(cl, s, owner, t, patience)
		}
	}
}

func (x *exam) recount(cl *claim, s *subject, owner, other *tenant, patience time.Duration) {
	follows, vain := 0, 0
	for try := range countTries {
		// The other's first: what an earlier canary still adds in between speaks against it, never for it.
		before, own := x.count(s, other), x.count(s, owner)
		c, ok := x.place(s, owner, cl, mutation{}, nil)
		if !ok {
			return
		}
		grew, told := x.grows(s, owner, own, patience)
		if !told {
			return
		}
		with := x.count(s, other)
		if !x.takeBack(s, c, owner) {
			x.note(cl, ruleUnproven, probe.ControlFailed, "the count of %s changed, and whether it follows that of %s could not be told: a canary could not be deleted", other.name, owner.name)
			return
		}
		if !x.pause(time.Duration(try*try) * 5 * time.Millisecond) {
			return // the run is over, and the claim not finished
		}
		after := x.count(s, other)
		if before < 0 || with < 0 || after < 0 {
			return // noted by count
		}
		if !grew {
			if vain++; vain == countVain {
				x.note(cl, ruleUnproven, probe.NothingChecked, "the count of %s did not grow with its own canary: it proves nothing", owner.name)
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
	if follows >= countSure {
		x.note(cl, ruleLeak, leakList, "the count of %s went up and down with %d of %d canaries of %s: %s", other.name, follows, countTries, owner.name, s.Count.spoken())
		return
	}
	x.note(cl, ruleUnproven, probe.ControlFailed, "the count of %s never stands still: somebody else writes to the test org", other.name)
}

// grows waits until an owner's count is above what it was. It has told nothing if the count could not be read, which
// is noted, or the run was over.
func (x *exam) grows(s *subject, owner *tenant, before int, patience time.Duration) (grew, told bool) {
	told = true
	x.again(patience, func() bool {
		now := x.count(s, owner)
		grew, told = now > before, before >= 0 && now >= 0
		return grew || !told
	})
	return grew && told, told && (grew || x.ctx.Err() == nil)
}

// takeBack deletes a canary before the run's own clean-up would, which then need not.
func (x *exam) takeBack(s *subject, c planted, owner *tenant) bool {
	if !x.removeAs(x.ctx, s, c, owner) {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.minted = slices.DeleteFunc(x.minted, func(m planted) bool { return m.id == c.id })
	return true
}

// counts asks every org how many objects it has; -1 where that could not be told, nil without a count.
func (x *exam) counts(s *subject) map[*tenant]int {
	if s.Count == nil {
		return nil
	}
	all := map[*tenant]int{}
	for _, t := range x.p.tenants {
		all[t] = x.count(s, t)
	}
	return all
}

func (x *exam) count(s *subject, t *tenant) int {
	cl := s.claim(checkIsolated, "count")
	a := asking{claim: cl, by: t, t: s.Count, v: vars{org: t.id}, want: s.Count.Status}
	answer := x.ask(x.ctx, a)
	why, detail, bad := x.failed(a, answer, s.Count.Status)
	doc, err := answer.JSON()
	n, nan := strconv.Atoi(one(s.Number, doc))
	if !bad && (err != nil || nan != nil) {
		why, detail, bad = probe.ControlFailed, "there is no number at "+s.Number.String(), true
	}
	if bad {
		x.blame(cl, answer, ruleUnproven, why, "%s cannot be told its count: %s", t.name, detail)
		return -1
	}
	return n
}
