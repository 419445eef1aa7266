package incident

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"prober/internal/drop"
	"prober/internal/probe"
)

// Bounds of the saved deploys and versions, for each probe that reports them.
const (
	maxDeploys = 10
	maxNear    = 5
	maxGood    = 5
)

// goodAfter is how long every probe must have passed under a version before it is known to be good.
const goodAfter = 30 * time.Minute

// maxUnseen is how long a probe may not run before that time starts again, beside two of its intervals.
const maxUnseen = 5 * time.Minute

// A nearDeploy is a deploy near the onset of an incident.
type nearDeploy struct {
	Probe string `json:"probe"`
	probe.Deploy
}

// A goodVersion is a version under which every probe passed.
type goodVersion struct {
	Version string    `json:"version"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
}

// observeDeploys keeps what a run of a probe reports of deploys.
func (s *system) observeDeploys(r *probe.Result) (changed bool) {
	if len(r.Deploys) == 0 {
		return false
	}
	if s.Deploys == nil {
		s.Deploys = map[string][]probe.Deploy{}
	}
	list := r.Deploys[:min(len(r.Deploys), maxDeploys)]
	changed = !slices.Equal(s.Deploys[r.Name], list)
	s.Deploys[r.Name] = slices.Clone(list)
	return changed
}

// relateDeploys keeps the deploys near the onset with the incident: the lists of the platforms go on.
func (t *Tracker) relateDeploys(name string, s *system) (changed bool) {
	i := s.Incident
	if i == nil {
		return false
	}
	onset, _, _ := t.onset(name, i)
	before := slices.Clone(i.Deploys)
	for reporter, list := range s.Deploys {
		for _, d := range list {
			at := slices.IndexFunc(i.Deploys, func(n nearDeploy) bool { return n.Probe == reporter && n.ID == d.ID })
			if at >= 0 {
				i.Deploys[at].follow(d)
			} else if d.NearOnset(onset) {
				i.insert(nearDeploy{reporter, d})
			}
		}
	}
	kept := map[string]int{}
	i.Deploys = drop.If(i.Deploys, func(n nearDeploy) bool {
		if n.Started.After(onset) || kept[n.Probe] == maxNear {
			return true
		}
		kept[n.Probe]++
		return false
	})
	return !slices.Equal(before, i.Deploys)
}

// insert keeps the deploys in order: by probe, the newest first.
func (i *incident) insert(n nearDeploy) {
	at := slices.IndexFunc(i.Deploys, func(o nearDeploy) bool {
		return o.Probe > n.Probe || o.Probe == n.Probe && o.Started.Before(n.Started)
	})
	if at < 0 {
		at = len(i.Deploys)
	}
	i.Deploys = slices.Insert(i.Deploys, at, n)
}

// follow takes over what the platform says of the deploy now. It stays near the onset whatever becomes of it: when it began,
// and when it went live, is what was reported first.
func (n *nearDeploy) follow(now probe.Deploy) {
	before := n.Deploy
	n.Deploy = now
	began := before.State != probe.DeployQueued && before.State != probe.DeployWaiting
	if now.Started.IsZero() || began && before.Started.Before(now.Started) {
		n.Started = before.Started
	}
	if now.Ended.IsZero() && !now.UnderWay() {
		n.Ended = before.Ended
	}
}

// onset is when the first probe failed that asks for more than deploys: a deploy that fails is no symptom of itself. It
// is zero if there is none. It also tells whether such a probe fails still, and the most urgent severity of those that do.
func (t *Tracker) onset(name string, i *incident) (at time.Time, open bool, severity string) {
	most := incident{Severity: i.Severity}
	for _, p := range i.Order {
		if t.reporters[probe.Key{System: name, Name: p}] {
			continue
		}
		if first := i.Symptoms[p].At; at.IsZero() || first.Before(at) {
			at = first
		}
		if slices.Contains(i.Open, p) {
			open = true
			most.Order = append(most.Order, p)
		}
	}
	return later(at, i.FailedAgain), open, most.worstSeverity()
}

// failsAgain notes that a probe fails after all but those of deploys had passed again: that is another onset. A deploy that
// failed keeps an incident open, for days perhaps.
func (t *Tracker) failsAgain(r *probe.Result, i *incident) (changed bool) {
	if i == nil || len(i.Open) == 0 || t.reporters[r.Key()] {
		return false
	}
	at, open, _ := t.onset(r.System, i)
	again := !at.IsZero() && !open
	if again || r.Started.Before(i.FailedAgain) {
		i.FailedAgain, changed = r.Started, true
	}
	if again {
		i.Deploys = nil
	}
	return changed
}

// A streak is the time for which every probe has passed under one version.
type streak struct {
	version     string
	since, last time.Time
}

// observeGood notes for how long every probe has passed under the version that runs. What is inconclusive has not passed. Only
// a run of the probe of deploys tells that a version still runs, and what passed before a version ran does not prove it.
func (t *Tracker) observeGood(r *probe.Result, s *system) (changed bool) {
	at := r.Started
	if len(t.running[r.System]) == 0 || r.Verdict() == probe.Pass && t.justLooked(r, at) {
		return false
	}
	passing, oldest := t.allPass(r.System, at)
	for reporter, version := range t.running[r.System] {
		key := probe.Key{System: r.System, Name: reporter}
		now, unseen := t.streaks[key], t.unseen(key)
		switch {
		case !passing || version == "" || at.Sub(t.latest[r.System][reporter].at) > unseen:
			now = streak{}
		case now.version != version || at.Sub(now.last) > unseen:
			now = streak{version, at, at}
		case reporter == r.Name:
			now.last = later(now.last, at)
		}
		t.streaks[key] = now
		if reporter == r.Name && now.version != "" && now.last.Sub(now.since) >= goodAfter && !oldest.Before(now.since) {
			changed = s.rememberGood(reporter, now) || changed
		}
	}
	return changed
}

// rememberGood keeps a version that is good as the newest one. It reports whether that is worth a write.
func (s *system) rememberGood(reporter string, now streak) (changed bool) {
	if s.Good == nil {
		s.Good = map[string][]goodVersion{}
	}
	list := s.Good[reporter]
	at := slices.IndexFunc(list, func(g goodVersion) bool { return g.Version == now.version })
	good := goodVersion{now.version, now.since, now.last}
	if at >= 0 {
		if list[at].Since.Equal(now.since) && at == len(list)-1 {
			list[at].Until = now.last
			return false
		}
		list = slices.Delete(list, at, at+1)
	}
	list = append(list, good)
	s.Good[reporter] = list[max(0, len(list)-maxGood):]
	return true
}

// A look is what was seen when all probes of a system were looked at.
type look struct {
	at  time.Time
	not string // a probe that did not pass; empty if all did
}

// lookEvery is how often all probes of a system are looked at while they pass. A failure is seen at once.
const lookEvery = 10 * time.Second

// justLooked reports whether a run that passed says nothing new of its system: all of its probes passed shortly before. Thousands of
// runs a second would look at thousands of probes each.
func (t *Tracker) justLooked(r *probe.Result, at time.Time) bool {
	last, known := t.looked[r.System]
	since := at.Sub(last.at)
	return known && last.not == "" && since >= 0 && since < lookEvery && !t.reporters[r.Key()]
}

// allPass reports whether the last run of each probe of a system passed, beside those that are about deploys, and was not long
// before a time. It also tells when the oldest of these runs was.
func (t *Tracker) allPass(name string, at time.Time) (passing bool, oldest time.Time) {
	if not := t.looked[name].not; not != "" && !t.passed(probe.Key{System: name, Name: not}, at) {
		return false, oldest
	}
	n := 0
	for i := range t.jobs {
		key := t.jobs[i].Key()
		if key.System != name || t.reporters[key] {
			continue
		}
		if !t.passed(key, at) {
			t.looked[name] = look{at, key.Name}
			return false, oldest
		}
		if last := t.latest[name][key.Name]; n == 0 || last.at.Before(oldest) {
			oldest = last.at
		}
		n++
	}
	t.looked[name] = look{at: at}
	return n > 0, oldest
}

// passed reports whether the last run of a probe passed, and was not long before a time.
func (t *Tracker) passed(key probe.Key, at time.Time) bool {
	interval, known := t.intervals[key]
	last := t.latest[key.System][key.Name]
	return known && last.verdict == probe.Pass && at.Sub(last.at) <= 2*interval+maxUnseen
}

// unseen is for how long a probe may not run before what it said is forgotten.
func (t *Tracker) unseen(key probe.Key) time.Duration { return 2*t.intervals[key] + maxUnseen }

// lastGood is the newest version of a probe's deploys that is known to be good, beside those near the onset.
func (s *system) lastGood(i *incident, reporter string) (good goodVersion, known bool) {
	for _, g := range slices.Backward(s.Good[reporter]) {
		near := func(d nearDeploy) bool { return d.Probe == reporter && probe.SameVersion(d.Version, g.Version) }
		if i == nil || !slices.ContainsFunc(i.Deploys, near) {
			return g, true
		}
	}
	return goodVersion{}, false
}

// nearLines are the deploys near the onset, and the version to go back to.
func (t *Tracker) nearLines(name string, s *system, i *incident) (lines []line) {
	onset, _, _ := t.onset(name, i)
	var reporters []string
	for _, d := range i.Deploys {
		if !slices.Contains(reporters, d.Probe) {
			reporters = append(reporters, d.Probe)
		}
		state := ""
		if d.State != "" {
			state = ", " + string(d.State)
		}
		if d.State == probe.DeployLive && !d.Ended.IsZero() {
			state += " since " + rfc3339(d.Ended)
		}
		lines = append(lines, line{d.Started, checked, fmt.Sprintf("deploy near onset: %s of version `%s`%s, started %s before the first failure (%s)",
			d.ID, cmp.Or(d.Version, "unknown"), state, onset.Sub(d.Started).Round(time.Second), d.Probe)})
	}
	for _, reporter := range reporters {
		good, known := s.lastGood(i, reporter)
		words := "no version is known to be good: under none before did every probe pass for " + probe.Duration(goodAfter).String()
		if known {
			words = fmt.Sprintf("last known good version `%s`: every probe passed under it for %s, until %s",
				good.Version, good.Until.Sub(good.Since).Round(time.Minute), rfc3339(good.Until))
		}
		lines = append(lines, line{onset, checked, words + " (" + reporter + ")"})
	}
	return lines
}

// NearOnset says which deploys are near the onset of a system's open incident, and what version to go back to; nothing if
// there is no such deploy.
func (t *Tracker) NearOnset(system string) (sentences []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.systems[system]
	if s == nil || s.Incident == nil || len(s.Incident.Open) == 0 {
		return nil
	}
	for _, l := range t.nearLines(system, s, s.Incident) {
		sentences = append(sentences, oneLine(l.text))
	}
	return sentences
}
