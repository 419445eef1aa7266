package alerts

import (
	"fmt"
	"slices"
	"time"

	"prober/internal/probe"
)

// failWait is how long a probe must fail. The runbook gives one minute for a process that is down; a probe with a long
// interval must fail more than once.
func failWait(j probe.Job) time.Duration {
	return max(time.Minute, roundUp(2*j.Interval, time.Second))
}

// readyWait is for conditions that may pass by themselves: not ready, a replica that is being replaced. The grace
// period of the probe is over by then, since the probe does not fail before.
func readyWait(j probe.Job) time.Duration { return max(2*time.Minute, failWait(j)) }

// failureAlerts returns the alerts on a failing probe. At most one of them fires for one cause.
func (s *system) failureAlerts(j probe.Job) []alert {
	switch {
	case s.options.exports(j, healthState):
		return s.healthAlerts(j)
	case s.options.exports(j, breaches) && lists(j, breaches):
		return s.isolationAlerts(j)
	case s.options.exports(j, telemetryZero) && has(j, "zero"):
		return s.telemetryAlerts(j)
	case s.options.exports(j, sqlInRecovery) && has(j, checkPrimary):
		return s.primaryAlerts(j)
	case s.options.exports(j, unverifiedRatio):
		return []alert{s.unverifiedAlert(j), s.generic(j)}
	case s.options.exports(j, authOutcome):
		return s.protectedAlerts(j)
	case has(j, checkPrivateKey):
		return s.keySetAlerts(j)
	case expectsDenial(j):
		return s.denialAlerts(j)
	}
	return []alert{s.generic(j)}
}

// generic is the alert on a failing probe, unless another alert covers the cause.
//
//go:noinline
func (s *system) generic(j probe.Job, covered ...term) alert {
	a := s.probeAlert(j, "ProbeFailing", parseSeverity(j.Severity), failWait(j), s.unless(s.failed(j), covered...))
	a.summary = escapeTemplate(fmt.Sprintf("%s: %s/%s fails", procedure(j), s.name, j.Name))
	return a
}

// probeAlert is an alert on one probe. Its description lists the checks that did not pass, with their reasons.
func (s *system) probeAlert(j probe.Job, name string, severity severity, wait time.Duration, condition term) alert {
	labels := s.labels(j)
	return alert{
		name: name, severity: severity, wait: wait, runbook: j.Runbook, url: j.RunbookURL, impact: j.Impact(),
		labels: mergeLabels(labels, map[string]string{"type": j.Type}),
		expr:   s.unlessMaintenance(condition.expr),
		found:  condition.found, dependent: condition.dependent,
		summary: "", description: s.description(j),
		example: &example{job: j, verdict: probe.Fail, labels: labels, after: wait},
	}
}

// failed is true while a majority of locations reports that the probe fails, for more than what targetAlerts are about, and
// nothing that it depends on does.
func (s *system) failed(j probe.Job) term {
	t := is(selector(probeVotes, s.match(j))+" > 0", (*view).failing)
	if hasOwnAlerts(j) {
		t = s.unless(t, is(selector(onlyTargetChecks, s.match(j)), (*view).onlyTargetChecks))
	}
	return s.unlessDependencyFails(j, t)
}

// unlessDependencyFails excludes failures that the failure of a dependency explains.
func (s *system) unlessDependencyFails(j probe.Job, t term) term {
	dependencies := s.dependencies(j)
	for _, dependency := range dependencies {
		t.expr += "\nunless on (system) " + selector(probeVotes, s.match(dependency)) + " > 0"
	}
	t.dependent = true
	holds := t.found
	t.found = func(v *view) []found {
		if slices.ContainsFunc(dependencies, func(d probe.Job) bool { return v.of(&d).failing() }) {
			return nil
		}
		return holds(v)
	}
	return t
}

// dependencies are the jobs that a job depends on.
func (s *system) dependencies(j probe.Job) (all []probe.Job) {
	for _, name := range j.DependsOn {
		if i, known := s.byName[name]; known {
			all = append(all, s.jobs[i])
		}
	}
	return all
}

// on matches series of the same probe.
//
//go:noinline
func (s *system) on() string { return "on" + s.by()[2:] }

// description is a template that queries Prometheus for the checks that did not pass recently, their reasons, and what
// they got: statuses, numbers of a database, and durations where those are the reason.
func (s *system) description(j probe.Job) string {
	each := func(series, text string) string { return s.forEach(selector(series, s.match(j)), text) }
	text := "Recent failures: " + each(recentFailures, "{{ .Labels.check }} ({{ .Labels.reason }})") +
		each(failedStatus, "got {{ if .Value }}{{ .Value }}{{ else }}no response{{ end }} for {{ .Labels.check }}{{ with .Labels.target }} at {{ . }}{{ end }}")
	if hasLatency(j) {
		text += each(slowSeconds, "took {{ .Value | humanizeDuration }}")
	}
	if hasCertificate(j) {
		text += each(certSeconds, "certificate valid for another {{ .Value | humanizeDuration }}")
	}
	return text + s.measured(j) + "details and trace ids: prober --once --probe=" + escapeTemplate(s.name+"/"+j.Name)
}

// forEach is a template that repeats a text for each series of a query.
func (s *system) forEach(query, text string) string {
	return "{{ range query " + s.templateQuery(query) + " }}" + text + ", {{ end }}"
}

// notReadyStates are the states of a replica that is not ready, or does not say so.
var notReadyStates = []string{"not_ready", "ready_error", "wrong_route", "unexpected_status"}

// alertedStates are the states of a health probe that have an alert of their own.
var alertedStates = append([]string{"liveness_coupled", readyDespiteDependency, "degraded_by_dependency"}, notReadyStates...)

// unreadyStates are those of a replica that gets no traffic.
var unreadyStates = append([]string{"degraded_by_dependency", "liveness_coupled", "down", "region_down"}, notReadyStates...)

// stateServing is the state of a replica that is live and ready.
const stateServing = "serving"

// readyDespiteDependency is the state of a replica that is ready although its dependency is down.
const readyDespiteDependency = "ready_despite_dependency_down"

// healthAlerts returns the alerts on a health probe. Each state needs another response: a process that is down, a
// liveness that depends on another service, missing replicas, a process that is live and not ready, and one that
// rightly waits for its dependency. ProbeFailing covers the rest.
func (s *system) healthAlerts(j probe.Job) []alert {
	var (
		severity = parseSeverity(j.Severity)
		failed   = s.failed(j)
		state    = func(names ...string) term {
			return is(selector(stateMax, s.match(j, oneOf("state", names)))+" == 1", func(v *view) bool { return v.inState(names) })
		}
		another = is(selector(stateMax, s.match(j, noneOf("state", unreadyStates)))+" == 1", func(v *view) bool { return v.inStateBeside(unreadyStates) })
		highest = func(check string, value float64) term {
			return is(fmt.Sprintf("%s == %g", selector(checkMax, s.match(j, equal("check", check))), value), func(v *view) bool {
				_, highest, known := v.check(check)
				return known && highest == value
			})
		}
		isDown = highest("live", 0)
		isLive = highest("live", 1)
		partly = is(selector(checkMin, s.match(j, oneOf("check", []string{"live", "replicas"})))+" == 0", func(v *view) bool {
			return v.checkFails("live") || v.checkFails("replicas")
		})
		// No replica gets traffic: to users that is an outage, though the process is live.
		nowhere = term{
			expr:  "(" + state(notReadyStates...).expr + " unless " + s.on() + " " + another.expr + ")",
			found: s.unless(state(notReadyStates...), another).found,
		}
		live = sample{"probe_check_success", map[string]string{"check": "live"}, 1}
		down = sample{"probe_check_success", map[string]string{"check": "live"}, 0}
		in   = func(state string) sample { return sample{healthState, map[string]string{"state": state}, 1} }
		none = sample{healthState, map[string]string{"state": stateServing}, 0}
	)
	return []alert{
		s.healthAlert(j, "ProbeDown", severity, failWait(j), s.unless(s.and(failed, isDown), state("liveness_coupled")),
			"%s: no replica of %s/%s is live", down),
		s.healthAlert(j, "ProbeLivenessCoupled", severity, 0, s.and(failed, state("liveness_coupled")),
			"%s: liveness of %s/%s depends on another service, which causes needless restarts; do not point the liveness probe at /ready", in("liveness_coupled"), down),
		s.healthAlert(j, "ProbeReadyWithDependencyDown", severity.lowered(), time.Minute, s.and(failed, state(readyDespiteDependency)),
			"%s: %s/%s is ready although its dependency is down", in(readyDespiteDependency), live),
		s.healthAlert(j, "ProbeReplicasMissing", severity.lowered(), readyWait(j), s.unless(s.and(failed, partly), isDown, nowhere),
			"%s: fewer replicas of %s/%s are live than expected", live, sample{"probe_check_success", map[string]string{"check": "replicas"}, 0}),
		s.healthAlert(j, "ProbeNotReady", severity, failWait(j), s.and(failed, isLive, nowhere),
			"%s: no replica of %s/%s is ready, though some are live", in("not_ready"), none, live),
		s.healthAlert(j, "ProbeNotReady", severity.lowered(), readyWait(j),
			s.unless(s.and(failed, state(notReadyStates...), isLive), partly, nowhere),
			"%s: some replicas of %s/%s are live but not ready", in("not_ready"), in(stateServing), live),
		s.healthAlert(j, "ProbeWaitsForDependency", severity.cappedAt(3), readyWait(j), s.unless(s.and(failed, state("degraded_by_dependency")), partly),
			"%s: %s/%s is rightly not ready, because its dependency is down; fix the dependency, do not restart this", in("degraded_by_dependency"), live),
		s.healthAlert(j, "ProbeFailing", severity, failWait(j), s.unless(failed, state(alertedStates...), partly),
			"%s: %s/%s fails", live),
	}
}

// healthAlert is one of these alerts. It fires while the probe fails and has these series.
func (s *system) healthAlert(j probe.Job, name string, severity severity, wait time.Duration, condition term, summary string, series ...sample) alert {
	a := s.probeAlert(j, name, severity, wait, condition)
	a.summary = escapeTemplate(fmt.Sprintf(summary, procedure(j), s.name, j.Name))
	a.example.series = series
	return a
}

// An alert on a breach does not wait, needs no majority of locations, and is inhibited by nothing: no outage looks like
// a breach, and one prober that saw it is enough. It is always of the first level: «P1: Tenant isolation breach, secret
// compromise, auth bypass».

// breachHold is how long the alert on a breach fires after the last one. Data leaked once in a thousand runs is no flapping.
const breachHold = time.Hour

// maxProofAge is how old the last proof of isolation may be.
const maxProofAge = 30 * time.Minute

// isolationAlerts returns the alerts on a probe of tenant isolation.
func (s *system) isolationAlerts(j probe.Job) []alert {
	counter := selector(breaches, s.match(j))
	// increase() does not see a counter that was already above 0 in its first sample.
	seen := term{
		expr:  fmt.Sprintf("max %s (increase(%s[%s]) > 0 or %[2]s > 0 unless %[2]s offset %[3]s)", s.by("surface"), counter, promTime(breachHold)),
		found: (*view).breached,
	}
	breach := s.probeAlert(j, "ProbeBreach", parseSeverity(j.Severity).atLeast(1), 0, seen)
	breach.hold = breachHold
	breach.summary = "Suspected tenant isolation violation: {{ $labels.surface }} showed or changed the data of another org" + escapeTemplate(fmt.Sprintf(" (%s/%s)", s.name, j.Name))
	breach.description = "Declare the incident: freeze deployments, start its timeline. At least one prober saw this within the last hour, while every control held. " + breach.description
	breach.example.labels["surface"] = exampleSurface
	breach.example.series = []sample{{breaches, map[string]string{"surface": exampleSurface}, 1}}

	// Each surface must be proven, by any location: a location that is cut off has an alert of its own.
	proven := "max " + s.by("surface") + " (" + selector(lastProven, s.match(j)) + ")"
	age := func(of string) string { return "time() - min " + s.by() + " (" + of + ")" }
	maxAge := proofAge(j)
	unproven := s.probeAlert(j, "ProbeIsolationUnproven", parseSeverity(j.Severity).withLevel(2), time.Minute, is(lines(
		fmt.Sprintf("%s > %d", age(proven), int(maxAge.Seconds())),
		fmt.Sprintf("and %s %s > %d", s.on(), age(selector("probe_registered_timestamp_seconds", s.match(j))), int(maxAge.Seconds()))),
		func(v *view) bool { return v.unproven(maxAge) }))
	unproven.summary = escapeTemplate(fmt.Sprintf("Tenant isolation has not been proven for %s: %s/%s", promTime(maxAge), s.name, j.Name))
	unproven.example = nil // it takes half an hour

	return []alert{breach, unproven, s.generic(j, seen)}
}

// proofAge is how old the proof of isolation of a probe may be: at least three intervals.
func proofAge(j probe.Job) time.Duration {
	return max(maxProofAge, roundUp(3*j.Interval, time.Minute))
}

// exampleSurface is the surface of the breach in a unit test.
const exampleSurface = "memories/read"

// telemetryAlerts returns the alerts on a probe of telemetry that must stay 0. What is not 0 happened, whatever comes later.
func (s *system) telemetryAlerts(j probe.Job) []alert {
	above := term{expr: "max " + s.by("name") + " (" + lastKnown(selector(telemetryZero, s.match(j))) + ") > 0", found: (*view).notZero}
	a := s.probeAlert(j, "ProbeNotZero", parseSeverity(j.Severity), 0, above)
	a.summary = "Telemetry that must stay 0 is {{ $value }}: {{ $labels.name }}" + escapeTemplate(fmt.Sprintf(" (%s/%s)", s.name, j.Name))
	a.description = "What must never happen was counted. " + a.description
	a.example.labels["name"] = exampleTelemetry
	a.example.series = []sample{{telemetryZero, map[string]string{"name": exampleTelemetry}, 1}}
	return []alert{a, s.generic(j, above)}
}

// exampleTelemetry is the name of the series in a unit test.
const exampleTelemetry = "never"

// protectedAlerts returns the alerts on a probe of a protected route.
func (s *system) protectedAlerts(j probe.Job) []alert {
	ended := func(outcome string) term {
		return is("max "+s.by()+" ("+lastKnown(selector(authOutcome, s.match(j, equal("outcome", outcome))))+") == 1", func(v *view) bool {
			return v.any(authOutcome, func(labels map[string]string) bool { return labels["outcome"] == outcome })
		})
	}
	accepted := either(is("max "+s.by()+" ("+lastKnown(selector(authCase, s.match(j, `caller!="valid"`, equal("outcome", "accepted"))))+") == 1", func(v *view) bool {
		return v.any(authCase, func(labels map[string]string) bool {
			return labels["caller"] != "valid" && labels["outcome"] == "accepted"
		})
	}), ended("auth_bypass"))
	bypass := s.bypassAlert(j, accepted, sample{authCase, map[string]string{"caller": "revoked", "outcome": "accepted"}, 1})
	refused := ended("valid_rejected")
	rejected := s.probeAlert(j, "ProbeValidRejected", parseSeverity(j.Severity).atLeast(1), failWait(j), s.and(s.failed(j), refused))
	rejected.summary = escapeTemplate(fmt.Sprintf("%s: %s/%s rejects a valid token", procedure(j), s.name, j.Name))
	rejected.example.series = []sample{{authOutcome, map[string]string{"outcome": "valid_rejected"}, 1}}
	return []alert{bypass, rejected, s.generic(j, accepted, refused)}
}

// denialAlerts returns the alerts on an HTTP probe that expects a denial. An answer of success, while the control passes,
// is a bypass.
func (s *system) denialAlerts(j probe.Job) []alert {
	status := selector("probe_http_status_code", s.match(j, equal("check", "status")))
	control := selector("probe_check_success", s.match(j, equal("check", "control")))
	// Of one prober both: another one may be refused, or have a control that fails.
	accepted := is("max "+s.by()+" (("+lastKnown(status)+") >= 200 < 300 and ignoring (check) ("+lastKnown(control)+") == 1)", func(v *view) bool {
		status := v.status("status")
		_, control, known := v.check("control")
		return status >= 200 && status < 300 && known && control == 1
	})
	bypass := s.bypassAlert(j, accepted, sample{"probe_http_status_code", map[string]string{"check": "status"}, 200},
		sample{"probe_check_success", map[string]string{"check": "control"}, 1})
	return []alert{bypass, s.generic(j, accepted)}
}

// bypassAlert is the alert on a caller that is accepted and must be denied.
func (s *system) bypassAlert(j probe.Job, accepted term, series ...sample) alert {
	a := s.probeAlert(j, "ProbeAuthBypass", parseSeverity(j.Severity).atLeast(1), 0, accepted)
	a.summary = escapeTemplate(fmt.Sprintf("Auth bypass: %s/%s accepts a caller that must be denied", s.name, j.Name))
	a.example.series = series
	return a
}

// maxUnverified is how large a share of the latest deliveries may fail to verify: scanners find no path, but anybody errs.
const maxUnverified = 0.2

// unverifiedAlert is the alert on deliveries that do not verify. It is no failure of the probe: those that the sender signed
// wrongly look like forged ones, and those must not change a verdict.
func (s *system) unverifiedAlert(j probe.Job) alert {
	a := s.probeAlert(j, "ProbeDeliveriesUnverified", parseSeverity(j.Severity).lowered(), time.Minute, is(
		fmt.Sprintf("max %s (%s) > %g", s.by(), lastKnown(selector(unverifiedRatio, s.match(j))), maxUnverified), func(v *view) bool {
			return slices.ContainsFunc(v.samples, func(s probe.Sample) bool { return s.Name == unverifiedRatio && s.Value > maxUnverified })
		}))
	a.summary = "{{ $value | humanizePercentage }} of the latest deliveries do not verify" + escapeTemplate(fmt.Sprintf(": %s/%s", s.name, j.Name))
	a.description = "Either the sender signs some of them wrongly, such as one of its replicas with an old key, or another one knows the path. By cause: probe_webhook_deliveries_total. Look for these deliveries at the sender; if it did not send them, replace the token."
	a.example.verdict = probe.Pass
	a.example.series = []sample{{unverifiedRatio, nil, 1}}
	return a
}

// keySetAlerts returns the alerts on a probe of key sets. Private or symmetric key material in one is a compromised secret.
func (s *system) keySetAlerts(j probe.Job) []alert {
	published := is("min "+s.by()+" ("+lastKnown(selector("probe_check_success", s.match(j, equal("check", checkPrivateKey))))+") == 0",
		func(v *view) bool { return v.checkFails(checkPrivateKey) })
	secret := s.probeAlert(j, "ProbeSecretPublished", parseSeverity(j.Severity).atLeast(1), 0, published)
	secret.summary = escapeTemplate(fmt.Sprintf("Secret compromise: the key set of %s/%s publishes private or symmetric key material", s.name, j.Name))
	secret.example.series = []sample{{"probe_check_success", map[string]string{"check": checkPrivateKey}, 0}}
	return []alert{secret, s.generic(j, published)}
}
