package web

import (
	"net/url"
	"strconv"
)

// A filter selects what the index page shows, by query parameters.
type filter struct {
	system, runbook string
	verdict         string // show only this section
	from            int    // offset in the section
	refresh         int    // seconds; 0 is never
}

func parseFilter(query url.Values) filter {
	number := func(key string, least, most int) int {
		n, err := strconv.Atoi(query.Get(key))
		if err != nil || n < least {
			return 0
		}
		return min(n, most)
	}
	return filter{
		system: query.Get("system"), runbook: query.Get("runbook"), verdict: query.Get("verdict"),
		from: number("from", 0, 1<<30), refresh: number("refresh", 5, 3600),
	}
}

// path is the path of the index page with the filter.
func (n filter) path() string {
	query := url.Values{}
	for key, value := range map[string]string{
		"system": n.system, "runbook": n.runbook, "verdict": n.verdict, "from": strconv.Itoa(n.from), "refresh": strconv.Itoa(n.refresh),
	} {
		if value != "" && value != "0" {
			query.Set(key, value)
		}
	}
	if len(query) == 0 {
		return "./"
	}
	return "./?" + query.Encode()
}

// matches reports whether the filter selects a row by system and runbook.
func (n filter) matches(row *ProbeStatus) bool {
	return (n.system == "" || row.System == n.system) && (n.runbook == "" || row.Runbook == n.runbook)
}
