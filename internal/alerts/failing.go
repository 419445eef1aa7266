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

// failing returns the alerts that say that a probe fails. At most one of them fires for one trouble.
func (s *system) failing(j probe.Job) []news {
	switch {
	case j.Type == kindHealth:
		return s.health(j)
	case j.Type == kindIsolation:
		return s.isolation(j)
	case j.Type == kindProtected:
		return s.protected(j)
	case j.Type == kindJWKS && has(j, checkPrivate):
		return s.keySets(j)
	case denies(j):
		return s.denied(j)
	}
	return []news{s.plain(j)}
}

// plain is the alert of a probe that fails, unless what another alert tells of is the reason.
func (s *system) plain(j probe.Job, unless ...string) news {
	expr := s.failed(j)
	for _, told := range unless {
		expr += "\nunless " + s.on() + " " + told
	}
	n := s.about(j, "ProbeFailing", gradeOf(j.Severity), failWait(j), expr)
	n.summary = verbatim(fmt.Sprintf("%s: %s of %s fails", procedure(j), j.Name, s.name))
	n.proof.turn = func(w *world) { w.fail(j) }
	return n
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
	return "Of late: {{ range query " + quoted(of(reasons, s.match(j))) + " }}{{ .Labels.check }} ({{ .Labels.reason }}), {{ end }}" +
		"got {{ range query " + quoted(of(statuses, s.match(j))) + " }}{{ .Value }} for {{ .Labels.check }}{{ with .Labels.target }} at {{ . }}{{ end }}, {{ else }}no status, {{ end }}" +
		"wanted and got in full, with trace ids: prober --once --probe=" + verbatim(s.name+"/"+j.Name)
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
