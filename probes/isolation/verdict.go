package isolation

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"prober/internal/probe"
)

// Measures of the isolation kind.
var (
	breaches = &probe.Measure{
		Name:    "probe_isolation_breach_total",
		Help:    "Runs that found that one org was shown, or changed, what is another's, by the operation that did it.",
		Labels:  []string{"surface"},
		Counter: true,
	}
	lastProven = &probe.Measure{
		Name:   "probe_isolation_last_proven_timestamp_seconds",
		Help:   "When the operation was last proven to keep orgs apart; 0 before the first time.",
		Labels: []string{"surface"},
		Kept:   true,
	}
	cleanUpFailures = &probe.Measure{
		Name:    "probe_isolation_cleanup_failures_total",
		Help:    "Canaries that could not be deleted, each time that it was tried.",
		Counter: true,
	}
	orphanedCanaries = &probe.Measure{
		Name: "probe_isolation_leftovers",
		Help: "Canaries of this prober that the last run left or found behind.",
	}
	matrixRows = &probe.Measure{
		Name:   "probe_isolation_rows",
		Help:   "Rows of the matrix, out of 14, that the last run asked and that it could not, for want of an operation or of an answer.",
		Labels: []string{"state"},
	}
	requestCount = &probe.Measure{
		Name: "probe_isolation_requests",
		Help: "Requests of the last run, clean-up included.",
	}
	leakRateBound = &probe.Measure{
		Name: "probe_isolation_leak_rate_bound_ratio",
		Help: "Upper bound, with 95 % confidence, of the share of answers that are mixed up on shared connections: 3/n after n clean ones.",
	}
	oracleDifference = &probe.Measure{
		Name:   "probe_isolation_oracle_difference_seconds",
		Help:   "How much later than an id that never was another org's was denied, the median over the pairs of orgs in the last run. One run is no verdict.",
		Labels: []string{"surface"},
	}
)

// A verdict claim is one with its verdict.
type verdict struct {
	*assertion
	violation     // of rule 0 if the claim holds
	more      int // further outcomes that speak against it
}

// judge applies the rules in their order to a claim.
func (r *run) judge(a *assertion) verdict {
	control := a.resource.assertion(checkControl, a.resource.visibilityOp())
	broken, doubtful := control.decisive()
	first, against := a.decisive()
	j := verdict{assertion: a, violation: first, more: max(len(a.violations)-1, 0)}
	switch {
	case against && first.rule < ruleInconclusive:
	case against && first.rule == ruleInconclusive:
	case doubtful && a != control:
		j.violation = violation{ruleInconclusive, broken.why, "nothing is proven without its control: " + broken.detail, broken.traceID}
	case !a.complete || !control.complete:
		j.violation = r.incomplete()
	}
	return j
}

// incomplete says why not all of a claim was asked.
func (r *run) incomplete() violation {
	switch {
	case r.stopped != nil:
		return *r.stopped
	case r.ctx.Err() != nil:
		return contextEnded(r.ctx)
	case r.remaining <= 0:
		return violation{rule: ruleInconclusive, why: probe.ControlFailed, detail: fmt.Sprintf("not all was asked: the run has made its %d requests (max_requests)", r.p.MaxRequests)}
	}
	return violation{rule: ruleInconclusive, why: probe.ControlFailed, detail: "not all was asked"}
}

// report notes every claim, those that decide the verdict first, and what there is to measure.
func (r *run) report() {
	r.exportMeasures()
	if !r.identified { // whoami has said all there is
		return
	}
	var all []verdict
	for _, a := range r.plan.assertions {
		all = append(all, r.judge(a))
	}
	surfaces := r.plan.surfaces()
	worst := func(surface string) violationRule {
		least := violationRule(99)
		for _, j := range all {
			switch {
			case j.surface != surface:
			case j.rootCause:
				return 0
			case j.rule > 0:
				least = min(least, precedence(j.rule))
			}
		}
		return least
	}
	slices.SortStableFunc(surfaces, func(a, b string) int { return cmp.Compare(worst(a), worst(b)) })
	r.result.Each(surfaces, func(i int, result *probe.Result) {
		surface := surfaces[i]
		own := slices.DeleteFunc(slices.Clone(all), func(j verdict) bool { return j.surface != surface })
		slices.SortStableFunc(own, func(a, b verdict) int { return cmp.Compare(rank(a.rule), rank(b.rule)) })
		for _, j := range own {
			j.report(result)
		}
		r.countBreach(result, surface, own)
	})
}

// countBreach counts a breach of a surface, or says when it was proven to be none.
func (r *run) countBreach(result *probe.Result, surface string, own []verdict) {
	proven := true
	for _, j := range own {
		if j.rule > 0 && j.rule.breach() {
			result.Measure(breaches, 1, surface)
			return
		}
		proven = proven && j.rule == 0
	}
	if proven {
		result.Measure(lastProven, float64(time.Now().Unix()), surface)
	}
}

// exportMeasures notes what there is to measure of the run as a whole.
func (r *run) exportMeasures() {
	asked := 0
	for _, row := range r.rows {
		if row {
			asked++
		}
	}
	r.result.Measure(matrixRows, float64(asked), "asked")
	r.result.Measure(matrixRows, float64(len(r.rows)-1-asked), "skipped")
	r.result.Measure(requestCount, float64(r.requests))
	r.result.Measure(orphanedCanaries, float64(r.orphanCount))
	r.result.Measure(cleanUpFailures, float64(r.cleanUpFailures))
	for surface, all := range r.denialDelays {
		slices.Sort(all)
		r.result.Measure(oracleDifference, (all[(len(all)-1)/2]+all[len(all)/2]).Seconds()/2, surface)
	}
	if r.ownResponses > 0 {
		r.result.Measure(leakRateBound, min(1, 3/float64(r.ownResponses)))
	}
}

// precedence is where a rule stands among those that decide: an oracle is a failure, and worse than what is not proven.
func precedence(rule violationRule) violationRule {
	if rule == ruleOracle {
		return ruleInconclusive
	}
	if rule == ruleInconclusive {
		return ruleOracle
	}
	return rule
}

// rank puts what holds behind all that does not.
func rank(rule violationRule) violationRule {
	if rule == 0 {
		return 99
	}
	return precedence(rule)
}

// report notes the claim on a result.
func (j verdict) report(r *probe.Result) {
	detail := j.detail
	if j.more > 0 && j.rule > 0 {
		detail += fmt.Sprintf(" (and %d more)", j.more)
	}
	switch j.rule {
	case 0:
		r.Pass(j.check, "%s", j.summary)
	case ruleInconclusive:
		r.Inconclusive(j.check, j.why, "%s", detail)
	default:
		r.Fail(j.check, j.why, "%s", detail)
	}
	r.LinkExchange(j.check, j.traceID)
}
