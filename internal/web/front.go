package web

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"prober/internal/probe"
)

const (
	mostChecks = 20  // shown of one probe in a list; its own page has more and /api/v1/status has all
	mostRows   = 500 // drawn in one list, so that the page of ten thousand probes is no larger than that of a thousand
	mostNames  = 12  // in a banner
)

// A frontView is what the front page shows.
type frontView struct {
	frame
	Reload   namedLink
	Note     string // leads to the incident note; empty while nothing failed
	Tallies  []tallyView
	Systems  []systemLink
	Sections []section
	Switches []Switch
}

type tallyView struct {
	Verdict probe.Verdict
	Count   int
	Words   string
	Path    string // empty if there is none to see
}

type systemLink struct {
	namedLink
	Here bool // it is the one that is shown
}

// A section is the probes of one verdict.
type section struct {
	ID, Head string
	Verdict  probe.Verdict
	Groups   []group
	Left     string // how many are not drawn
	Others   []namedLink
}

// A group is the probes of one runbook in one system.
type group struct {
	System, Runbook, RunbookURL string
	Path                        string // to all of the system
	Rows                        []rowView
}

// A rowView is a row as it is drawn.
type rowView struct {
	Row
	Path       string
	Lead       *symptom  // what did not pass and makes the verdict what it is: the row tells of it
	Shown      []symptom // what else did not pass
	Followed   string    // the checks that nobody can tell of because of that
	More       int
	Chart      chart
	State, For string // "failed", "5 min"
	NextRun    time.Time
	Maintained bool
}

// lists are the sections in their order: the eye shall meet what is broken first.
var lists = [...]struct {
	id      string
	verdict probe.Verdict
	words   string
}{{"failed", probe.Fail, "failed"}, {"unclear", probe.Inconclusive, "could not tell"}, {"passed", probe.Pass, "passed"}}

func (s *site) page(w http.ResponseWriter, r *http.Request) {
	all, want := s.rows(), narrow(r.URL.Query())
	rows := make([]*Row, 0, len(all))
	for i := range all {
		if want.shows(&all[i]) {
			rows = append(rows, &all[i])
		}
	}
	v := frontView{frame: s.frame("./", headline(rows)), Reload: reloading(want), Systems: systems(all, want)}
	v.Works = maintained(rows, mostNames)
	for _, list := range lists {
		of := slices.DeleteFunc(slices.Clone(rows), func(row *Row) bool { return row.Verdict != list.verdict })
		t := tallyView{Verdict: list.verdict, Count: len(of), Words: list.words}
		if len(of) > 0 {
			v.Worst = worse(v.Worst, list.verdict)
			t.Path = "#" + list.id
		}
		if len(rows) > 0 {
			v.Tallies = append(v.Tallies, t)
		}
		if want.verdict != "" && want.verdict != list.verdict.String() {
			if t.Path != "" {
				other := want
				other.verdict, other.from = list.verdict.String(), 0
				v.Tallies[len(v.Tallies)-1].Path = other.path()
			}
			continue
		}
		if len(of) > 0 {
			sec := s.section(of, want, list.verdict, v.Now)
			sec.ID, sec.Head = list.id, fmt.Sprintf("%d %s", len(of), list.words)
			v.Sections = append(v.Sections, sec)
		}
	}
	if v.Worst == probe.Fail && s.Incident != nil {
		v.Note = "./incident"
		if want.system != "" {
			v.Note += "?" + url.Values{"system": {want.system}}.Encode()
		}
	}
	if s.Switches != nil {
		v.Switches = s.Switches()
	}
	if want.refresh > 0 {
		// A header and no element: the page is the same either way, and only whoever asked for it is interrupted.
		w.Header().Set("Refresh", strconv.Itoa(want.refresh))
	}
	s.draw(w, http.StatusOK, "page", v)
}

// section draws the rows of one verdict, or a part of them if they are many.
func (s *site) section(of []*Row, want narrowing, v probe.Verdict, now time.Time) section {
	sec := section{Verdict: v}
	from := 0
	if want.verdict != "" {
		from = min(want.from/mostRows*mostRows, (len(of)-1)/mostRows*mostRows)
	}
	to := min(from+mostRows, len(of))
	if to-from < len(of) {
		sec.Left = fmt.Sprintf("%d to %d of %d.", from+1, to, len(of))
		one := want
		one.verdict = v.String()
		for _, way := range []struct {
			name string
			from int
		}{{"Previous", from - mostRows}, {"Next", to}} {
			if one.from = way.from; way.from >= 0 && way.from < len(of) {
				sec.Others = append(sec.Others, namedLink{fmt.Sprintf("%s %d", way.name, min(mostRows, len(of)-way.from)), one.path()})
			}
		}
	}
	sec.Groups = s.groups(of[from:to], now)
	return sec
}

// groups puts rows together by system and then by runbook, both in the order in which they first come.
func (s *site) groups(rows []*Row, now time.Time) []group {
	type place struct{ system, runbook string }
	at, first := map[place]int{}, map[string]int{}
	var groups []group
	for _, row := range rows {
		p := place{row.System, row.Runbook}
		i, known := at[p]
		if !known {
			i = len(groups)
			at[p] = i
			groups = append(groups, group{System: row.System, Runbook: row.Runbook, RunbookURL: row.RunbookURL, Path: narrowing{system: row.System}.path()})
			if _, seen := first[row.System]; !seen {
				first[row.System] = i
			}
		}
		groups[i].Rows = append(groups[i].Rows, s.rowView(row, now))
	}
	slices.SortStableFunc(groups, func(a, b group) int { return cmp.Compare(first[a.System], first[b.System]) })
	return groups
}

func (s *site) rowView(row *Row, now time.Time) rowView {
	v := rowView{
		Row: *row, Path: probePath("./", row.ID), Chart: draw(row.History.Runs()), State: state(row.Verdict), For: length(now.Sub(row.Since)),
		NextRun: s.next(row.ID), Maintained: !row.Maintenance.Until.IsZero(),
	}
	causes, consequences := probe.RootCauses(row.Failing)
	v.Followed = probe.DescribeConsequences(causes, consequences)
	v.Shown = symptoms(causes)
	if i := slices.IndexFunc(v.Shown, func(s symptom) bool { return s.first.Name == row.Check && s.first.Detail == row.Detail }); i >= 0 {
		lead := v.Shown[i]
		v.Detail, v.Lead, v.Shown = lead.Detail, &lead, slices.Delete(v.Shown, i, i+1)
	}
	v.More = max(0, len(v.Shown)-mostChecks)
	v.Shown = v.Shown[:len(v.Shown)-v.More]
	if row.Overdue {
		v.Latency = 0 // of a run too long ago to say how fast it is now
	}
	return v
}

// A symptom is a check that did not pass, of all targets for which it says the same.
type symptom struct {
	probe.Check // as which it is told
	first       probe.Check
	Targets     []string
	More        int // targets beyond those named
}

// symptoms puts together the checks that say the same of several targets.
func symptoms(checks []probe.Check) []symptom {
	var all []symptom
	for _, g := range probe.GroupChecks(checks) {
		targets := slices.DeleteFunc(g.Targets(), func(t string) bool { return t == "" })
		shown := targets[:min(len(targets), mostNames)]
		all = append(all, symptom{Check: g.Check(), first: g[0], Targets: shown, More: len(targets) - len(shown)})
	}
	return all
}

// systems leads to each system alone, where there are several.
func systems(rows []Row, want narrowing) []systemLink {
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
		n := narrowing{system: system, refresh: want.refresh}
		return systemLink{namedLink{name, n.path()}, want.system == system}
	}
	links := []systemLink{to("All systems", "")}
	for _, name := range names[:min(len(names), mostRows)] {
		text := name
		if n := failed[name]; n > 0 {
			text = fmt.Sprintf("%s (%d failed)", name, n)
		}
		links = append(links, to(text, name))
	}
	return links
}

// reloading leads to the same page that reloads itself, or that stops to.
func reloading(n narrowing) namedLink {
	if n.refresh > 0 {
		seconds := n.refresh
		n.refresh = 0
		return namedLink{fmt.Sprintf("Stop loading this page anew every %d s", seconds), n.path()}
	}
	n.refresh = 30
	return namedLink{"Load this page anew every 30 s", n.path()}
}

// headline counts the probes by their verdicts, the worst first.
func headline(rows []*Row) string {
	if len(rows) == 0 {
		return "no probes"
	}
	var n [len(probe.Verdicts)]int
	for _, row := range rows {
		n[row.Verdict]++
	}
	return tally(n[probe.Fail], n[probe.Inconclusive], n[probe.Pass])
}

// worse orders verdicts as probe does: failed, then unclear, then passed.
func worse(a, b probe.Verdict) probe.Verdict {
	for _, v := range []probe.Verdict{probe.Fail, probe.Inconclusive} {
		if a == v || b == v {
			return v
		}
	}
	return probe.Pass
}

// A works is a banner: people work on a system, or on some of its probes.
type works struct {
	What, Why string
	Until     time.Time
	Names     []string // of the probes, if it is not the whole system
	More      int
}

// maintained gathers the windows that are open, those of one system that say the same as one.
func maintained(rows []*Row, most int) []works {
	type place struct {
		system string
		Maintenance
	}
	var order []place
	names, all := map[place][]string{}, map[string]int{}
	for _, row := range rows {
		all[row.System]++
		if row.Maintenance.Until.IsZero() {
			continue
		}
		p := place{row.System, row.Maintenance}
		if names[p] == nil {
			order = append(order, p)
		}
		names[p] = append(names[p], row.Name)
	}
	var banners []works
	for _, p := range order {
		b := works{What: p.system + " is", Why: p.Why, Until: p.Until}
		if n := names[p]; len(n) < all[p.system] {
			b.What = fmt.Sprintf("%d of %d probes of %s are", len(n), all[p.system], p.system)
			b.Names, b.More = n[:min(len(n), most)], max(0, len(n)-most)
		}
		banners = append(banners, b)
	}
	return banners
}
