package alerts

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
)

// region is the label that tells the places apart from which a system is probed. It is given by the configuration of
// each prober or by its scrape, and it is no part of what a probe is.
const region = "region"

// usualTick is how often rules are evaluated. It stands in each group, since a Prometheus that is told nothing
// evaluates once a minute, and then `for: 1m` means two.
const usualTick = 15 * time.Second

// A system is the jobs of one system, and what its rules have in common.
type system struct {
	name    string
	jobs    []probe.Job
	options Options

	keys []string      // the labels that say which probe a series is of
	tick time.Duration // how often the rules are evaluated
}

// settle works out what the rules have in common.
func (s *system) settle() {
	s.keys = []string{"system", "probe"}
	s.tick = usualTick
	named := map[string]bool{}
	for _, j := range s.jobs {
		for label := range j.Labels {
			named[label] = label != region
		}
		s.tick = min(s.tick, max(j.Interval, 5*time.Second))
	}
	for _, label := range slices.Sorted(maps.Keys(named)) {
		if named[label] {
			s.keys = append(s.keys, label)
		}
	}
}

// by is the clause that keeps the labels of a probe and more.
func (s *system) by(more ...string) string {
	return "by (" + strings.Join(slices.Concat(s.keys, more), ", ") + ")"
}

// all matches the series of the system.
func (s *system) all() string {
	return strings.Join(append([]string{equal("system", s.name)}, s.shared(s.jobs)...), ",")
}

// match matches the series of one probe. The labels of its configuration are part of it, so that the probers of a
// staging system have no vote on production.
func (s *system) match(j probe.Job, more ...string) string {
	return strings.Join(slices.Concat([]string{equal("system", s.name), equal("probe", j.Name)}, s.shared([]probe.Job{j}), more), ",")
}

// labels are those that an alert on a probe takes from its series.
func (s *system) labels(j probe.Job) map[string]string {
	return with(s.common([]probe.Job{j}), map[string]string{"system": s.name, "probe": j.Name})
}

// A circle is jobs that share a procedure, and so one rule.
type circle struct {
	runbook, url string
	grade        grade
	jobs         []probe.Job
}

// circles groups jobs by procedure.
func circles(jobs []probe.Job) []circle {
	var all []circle
	for _, j := range jobs {
		i := slices.IndexFunc(all, func(c circle) bool {
			return c.runbook == j.Runbook && c.url == j.RunbookURL && c.grade == gradeOf(j.Severity)
		})
		if i < 0 {
			i = len(all)
			all = append(all, circle{runbook: j.Runbook, url: j.RunbookURL, grade: gradeOf(j.Severity)})
		}
		all[i].jobs = append(all[i].jobs, j)
	}
	return all
}

// match matches the series of the probes of a circle.
func (c circle) match(s *system, more ...string) string {
	names := make([]string, len(c.jobs))
	for i, j := range c.jobs {
		names[i] = j.Name
	}
	return strings.Join(slices.Concat([]string{equal("system", s.name), oneOf("probe", names)}, s.shared(c.jobs), more), ",")
}

// common are those labels of the configuration that all the jobs have with one value; the region is none of them.
func (s *system) common(jobs []probe.Job) map[string]string {
	labels := map[string]string{}
	for _, label := range s.keys[2:] {
		value, ok := jobs[0].Labels[label]
		if ok && !slices.ContainsFunc(jobs, func(j probe.Job) bool { return j.Labels[label] != value }) {
			labels[label] = value
		}
	}
	return labels
}

// shared are matchers for them.
func (s *system) shared(jobs []probe.Job) (matchers []string) {
	labels := s.common(jobs)
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		matchers = append(matchers, equal(label, labels[label]))
	}
	return matchers
}

// worst is the job with the worst severity; the first of several.
func worst(jobs []probe.Job) probe.Job {
	return slices.MinFunc(jobs, func(a, b probe.Job) int { return gradeOf(a.Severity).worse(gradeOf(b.Severity)) })
}

// A news is an alert before it is a rule.
type news struct {
	name    string
	grade   grade
	expr    string
	wait    time.Duration
	runbook string
	url     string
	labels  map[string]string // beside severity and runbook
	summary string
	text    string
	proof   proof
}

// rule is the alert as Prometheus has it. What labels its series will have stand in it as far as they are known, for
// who reads the file.
func (n news) rule() Rule {
	labels := map[string]string{"severity": n.grade.severity()}
	if n.grade.word != "" {
		labels["runbook_severity"] = n.grade.word
	}
	if n.runbook != "" {
		labels["runbook"] = n.runbook
	}
	maps.Copy(labels, n.labels)
	for name, value := range labels {
		labels[name] = verbatim(value) // a label of a rule is a template too
	}
	annotations := map[string]string{"summary": n.summary, "description": n.text}
	if n.url != "" {
		annotations["runbook_url"] = verbatim(n.url)
	}
	n.grade.annotate(annotations)
	r := Rule{Alert: n.name, Expr: n.expr, Labels: labels, Annotations: annotations, proof: n.proof}
	if n.wait > 0 {
		r.For = promTime(n.wait)
	}
	return r
}

// rules returns all rules of the system.
func (s *system) rules() []Rule {
	rules := s.votes()
	for i := range rules {
		rules[i].Labels = map[string]string{"system": s.name}
	}
	for _, j := range s.jobs {
		for _, n := range s.failing(j) {
			rules = append(rules, n.rule())
		}
	}
	for _, n := range slices.Concat(s.slow(), s.untold(), s.whole(), s.services()) {
		rules = append(rules, n.rule())
	}
	return rules
}

// procedure is the runbook's name as words, or the kind of the probe where it serves none.
func procedure(j probe.Job) string {
	return strings.ReplaceAll(cmp.Or(j.Runbook, j.Type+" probe"), "-", " ")
}
