package incident

import (
	"cmp"
	"slices"
	"time"

	"prober/internal/probe"
)

// A symptom is the first failure of a probe in an incident. Like all text of a result, its text is redacted.
type symptom struct {
	At              time.Time `json:"at"`
	Check           string    `json:"check"`
	Target          string    `json:"target,omitempty"`
	Reason          string    `json:"reason"`
	Detail          string    `json:"detail"`
	Trace           string    `json:"trace,omitempty"` // the target's own trace id or, without one, the prober's
	Version         string    `json:"version,omitempty"`
	LastGoodVersion string    `json:"last_good_version,omitempty"` // the last version that passed, if it differs
	Failed          []string  `json:"failed,omitempty"`            // targets
	Targets         int       `json:"targets,omitempty"`           // how many there were
}

func newSymptom(r *probe.Result) symptom {
	why := r.Decisive()
	out := symptom{At: r.Started, Check: why.Name, Target: why.Target, Reason: why.Reason.Word, Detail: why.Detail}
	if i := r.Evidence(why); i >= 0 {
		x := r.Exchanges[i]
		out.Trace, out.Version = cmp.Or(x.TargetTraceID, x.TraceID), x.Version
	}
	targets := map[string]bool{}
	for _, c := range r.Checks {
		if c.Target != "" {
			targets[c.Target] = targets[c.Target] || c.Verdict == probe.Fail
		}
	}
	for target, failed := range targets {
		if failed && len(out.Failed) < maxTargets {
			out.Failed = append(out.Failed, target)
		}
	}
	slices.Sort(out.Failed)
	out.Targets = len(targets)
	return out
}
