// Package metrics exposes the results of probes as Prometheus metrics, written at scrape time.
//
// The state of a probe is kept as numbers, about 2 KiB each, and becomes text only in a scrape. A scrape first copies the
// state of every probe, each under its own lock, and then writes family by family from the copy: no scrape shows half a
// run.
package metrics

import (
	"cmp"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"prober/internal/exposition"
	"prober/internal/probe"
)

// Metrics holds the state of all series. It is a probe.Sink and the scheduler's watcher. All its methods may be called
// from several goroutines.
type Metrics struct {
	// CreatedLines makes scrapes in OpenMetrics text carry a _created sample beside each counter and histogram. It is
	// off by default because Prometheus stores each of them as a series of its own unless configured otherwise. Scrapes
	// in protobuf always carry the same times at no such cost. Set it before the first scrape.
	CreatedLines bool

	setJobsMu   sync.Mutex // held during SetJobs
	jobs        atomic.Pointer[jobSet]
	self        *self
	scrapeSlots chan struct{} // one element for each scrape in progress
	spareScrape chan *scrape  // kept from an earlier scrape for its memory
}

// A jobSet is the set of probes that are shown. It is immutable.
type jobSet struct {
	states map[key]*state
	order  []*state // by system, name and type
}

// A key identifies a probe across reloads.
type key struct {
	probe.Key
	kind string
}

func keyOf(id probe.ID) key { return key{id.Key(), id.Type} }

func (k key) compare(o key) int {
	return cmp.Or(cmp.Compare(k.System, o.System), cmp.Compare(k.Name, o.Name), cmp.Compare(k.kind, o.kind))
}

// New returns metrics of the prober itself. SetJobs adds those of probes.
func New(build Build) *Metrics {
	m := &Metrics{self: newSelf(build), scrapeSlots: make(chan struct{}, maxScrapes), spareScrape: make(chan *scrape, 1)}
	m.jobs.Store(&jobSet{})
	return m
}

// SetJobs replaces the set of probes. A probe with the same system, name and type keeps its counters and its histogram
// and, if its settings did not change, the state of its last run. Labels, severity, signals and interval become those of
// the job. The series of a removed probe are gone, and a run of it that ends later does not bring them back.
func (m *Metrics) SetJobs(jobs []probe.Job) {
	m.setJobsMu.Lock()
	defer m.setJobsMu.Unlock()
	old := m.jobs.Load()
	now := time.Now()
	next := &jobSet{states: make(map[key]*state, len(jobs)), order: make([]*state, 0, len(jobs))}
	taken := map[string]bool{} // signals in use, as series
	keys := make([]key, 0, len(jobs))
	var near exposition.Labels // of the job before, which has most in common
	for i := range jobs {
		job := &jobs[i]
		k := keyOf(job.ID)
		if next.states[k] != nil {
			continue
		}
		s := old.states[k]
		if s == nil {
			s = &state{registered: now.UnixMilli(), view: &jobView{}}
		}
		v, dropped := newJobView(job, m.self.names, taken, []exposition.Labels{s.view.labels, near})
		near = v.labels
		m.self.overflow.Add(float64(dropped + s.set(v, job.Probe, job.Settings, now)))
		next.states[k] = s
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i].compare(keys[j]) < 0 }) // no two are equal
	for _, k := range keys {
		next.order = append(next.order, next.states[k])
	}
	m.jobs.Store(next)
}

// Observe records one run. Results of probes that are not in the set are dropped.
func (m *Metrics) Observe(r probe.Result) {
	m.self.observe(&r)
	if s := m.jobs.Load().states[keyOf(r.ID)]; s != nil {
		if dropped := s.observe(&r); dropped > 0 {
			m.self.overflow.Add(float64(dropped))
		}
	}
}
