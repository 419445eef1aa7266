package alerts

import (
	"fmt"
	"slices"
	"time"

	"prober/internal/probe"
)

// ownRules watch the probers: one that is dead turns every alert on its series silent.
func (f *File) ownRules() []Rule {
	job := equal("job", f.options.job())
	up := of("up", job)
	p1, p2, p3 := grade{level: 1}, grade{level: 2}, grade{level: 3}
	first := map[string]string{"instance": firstInstance}
	mine := with(first, map[string]string{"job": f.options.job()})
	all := []news{
		{
			name: "ProberAbsent", grade: p1, wait: 2 * time.Minute, expr: "absent(" + up + " == 1)",
			summary: "No prober is alive: nothing is watched",
			text:    "Every other alert of the prober is silent meanwhile. This one has no labels of a series, so its route must not need any.",
			proof:   proof{after: 2 * time.Minute, turn: func(w *world) { w.die() }},
		},
		{
			name: "ProberDown", grade: p2, wait: 5 * time.Minute, expr: lines(up+" == 0", "unless on () absent("+up+" == 1)"),
			summary: "The prober at {{ $labels.instance }} cannot be scraped; others can",
			text:    "What it alone probes is not watched.",
			proof:   proof{after: 5 * time.Minute, probers: several, labels: mine, turn: func(w *world) { w.die(first) }},
		},
		{
			name: "ProberBlind", grade: p1, wait: 5 * time.Minute,
			expr:    "max(max_over_time(" + of("probe_verdict", job, `verdict=~"fail|pass"`) + "[5m])) == 0",
			summary: "No prober can tell anything: all is inconclusive",
			text:    "Look at the probers' own network first (prober_self_check). No alert on a probe can fire meanwhile.",
			proof:   proof{after: 10 * time.Minute, amongOthers: true, turn: func(w *world) { f.blind(w) }},
		},
		{
			name: "ProberLocationBlind", grade: p3, wait: 5 * time.Minute,
			expr: lines("max by (job, instance) (max_over_time("+of("probe_verdict", job, `verdict=~"fail|pass"`)+"[5m])) == 0",
				"unless on () max(max_over_time("+of("probe_verdict", job, `verdict=~"fail|pass"`)+"[5m])) == 0"),
			summary: "The prober at {{ $labels.instance }} can tell nothing; others can",
			text:    "Its own network, most likely (prober_self_check). It has no vote meanwhile.",
			proof:   proof{after: 10 * time.Minute, probers: several, labels: mine, turn: func(w *world) { f.blind(w, first) }},
		},
		{
			name: "ProberSelfCheckFailed", grade: p2, wait: 5 * time.Minute, expr: of("prober_self_check", job) + " == 0",
			summary: "The prober at {{ $labels.instance }} finds fault with itself: {{ $labels.check }}",
			text:    "network: the reference cannot be reached. clock: the wall clock does not keep step, so that times cannot be compared.",
			proof: proof{after: 5 * time.Minute, labels: with(mine, map[string]string{"check": "clock"}),
				turn: func(w *world) { w.set("prober_self_check", 0) }},
		},
		{
			name: "ProberReloadFailed", grade: p2, wait: time.Minute, expr: of("prober_config_last_reload_successful", job) + " == 0",
			summary: "The prober at {{ $labels.instance }} refuses its configuration and runs the old one",
			text:    "Every mistake is in its log; prober check finds them beforehand.",
			proof:   proof{after: time.Minute, labels: mine, turn: func(w *world) { w.set("prober_config_last_reload_successful", 0) }},
		},
		{
			name: "ProberRestarting", grade: p2, expr: "changes(" + of("process_start_time_seconds", job) + "[15m]) > 3",
			summary: "The prober at {{ $labels.instance }} keeps restarting",
			text:    "Each time it forgets what it saw, and alerts that wait begin to wait anew. Out of memory?",
			proof: proof{after: 5 * time.Minute, least: 2 * time.Minute, labels: mine, turn: func(w *world) {
				w.change("process_start_time_seconds", func(step int) float64 { return float64(step / 4) })
			}},
		},
		{
			name: "ProberPanicked", grade: p3, expr: "increase(" + of("prober_panics_total", job) + "[15m]) > 0",
			summary: "A probe panicked in the prober at {{ $labels.instance }}",
			text:    "A bug. It spoiled its own run only; the log says which.",
			proof:   proof{labels: mine, turn: func(w *world) { w.set("prober_panics_total", 1) }},
		},
		{
			name: "ProberLate", grade: p3, wait: 10 * time.Minute,
			expr:    "histogram_quantile(0.99, sum by (le, job, instance) (rate(" + of("prober_schedule_lag_seconds_bucket", job) + "[5m]))) > 1",
			summary: "The prober at {{ $labels.instance }} starts its runs late",
			text:    "It waits for a processor or for a place (--max-concurrency): prober_runs_queued.",
			proof: proof{after: 15 * time.Minute, least: 10*time.Minute - usualTick, labels: mine, turn: func(w *world) {
				w.halt("prober_schedule_lag_seconds_bucket", map[string]string{"le": "1"})
			}},
		},
	}
	for _, s := range f.systems {
		if i := slices.IndexFunc(s.jobs, keepsFixtures); i >= 0 {
			all = append(all, fixtures(s, s.jobs[i], p2))
			break // one rule for all
		}
	}
	rules := make([]Rule, len(all))
	for i, n := range all {
		rules[i] = n.rule()
	}
	return rules
}

// blind makes every run end inconclusive, wherever it is asked from, or at one place.
func (f *File) blind(w *world, at ...map[string]string) {
	for _, s := range f.systems {
		for _, j := range s.jobs {
			w.verdict(j, "inconclusive", at...)
		}
	}
}

// keepsFixtures reports whether the probe is of a kind that exports them.
func keepsFixtures(j probe.Job) bool { return slices.Contains(Reads(j.Type), fixture) }

// fixtures fires a week before a token that a check needs expires. After that the check proves nothing. It is tried on
// the probe that is given.
func fixtures(s *system, j probe.Job, g grade) news {
	const soon = 7 * 24 * time.Hour
	token := map[string]string{"fixture": madeUpFixture}
	return news{
		name: "ProberFixtureExpiring", grade: g, wait: time.Hour,
		expr:    fmt.Sprintf("min by (system, probe, fixture) (%s) - time() < %d", of(fixture, `fixture!="expired"`), int(soon.Seconds())),
		summary: "The token {{ $labels.fixture }} of {{ $labels.probe }} of {{ $labels.system }} expires within a week",
		text:    "In {{ $value | humanizeDuration }}. After that its check proves nothing and becomes inconclusive: make a new one.",
		proof: proof{after: time.Hour, labels: with(token, map[string]string{"system": s.name, "probe": j.Name}), turn: func(w *world) {
			w.set(fixture, (event*step+soon).Seconds()-1, s.labels(j), token)
		}},
	}
}
