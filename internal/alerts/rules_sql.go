package alerts

import (
	"fmt"

	"prober/internal/probe"
)

// Checks of a probe that asks a database, and a reason.
const (
	checkValues        = "values"      // the numbers of a query are within their limits
	checkReplication   = "replication" // a standby follows
	checkPrimary       = "primary"     // exactly one server of a cluster is a primary
	reasonOtherCluster = "other_cluster"
)

// primaryAlerts returns the alerts on the servers of a cluster. Two primaries and none need another response: one of the two
// must be fenced before what they accept can no longer be merged; without one, a standby is promoted. A server that cannot be
// reached may be a primary, so its absence is neither: ProbeFailing says that.
func (s *system) primaryAlerts(j probe.Job) []alert {
	servers := "min " + s.by("target") + " (" + lastKnown(selector(sqlInRecovery, s.match(j))) + ")"
	compared := func(expr string, primaries func(n int) bool) term {
		return is(lines(expr,
			"  and "+s.on()+" min "+s.by()+" ("+lastKnown(selector("probe_check_success", s.match(j, equal("check", checkPrimary))))+") == 0",
			"  unless "+s.on()+" "+selector(recentFailures, s.match(j, equal("reason", reasonOtherCluster)))+")"),
			func(v *view) bool {
				n, known := v.primaries()
				return known && primaries(n) && v.checkFails(checkPrimary) && !v.hasReason(reasonOtherCluster)
			})
	}
	several := compared("(count "+s.by()+" ("+servers+" == 0) > 1", func(n int) bool { return n > 1 })
	none := compared("(min "+s.by()+" ("+servers+") == 1", func(n int) bool { return n == 0 })
	return []alert{
		s.primaryAlert(j, "ProbeTwoPrimaries", several, "more than one server is a primary, and each accepts writes", 0),
		s.primaryAlert(j, "ProbeNoPrimary", none, "no server is a primary, and nothing accepts writes", 1),
		s.generic(j, several, none),
	}
}

// primaryAlert is one of these alerts. In its example, all servers are in recovery or none is.
func (s *system) primaryAlert(j probe.Job, name string, condition term, summary string, recovering float64) alert {
	a := s.probeAlert(j, name, parseSeverity(j.Severity), failWait(j), s.and(s.failed(j), condition))
	a.summary = escapeTemplate(fmt.Sprintf("%s: %s/%s: %s", procedure(j), s.name, j.Name, summary))
	a.example.series = []sample{{"probe_check_success", map[string]string{"check": checkPrimary}, 0}}
	for _, server := range exampleServers {
		a.example.series = append(a.example.series, sample{sqlInRecovery, map[string]string{"target": server}, recovering})
	}
	return a
}

// exampleServers are the servers of a cluster in a unit test.
var exampleServers = []string{"db-1:5432", "db-2:5432"}

// maxShownValues is how many rows of a query an alert shows of each value.
const maxShownValues = 5

// measured is a template that shows the numbers that a database answered with: the largest of a query, and the age of the
// heartbeat.
func (s *system) measured(j probe.Job) (text string) {
	if s.options.exports(j, sqlValue) && has(j, checkValues) {
		text += s.forEach(fmt.Sprintf("topk by (name) (%d, max by (name, by) (%s))", maxShownValues, selector(sqlValue, s.match(j))),
			`{{ .Labels.name }}{{ with .Labels.by }} of {{ . }}{{ end }} is {{ printf "%.10g" .Value }}`)
	}
	if s.options.exports(j, sqlHeartbeat) && has(j, checkReplication) {
		text += s.forEach("max("+selector(sqlHeartbeat, s.match(j))+")", "heartbeat is {{ .Value | humanizeDuration }} old")
	}
	return text
}
