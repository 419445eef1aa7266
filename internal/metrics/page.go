package metrics

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"prober/internal/exposition"
	"prober/internal/probe"

	dto "github.com/prometheus/client_model/go"
)

// A page is one scrape under way, with the memory that it needs. The memory is used again.
type page struct {
	now    time.Time // of the scrape
	rows   []row
	found  map[string]*found // measures and signals by name
	order  []part
	out    exposition.Writer
	names  []string // the labels of the series being written, beyond those that all of its probe have
	values []string
}

// A part is one family of a scrape, from one of three sources.
type part struct {
	name    string
	fixed   *family
	found   *found
	library *dto.MetricFamily
}

func newPage() *page { return &page{found: map[string]*found{}} }

// arrange puts the families in the order of their names. Where two have one name, the prober's own is written.
func (p *page) arrange(gathered []*dto.MetricFamily) {
	for i := range families {
		p.order = append(p.order, part{name: families[i].name, fixed: &families[i]})
	}
	for _, f := range gathered {
		p.order = append(p.order, part{name: f.GetName(), library: f})
	}
	for name, f := range p.found {
		if slices.ContainsFunc(p.order, func(o part) bool { return o.name == name && o.found == nil }) {
			continue
		}
		p.order = append(p.order, part{name: name, found: f})
	}
	slices.SortFunc(p.order, func(a, b part) int { return strings.Compare(a.name, b.name) })
}

// write writes one family. A panic spoils that family alone.
func (p *page) write(o part) (err error) {
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
		for i := 0; i < len(p.rows) && !p.out.Failed(); i++ {
			o.fixed.write(&p.rows[i], p)
		}
		return nil
	}
	p.out.Begin(o.name, o.found.help, o.found.kind)
	for i := 0; i < len(o.found.refs) && !p.out.Failed(); i++ {
		p.writeRef(&o.found.refs[i])
	}
	return nil
}

func (p *page) writeRef(at *ref) {
	r := &p.rows[at.row]
	if at.signal != nil {
		p.writeSignal(at.signal, r.last)
		return
	}
	samples := r.last.samples
	if at.kept {
		samples = r.kept
	}
	for _, s := range samples[at.from:at.to] {
		p.names, p.values = p.names[:0], p.values[:0]
		for i, name := range s.Labels {
			p.label(name, s.Values[i])
		}
		var created int64
		if s.Counter {
			created = r.registered
		}
		p.out.Sample(&r.view.labels, p.names, p.values, s.Value, created)
	}
}

// writeSignal writes one series, or one for each target where the check has targets: also for the only one that is
// left, or a series would change its name with the number of replicas. What nobody can tell is absent.
func (p *page) writeSignal(s *signal, last *lastRun) {
	of := last.of(s.check)
	if len(of) > 0 && of[0].target != "" && s.labels.Has(replica) {
		// The label is taken, so one series stands for all targets.
		verdict := of[0].verdict
		for i := range of {
			verdict = worse(verdict, of[i].verdict)
		}
		of = []checked{{verdict: verdict}}
	}
	for i := range of {
		if of[i].verdict == probe.Inconclusive {
			continue
		}
		p.names, p.values = p.names[:0], p.values[:0]
		if of[i].target != "" {
			p.label(replica, of[i].target)
		}
		p.out.Sample(&s.labels, p.names, p.values, number(of[i].verdict == probe.Pass), 0)
	}
}

// of returns what the run says of one check, by target.
func (l *lastRun) of(check string) []checked {
	from, _ := slices.BinarySearchFunc(l.checks, check, func(c checked, check string) int { return strings.Compare(c.check, check) })
	to := from
	for to < len(l.checks) && l.checks[to].check == check {
		to++
	}
	return l.checks[from:to]
}

// put writes a gauge of a probe. Further labels are given as names and values in turn.
func (p *page) put(r *row, v float64, labels ...string) {
	p.only(labels)
	p.out.Sample(&r.view.labels, p.names, p.values, v, 0)
}

// count writes a counter of a probe, as put does a gauge.
func (p *page) count(r *row, n uint64, created int64, labels ...string) {
	p.only(labels)
	p.out.Sample(&r.view.labels, p.names, p.values, float64(n), created)
}

// only makes the labels those of the series being written.
func (p *page) only(labels []string) {
	p.names, p.values = p.names[:0], p.values[:0]
	for i := 0; i < len(labels); i += 2 {
		p.label(labels[i], labels[i+1])
	}
}

// label adds a label to the series being written. One without a value is the same as none.
func (p *page) label(name, value string) {
	if value != "" {
		p.names, p.values = append(p.names, name), append(p.values, value)
	}
}
