package alerts

// sections are all sections of the dashboard, in their order.
var sections = []section{
	{title: "Overview", open: true, panels: []panel{
		{kind: "stat", title: "Verdicts now", description: "The worst verdict of all probers, by probe.", width: quarterWidth, thresholds: alwaysGreen, queries: []panelQuery{
			{expr: `count(` + worstVerdict + ` == 0) or vector(0)`, legend: "pass"},
			{expr: `count(` + worstVerdict + ` == 1) or vector(0)`, legend: "inconclusive"},
			{expr: `count(` + worstVerdict + ` == 2) or vector(0)`, legend: "fail"},
		}},
		{kind: "stat", title: "Uptime", description: "The part of the runs that passed, of those that passed or failed, over the time shown. What is not known stands beside it: the part of all runs that were inconclusive.",
			width: quarterWidth, unit: "percentunit", thresholds: uptime, queries: []panelQuery{{expr: passedShown + ` / ` + conclusiveShown, legend: "{{system}}"}}},
		{kind: "stat", title: "Not known", description: "The part of the runs that were inconclusive, over the time shown.", width: quarterWidth, unit: "percentunit",
			thresholds: []threshold{{"green", 0}, {"orange", 0.01}}, queries: []panelQuery{{expr: unknownShown, legend: "{{system}}"}}},
		{kind: "stat", title: "Probers up", width: quarterWidth, thresholds: someUp, queries: []panelQuery{{expr: `sum(up{job=~"$job"})`, legend: "up"}}},
		{kind: timeline, title: "Probes that did not pass", description: "The worst verdict of all probers, of the forty probes that passed least often in the time shown. A probe that always passed is not listed, and nor is one that never ran.",
			width: fullWidth, values: verdictNames, queries: []panelQuery{{expr: notAlwaysPassed, legend: named}}},
		{kind: "table", title: "Probes that do not pass now", width: fullWidth, queries: []panelQuery{
			{expr: `(` + notPassing + `)` + aboutProbe, legend: verdictColumn},
			{expr: `1000 * (max by (system, probe) (probe_last_pass_timestamp_seconds{SEL}) > 0) and on (system, probe) (` + notPassing + `)`, legend: "last pass", unit: fromNow},
		}},
		{kind: "table", title: "Reasons of the last ten minutes", description: "Of the probes that do not pass now.", width: halfWidth,
			queries: []panelQuery{{expr: newReasons, legend: "checks"}}},
		{kind: "table", title: "Checks that fail now", description: "Checks that are inconclusive are not among them.", width: halfWidth,
			queries: []panelQuery{{expr: `max by (system, probe, check, target) (probe_check_success{SEL} == 0)`}}},
		{kind: "stat", title: "Error budget left", description: "The part of the failures that the objective allows which is left, over the time shown. Inconclusive runs do not count.",
			width: halfWidth, unit: "percentunit", thresholds: budgetLeft, queries: []panelQuery{{expr: `1 - (` + failedShown + ` / ` + conclusiveShown + `) / (1 - $slo / 100)`, legend: "{{system}}"}}},
		{kind: graph, title: "Error budget burn rate", description: "At 1 the budget lasts exactly for its period.", width: halfWidth, queries: []panelQuery{
			{expr: `(sum by (system) (increase(probe_runs_total{SEL,verdict="fail"}[1h])) / sum by (system) (increase(probe_runs_total{SEL,verdict=~"fail|pass"}[1h]))) / (1 - $slo / 100)`, legend: "{{system}}"}}},
		{kind: graph, title: "Budgets of the objectives", description: "Which part of the budget of its window each runbook has lost, and which part is unknown: inconclusive runs would have taken it, had they failed. The generated rules record both.",
			width: fullWidth, needs: budgetLost, unit: "percentunit", queries: []panelQuery{
				{expr: budgetLost + `{system=~"$system"}`, legend: "{{system}} {{runbook}} lost"}, {expr: budgetUnknown + `{system=~"$system"}`, legend: "{{system}} {{runbook}} unknown"}}},
	}},
	{title: "Latency and failures", open: true, panels: []panel{
		{kind: graph, title: "Latency, 95th percentile", description: "Of the slowest exchange of each run; the twenty slowest probes.", width: halfWidth, unit: "s", queries: []panelQuery{{expr: percentile95, legend: named}}},
		{kind: graph, title: "Latency, median and 99th percentile", description: "Of the twenty slowest probes each.", width: halfWidth, unit: "s",
			queries: []panelQuery{{expr: median, legend: named + " p50"}, {expr: percentile99, legend: named + " p99"}}},
		{kind: graph, title: "Phases of the slowest exchange", width: halfWidth, unit: "s", queries: []panelQuery{{expr: `max by (phase) (probe_http_duration_seconds{SEL})`, legend: "{{phase}}"}}},
		{kind: graph, title: "Reasons", description: "Checks that did not pass. The first occurrence of a reason creates its series, so it shows from the second one on.", width: halfWidth,
			queries: []panelQuery{{expr: `topk(20, sum by (system, probe, check, reason) (increase(probe_failures_total{SEL}[$__rate_interval])) > 0)`, legend: named + " {{check}}: {{reason}}"}}},
		{kind: graph, title: "Errors caused on purpose", description: "Errors that the probes cause at the targets: subtract them from the targets' own counters.", width: fullWidth, unit: "reqps",
			queries: []panelQuery{{expr: `sum by (system, code) (rate(probe_expected_status_total{SEL}[$__rate_interval]))`, legend: "{{system}} {{code}}"}}},
	}},
	{title: "Certificates and TLS", panels: []panel{
		{kind: "table", title: "Certificates expire in", description: "The certificate of each probe's chains that expires first; the hundred that expire soonest.", width: halfWidth, unit: "d", thresholds: daysLeft,
			queries: []panelQuery{{expr: `bottomk(100, (min by (system, probe) (probe_tls_earliest_cert_expiry_timestamp_seconds{SEL}) - time()) / 86400)`, legend: "days"}}},
		{kind: "table", title: "Versions of TLS", width: halfWidth, needs: tlsVersion, queries: []panelQuery{{expr: `group by (system, probe, target, tls_version) (` + tlsVersion + `{SEL})`}}},
	}},
	{title: "Tenants and breaches", panels: []panel{
		{kind: graph, title: "Breaches between tenants", description: "Runs of all probers in which an org was shown, or changed, the data of another, within an hour.", width: halfWidth, needs: breaches,
			queries: []panelQuery{{expr: `sum by (system, probe, surface) (increase(` + breaches + `{SEL}[1h]))`, legend: named + " {{surface}}"}}},
		{kind: graph, title: "Time since tenants were proven to be apart", description: "Nothing is shown before the first proof.", width: halfWidth, needs: lastProven, unit: "s",
			queries: []panelQuery{{expr: `time() - max by (system, probe, surface) (` + lastProven + `{SEL} > 0)`, legend: named + " {{surface}}"}}},
		{kind: graph, title: "Tables under row-level security", description: "Tables, partitions and views of the tenants, by what the catalogue says of them.", width: thirdWidth, needs: rlsRelations,
			queries: []panelQuery{{expr: `max by (system, probe, state) (` + rlsRelations + `{SEL})`, legend: named + " {{state}}"}}},
		{kind: graph, title: "Cases of the guard", description: "By what became of them when they were asked last.", width: thirdWidth, needs: guardCases,
			queries: []panelQuery{{expr: `max by (system, probe, outcome) (` + guardCases + `{SEL})`, legend: named + " {{outcome}}"}}},
		{kind: "table", title: "Stored tokens expire in", width: thirdWidth, needs: tokenExpiry, unit: "d", thresholds: daysLeft,
			queries: []panelQuery{{expr: `(min by (system, probe, caller) (` + tokenExpiry + `{SEL,caller!="expired"}) - time()) / 86400`, legend: "days"}}},
	}},
	{title: "Databases", panels: []panel{
		{kind: graph, title: "Values of queries", width: thirdWidth, needs: sqlValue, signed: true, queries: []panelQuery{{expr: `max by (system, probe, name, by) (` + sqlValue + `{SEL})`, legend: named + " {{name}} {{by}}"}}},
		{kind: graph, title: "Age of the heartbeat on standbys", width: thirdWidth, needs: sqlHeartbeat, unit: "s", queries: []panelQuery{{expr: `max by (system, probe) (` + sqlHeartbeat + `{SEL})`, legend: named}}},
		{kind: graph, title: "Primaries", description: "Of the servers that answered. There must be one. Its timeline rises at a promotion.", width: thirdWidth, needs: sqlInRecovery, queries: []panelQuery{
			{expr: `sum by (system, probe) (1 - min by (system, probe, target) (` + sqlInRecovery + `{SEL}))`, legend: named},
			{expr: `max by (system, probe) (probe_sql_timeline{SEL})`, legend: named + " timeline"}}},
	}},
	{title: "Redis", panels: []panel{
		{kind: graph, title: "Replication lag", width: thirdWidth, needs: redisLag, unit: "s", queries: []panelQuery{{expr: `max by (system, probe, target) (` + redisLag + `{SEL})`, legend: named + " {{target}}"}}},
		{kind: graph, title: "Keys of no org", description: "About how many, by the shape of their names.", width: thirdWidth, needs: redisUnprefixed,
			queries: []panelQuery{{expr: `max by (system, probe, shape) (` + redisUnprefixed + `{SEL})`, legend: named + " {{shape}}"}}},
		{kind: graph, title: "Time since all keys were looked at", description: "Nothing is shown before the first pass over them ended.", width: thirdWidth, needs: redisFullPass, unit: "s",
			queries: []panelQuery{{expr: `time() - max by (system, probe) (` + redisFullPass + `{SEL} > 0)`, legend: named}}},
	}},
	{title: "Kubernetes and deploys", panels: []panel{
		{kind: graph, title: "Pods", width: halfWidth, needs: podsWanted, queries: []panelQuery{
			{expr: `min by (system, probe) (probe_pods_ready{SEL})`, legend: named + " ready"}, {expr: `max by (system, probe) (` + podsWanted + `{SEL})`, legend: named + " wanted"}}},
		{kind: graph, title: "Restarts of containers", description: "Within ten minutes.", width: halfWidth, needs: podsRestarts,
			queries: []panelQuery{{expr: `max by (system, probe) (increase(` + podsRestarts + `{SEL}[10m]))`, legend: named}}},
		{kind: "table", title: "Newest deploys", width: halfWidth, needs: deployInfo, queries: []panelQuery{
			{expr: `group by (system, probe, deploy, version, state) (` + deployInfo + `{SEL})`},
			{expr: `1000 * max by (system, probe, deploy) (probe_deploy_started_timestamp_seconds{SEL})`, legend: "started", unit: fromNow}}},
		{kind: "table", title: "Versions that answer", width: halfWidth, queries: []panelQuery{{expr: `group by (system, probe, target, version) (probe_target_version_info{SEL})`}}},
	}},
	{title: "Replicas, clocks and values", panels: []panel{
		{kind: graph, title: "Replicas", width: thirdWidth, needs: healthState, queries: []panelQuery{
			{expr: `min by (system, probe) (probe_replicas_healthy{SEL})`, legend: named + " live"}, {expr: `max by (system, probe) (probe_replicas_wanted{SEL})`, legend: named + " wanted"}}},
		{kind: "table", title: "State of each replica", width: thirdWidth, needs: healthState, queries: []panelQuery{{expr: `max by (system, probe, target, state) (` + healthState + `{SEL} == 1)`}}},
		{kind: graph, title: "Clock skew", description: "How far the clock of a service is ahead of the reference.", width: thirdWidth, needs: clockSkew, unit: "s", signed: true,
			queries: []panelQuery{{expr: `max by (system, probe, service, reference) (` + clockSkew + `{SEL})`, legend: named + " {{service}} to {{reference}}"}}},
		{kind: graph, title: "Values of PromQL queries", width: halfWidth, needs: promqlValue, signed: true,
			queries: []panelQuery{{expr: `max by (system, probe, name) (` + promqlValue + `{SEL})`, legend: named + " {{name}}"}}},
	}},
	{title: "The prober itself", panels: []panel{
		{kind: timeline, title: "Prober: self-check", width: halfWidth, values: goodNames, queries: []panelQuery{{expr: `min by (instance, check) (prober_self_check{job=~"$job"})`, legend: "{{instance}} {{check}}"}}},
		{kind: timeline, title: "Prober: configuration", description: "Bad: the files and the configuration in use differ.", width: halfWidth, values: goodNames,
			queries: []panelQuery{{expr: `prober_config_last_reload_successful{job=~"$job"}`, legend: "{{instance}}"}}},
		{kind: graph, title: "Prober: starts later than planned", width: halfWidth, unit: "s", queries: []panelQuery{{expr: scheduleLag, legend: "{{instance}} p99"}}},
		{kind: graph, title: "Prober: runs in flight, queued and skipped", width: halfWidth, queries: []panelQuery{
			{expr: `prober_runs_in_flight{job=~"$job"}`, legend: "{{instance}} in flight"}, {expr: `prober_runs_queued{job=~"$job"}`, legend: "{{instance}} queued"},
			{expr: `sum by (instance, reason) (rate(prober_skipped_total{job=~"$job"}[$__rate_interval]))`, legend: "{{instance}} skipped: {{reason}}"}}},
		{kind: graph, title: "Prober: processor", description: "Cores in use.", width: halfWidth, queries: []panelQuery{{expr: `rate(process_cpu_seconds_total{job=~"$job"}[$__rate_interval])`, legend: "{{instance}}"}}},
		{kind: graph, title: "Prober: memory", width: halfWidth, unit: "bytes", queries: []panelQuery{{expr: `process_resident_memory_bytes{job=~"$job"}`, legend: "{{instance}}"}}},
	}},
}
