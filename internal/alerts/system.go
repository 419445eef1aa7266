package alerts

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/sorted"
)

// region is the label of the location from which a system is probed. The configuration of each prober sets it, or the
// scrape does. It does not identify a probe.
const region = "region"

// defaultInterval is how often rules are evaluated. Each group states its interval: by default Prometheus evaluates once a
// minute, and then `for: 1m` means two.
const defaultInterval = 15 * time.Second

// A system is the jobs of one system, and what its rules have in common.
type system struct {
	name    string
	jobs    []probe.Job
	each    []each // of those that stand for several
	options Options

	everything string         // matchers for the series of the system
	byName     map[string]int // index of each job

	keys     []string               // the labels that identify a probe
	interval time.Duration          // how often the rules are evaluated
	asked    map[int]probe.Response // of people, by level of severity
}

// init fills in what the rules have in common.
func (s *system) init() {
	s.keys = []string{"system", "probe"}
	s.interval = defaultInterval
	s.asked = map[int]probe.Response{}
	named := map[string]bool{}
	for _, j := range s.jobs {
		maps.Copy(s.asked, j.Responses)
		for label := range j.Labels {
			named[label] = label != region
		}
		s.interval = min(s.interval, max(j.Interval, 5*time.Second))
	}
	for _, label := range sorted.Keys(named) {
		if named[label] {
			s.keys = append(s.keys, label)
		}
	}
	s.everything = strings.Join(append([]string{equal("system", s.name)}, s.shared(s.jobs)...), ",")
	s.byName = map[string]int{}
	for i := range s.jobs {
		s.byName[s.jobs[i].Name] = i
	}
}

// by is a grouping by probe, and by more labels.
func (s *system) by(more ...string) string {
	return "by (" + strings.Join(slices.Concat(s.keys, more), ", ") + ")"
}

// all matches the series of the system.
func (s *system) all() string { return s.everything }

// match matches the series of one probe. It includes the labels of the configuration, so that the probers of a staging
// system have no vote on production.
func (s *system) match(j probe.Job, more ...string) string {
	return strings.Join(slices.Concat([]string{equal("system", s.name), equal("probe", j.Name)}, s.shared([]probe.Job{j}), more), ",")
}

// labels are the labels that an alert on a probe has from its series.
func (s *system) labels(j probe.Job) map[string]string {
	return mergeLabels(s.common([]probe.Job{j}), map[string]string{"system": s.name, "probe": j.Name})
}

// A runbookGroup is jobs that share a runbook, and so one rule.
type runbookGroup struct {
	runbook, url string
	impact       string
	severity     severity
	jobs         []probe.Job
}

// groupByRunbook groups jobs by their runbook and severity.
func groupByRunbook(jobs []probe.Job) []runbookGroup {
	var all []runbookGroup
	for _, j := range jobs {
		i := slices.IndexFunc(all, func(c runbookGroup) bool {
			return c.runbook == j.Runbook && c.url == j.RunbookURL && c.severity == parseSeverity(j.Severity)
		})
		if i < 0 {
			i = len(all)
			all = append(all, runbookGroup{runbook: j.Runbook, url: j.RunbookURL, impact: cmp.Or(j.AboutRunbook.Impact, j.AboutSystem.Impact), severity: parseSeverity(j.Severity)})
		}
		all[i].jobs = append(all[i].jobs, j)
	}
	return all
}

// match matches the series of the probes of a group.
func (g runbookGroup) match(s *system, more ...string) string {
	return strings.Join(slices.Concat([]string{equal("system", s.name), oneOf("probe", g.names())}, s.shared(g.jobs), more), ",")
}

// names are the names of the probes of a group.
func (g runbookGroup) names() []string {
	names := make([]string, len(g.jobs))
	for i, j := range g.jobs {
		names[i] = j.Name
	}
	return names
}

// shown are the names of the probes of a group as people know them.
func (g runbookGroup) shown(s *system) string {
	names := strings.Join(g.names(), ", ")
	for _, e := range s.each {
		names = strings.ReplaceAll(names, e.word, e.shown)
	}
	return escapeTemplate(names)
}

// common are the labels of the configuration that all the jobs have with the same value, without the region.
func (s *system) common(jobs []probe.Job) map[string]string {
	labels := map[string]string{}
	for _, label := range s.keys[2:] {
		value := jobs[0].Labels[label]
		if value != "" && !slices.ContainsFunc(jobs, func(j probe.Job) bool { return j.Labels[label] != value }) {
			labels[label] = value
		}
	}
	return labels
}

// shared are matchers for the common labels.
func (s *system) shared(jobs []probe.Job) (matchers []string) {
	labels := s.common(jobs)
	for _, label := range sorted.Keys(labels) {
		matchers = append(matchers, equal(label, labels[label]))
	}
	return matchers
}

// worst is the job with the worst severity; the first of several.
func worst(jobs []probe.Job) probe.Job {
	return slices.MinFunc(jobs, func(a, b probe.Job) int { return parseSeverity(a.Severity).compare(parseSeverity(b.Severity)) })
}

// An alert becomes a rule. Its labels are in addition to the severity and the runbook; its summary and its description
// are templates.
type alert struct {
	name        string
	severity    severity
	expr        string
	wait        time.Duration // "for:" in the rule
	runbook     string
	url         string
	impact      string // what it means to customers; may be empty
	labels      map[string]string
	summary     string
	description string
	example     *example

	found     func(*view) []found // what it is about now, in a prober that sends alerts itself; nil if only Prometheus knows
	hold      time.Duration       // for how long it is about what was seen once
	dependent bool                // a dependency that fails ends it

	jobs []probe.Job // whose probes the alert is about; empty if it is about the system
}

// rule returns the alert as Prometheus reads it. Labels that all its series have are written down for people who read
// the file.
func (a alert) rule() Rule {
	labels := map[string]string{"severity": a.severity.label()}
	if a.severity.word != "" {
		labels["runbook_severity"] = a.severity.word
	}
	if a.runbook != "" {
		labels["runbook"] = a.runbook
	}
	maps.Copy(labels, a.labels)
	for name, value := range labels {
		labels[name] = escapeTemplate(value) // a label of a rule is a template too
	}
	annotations := map[string]string{"summary": a.summary, "description": a.description}
	if a.url != "" {
		annotations["runbook_url"] = escapeTemplate(a.url)
	}
	if a.impact != "" {
		annotations["impact"] = escapeTemplate(a.impact)
	}
	r := Rule{Alert: a.name, Expr: a.expr, Labels: labels, Annotations: annotations, example: a.example}
	if a.wait > 0 {
		r.For = promTime(a.wait)
	}
	return r
}

// rules makes all rules of the system, one after the other.
func (s *system) rules(rule func(*Rule)) {
	for _, r := range s.recordingRules() {
		r.Labels = map[string]string{"system": s.name}
		rule(&r)
	}
	deploys := s.deploysAnnotation()
	alerts := func(all ...alert) {
		for _, a := range all {
			r := s.rule(a)
			if deploys != "" {
				r.Annotations["deploys"] = deploys
			}
			rule(&r)
		}
	}
	for _, j := range s.jobs {
		alerts(s.failureAlerts(j)...)
		alerts(s.certificateAlerts(j)...)
	}
	alerts(s.latencyAlerts()...)
	alerts(s.targetAlerts()...)
	s.noDataAlerts(alerts)
	alerts(s.outageAlerts()...)
	alerts(s.serviceAlerts()...)
}

// rule is the rule of an alert, with what the configuration asks of people.
func (s *system) rule(a alert) Rule {
	r := a.rule()
	a.severity.annotate(r.Annotations, s.asked)
	return r
}

// mergeLabels returns the labels of both; those of b win.
func mergeLabels(a, b map[string]string) map[string]string {
	merged := maps.Clone(a)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, b)
	return merged
}

// procedure is the name of the runbook as words, or the kind of a probe that has none.
func procedure(j probe.Job) string {
	return strings.ReplaceAll(cmp.Or(j.Runbook, j.Type+" probe"), "-", " ")
}
