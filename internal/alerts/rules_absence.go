package alerts

import (
	"fmt"
	"slices"
	"time"

	"prober/internal/probe"
	"prober/internal/sorted"
)

// noDataAlerts makes the alerts on missing knowledge: an alert that reads a series is silent while there is no series.
func (s *system) noDataAlerts(alerts func(...alert)) {
	for _, j := range s.jobs {
		alerts(s.inconclusive(j), s.notPassing(j), s.flapping(j))
		for _, check := range sorted.Keys(j.Signals) {
			alerts(s.signalAbsent(j, check))
		}
	}
	for _, g := range groupByRunbook(s.jobs) {
		alerts(s.neverPassed(g), s.stale(g))
	}
}

// inconclusiveSeverity is one level lower than that of a failure, but P2 where a pass proves that a caller is denied.
func (s *system) inconclusiveSeverity(j probe.Job) severity {
	failure := parseSeverity(j.Severity)
	if s.options.provesDenial(j) {
		return failure.withLevel(2)
	}
	return failure.lowered()
}

// inconclusiveWindow is a time without a conclusive run after which the alert is pending. It fires after twice this time.
func inconclusiveWindow(j probe.Job) time.Duration {
	return max(5*time.Minute, roundUp(3*j.Interval, time.Minute))
}

const inconclusiveAlert = "ProbeInconclusive"

// inconclusive fires when no prober got a conclusive result for ten minutes, or six runs.
func (s *system) inconclusive(j probe.Job) alert {
	window := inconclusiveWindow(j)
	a := s.probeAlert(j, inconclusiveAlert, s.inconclusiveSeverity(j), window, s.unlessDependencyFails(j, is("max "+s.by()+
		" (max_over_time("+selector("probe_verdict", s.match(j, `verdict=~"fail|pass"`))+"["+promTime(window)+"])) == 0",
		func(v *view) bool { return v.inconclusiveFor(window) })))
	a.summary = escapeTemplate(fmt.Sprintf("%s/%s has been inconclusive for %s", s.name, j.Name, promTime(2*window)))
	a.description = "A control does not hold, a credential is refused, or the prober's own network is down. No other alert on this probe can fire in the meantime. " + a.description
	a.example.verdict = probe.Inconclusive
	a.example.after = 2 * window
	return a
}

// notPassing fires when a probe has not passed for ten minutes, or six runs, and is neither failing nor inconclusive for long
// enough for the alerts on that: it fails and is inconclusive in turn.
func (s *system) notPassing(j probe.Job) alert {
	window := inconclusiveWindow(j)
	votes := func(function string, over time.Duration, match string) string {
		return function + "(" + selector(probeVotes, match) + "[" + promTime(over) + "])"
	}
	expr := []string{
		// A prober that restarts forgets the last pass: then what it said before counts, and later since when it runs.
		"time() - (max " + s.by() + " (max_over_time(" + selector("probe_last_pass_timestamp_seconds", s.match(j)) + "[" + promTime(2*window) + "]) > 0)",
		"  or max " + s.by() + " (" + selector("probe_registered_timestamp_seconds", s.match(j)) + ")) > " + fmt.Sprint(int(2*window/time.Second)),
		"and " + s.on() + " " + votes("max_over_time", 2*window, s.match(j)) + " > 0",
		"unless " + s.on() + " " + votes("min_over_time", window, s.match(j)) + " > 0", // an alert on a failing probe fires
	}
	for _, dependency := range s.dependencies(j) {
		expr = append(expr, "unless on (system) "+votes("max_over_time", window, s.match(dependency))+" > 0")
	}
	a := s.probeAlert(j, "ProbeNotPassing", parseSeverity(j.Severity), 0, is(lines(expr...), func(v *view) bool {
		return v.notPassing(window) && !slices.ContainsFunc(s.dependencies(j), func(d probe.Job) bool { return v.of(&d).failedWithin(window) })
	}))
	a.summary = escapeTemplate(fmt.Sprintf("%s: %s/%s has not passed for %s: it fails and is inconclusive in turn", procedure(j), s.name, j.Name, promTime(2*window)))
	a.example = nil // it needs runs of several verdicts
	return a
}

// A probe that fails now and then is told if so large a share of its runs fails, and if its verdict changed so often within a window.
const (
	maxFlappingRate = 0.1 // that of SystemErrorRate, which a probe alone in its runbook has
	minFlappingRuns = 5
	minChanges      = 4 // two failures, each with an end
)

// flappingWindow is that of SystemErrorRate for one probe.
func flappingWindow(j *probe.Job) time.Duration {
	return runbookGroup{jobs: []probe.Job{*j}}.errorWindow()
}

// flapping is the alert on a probe that fails now and then, in the eyes of every location: none of its failures lasts for long
// enough for another alert, and of the runs for a runbook with many probes they are too few for SystemErrorRate.
func (s *system) flapping(j probe.Job) alert {
	over := "[" + promTime(flappingWindow(&j)) + "]"
	runs := func(verdicts string) string {
		return "sum " + s.by(region) + " (increase(" + selector("probe_runs_total", s.match(j, verdicts)) + over + "))"
	}
	conclusive := runs(`verdict=~"fail|pass"`)
	a := s.probeAlert(j, "ProbeFlapping", parseSeverity(j.Severity), 5*time.Minute, s.unlessDependencyFails(j, term{expr: fmt.Sprintf(
		"min %s (%s\n  / %s\n  and %[3]s >= %d) > %g < 1\nand %s changes(%s%s) >= %d\nunless on (system, probe) max_over_time(%s%[8]s) == 1",
		s.by(), runs(`verdict="fail"`), conclusive, minFlappingRuns, maxFlappingRate, s.on(), selector(probeVotes, s.match(j)), over, minChanges,
		selector("probe_in_maintenance", s.all())), found: (*view).flapping}))
	a.summary = escapeTemplate(fmt.Sprintf("%s: %s/%s fails now and then: ", procedure(j), s.name, j.Name)) + "{{ $value | humanizePercentage }} of its runs that passed or failed"
	a.example = nil // it needs runs of several verdicts
	return a
}

// neverPassedAfter is how long a new probe may take to pass for the first time; and it gets three intervals.
const neverPassedAfter = 15 * time.Minute

// neverPassed finds probes that were wrong from their first day. A last pass at 0 means never by this process.
func (s *system) neverPassed(g runbookGroup) alert {
	match := g.match(s)
	a := g.alert(s, "ProbeNeverPassed", g.severity.lowered())
	a.wait = time.Minute
	a.expr = s.unlessMaintenance(
		"max "+s.by()+" ("+selector("probe_last_pass_timestamp_seconds", match)+") == 0",
		"and "+s.on()+" time() - min "+s.by()+" ("+selector("probe_registered_timestamp_seconds", match)+")",
		fmt.Sprintf("  > clamp_min(3 * max %s (%s), %d)", s.by(), selector("probe_interval_seconds", match), int(neverPassedAfter.Seconds())))
	a.found = func(v *view) []found { return foundIf(v.neverPassed()) }
	a.summary = "{{ $labels.system }}/{{ $labels.probe }} has not passed since it was configured or the prober started"
	a.description = "If it never did, its configuration may be wrong. Why it does not pass: prober --once --probe={{ $labels.system }}/{{ $labels.probe }}"
	return a
}

// stale fires when no prober has run a probe for three intervals although one is up: it hangs, or is overloaded.
func (s *system) stale(g runbookGroup) alert {
	match := g.match(s)
	a := g.alert(s, "ProbeStale", g.severity.lowered())
	a.wait = time.Minute
	a.expr = s.unlessMaintenance("time() - max "+s.by()+" ("+selector("probe_last_run_timestamp_seconds", match)+" > 0 or "+selector("probe_registered_timestamp_seconds", match)+")",
		"> 3 * max "+s.by()+" ("+selector("probe_interval_seconds", match)+")",
		// A target that asked for fewer requests is left alone for a while, and then it is time for a run again.
		"unless "+s.on()+" time() - max "+s.by()+" ("+selector("probe_rate_limited_until_timestamp_seconds", match)+") <= 3 * max "+s.by()+" ("+selector("probe_interval_seconds", match)+")")
	a.found = func(v *view) []found { return foundIf(v.stale()) }
	a.summary = "{{ $labels.system }}/{{ $labels.probe }} has not run for three intervals"
	a.description = "The prober is up but does not run this probe, so its series are out of date: see prober_skipped_total, prober_runs_queued and the log of the prober."
	return a
}

// signalAbsent watches the series that an alert of the runbook reads. While the probe is inconclusive the series is
// absent, and an alert on an absent series is silent.
func (s *system) signalAbsent(j probe.Job, check string) alert {
	signal := j.Signals[check]
	var matchers []string
	for _, label := range sorted.Keys(signal.Labels) {
		matchers = append(matchers, equal(label, signal.Labels[label]))
	}
	series := signal.Name
	if matchers != nil {
		series = selector(signal.Name, matchers...)
	}
	return alert{
		name: "ProbeSignalAbsent", severity: parseSeverity(j.Severity).lowered(), wait: 2 * time.Minute, runbook: j.Runbook, url: j.RunbookURL, impact: j.Impact(),
		labels: map[string]string{"system": s.name, "probe": j.Name},
		expr: lines("absent("+series+")",
			"unless on () absent("+selector("up", equal("job", s.options.job()))+" == 1)",
			"unless on () "+selector("probe_in_maintenance", s.match(j))+" == 1"),
		summary: escapeTemplate("The series that the runbook's alert reads is absent: " + series),
		description: escapeTemplate(fmt.Sprintf("It follows the check %s of %s/%s and is absent while that is inconclusive. ", check, s.name, j.Name)) +
			"The runbook's alert is silent in the meantime. Why: prober --once --probe=" + escapeTemplate(s.name+"/"+j.Name),
	}
}
