package alerts

import (
	"fmt"
	"slices"
	"time"

	"prober/internal/probe"
)

// The playbook's «p95 latency sustained > 2s», with numbers: over ten minutes and at least 40 answers, for ten minutes.
const (
	slowAbove   = 2
	slowSamples = 40
	slowWait    = 10 * time.Minute
	seldom      = time.Minute // a probe that runs more seldom has no p95 worth the name
)

// slowWindow is a time in which each probe of the circle answers often enough. A longer one finds slowness no later,
// since a twentieth of the answers is enough.
func (c circle) slowWindow() time.Duration {
	window := 10 * time.Minute
	for _, j := range c.jobs {
		window = max(window, upTo(slowSamples*j.Interval*5/4, time.Minute))
	}
	return window
}

// slow returns the alerts on latency, as every location sees it. A run that timed out counts with its length, so an outage makes nothing faster;
// without enough answers there is no quantile and no alert.
func (s *system) slow() []news {
	jobs := slices.DeleteFunc(slices.Clone(s.jobs), func(j probe.Job) bool { return !timed(j.Type) || j.Interval > seldom })
	var all []news
	for _, c := range circles(jobs) {
		over := promTime(c.slowWindow())
		window := "[" + over + "]"
		match := c.match(s)
		n := c.news(s, "ProbeSlow", c.grade.atMost(2))
		n.wait = slowWait
		// With native histograms Prometheus may drop the classic buckets; then the second halves have something to say.
		n.expr = s.awake("min "+s.by()+" (",
			"  (histogram_quantile(0.95, sum "+s.by(region, "le")+" (rate("+of("probe_duration_seconds_bucket", match)+window+")))",
			"  or histogram_quantile(0.95, sum "+s.by(region)+" (rate("+of("probe_duration_seconds", match)+window+"))))",
			"  and (sum "+s.by(region)+" (increase("+of("probe_duration_seconds_count", match)+window+"))",
			"  or histogram_count(sum "+s.by(region)+" (increase("+of("probe_duration_seconds", match)+window+fmt.Sprintf(")))) >= %d", slowSamples),
			fmt.Sprintf(") > %d", slowAbove))
		n.summary = "p95 latency sustained > 2s: {{ $labels.probe }} of {{ $labels.system }} takes {{ $value | humanizeDuration }}"
		n.text = "The slowest exchange of its runs, over " + over + ". Which phase: probe_http_duration_seconds, or prober --once --probe={{ $labels.system }}/{{ $labels.probe }}"
		n.proof.after, n.proof.least = c.slowWindow()+slowWait, slowWait-usualTick
		n.proof.turn = func(w *world) {
			w.halt("probe_duration_seconds_bucket", s.labels(c.jobs[0]), map[string]string{"le": "2"})
		}
		all = append(all, n)
	}
	return all
}
