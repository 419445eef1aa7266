package alerts

import (
	"fmt"
	"strings"
	"time"
)

// What the rules of a system record for its alerts to read. Several probers may ask the same: the location that each
// stands in has one vote, and the majority decides. So a location that is cut off pages nobody, and two probers in one
// location weigh no more than one.
const (
	vote   = "location:probe_verdict:vote" // of one location: 1 fails, -1 passes, 0 cannot tell or disagrees with itself
	votes  = "probe:probe_verdict:votes"   // of all: above 0 most of those that can tell say that it fails
	most   = "probe:probe_check_success:max"
	least  = "probe:probe_check_success:min"
	states = "probe:probe_health_state:max"

	reasons  = "probe:probe_failures:recent"    // 1 for each check and reason that were noted of late
	statuses = "probe:probe_http_status:failed" // what a check that failed was answered
)

// votes records what the alerts read.
func (s *system) votes() []Rule {
	say := func(verdict string) string {
		return "sum " + s.by(region) + " (" + held(of("probe_verdict", s.all(), equal("verdict", verdict))) + ")"
	}
	rules := []Rule{
		{Record: vote, Expr: lines("sgn(", "  "+say("fail"), "-", "  "+say("pass"), ")")},
		{Record: votes, Expr: "sum " + s.by() + " (" + of(vote, s.all()) + ")"},
	}
	// A pair of check and reason is born with its first failure, which increase() does not see.
	past := 5 * time.Minute
	for _, j := range s.jobs {
		past = max(past, min(upTo(3*j.Interval, time.Minute), time.Hour))
	}
	failures := of("probe_failures_total", s.all())
	rules = append(rules,
		Rule{Record: reasons, Expr: fmt.Sprintf("group %s (%[2]s unless %[2]s offset %[3]s or increase(%[2]s[%[3]s]) > 0)", s.by("check", "reason"), failures, promTime(past))},
		Rule{Record: statuses, Expr: lines(
			"max "+s.by("check", "target")+" ("+of("probe_http_status_code", s.all())+" > 0)",
			"and max "+s.by("check", "target")+" ("+of("probe_check_success", s.all())+" == 0)")},
	)
	var replicated []string
	for _, j := range s.jobs {
		if j.Type == kindHealth {
			replicated = append(replicated, j.Name)
		}
	}
	if replicated == nil {
		return rules
	}
	probes := oneOf("probe", replicated)
	checks := held(of("probe_check_success", s.all(), probes))
	return append(rules,
		Rule{Record: most, Expr: "max " + s.by("check") + " (" + checks + ")"},
		Rule{Record: least, Expr: "min " + s.by("check") + " (" + checks + ")"},
		Rule{Record: states, Expr: "max " + s.by("state") + " (" + held(of("probe_health_state", s.all(), probes)) + ")"},
	)
}

// awake is the end of every alert on a probe: it is quiet while a maintenance window is open. Where no window is known
// there is no series, and nothing is taken away.
func (s *system) awake(expr ...string) string {
	return strings.Join(expr, "\n") + "\nunless on (system, probe) " + of("probe_in_maintenance", s.all()) + " == 1"
}
