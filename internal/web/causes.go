package web

import (
	"cmp"
	"net/url"
	"slices"

	"prober/internal/drop"
	"prober/internal/probe"
	"prober/internal/sorted"
)

// explain names, for each row that does not pass, the failed probe that explains it: one that it depends on, or one that
// asks little else than what went wrong for both. A breach, and what lies with the prober itself, is never explained away; the cause has no cause itself.
// Each row has the job and the last run of the same index.
func explain(rows []ProbeStatus, jobs []*probe.Job, runs []*RunDetail) {
	e := explanation{rows: rows, jobs: jobs, asked: make([]requests, len(rows)), byName: map[probe.Key]int{}, byFault: map[string]int{}}
	for i := range rows {
		if rows[i].Verdict == probe.Pass || rows[i].Overdue {
			continue
		}
		e.asked[i] = newRequests(runs[i])
		if rows[i].Verdict == probe.Fail {
			e.byName[rows[i].Key()] = i
		}
	}
	for i := range rows {
		if rows[i].Verdict != probe.Fail {
			continue
		}
		for _, fault := range e.asked[i].faults {
			if best, known := e.byFault[fault]; !known || e.compare(i, best) < 0 {
				e.byFault[fault] = i
			}
		}
	}
	for i := range rows {
		if cause := e.root(i); cause != i {
			rows[i].Cause = rows[cause].Key()
		}
	}
}

// An explanation is what is known of all rows that do not pass.
type explanation struct {
	rows    []ProbeStatus
	jobs    []*probe.Job
	asked   []requests
	byName  map[probe.Key]int // those that failed
	byFault map[string]int    // the row that asks the least besides what went wrong
}

// compare orders rows that share a fault: what asks less, is more urgent, or failed earlier is the cause.
func (e *explanation) compare(a, b int) int {
	return cmp.Or(cmp.Compare(e.asked[a].origins, e.asked[b].origins), compareUrgency(&e.rows[a], &e.rows[b]), cmp.Compare(a, b))
}

// root follows the causes of a row to one that has none. A row in a circle of causes has none itself.
func (e *explanation) root(i int) int {
	seen := []int{i}
	for {
		next, ok := e.cause(seen[len(seen)-1])
		switch {
		case !ok:
			return seen[len(seen)-1]
		case slices.Contains(seen, next):
			return i
		}
		seen = append(seen, next)
	}
}

// cause returns the failed row that explains another directly.
func (e *explanation) cause(i int) (int, bool) {
	row := &e.rows[i]
	if row.Verdict == probe.Pass || row.Overdue || row.Reason.Own() || slices.ContainsFunc(row.Failing, func(c probe.Check) bool { return c.Reason.Breach }) {
		return 0, false
	}
	for _, name := range e.jobs[i].DependsOn {
		if other, failed := e.byName[probe.Key{System: row.System, Name: name}]; failed {
			return other, true
		}
	}
	first := -1
	for _, fault := range e.asked[i].faults {
		other, known := e.byFault[fault]
		switch {
		case known && other != i:
			if first < 0 {
				first = other
			}
		case !row.Reason.Dependency:
			return 0, false // something else went wrong too
		}
	}
	return first, first >= 0
}

// requests is what a run asked.
type requests struct {
	faults  []string // where no answer came, or an unexpected one
	origins int      // how many different ones it asked
}

func newRequests(run *RunDetail) (r requests) {
	if run == nil {
		return r
	}
	origins := map[string]bool{}
	for i := range run.Exchanges {
		x := &run.Exchanges[i]
		at := origin(x.URL)
		origins[at] = true
		switch {
		case x.Expected:
			continue
		case !x.Broken():
			at = x.URL // the others may answer
		}
		if !slices.Contains(r.faults, at) {
			r.faults = append(r.faults, at)
		}
	}
	r.origins = len(origins)
	return r
}

// dependencyOf returns the URL that went wrong in a run beside what its checks are about, if the run failed since its dependency
// did; otherwise an empty text.
func dependencyOf(row *ProbeStatus, run *RunDetail) string {
	if !row.Reason.Dependency || run == nil {
		return ""
	}
	for i := range run.Exchanges {
		x := &run.Exchanges[i]
		if !x.Expected && !slices.ContainsFunc(row.Failing, x.Supports) {
			return x.URL
		}
	}
	return ""
}

// origin is the part of an address that names the server.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Scheme + "://" + u.Host
}

// compareUrgency orders rows by severity, then by how long they are in their state, the longest first.
func compareUrgency(a, b *ProbeStatus) int {
	return cmp.Or(cmp.Compare(urgency(a.Severity), urgency(b.Severity)), a.Since.Compare(b.Since))
}

// urgency is the level of a severity; a probe without one is the least urgent.
//
//go:noinline
func urgency(severity string) int {
	if level, ok := probe.SeverityLevel(severity); ok {
		return level
	}
	return 99
}

// underCauses returns the rows of a section. Those that did not pass stand in the order of their urgency, what failed first; each
// is followed by what it explains, which is as urgent as the most urgent of them together.
func underCauses(rows []*ProbeStatus, of probe.Verdict) []*ProbeStatus {
	if of == probe.Pass {
		return drop.If(slices.Clone(rows), func(row *ProbeStatus) bool { return row.Verdict != probe.Pass })
	}
	causes := map[probe.Key]bool{} // on the page: what has none of them stands for itself
	for _, row := range rows {
		if row.Verdict == probe.Fail && row.Cause == (probe.Key{}) {
			causes[row.Key()] = true
		}
	}
	explained := map[probe.Key][]*ProbeStatus{}
	var roots []*ProbeStatus
	for _, row := range rows {
		switch {
		case row.Verdict == probe.Pass:
		case row.Cause != (probe.Key{}) && causes[row.Cause]:
			explained[row.Cause] = append(explained[row.Cause], row)
		case row.Verdict == of:
			roots = append(roots, row)
		}
	}
	sorted.By(roots, func(a, b *ProbeStatus) int {
		worst := func(root *ProbeStatus) int {
			level := urgency(root.Severity)
			for _, row := range explained[root.Key()] {
				level = min(level, urgency(row.Severity))
			}
			return level
		}
		return cmp.Or(cmp.Compare(worst(a), worst(b)), compareUrgency(a, b))
	})
	var all []*ProbeStatus
	for _, root := range roots {
		under := explained[root.Key()]
		sorted.By(under, compareUrgency)
		all = append(append(all, root), under...)
	}
	return all
}
