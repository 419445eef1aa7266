package alerts

import (
	"slices"

	"prober/internal/drop"
	"prober/internal/probe"
)

// A section is a row of the dashboard, which the reader opens and closes.
type section struct {
	title  string
	open   bool // at first; what is closed asks Prometheus nothing
	panels []panel
}

// A panel is the short form of a grafanaPanel. Panels fill a line from left to right, and share it in equal parts.
type panel struct {
	kind, title, description string
	width                    int
	needs                    string // the panel is there if a kind of a configured probe declares this series, or always
	unit                     string
	values                   valueNames
	signed                   bool // values may be below 0
	thresholds               []threshold
	queries                  []panelQuery
}

// A panelQuery is an expression, with SEL for the probes that the reader chose. The legend names its series, or in a table
// the column of its values; that column is left out if it has no name.
type panelQuery struct{ expr, legend, unit string }

// A threshold is the colour of values from one on; the first threshold is of all below the second.
type threshold struct {
	color string
	from  float64
}

// Thresholds of stats and tables.
var (
	alwaysGreen = []threshold{{"green", 0}}
	failuresRed = []threshold{{"green", 0}, {"red", 1}}
	unknownGold = []threshold{{"green", 0}, {"orange", 1}}
	budgetLeft  = []threshold{{"red", 0}, {"orange", 0}, {"green", 0.25}}
	someUp      = []threshold{{"red", 0}, {"green", 1}}
	uptime      = []threshold{{"red", 0}, {"orange", 0.99}, {"green", 0.999}}
	daysLeft    = []threshold{{"red", 0}, {"orange", 7}, {"yellow", 14}, {"green", 30}}
)

// Widths on Grafana's grid of 24 columns.
const (
	fullWidth    = 24
	halfWidth    = 12
	thirdWidth   = 8
	quarterWidth = 6
)

// Expressions that panels share.
const (
	// worstVerdict is the worst verdict of all probers, as a number.
	worstVerdict = `clamp_max(2 * max by (system, probe) (probe_verdict{SEL,verdict="fail"}) + max by (system, probe) (probe_verdict{SEL,verdict="inconclusive"}), 2)`
	notPassing   = worstVerdict + ` > 0`
	// notAlwaysPassed leaves out the probes that passed throughout, and all but forty: a timeline of 300 cannot be read.
	notAlwaysPassed = worstVerdict + ` and on (system, probe) topk(40, sum by (system, probe) (increase(probe_runs_total{SEL,verdict!="pass"}[$__range] @ end())) > 0)`
	aboutProbe      = ` * on (system, probe) group_left (severity, runbook, runbook_url) max by (system, probe, severity, runbook, runbook_url) (probe_info{SEL})`
	// newReasons counts a reason from its first occurrence on, which increase() does not see.
	failures   = `sum by (system, probe, check, reason) (probe_failures_total{SEL})`
	earlier    = `sum by (system, probe, check, reason) (probe_failures_total{SEL} offset 10m)`
	newReasons = `(` + failures + ` - (` + earlier + ` or 0 * ` + failures + `) > 0) and on (system, probe) (` + notPassing + `)`

	failedShown     = `sum by (system) (increase(probe_runs_total{SEL,verdict="fail"}[$__range]))`
	passedShown     = `sum by (system) (increase(probe_runs_total{SEL,verdict="pass"}[$__range]))`
	conclusiveShown = `sum by (system) (increase(probe_runs_total{SEL,verdict=~"fail|pass"}[$__range]))`
	unknownShown    = `sum by (system) (increase(probe_runs_total{SEL,verdict="inconclusive"}[$__range])) / sum by (system) (increase(probe_runs_total{SEL}[$__range]))`

	classicLatency = `, sum by (system, probe, le) (rate(probe_run_duration_seconds_bucket{SEL}[$__rate_interval])))`
	nativeLatency  = `, sum by (system, probe) (rate(probe_run_duration_seconds{SEL}[$__rate_interval])))`
	median         = `topk(20, histogram_quantile(0.5` + classicLatency + ` or histogram_quantile(0.5` + nativeLatency + `)`
	percentile95   = `topk(20, histogram_quantile(0.95` + classicLatency + ` or histogram_quantile(0.95` + nativeLatency + `)`
	percentile99   = `topk(20, histogram_quantile(0.99` + classicLatency + ` or histogram_quantile(0.99` + nativeLatency + `)`
	scheduleLag    = `histogram_quantile(0.99, sum by (instance, le) (rate(prober_schedule_lag_seconds_bucket{job=~"$job"}[$__rate_interval]))) or ` +
		`histogram_quantile(0.99, sum by (instance) (rate(prober_schedule_lag_seconds{job=~"$job"}[$__rate_interval])))`
)

const (
	named    = "{{system}}/{{probe}}"
	fromNow  = "dateTimeFromNow" // of milliseconds
	timeline = "state-timeline"
	graph    = "timeseries"
)

// sectionsFor returns the sections and panels that the jobs can fill.
func sectionsFor(jobs []probe.Job, o Options) (all []section) {
	for _, s := range sections {
		s.panels = drop.If(slices.Clone(s.panels), func(p panel) bool { return p.needs != "" && !o.canFill(jobs, p.needs) })
		if len(s.panels) > 0 {
			all = append(all, s)
		}
	}
	return all
}

// canFill reports whether a series will exist: one of a kind, or of the rules of an objective.
func (o Options) canFill(jobs []probe.Job, series string) bool {
	if series == budgetLost {
		return slices.ContainsFunc(jobs, func(j probe.Job) bool { return !j.SLO.IsZero() })
	}
	return o.anyExports(jobs, series)
}
