package metrics

import (
	"slices"
	"time"

	"prober/internal/exposition"
	"prober/internal/probe"

	dto "github.com/prometheus/client_model/go"
)

// A row is the state of one probe at the time of a scrape.
type row struct {
	view        *view
	last        *lastRun
	registered  int64
	runs        [len(probe.Verdicts)]uint64
	connections uint64
	lastPass    float64
	failures    []count
	expected    []count
	latency     exposition.Histogram
	kept        []sample
}

// never is the last run of a probe that had none.
var never = &lastRun{}

// copyInto fills in a row, in the memory that it already has. All of it is from between two runs.
func (s *state) copyInto(r *row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.view, r.registered, r.runs, r.connections, r.lastPass = s.view, s.registered, s.runs, s.connections, s.lastPass
	r.failures = append(r.failures[:0], s.failures.counts...)
	r.expected = append(r.expected[:0], s.expected.counts...)
	r.kept = append(r.kept[:0], s.kept...)
	s.latency.CopyInto(&r.latency)
	if r.last = s.last; r.last == nil {
		r.last = never
	}
}

// A found is a family that some probes have: a measure or a signal. It lists where its series are.
type found struct {
	help string
	kind dto.MetricType
	refs []ref
}

// A ref is a series of a row: the samples from and to, of the last run or those that outlive it, or the signal.
type ref struct {
	row      int32
	from, to int32
	kept     bool
	signal   *signal
}

// take copies the state of all probes and looks up what they have in measures and signals.
func (p *page) take(b *book) {
	p.now = time.Now()
	p.rows = slices.Grow(p.rows[:0], len(b.order))[:len(b.order)]
	for i, s := range b.order {
		r := &p.rows[i]
		s.copyInto(r)
		p.findMeasures(i, r, r.last.samples, false)
		p.findMeasures(i, r, r.kept, true)
		for j := range r.view.signals {
			s := &r.view.signals[j]
			f := p.lookUp(s.name, signalHelp, gauge)
			f.refs = append(f.refs, ref{row: int32(i), signal: s})
		}
	}
}

func (p *page) findMeasures(i int, r *row, samples []sample, kept bool) {
	for from := 0; from < len(samples); {
		m := samples[from].Measure
		to := from + 1
		for to < len(samples) && samples[to].Measure == m {
			to++
		}
		if !slices.ContainsFunc(m.Labels, r.view.labels.Has) { // labels may have come with a reload since the run
			kind := gauge
			if m.Counter {
				kind = counter
			}
			f := p.lookUp(m.Name, m.Help, kind)
			f.refs = append(f.refs, ref{row: int32(i), from: int32(from), to: int32(to), kept: kept})
		}
		from = to
	}
}

func (p *page) lookUp(name, help string, kind dto.MetricType) *found {
	f := p.found[name]
	if f == nil {
		f = &found{}
		p.found[name] = f
	}
	if len(f.refs) == 0 {
		f.help, f.kind = valid(help), kind
	}
	return f
}

// forget lets go of what the page points to, so that a kept page keeps neither removed probes nor the reader.
func (p *page) forget() {
	for i := range p.rows {
		r := &p.rows[i]
		r.view, r.last = nil, nil
		clear(r.failures)
		clear(r.expected)
		clear(r.kept)
	}
	for name, f := range p.found {
		if len(f.refs) == 0 {
			delete(p.found, name)
		}
		clear(f.refs)
		f.refs = f.refs[:0]
	}
	p.out.Release()
	clear(p.names)
	clear(p.values)
	clear(p.order[:cap(p.order)])
	p.order = p.order[:0]
}
