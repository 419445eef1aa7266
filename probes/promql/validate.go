package promql

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/sorted"
)

// Bounds of what one run asks.
const (
	maxQueries = 10 // values, and comparisons
	maxWindows = 5
	minWindow  = time.Minute
	maxWindow  = 24 * time.Hour
)

// selector is an instant vector selector without functions, of which timestamp() says when its samples were scraped. A colon
// is in names of recorded series, which go on for minutes after those that they are made of.
var selector = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*(\{[^{}()]*\})?$`)

// Validate reports all invalid settings, joined.
func (p *Probe) Validate() error {
	client, err := p.Settings.Client(p.URL)
	wrong := []error{err}
	p.client = client
	if p.URL == "" {
		wrong = append(wrong, probe.Settingf("url", "is missing"))
	} else if u, err := url.Parse(p.URL); err == nil && (u.RawQuery != "" || strings.HasSuffix(u.Path, "/api/v1/query")) {
		wrong = append(wrong, probe.Settingf("url", "expected the URL of the server, without /api/v1/query and parameters"))
	}
	wrong = append(wrong, probe.InSetting("fresh", p.Fresh.validate()))
	if len(p.Values)+len(p.Compare) == 0 {
		wrong = append(wrong, probe.Settingf("values", "expected values, or compare"))
	}
	if len(p.Values) > maxQueries || len(p.Compare) > maxQueries {
		wrong = append(wrong, probe.Settingf("values", "expected at most %d values, and as many comparisons", maxQueries))
	}
	wrong = append(wrong, p.validateValues(), p.validateWindows(), p.validateBaseline())
	for _, name := range sorted.Keys(p.Compare) {
		path := "compare." + name
		wrong = append(wrong, probe.InSetting(path, probe.ValidateName(name)), probe.InSetting(path, p.Compare[name].validate()))
	}
	if p.MinSamples < 0 || p.MinSamples > 1_000_000 {
		wrong = append(wrong, probe.Settingf("min_samples", "expected 1 to 1000000"))
	}
	return errors.Join(wrong...)
}

func (f Fresh) validate() error {
	var wrong []error
	switch {
	case f.Series == "":
		wrong = append(wrong, probe.Settingf("series", "is missing: a dead service is still answered for, from what was scraped before"))
	case !selector.MatchString(f.Series):
		wrong = append(wrong, probe.Settingf("series", "expected a plain selector such as requests_total{job=\"shop\"}: the result of a function, or a recorded series, is never old"))
	case f.Series == "up" || strings.HasPrefix(f.Series, "up{"):
		wrong = append(wrong, probe.Settingf("series", "expected a series that the service exposes: Prometheus writes up itself, also for a dead one"))
	}
	if f.MaxAge < 0 {
		wrong = append(wrong, probe.Settingf("max_age", "must be above zero"))
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateValues() error {
	wrong := []error{probe.InSetting("control", validateQuery(p.Control, false))}
	proven := true
	for _, name := range sorted.Keys(p.Values) {
		v, path := p.Values[name], "values."+name
		wrong = append(wrong, probe.InSetting(path, probe.ValidateName(name)), probe.InSetting(path, v.validate()))
		proven = proven && v.Min != nil && *v.Min > 0
	}
	for _, name := range sorted.Keys(p.Compare) {
		if _, taken := p.Values[name]; taken {
			wrong = append(wrong, probe.Settingf("compare."+name, "the name %s is taken", name))
		}
	}
	if p.Control == "" && !proven {
		wrong = append(wrong, probe.Settingf("control", "expected a control: a small value is also what a service has that nobody calls, or a query that matches the wrong series"))
	}
	return errors.Join(wrong...)
}

func (v Value) validate() error {
	wrong := []error{probe.InSetting("query", validateQuery(v.Query, false))}
	if v.Query == "" {
		wrong = append(wrong, probe.Settingf("query", "is missing"))
	}
	switch {
	case v.Min == nil && v.Max == nil:
		wrong = append(wrong, probe.Settingf("", "expected min or max"))
	case v.Min != nil && v.Max != nil && *v.Min > *v.Max:
		wrong = append(wrong, probe.Settingf("min", "is above max"))
	}
	return errors.Join(wrong...)
}

// validateQuery refuses a query that is not for one moment, or not for a window.
func validateQuery(query string, windowed bool) error {
	switch {
	case query == "":
		return nil
	case windowed != strings.Contains(query, windowPlaceholder) && windowed:
		return probe.Settingf("", "expected [%s] as its range", windowPlaceholder)
	case windowed != strings.Contains(query, windowPlaceholder):
		return probe.Settingf("", "%s has no meaning here; write the range", windowPlaceholder)
	}
	return nil
}

func (p *Probe) validateWindows() error {
	switch {
	case len(p.Windows) > maxWindows:
		return probe.Settingf("windows", "expected at most %d", maxWindows)
	case len(p.Compare) == 0 && len(p.Windows) > 0:
		return probe.Settingf("windows", "has no effect without compare")
	}
	for i, w := range p.Windows {
		if w.D() < minWindow || w.D() > maxWindow || w.D()%time.Second != 0 || i > 0 && w <= p.Windows[i-1] {
			return probe.Settingf("windows", "expected whole seconds from %s to %s, each more than the one before", probe.Duration(minWindow), probe.Duration(maxWindow))
		}
	}
	return nil
}

func (p *Probe) validateBaseline() error {
	switch widest := slices.Max(p.windows()); {
	case len(p.Compare) == 0 && p.Baseline != nil:
		return probe.Settingf("baseline", "has no effect without compare")
	case len(p.Compare) > 0 && p.Baseline == nil:
		return probe.Settingf("baseline", "is missing: what to compare with")
	case p.Baseline != nil && p.Baseline.Offset < 2*widest:
		return probe.Settingf("baseline.offset", "expected at least twice the widest window, %s", 2*widest)
	}
	return nil
}

func (c Comparison) validate() error {
	var wrong []error
	for key, query := range map[string]string{"bad": c.Bad, "good": c.Good, "total": c.Total, "buckets": c.Buckets, "own.bad": c.Own.Bad, "own.total": c.Own.Total} {
		wrong = append(wrong, probe.InSetting(key, validateQuery(query, true)))
	}
	switch {
	case c.Buckets != "" && (c.Bad != "" || c.Good != "" || c.Total != "" || c.Own.Bad != ""):
		wrong = append(wrong, probe.Settingf("buckets", "has no place beside bad, good, total and own.bad"))
	case c.Buckets != "" && c.Worse.Points != 0:
		wrong = append(wrong, probe.Settingf("worse.points", "are for a share"))
	case c.Buckets == "" && (c.Total == "" || (c.Bad == "") == (c.Good == "")):
		wrong = append(wrong, probe.Settingf("", "expected total, and either good or bad; or buckets"))
	}
	if inRange := c.Quantile > 0 && c.Quantile < 1; inRange != (c.Buckets != "") || c.Buckets == "" && c.Quantile != 0 {
		wrong = append(wrong, probe.Settingf("quantile", "expected a number between 0 and 1, with buckets"))
	}
	if w := c.Worse; w != (Worse{}) && !(w.Factor == 0 || w.Factor >= 1 && w.Factor <= 1000) {
		wrong = append(wrong, probe.Settingf("worse.factor", "expected 1 to 1000"))
	}
	if w := c.Worse; !(w.Points >= 0 && w.Points <= 100) {
		wrong = append(wrong, probe.Settingf("worse.points", "expected 0 to 100"))
	}
	return errors.Join(wrong...)
}
