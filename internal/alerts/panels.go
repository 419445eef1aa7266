package alerts

import (
	"slices"

	"prober/internal/probe"
)

// A drawing is a panel in short: what it is called, what it shows and how.
type drawing struct {
	kind, title, says string
	place             place
	new               bool // begins a row
	instant           bool
	unit              string
	verdicts          bool // values are verdicts: 0 pass, 1 inconclusive, 2 fail
	queries           []asked
}

// asked is an expression and the name of its series. SEL in it stands for what the reader chose.
type asked struct{ expr, legend string }

func (q asked) format(kind string) string {
	if kind == "table" {
		return "table"
	}
	return "time_series"
}

// Widths and heights on Grafana's grid of 24 columns.
const (
	whole  = 24
	half   = 12
	third  = 8
	low    = 5
	middle = 8
	high   = 10
)

// verdict is the worst that any prober says, as a number.
const verdict = `clamp_max(2 * max by (system, probe) (probe_verdict{SEL,verdict="fail"}) + max by (system, probe) (probe_verdict{SEL,verdict="inconclusive"}), 2)`

// quantile is of the latency, for classic histograms or else for native ones.
func quantile(q string) string {
	return "histogram_quantile(" + q + ", sum by (system, probe, le) (rate(probe_duration_seconds_bucket{SEL}[$__rate_interval])))" +
		" or histogram_quantile(" + q + ", sum by (system, probe) (rate(probe_duration_seconds{SEL}[$__rate_interval])))"
}

// drawings are the panels in their order.
func drawings(jobs []probe.Job) []drawing {
	named := "{{system}}/{{probe}}"
	all := []drawing{
		{kind: "stat", title: "Verdicts now", says: "The worst that any prober says of each probe.", place: place{low, third, 0, 0}, instant: true, queries: []asked{
			{`count(` + verdict + ` == 0) or vector(0)`, "pass"},
			{`count(` + verdict + ` == 1) or vector(0)`, "inconclusive"},
			{`count(` + verdict + ` == 2) or vector(0)`, "fail"},
		}},
		{kind: "stat", title: "Error budget left", says: "Over the time shown: what is left of the failures that the objective allows. What nobody could tell counts on neither side.",
			place: place{low, third, third, 0}, instant: true, unit: "percentunit", queries: []asked{
				{`1 - (sum by (system) (increase(probe_runs_total{SEL,verdict="fail"}[$__range])) / sum by (system) (increase(probe_runs_total{SEL,verdict=~"fail|pass"}[$__range]))) / (1 - $slo / 100)`, "{{system}}"},
			}},
		{kind: "stat", title: "Probers alive", place: place{low, third, 2 * third, 0}, instant: true, queries: []asked{{`sum(up{job=~"$job"})`, "alive"}}},
		{kind: "state-timeline", title: "State of each probe", says: "The worst that any prober says.", place: place{high, whole, 0, 0}, new: true, verdicts: true,
			queries: []asked{{verdict, named}}},
		{kind: "table", title: "Does not pass now", place: place{middle, half, 0, 0}, new: true, instant: true,
			queries: []asked{{`max by (system, probe, check, target) (probe_check_success{SEL} == 0)`, ""}}},
		{kind: "timeseries", title: "Reasons", says: "Checks that failed or could not tell. The first occurrence of a reason makes its series, and shows from the second on.",
			place: place{middle, half, half, 0}, queries: []asked{{`sum by (probe, check, reason) (increase(probe_failures_total{SEL}[$__rate_interval])) > 0`, "{{probe}} {{check}}: {{reason}}"}}},
		{kind: "timeseries", title: "Latency, 95th percentile", says: "Of the slowest exchange of each run; the playbook's limit is 2 s.", place: place{middle, half, 0, 0}, new: true, unit: "s",
			queries: []asked{{quantile("0.95"), named}}},
		{kind: "timeseries", title: "Latency, median and 99th percentile", place: place{middle, half, half, 0}, unit: "s",
			queries: []asked{{quantile("0.5"), named + " p50"}, {quantile("0.99"), named + " p99"}}},
		{kind: "timeseries", title: "Phases of the slowest exchange", place: place{middle, half, 0, 0}, new: true, unit: "s",
			queries: []asked{{`max by (phase) (probe_http_duration_seconds{SEL})`, "{{phase}}"}}},
		{kind: "timeseries", title: "Error budget burn rate", says: "1 uses up the budget exactly within its period.", place: place{middle, half, half, 0}, queries: []asked{
			{`(sum by (system) (increase(probe_runs_total{SEL,verdict="fail"}[1h])) / sum by (system) (increase(probe_runs_total{SEL,verdict=~"fail|pass"}[1h]))) / (1 - $slo / 100)`, "{{system}}"},
		}},
		{kind: "timeseries", title: "Errors caused on purpose", says: "What the probes cause at the targets: subtract it from the targets' own counters.", place: place{middle, half, 0, 0}, new: true, unit: "reqps",
			queries: []asked{{`sum by (system, code) (rate(probe_expected_status_total{SEL}[$__rate_interval]))`, "{{system}} {{code}}"}}},
		{kind: "table", title: "Versions", place: place{middle, half, half, 0}, instant: true,
			queries: []asked{{`group by (system, probe, version) (probe_target_version_info{SEL})`, ""}}},
	}
	if exports(jobs, kindHealth) {
		all = append(all,
			drawing{kind: "timeseries", title: "Replicas", place: place{middle, half, 0, 0}, new: true, queries: []asked{
				{`min by (system, probe) (probe_replicas_healthy{SEL})`, named + " live"}, {`max by (system, probe) (probe_replicas_wanted{SEL})`, named + " wanted"},
			}},
			drawing{kind: "table", title: "State of each replica", place: place{middle, half, half, 0}, instant: true,
				queries: []asked{{`max by (system, probe, target, state) (probe_health_state{SEL} == 1)`, ""}}})
	}
	if slices.ContainsFunc(jobs, func(j probe.Job) bool { return slices.Contains(Reads(j.Type), fixture) }) {
		all = append(all, drawing{kind: "table", title: "Tokens kept for callers expire in", place: place{middle, whole, 0, 0}, new: true, instant: true, unit: "s",
			queries: []asked{{`min by (system, probe, fixture) (` + of(fixture, "SEL", `fixture!="expired"`) + `) - time()`, ""}}})
	}
	return append(all,
		drawing{kind: "timeseries", title: "Prober: starts later than planned", place: place{middle, third, 0, 0}, new: true, unit: "s",
			queries: []asked{{`histogram_quantile(0.99, sum by (instance, le) (rate(prober_schedule_lag_seconds_bucket{job=~"$job"}[$__rate_interval])))`, "{{instance}} p99"}}},
		drawing{kind: "timeseries", title: "Prober: runs in flight, queued and skipped", place: place{middle, third, third, 0}, queries: []asked{
			{`prober_runs_in_flight{job=~"$job"}`, "{{instance}} in flight"}, {`prober_runs_queued{job=~"$job"}`, "{{instance}} queued"},
			{`sum by (instance, reason) (rate(prober_skipped_total{job=~"$job"}[$__rate_interval]))`, "{{instance}} skipped: {{reason}}"},
		}},
		drawing{kind: "timeseries", title: "Prober: configuration and self-check", says: "1 is well.", place: place{middle, third, 2 * third, 0}, queries: []asked{
			{`prober_config_last_reload_successful{job=~"$job"}`, "{{instance}} configuration"}, {`prober_self_check{job=~"$job"}`, "{{instance}} {{check}}"},
		}})
}

// field is Grafana's description of the values.
func (d drawing) field() string {
	if d.verdicts {
		return `{"mappings":[{"type":"value","options":{"0":{"text":"pass","color":"green"},"1":{"text":"inconclusive","color":"orange"},"2":{"text":"fail","color":"red"}}}],"custom":{"fillOpacity":80}}`
	}
	if d.unit != "" {
		return `{"unit":"` + d.unit + `"}`
	}
	return `{}`
}

// look is how the kind of panel is drawn.
func (d drawing) look() string {
	switch d.kind {
	case "state-timeline":
		return `{"showValue":"never","mergeValues":true,"legend":{"showLegend":true,"displayMode":"list","placement":"bottom"}}`
	case "stat":
		return `{"reduceOptions":{"calcs":["lastNotNull"]},"colorMode":"none"}`
	}
	return `{}`
}
