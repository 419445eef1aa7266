package guard

import (
	"fmt"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/breach"
)

// leak is the reason of a row of another org.
var leak = breach.LeakList

// maxNamed is how many cases a message names.
const maxNamed = 10

// report notes the checks and the measures.
func (r *run) report() {
	r.note(checkScoped, r.scoped())
	if r.mistake != nil {
		r.note(checkMistake, *r.mistake)
	}
	broken := r.broken()
	counts := map[outcome]int{}
	leaked := r.before.outcome == foreignRows || r.mistake != nil && r.mistake.outcome == foreignRows || r.after != nil && r.after.outcome == foreignRows
	for _, check := range checksOf(r.p.cases) {
		w := way{check: check}
		for _, c := range r.p.cases {
			if c.check != check {
				continue
			}
			v, now := r.p.turns.last(c.name)
			w.add(c.name, v)
			counts[v.outcome]++
			leaked = leaked || now && v.outcome == foreignRows
			if v.outcome > notAsked {
				r.result.Measure(caseGauge, 1, c.name, v.outcome.String())
			}
		}
		r.note(check, w.verdict(broken, r.stopped))
	}
	for o := range outcomes {
		r.result.Measure(caseCount, float64(counts[outcome(o)]), outcomes[o])
	}
	r.result.Measure(requestCount, float64(r.requests))
	passed := r.p.turns.passed(r.p.cases)
	now := float64(time.Now().Unix())
	if passed {
		r.result.Measure(fullPass, now)
	}
	switch {
	case leaked:
		r.result.Measure(breach.Total, 1, r.p.Surface)
	case passed && broken == "" && counts[rejected] == len(r.p.cases):
		r.result.Measure(breach.LastProven, now, r.p.Surface)
	}
}

// scoped is the verdict of the scoped query, which must hold before and after.
func (r *run) scoped() verdict {
	if r.after == nil || r.before.reason != probe.OK && r.after.outcome != foreignRows {
		return *r.before
	}
	v := *r.after
	if v.reason != probe.OK && v.outcome != foreignRows {
		v.detail = "it was accepted before the others, and not after them: " + v.detail
	}
	return v
}

// broken says which control does not hold, so that no rejection proves anything; empty if all do.
func (r *run) broken() string {
	switch {
	case r.scoped().reason != probe.OK:
		return "the scoped query"
	case r.mistake != nil && r.mistake.reason != probe.OK:
		return "the query with a mistake"
	}
	return ""
}

// note notes a check. Only what was accepted or shown is a failure: an answer that never came proves nothing of the guard.
func (r *run) note(check string, v verdict) {
	switch {
	case v.reason == probe.OK:
		r.result.Pass(check, "%s", v.detail)
	case v.outcome >= accepted:
		r.result.Fail(check, v.reason, "%s", v.detail)
	default:
		r.result.Inconclusive(check, v.reason, "%s", v.detail)
	}
	if v.traceID != "" {
		r.result.LinkExchange(check, v.traceID)
	}
}

// A way gathers what became of the cases of one way.
type way struct {
	check string
	cases int
	worst verdict
	names [len(outcomes)][]string
}

func (w *way) add(name string, v verdict) {
	if w.cases++; w.cases == 1 || v.outcome > w.worst.outcome {
		w.worst = v
	}
	w.names[v.outcome] = append(w.names[v.outcome], name)
}

// verdict is the worst of the cases, in a sentence that names them.
func (w *way) verdict(broken string, stopped *probe.Outcome) verdict {
	v := w.worst
	named := func(o outcome) string { return text.List(w.names[o], maxNamed) }
	switch v.outcome {
	case foreignRows:
		v.detail = fmt.Sprintf("expected the guard's rejection, got rows of another org: %s", named(foreignRows))
		if len(w.names[accepted]) > 0 {
			v.detail += "; accepted too: " + named(accepted)
		}
	case accepted:
		v.detail = fmt.Sprintf("expected the guard's rejection, got an answer without a row of another org: %s", named(accepted))
	case inconclusive:
		v.detail = fmt.Sprintf("expected the guard's rejection, %s: %s", v.detail, named(inconclusive))
	case notAsked:
		v.detail = fmt.Sprintf("%d of %s had no turn yet", len(w.names[notAsked]), text.Count(w.cases, "case"))
		if stopped != nil {
			v.reason, v.detail = stopped.Reason, v.detail+": "+stopped.Detail
		}
	default:
		v.detail = fmt.Sprintf("the guard rejected %s", text.Count(w.cases, "case"))
		if broken != "" {
			v.reason, v.detail = probe.ControlFailed, v.detail+", which proves nothing: the control does not hold with "+broken
		}
	}
	return v
}
