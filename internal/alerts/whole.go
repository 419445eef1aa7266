package alerts

import (
	"cmp"
	"fmt"
	"time"

	"prober/internal/probe"
)

// whole returns the alerts on a system as a whole.
func (s *system) whole() []news {
	var all []news
	if len(s.jobs) > 1 {
		all = append(all, s.outage())
	}
	for _, c := range circles(s.jobs) {
		all = append(all, s.errorRate(c))
	}
	return append(all, s.unwatched(), s.disagree())
}

// outage fires when nothing of the system passes and at least two of its probes fail. It is as bad as the worst of them. What nobody can tell counts on
// neither side.
func (s *system) outage() news {
	j := worst(s.jobs)
	known := of(votes, s.all())
	return news{
		name: "SystemDown", grade: gradeOf(j.Severity), wait: time.Minute, runbook: j.Runbook, url: j.RunbookURL,
		labels: with(s.common(s.jobs), map[string]string{"system": s.name}),
		expr: lines(
			"count by (system) ("+s.awake(known+" > 0")+") >= 2",
			"unless on (system) count by (system) ("+known+" < 0)"),
		summary: verbatim("Total outage: nothing of " + s.name + " passes"),
		text:    "{{ $value }} of its probes fail and none passes. Confirm the blast radius: all traffic or a single region, is the ingress reachable, is the prober's own network up?",
		proof: proof{labels: map[string]string{"system": s.name}, after: time.Minute, amongOthers: true, turn: func(w *world) {
			for _, j := range s.jobs {
				w.fail(j)
			}
		}},
	}
}

// leastRuns is how many runs an error rate is made of at least: with fewer, one failure is much.
const leastRuns = 20

// errorWindow is a time in which the probes of the circle run often enough for a rate, at least five minutes.
func (c circle) errorWindow() time.Duration {
	perSecond := 0.0
	for _, j := range c.jobs {
		perSecond += 1 / j.Interval.Seconds()
	}
	return max(5*time.Minute, upTo(time.Duration(1.5*leastRuns/perSecond*float64(time.Second)), time.Minute))
}

// errorRate is «Error rate above 10% for 5 minutes» of the probes of one procedure, seen from every location, which also
// finds what fails now and then. What nobody can tell is in neither part of the fraction; what fails under maintenance
// is not counted.
func (s *system) errorRate(c circle) news {
	window := promTime(c.errorWindow())
	runs := func(verdicts string) string {
		return "sum by (system, " + region + ") (" + fmt.Sprintf("increase(%s[%s])", of("probe_runs_total", c.match(s, verdicts)), window) +
			" unless on (system, probe) max_over_time(" + of("probe_in_maintenance", s.all()) + "[" + window + "]) == 1)"
	}
	n := c.news(s, "SystemErrorRate", c.grade)
	n.wait = 5 * time.Minute
	n.labels = with(s.common(c.jobs), map[string]string{"system": s.name})
	n.expr = lines("min by (system) (",
		"  "+runs(`verdict="fail"`),
		"  / "+runs(`verdict=~"fail|pass"`),
		"  and "+runs(`verdict=~"fail|pass"`)+fmt.Sprintf(" >= %d", leastRuns),
		") > 0.1")
	n.summary = "Error rate above 10% for 5 minutes: {{ $value | humanizePercentage }} of the runs" + verbatim(" for "+cmp.Or(c.runbook, "no runbook")+" of "+s.name)
	n.text = "Over " + window + ", of the probes" + verbatim(names(c.jobs)) + ". One that always fails has an alert of its own; without one, something fails now and then."
	n.proof = proof{labels: map[string]string{"system": s.name}, after: c.errorWindow() + 5*time.Minute, least: 5*time.Minute - usualTick, amongOthers: true,
		turn: func(w *world) {
			for _, j := range c.jobs {
				w.fail(j)
			}
		}}
	return n
}

// names lists probes for a person.
func names(jobs []probe.Job) (text string) {
	for i, j := range jobs {
		if i > 0 {
			text += ","
		}
		text += " " + j.Name
	}
	return text
}

// unwatched fires when some of the probes that these rules are made for are not probed at all.
func (s *system) unwatched() news {
	j := worst(s.jobs)
	return news{
		name: "SystemUnwatched", grade: gradeOf(j.Severity).eased(), wait: 5 * time.Minute, runbook: j.Runbook, url: j.RunbookURL,
		labels: with(s.common(s.jobs), map[string]string{"system": s.name}),
		expr: lines(fmt.Sprintf("(count(group by (probe) (%s)) or vector(0)) < %d", of("probe_success", s.all()), len(s.jobs)),
			"unless on () absent("+of("up", equal("job", s.options.job()))+" == 1)"),
		summary: verbatim(fmt.Sprintf("Not all of the %d probes of %s are probed", len(s.jobs), s.name)),
		text:    "Only {{ $value }} are exported. The probers run another configuration than the one that these rules were made from, or their shards leave a gap.",
		proof: proof{labels: map[string]string{"system": s.name}, after: 5 * time.Minute, amongOthers: true, turn: func(w *world) {
			w.end("", s.labels(s.jobs[len(s.jobs)-1]))
		}},
	}
}

// disagree fires where a location says that a probe fails and most do not: the path, or the prober there.
func (s *system) disagree() news {
	j := worst(s.jobs)
	return news{
		name: "ProbePathProblem", grade: gradeOf(j.Severity).at(3), wait: 10 * time.Minute, labels: map[string]string{"system": s.name},
		expr:    s.awake(of(vote, s.all())+" > 0", "unless "+s.on()+" "+of(votes, s.all())+" > 0"),
		summary: "{{ $labels.probe }} of {{ $labels.system }} fails from {{ with $labels.region }}{{ . }}{{ else }}one location{{ end }} only",
		text:    "Most locations do not see it: the path from there, or the prober there. Nobody is paged for it.",
	}
}
