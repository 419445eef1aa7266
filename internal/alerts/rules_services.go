package alerts

import (
	"fmt"
	"slices"
	"time"

	"prober/internal/drop"
	"prober/internal/probe"
)

// A Counter counts the requests of one service, by the label code.
type Counter struct {
	System string
	Metric string
	// Probes are the names of the probes that send their requests to the service. None means all of the system.
	Probes []string
}

// jobsOf returns the jobs of the probes that send their requests to the service.
func (c Counter) jobsOf(jobs []probe.Job) []probe.Job {
	if len(c.Probes) == 0 {
		return jobs
	}
	return drop.If(slices.Clone(jobs), func(j probe.Job) bool { return !slices.Contains(c.Probes, j.Name) })
}

// serviceAlerts returns the alerts on the counters of the system itself, if any are named.
func (s *system) serviceAlerts() (all []alert) {
	for _, c := range s.options.Counters {
		if jobs := c.jobsOf(s.jobs); c.System == s.name && len(jobs) > 0 {
			all = append(all, s.counterAlerts(c, jobs)...)
		}
	}
	return all
}

// counterAlerts returns the alerts on one counter. They subtract what the probes of the service cause on purpose, such as
// the 401 of a caller that must be denied or the 501 of a route that does not exist yet: on an idle service those alone
// would be an error rate of 100%. What probes cause at another service would hide errors of this one.
func (s *system) counterAlerts(c Counter, jobs []probe.Job) []alert {
	j := worst(jobs)
	severity := parseSeverity(j.Severity)
	const window = "[5m]"
	// Without "or vector(0)" a counter that has no series yet would make the whole expression empty.
	rate := func(metric, matchers, offset string) string {
		return "(sum(rate(" + selector(metric, matchers) + window + offset + ")) or vector(0))"
	}
	match := s.all()
	if len(c.Probes) > 0 {
		match = runbookGroup{jobs: jobs}.match(s)
	}
	caused := func(matcher string) string { return rate("probe_expected_status_total", match+","+matcher, "") }
	labels := mergeLabels(s.common(jobs), map[string]string{"system": s.name, "counter": c.Metric})
	return []alert{
		{
			name: "ServiceErrorRate", severity: severity, wait: 5 * time.Minute, runbook: j.Runbook, url: j.RunbookURL, impact: j.Impact(), labels: labels,
			expr: lines(
				"("+rate(c.Metric, `code=~"5.."`, "")+" - "+caused(`code=~"5.."`)+")",
				fmt.Sprintf("/ sum(rate(%s%s)) > 0.1", c.Metric, window)),
			summary:     "Error rate above 10% for 5 minutes: {{ $value | humanizePercentage }}" + escapeTemplate(" of the requests that "+c.Metric+" of "+s.name+" counts"),
			description: "Of " + c.Metric + ", without what the probes cause on purpose. Without traffic this alert is silent; those on the probes are not.",
		},
		{
			name: "ServiceRefusals", severity: severity.cappedAt(2), wait: 5 * time.Minute, runbook: j.Runbook, url: j.RunbookURL, impact: j.Impact(), labels: labels,
			expr: lines(
				rate(c.Metric, `code="401"`, "")+" - "+caused(`code="401"`),
				"> 4 * ("+rate(c.Metric, `code="401"`, " offset 1d")+" + 0.01)"),
			summary:     escapeTemplate("Spike in 401 responses of " + s.name + " in " + c.Metric),
			description: "{{ $value | humanize }} per second more than the probes cause, over four times those of yesterday. Classify: invalid, expired, revoked or org_suspended; one org or many addresses.",
		},
		{
			name: "ServiceCounterAbsent", severity: severity.lowered(), wait: 10 * time.Minute, labels: labels,
			expr:        "absent(" + c.Metric + ")",
			summary:     "The counter that alerts read is absent: " + c.Metric,
			description: "It was renamed, or is not scraped. The alerts on it are silent in the meantime.",
		},
	}
}
