package alerts

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
)

// untold returns the alerts on what nobody knows: an alert that reads a series is silent when there is nothing to read.
func (s *system) untold() []news {
	var all []news
	for _, j := range s.jobs {
		all = append(all, s.inconclusive(j))
		for _, check := range slices.Sorted(maps.Keys(j.Signals)) {
			all = append(all, s.signalAbsent(j, check))
		}
	}
	for _, c := range circles(s.jobs) {
		all = append(all, s.neverPassed(c), s.stale(c))
	}
	return all
}

// doubt is how bad it is that nobody can tell: one level less than the trouble itself, but as bad as P2 where a pass
// is the proof that somebody is refused.
func doubt(j probe.Job) grade {
	g := gradeOf(j.Severity)
	if provesDenial(j) {
		return g.at(2)
	}
	return g.eased()
}

// inconclusive fires when for ten minutes, or six runs, no prober could tell. One that can is enough.
func (s *system) inconclusive(j probe.Job) news {
	window := max(5*time.Minute, upTo(3*j.Interval, time.Minute))
	expr := "max " + s.by() + " (max_over_time(" + of("probe_verdict", s.match(j, `verdict=~"fail|pass"`)) + "[" + promTime(window) + "])) == 0" + s.unlessNeeded(j)
	n := s.about(j, "ProbeInconclusive", doubt(j), window, expr)
	n.summary = verbatim(fmt.Sprintf("Nobody can tell: %s of %s is inconclusive for %s", j.Name, s.name, promTime(2*window)))
	n.text = "A control does not hold, a credential is refused, or the prober's own network is down. No alert on this probe can fire meanwhile. " + n.text
	n.proof.after = 2 * window
	n.proof.turn = func(w *world) { w.verdict(j, "inconclusive") }
	return n
}

// news is an alert on any of the probes of a circle. Its proof is tried on the first of them.
func (c circle) news(s *system, name string, g grade) news {
	return news{
		name: name, grade: g, runbook: c.runbook, url: c.url, labels: with(s.common(c.jobs), map[string]string{"system": s.name}),
		proof: proof{labels: s.labels(c.jobs[0])},
	}
}

// neverPassed catches what was wrong from its first day: 15 minutes, and three intervals, without a pass. It reads 0 as
// never.
func (s *system) neverPassed(c circle) news {
	const long = 15 * time.Minute
	match := c.match(s)
	n := c.news(s, "ProbeNeverPassed", c.grade.eased())
	n.wait = time.Minute
	n.expr = s.awake(
		"max "+s.by()+" ("+of("probe_last_pass_timestamp_seconds", match)+") == 0",
		"and "+s.on()+" time() - min "+s.by()+" ("+of("probe_registered_timestamp_seconds", match)+")",
		fmt.Sprintf("  > clamp_min(3 * max %s (%s), %d)", s.by(), of("probe_interval_seconds", match), int(long.Seconds())))
	n.summary = "{{ $labels.probe }} of {{ $labels.system }} has not passed since the prober knows it"
	n.text = "Its configuration was perhaps never right. Why it does not pass: prober --once --probe={{ $labels.system }}/{{ $labels.probe }}"
	j := c.jobs[0]
	n.proof.after = max(long, upTo(3*j.Interval, step)) + time.Minute + step
	n.proof.turn = func(w *world) {
		w.set("probe_last_pass_timestamp_seconds", 0, s.labels(j))
		w.restart("probe_registered_timestamp_seconds", s.labels(j))
	}
	return n
}

// stale fires when nobody has run a probe for three intervals, though the prober is alive: it hangs, or is overloaded.
func (s *system) stale(c circle) news {
	match := c.match(s)
	n := c.news(s, "ProbeStale", c.grade.eased())
	n.wait = time.Minute
	n.expr = s.awake("time() - max "+s.by()+" ("+of("probe_last_run_timestamp_seconds", match)+" > 0 or "+of("probe_registered_timestamp_seconds", match)+")",
		"> 3 * max "+s.by()+" ("+of("probe_interval_seconds", match)+")")
	n.summary = "Nobody asks: {{ $labels.probe }} of {{ $labels.system }} has not run for three intervals"
	n.text = "The prober is alive and does not run it: see prober_skipped_total, prober_runs_queued and the log of the prober. What its series say is old."
	j := c.jobs[0]
	n.proof.after = upTo(3*j.Interval, usualTick) + usualTick + time.Minute
	n.proof.turn = func(w *world) { w.halt("probe_last_run_timestamp_seconds", s.labels(j)) }
	return n
}

// signalAbsent watches the series that an alert of the runbook reads. It is absent while nobody can tell, and an alert
// on an absent series is silent.
func (s *system) signalAbsent(j probe.Job, check string) news {
	signal := j.Signals[check]
	labels := map[string]string{"system": s.name, "probe": j.Name}
	var matchers []string
	for _, label := range slices.Sorted(maps.Keys(signal.Labels)) {
		matchers = append(matchers, equal(label, signal.Labels[label]))
		labels[label] = signal.Labels[label]
	}
	series := signal.Name
	if matchers != nil {
		series = of(signal.Name, matchers...)
	}
	return news{
		name: "ProbeSignalAbsent", grade: gradeOf(j.Severity).eased(), wait: 2 * time.Minute, runbook: j.Runbook, url: j.RunbookURL,
		labels: map[string]string{"system": s.name, "probe": j.Name},
		expr: lines("absent("+series+")",
			"unless on () absent("+of("up", equal("job", s.options.job()))+" == 1)",
			"unless on () "+of("probe_in_maintenance", s.match(j))+" == 1"),
		summary: verbatim("The series of the runbook's own alert is absent: " + series),
		text: strings.Join([]string{verbatim("It follows the check " + check + " of " + s.name + "/" + j.Name + " and is absent while nobody can tell."),
			"An alert that reads it is silent meanwhile. The reason: prober --once --probe=" + verbatim(s.name+"/"+j.Name)}, " "),
		proof: proof{labels: labels, after: 2 * time.Minute, turn: func(w *world) { w.end(signal.Name, signal.Labels) }},
	}
}
