package alerts

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
)

// The series that the rules of a system record for its alerts. Several probers may run the same probe: each location has
// one vote, and the majority decides. So a location that is cut off pages nobody, and two probers in one location count
// no more than one.
const (
	locationVote = "location:probe_verdict:vote" // of one location: 1 fails, -1 passes, 0 inconclusive or a tie
	probeVotes   = "probe:probe_verdict:votes"   // of all: above 0 if the majority of the conclusive locations fails
	checkMax     = "probe:probe_check_success:max"
	checkMin     = "probe:probe_check_success:min"
	stateMax     = "probe:probe_health_state:max"

	onlyTargetChecks = "probe:probe_check_failures:target_only" // exists while nothing fails but what targetAlerts are about

	recentFailures = "probe:probe_failures:recent"      // 1 for each check and reason of a recent failure
	failedStatus   = "probe:probe_http_status:failed"   // the status on which a check rests that did not pass; 0 without a response
	slowSeconds    = "probe:probe_http_duration:slow"   // how long the slowest exchange took, while one is too slow
	certSeconds    = "probe:probe_tls_cert_left:failed" // how long the certificate is still valid, while it is why a check fails
)

// recordingRules returns the rules that record these series.
func (s *system) recordingRules() []Rule {
	count := func(verdict string) string {
		return "sum " + s.by(region) + " (" + lastKnown(selector("probe_verdict", s.all(), equal("verdict", verdict))) + ")"
	}
	rules := []Rule{
		{Record: locationVote, Expr: lines("sgn(", "  "+count("fail"), "-", "  "+count("pass"), ")")},
		{Record: probeVotes, Expr: "sum " + s.by() + " (" + selector(locationVote, s.all()) + ")"},
	}
	// A series of check and reason begins with its first failure, which increase() does not see.
	recent := 5 * time.Minute
	for _, j := range s.jobs {
		recent = max(recent, min(roundUp(3*j.Interval, time.Minute), time.Hour))
	}
	failures := selector("probe_failures_total", s.all())
	rules = append(rules,
		Rule{Record: recentFailures, Expr: fmt.Sprintf("group %s (%[2]s unless %[2]s offset %[3]s or increase(%[2]s[%[3]s]) > 0)", s.by("check", "reason"), failures, promTime(recent))},
		Rule{Record: failedStatus, Expr: s.statusExpr()},
	)
	if slices.ContainsFunc(s.jobs, hasLatency) {
		rules = append(rules, Rule{Record: slowSeconds, Expr: s.whileFailing("slow", "max "+s.by()+" (sum without (phase) ("+selector("probe_http_duration_seconds", s.all())+"))")})
	}
	if slices.ContainsFunc(s.jobs, hasCertificate) {
		rules = append(rules, Rule{Record: certSeconds, Expr: s.whileFailing("cert", "min "+s.by()+" ("+selector("probe_tls_earliest_cert_expiry_timestamp_seconds", s.all())+") - time()")})
	}
	if slices.ContainsFunc(s.jobs, hasOwnAlerts) {
		shared := probe.CheckSecrets + "|" + probe.CheckVersions
		if slices.ContainsFunc(s.jobs, expectsCertificate) {
			shared += "|" + probe.CheckCertificate
		}
		lowest := func(matcher string) string {
			return "min " + s.by() + " (" + lastKnown(selector("probe_check_success", s.all(), matcher)) + ") == 0"
		}
		rules = append(rules, Rule{Record: onlyTargetChecks, Expr: lines(lowest(fmt.Sprintf("check=~%q", shared)), "unless "+s.on()+" "+lowest(fmt.Sprintf("check!~%q", shared)))})
	}
	var replicated []string
	for _, j := range s.jobs {
		if s.options.exports(j, healthState) {
			replicated = append(replicated, j.Name)
		}
	}
	if replicated == nil {
		return rules
	}
	probes := oneOf("probe", replicated)
	checks := lastKnown(selector("probe_check_success", s.all(), probes))
	return append(rules,
		Rule{Record: checkMax, Expr: s.median("ceil", "max", checks, "check")},
		Rule{Record: checkMin, Expr: s.median("floor", "min", checks, "check")},
		Rule{Record: stateMax, Expr: s.median("ceil", "max", lastKnown(selector(healthState, s.all(), probes)), "state")},
	)
}

// median is what most probers see of all their targets; round decides where they are divided.
func (s *system) median(round, of, series, label string) string {
	return round + "(quantile " + s.by(label) + " (0.5, " + of + " without (target) (" + series + ")))"
}

// statusExpr is the status on which each check rests that did not pass lately. A check without an exchange of its own,
// such as one of the content of a response, rests on those of its target, if they agree.
func (s *system) statusExpr() string {
	status := selector("probe_http_status_code", s.all())
	others := "(" + selector("probe_http_status_code", s.all(), `check!~"control|catch_all"`) + " > 0)"
	checked := selector("probe_check_success", s.all())
	own := "max " + s.by("check", "target") + " (" + status + ")"
	return lines(
		"max "+s.by("check", "target")+" ("+status+" unless "+checked+" == 1)", // of each prober, since others may see it pass
		"  and on ("+strings.Join(s.keys, ", ")+", check) "+selector(recentFailures, s.all()),
		"or (max "+s.by("check", "target")+" ("+checked+" == 0) unless "+own+")",
		"  + on ("+strings.Join(s.keys, ", ")+", target) group_left ()",
		"  (max "+s.by("target")+" "+others+" == min "+s.by("target")+" "+others+")")
}

// hasLatency reports whether the probe has a check of the latency.
func hasLatency(j probe.Job) bool { return has(j, "latency") }

// hasCertificate reports whether the probe has a check of the certificate.
func hasCertificate(j probe.Job) bool { return has(j, probe.CheckCertificate) }

// whileFailing is the expression while a check fails for the reason.
func (s *system) whileFailing(reason, expr string) string {
	return lines(expr, "and "+s.on()+" "+selector(recentFailures, s.all(), equal("reason", reason)))
}

// unlessMaintenance ends the expression of every alert on a probe: the alert is silent during a maintenance window. A
// probe without windows has no such series, so nothing is excluded.
func (s *system) unlessMaintenance(expr ...string) string {
	return strings.Join(expr, "\n") + "\nunless on (system, probe) " + selector("probe_in_maintenance", s.all()) + " == 1"
}
