package web

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"prober/internal/probe"
	"prober/internal/sorted"
)

// A filter selects what the index page shows, by query parameters.
type filter struct {
	text            string // part of a name, a reason, a message or a label
	system, runbook string
	severity, kind  string
	verdict         string // show only this section
	from            int    // offset in the section
	refresh         int    // seconds; 0 is never
}

// The query parameters of a filter.
const (
	textParameter     = "q"
	systemParameter   = "system"
	runbookParameter  = "runbook"
	severityParameter = "severity"
	kindParameter     = "type"
	verdictParameter  = "verdict"
	fromParameter     = "from"
	refreshParameter  = "refresh"
)

func parseFilter(query url.Values) filter {
	number := func(key string, least, most int) int {
		n, err := strconv.Atoi(query.Get(key))
		if err != nil || n < least {
			return 0
		}
		return min(n, most)
	}
	return filter{
		text: strings.TrimSpace(query.Get(textParameter)), system: query.Get(systemParameter), runbook: query.Get(runbookParameter),
		severity: query.Get(severityParameter), kind: query.Get(kindParameter), verdict: query.Get(verdictParameter),
		from: number(fromParameter, 0, 1<<30), refresh: number(refreshParameter, 5, 3600),
	}
}

// query returns the parameters that are set.
func (n filter) query() url.Values {
	query := url.Values{}
	for key, value := range map[string]string{
		textParameter: n.text, systemParameter: n.system, runbookParameter: n.runbook, severityParameter: n.severity, kindParameter: n.kind,
		verdictParameter: n.verdict, fromParameter: strconv.Itoa(n.from), refreshParameter: strconv.Itoa(n.refresh),
	} {
		if value != "" && value != "0" {
			query.Set(key, value)
		}
	}
	return query
}

// path is the path of the index page with the filter.
func (n filter) path() string {
	if query := n.query(); len(query) > 0 {
		return "./?" + query.Encode()
	}
	return "./"
}

// matches reports whether the filter selects a row, of any verdict.
func (n filter) matches(row *ProbeStatus) bool {
	return (n.system == "" || row.System == n.system) && (n.runbook == "" || row.Runbook == n.runbook) &&
		(n.severity == "" || strings.EqualFold(row.Severity, n.severity)) && (n.kind == "" || row.Type == n.kind) && n.finds(row)
}

// finds reports whether a row holds the text, in whatever case.
func (n filter) finds(row *ProbeStatus) bool {
	if n.text == "" {
		return true
	}
	wanted := strings.ToLower(n.text)
	holds := func(s string) bool { return strings.Contains(strings.ToLower(s), wanted) }
	for label, value := range row.Labels {
		if holds(label + "=" + value) {
			return true
		}
	}
	return holds(row.About.Title) || holds(row.About.RunbookTitle) || holds(row.Key().String()) || holds(row.Type) || holds(row.Runbook) || holds(row.Check) || holds(row.Detail) ||
		holds(row.Reason.Word) || holds(reasonText(row.Reason))
}

// A searchForm is the form that sets the filter.
type searchForm struct {
	filter
	Severities, Kinds []string // to choose from
	Active            bool     // something is filtered
}

// newSearchForm offers what the rows have.
func newSearchForm(rows []ProbeStatus, want filter) searchForm {
	distinct := func(of func(*ProbeStatus) string) []string {
		var all []string
		for i := range rows {
			if value := of(&rows[i]); value != "" && !slices.Contains(all, value) {
				all = append(all, value)
			}
		}
		slices.Sort(all)
		return all
	}
	f := searchForm{filter: want, Kinds: distinct(func(r *ProbeStatus) string { return r.Type }), Severities: distinct(func(r *ProbeStatus) string { return r.Severity })}
	sorted.By(f.Severities, func(a, b string) int { return cmp.Compare(urgency(a), urgency(b)) })
	f.Active = want.text != "" || want.runbook != "" || want.severity != "" || want.kind != "" || want.verdict != ""
	return f
}

// cleared is the path of the page of the system without what the form sets.
func (f searchForm) cleared() string { return filter{system: f.system, refresh: f.refresh}.path() }

// verdictWords are the verdicts to choose from.
func verdictWords() []string {
	return []string{probe.Fail.String(), probe.Inconclusive.String(), probe.Pass.String()}
}
