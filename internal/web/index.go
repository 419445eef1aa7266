package web

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"prober/internal/drop"
	"prober/internal/probe"
	"prober/internal/sorted"
)

const (
	maxChecks = 20  // of one probe in a list; its own page has more and /api/v1/status has all
	maxRows   = 500 // in one list, so that the page of ten thousand probes is no larger than that of a thousand
	maxNames  = 12  // in a banner
	maxTitled = 30  // rows whose runs have words of their own
)

// An indexView is the data of the index page.
type indexView struct {
	layout
	Lead     *leadView // the most urgent cause; nil if nothing failed
	Reload   namedLink
	Shard    string // which part of the probes this prober runs; empty if all
	Note     string // path of the incident note; empty while nothing failed
	Counts   []verdictCount
	Systems  []systemLink
	Search   searchForm
	Sections []verdictSection
}

// A leadView is the failure that the head of the page names, and what it explains. Its impact is its own, else that of what it
// explains.
type leadView struct {
	rowView
	Explains []namedLink
}

type verdictCount struct {
	Verdict probe.Verdict
	Count   int
	Words   string
	Path    string // empty if there are none
}

type systemLink struct {
	namedLink
	Here bool // it is the system on the page
}

// A verdictSection is the probes of one verdict: a list by urgency of what did not pass, and groups of what passed.
type verdictSection struct {
	ID, Head string
	Verdict  probe.Verdict
	Rows     []rowView
	Groups   []group
	Closed   bool   // it is folded at first
	Left     string // which part is shown
	Others   []namedLink
}

// A group is the probes of one runbook in one system.
type group struct {
	System, Runbook, RunbookURL string // the titles, if there are any
	Path                        string // to all of the system
	Rows                        []rowView
}

// A rowView is the data of one row.
type rowView struct {
	ProbeStatus
	Uptime       probe.Uptime // of the last 24 hours
	Path         string
	Lead         *failureGroup  // the decisive failure, which the row shows first
	Shown        []failureGroup // the other failures
	Consequences string         // checks that are inconclusive as a consequence
	More         int
	CausePath    string // of the page of the probe that explains this one
	Chart        chart
	Titled       bool   // each run in the chart has its own words
	State, For   string // "failed", "5 min"
	NextRun      time.Time
	Maintained   bool
}

type verdictList struct {
	id      string
	verdict probe.Verdict
	words   string
}

// verdictSections are the sections in their order, failures first.
var verdictSections = [...]verdictList{{"failed", probe.Fail, "failed"}, {"inconclusive", probe.Inconclusive, "inconclusive"}, {"passed", probe.Pass, "passed"}}

func (s *server) index(w http.ResponseWriter, r *http.Request) {
	all, want := s.statuses(), parseFilter(r.URL.Query())
	rows := make([]*ProbeStatus, 0, len(all))
	for i := range all {
		if want.matches(&all[i]) {
			rows = append(rows, &all[i])
		}
	}
	v := indexView{layout: s.layout(r, "./", headline(rows, time.Now())), Reload: refreshLink(want), Systems: systems(all, want), Search: newSearchForm(all, want)}
	v.Live = s.Changed != nil
	if s.Shard != nil {
		v.Shard = s.Shard()
	}
	v.Title = cmp.Or(sharedTitle(rows), v.Title)
	v.Maintenance = maintenanceBanners(rows, maxNames)
	v.Breaches = s.openBreaches("./", func(k probe.Key) bool { return want.system == "" || k.System == want.system })
	together := want.verdict == "" && !slices.ContainsFunc(verdictSections[:], func(list verdictList) bool {
		return list.verdict != probe.Pass && countOf(rows, list.verdict) > maxRows
	})
	for _, list := range verdictSections {
		of := drop.If(slices.Clone(rows), func(row *ProbeStatus) bool { return row.Verdict != list.verdict })
		t := verdictCount{Verdict: list.verdict, Count: len(of), Words: list.words}
		if len(of) > 0 {
			v.Worst = probe.Worse(v.Worst, list.verdict)
			one := want
			one.verdict, one.from = list.verdict.String(), 0
			t.Path = one.path()
		}
		if len(rows) > 0 {
			v.Counts = append(v.Counts, t)
		}
		if want.verdict != "" && want.verdict != list.verdict.String() {
			continue
		}
		shown := underCauses(of, list.verdict)
		if together {
			shown = underCauses(rows, list.verdict)
		}
		if len(shown) > 0 {
			sec := s.section(shown, want, list.verdict, v.Now)
			sec.ID, sec.Head = list.id, fmt.Sprintf("%d %s", len(of), list.words)
			sec.Closed = list.verdict == probe.Pass && want.verdict == "" && v.Worst != probe.Pass
			v.Sections = append(v.Sections, sec)
		}
	}
	v.Lead = s.lead(v.Sections)
	if v.Worst == probe.Fail && s.Incident != nil {
		v.Note = "./incident"
		if want.system != "" {
			v.Note += "?" + url.Values{"system": {want.system}}.Encode()
		}
	}
	if want.refresh > 0 {
		// A header and not an element, so that the page itself stays the same.
		w.Header().Set("Refresh", strconv.Itoa(want.refresh))
	}
	status := http.StatusOK
	if len(rows) == 0 && (want.system != "" || want.runbook != "") {
		status = http.StatusNotFound // a name written wrongly must not read as if nothing failed
	}
	s.render(w, status, v.node())
}

func countOf(rows []*ProbeStatus, v probe.Verdict) (n int) {
	for _, row := range rows {
		if row.Verdict == v {
			n++
		}
	}
	return n
}

// lead returns the first failure of the page; nil if nothing failed.
func (s *server) lead(sections []verdictSection) *leadView {
	if len(sections) == 0 || sections[0].Verdict != probe.Fail || len(sections[0].Rows) == 0 {
		return nil
	}
	rows := sections[0].Rows
	lead := leadView{rowView: rows[0]}
	for _, row := range rows[1:] {
		if row.Cause == lead.Key() {
			lead.About.Impact = cmp.Or(lead.About.Impact, row.About.Impact)
			lead.Explains = append(lead.Explains, namedLink{row.title(), row.Path})
		}
	}
	return &lead
}

// section returns the rows of one verdict, or a part of them if there are many.
func (s *server) section(of []*ProbeStatus, want filter, v probe.Verdict, now time.Time) verdictSection {
	sec := verdictSection{Verdict: v}
	from := 0
	if want.verdict != "" {
		from = min(want.from/maxRows*maxRows, (len(of)-1)/maxRows*maxRows)
	}
	to := min(from+maxRows, len(of))
	if to-from < len(of) {
		sec.Left = fmt.Sprintf("%d to %d of %d.", from+1, to, len(of))
		one := want
		one.verdict = v.String()
		for _, way := range []struct {
			name string
			from int
		}{{"Previous", from - maxRows}, {"Next", to}} {
			if one.from = way.from; way.from >= 0 && way.from < len(of) {
				sec.Others = append(sec.Others, namedLink{fmt.Sprintf("%s %d", way.name, min(maxRows, len(of)-way.from)), one.path()})
			}
		}
	}
	uptimes := s.uptimes(of[from:to])
	if v == probe.Pass {
		sec.Groups = s.groups(of[from:to], uptimes, now)
		return sec
	}
	for i, row := range of[from:to] {
		sec.Rows = append(sec.Rows, s.rowView(row, now))
		sec.Rows[i].Uptime, sec.Rows[i].Titled = uptimes[i], i < maxTitled
	}
	return sec
}

// groups groups rows by system and runbook, in the order of their first rows.
func (s *server) groups(rows []*ProbeStatus, uptimes []probe.Uptime, now time.Time) []group {
	type place struct{ system, runbook string }
	at, first := map[place]int{}, map[string]int{}
	var groups []group
	for n, row := range rows {
		p := place{row.System, row.Runbook}
		i, known := at[p]
		if !known {
			i = len(groups)
			at[p] = i
			groups = append(groups, group{System: row.systemTitle(), Runbook: row.runbookTitle(), RunbookURL: row.RunbookURL, Path: filter{system: row.System}.path()})
			if _, seen := first[row.System]; !seen {
				first[row.System] = i
			}
		}
		v := s.rowView(row, now)
		v.Uptime = uptimes[n]
		groups[i].Rows = append(groups[i].Rows, v)
	}
	sorted.By(groups, func(a, b group) int { return cmp.Compare(first[a.System], first[b.System]) })
	return groups
}

func (s *server) rowView(row *ProbeStatus, now time.Time) rowView {
	v := rowView{
		ProbeStatus: *row, Path: probePath("./", row.ID), Chart: newChart(row.History.Runs(), row.latencyLimit()), State: verdictText(row.Verdict), For: formatElapsed(now.Sub(row.Since)),
		NextRun: s.next(row.ID), Maintained: !row.Maintenance.Until.IsZero(),
	}
	causes, consequences := probe.RootCauses(row.Failing)
	v.Consequences = probe.DescribeConsequences(causes, consequences)
	v.Shown = groupFailures(causes)
	if i := slices.IndexFunc(v.Shown, func(s failureGroup) bool { return s.first.Name == row.Check && s.first.Detail == row.Detail }); i >= 0 {
		lead := v.Shown[i]
		v.Detail, v.Lead, v.Shown = lead.Detail, &lead, slices.Delete(v.Shown, i, i+1)
	}
	v.More = max(0, len(v.Shown)-maxChecks)
	v.Shown = v.Shown[:len(v.Shown)-v.More]
	v.CausePath = row.causePath("./")
	if row.Overdue || !(Run{Verdict: row.Verdict, Reason: row.Reason}).timed() {
		v.Latency = 0 // of a run too long ago to be of interest, or of no answer
	}
	return v
}

// causePath is the path of the page of the probe that explains a row; empty if there is none.
func (r *ProbeStatus) causePath(up string) string {
	if r.Cause == (probe.Key{}) {
		return ""
	}
	return probePath(up, probe.ID{System: r.Cause.System, Name: r.Cause.Name})
}

// A failureGroup is a check that did not pass, with all targets for which it says the same.
type failureGroup struct {
	probe.Check // that stands for all
	first       probe.Check
	Targets     []string
	More        int // targets beyond those named
}

// groupFailures groups the checks that say the same about several targets.
func groupFailures(checks []probe.Check) []failureGroup {
	var all []failureGroup
	for _, g := range probe.GroupChecks(checks) {
		targets := drop.If(g.Targets(), func(t string) bool { return t == "" })
		shown := targets[:min(len(targets), maxNames)]
		all = append(all, failureGroup{Check: g.Check(), first: g[0], Targets: shown, More: len(targets) - len(shown)})
	}
	return all
}

// systems returns links to each system, if there are several.
func systems(rows []ProbeStatus, want filter) []systemLink {
	var names []string
	failed := map[string]int{}
	for i := range rows {
		if _, known := failed[rows[i].System]; !known {
			names = append(names, rows[i].System)
			failed[rows[i].System] = 0
		}
		if rows[i].Verdict == probe.Fail {
			failed[rows[i].System]++
		}
	}
	if len(names) < 2 {
		return nil
	}
	to := func(name, system string) systemLink {
		n := filter{system: system, refresh: want.refresh}
		return systemLink{namedLink{name, n.path()}, want.system == system}
	}
	links := []systemLink{to("All systems", "")}
	for _, name := range names[:min(len(names), maxRows)] {
		text := name
		if n := failed[name]; n > 0 {
			text = fmt.Sprintf("%s (%d failed)", name, n)
		}
		links = append(links, to(text, name))
	}
	return links
}

// refreshLink turns the periodic reload of the page on or off.
func refreshLink(n filter) namedLink {
	if n.refresh > 0 {
		seconds := n.refresh
		n.refresh = 0
		return namedLink{fmt.Sprintf("Stop reloading every %d s", seconds), n.path()}
	}
	n.refresh = 30
	return namedLink{"Reload every 30 s", n.path()}
}
