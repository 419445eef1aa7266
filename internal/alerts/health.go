package alerts

import (
	"fmt"
	"time"

	"prober/internal/probe"
)

// troubles are the states that have an alert of their own, as the kind names them.
var troubles = []string{"liveness_coupled", "ready_lies", "not_ready", "ready_error", "wrong_route", "degraded_by_dependency"}

// health returns the alerts of a health probe. Its states are told apart, for each wants something else done: a process
// that is down, one whose liveness hangs on a dependency, a part of the replicas, one that is live and not ready, and
// one that rightly waits for its dependency. What none of them explains is plainly failing.
func (s *system) health(j probe.Job) []news {
	var (
		g       = gradeOf(j.Severity)
		failed  = s.failed(j)
		state   = func(names ...string) string { return of(states, s.match(j, oneOf("state", names))) + " == 1" }
		highest = func(check string) string { return of(most, s.match(j, equal("check", check))) }
		and     = "and " + s.on() + " "
		unless  = "unless " + s.on() + " "
		partly  = of(least, s.match(j, oneOf("check", []string{"live", "replicas"}))) + " == 0"
	)
	all := []news{
		s.health1(j, "ProbeDown", g, failWait(j), lines(failed, and+highest("live")+" == 0", unless+state("liveness_coupled")),
			"%s: %s of %s is live on no replica", "down", "live", "serving", "replicas"),
		s.health1(j, "ProbeLivenessCoupled", g, 0, lines(failed, and+state("liveness_coupled")),
			"%s: liveness of %s of %s hangs on its dependency (avoidable restarts); do not point liveness at /ready", "liveness_coupled", "live", "split", "serving", "replicas"),
		s.health1(j, "ProbeReadinessLies", g.eased(), time.Minute, lines(failed, and+state("ready_lies")),
			"%s: %s of %s says ready while its dependency is down", "ready_lies", "split"),
		s.health1(j, "ProbeReplicasMissing", g.eased(), readyWait(j), lines(failed, and+partly, unless+highest("live")+" == 0"),
			"%s: fewer replicas of %s of %s answer 200 at /health than there must be", "serving", "replicas"),
		s.health1(j, "ProbeNotReady", g.eased(), readyWait(j),
			lines(failed, and+state("not_ready", "ready_error", "wrong_route"), and+highest("live")+" == 1", unless+partly),
			"%s: %s of %s is live and /ready does not return 200", "not_ready", "serving"),
		s.health1(j, "ProbeWaitsForDependency", g.at(3), readyWait(j), lines(failed, and+state("degraded_by_dependency"), unless+partly),
			"%s: %s of %s is rightly not ready, since its dependency is down; mend that, do not restart this", "degraded_by_dependency", "serving"),
		s.health1(j, "ProbeFailing", g, failWait(j), lines(failed, unless+state(troubles...), unless+partly),
			"%s: %s of %s fails", "serving", "decoy"),
	}
	return all
}

// health1 is one of these alerts. Its proof puts all replicas into a state and fails the checks.
func (s *system) health1(j probe.Job, name string, g grade, wait time.Duration, expr, summary, state string, checks ...string) news {
	n := s.about(j, name, g, wait, expr)
	n.summary = verbatim(fmt.Sprintf(summary, procedure(j), j.Name, s.name))
	n.proof.turn = func(w *world) {
		w.verdict(j, "fail")
		w.set("probe_health_state", 0, s.labels(j))
		w.set("probe_health_state", 1, s.labels(j), map[string]string{"state": state})
		for _, check := range checks {
			w.set("probe_check_success", 0, s.labels(j), map[string]string{"check": check})
		}
	}
	return n
}
