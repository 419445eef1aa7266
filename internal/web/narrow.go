package web

import (
	"net/url"
	"strconv"
)

// A narrowing is what the query asks to see of the front page.
type narrowing struct {
	system, runbook string
	verdict         string // one list alone
	from            int    // of that list
	refresh         int    // seconds; 0 is never
}

func narrow(query url.Values) narrowing {
	number := func(key string, least, most int) int {
		n, err := strconv.Atoi(query.Get(key))
		if err != nil || n < least {
			return 0
		}
		return min(n, most)
	}
	return narrowing{
		system: query.Get("system"), runbook: query.Get("runbook"), verdict: query.Get("verdict"),
		from: number("from", 0, 1<<30), refresh: number("refresh", 5, 3600),
	}
}

// path leads to the front page so narrowed.
func (n narrowing) path() string {
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

// shows reports whether a row is wanted, whatever its verdict.
func (n narrowing) shows(row *Row) bool {
	return (n.system == "" || row.System == n.system) && (n.runbook == "" || row.Runbook == n.runbook)
}
