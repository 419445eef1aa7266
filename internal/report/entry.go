package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"prober/internal/probe"
)

// longestStory bounds the checks told of one probe outside of JSON, so that a probe of a thousand targets does not
// bury the others.
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
		result.Checks = []probe.Check{result.Why()}
	}
	for i := range result.Checks {
		c := &result.Checks[i]
		c.Name, c.Target, c.Reason, c.Detail = line(c.Name), line(c.Target), probe.Reason(line(string(c.Reason))), line(c.Detail)
	}
	result.Exchanges = slices.Clone(result.Exchanges)
	for i := range result.Exchanges {
		cleanExchange(&result.Exchanges[i])
	}
	return entry{Job: job, ran: ran, result: result, verdict: result.Verdict(), why: result.Why()}
}

// outcome is what formats that count tests show: the entries and, if they alone would read as a pass of a report
// that is none, one more that says so.
func (r Report) outcome() []entry {
	entries := r.entries()
	if t := r.tally(entries); t.verdict == probe.Pass || t.pass < t.all {
		return entries
	}
	id := probe.ID{System: "prober", Name: probe.RunCheck, Type: probe.RunCheck}
	result := probe.Result{Checks: []probe.Check{{Name: probe.RunCheck, Reason: probe.Vacuous, Detail: r.Summary()}}}
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
	return e.distinct(func(x probe.Exchange) string { return x.Version })
}

// traces lists the trace ids sent in the exchanges that belong to checks that did not pass, or of all exchanges if
// all passed.
func (e entry) traces() string {
	var of []probe.Exchange
	for _, i := range e.exchangesInDoubt() {
		of = append(of, e.result.Exchanges[i])
	}
	if e.verdict != probe.Pass && len(of) > 0 {
		e.result.Exchanges = of
	}
	return e.distinct(func(x probe.Exchange) string { return x.TraceID })
}

// distinct lists up to three values of the exchanges and the number of those left out.
func (e entry) distinct(value func(probe.Exchange) string) string {
	var seen []string
	for _, x := range e.result.Exchanges {
		if v := value(x); v != "" && !slices.Contains(seen, v) {
			seen = append(seen, v)
		}
	}
	if n := len(seen) - 3; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(seen[:3], ", "), n)
	}
	return strings.Join(seen, ", ")
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
	checks := e.doubted()
	if !e.ran {
		return []string{e.why.Detail}
	}
	var lines []string
	left := max(0, len(checks)-longestStory)
	checks = checks[:len(checks)-left]
	told := false
	for i, c := range checks {
		lines = append(lines, e.sentence(c))
		x := e.exchangeOf(c)
		if x < 0 || (i+1 < len(checks) && e.exchangeOf(checks[i+1]) == x) {
			continue // told under the last of the checks that it belongs to
		}
		lines = append(lines, wire(e.result.Exchanges[x])...)
		told = true
	}
	if left > 0 {
		lines = append(lines, fmt.Sprintf("and %d more checks did not pass", left))
	}
	if x := e.suspect(); len(checks) > 0 && !told && x >= 0 {
		lines = append(lines, wire(e.result.Exchanges[x])...)
	}
	return lines
}

// sentence is one check in words: what was tested, on which target, why it did not pass, wanted and got.
func (e entry) sentence(c probe.Check) string {
	if c.Verdict == probe.Pass {
		return strings.Join(given(c.Name, c.Target), " ") + ": " + c.Detail
	}
	why := string(c.Reason)
	if c.Verdict == probe.Inconclusive && e.verdict == probe.Fail {
		why += ", could not tell"
	}
	return fmt.Sprintf("%s [%s]: %s", strings.Join(given(c.Name, c.Target), " "), why, c.Detail)
}

// exchangeOf returns the index of the exchange that a check rests on, or -1: the one made for it, else one with the
// same target; and of several the last that got no complete answer, else the last.
func (e entry) exchangeOf(c probe.Check) int {
	exact := e.pick(func(x probe.Exchange) bool { return x.Check == c.Name && x.Target == c.Target })
	if exact >= 0 {
		return exact
	}
	return e.pick(func(x probe.Exchange) bool { return x.Target == c.Target })
}

// suspect is the exchange to show when none belongs to any check that did not pass.
func (e entry) suspect() int { return e.pick(func(probe.Exchange) bool { return true }) }

func (e entry) pick(fits func(probe.Exchange) bool) int {
	found := -1
	for i, x := range e.result.Exchanges {
		if fits(x) && (found < 0 || x.Reason != probe.OK || e.result.Exchanges[found].Reason == probe.OK) {
			found = i
		}
	}
	return found
}

// exchangesInDoubt lists the exchanges that the checks that did not pass rest on.
func (e entry) exchangesInDoubt() []int {
	var found []int
	for _, c := range e.doubted() {
		if x := e.exchangeOf(c); x >= 0 && !slices.Contains(found, x) {
			found = append(found, x)
		}
	}
	if x := e.suspect(); len(found) == 0 && x >= 0 {
		found = append(found, x)
	}
	return found
}

// deeper sets what belongs to the line above apart from it.
const deeper = "  "

// wire is an exchange in words: the request and where it went, and the trace ids to look for.
func wire(x probe.Exchange) []string {
	request := strings.Join(given(x.Method, x.URL), " ")
	if x.Addr != "" {
		request += " at " + x.Addr
	}
	switch {
	case x.Denied != "":
		request += ": not dialled, a " + strings.ReplaceAll(x.Denied, "_", "-") + " address"
	case x.Reason != probe.OK && x.Status == 0:
		request += fmt.Sprintf(": no answer (%s) after %s", cmp.Or(x.Reason, "unknown"), short(x.Took))
	case x.Reason != probe.OK:
		request += fmt.Sprintf(": answered %d, not completely (%s), in %s", x.Status, x.Reason, short(x.Took))
	default:
		request += fmt.Sprintf(": answered %d in %s", x.Status, short(x.Took))
	}
	lines := []string{deeper + request}
	switch {
	case x.TraceID == "" && x.TargetTraceID == "":
	case x.TraceID == "":
		lines = append(lines, deeper+"trace id "+x.TargetTraceID+" returned")
	case x.TargetTraceID == "" || strings.EqualFold(x.TargetTraceID, x.TraceID):
		lines = append(lines, deeper+"trace id "+x.TraceID)
	default:
		lines = append(lines, deeper+"trace id "+x.TraceID+" sent, "+x.TargetTraceID+" returned")
	}
	return lines
}

// given drops what is empty.
func given(texts ...string) []string {
	return slices.DeleteFunc(texts, func(s string) bool { return s == "" })
}
