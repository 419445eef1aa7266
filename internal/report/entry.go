package report

import (
	"fmt"
	"slices"
	"strings"

	"prober/internal/drop"
	"prober/internal/probe"
	"prober/internal/text"
)

// maxGroups bounds the groups of checks shown of one probe in all formats but JSON, so that a probe of a thousand
// targets does not bury the others.
const maxGroups = 20

// An entry is one probe as every format shows it: its job, and its result if it ran. All text of it is clean, and
// it has at least one check.
type entry struct {
	probe.Job
	ran      bool
	result   probe.Result
	verdict  probe.Verdict
	decisive probe.Check // the first check with the verdict of the run
}

// entries joins the results to the jobs, in the order of the jobs. Results without a job come last.
func (r Report) entries() []entry {
	results := make(map[probe.Key]probe.Result, len(r.Results))
	for _, result := range r.Results {
		results[result.Key()] = result
	}
	out := make([]entry, 0, len(r.Jobs))
	for _, job := range r.Jobs {
		k := job.Key()
		result, ran := results[k]
		delete(results, k)
		out = append(out, r.entry(job, result, ran))
	}
	for _, result := range r.Results {
		k := result.Key()
		if last, left := results[k]; left {
			delete(results, k)
			out = append(out, r.entry(probe.Job{ID: last.ID}, last, true))
		}
	}
	return out
}

func (r Report) entry(job probe.Job, result probe.Result, ran bool) entry {
	if !ran {
		detail := "did not run"
		if r.Reason != "" {
			detail += ": " + text.Line(r.Reason)
		}
		result.Checks = []probe.Check{{Name: probe.RunCheck, Reason: probe.Cancelled, Detail: detail}}
	}
	job.ID = cleanID(job.ID)
	job.RunbookURL = text.Link(job.RunbookURL)
	result.ID = job.ID
	result.Checks = slices.Clone(result.Checks)
	if len(result.Checks) == 0 {
		result.Checks = []probe.Check{result.Decisive()}
	}
	for i := range result.Checks {
		c := &result.Checks[i]
		c.Name, c.Target, c.Reason.Word, c.Detail = text.Line(c.Name), text.Line(c.Target), text.Line(c.Reason.Word), text.Line(c.Detail)
		c.TraceID = text.Line(c.TraceID)
	}
	result.Exchanges = slices.Clone(result.Exchanges)
	for i := range result.Exchanges {
		cleanExchange(&result.Exchanges[i])
	}
	return entry{Job: job, ran: ran, result: result, verdict: result.Verdict(), decisive: result.Decisive()}
}

// testCases returns the entries for formats that count tests. If all entries passed but the report did not, it adds one
// that says so.
func (r Report) testCases() []entry {
	entries := r.entries()
	if t := r.totals(entries); t.verdict == probe.Pass || t.pass < t.all {
		return entries
	}
	id := probe.ID{System: "prober", Name: probe.RunCheck, Type: probe.RunCheck}
	result := probe.Result{Checks: []probe.Check{{Name: probe.RunCheck, Reason: probe.NothingChecked, Detail: r.Summary()}}}
	return append(entries, r.entry(probe.Job{ID: id}, result, true))
}

// title is the name of the probe with its system.
func (e entry) title() string { return e.Key().String() }

// latency is the latency of the target; empty if the probe did not run.
func (e entry) latency() string {
	if !e.ran {
		return ""
	}
	return text.Duration(e.result.Latency())
}

// version lists the versions that the targets reported.
func (e entry) version() string {
	return text.List(distinct(e.result.Exchanges, func(x probe.Exchange) string { return x.Version }), maxTraces)
}

// traces lists the trace ids sent in the exchanges that belong to checks that did not pass, or of all exchanges if
// all passed.
func (e entry) traces() string {
	of := e.result.Exchanges
	if doubt := e.notPassedExchanges(); e.verdict != probe.Pass && len(doubt) > 0 {
		of = e.exchanges(doubt)
	}
	return text.List(distinct(of, func(x probe.Exchange) string { return x.TraceID }), maxTraces)
}

// explanation says why the probe did not pass and where to look next, as lines. It is empty for a pass.
func (e entry) explanation() []string {
	lines := e.failureLines()
	if next := e.nextStep(); next != "" {
		lines = append(lines, next)
	}
	return lines
}

// nextStep is the line that says where to go on: the runbook or, without one, what to do about the decisive reason.
func (e entry) nextStep() string {
	switch next := e.next(); {
	case next != "":
		return "next: runbook " + next
	case e.verdict == probe.Pass || !e.ran || e.decisive.Reason.Action == "":
		return ""
	}
	return "next: " + e.decisive.Reason.Action
}

// next names the runbook to open and its address; it is empty if there is nothing to do.
func (e entry) next() string {
	if e.verdict == probe.Pass || !e.ran {
		return ""
	}
	return strings.Join(nonEmpty(e.Runbook, e.RunbookURL), ", ")
}

// A line is one of those that explain a probe. That of a check has the word of the reason apart; one of evidence belongs to
// the line above.
type line struct {
	check, word, says string
	inconclusive      bool // beside checks that failed
	evidence          bool
}

// String is the line as all formats but text have it.
func (l line) String() string {
	switch {
	case l.evidence:
		return indentation + l.says
	case l.check == "":
		return l.says
	case l.word == "":
		return l.check + ": " + l.says
	case l.inconclusive:
		return fmt.Sprintf("%s [%s, inconclusive]: %s", l.check, l.word, l.says)
	}
	return fmt.Sprintf("%s [%s]: %s", l.check, l.word, l.says)
}

// failureLines lists the checks that did not pass, and the exchanges that show it.
func (e entry) failureLines() []string {
	var lines []string
	for _, l := range e.failures(false) {
		lines = append(lines, l.String())
	}
	return lines
}

// failures is failureLines for people if terse: without the words and addresses that are on the line already.
func (e entry) failures(terse bool) []line {
	if !e.ran {
		return []line{{says: e.decisive.Detail}}
	}
	var lines []line
	causes, consequences := probe.RootCauses(e.result.NotPassed())
	groups := probe.GroupChecks(causes)
	left := 0
	for _, g := range groups[min(len(groups), maxGroups):] {
		left += len(g)
	}
	groups = groups[:min(len(groups), maxGroups)]
	for i, g := range groups {
		lines = append(lines, e.line(groupLabel(g)))
		targets, of := g.Targets(), e.evidence(g)
		if i+1 < len(groups) && slices.Equal(groups[i+1].Targets(), targets) && slices.Equal(e.evidence(groups[i+1]), of) {
			continue // shown under the last of the checks that share it
		}
		shown := said{}
		if len(targets) > 1 {
			shown.addresses = targets
			lines = append(lines, line{says: text.List(targets, maxNames), evidence: true})
		}
		if terse {
			shown.reason, shown.target, shown.inURL = g.Check().Reason.Word, g.Check().Target, true
		}
		for _, x := range exchangeLines(e.exchanges(of), shown) {
			lines = append(lines, line{says: x, evidence: true})
		}
	}
	if left > 0 {
		lines = append(lines, line{says: fmt.Sprintf("and %d more checks did not pass", left)})
	}
	if consequences != nil {
		lines = append(lines, line{says: "also inconclusive as a consequence: " + probe.DescribeConsequences(causes, consequences)})
	}
	return lines
}

// passedLines lists what the checks of a passed probe saw. Two replicas that say the same are named, more are counted.
func (e entry) passedLines() []line {
	var lines []line
	all := probe.GroupChecks(e.result.Checks)
	for _, g := range all[:min(len(all), maxGroups)] {
		c := groupLabel(g)
		if targets := g.Targets(); len(targets) == 2 {
			c.Target = targets[0] + " and " + targets[1]
		}
		lines = append(lines, e.line(c))
	}
	if len(all) > maxGroups {
		lines = append(lines, line{says: fmt.Sprintf("and %d more", len(all)-maxGroups)})
	}
	return lines
}

// groupLabel is the check that stands for a group, with the number of its targets.
func groupLabel(g probe.CheckGroup) probe.Check {
	c := g.Check()
	if n := len(g.Targets()); n > 1 {
		c.Target = fmt.Sprintf("at %d targets", n)
	}
	return c
}

// sentence is one check in words: its name, the target, why it did not pass, expected and got.
func (e entry) sentence(c probe.Check) string { return e.line(c).String() }

func (e entry) line(c probe.Check) line {
	l := line{check: strings.Join(nonEmpty(c.Name, c.Target), " "), says: c.Detail}
	if c.Verdict != probe.Pass {
		l.word, l.inconclusive = c.Reason.Word, c.Verdict == probe.Inconclusive && e.verdict == probe.Fail
	}
	return l
}

// evidence lists the exchanges that the checks cite, each once.
func (e entry) evidence(checks []probe.Check) []int {
	var found []int
	for _, c := range checks {
		if x := e.result.Evidence(c); x >= 0 && !slices.Contains(found, x) {
			found = append(found, x)
		}
	}
	return found
}

func (e entry) exchanges(at []int) []probe.Exchange {
	var of []probe.Exchange
	for _, i := range at {
		of = append(of, e.result.Exchanges[i])
	}
	return of
}

// notPassedExchanges lists the exchanges cited by checks that did not pass.
func (e entry) notPassedExchanges() []int {
	return e.evidence(e.result.NotPassed())
}

// nonEmpty drops empty texts.
func nonEmpty(texts ...string) []string {
	return drop.If(texts, func(s string) bool { return s == "" })
}
