package isolation

import (
	"cmp"
	"fmt"
	"slices"

	"prober/internal/probe"
	"prober/internal/sorted"
)

// A verdict is an assertion with the violation that decides it, of rule 0 if the assertion holds.
type verdict struct {
	*assertion
	violation
	more int // further violations
}

// judge decides an assertion by the violation of the lowest rule. Without its control it is not proven.
func (r *run) judge(a *assertion) verdict {
	control := a.resource.assertion(checkControl, a.resource.visibilityOp())
	broken, controlFailed := control.decisive()
	first, violated := a.decisive()
	v := verdict{assertion: a, violation: first, more: max(len(a.violations)-1, 0)}
	switch {
	case violated && first.rule <= ruleInconclusive:
	case controlFailed && a != control:
		v.violation = inconclusive(broken.Reason, "nothing is proven without its control: %s", broken.Detail)
		v.violation.traceID = broken.traceID
	case !a.complete || !control.complete:
		v.violation = r.incomplete()
	case r.withoutControl(a) != "":
		v.violation = inconclusive(probe.ControlFailed, "the body is the denial, and %s did not work for every owner: nothing is proven", r.withoutControl(a))
	}
	if v.rule == ruleLeak && !r.p.knowsOrgs() && r.p.Mismatch != "trust" {
		v.Detail += "; without identity.org, both credentials may also belong to one org"
	}
	return v
}

// incomplete says why an assertion was not fully tested.
func (r *run) incomplete() violation {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.stopped != nil:
		return *r.stopped
	case r.ctx.Err() != nil:
		return contextEnded(r.ctx)
	case r.remaining <= 0:
		return inconclusive(probe.ControlFailed, "not everything was tested: the run has sent its %d requests (max_requests)", r.p.MaxRequests)
	}
	return inconclusive(probe.ControlFailed, "not everything was tested")
}

// report notes every assertion, those that decide the verdict of the run first, and the measures.
func (r *run) report() {
	r.exportMeasures()
	r.reportIdentity()
	if !r.identified {
		return
	}
	all := map[string][]verdict{} // by surface
	for _, a := range r.plan.assertions {
		all[a.surface] = append(all[a.surface], r.judge(a))
	}
	for _, verdicts := range all {
		sorted.By(verdicts, func(a, b verdict) int { return cmp.Compare(a.rule.rank(), b.rule.rank()) })
	}
	worst := func(surface string) int {
		if slices.ContainsFunc(all[surface], func(v verdict) bool { return v.rootCause }) {
			return 0
		}
		return all[surface][0].rule.rank()
	}
	surfaces := r.plan.surfaces()
	sorted.By(surfaces, func(a, b string) int { return cmp.Compare(worst(a), worst(b)) })
	for _, surface := range surfaces { // one by one, since each has checks of its own
		r.result.Each([]string{surface}, func(_ int, result *probe.Result) {
			for _, v := range all[surface] {
				v.note(result)
			}
			countBreach(result, surface, all[surface])
		})
	}
}

// note writes the verdict down.
func (v verdict) note(result *probe.Result) {
	detail := v.Detail
	if v.more > 0 && v.rule > 0 {
		detail += fmt.Sprintf(" (and %d more)", v.more)
	}
	switch v.rule {
	case 0:
		result.Pass(v.check, "%s", v.summary)
	case ruleInconclusive:
		result.Inconclusive(v.check, v.Reason, "%s", detail)
	default:
		result.Fail(v.check, v.Reason, "%s", detail)
	}
	result.LinkExchange(v.check, v.traceID)
}
