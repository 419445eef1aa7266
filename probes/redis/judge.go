package redis

import (
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// judgeKeys judges what the last whole pass and the present one have met. What is wrong is wrong at once, and until a whole
// pass does not meet it any more; that nothing is wrong only a whole pass shows.
func (p *Probe) judgeKeys(r *probe.Result, v *visit) {
	now := time.Now()
	ended := p.audit.finish(v.primaries, now)
	p.audit.mu.Lock()
	defer p.audit.mu.Unlock()
	if ended {
		r.Measure(passGauge, float64(now.Unix()))
	}
	present := newTotals()
	var size int64
	for _, w := range p.audit.walks {
		present.add(w.totals)
		size += w.size
	}
	seen := worse(present, p.audit.cut)
	if last := p.audit.last; last != nil {
		seen = worse(seen, last.totals)
	}
	open := p.open(v, present.met, size, now)
	planted := p.judgePlanted(present, open)
	r.Note(checkPlanted, planted)
	if open.Passed() && !planted.Passed() {
		open = probe.Outcomef(probe.ControlFailed, "the last pass over all keys did not meet the planted ones: what it did not meet may still be there")
	}
	if open.Passed() || len(seen.unprefixed) > 0 { // else their number is not known
		p.audit.measureShapes(r, seen.unprefixed)
	}
	r.Note(checkKeys, judgeTotals(seen, open))
	r.Note(checkNames, judgeNames(seen, open))
}

func judgeTotals(t totals, open probe.Outcome) probe.Outcome {
	switch {
	case len(t.wrongOrg) > 0:
		return probe.Outcomef(reasonWrongOrg, "expected the markers of orgs behind their own prefixes only, but about %s elsewhere: by org, %s", text.Plural(sum(t.wrongOrg), "key has one", "keys have one"), text.List(numbered(t.wrongOrg), 3))
	case len(t.unprefixed) > 0:
		return probe.Outcomef(reasonUnprefixed, "expected every name to begin as allowed, but about %s not: by shape, %s", text.Plural(sum(t.unprefixed), "does", "do"), text.List(numbered(t.unprefixed), 3))
	}
	return open
}

func judgeNames(t totals, open probe.Outcome) probe.Outcome {
	if len(t.data) > 0 {
		return probe.Outcomef(reasonHoldsData, "expected names without data, which everybody reads who may run SCAN, but about %s", text.List(numbered(t.data), 3))
	}
	return open
}

// open returns OK if a whole pass is recent and has seen all keys, or why what it did not meet may still be there.
func (p *Probe) open(v *visit, met, size int64, now time.Time) probe.Outcome {
	a, within := &p.audit, p.Keys.within()
	switch last := a.last; {
	case v.failure != nil:
		return *v.failure
	case v.partial:
		return probe.Outcomef(probe.ControlFailed, "not every part of the cluster has a primary that all its servers agree on: its keys were not looked at")
	case v.primaries == 0 || v.unasked.Load() > 0:
		return probe.Outcomef(probe.ControlFailed, "not every primary could be asked for its keys")
	case v.elsewhere:
		return probe.Outcomef(reasonNotCovered, "there are keys in other databases than those that are looked at (keys.databases), or at other servers of a cluster (cluster)")
	case last == nil && now.Sub(a.began) > within:
		return probe.Outcomef(reasonLate, "expected a pass over all keys within %s, but it has met about %d of %d keys; raise per_run or within", probe.Duration(within), met, size)
	case last == nil:
		return probe.Outcomef(reasonUnfinished, "the first pass over all keys has met about %d of %d, and nothing wrong", met, size)
	case now.Sub(last.ended) > within:
		return probe.Outcomef(reasonLate, "expected a pass over all keys every %s, but the last one ended %s ago; raise per_run or within", probe.Duration(within), text.Roughly(now.Sub(last.ended)))
	case last.ended.Sub(last.began) > within:
		return probe.Outcomef(reasonLate, "expected a pass over all keys within %s, but the last one took %s; raise per_run or within", probe.Duration(within), text.Roughly(last.ended.Sub(last.began)))
	case len(last.blind) > 0:
		return probe.Outcomef(probe.ControlFailed, "expected about %d keys, as the servers count them, but the last pass met %d: SCAN does not show all", last.size, last.met)
	}
	return probe.Outcomef(probe.OK, "a pass over about %s met none, and ended %s ago", text.Count(int(a.last.met), "key"), text.Duration(now.Sub(a.last.ended)))
}

// judgePlanted judges whether the last pass has met the keys that are there all the time, or the present one has already.
func (p *Probe) judgePlanted(present totals, open probe.Outcome) probe.Outcome {
	want := len(p.planted())
	if last := p.audit.last; last != nil {
		if len(last.planted) < want {
			return probe.Outcomef(probe.ControlFailed, "expected the last pass to meet %s, got %d: it may have seen nothing at all", text.Plural(want, "planted key", "planted keys"), len(last.planted))
		}
	} else if len(present.planted) < want {
		if open.Passed() {
			return probe.Outcomef(probe.ControlFailed, "no planted key was met")
		}
		return open
	}
	return probe.Outcomef(probe.OK, "%s met", text.Plural(want, "planted key was", "planted keys were"))
}
