package alerts

import (
	"fmt"
	"slices"
	"time"
)

// proberRules makes the rules that watch the probers: a prober that is down silences every alert on its series.
func (f *File) proberRules(rule func(*Rule)) {
	job := equal("job", f.options.job())
	up := selector("up", job)
	conclusive := "max_over_time(" + selector("probe_verdict", job, `verdict=~"fail|pass"`) + "[5m])"
	p1, p2, p3 := severity{level: 1}, severity{level: 2}, severity{level: 3}
	all := []alert{
		{
			name: "ProberAbsent", severity: p1, wait: 2 * time.Minute, expr: "absent(" + up + " == 1)",
			summary:     "No prober is up: nothing is watched",
			description: "Every other alert of the prober is silent in the meantime. This one has no labels of a series, so its route must not need any.",
			example:     &example{after: 2 * time.Minute, series: []sample{{"up", map[string]string{"job": f.options.job(), "instance": exampleInstance}, 0}}},
		},
		{
			name: "ProberDown", severity: p2, wait: 5 * time.Minute, expr: lines(up+" == 0", "unless on () absent("+up+" == 1)"),
			summary:     "The prober at {{ $labels.instance }} cannot be scraped; others can",
			description: "Probes that no other prober runs are not watched.",
		},
		shardMissing(selector("prober_shards", job), "by (job, "+region+")"),
		allInconclusive("max(" + conclusive + ") == 0"),
		{
			name: "ProberLocationInconclusive", severity: p3, wait: 5 * time.Minute,
			expr:        lines("max by (job, instance) ("+conclusive+") == 0", "unless on () max("+conclusive+") == 0"),
			summary:     "All probes of the prober at {{ $labels.instance }} are inconclusive; those of others are not",
			description: "Most likely its own network is down (prober_self_check). It has no vote in the meantime.",
		},
		selfCheckFailed(selector("prober_self_check", job) + " == 0"),
		reloadFailed(selector("prober_config_last_reload_successful", job) + " == 0"),
		{
			name: "ProberRestarting", severity: p2, expr: "changes(" + selector("process_start_time_seconds", job) + "[15m]) > 3",
			summary:     "The prober at {{ $labels.instance }} keeps restarting",
			description: "Each restart loses its state, and pending alerts start to wait again. Out of memory?",
		},
		{
			name: "ProberPanicked", severity: p3, expr: "increase(" + selector("prober_panics_total", job) + "[15m]) > 0",
			summary:     "A probe panicked in the prober at {{ $labels.instance }}",
			description: "This is a bug. It spoiled only its own run; the log says which.",
		},
		{
			name: "ProberLate", severity: p3, wait: 10 * time.Minute,
			expr: lines(
				"(histogram_quantile(0.99, sum by (le, job, instance) (rate("+selector("prober_schedule_lag_seconds_bucket", job)+"[5m])))",
				"or histogram_quantile(0.99, sum by (job, instance) (rate("+selector("prober_schedule_lag_seconds", job)+"[5m])))) > 1"),
			summary:     "The prober at {{ $labels.instance }} starts its runs late",
			description: "It waits for a processor or for a slot (--schedule.max-concurrency): prober_runs_queued.",
		},
	}
	if slices.ContainsFunc(f.systems, func(s *system) bool { return f.options.anyExports(s.jobs, tokenExpiry) }) {
		all = append(all, storedTokenAlert(p2)) // one rule for all
	}
	for _, a := range all {
		r := a.rule()
		rule(&r)
	}
}

// tokenExpiresSoon is how long before its expiry a stored token is reported.
const tokenExpiresSoon = 7 * 24 * time.Hour

// storedTokenAlert fires before a token expires that a check needs. After that the check is inconclusive.
func storedTokenAlert(severity severity) alert {
	return alert{
		name: "ProberStoredTokenExpiring", severity: severity, wait: time.Hour,
		expr:        fmt.Sprintf("min by (system, probe, caller) (%s) - time() < %d", selector(tokenExpiry, `caller!="expired"`), int(tokenExpiresSoon.Seconds())),
		summary:     "The stored token {{ $labels.caller }} of {{ $labels.system }}/{{ $labels.probe }} expires within a week",
		description: "In {{ $value | humanizeDuration }}. After that its check is inconclusive: store a new one.",
	}
}

// shardMissing fires while the probers that divide the probes are fewer than they say that they are, or do not agree on how many.
// Each location may have shards of its own.
func shardMissing(shards, by string) alert {
	return alert{
		name: "ProberShardMissing", severity: severity{level: 2}, wait: 5 * time.Minute,
		expr: lines(
			"max "+by+" ("+shards+") - count "+by+" (group by (job, "+region+", shard) ("+shards+")) > 0",
			"or max "+by+" ("+shards+") != min "+by+" ("+shards+")"),
		summary: "Not all shards of the prober run",
		description: "The probes of a shard that is missing are not watched, and no other alert on them can fire; if shards differ in their number N (--shard=I/N), some probes run twice or not at all. Up: " +
			"{{ range query " + (&system{}).templateQuery(shards) + " | sortByLabel `shard` }}{{ .Labels.shard }}/{{ .Value }} ({{ .Labels.instance }}), {{ end }}",
	}
}

// allInconclusiveWindow is how long all probes must be inconclusive until the alert on that waits.
const allInconclusiveWindow = 5 * time.Minute

// allInconclusive fires when no probe has a conclusive result for ten minutes.
func allInconclusive(expr string) alert {
	return alert{
		name: "ProberAllInconclusive", severity: severity{level: 1}, wait: 5 * time.Minute, expr: expr,
		summary:     "All probes of all probers are inconclusive",
		description: "Look at the probers' own network first (prober_self_check). No alert on a probe can fire in the meantime.",
	}
}

// selfCheckFailed fires when a self-check of a prober fails.
func selfCheckFailed(expr string) alert {
	return alert{
		name: "ProberSelfCheckFailed", severity: severity{level: 2}, wait: 5 * time.Minute, expr: expr,
		summary:     "The self-check {{ $labels.check }} of the prober at {{ $labels.instance }} fails",
		description: "network: the reference cannot be reached. clock: the wall clock jumps or drifts, so times cannot be compared. engine: the self-test fails, and no verdict counts until it passes. storage: history and incidents are not kept. alertmanager, webhook, watchdog: it does not take what it is sent. Its log says why.",
	}
}

// reloadFailed fires when a prober refused its configuration.
func reloadFailed(expr string) alert {
	return alert{
		name: "ProberReloadFailed", severity: severity{level: 2}, wait: time.Minute, expr: expr,
		summary:     "The prober at {{ $labels.instance }} refused its new configuration and runs the old one",
		description: "Its log has every mistake; prober check finds them beforehand.",
	}
}
