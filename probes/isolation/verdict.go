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
	isolationBreaches = &probe.Measure{
		Name:    "probe_isolation_breach_total",
		Help:    "Runs that found that one org was shown, or changed, what is another's, by the operation that did it.",
		Labels:  []string{"surface"},
		Counter: true,
	}
	isolationProven = &probe.Measure{
		Name:   "probe_isolation_last_proven_timestamp_seconds",
		Help:   "When the operation was last proven to keep orgs apart; 0 before the first time.",
		Labels: []string{"surface"},
		Kept:   true,
	}
	isolationCleanupFailures = &probe.Measure{
		Name:    "probe_isolation_cleanup_failures_total",
		Help:    "Canaries that could not be deleted, each time that it was tried.",
		Counter: true,
	}
	isolationLeftovers = &probe.Measure{
		Name: "probe_isolation_leftovers",
		Help: "Canaries of this prober that the last run left or found behind.",
	}
	isolationRows = &probe.Measure{
		Name:   "probe_isolation_rows",
		Help:   "Rows of the matrix, out of 14, that the last run asked and that it could not, for want of an operation or of an answer.",
		Labels: []string{"state"},
	}
	isolationRequests = &probe.Measure{
		Name: "probe_isolation_requests",
		Help: "Requests of the last run, clean-up included.",
	}
	isolationBound = &probe.Measure{
		Name: "probe_isolation_leak_rate_bound_ratio",
		Help: "Upper bound, with 95 % confidence, of the share of answers that are mixed up on shared connections: 3/n after n clean ones.",
	}
	isolationDelay = &probe.Measure{
		Name:   "probe_isolation_oracle_difference_seconds",
		Help:   "How much later than an id that never was another org's was denied, the median over the pairs of orgs in the last run. One run is no verdict.",
		Labels: []string{"surface"},
	}
)

// A judged claim is one with its verdict.
type judged struct {
	*claim
	outcome     // of rule 0 if the claim holds
	more    int // further outcomes that speak against it
}

// judge applies the rules in their order to a claim.
func (x *exam) judge(cl *claim) judged {
	control := cl.subject.claim(checkControl, cl.subject.seeing())
	broken, doubtful := control.first()
	first, against := cl.first()
	j := judged{claim: cl, outcome: first, more: max(len(cl.against)-1, 0)}
	switch {
	case against && first.rule < ruleUnproven:
	case against && first.rule == ruleUnproven:
	case doubtful && cl != control:
		j.outcome = outcome{ruleUnproven, broken.why, "nothing is proven without its control: " + broken.detail, broken.trace}
	case !cl.done || !control.done:
		j.outcome = x.unfinished()
	}
	return j
}

// unfinished says why not all of a claim was asked.
func (x *exam) unfinished() outcome {
	switch {
	case x.stop != nil:
		return *x.stop
	case x.ctx.Err() != nil:
		return ended(x.ctx)
	case x.left <= 0:
		return outcome{rule: ruleUnproven, why: probe.ControlFailed, detail: fmt.Sprintf("not all was asked: the run has made its %d requests (max_requests)", x.p.MaxRequests)}
	}
	return outcome{rule: ruleUnproven, why: probe.ControlFailed, detail: "not all was asked"}
}

// tell notes every claim, those that decide the verdict first, and what there is to measure.
func (x *exam) tell() {
	x.measure()
	if !x.identified { // whoami has said all there is
		return
	}
	var all []judged
	for _, cl := range x.plan.claims {
		all = append(all, x.judge(cl))
	}
	surfaces := x.plan.surfaces()
	worst := func(surface string) rule {
		least := rule(99)
		for _, j := range all {
			switch {
			case j.surface != surface:
			case j.cause:
				return 0
			case j.rule > 0:
				least = min(least, order(j.rule))
			}
		}
		return least
	}
	slices.SortStableFunc(surfaces, func(a, b string) int { return cmp.Compare(worst(a), worst(b)) })
	x.r.Each(surfaces, func(surface string, r *probe.Result) {
		own := slices.DeleteFunc(slices.Clone(all), func(j judged) bool { return j.surface != surface })
		slices.SortStableFunc(own, func(a, b judged) int { return cmp.Compare(weight(a.rule), weight(b.rule)) })
		for _, j := range own {
			j.note(r)
		}
		x.score(r, surface, own)
	})
}

// score counts a breach of a surface, or says when it was proven to be none.
func (x *exam) score(r *probe.Result, surface string, own []judged) {
	proven := true
	for _, j := range own {
		if j.rule > 0 && j.rule.breach() {
			r.Measure(isolationBreaches, 1, surface)
			return
		}
		proven = proven && j.rule == 0
	}
	if proven {
		r.Measure(isolationProven, float64(time.Now().Unix()), surface)
	}
}

// measure notes what there is to measure of the run as a whole.
func (x *exam) measure() {
	asked := 0
	for _, row := range x.rows {
		if row {
			asked++
		}
	}
	x.r.Measure(isolationRows, float64(asked), "asked")
	x.r.Measure(isolationRows, float64(len(x.rows)-1-asked), "skipped")
	x.r.Measure(isolationRequests, float64(x.made))
	x.r.Measure(isolationLeftovers, float64(x.strays))
	x.r.Measure(isolationCleanupFailures, float64(x.failures))
	for surface, all := range x.delays {
		slices.Sort(all)
		x.r.Measure(isolationDelay, (all[(len(all)-1)/2]+all[len(all)/2]).Seconds()/2, surface)
	}
	if x.answered > 0 {
		x.r.Measure(isolationBound, min(1, 3/float64(x.answered)))
	}
}

// order is where a rule stands among those that decide: an oracle is a failure, and worse than what is not proven.
func order(r rule) rule {
	if r == ruleOracle {
		return ruleUnproven
	}
	if r == ruleUnproven {
		return ruleOracle
	}
	return r
}

// weight puts what holds behind all that does not.
func weight(r rule) rule {
	if r == 0 {
		return 99
	}
	return order(r)
}

// note notes the claim on a result.
func (j judged) note(r *probe.Result) {
	detail := j.detail
	if j.more > 0 && j.rule > 0 {
		detail += fmt.Sprintf(" (and %d more)", j.more)
	}
	switch j.rule {
	case 0:
		r.Pass(j.check, "%s", j.says)
	case ruleUnproven:
		r.Inconclusive(j.check, j.why, "%s", detail)
	default:
		r.Fail(j.check, j.why, "%s", detail)
	}
	r.LinkExchange(j.check, j.trace)
}
