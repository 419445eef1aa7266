package alerts

import (
	"fmt"
	"time"

	"prober/internal/probe"
)

// What is let in, or shown, that must not be waits for nothing, needs no majority of locations, and is no smaller news
// than anything: no outage looks like that, and one prober that saw it is enough. It is always of the first level: «P1:
// Tenant isolation breach, secret compromise, auth bypass».

// breachHeld is how long a breach stays in force. Somebody's data seen once in a thousand runs is no flapping.
const breachHeld = time.Hour

// provenWithin is how old the proof of isolation may be.
const provenWithin = 30 * time.Minute

// isolation returns the alerts of a probe of tenants.
func (s *system) isolation(j probe.Job) []news {
	breaches := of("probe_isolation_breach_total", s.match(j))
	past := promTime(breachHeld)
	// A counter that was already above 0 when it was first seen has not increased.
	seen := fmt.Sprintf("max %s (increase(%s[%s]) > 0 or %[2]s > 0 unless %[2]s offset %[3]s)", s.by("surface"), breaches, past)
	breach := s.about(j, "ProbeBreach", gradeOf(j.Severity).at(1), 0, seen)
	breach.summary = "Suspected tenant isolation violation: one org was shown, or changed, what is another's, by {{ $labels.surface }}" + verbatim(fmt.Sprintf(" (%s of %s)", j.Name, s.name))
	breach.text = "Declare it: freeze deployments, start the incident's timeline. Seen within the last hour by at least one prober, with every control held. " + breach.text
	breach.proof.labels["surface"] = madeUpSurface
	breach.proof.turn = func(w *world) {
		w.fail(j)
		w.set("probe_isolation_breach_total", 1, s.labels(j))
	}

	// Each surface must be proven, by whom does not matter: that a location is cut off is other news.
	proven := "max " + s.by("surface") + " (" + of("probe_isolation_last_proven_timestamp_seconds", s.match(j)) + ")"
	age := func(of string) string { return "time() - min " + s.by() + " (" + of + ")" }
	long := max(provenWithin, upTo(3*j.Interval, time.Minute))
	unproven := s.about(j, "ProbeIsolationUnproven", gradeOf(j.Severity).at(2), time.Minute, lines(
		fmt.Sprintf("%s > %d", age(proven), int(long.Seconds())),
		fmt.Sprintf("and %s %s > %d", s.on(), age(of("probe_registered_timestamp_seconds", s.match(j))), int(long.Seconds()))))
	unproven.summary = verbatim(fmt.Sprintf("Isolation unproven for %s: %s of %s", promTime(long), j.Name, s.name))
	unproven.proof.after = long + time.Minute + step
	unproven.proof.turn = func(w *world) { w.halt("probe_isolation_last_proven_timestamp_seconds", s.labels(j)) }

	fail := s.plain(j, seen)
	return []news{breach, unproven, fail}
}

// protected returns the alerts of a probe of a protected route.
func (s *system) protected(j probe.Job) []news {
	let := "(max " + s.by() + " (" + held(of("probe_auth_case", s.match(j, `case!="valid"`, equal("outcome", "accepted")))) + ") == 1" +
		" or max " + s.by() + " (" + held(of("probe_protected_outcome", s.match(j, equal("outcome", "auth_bypass")))) + ") == 1)"
	bypass := s.bypass(j, let)
	bypass.proof.turn = func(w *world) {
		w.fail(j)
		w.set("probe_auth_case", 1, s.labels(j), map[string]string{"outcome": "accepted"})
	}
	refused := "max " + s.by() + " (" + held(of("probe_protected_outcome", s.match(j, equal("outcome", "valid_rejected")))) + ") == 1"
	rejected := s.about(j, "ProbeValidRejected", gradeOf(j.Severity).at(1), failWait(j), lines(s.failed(j), "and "+s.on()+" "+refused))
	rejected.summary = verbatim(fmt.Sprintf("%s: a valid token is rejected (%s of %s)", procedure(j), j.Name, s.name))
	rejected.proof.turn = func(w *world) {
		w.fail(j)
		w.set("probe_protected_outcome", 1, s.labels(j), map[string]string{"outcome": "valid_rejected"})
	}
	return []news{bypass, rejected, s.plain(j, let, refused)}
}

// denied returns the alerts of an HTTP probe that asks as somebody who is to be refused: being answered with success,
// while those who may are answered too, is a bypass.
func (s *system) denied(j probe.Job) []news {
	status := of("probe_http_status_code", s.match(j, equal("check", "status")))
	control := of("probe_check_success", s.match(j, equal("check", "control")))
	let := "(max " + s.by() + " (" + held(status) + ") >= 200 < 300 and max " + s.by() + " (" + held(control) + ") == 1)"
	bypass := s.bypass(j, let)
	bypass.proof.turn = func(w *world) {
		w.fail(j)
		w.set("probe_http_status_code", 200, s.labels(j), map[string]string{"check": "status"})
	}
	return []news{bypass, s.plain(j, let)}
}

// bypass is the alert on somebody being let in.
func (s *system) bypass(j probe.Job, let string) news {
	n := s.about(j, "ProbeAuthBypass", gradeOf(j.Severity).at(1), 0, let)
	n.summary = verbatim(fmt.Sprintf("Auth bypass: %s of %s is answered to somebody who must be refused", j.Name, s.name))
	return n
}

// keySets returns the alerts of a probe of key sets. Private or symmetric material in one is a secret that is none.
func (s *system) keySets(j probe.Job) []news {
	shown := "min " + s.by() + " (" + held(of("probe_check_success", s.match(j, equal("check", checkPrivate)))) + ") == 0"
	secret := s.about(j, "ProbeSecretPublished", gradeOf(j.Severity).at(1), 0, shown)
	secret.summary = verbatim(fmt.Sprintf("Secret compromise: the key set of %s of %s publishes private or symmetric key material", j.Name, s.name))
	secret.proof.turn = func(w *world) {
		w.fail(j)
		w.set("probe_check_success", 0, s.labels(j), map[string]string{"check": checkPrivate})
	}
	return []news{secret, s.plain(j, shown)}
}
