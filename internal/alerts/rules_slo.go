package alerts

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/sorted"
)

// The series that the rules of an objective record, by system and runbook. The runs of all locations count.
const (
	failedRuns     = "runbook:probe_runs_failed:increase"     // and the window; likewise:
	conclusiveRuns = "runbook:probe_runs_conclusive:increase" // those that passed or failed
	budgetLost     = "runbook:slo_budget_lost:ratio"          // which part of the budget of the window failed runs took
	budgetUnknown  = "runbook:slo_budget_unknown:ratio"       // which part inconclusive runs would have taken, had they failed
)

// Guards in counts: with few runs a single failure is a high rate. increase() extrapolates, so they lie between two counts.
const (
	minLongFailures  = 5.5 // more than five
	minShortFailures = 1.5 // more than one
)

const burnAlert = "SLOBudgetBurn"

// budgetInterval is how often the budget of the whole window is computed.
const budgetInterval = 5 * time.Minute

// objectives groups the jobs that have an objective together.
func (s *system) objectives() (all []runbookGroup) {
	for _, j := range s.jobs {
		if j.SLO.IsZero() {
			continue
		}
		i := slices.IndexFunc(all, func(g runbookGroup) bool { return g.runbook == j.Runbook })
		if i < 0 {
			i = len(all)
			all = append(all, runbookGroup{runbook: j.Runbook, url: j.RunbookURL, impact: j.Impact()})
		}
		all[i].jobs = append(all[i].jobs, j)
		all[i].severity = parseSeverity(worst(all[i].jobs).Severity)
	}
	return all
}

func (g runbookGroup) intervals() (all []time.Duration) {
	for _, j := range g.jobs {
		all = append(all, j.Interval)
	}
	return all
}

// sloRules makes the rules of the objectives of a system: what burn rates read, with their alerts, and the budgets.
func (s *system) sloRules(group func(*Group), rule func(*Rule)) {
	for _, g := range s.objectives() {
		o := g.jobs[0].SLO
		windows := o.BurnWindows(g.intervals())
		labels := map[string]string{"system": escapeTemplate(s.name), "runbook": g.runbook}
		name := "prober-" + s.name + "/slo/" + g.runbook // neither name has a slash, and Prometheus refuses groups of one name
		group(&Group{Name: name, Interval: promTime(max(defaultInterval, s.interval))})
		for _, window := range spans(windows) {
			for _, r := range []struct{ record, verdicts string }{{failedRuns, `verdict="fail"`}, {conclusiveRuns, `verdict=~"fail|pass"`}} {
				rule(&Rule{Record: r.record + promTime(window), Expr: g.increase(s, r.verdicts, window), Labels: labels})
			}
		}
		for _, page := range []bool{true, false} {
			if a, ok := g.burn(s, o, windows, page); ok {
				r := s.rule(a)
				rule(&r)
			}
		}
		fail, conclusive := g.increase(s, `verdict="fail"`, o.Window), g.increase(s, `verdict=~"fail|pass"`, o.Window)
		unknown, every := g.increase(s, `verdict="inconclusive"`, o.Window), g.increase(s, "", o.Window)
		share := func(part, of string) string { return fmt.Sprintf("%s\n  / (%s * %.6g)", part, of, o.Budget()) }
		group(&Group{Name: name + "/budget", Interval: promTime(budgetInterval)})
		rule(&Rule{Record: budgetLost, Expr: share(fail, conclusive), Labels: labels})
		rule(&Rule{Record: budgetUnknown, Expr: share(unknown, every), Labels: labels})
	}
}

// spans are the times over which something is counted, each once.
func spans(windows []probe.BurnWindow) (all []time.Duration) {
	for _, w := range windows {
		all = append(all, w.Short, w.Long)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// increase counts runs within a window.
func (g runbookGroup) increase(s *system, verdicts string, window time.Duration) string {
	var more []string
	if verdicts != "" {
		more = []string{verdicts}
	}
	return "sum by (system) (increase(" + selector("probe_runs_total", g.match(s, more...)) + "[" + promTime(window) + "]))"
}

// burn is the alert on a budget that is spent too fast: at once for a page, within days for a ticket.
func (g runbookGroup) burn(s *system, o probe.Objective, windows []probe.BurnWindow, page bool) (a alert, ok bool) {
	match := []string{equal("system", s.name), equal("runbook", g.runbook)}
	series := func(name string, window time.Duration) string { return selector(name+promTime(window), match...) }
	var pairs, words []string
	for _, w := range windows {
		if w.Page != page {
			continue
		}
		spent := func(window time.Duration, failures float64) string {
			failed := series(failedRuns, window)
			return fmt.Sprintf("%s > %.6g * %s and %s > %g", failed, w.Rate*o.Budget(), series(conclusiveRuns, window), failed, failures)
		}
		pairs = append(pairs, "("+spent(w.Long, minLongFailures)+"\n  and "+spent(w.Short, minShortFailures)+")")
		words = append(words, fmt.Sprintf("%.3g times over %s and %s", w.Rate, promTime(w.Long), promTime(w.Short)))
	}
	if pairs == nil {
		return alert{}, false
	}
	a = g.alert(s, burnAlert, g.severity)
	if !page {
		a.severity = g.severity.lowered().cappedAt(2)
	}
	a.labels["burn"] = map[bool]string{true: "fast", false: "slow"}[page]
	a.expr = strings.Join(pairs, "\nor ") + "\nunless on (system) max by (system) (" + selector("probe_in_maintenance", g.match(s)) + ") == 1"
	a.summary = "The error budget of {{ $labels.runbook }} of {{ $labels.system }} is spent too fast: {{ $value | humanize }} runs failed"
	a.description = escapeTemplate(fmt.Sprintf("The objective is %g%% over %s. More than the allowed rate: %s. Inconclusive runs do not count: %s.",
		o.Percent, promTime(o.Window), strings.Join(words, ", or "), budgetUnknown))
	return a, true
}

// sloTests are unit tests of the objectives: an outage burns the budget, two single failures do not, and nor does what is not
// known.
func (s *system) sloTests() (all []testCase) {
	for _, g := range s.objectives() {
		o := g.jobs[0].SLO
		windows := o.BurnWindows(g.intervals())
		if len(windows) == 0 || windows[0].Long > time.Hour {
			continue // a test of six hours takes minutes
		}
		w, j := windows[0], g.jobs[0]
		a, _ := g.burn(s, o, windows, true)
		r := s.rule(a)
		firing := selector("ALERTS", equal("alertname", burnAlert), equal("system", s.name), `burn="fast"`, `alertstate="firing"`)
		test := func(name, fails, passes, inconclusive string, expected ...assertion) testCase {
			c := testCase{Name: fmt.Sprintf("%s of %s: %s", g.runbook, s.name, name), Interval: promTime(step), Expected: expected}
			for verdict, values := range map[string]string{"fail": fails, "pass": passes, "inconclusive": inconclusive} {
				c.Input = append(c.Input, inputSeries{series("probe_runs_total", mergeLabels(s.labels(j), map[string]string{"verdict": verdict})), values})
			}
			sorted.By(c.Input, func(a, b inputSeries) int { return strings.Compare(a.Series, b.Series) })
			return c
		}
		n := func(d time.Duration) int { return int(d / step) }
		run := step.Seconds() / j.Interval.Seconds() // in one step
		gap, brief := n(20*time.Minute), n(10*time.Minute)
		rising := func(from, by float64, steps int) string { return fmt.Sprintf("%g+%gx%d", from, by, steps) }
		quiet := func(times ...time.Duration) (all []assertion) {
			for _, t := range times {
				all = append(all, assertion{firing, promTime(t), []expectedSample{}})
			}
			return all
		}
		outage := 10*time.Minute + time.Duration(1.5*max(minLongFailures/run, w.Rate*o.Budget()*float64(n(w.Long))))*step + 2*time.Minute
		end := n(outage)
		all = append(all,
			test("two single failures twenty minutes apart: silent",
				fmt.Sprintf("%s %s %s", repeat(0, gap), repeat(1, gap), repeat(2, brief)), rising(0, run, 2*gap+brief), repeat(0, 2*gap+brief),
				quiet(21*time.Minute, 41*time.Minute, 45*time.Minute, 50*time.Minute)...),
			test("nothing but inconclusive runs: silent", repeat(0, gap), repeat(0, gap), rising(0, run, gap), quiet(10*time.Minute, 20*time.Minute)...),
			test("an outage", fmt.Sprintf("%s %s", repeat(0, brief), rising(run, run, end-brief)),
				fmt.Sprintf("%s %s", rising(0, run, brief-1), repeat(run*float64(brief-1), end-brief+1)), repeat(0, end),
				append(quiet(10*time.Minute), assertion{firing, promTime(outage), []expectedSample{r.firing(map[string]string{"system": s.name})}})...),
		)
	}
	return all
}
