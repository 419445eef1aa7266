// Package incident remembers what the prober saw of an incident and writes it down as the note that the runbooks ask
// for: since when, what, how far it reaches, what changed near its onset, and since when all is well again. What the
// prober cannot know it leaves blank.
package incident

import (
	"cmp"
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
	systems map[string]*system
	latest  map[string]map[string]glance // the last run, by system and probe; not stored
	changed chan struct{}                // tells Keep that there is something to write
}

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
}

// A symptom is the first failure of a probe in an incident. Its text is redacted already, as all text of a result.
type symptom struct {
	At      time.Time    `json:"at"`
	Check   string       `json:"check"`
	Target  string       `json:"target,omitempty"`
	Reason  probe.Reason `json:"reason"`
	Detail  string       `json:"detail"`
	Trace   string       `json:"trace,omitempty"` // the target's own trace id or, for want of one, the prober's
	Version string       `json:"version,omitempty"`
	Good    string       `json:"good,omitempty"`   // the last version that passed, if it was another
	Failed  []string     `json:"failed,omitempty"` // targets
	Of      int          `json:"of,omitempty"`     // how many targets there were
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
	First  time.Time    `json:"first"`
	Last   time.Time    `json:"last"`
	Reason probe.Reason `json:"reason"`
}

// New returns a Tracker that remembers nothing.
func New() *Tracker {
	return &Tracker{systems: map[string]*system{}, latest: map[string]map[string]glance{}, changed: make(chan struct{}, 1)}
}

// SetJobs says which probes there are. What is remembered of others is forgotten.
func (t *Tracker) SetJobs(jobs []probe.Job) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.jobs = jobs
	names := map[string][]string{}
	for _, j := range jobs {
		names[j.System] = append(names[j.System], j.Name)
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
	if s.Incident != nil {
		s.Incident.Open = slices.DeleteFunc(s.Incident.Open, func(p string) bool { return !slices.Contains(names, p) })
	}
}

// Observe takes in the result of a run.
func (t *Tracker) Observe(r probe.Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.systems[r.System]
	if s == nil {
		s = (&system{}).whole()
		t.systems[r.System] = s
	}
	if t.latest[r.System] == nil {
		t.latest[r.System] = map[string]glance{}
	}
	t.latest[r.System][r.Name] = glance{at: r.Started, verdict: r.Verdict(), why: r.Why().Reason}
	news := s.versions(&r)
	switch r.Verdict() {
	case probe.Fail:
		news = s.failed(&r) || news
	case probe.Pass:
		news = s.passed(&r) || news
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
	if why := s.breach(r); why != "" {
		b := s.Breached[r.Name]
		if b.First.IsZero() {
			b.First = r.Started
		}
		b.Last, b.Reason, news = r.Started, why, true
		s.Breached[r.Name] = b
	}
	i := s.Incident
	if i == nil || len(i.Open) == 0 {
		i = &record{Start: r.Started, Symptoms: map[string]symptom{}, Severity: map[string]string{}}
		s.Incident, news = i, true
	}
	i.Recovered, i.Checked = time.Time{}, time.Time{}
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
		if c.Verdict == probe.Fail && c.Reason.Breach() {
			return c.Reason
		}
	}
	return ""
}

func newSymptom(r *probe.Result) symptom {
	why := r.Why()
	out := symptom{At: r.Started, Check: why.Name, Target: why.Target, Reason: why.Reason, Detail: why.Detail}
	if i := r.ExchangeOf(why); i >= 0 {
		x := r.Exchanges[i]
		out.Trace, out.Version = cmp.Or(x.TargetTraceID, x.TraceID), x.Version
	}
	targets := map[string]bool{}
	for _, c := range r.Checks {
		if c.Target != "" {
			targets[c.Target] = targets[c.Target] || c.Verdict == probe.Fail
		}
	}
	for target, failed := range targets {
		if failed && len(out.Failed) < mostTargets {
			out.Failed = append(out.Failed, target)
		}
	}
	slices.Sort(out.Failed)
	out.Of = len(targets)
	return out
}

// passed notes that a probe of the incident is well again. What cannot be told neither opens an incident nor ends it.
func (s *system) passed(r *probe.Result) (news bool) {
	i := s.Incident
	if i == nil {
		return false
	}
	if at := slices.Index(i.Open, r.Name); at >= 0 {
		i.Open, news = slices.Delete(i.Open, at, at+1), true
		if len(i.Open) == 0 {
			i.Recovered = r.Started
		}
	}
	if _, part := i.Symptoms[r.Name]; part && !i.Recovered.IsZero() {
		i.Checked = r.Started
	}
	return news
}
