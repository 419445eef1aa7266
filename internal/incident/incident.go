// Package incident records what the prober saw of an incident and writes the note that the runbooks ask for: start,
// symptoms, scope, changes near the onset, and recovery. It leaves blank what the prober cannot know.
package incident

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"prober/internal/drop"
	"prober/internal/probe"
)

// Bounds for one system, so that a flapping target cannot fill the memory or the file.
const (
	maxSymptoms = 50
	maxChanges  = 20
	maxTargets  = 200

	maxChangesPerHour = 4 // of one probe

	maxOrphaned = 90 * 24 * time.Hour
)

// A Tracker watches results and records one incident for each system: the open one or, after recovery, the last one. It
// is a probe.Sink, and its methods may be called from several goroutines.
type Tracker struct {
	mu        sync.Mutex
	jobs      []probe.Job
	intervals map[probe.Key]time.Duration // of jobs
	systems   map[string]*system
	latest    map[string]map[string]lastRun // by system and probe; not stored
	ended     []probe.IncidentRecord        // of incidents that others replaced before they were saved

	reporters map[probe.Key]bool           // the probes that are about deploys
	running   map[string]map[string]string // by system and such a probe: the version that runs, as of its last run; not stored
	streaks   map[probe.Key]streak         // by such a probe; not stored
	looked    map[string]look              // by system with such a probe; not stored

	changed chan struct{} // tells Persist that there is something to write
}

// A lastRun is the outcome of a probe's last run.
type lastRun struct {
	at      time.Time
	verdict probe.Verdict
	reason  probe.Reason
}

// A system is the state of one system, as it is stored.
type system struct {
	Incident         *incident                 `json:"incident,omitempty"`
	Versions         map[string]string         `json:"versions,omitempty"`           // by probe and target: the last one seen
	LastGoodVersions map[string]string         `json:"last_good_versions,omitempty"` // likewise, the last one in a run that passed
	Changes          []change                  `json:"changes,omitempty"`            // of versions, the newest last
	Deploys          map[string][]probe.Deploy `json:"deploys,omitempty"`            // by probe: the newest, the newest first
	Good             map[string][]goodVersion  `json:"good_versions,omitempty"`      // by probe, the newest last

	Breaches map[string]breach `json:"breaches,omitempty"` // by probe
}

// An incident is one incident.
type incident struct {
	Start       time.Time          `json:"start"`                 // of the first run that failed
	OnsetSeen   bool               `json:"onset_seen,omitempty"`  // the same probe passed in its run before
	Symptoms    map[string]symptom `json:"symptoms"`              // by probe: its first failure
	Recovered   time.Time          `json:"recovered,omitzero"`    // when the last of them passed again; zero before
	LastChecked time.Time          `json:"last_checked,omitzero"` // their last run since then
	Order       []string           `json:"order"`                 // of the symptoms
	NotKept     int                `json:"not_kept,omitempty"`    // symptoms beyond those kept
	Open        []string           `json:"open,omitempty"`        // probes that have not passed since
	Severity    map[string]string  `json:"severities,omitzero"`   // by probe

	Deploys     []nearDeploy `json:"deploys,omitempty"`     // near the onset, by probe, the newest first
	FailedAgain time.Time    `json:"failed_again,omitzero"` // when the first failed after all but those of deploys had passed again

	PassingSince time.Time            `json:"passing_since,omitzero"` // since when they pass without a gap; zero if unknown
	Removed      []string             `json:"removed,omitempty"`      // probes that a reload removed before they passed
	Passing      map[string]time.Time `json:"passing,omitempty"`      // when other probes last passed during the incident
	NoNetwork    map[string]time.Time `json:"no_network,omitempty"`   // when other probes last found the prober's own network down
}

// A change is a change of a target's version.
type change struct {
	At       time.Time `json:"at"`
	Probe    string    `json:"probe"`
	Target   string    `json:"target,omitempty"`
	From, To string
}

// A breach is when a probe saw what must never happen. It is kept as long as the probe is configured: that a leak
// cannot be reproduced now proves little. One that nobody acknowledged outlives its probe by maxOrphaned.
type breach struct {
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
	Reason string    `json:"reason"`
	// Ongoing is whether no run has passed since. An acknowledgement covers a breach until it is over; the next one needs its own.
	Ongoing      bool                  `json:"ongoing,omitempty"`
	Acknowledged probe.Acknowledgement `json:"acknowledged,omitzero"`
}

// New returns an empty Tracker.
func New() *Tracker {
	return &Tracker{
		systems: map[string]*system{}, latest: map[string]map[string]lastRun{}, changed: make(chan struct{}, 1),
		running: map[string]map[string]string{}, streaks: map[probe.Key]streak{}, looked: map[string]look{},
	}
}

// SetJobs replaces the set of probes. The Tracker forgets all others.
func (t *Tracker) SetJobs(jobs []probe.Job) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.jobs, t.intervals, t.reporters = jobs, make(map[probe.Key]time.Duration, len(jobs)), map[probe.Key]bool{}
	clear(t.looked)
	names := map[string][]string{}
	for _, j := range jobs {
		names[j.System] = append(names[j.System], j.Name)
		t.intervals[j.Key()] = j.Interval
		if _, ok := j.Probe.(probe.DeployReporter); ok {
			t.reporters[j.Key()] = true
		}
	}
	for name, s := range t.systems {
		if names[name] == nil {
			if s.Incident != nil && len(t.ended) < maxEnded {
				s.retain(nil)
				t.ended = append(t.ended, t.record(name, s, s.Incident))
			}
			delete(t.latest, name)
			delete(t.running, name)
			s.retain(nil)
			s.Incident, s.Changes = nil, nil
			if len(s.Breaches) == 0 {
				delete(t.systems, name)
			}
			continue
		}
		s.retain(names[name])
	}
	maps.DeleteFunc(t.streaks, func(k probe.Key, _ streak) bool { return !t.reporters[k] })
	for name, versions := range t.running {
		maps.DeleteFunc(versions, func(p string, _ string) bool { return !t.reporters[probe.Key{System: name, Name: p}] })
	}
	for name, results := range t.latest {
		for p := range results {
			if _, known := t.intervals[probe.Key{System: name, Name: p}]; !known {
				delete(results, p)
			}
		}
	}
	t.signalChange()
}

// Incident returns what is known of the last incident of a system. Its beginning is only if it was seen: the probe that failed
// first had passed in its run before. Otherwise the incident may have begun long before its first failure, for instance before
// this process.
func (t *Tracker) Incident(system string) (out probe.Incident) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.systems[system]
	if s == nil {
		return out
	}
	for reporter := range s.Good {
		if good, known := s.lastGood(s.Incident, reporter); known {
			if out.LastGood == nil {
				out.LastGood = map[string]string{}
			}
			out.LastGood[reporter] = good.Version
		}
	}
	if s.Incident == nil {
		return out
	}
	if s.Incident.OnsetSeen {
		out.Start, out.End = s.Incident.Start, s.Incident.Recovered
	}
	out.Onset, out.Open, out.Severity = t.onset(system, s.Incident)
	for _, d := range s.Incident.Deploys {
		if out.Near == nil {
			out.Near = map[string][]probe.Deploy{}
		}
		out.Near[d.Probe] = append(out.Near[d.Probe], d.Deploy)
	}
	return out
}

// retain forgets all probes but these. An incident of removed probes alone is no longer open.
func (s *system) retain(names []string) {
	for p, b := range s.Breaches {
		if !slices.Contains(names, p) && (!b.Acknowledged.At.IsZero() || time.Since(b.Last) > maxOrphaned) {
			delete(s.Breaches, p)
		}
	}
	maps.DeleteFunc(s.Deploys, func(p string, _ []probe.Deploy) bool { return !slices.Contains(names, p) })
	maps.DeleteFunc(s.Good, func(p string, _ []goodVersion) bool { return !slices.Contains(names, p) })
	for _, versions := range []map[string]string{s.Versions, s.LastGoodVersions} {
		for at := range versions {
			if p, _, _ := strings.Cut(at, " "); !slices.Contains(names, p) {
				delete(versions, at)
			}
		}
	}
	if i := s.Incident; i != nil {
		i.Open = drop.If(i.Open, func(p string) bool {
			gone := !slices.Contains(names, p)
			if gone && !slices.Contains(i.Removed, p) {
				i.Removed = append(i.Removed, p)
			}
			return gone
		})
	}
}
