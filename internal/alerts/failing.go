package alerts

import (
	"fmt"
	"maps"
	"time"

	"prober/internal/probe"
)

// For how long something must be wrong. The runbook gives one minute for a process that is down; a probe that runs
// seldom must fail more than once.
func failWait(j probe.Job) time.Duration {
	return max(time.Minute, upTo(2*j.Interval, time.Second))
}

// readyWait is for what may pass by itself: «/ready», a replica that is being replaced. The settle time of the probe is
// over by then, since it does not fail before.
func readyWait(j probe.Job) time.Duration { return max(2*time.Minute, failWait(j)) }

// breachHeld is how long a breach stays in force. Somebody's data seen once in a thousand runs is no flapping.
const breachHeld = time.Hour

// failing returns the alerts that say that a probe fails. At most one of them fires for one trouble.
func (s *system) failing(j probe.Job) []news {
	switch {
	case j.Type == kindIsolation:
		return []news{s.breach(j)}
	case j.Type == kindHealth:
		return s.health(j)
	}
	var all []news
	expr := s.failed(j)
	if check := admits(j); check != nil {
		let := s.admission(j, *check)
		all = append(all, s.bypass(j, let))
		expr += "\nunless " + s.on() + " " + let
	}
	fail := s.about(j, "ProbeFailing", gradeOf(j.Severity), failWait(j), expr)
	fail.summary = verbatim(fmt.Sprintf("%s: %s of %s fails", procedure(j), j.Name, s.name))
	fail.proof.turn = func(w *world) { w.fail(j) }
	return append(all, fail)
}

// about is an alert on one probe, with a description that says which of its checks did not pass, and why.
func (s *system) about(j probe.Job, name string, g grade, wait time.Duration, expr string) news {
	labels := s.labels(j)
	return news{
		name: name, grade: g, wait: wait, runbook: j.Runbook, url: j.RunbookURL, labels: with(labels, map[string]string{"type": j.Type}),
		expr: s.awake(expr), text: s.why(j), proof: proof{labels: labels, after: wait},
	}
}

// failed is true while most locations say that the probe fails and nothing that it depends on does.
func (s *system) failed(j probe.Job) string {
	return of(votes, s.match(j)) + " > 0" + s.unlessNeeded(j)
}

// unlessNeeded takes away what the failure of something that the probe depends on explains.
func (s *system) unlessNeeded(j probe.Job) (expr string) {
	for _, name := range j.DependsOn {
		for _, needed := range s.jobs {
			if needed.Name == name {
				expr += "\nunless on (system) " + of(votes, s.match(needed)) + " > 0"
			}
		}
	}
	return expr
}

// on matches the series of one probe with each other.
func (s *system) on() string { return "on" + s.by()[2:] }

// why is a description whose template asks Prometheus for the checks that did not pass of late, the reasons, and the
// statuses that came instead.
func (s *system) why(j probe.Job) string {
	return "Of late: {{ range query `" + of(reasons, s.match(j)) + "` }}{{ .Labels.check }} ({{ .Labels.reason }}), {{ end }}" +
		"got {{ range query `" + of(statuses, s.match(j)) + "` }}{{ .Value }} for {{ .Labels.check }}{{ with .Labels.target }} at {{ . }}{{ end }}, {{ else }}no status, {{ end }}" +
		"wanted and got in full, with trace ids: prober --once --probe=" + verbatim(s.name+"/"+j.Name)
}

// breach is the alert of a probe whose every failure is one: it waits for nothing, needs no majority, is no smaller
// news than anything, and stays.
func (s *system) breach(j probe.Job) news {
	match := s.match(j, equal("verdict", "fail"))
	expr := lines(
		"max "+s.by()+" ("+of("probe_verdict", match)+") == 1",
		"or max "+s.by()+" (increase("+of("probe_runs_total", match)+"["+promTime(breachHeld)+"])) > 0",
	)
	n := s.about(j, "ProbeBreach", gradeOf(j.Severity).at(1), 0, "("+expr+")")
	n.summary = verbatim(fmt.Sprintf("Suspected tenant isolation violation: %s of %s", j.Name, s.name))
	n.text = "Declare it: freeze deployments, start the incident's timeline. Seen within the last hour, by at least one prober. " + n.text
	n.proof.turn = func(w *world) { w.fail(j) }
	return n
}

// admission is true where somebody who is to be refused is let in, while those who are not are let in too: no outage
// looks like that.
func (s *system) admission(j probe.Job, check string) string {
	status := of("probe_http_status_code", s.match(j, equal("check", check)))
	return "(max " + s.by() + " (" + held(status) + ") >= 200 < 300 and max " + s.by() + " (" +
		held(of("probe_check_success", s.match(j, equal("check", "control")))) + ") == 1)"
}

// bypass is the alert on that.
func (s *system) bypass(j probe.Job, let string) news {
	n := s.about(j, "ProbeAuthBypass", gradeOf(j.Severity).at(1), 0, let)
	n.summary = verbatim(fmt.Sprintf("Auth bypass: %s of %s is answered to somebody who must be refused", j.Name, s.name))
	n.proof.turn = func(w *world) {
		w.fail(j)
		w.set("probe_http_status_code", 200, s.labels(j), map[string]string{"check": "status"})
	}
	return n
}

// with merges labels.
func with(a, b map[string]string) map[string]string {
	merged := maps.Clone(a)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, b)
	return merged
}
