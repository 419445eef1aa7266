package alerts

import (
	"fmt"
	"time"
)

// services returns the alerts on what the system counts itself, if a counter is named. What the probes cause on purpose
// is taken away: the 401 of a caller that must be refused, the 501 of a route that is not built yet. On an idle system
// these alone would be an error rate of a hundred percent.
func (s *system) services() []news {
	counter := s.options.Counters[s.name]
	if counter == "" {
		return nil
	}
	j := worst(s.jobs)
	g := gradeOf(j.Severity)
	const window = "[5m]"
	// What nobody has counted yet is 0: nothing minus something, or compared with it, is no number and no alert.
	rate := func(metric, matchers, when string) string {
		return "(sum(rate(" + of(metric, matchers) + window + when + ")) or vector(0))"
	}
	caused := func(matcher string) string { return rate("probe_expected_status_total", s.all()+","+matcher, "") }
	labels := with(s.common(s.jobs), map[string]string{"system": s.name})
	return []news{
		{
			name: "ServiceErrorRate", grade: g, wait: 5 * time.Minute, runbook: j.Runbook, url: j.RunbookURL, labels: labels,
			expr: lines(
				"("+rate(counter, `code=~"5.."`, "")+" - "+caused(`code=~"5.."`)+")",
				fmt.Sprintf("/ sum(rate(%s%s)) > 0.1", counter, window)),
			summary: "Error rate above 10% for 5 minutes: {{ $value | humanizePercentage }}" + verbatim(" of the requests that "+s.name+" counts"),
			proof:   proof{after: 10 * time.Minute, least: 5*time.Minute - step, turn: func(w *world) { w.serve(counter, "503") }},
			text:    "Of " + counter + ", without what the probes cause on purpose. Without traffic this is silent; the probes are not.",
		},
		{
			name: "ServiceRefusals", grade: g.atMost(2), wait: 5 * time.Minute, runbook: j.Runbook, url: j.RunbookURL, labels: labels,
			expr: lines(
				rate(counter, `code="401"`, "")+" - "+caused(`code="401"`),
				"> 4 * ("+rate(counter, `code="401"`, " offset 1d")+" + 0.01)"),
			summary: verbatim("Spike in 401 responses across " + s.name),
			proof:   proof{after: 10 * time.Minute, least: 5*time.Minute - step, turn: func(w *world) { w.serve(counter, "401") }},
			text:    "{{ $value | humanize }} per second more than the probes cause, over four times those of yesterday. Classify: invalid, expired, revoked or org_suspended; one org or many addresses.",
		},
		{
			name: "ServiceCounterAbsent", grade: g.eased(), wait: 10 * time.Minute, labels: labels,
			expr:    "absent(" + counter + ")",
			summary: "The counter that alerts read is absent: " + counter,
			proof:   proof{after: 10 * time.Minute, turn: func(w *world) { w.end(counter) }},
			text:    "Renamed, or not scraped: the alerts on it are silent meanwhile.",
		},
	}
}
