package sandbox

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
)

// analyticsFaults make holes into the guard of the analytics API, or break what proves that there are none.
func analyticsFaults() []Fault {
	const confirm = "confirm query guard rejected unscoped ClickHouse SQL"
	api := []string{analytics}
	open := func(h hole) []*effect { return []*effect{on(api, analyticsRoute, openGuard(h))} }
	inForm := func(pattern string) []*effect {
		form := regexp.MustCompile(pattern)
		return open(func(query, _ string) bool { return form.MatchString(query) })
	}
	rejecting := func(i interceptor) []*effect { return []*effect{on(api, analyticsRoute, insteadOfRejecting(i))} }
	return []Fault{
		// Holes.
		{"guard-off", "the guard of the analytics API lets everything through", confirm,
			open(func(string, string) bool { return true })},
		{"guard-comment", "the guard finds the scope of a query in a comment too", confirm,
			open(func(query, _ string) bool { return inComment.MatchString(query) && !strings.Contains(query, "FORMAT") })},
		{"guard-or", "the guard accepts a scope with OR beside it", confirm,
			inForm(` WHERE \(?org_id = '[a-z-]+'( AND 1 = 1)? OR | OR org_id = '`)},
		{"guard-any-org", "the guard accepts the scope of any org", confirm,
			open(func(query, _ string) bool { return scopedShape.MatchString(query) })},
		{"guard-union", "the guard looks at the first part of a UNION alone", confirm,
			open(func(query, org string) bool {
				first, _, union := strings.Cut(query, " UNION ")
				return union && isScoped(first+" SETTINGS max_execution_time = 1", org)
			})},
		{"guard-second-statement", "the guard looks at the first of several statements alone", confirm,
			open(func(query, org string) bool { first, _, _ := strings.Cut(query, ";"); return isScoped(first, org) })},
		{"guard-settings", "the guard adds a filter of its own, and lets SETTINGS of the query take it back", confirm,
			inForm(`SETTINGS additional_table_filters`)},
		{"guard-merge", "the guard lets merge() through, which reads the table under another name", confirm,
			inForm(`FROM merge\(`)},
		{"guard-alias", "the guard does not see that a query gives the name of the column to something else", confirm,
			inForm(`'[a-z-]+' AS org_id\b`)},
		{"guard-spaces", "the guard takes SELECT and FROM for words between spaces of ASCII", confirm,
			inForm("SELECT[\u00a0\u3000\f]")},
		{"guard-system", "the guard lets queries of the server's own tables through", confirm, inForm(`FROM system\.`)},
		{"guard-replica-open", "one of three replicas of the guard lets everything through", confirm,
			[]*effect{on(api, analyticsRoute, oneInThree(openGuard(func(string, string) bool { return true })))}},

		// What is not a rejection by the guard.
		{"guard-filters", "the guard rejects nothing, and has the database add the scope", confirm,
			rejecting(respondJSON(http.StatusOK, object{"data": []object{}, "rows": 0}))},
		{"guard-database-error", "the guard rejects nothing, and the database answers 400 to everything that is not scoped", confirm,
			rejecting(respondJSON(http.StatusBadRequest, object{"error": "database"}))},
		{"guard-error-in-200", "queries are rejected with 200 and an error of the database inside", confirm,
			rejecting(respondJSON(http.StatusOK, object{"data": []object{}, "exception": "Code: 60. DB::Exception: no such table"}))},
		{"guard-firewall", "a firewall in front of the guard answers 403 and a page", confirm,
			rejecting(respondPage(http.StatusForbidden, "<html><head><title>403 Forbidden</title></head></html>\n"))},
		{"guard-leaks", "the guard's rejections have a row of another org in them", confirm, rejecting(leakRow)},

		// Broken controls.
		{"guard-rejects-all", "the guard rejects every query", confirm, []*effect{on(api, analyticsRoute, rejectAll)}},
		{"guard-any-error", "the API has the guard's words for any error", confirm,
			[]*effect{on(api, analyticsRoute, errorsAsRejections)}},
		{"analytics-empty", "the events of the test orgs are gone", confirm,
			[]*effect{on(api, analyticsRoute, editJSON(func(body any) any {
				if answer := body.(object); answer["data"] != nil {
					answer["data"] = []any{}
				}
				return body
			}))}},
		{"analytics-cached", "the answers of the analytics API come from a cache", confirm,
			[]*effect{on(api, analyticsRoute, addHeaders("Age", "60"))}},
		{"analytics-down", "the analytics API refuses connections", confirm, []*effect{refuseConnections(analytics)}},

		{"guard-repeats-query", "the guard's rejections repeat the query", confirm,
			[]*effect{harmless(on(api, analyticsRoute, repeatQuery))}},
	}
}

// inComment matches a comment that names the column.
var inComment = regexp.MustCompile(`--[^\n]*org_id|/\*[^*]*org_id`)

// openGuard makes a hole into the guard.
//
//go:noinline
func openGuard(h hole) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) { at.next(w, withHole(r, h)) }
}

// oneInThree applies an interceptor to every third request.
func oneInThree(i interceptor) interceptor {
	var requests atomic.Int64
	return func(at target, w http.ResponseWriter, r *http.Request) {
		if requests.Add(1)%3 != 0 {
			at.next(w, r)
			return
		}
		i(at, w, r)
	}
}

// insteadOfRejecting answers by an interceptor where the guard rejects a query.
func insteadOfRejecting(i interceptor) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		taken := at.capture(w, r)
		if taken.status != http.StatusForbidden {
			taken.send()
			return
		}
		i(at, w, r)
	}
}

func rejectAll(at target, w http.ResponseWriter, r *http.Request) {
	insteadOf(at, w, r, http.StatusOK)
}

func errorsAsRejections(at target, w http.ResponseWriter, r *http.Request) {
	insteadOf(at, w, r, http.StatusInternalServerError)
}

// insteadOf rejects where the route answers with a status.
func insteadOf(at target, w http.ResponseWriter, r *http.Request, status int) {
	taken := at.capture(w, r)
	if taken.status != status {
		taken.send()
		return
	}
	rejectQuery(w)
}

// leakRow rejects a query and shows a row of another org.
func leakRow(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	other := orgA
	if t.org(bearer(r)) == orgA {
		other = orgB
	}
	writeJSON(w, http.StatusForbidden, object{"error": "query_not_scoped", "example": object{"org_id": other, "text": t.seeds[other].text}})
}

// repeatQuery rejects a query and repeats it.
func repeatQuery(at target, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQueryBytes))
	if err != nil {
		writeError(w, http.StatusBadRequest, "invalid_request")
		return
	}
	again := func() *http.Request {
		r.Body = io.NopCloser(bytes.NewReader(body))
		return r
	}
	query, _ := queryOf(w, again())
	taken := at.capture(w, again())
	if taken.status != http.StatusForbidden {
		taken.send()
		return
	}
	writeJSON(w, http.StatusForbidden, object{"error": "query_not_scoped", "query": query})
}
