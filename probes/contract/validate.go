package contract

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
	"unicode/utf8"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/selector"
	"prober/internal/sorted"
)

// Bounds of what is configured.
const (
	maxFamilies = 500
	maxValues   = 100 // of a label
	maxBounds   = 50
	maxZeros    = 50
	maxName     = 200 // bytes of the name of a metric
)

// types are those of the text format.
var types = []string{"counter", "gauge", "histogram", "summary", "untyped"}

// Validate reports what is wrong with the settings.
func (p *Probe) Validate() error {
	var wrong []error
	client, err := p.Client(p.URL)
	wrong = append(wrong, err)
	p.client = client
	if p.URL == "" {
		wrong = append(wrong, probe.Settingf("url", "is missing"))
	}
	wrong = append(wrong, probe.InSetting("replicas", p.Replicas.Validate()))
	if len(p.Families)+len(p.Zero)+len(p.Moves) == 0 {
		wrong = append(wrong, probe.Settingf("families", "expected families, zero or moves: without them nothing is required"))
	}
	if n := len(p.Families); n > maxFamilies {
		wrong = append(wrong, probe.Settingf("families", "expected at most %d, got %d", maxFamilies, n))
	}
	for _, name := range sorted.Keys(p.Families) {
		wrong = append(wrong, probe.InSetting("families."+name, p.Families[name].validate(name)))
	}
	return errors.Join(append(wrong, p.validateZero(), p.validateMoves())...)
}

func (f Family) validate(name string) error {
	var wrong []error
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		wrong = append(wrong, probe.Settingf("", "expected the name of a metric, at most %d bytes", maxName))
	}
	if f.Type != "" && !slices.Contains(types, f.Type) {
		wrong = append(wrong, probe.Settingf("type", "expected counter, gauge, histogram, summary or untyped"))
	}
	for _, label := range sorted.Keys(f.Labels) {
		path := "labels." + label
		switch {
		case label == "" || label == selector.NameLabel || label == "le" || label == "quantile":
			wrong = append(wrong, probe.Settingf(path, "expected a label of the service's own"))
		case len(f.Labels[label]) > maxValues:
			wrong = append(wrong, probe.Settingf(path, "expected at most %d values, got %d", maxValues, len(f.Labels[label])))
		case slices.Contains(f.Labels[label], ""):
			wrong = append(wrong, probe.Settingf(path, "an empty value is the same as no label"))
		}
	}
	if len(f.Buckets) > 0 && f.Type != "histogram" {
		wrong = append(wrong, probe.Settingf("buckets", "only a histogram has buckets; expected type: histogram"))
	}
	if len(f.Buckets) > maxBounds {
		wrong = append(wrong, probe.Settingf("buckets", "expected at most %d, got %d", maxBounds, len(f.Buckets)))
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateZero() error {
	var wrong []error
	p.zeros = map[string]selector.Selector{}
	if n := len(p.Zero); n > maxZeros {
		wrong = append(wrong, probe.Settingf("zero", "expected at most %d, got %d", maxZeros, n))
	}
	for _, name := range sorted.Keys(p.Zero) {
		path := "zero." + name
		wrong = append(wrong, probe.InSetting(path, probe.ValidateName(name)))
		s, err := selector.Parse(p.Zero[name])
		if err != nil {
			wrong = append(wrong, probe.Settingf(path, "expected a series such as requests_total{code=\"500\"}: %s", err))
			continue
		}
		p.zeros[name] = s
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateMoves() error {
	var wrong []error
	p.movers = map[string]*mover{}
	if n := len(p.Moves); n > maxMoves {
		wrong = append(wrong, probe.Settingf("moves", "expected at most %d, got %d", maxMoves, n))
	}
	for _, name := range sorted.Keys(p.Moves) {
		m := &mover{Move: p.Moves[name]}
		err := errors.Join(probe.ValidateName(name), m.validate())
		wrong = append(wrong, probe.InSetting("moves."+name, err))
		p.movers[name] = m
	}
	return errors.Join(wrong...)
}

func (m *mover) validate() error {
	var wrong []error
	s, err := selector.Parse(m.Series)
	if err != nil && m.Series != "" {
		wrong = append(wrong, probe.Settingf("series", "expected a series such as requests_total{code=\"500\"}: %s", err))
	}
	m.series, m.within = s, cmp.Or(m.Within.D(), defaultWithin)
	if m.Within.D() < 0 {
		wrong = append(wrong, probe.Settingf("within", "must be above zero"))
	}
	if m.Request == nil {
		return errors.Join(wrong...)
	}
	q := *m.Request
	q.Method = cmp.Or(q.Method, "GET")
	q.Confidential = !q.Body.Secret.IsZero()
	m.Request, m.within = &q, cmp.Or(m.Within.D(), defaultAfter)
	client, err := q.Settings.Client(q.URL)
	m.client = client
	if _, bad := netip.ParseAddrPort(q.Address); bad != nil && q.Address != "" {
		wrong = append(wrong, probe.Settingf("request.address", "expected IP:port"))
	}
	wrong = append(wrong, probe.InSetting("request", err), probe.InSetting("request.method", httpx.ValidateMethod(q.Method)))
	return errors.Join(wrong...)
}

// CheckTimeout refuses a time after a request that is longer than the run.
func (p *Probe) CheckTimeout(timeout time.Duration) error {
	var wrong []error
	for _, name := range sorted.Keys(p.movers) {
		if m := p.movers[name]; m.Request != nil && m.within >= timeout {
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("moves.%s.within", name), "expected less than the timeout, %s", probe.Duration(timeout)))
		}
	}
	return errors.Join(wrong...)
}
