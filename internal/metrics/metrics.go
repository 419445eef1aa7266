// Package metrics shows the results of probes as Prometheus metrics, written when somebody scrapes them.
//
// What a probe showed is kept as numbers, about 2 KiB for each probe, and becomes lines only in a scrape. A scrape
// first copies the state of every probe, each under its own lock, and then writes family by family from the copy: one
// scrape never shows half a run.
package metrics

import (
	"cmp"
	"compress/gzip"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"prober/internal/probe"
)

// Metrics keeps what the series show. It is a probe.Sink and the scheduler's watcher. All its methods may be called
// from several goroutines.
type Metrics struct {
	// CreatedLines makes scrapes in OpenMetrics text carry a _created sample beside each counter and histogram. It is
	// off because a Prometheus that is not told otherwise stores each of them as a series of its own. Scrapes in
	// protobuf carry the same times at no such price, always. Set it before the first scrape.
	CreatedLines bool

	setting sync.Mutex // held while jobs are set
	book    atomic.Pointer[book]
	self    *self
	scrapes chan struct{} // one element for each scrape under way
	spare   chan *page    // a page kept from an earlier scrape, so that the next one need not make it
	gzips   sync.Pool     // of *gzip.Writer
}

// book is the set of probes that are shown. It is never changed, only replaced.
type book struct {
	states map[key]*state
	order  []*state // by system, name and type
}

// key is what makes two jobs the same probe over a reload.
type key struct{ system, name, kind string }

func keyOf(id probe.ID) key { return key{id.System, id.Name, id.Type} }

func (k key) compare(o key) int {
	return cmp.Or(cmp.Compare(k.system, o.system), cmp.Compare(k.name, o.name), cmp.Compare(k.kind, o.kind))
}

// New returns metrics that show the prober itself and, until SetJobs, no probe.
func New(build Build) *Metrics {
	m := &Metrics{self: newSelf(build), scrapes: make(chan struct{}, maxScrapes), spare: make(chan *page, 1)}
	// The fastest level costs two thirds of the default's time for a tenth more bytes.
	m.gzips.New = func() any { z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed); return z }
	m.book.Store(&book{})
	return m
}

// SetJobs says which probes are shown from now on. A probe known by system, name and type keeps its counters, its
// histogram and what its last run showed, unless its settings are others now; labels, severity, signals and interval become those of the job. The series
// of a probe that is not among the jobs are gone, and a run of it that ends later does not bring them back.
func (m *Metrics) SetJobs(jobs []probe.Job) {
	m.setting.Lock()
	defer m.setting.Unlock()
	old := m.book.Load()
	now := time.Now()
	next := &book{states: make(map[key]*state, len(jobs)), order: make([]*state, 0, len(jobs))}
	taken := map[string]bool{} // the signals that have a probe
	for _, job := range jobs {
		k := keyOf(job.ID)
		if next.states[k] != nil {
			continue
		}
		s := old.states[k]
		if s == nil {
			s = &state{registered: now.UnixMilli()}
		}
		v, left := newView(job, m.self.names, taken)
		m.self.overflow.Add(float64(left + s.set(v, job.Probe, job.Settings, now)))
		next.states[k] = s
	}
	for _, k := range slices.SortedFunc(maps.Keys(next.states), key.compare) {
		next.order = append(next.order, next.states[k])
	}
	m.book.Store(next)
}

// Observe takes in what one run of a probe saw. Results of probes that are not shown are dropped.
func (m *Metrics) Observe(r probe.Result) {
	m.self.observe(&r)
	if s := m.book.Load().states[keyOf(r.ID)]; s != nil {
		if left := s.observe(&r); left > 0 {
			m.self.overflow.Add(float64(left))
		}
	}
}
