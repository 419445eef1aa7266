package alerts

import (
	"slices"
	"strconv"
	"strings"

	"prober/internal/probe"
)

// A panel is the short form of a grafanaPanel.
type panel struct {
	kind, title, description string
	place                    gridPos
	new                      bool // begins a row
	instant                  bool
	unit                     string
	verdicts                 bool // values are verdicts: 0 pass, 1 inconclusive, 2 fail
	signed                   bool // values may be below 0
	thresholds               []threshold
	queries                  []panelQuery
}

// A threshold is the colour of values from one on; the first threshold is of all below the second.
type threshold struct {
	color string
	from  float64
}

// Thresholds of the panels at the top.
var (
	alwaysGreen = []threshold{{"green", 0}}
	failuresRed = []threshold{{"green", 0}, {"red", 1}}
	unknownGold = []threshold{{"green", 0}, {"orange", 1}}
	budgetLeft  = []threshold{{"red", 0}, {"orange", 0}, {"green", 0.25}}
	someUp      = []threshold{{"red", 0}, {"green", 1}}
)

// A panelQuery is an expression, with SEL for the probes that the reader chose, and the legend of its series.
type panelQuery struct{ expr, legend string }

func (q panelQuery) format(kind string) string {
	if kind == "table" {
		return "table"
	}
	return "time_series"
}

// Widths and heights on Grafana's grid of 24 columns.
const (
	fullWidth  = 24
	halfWidth  = 12
	thirdWidth = 8
	low        = 5
	middle     = 8
	high       = 10
)

// worstVerdict is the worst verdict of all probers, as a number.
const worstVerdict = `clamp_max(2 * max by (system, probe) (probe_verdict{SEL,verdict="fail"}) + max by (system, probe) (probe_verdict{SEL,verdict="inconclusive"}), 2)`

// quantile is a quantile of the latency of each probe.
func quantile(q string) string {
	return quantileOf(q, "system, probe", "probe_run_duration_seconds", "{SEL}")
}

// slowest leaves the twenty largest of many series.
func slowest(expr string) string { return "topk(20, " + expr + ")" }

// quantileOf is a quantile of a histogram, from its classic buckets or else from its native ones.
func quantileOf(q, by, histogram, matchers string) string {
	return "histogram_quantile(" + q + ", sum by (" + by + ", le) (rate(" + histogram + "_bucket" + matchers + "[$__rate_interval])))" +
		" or histogram_quantile(" + q + ", sum by (" + by + ") (rate(" + histogram + matchers + "[$__rate_interval])))"
}

// panels returns the panels in their order.
func panels(jobs []probe.Job, o Options) []panel {
	named := "{{system}}/{{probe}}"
	all := []panel{
		{kind: "stat", title: "Verdicts now", description: "The worst verdict of all probers, by probe.", place: gridPos{low, thirdWidth, 0, 0}, instant: true, thresholds: alwaysGreen, queries: []panelQuery{
			{`count(` + worstVerdict + ` == 0) or vector(0)`, "pass"},
			{`count(` + worstVerdict + ` == 1) or vector(0)`, "inconclusive"},
			{`count(` + worstVerdict + ` == 2) or vector(0)`, "fail"},
		}},
		{kind: "stat", title: "Error budget left", description: "The part of the failures that the objective allows which is left, over the time shown. Inconclusive runs do not count.",
			place: gridPos{low, thirdWidth, thirdWidth, 0}, instant: true, unit: "percentunit", thresholds: budgetLeft, queries: []panelQuery{
				{`1 - (sum by (system) (increase(probe_runs_total{SEL,verdict="fail"}[$__range])) / sum by (system) (increase(probe_runs_total{SEL,verdict=~"fail|pass"}[$__range]))) / (1 - $slo / 100)`, "{{system}}"},
			}},
		{kind: "stat", title: "Probers up", place: gridPos{low, thirdWidth, 2 * thirdWidth, 0}, instant: true, thresholds: someUp, queries: []panelQuery{{`sum(up{job=~"$job"})`, "up"}}},
		{kind: "state-timeline", title: "State of each probe", description: "The worst verdict of all probers.", place: gridPos{high, fullWidth, 0, 0}, new: true, verdicts: true,
			queries: []panelQuery{{worstVerdict, named}}},
		{kind: "table", title: "Checks that do not pass", place: gridPos{middle, halfWidth, 0, 0}, new: true, instant: true,
			queries: []panelQuery{{`max by (system, probe, check, target) (probe_check_success{SEL} == 0)`, ""}}},
		{kind: "timeseries", title: "Reasons", description: "Checks that did not pass. The first occurrence of a reason creates its series, so it shows from the second one on.",
			place: gridPos{middle, halfWidth, halfWidth, 0}, queries: []panelQuery{{`sum by (probe, check, reason) (increase(probe_failures_total{SEL}[$__rate_interval])) > 0`, "{{probe}} {{check}}: {{reason}}"}}},
		{kind: "timeseries", title: "Latency, 95th percentile", description: "Of the slowest exchange of each run; the twenty slowest probes.", place: gridPos{middle, halfWidth, 0, 0}, new: true, unit: "s",
			queries: []panelQuery{{slowest(quantile("0.95")), named}}},
		{kind: "timeseries", title: "Latency, median and 99th percentile", description: "Of the twenty slowest probes each.", place: gridPos{middle, halfWidth, halfWidth, 0}, unit: "s",
			queries: []panelQuery{{slowest(quantile("0.5")), named + " p50"}, {slowest(quantile("0.99")), named + " p99"}}},
		{kind: "timeseries", title: "Phases of the slowest exchange", place: gridPos{middle, halfWidth, 0, 0}, new: true, unit: "s",
			queries: []panelQuery{{`max by (phase) (probe_http_duration_seconds{SEL})`, "{{phase}}"}}},
		{kind: "timeseries", title: "Error budget burn rate", description: "At 1 the budget lasts exactly for its period.", place: gridPos{middle, halfWidth, halfWidth, 0}, queries: []panelQuery{
			{`(sum by (system) (increase(probe_runs_total{SEL,verdict="fail"}[1h])) / sum by (system) (increase(probe_runs_total{SEL,verdict=~"fail|pass"}[1h]))) / (1 - $slo / 100)`, "{{system}}"},
		}},
		{kind: "timeseries", title: "Errors caused on purpose", description: "Errors that the probes cause at the targets: subtract them from the targets' own counters.", place: gridPos{middle, halfWidth, 0, 0}, new: true, unit: "reqps",
			queries: []panelQuery{{`sum by (system, code) (rate(probe_expected_status_total{SEL}[$__rate_interval]))`, "{{system}} {{code}}"}}},
		{kind: "table", title: "Versions", place: gridPos{middle, halfWidth, halfWidth, 0}, instant: true,
			queries: []panelQuery{{`group by (system, probe, version) (probe_target_version_info{SEL})`, ""}}},
	}
	if o.anyExports(jobs, healthState) {
		all = append(all,
			panel{kind: "timeseries", title: "Replicas", place: gridPos{middle, halfWidth, 0, 0}, new: true, queries: []panelQuery{
				{`min by (system, probe) (probe_replicas_healthy{SEL})`, named + " live"}, {`max by (system, probe) (probe_replicas_wanted{SEL})`, named + " wanted"},
			}},
			panel{kind: "table", title: "State of each replica", place: gridPos{middle, halfWidth, halfWidth, 0}, instant: true,
				queries: []panelQuery{{`max by (system, probe, target, state) (probe_health_state{SEL} == 1)`, ""}}})
	}
	if o.anyExports(jobs, tokenExpiry) {
		all = append(all, panel{kind: "table", title: "Stored tokens expire in", place: gridPos{middle, fullWidth, 0, 0}, new: true, instant: true, unit: "s",
			queries: []panelQuery{{`min by (system, probe, caller) (` + selector(tokenExpiry, "SEL", `caller!="expired"`) + `) - time()`, ""}}})
	}
	return append(slices.Concat(all, tenantPanels(jobs, o), databasePanels(jobs, o)),
		panel{kind: "timeseries", title: "Prober: starts later than planned", place: gridPos{middle, thirdWidth, 0, 0}, new: true, unit: "s",
			queries: []panelQuery{{quantileOf("0.99", "instance", `prober_schedule_lag_seconds`, `{job=~"$job"}`), "{{instance}} p99"}}},
		panel{kind: "timeseries", title: "Prober: runs in flight, queued and skipped", place: gridPos{middle, thirdWidth, thirdWidth, 0}, queries: []panelQuery{
			{`prober_runs_in_flight{job=~"$job"}`, "{{instance}} in flight"}, {`prober_runs_queued{job=~"$job"}`, "{{instance}} queued"},
			{`sum by (instance, reason) (rate(prober_skipped_total{job=~"$job"}[$__rate_interval]))`, "{{instance}} skipped: {{reason}}"},
		}},
		panel{kind: "timeseries", title: "Prober: configuration and self-check", description: "1 is good.", place: gridPos{middle, thirdWidth, 2 * thirdWidth, 0}, queries: []panelQuery{
			{`prober_config_last_reload_successful{job=~"$job"}`, "{{instance}} configuration"}, {`prober_self_check{job=~"$job"}`, "{{instance}} {{check}}"},
		}})
}

// tenantPanels are about tenants that are kept apart, whatever the kind of the probe.
func tenantPanels(jobs []probe.Job, o Options) (all []panel) {
	if o.anyExports(jobs, breaches) {
		surface := "{{system}}/{{probe}} {{surface}}"
		all = append(all,
			panel{kind: "timeseries", title: "Breaches between tenants", description: "Runs of all probers in which an org was shown, or changed, the data of another, within an hour.",
				place: gridPos{middle, halfWidth, 0, 0}, new: true, queries: []panelQuery{{`sum by (system, probe, surface) (increase(` + breaches + `{SEL}[1h]))`, surface}}},
			panel{kind: "timeseries", title: "Time since tenants were proven to be apart", description: "Nothing is shown before the first proof.",
				place: gridPos{middle, halfWidth, halfWidth, 0}, unit: "s", queries: []panelQuery{{`time() - max by (system, probe, surface) (` + lastProven + `{SEL} > 0)`, surface}}})
	}
	if o.anyExports(jobs, rlsRelations) {
		all = append(all, panel{kind: "timeseries", title: "Tables under row-level security", description: "Tables, partitions and views of the tenants, by what the catalogue says of them.",
			place: gridPos{middle, fullWidth, 0, 0}, new: true, queries: []panelQuery{{`max by (system, probe, state) (` + rlsRelations + `{SEL})`, "{{system}}/{{probe}} {{state}}"}}})
	}
	return all
}

// databasePanels are about numbers of databases and their replication.
func databasePanels(jobs []probe.Job, o Options) []panel {
	if !o.anyExports(jobs, sqlValue) {
		return nil
	}
	named := "{{system}}/{{probe}}"
	return []panel{
		{kind: "timeseries", title: "Values of queries", signed: true, place: gridPos{middle, thirdWidth, 0, 0}, new: true,
			queries: []panelQuery{{`max by (system, probe, name, by) (` + sqlValue + `{SEL})`, named + " {{name}} {{by}}"}}},
		{kind: "timeseries", title: "Age of the heartbeat on standbys", place: gridPos{middle, thirdWidth, thirdWidth, 0}, unit: "s",
			queries: []panelQuery{{`max by (system, probe) (` + sqlHeartbeat + `{SEL})`, named}}},
		{kind: "timeseries", title: "Primaries", description: "Of the servers that answered. There must be one. Its timeline rises at a promotion.", place: gridPos{middle, thirdWidth, 2 * thirdWidth, 0},
			queries: []panelQuery{
				{`sum by (system, probe) (1 - min by (system, probe, target) (` + sqlInRecovery + `{SEL}))`, named},
				{`max by (system, probe) (probe_sql_timeline{SEL})`, named + " timeline"},
			}},
	}
}

// fieldConfigJSON is how Grafana formats the values.
func (d panel) fieldConfigJSON() string {
	if d.verdicts {
		return `{"mappings":[{"type":"value","options":{"0":{"text":"pass","color":"green"},"1":{"text":"inconclusive","color":"orange"},"2":{"text":"fail","color":"red"}}}],"custom":{"fillOpacity":80}}`
	}
	var parts []string
	if d.unit != "" {
		parts = append(parts, `"unit":"`+d.unit+`"`)
	}
	if d.kind == "timeseries" && !d.signed {
		parts = append(parts, `"min":0`)
	}
	if d.thresholds != nil {
		parts = append(parts, `"thresholds":`+thresholdsJSON(d.thresholds))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// thresholdsJSON writes thresholds as Grafana reads them. The first has no beginning.
func thresholdsJSON(all []threshold) string {
	steps := make([]string, len(all))
	for i, t := range all {
		from := "null"
		if i > 0 {
			from = strconv.FormatFloat(t.from, 'g', -1, 64)
		}
		steps[i] = `{"color":"` + t.color + `","value":` + from + `}`
	}
	return `{"mode":"absolute","steps":[` + strings.Join(steps, ",") + `]}`
}

// overridesJSON are colours of single values of a stat: failures are red, and what is inconclusive is orange.
func (d panel) overridesJSON() string {
	var all []string
	for _, q := range d.queries {
		t := map[string][]threshold{"fail": failuresRed, "inconclusive": unknownGold}[q.legend]
		if d.kind == "stat" && t != nil {
			all = append(all, `{"matcher":{"id":"byName","options":"`+q.legend+`"},"properties":[{"id":"thresholds","value":`+thresholdsJSON(t)+`}]}`)
		}
	}
	return strings.Join(all, ",")
}

// optionsJSON is how Grafana draws this type of panel.
func (d panel) optionsJSON() string {
	switch d.kind {
	case "state-timeline":
		return `{"showValue":"never","mergeValues":true,"legend":{"showLegend":true,"displayMode":"list","placement":"bottom"}}`
	case "stat":
		return `{"reduceOptions":{"calcs":["lastNotNull"]},"colorMode":"value"}`
	}
	return `{}`
}
