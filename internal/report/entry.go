package report

import (
	"fmt"
	"slices"
	"strings"

	"prober/internal/probe"
)

// longestStory bounds the groups of checks told of one probe outside of JSON, so that a probe of a thousand targets
// does not bury the others.
const longestStory = 20

// An entry is one probe as every format shows it: its job, and its result if it ran. All text of it is clean, and
// it has at least one check.
type entry struct {
	probe.Job
	ran     bool
	result  probe.Result
	verdict probe.Verdict
	why     probe.Check // that makes the verdict what it is
}

type key struct{ system, name string }

// entries joins the results to the jobs, in the order of the jobs. Results whose job is missing come last.
func (r Report) entries() []entry {
	results := make(map[key]probe.Result, len(r.Results))
	for _, result := range r.Results {
		results[key{result.System, result.Name}] = result
	}
	out := make([]entry, 0, len(r.Jobs))
	for _, job := range r.Jobs {
		k := key{job.System, job.Name}
		result, ran := results[k]
		delete(results, k)
		out = append(out, r.entry(job, result, ran))
	}
	for _, result := range r.Results {
		k := key{result.System, result.Name}
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
			detail += ": " + line(r.Reason)
		}
		result.Checks = []probe.Check{{Name: probe.RunCheck, Reason: probe.Cancelled, Detail: detail}}
	}
	job.ID = cleanID(job.ID)
	job.RunbookURL = link(job.RunbookURL)
	result.ID = job.ID
	result.Checks = slices.Clone(result.Checks)
	if len(result.Checks) == 0 {
		result.Checks = []probe.Check{result.Decisive()}
	}
	for i := range result.Checks {
		c := &result.Checks[i]
		c.Name, c.Target, c.Reason.Word, c.Detail = line(c.Name), line(c.Target), line(c.Reason.Word), line(c.Detail)
		c.TraceID = line(c.TraceID)
	}
	result.Exchanges = slices.Clone(result.Exchanges)
	for i := range result.Exchanges {
		cleanExchange(&result.Exchanges[i])
	}
	return entry{Job: job, ran: ran, result: result, verdict: result.Verdict(), why: result.Decisive()}
}

// outcome is what formats that count tests show: the entries and, if they alone would read as a pass of a report
// that is none, one more that says so.
func (r Report) outcome() []entry {
	entries := r.entries()
	if t := r.tally(entries); t.verdict == probe.Pass || t.pass < t.all {
		return entries
	}
	id := probe.ID{System: "prober", Name: probe.RunCheck, Type: probe.RunCheck}
	result := probe.Result{Checks: []probe.Check{{Name: probe.RunCheck, Reason: probe.NothingChecked, Detail: r.Summary()}}}
	return append(entries, r.entry(probe.Job{ID: id}, result, true))
}

// title names the probe among those of several systems.
func (e entry) title() string { return e.System + "/" + e.Name }

// latency is the target's part of the run, or empty if there was none.
func (e entry) latency() string {
	if !e.ran {
		return ""
	}
	return short(e.result.Latency())
}

// version lists the versions that the targets gave.
func (e entry) version() string {
	return list(distinct(e.result.Exchanges, func(x probe.Exchange) string { return x.Version }), mostTraces)
}

// traces lists the trace ids sent in the exchanges that belong to checks that did not pass, or of all exchanges if
// all passed.
func (e entry) traces() string {
	of := e.result.Exchanges
	if doubt := e.exchangesInDoubt(); e.verdict != probe.Pass && len(doubt) > 0 {
		of = e.exchanges(doubt)
	}
	return list(distinct(of, func(x probe.Exchange) string { return x.TraceID }), mostTraces)
}

// doubted lists the checks that did not pass.
func (e entry) doubted() []probe.Check {
	return slices.DeleteFunc(slices.Clone(e.result.Checks), func(c probe.Check) bool { return c.Verdict == probe.Pass })
}

// story tells, line by line, why the probe did not pass and where to look next. Of a pass there is nothing to tell.
func (e entry) story() []string {
	lines := e.evidence()
	if next := e.next(); next != "" {
		lines = append(lines, "next: runbook "+next)
	}
	return lines
}

// next names the runbook to open and its address; it is empty where there is nothing to be done.
func (e entry) next() string {
	if e.verdict == probe.Pass || !e.ran {
		return ""
	}
	return strings.Join(given(e.Runbook, e.RunbookURL), ", ")
}

// evidence tells which checks did not pass, and what went over the wire for them.
func (e entry) evidence() []string {
	if !e.ran {
		return []string{e.why.Detail}
	}
	var lines []string
	causes, consequences := probe.RootCauses(e.doubted())
	groups := probe.GroupChecks(causes)
	left := 0
	for _, g := range groups[min(len(groups), longestStory):] {
		left += len(g)
	}
	groups = groups[:min(len(groups), longestStory)]
	for i, g := range groups {
		lines = append(lines, e.sentence(told(g)))
		targets, of := g.Targets(), e.restsOn(g)
		if i+1 < len(groups) && slices.Equal(groups[i+1].Targets(), targets) && slices.Equal(e.restsOn(groups[i+1]), of) {
			continue // told under the last of the checks that it belongs to
		}
		var said []string
		if len(targets) > 1 {
			said = targets
			lines = append(lines, deeper+list(targets, mostNames))
		}
		lines = append(lines, wires(e.exchanges(of), said)...)
	}
	if left > 0 {
		lines = append(lines, fmt.Sprintf("and %d more checks did not pass", left))
	}
	if consequences != nil {
		lines = append(lines, "also inconclusive as a consequence: "+probe.DescribeConsequences(causes, consequences))
	}
	return lines
}

// proof tells what the checks of a probe that passed saw, the replicas together: two by name, more by their number.
func (e entry) proof() []string {
	var lines []string
	all := probe.GroupChecks(e.result.Checks)
	for _, g := range all[:min(len(all), longestStory)] {
		c := told(g)
		if targets := g.Targets(); len(targets) == 2 {
			c.Target = targets[0] + " and " + targets[1]
		}
		lines = append(lines, e.sentence(c))
	}
	if len(all) > longestStory {
		lines = append(lines, fmt.Sprintf("and %d more", len(all)-longestStory))
	}
	return lines
}

// told is the check as which several are told, with the number of their targets.
func told(g probe.CheckGroup) probe.Check {
	c := g.Check()
	if n := len(g.Targets()); n > 1 {
		c.Target = fmt.Sprintf("at %d targets", n)
	}
	return c
}

// sentence is one check in words: what was tested, on which target, why it did not pass, wanted and got.
func (e entry) sentence(c probe.Check) string {
	if c.Verdict == probe.Pass {
		return strings.Join(given(c.Name, c.Target), " ") + ": " + c.Detail
	}
	why := c.Reason.Word
	if c.Verdict == probe.Inconclusive && e.verdict == probe.Fail {
		why += ", could not tell"
	}
	return fmt.Sprintf("%s [%s]: %s", strings.Join(given(c.Name, c.Target), " "), why, c.Detail)
}

// restsOn lists the exchanges that the checks rest on, without repeating any.
func (e entry) restsOn(checks []probe.Check) []int {
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

// exchangesInDoubt lists the exchanges that the checks that did not pass rest on.
func (e entry) exchangesInDoubt() []int {
	return e.restsOn(e.doubted())
}

// given drops what is empty.
func given(texts ...string) []string {
	return slices.DeleteFunc(texts, func(s string) bool { return s == "" })
}
