package metrics

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"prober/internal/exposition"
	"prober/internal/probe"
	"prober/internal/sorted"

	dto "github.com/prometheus/client_model/go"
)

// A scrape is one scrape in progress, with the memory that it needs. The memory is used again.
type scrape struct {
	now      time.Time // of the scrape
	jobs     []jobSnapshot
	dynamic  map[string]*dynamicFamily // measures and signals by name
	families []family
	out      exposition.Writer
	names    []string // the labels of the series being written, beyond those that all of its probe have
	values   []string
}

// A family is one family of a scrape, from one of three sources.
type family struct {
	name    string
	fixed   *fixedFamily
	dynamic *dynamicFamily
	library *dto.MetricFamily
}

func newScrape() *scrape { return &scrape{dynamic: map[string]*dynamicFamily{}} }

// sortFamilies puts the families in the order of their names. If two have the same name, the fixed one is written.
func (p *scrape) sortFamilies(gathered []*dto.MetricFamily) {
	for i := range fixedFamilies {
		p.families = append(p.families, family{name: fixedFamilies[i].name, fixed: &fixedFamilies[i]})
	}
	for _, f := range gathered {
		p.families = append(p.families, family{name: f.GetName(), library: f})
	}
	for name, f := range p.dynamic {
		if slices.ContainsFunc(p.families, func(o family) bool { return o.name == name && o.dynamic == nil }) {
			continue
		}
		p.families = append(p.families, family{name: name, dynamic: f})
	}
	sorted.By(p.families, func(a, b family) int { return strings.Compare(a.name, b.name) })
}

// write writes one family. A panic loses that family and no other.
func (p *scrape) write(o family) (err error) {
	if o.library != nil {
		return p.out.Family(o.library)
	}
	defer func() {
		cause := recover()
		end := p.out.End(cause == nil)
		if err = end; cause != nil {
			err = fmt.Errorf("writing %s panicked with a %T", o.name, cause)
		}
	}()
	if o.fixed != nil {
		p.out.Begin(o.fixed.name, o.fixed.help, o.fixed.kind)
		for i := 0; i < len(p.jobs) && !p.out.Failed(); i++ {
			o.fixed.write(&p.jobs[i], p)
		}
		return nil
	}
	p.out.Begin(o.name, o.dynamic.help, o.dynamic.kind)
	for i := 0; i < len(o.dynamic.series) && !p.out.Failed(); i++ {
		p.writeRef(&o.dynamic.series[i])
	}
	return nil
}

func (p *scrape) writeRef(at *seriesRef) {
	r := &p.jobs[at.job]
	if at.signal != nil {
		p.writeSignal(at.signal, r.last)
		return
	}
	samples := r.last.samples
	if at.persistent {
		samples = r.persistent
	}
	for _, s := range samples[at.from:at.to] {
		p.names, p.values = p.names[:0], p.values[:0]
		for i, name := range s.Labels {
			p.addLabel(name, s.Values[i])
		}
		var created int64
		if s.Counter {
			created = r.registered
		}
		p.out.Sample(&r.view.labels, p.names, p.values, s.Value, created)
	}
}

// writeSignal writes one series for all targets of the check, or one for each. An inconclusive check has none.
func (p *scrape) writeSignal(s *signal, last *lastRun) {
	of := last.followed(s.check)
	if len(of) > 0 && (s.targets != probe.EachTarget || s.labels.Has(replica)) {
		verdict := s.sumUp(of)
		if verdict == probe.Pass && s.targets != probe.BestTarget && !last.complete(of) {
			verdict = probe.Inconclusive
		}
		of = []checkVerdict{{verdict: verdict}}
	}
	for i := range of {
		if of[i].verdict == probe.Inconclusive {
			continue
		}
		p.setLabels([]string{replica, of[i].target})
		p.out.Sample(&s.labels, p.names, p.values, boolFloat(of[i].verdict == probe.Pass), 0)
	}
}

// sumUp returns the verdict of a signal over all targets of its check.
func (s *signal) sumUp(of []checkVerdict) probe.Verdict {
	verdict := of[0].verdict
	for _, c := range of[1:] {
		worse := probe.Worse(verdict, c.verdict)
		if s.targets != probe.BestTarget {
			verdict = worse
		} else if worse == verdict {
			verdict = c.verdict
		}
	}
	return verdict
}

// complete reports whether no target is missing among the verdicts of a check: a target where the check could not be
// made says so by another check, and there may have been no room for a verdict.
func (l *lastRun) complete(of []checkVerdict) bool {
	if l.dropped {
		return false
	}
	if len(of) == 1 && of[0].target == "" {
		return true // a check of the whole run
	}
	missing := func(c checkVerdict) bool {
		return c.target != "" && c.verdict != probe.Pass &&
			!slices.ContainsFunc(of, func(o checkVerdict) bool { return o.target == c.target })
	}
	return !slices.ContainsFunc(l.checks, missing)
}

// followed returns the verdicts of one check for a signal, by target.
func (l *lastRun) followed(check string) []checkVerdict {
	noted, held := ofCheck(l.checks, check), ofCheck(l.held, check)
	if len(held) == 0 {
		return noted
	}
	all := slices.Concat(noted, held)
	sorted.By(all, checkVerdict.compare)
	return all
}

// ofCheck returns the verdicts of one check, of all that are sorted.
func ofCheck(all []checkVerdict, check string) []checkVerdict {
	from, _ := slices.BinarySearchFunc(all, check, func(c checkVerdict, check string) int { return strings.Compare(c.check, check) })
	to := from
	for to < len(all) && all[to].check == check {
		to++
	}
	return all[from:to]
}

// gauge writes a gauge of a probe. Further labels are given as names and values in turn.
func (p *scrape) gauge(r *jobSnapshot, v float64, labels ...string) {
	p.setLabels(labels)
	p.out.Sample(&r.view.labels, p.names, p.values, v, 0)
}

// counter writes a counter of a probe, as gauge does a gauge.
func (p *scrape) counter(r *jobSnapshot, n uint64, created int64, labels ...string) {
	p.setLabels(labels)
	p.out.Sample(&r.view.labels, p.names, p.values, float64(n), created)
}

// setLabels makes the labels those of the series being written.
func (p *scrape) setLabels(labels []string) {
	p.names, p.values = p.names[:0], p.values[:0]
	for i := 0; i < len(labels); i += 2 {
		p.addLabel(labels[i], labels[i+1])
	}
}

// addLabel adds a label to the series being written. A label without a value is the same as no label.
func (p *scrape) addLabel(name, value string) {
	if value != "" {
		p.names, p.values = append(p.names, name), append(p.values, value)
	}
}
