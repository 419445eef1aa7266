package incident

import (
	"slices"
	"time"

	"prober/internal/drop"
	"prober/internal/probe"
)

// Observe records the result of a run. It drops results of probes that are not in the set: their recovery would never
// be seen.
func (t *Tracker) Observe(r probe.Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.intervals[r.Key()]; !known {
		return
	}
	s := t.systems[r.System]
	if s == nil {
		s = (&system{}).fillDefaults()
		t.systems[r.System] = s
	}
	if t.latest[r.System] == nil {
		t.latest[r.System] = map[string]lastRun{}
	}
	passedBefore := t.latest[r.System][r.Name].verdict == probe.Pass
	t.latest[r.System][r.Name] = lastRun{at: r.Started, verdict: r.Verdict(), reason: r.Decisive().Reason}
	before := s.Incident
	changed := s.observeVersions(&r)
	if t.reporters[r.Key()] {
		changed = s.observeDeploys(&r) || changed
		if t.running[r.System] == nil {
			t.running[r.System] = map[string]string{}
		}
		t.running[r.System][r.Name] = r.Running
	}
	changed = t.observeGood(&r, s) || changed
	switch r.Verdict() {
	case probe.Fail:
		changed = t.failsAgain(&r, s.Incident) || changed
		changed = s.failed(&r, passedBefore) || changed
	case probe.Pass:
		if b, seen := s.Breaches[r.Name]; seen && b.Ongoing {
			b.Ongoing, changed = false, true
			s.Breaches[r.Name] = b
		}
		changed = s.passed(&r) || changed
	default:
		changed = s.inconclusive(&r) || changed
	}
	switch i := s.Incident; {
	case i == nil:
	case i != before:
		if before != nil && len(t.ended) < maxEnded {
			t.ended = append(t.ended, t.record(r.System, s, before))
		}
		// others of the same round may have ended earlier
		for name, seen := range t.latest[r.System] {
			i.observeDuringIncident(name, seen)
		}
	default:
		changed = i.observeDuringIncident(r.Name, t.latest[r.System][r.Name]) || changed
	}
	changed = t.relateDeploys(r.System, s) || changed
	if changed {
		t.signalChange()
	}
}

// Changed has Persist save the state again.
func (t *Tracker) Changed() { t.signalChange() }

// signalChange wakes Persist, if it runs.
func (t *Tracker) signalChange() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// observeVersions records the versions that the targets report, and when they change.
func (s *system) observeVersions(r *probe.Result) (changed bool) {
	for _, x := range r.Exchanges {
		at := r.Name + " " + x.Target
		before, known := s.Versions[at]
		if x.Version == "" || !known && len(s.Versions) >= maxTargets {
			continue
		}
		if r.Verdict() == probe.Pass && s.LastGoodVersions[at] != x.Version {
			changed, s.LastGoodVersions[at] = true, x.Version
		}
		if before == x.Version {
			continue
		}
		changed, s.Versions[at] = true, x.Version
		if known && s.recentChanges(r.Name, x.Started) < maxChangesPerHour {
			s.Changes = append(s.Changes, change{At: x.Started, Probe: r.Name, Target: x.Target, From: before, To: x.Version})
			s.Changes = s.Changes[max(0, len(s.Changes)-maxChanges):]
		}
	}
	return changed
}

// recentChanges counts the changes of a probe's targets in the hour before a time.
func (s *system) recentChanges(name string, at time.Time) (n int) {
	for _, c := range s.Changes {
		if c.Probe == name && at.Sub(c.At) < time.Hour {
			n++
		}
	}
	return n
}

// failed opens an incident, or adds a symptom to the one that is open. It takes whether the probe passed in its run before.
func (s *system) failed(r *probe.Result, passedBefore bool) (changed bool) {
	if why := s.breachOf(r); why.Breach {
		b := s.Breaches[r.Name]
		if b.First.IsZero() {
			b.First = r.Started
		}
		if !b.Ongoing {
			b.Acknowledged = probe.Acknowledgement{}
		}
		b.Last, b.Reason, b.Ongoing, changed = r.Started, why.Word, true, true
		s.Breaches[r.Name] = b
	}
	i := s.Incident
	if i == nil || len(i.Open) == 0 {
		i = &incident{Start: r.Started, OnsetSeen: passedBefore, Symptoms: map[string]symptom{}, Severity: map[string]string{}}
		s.Incident, changed = i, true
	}
	i.Recovered, i.LastChecked, i.PassingSince = time.Time{}, time.Time{}, time.Time{}
	delete(i.Passing, r.Name)
	if !slices.Contains(i.Open, r.Name) {
		i.Open, changed = append(i.Open, r.Name), true
	}
	if _, known := i.Symptoms[r.Name]; known {
		return changed
	}
	if len(i.Symptoms) >= maxSymptoms {
		i.NotKept++
		return changed
	}
	first := newSymptom(r)
	if good := s.LastGoodVersions[r.Name+" "+first.Target]; good != first.Version {
		first.LastGoodVersion = good
	}
	i.Symptoms[r.Name], i.Severity[r.Name] = first, r.Severity
	i.Order = append(i.Order, r.Name)
	return true
}

// breachOf returns the reason of the first breach in a run; the zero Reason without one.
func (s *system) breachOf(r *probe.Result) probe.Reason {
	for _, c := range r.Checks {
		if c.Verdict == probe.Fail && c.Reason.Breach {
			return c.Reason
		}
	}
	return probe.Reason{}
}

// passed notes that a probe of the incident passes again.
func (s *system) passed(r *probe.Result) (changed bool) {
	i := s.Incident
	if i == nil {
		return false
	}
	if _, part := i.Symptoms[r.Name]; !part {
		return false
	}
	i.Removed = drop.If(i.Removed, func(p string) bool { return p == r.Name })
	if at := slices.Index(i.Open, r.Name); at >= 0 {
		i.Open, changed = slices.Delete(i.Open, at, at+1), true
		if len(i.Open) == 0 {
			i.Recovered = r.Started
		}
	}
	if !i.Recovered.IsZero() {
		if i.PassingSince.IsZero() {
			i.PassingSince, changed = r.Started, true
		}
		i.LastChecked = r.Started
	}
	return changed
}

// inconclusive notes an inconclusive run. It neither opens nor ends an incident, but the time that the probes have passed
// without a gap starts again.
func (s *system) inconclusive(r *probe.Result) (changed bool) {
	i := s.Incident
	if i == nil {
		return false
	}
	if _, part := i.Symptoms[r.Name]; part && !i.PassingSince.IsZero() {
		i.LastChecked, i.PassingSince, changed = time.Time{}, time.Time{}, true
	}
	return changed
}

// sameRound is how long before the first failure a run of the same round may have started.
const sameRound = 5 * time.Second

// observeDuringIncident notes whether a probe without a symptom passed during the incident, or found the prober's own
// network down. Runs before the onset or after the end say nothing about the incident.
func (i *incident) observeDuringIncident(name string, seen lastRun) (changed bool) {
	_, symptom := i.Symptoms[name]
	if symptom || len(i.Open) == 0 || seen.at.Before(i.Start.Add(-sameRound)) {
		return false
	}
	switch {
	case seen.verdict == probe.Pass:
		delete(i.NoNetwork, name)
		return rememberTime(&i.Passing, name, seen.at)
	case seen.reason == probe.SelfNetwork:
		delete(i.Passing, name)
		return rememberTime(&i.NoNetwork, name, seen.at)
	}
	return false
}

// rememberTime notes a time, unless there are too many. It reports whether the name is new.
func rememberTime(all *map[string]time.Time, name string, at time.Time) bool {
	_, known := (*all)[name]
	if !known && len(*all) >= maxTargets {
		return false
	}
	if *all == nil {
		*all = map[string]time.Time{}
	}
	(*all)[name] = at
	return !known
}
