package alerts

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"prober/internal/drop"
	"prober/internal/probe"
)

// alert is an alert on each of the probes of a group.
func (g runbookGroup) alert(s *system, name string, severity severity) alert {
	return alert{
		name: name, severity: severity, runbook: g.runbook, url: g.url, impact: g.impact,
		labels: mergeLabels(s.common(g.jobs), map[string]string{"system": s.name}), jobs: g.jobs,
	}
}

// targetWait is how long an oddity that harms nobody at once may last: a rollout, a proxy that drops a header.
const targetWait = 15 * time.Minute

// certificateWarning returns the severity of the alert on a certificate that is to be renewed, if the probe warns of that.
func certificateWarning(j probe.Job) (severity, bool) {
	p, ok := j.Probe.(probe.CertificateWarner)
	if !ok {
		return severity{}, false
	}
	word, ok := p.CertificateWarning()
	if word == "" {
		return parseSeverity(j.Severity).lowered(), ok
	}
	return parseSeverity(word), ok
}

// expectsCertificate reports whether the probe has a check of the certificate that has alerts of its own.
func expectsCertificate(j probe.Job) bool {
	_, ok := j.Probe.(probe.CertificateWarner)
	return ok && has(j, probe.CheckCertificate)
}

// certificateAlerts returns the alerts on the certificate of a probe: that it is to be renewed, and that too little time is
// left, which fails the probe. Neither is an outage yet, so nothing else fires for it.
func (s *system) certificateAlerts(j probe.Job) (all []alert) {
	if !expectsCertificate(j) {
		return nil
	}
	check := s.match(j, equal("check", probe.CheckCertificate))
	failing := is("min "+s.by()+" ("+lastKnown(selector("probe_check_success", check))+") == 0", func(v *view) bool { return v.checkFails(probe.CheckCertificate) })
	if severity, ok := certificateWarning(j); ok {
		a := s.probeAlert(j, "ProbeCertificateExpiring", severity, targetWait, s.unless(is(
			"max "+s.by()+" ("+lastKnown(selector(probe.CertificateExpiring, s.match(j)))+") == 1",
			func(v *view) bool {
				return v.any(probe.CertificateExpiring, func(map[string]string) bool { return true })
			}), failing))
		a.summary = escapeTemplate(fmt.Sprintf("The certificate of %s/%s is to be renewed", s.name, j.Name))
		a.description = "{{ range query " + s.templateQuery("min(probe_tls_earliest_cert_expiry_timestamp_seconds{"+s.match(j)+"}) - time()") + " }}It is valid for another {{ .Value | humanizeDuration }}. {{ end }}The probe does not fail for it yet."
		a.example.verdict = probe.Pass
		a.example.series = []sample{{probe.CertificateExpiring, nil, 1}}
		all = append(all, a)
	}
	a := s.probeAlert(j, "ProbeCertificateFailing", parseSeverity(j.Severity), failWait(j), s.and(
		is(selector(probeVotes, s.match(j))+" > 0", (*view).failing), failing, is(selector(onlyTargetChecks, s.match(j)), (*view).onlyTargetChecks)))
	a.summary = escapeTemplate(fmt.Sprintf("The certificate of %s/%s expires too soon; nothing else fails", s.name, j.Name))
	a.example.series = []sample{{"probe_check_success", map[string]string{"check": probe.CheckCertificate}, 0}}
	return append(all, a)
}

// hasOwnAlerts reports whether checks of the probe have alerts of their own, whatever else fails.
func hasOwnAlerts(j probe.Job) bool { return readsAnswers(j) || expectsCertificate(j) }

// readsAnswers reports whether the answers that a probe gets are checked for what every answer is checked for.
func readsAnswers(j probe.Job) bool {
	_, ok := j.Probe.(probe.VersionReporter)
	return ok
}

// targetAlerts returns the alerts on what every answer is checked for, whatever the kind.
func (s *system) targetAlerts() (all []alert) {
	for _, g := range groupByRunbook(drop.If(slices.Clone(s.jobs), func(j probe.Job) bool { return !readsAnswers(j) })) {
		match := g.match(s)
		reflected := g.alert(s, "ProbeSecretReflected", g.severity.atLeast(1))
		reflected.expr = s.unlessMaintenance("max " + s.by() + " (" + lastKnown(selector("probe_secret_reflected", match)) + ") == 1")
		reflected.found = func(v *view) []found { return foundIf(v.reflected) }
		reflected.summary = "Secret compromise: a response repeats the credential that was sent to it, to {{ $labels.system }}/{{ $labels.probe }}"
		reflected.description = "Whoever sees responses, such as logs, caches and browsers, has the credential. Stop the echo, then replace the credential. Where: prober --once --probe={{ $labels.system }}/{{ $labels.probe }}"

		mixed := g.alert(s, "ProbeMixedVersions", g.severity.cappedAt(3))
		mixed.wait = targetWait
		mixed.expr = s.unlessMaintenance("max " + s.by() + " (" + selector("probe_target_versions", match) + ") > 1")
		mixed.found = (*view).mixedVersions
		mixed.summary = "A rollout seems stuck: {{ $value }} versions serve one URL of {{ $labels.system }}/{{ $labels.probe }}"
		mixed.description = "Which replica has which: probe_target_version_info. Finish the rollout or take it back."

		trace := g.alert(s, "ProbeTraceNotPropagated", g.severity.cappedAt(3))
		trace.wait = targetWait
		trace.expr = s.unlessMaintenance("max " + s.by() + " (" + selector("probe_trace_propagated", match) + ") == 0")
		trace.found = func(v *view) []found { return foundIf(v.otherTrace) }
		trace.summary = "Responses to {{ $labels.system }}/{{ $labels.probe }} state another trace id than the one that was sent"
		trace.description = "The trace ids in reports and notes do not lead to the request. The service, or something in front of it, begins a new trace or answers with a constant."
		all = append(all, reflected, mixed, trace)
	}
	return all
}

// The playbook's «p95 latency sustained > 2s», with numbers: over ten minutes and at least 40 runs, for ten minutes.
const (
	maxLatency         = 2
	minLatencySamples  = 40
	latencyWait        = 10 * time.Minute
	maxLatencyInterval = time.Minute // a probe that runs less often has too few samples for a p95
)

// latencyWindow is a time in which each probe of the group runs often enough. A longer window finds a rise no later,
// since a twentieth of the runs is enough.
func (g runbookGroup) latencyWindow() time.Duration {
	window := 10 * time.Minute
	for _, j := range g.jobs {
		window = max(window, roundUp(minLatencySamples*j.Interval*5/4, time.Minute))
	}
	return window
}

// latencyAlerts returns the alerts on latency that every location sees. A run that timed out counts with its duration,
// so an outage never lowers the latency. Without enough runs there is no quantile, and no alert.
func (s *system) latencyAlerts() []alert {
	jobs := drop.If(slices.Clone(s.jobs), func(j probe.Job) bool {
		return !s.options.Kinds[j.Type].Traits.HTTPLatency || j.Interval > maxLatencyInterval
	})
	var all []alert
	for _, g := range groupByRunbook(jobs) {
		over := promTime(g.latencyWindow())
		window := "[" + over + "]"
		match := g.match(s)
		a := g.alert(s, "ProbeSlow", g.severity.cappedAt(2))
		a.wait = latencyWait
		// A Prometheus that ingests native histograms may drop the classic buckets; then the second half has data.
		a.expr = s.unlessMaintenance("min "+s.by()+" (",
			"  (histogram_quantile(0.95, sum "+s.by(region, "le")+" (rate("+selector("probe_run_duration_seconds_bucket", match)+window+")))",
			"  or histogram_quantile(0.95, sum "+s.by(region)+" (rate("+selector("probe_run_duration_seconds", match)+window+"))))",
			"  and sum "+s.by(region)+" (increase("+selector("probe_runs_total", match, `verdict=~"fail|pass"`)+window+fmt.Sprintf(")) >= %d", minLatencySamples),
			fmt.Sprintf(") > %d", maxLatency))
		a.found = func(v *view) []found { return v.slow(g.latencyWindow()) }
		a.summary = "p95 latency sustained > 2s: {{ $labels.system }}/{{ $labels.probe }} takes {{ $value | humanizeDuration }}"
		a.description = "Of the slowest exchange of each run, over " + over + ". Which phase: probe_http_duration_seconds, or prober --once --probe={{ $labels.system }}/{{ $labels.probe }}"
		all = append(all, a)
	}
	return all
}

// outageAlerts returns the alerts on a system as a whole.
func (s *system) outageAlerts() []alert {
	var all []alert
	if len(s.jobs) > 1 {
		all = append(all, s.outage())
	}
	for _, g := range groupByRunbook(s.jobs) {
		all = append(all, s.errorRate(g))
	}
	return append(all, s.unwatched(), s.withoutAlerts(), s.oneLocation())
}

// outage fires when no probe of the system passes and at least two fail. It has the severity of the worst of them. An
// inconclusive probe counts on neither side.
func (s *system) outage() alert {
	j := worst(s.jobs)
	conclusive := selector(probeVotes, s.all())
	failing := conclusive + " > 0"
	if slices.ContainsFunc(s.jobs, hasOwnAlerts) {
		failing += "\nunless " + s.on() + " " + selector(onlyTargetChecks, s.all())
	}
	return alert{
		name: "SystemDown", severity: parseSeverity(j.Severity), wait: time.Minute, runbook: j.Runbook, url: j.RunbookURL, impact: j.Impact(),
		labels: mergeLabels(s.common(s.jobs), map[string]string{"system": s.name}),
		expr: lines(
			"count by (system) ("+s.unlessMaintenance(failing)+") >= 2",
			"unless on (system) count by (system) ("+conclusive+" < 0)"),
		summary:     escapeTemplate("Total outage: no probe of " + s.name + " passes"),
		found:       (*view).outage,
		description: "{{ $value }} of its probes fail and none passes. Confirm the blast radius: all traffic or a single region, is the ingress reachable, is the prober's own network up?",
	}
}

// minRuns is the least number of runs for an error rate: with fewer, one failure is too large a part.
const minRuns = 20

// errorWindow is a time in which the probes of the group run often enough for a rate, at least five minutes.
func (g runbookGroup) errorWindow() time.Duration {
	perSecond := 0.0
	for _, j := range g.jobs {
		perSecond += 1 / j.Interval.Seconds()
	}
	return max(5*time.Minute, roundUp(time.Duration(1.5*minRuns/perSecond*float64(time.Second)), time.Minute))
}

// errorRate is «Error rate above 10% for 5 minutes» of the probes of one runbook, seen from every location. It also
// finds probes that fail now and then. Inconclusive runs are in neither part of the fraction; runs under maintenance do
// not count.
func (s *system) errorRate(g runbookGroup) alert {
	window := promTime(g.errorWindow())
	unless := ""
	if slices.ContainsFunc(g.jobs, expectsCertificate) { // those have an alert of their own
		unless = " unless on (system, probe) last_over_time(" + selector(onlyTargetChecks, s.all()) + "[" + window + "])"
	}
	runs := func(verdicts string) string {
		return "sum by (system, " + region + ") (" + fmt.Sprintf("increase(%s[%s])", selector("probe_runs_total", g.match(s, verdicts)), window) +
			" unless on (system, probe) max_over_time(" + selector("probe_in_maintenance", s.all()) + "[" + window + "]) == 1" + unless + ")"
	}
	a := g.alert(s, "SystemErrorRate", g.severity)
	a.jobs = nil
	a.found = func(v *view) []found { return v.errorRate(g.jobs, g.errorWindow()) }
	a.wait = 5 * time.Minute
	a.expr = lines("min by (system) (",
		"  "+runs(`verdict="fail"`),
		"  / "+runs(`verdict=~"fail|pass"`),
		"  and "+runs(`verdict=~"fail|pass"`)+fmt.Sprintf(" >= %d", minRuns),
		") > 0.1")
	a.summary = "Error rate above 10% for 5 minutes: {{ $value | humanizePercentage }} of the runs" + escapeTemplate(" for "+cmp.Or(g.runbook, "no runbook")+" of "+s.name)
	a.description = "Over " + window + ", of the probes " + g.shown(s) + ". A probe that always fails has an alert of its own; if there is none, probes fail now and then."
	return a
}

// unwatched fires when a probe of these rules is run by no prober.
func (s *system) unwatched() alert {
	j, run := worst(s.jobs), runbookGroup{jobs: always(s.jobs)}
	count := len(run.jobs)
	return alert{
		name: "SystemUnwatched", severity: parseSeverity(j.Severity).lowered(), wait: 5 * time.Minute, runbook: j.Runbook, url: j.RunbookURL, impact: j.Impact(),
		labels: mergeLabels(s.common(s.jobs), map[string]string{"system": s.name}),
		expr: lines(fmt.Sprintf("(count(group by (probe) (%s)) or vector(0)) < %d", selector("probe_success", s.all(), oneOf("probe", run.names())), count),
			"unless on () absent("+selector("up", equal("job", s.options.job()))+" == 1)"),
		summary:     escapeTemplate(fmt.Sprintf("Not all of the %d probes of %s are run", count, s.name)),
		description: "Only {{ $value }} are exported. The probers have another configuration than the one from which these rules were generated, or their shards leave a gap.",
	}
}

// withoutAlerts fires for a probe of the system that these rules do not know: whatever it finds, nobody is told.
func (s *system) withoutAlerts() alert {
	known := runbookGroup{jobs: s.jobs}
	return alert{
		name: "ProbeWithoutAlerts", severity: parseSeverity(worst(s.jobs).Severity).cappedAt(3), wait: 15 * time.Minute, labels: map[string]string{"system": s.name},
		expr:        "group " + s.by() + " (" + selector("probe_success", s.all(), noneOf("probe", known.names())) + ")",
		summary:     "{{ $labels.system }}/{{ $labels.probe }} runs, and no alert tells of its failures",
		description: "It was added or renamed after these rules were generated. Generate them again: prober rules",
	}
}

// oneLocation fires where one location reports a failure and the majority does not: the path, or the prober there.
func (s *system) oneLocation() alert {
	j := worst(s.jobs)
	return alert{
		name: "ProbeFailsFromOneLocation", severity: parseSeverity(j.Severity).cappedAt(3), wait: 10 * time.Minute, labels: map[string]string{"system": s.name},
		expr:        s.unlessMaintenance(selector(locationVote, s.all())+" > 0", "unless "+s.on()+" "+selector(probeVotes, s.all())+" > 0"),
		summary:     "{{ $labels.system }}/{{ $labels.probe }} fails from {{ with $labels.region }}{{ . }}{{ else }}one location{{ end }} only",
		description: "Most locations do not see it: the cause is the path from there, or the prober there. It pages nobody.",
	}
}
