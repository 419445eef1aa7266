// Package incident remembers what the prober saw of an incident and writes it down as the note that the runbooks ask
// for: since when, what, how far it reaches, what changed near its onset, and since when all is well again. What the
// prober cannot know it leaves blank.
package incident

import (
	"slices"
	"strings"
	"sync"
	"time"

	"prober/internal/probe"
)

// Bounds of what is remembered of one system, so that a flapping target cannot fill the memory or the file.
const (
	mostSymptoms = 50
	mostChanges  = 20
	mostTargets  = 200
)

// A Tracker watches results and remembers incidents, one for each system: the one that is under way or, when all is
// well again, the last one. It is a probe.Sink, and its methods may be called from several goroutines.
type Tracker struct {
	mu      sync.Mutex
	jobs    []probe.Job
	known   map[place]bool // of jobs
	systems map[string]*system
	latest  map[string]map[string]glance // of the last run, by system and probe; not stored
	changed chan struct{}                // tells Keep that there is something to write
}

// A place is where a probe is found: its system and its name.
type place struct{ system, name string }

// A glance is what matters of a probe's last run to the others.
type glance struct {
	at      time.Time
	verdict probe.Verdict
	why     probe.Reason
}

// A system is what is remembered of one: it is what is stored.
type system struct {
	Incident *record             `json:"incident,omitempty"`
	Versions map[string]string   `json:"versions,omitempty"` // by probe and target: the last one seen
	Good     map[string]string   `json:"good,omitempty"`     // so, the last one in a run that passed
	Changes  []change            `json:"changes,omitempty"`  // of versions, the newest last
	Breached map[string]breached `json:"breached,omitempty"` // by probe
}

// A record is one incident.
type record struct {
	Start     time.Time          `json:"start"`               // of the first run that failed
	Symptoms  map[string]symptom `json:"symptoms"`            // by probe: the first failure of each
	Recovered time.Time          `json:"recovered,omitzero"`  // since when all of them pass; zero while they do not
	Checked   time.Time          `json:"checked,omitzero"`    // the last run of them since then
	Order     []string           `json:"order"`               // of the symptoms
	Unseen    int                `json:"unseen,omitempty"`    // symptoms beyond those remembered
	Open      []string           `json:"open,omitempty"`      // probes that have not passed since
	Severity  map[string]string  `json:"severities,omitzero"` // by probe

	Held time.Time            `json:"held,omitzero"`  // since when they were seen to pass without a gap; zero if nobody can tell
	Gone []string             `json:"gone,omitempty"` // probes that a reload took away before they passed
	Well map[string]time.Time `json:"well,omitempty"` // when other probes last passed meanwhile
	Lost map[string]time.Time `json:"lost,omitempty"` // when probes could not tell, for want of a network of our own
}

// A change is another version of a target's software than before.
type change struct {
	At       time.Time `json:"at"`
	Probe    string    `json:"probe"`
	Target   string    `json:"target,omitempty"`
	From, To string
}

// breached is when a probe saw what must never happen. It is never forgotten while the probe is configured: that it
// cannot be reproduced any more proves little.
type breached struct {
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
	Reason string    `json:"reason"`
}

// New returns a Tracker that remembers nothing.
func New() *Tracker {
	return &Tracker{systems: map[string]*system{}, latest: map[string]map[string]glance{}, changed: make(chan struct{}, 1)}
}

// SetJobs says which probes there are. What is remembered of others is forgotten.
func (t *Tracker) SetJobs(jobs []probe.Job) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.jobs, t.known = jobs, map[place]bool{}
	names := map[string][]string{}
	for _, j := range jobs {
		names[j.System] = append(names[j.System], j.Name)
		t.known[place{j.System, j.Name}] = true
	}
	for name, s := range t.systems {
		if names[name] == nil {
			delete(t.systems, name)
			delete(t.latest, name)
			continue
		}
		s.keep(names[name])
	}
	for name, results := range t.latest {
		for p := range results {
			if !slices.Contains(names[name], p) {
				delete(results, p)
			}
		}
	}
	t.note()
}

// keep forgets all probes but these. An incident that was theirs alone is over: nobody asks any more.
func (s *system) keep(names []string) {
	for p := range s.Breached {
		if !slices.Contains(names, p) {
			delete(s.Breached, p)
		}
	}
	for _, versions := range []map[string]string{s.Versions, s.Good} {
		for at := range versions {
			if p, _, _ := strings.Cut(at, " "); !slices.Contains(names, p) {
				delete(versions, at)
			}
		}
	}
	if i := s.Incident; i != nil {
		i.Open = slices.DeleteFunc(i.Open, func(p string) bool {
			gone := !slices.Contains(names, p)
			if gone && !slices.Contains(i.Gone, p) {
				i.Gone = append(i.Gone, p)
			}
			return gone
		})
	}
}

// Observe takes in the result of a run. One of a probe that is gone by now is dropped: nobody would see it pass again.
func (t *Tracker) Observe(r probe.Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.known[place{r.System, r.Name}] {
		return
	}
	s := t.systems[r.System]
	if s == nil {
		s = (&system{}).whole()
		t.systems[r.System] = s
	}
	if t.latest[r.System] == nil {
		t.latest[r.System] = map[string]glance{}
	}
	t.latest[r.System][r.Name] = glance{at: r.Started, verdict: r.Verdict(), why: r.Decisive().Reason}
	before := s.Incident
	news := s.versions(&r)
	switch r.Verdict() {
	case probe.Fail:
		news = s.failed(&r) || news
	case probe.Pass:
		news = s.passed(&r) || news
	default:
		news = s.doubted(&r) || news
	}
	switch i := s.Incident; {
	case i == nil:
	case i != before: // others of the same round may have ended before
		for name, seen := range t.latest[r.System] {
			i.meanwhile(name, seen)
		}
	default:
		news = i.meanwhile(r.Name, t.latest[r.System][r.Name]) || news
	}
	if news {
		t.note()
	}
}

// note tells Keep, which may be busy or not there at all.
func (t *Tracker) note() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// versions remembers which versions the targets say, and when they changed.
func (s *system) versions(r *probe.Result) (news bool) {
	for _, x := range r.Exchanges {
		at := r.Name + " " + x.Target
		before, known := s.Versions[at]
		if x.Version == "" || !known && len(s.Versions) >= mostTargets {
			continue
		}
		if r.Verdict() == probe.Pass && s.Good[at] != x.Version {
			news, s.Good[at] = true, x.Version
		}
		if before == x.Version {
			continue
		}
		news, s.Versions[at] = true, x.Version
		if known {
			s.Changes = append(s.Changes, change{At: x.Started, Probe: r.Name, Target: x.Target, From: before, To: x.Version})
			s.Changes = s.Changes[max(0, len(s.Changes)-mostChanges):]
		}
	}
	return news
}

// failed opens an incident, or adds a symptom to the one that is open.
func (s *system) failed(r *probe.Result) (news bool) {
	if why := s.breach(r); why.Breach {
		b := s.Breached[r.Name]
		if b.First.IsZero() {
			b.First = r.Started
		}
		b.Last, b.Reason, news = r.Started, why.Word, true
		s.Breached[r.Name] = b
	}
	i := s.Incident
	if i == nil || len(i.Open) == 0 {
		i = &record{Start: r.Started, Symptoms: map[string]symptom{}, Severity: map[string]string{}}
		s.Incident, news = i, true
	}
	i.Recovered, i.Checked, i.Held = time.Time{}, time.Time{}, time.Time{}
	delete(i.Well, r.Name)
	i.Gone = slices.DeleteFunc(i.Gone, func(p string) bool { return p == r.Name })
	if !slices.Contains(i.Open, r.Name) {
		i.Open, news = append(i.Open, r.Name), true
	}
	if _, known := i.Symptoms[r.Name]; known {
		return news
	}
	if len(i.Symptoms) >= mostSymptoms {
		i.Unseen++
		return news
	}
	first := newSymptom(r)
	if good := s.Good[r.Name+" "+first.Target]; good != first.Version {
		first.Good = good
	}
	i.Symptoms[r.Name], i.Severity[r.Name] = first, r.Severity
	i.Order = append(i.Order, r.Name)
	return true
}

// breach is the reason of the first breach of a run; empty if it saw none.
func (s *system) breach(r *probe.Result) probe.Reason {
	for _, c := range r.Checks {
		if c.Verdict == probe.Fail && c.Reason.Breach {
			return c.Reason
		}
	}
	return probe.Reason{}
}

// passed notes that a probe of the incident is well again, or that one that is no part of it was well meanwhile.
func (s *system) passed(r *probe.Result) (news bool) {
	i := s.Incident
	if i == nil {
		return false
	}
	if _, part := i.Symptoms[r.Name]; !part {
		return false
	}
	i.Gone = slices.DeleteFunc(i.Gone, func(p string) bool { return p == r.Name })
	if at := slices.Index(i.Open, r.Name); at >= 0 {
		i.Open, news = slices.Delete(i.Open, at, at+1), true
		if len(i.Open) == 0 {
			i.Recovered = r.Started
		}
	}
	if !i.Recovered.IsZero() {
		if i.Held.IsZero() {
			i.Held, news = r.Started, true
		}
		i.Checked = r.Started
	}
	return news
}

// doubted notes that a probe could not tell. That neither opens an incident nor ends it; but from then on nobody knows
// whether what was well still is.
func (s *system) doubted(r *probe.Result) (news bool) {
	i := s.Incident
	if i == nil {
		return false
	}
	if _, part := i.Symptoms[r.Name]; part && !i.Held.IsZero() {
		i.Checked, i.Held, news = time.Time{}, time.Time{}, true
	}
	return news
}

// sameRound is how much earlier than the first failure a run may have begun that was made together with it.
const sameRound = 5 * time.Second

// meanwhile notes of a probe that is no symptom whether it was well while the incident was open, or could not tell for
// want of a network of our own. What was seen before the onset or after the end says nothing of it.
func (i *record) meanwhile(name string, seen glance) (news bool) {
	_, symptom := i.Symptoms[name]
	if symptom || len(i.Open) == 0 || seen.at.Before(i.Start.Add(-sameRound)) {
		return false
	}
	switch {
	case seen.verdict == probe.Pass:
		delete(i.Lost, name)
		return remember(&i.Well, name, seen.at)
	case seen.why == probe.SelfNetwork:
		delete(i.Well, name)
		return remember(&i.Lost, name, seen.at)
	}
	return false
}

// remember notes a time, unless there are too many. It reports whether it noted a new name.
func remember(all *map[string]time.Time, name string, at time.Time) bool {
	_, known := (*all)[name]
	if !known && len(*all) >= mostTargets {
		return false
	}
	if *all == nil {
		*all = map[string]time.Time{}
	}
	(*all)[name] = at
	return !known
}
