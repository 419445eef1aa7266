package metrics

import (
	"slices"
	"time"

	"prober/internal/exposition"
	"prober/internal/probe"

	dto "github.com/prometheus/client_model/go"
)

// A jobSnapshot is the state of one probe at the time of a scrape.
type jobSnapshot struct {
	view        *jobView
	last        *lastRun
	registered  int64
	runs        [len(probe.Verdicts)]uint64
	connections uint64
	lastPass    float64
	limited     float64
	failures    []counterEntry
	expected    []counterEntry
	latency     exposition.Histogram
	persistent  []sample
}

// noRun is the last run of a probe that had none.
var noRun = &lastRun{}

// copyInto fills in a snapshot, in the memory that it already has. All of it is from between two runs.
func (s *state) copyInto(r *jobSnapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.view, r.registered, r.runs, r.connections, r.lastPass, r.limited = s.view, s.registered, s.runs, s.connections, s.lastPass, s.limited
	r.failures = append(r.failures[:0], s.failures.entries...)
	r.expected = append(r.expected[:0], s.expected.entries...)
	r.persistent = append(r.persistent[:0], s.persistent...)
	s.latency.CopyInto(&r.latency)
	if r.last = s.last; r.last == nil {
		r.last = noRun
	}
}

// A dynamicFamily is a family that only some probes have: a measure or a signal.
type dynamicFamily struct {
	help   string
	kind   dto.MetricType
	series []seriesRef
}

// A seriesRef refers to series of a snapshot: the samples [from, to) of the last run or the persistent ones, or the signal.
type seriesRef struct {
	job        int32
	from, to   int32
	persistent bool
	signal     *signal
}

// snapshot copies the state of some probes and looks up what they have in measures and signals.
func (p *scrape) snapshot(states []*state) {
	p.now = time.Now()
	p.jobs = slices.Grow(p.jobs[:0], len(states))[:len(states)]
	for i, s := range states {
		r := &p.jobs[i]
		s.copyInto(r)
		p.addMeasures(i, r, r.last.samples, false)
		p.addMeasures(i, r, r.persistent, true)
		for j := range r.view.signals {
			s := &r.view.signals[j]
			f := p.dynamicFamily(s.name, signalHelp, gauge)
			f.series = append(f.series, seriesRef{job: int32(i), signal: s})
		}
	}
}

func (p *scrape) addMeasures(i int, r *jobSnapshot, samples []sample, kept bool) {
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
			f := p.dynamicFamily(m.Name, m.Help, kind)
			f.series = append(f.series, seriesRef{job: int32(i), from: int32(from), to: int32(to), persistent: kept})
		}
		from = to
	}
}

func (p *scrape) dynamicFamily(name, help string, kind dto.MetricType) *dynamicFamily {
	f := p.dynamic[name]
	if f == nil {
		f = &dynamicFamily{}
		p.dynamic[name] = f
	}
	if len(f.series) == 0 {
		f.help, f.kind = valid(help), kind
	}
	return f
}

// release drops all references, so that a spare scrape holds neither removed probes nor the reader.
func (p *scrape) release() {
	for i := range p.jobs {
		r := &p.jobs[i]
		r.view, r.last = nil, nil
		clear(r.failures)
		clear(r.expected)
		clear(r.persistent)
	}
	for name, f := range p.dynamic {
		if len(f.series) == 0 {
			delete(p.dynamic, name)
		}
		clear(f.series)
		f.series = f.series[:0]
	}
	p.out.Release()
	clear(p.names)
	clear(p.values)
	clear(p.families[:cap(p.families)])
	p.families = p.families[:0]
}
