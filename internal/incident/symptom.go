package incident

import (
	"cmp"
	"slices"
	"time"

	"prober/internal/probe"
)

// A symptom is the first failure of a probe in an incident. Its text is redacted already, as all text of a result.
type symptom struct {
	At      time.Time `json:"at"`
	Check   string    `json:"check"`
	Target  string    `json:"target,omitempty"`
	Reason  string    `json:"reason"`
	Detail  string    `json:"detail"`
	Trace   string    `json:"trace,omitempty"` // the target's own trace id or, for want of one, the prober's
	Version string    `json:"version,omitempty"`
	Good    string    `json:"good,omitempty"`   // the last version that passed, if it was another
	Failed  []string  `json:"failed,omitempty"` // targets
	Of      int       `json:"of,omitempty"`     // how many targets there were
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
		if failed && len(out.Failed) < mostTargets {
			out.Failed = append(out.Failed, target)
		}
	}
	slices.Sort(out.Failed)
	out.Of = len(targets)
	return out
}
