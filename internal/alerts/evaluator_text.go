package alerts

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"prober/internal/probe"
)

// alert is the alert on what was found. The failures are those of the probe, in place of what Prometheus would be asked.
func (a alert) alert(s *system, j *probe.Job, f found, failures string) probe.Alert {
	r := a.rule()
	out := probe.Alert{Labels: map[string]string{}, Annotations: map[string]string{}, Wait: a.wait, Dependent: a.dependent}
	if !f.at.IsZero() {
		out.Until = f.at.Add(a.hold)
	}
	if s != nil {
		r = s.rule(a)
	}
	if j != nil {
		out.Probe = j.Key()
		recent := ""
		if failures != "" {
			recent = "Recent failures: " + escapeTemplate(failures) + "; "
		}
		again := "details and trace ids: prober --once --probe=" + escapeTemplate(j.System+"/"+j.Name)
		r.Annotations["description"] = strings.Replace(r.Annotations["description"], s.description(*j), recent+again, 1)
	}
	labels := mergeLabels(f.labels, nil)
	for name, value := range r.Labels {
		labels[name] = expand(value, nil, 0)
	}
	for name, value := range labels {
		if value != "" {
			out.Labels[name] = value
		}
	}
	out.Labels["alertname"] = a.name
	for name, text := range r.Annotations {
		out.Annotations[name] = expand(text, labels, f.value)
	}
	return out
}

// What of Prometheus's templates the alerts use. Queries are left out: what they would show is in the failures.
var (
	queryTemplate = regexp.MustCompile(`\{\{ range query .*?\{\{ end \}\}`)
	valueTemplate = regexp.MustCompile(`\{\{"\{\{"\}\}|\{\{ \$labels\.(\w+) \}\}|\{\{ \$value(?: \| (\w+))? \}\}`)
)

// expand fills in a template.
func expand(template string, labels map[string]string, value float64) string {
	template = queryTemplate.ReplaceAllString(template, "")
	return valueTemplate.ReplaceAllStringFunc(template, func(found string) string {
		m := valueTemplate.FindStringSubmatch(found)
		switch {
		case found == escaped:
			return "{{"
		case m[1] != "":
			return labels[m[1]]
		case m[2] == "humanizeDuration":
			return humanizeDuration(value)
		case m[2] == "humanizePercentage":
			return fmt.Sprintf("%.4g%%", value*100)
		}
		return strconv.FormatFloat(value, 'g', 4, 64)
	})
}

// humanizeDuration writes seconds as Prometheus does.
func humanizeDuration(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < time.Minute {
		return fmt.Sprintf("%.4gs", seconds)
	}
	days := d / (24 * time.Hour)
	text := fmt.Sprintf("%dh %dm %ds", d%(24*time.Hour)/time.Hour, d%time.Hour/time.Minute, d%time.Minute/time.Second)
	switch {
	case days > 0:
		return fmt.Sprintf("%dd %s", days, text)
	case d < time.Hour:
		return strings.TrimPrefix(text, "0h ")
	}
	return text
}

// reason is that of the first check that did not pass.
func (v *view) reason() string {
	for _, c := range v.recent() {
		if c.Verdict != probe.Pass {
			return c.Reason.Word
		}
	}
	return ""
}
