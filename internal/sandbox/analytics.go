package sandbox

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
)

// analyticsRoute takes SQL of the caller.
const analyticsRoute = "POST /v1/analytics/query"

// maxQueryBytes bounds a request to it.
const maxQueryBytes = 64 << 10

// scopedShape is the one form of query that the guard accepts: of the table, restricted to one org, with limits.
var scopedShape = regexp.MustCompile(`^SELECT ([a-z_]+(?:, [a-z_]+)*) FROM events WHERE org_id = '([a-z0-9-]+)' LIMIT \d+ SETTINGS max_execution_time = \d+$`)

// serveAnalytics makes a host the analytics API: a guard, and behind it a database of events, each a memory that was there from
// the start. The guard compares a query with the one form that it knows, which is simple, and rejects whatever else there is.
func serveAnalytics(h *host, t *tenants) {
	h.handle(analyticsRoute, func(w http.ResponseWriter, r *http.Request) {
		org := t.org(bearer(r))
		if org == "" {
			writeUnauthorized(w)
			return
		}
		query, ok := queryOf(w, r)
		switch {
		case !ok:
			writeError(w, http.StatusBadRequest, "invalid_request")
		case !isScoped(query, org) && !holeOf(r)(query, org):
			rejectQuery(w)
		default:
			t.runQuery(w, query, org)
		}
	})
}

// rejectQuery is what the guard says, and nobody else.
func rejectQuery(w http.ResponseWriter) { writeError(w, http.StatusForbidden, "query_not_scoped") }

// queryOf reads the query of a request.
func queryOf(w http.ResponseWriter, r *http.Request) (query string, ok bool) {
	var posted struct {
		SQL string `json:"sql"`
	}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQueryBytes)).Decode(&posted)
	return posted.SQL, err == nil && posted.SQL != ""
}

// isScoped reports whether a query has the one form, for an org.
func isScoped(query, org string) bool {
	parts := scopedShape.FindStringSubmatch(query)
	return parts != nil && parts[2] == org
}

// runQuery answers as the database does. It does not read SQL: what the guard lets through in another form is not restricted,
// so it has the rows of all orgs, unless it is about the server.
func (t *tenants) runQuery(w http.ResponseWriter, query, org string) {
	rows := []object{}
	switch {
	case strings.Contains(query, "prober_no_such_column"):
		writeJSON(w, http.StatusInternalServerError, object{"exception": "Code: 47. DB::Exception: Missing columns"})
		return
	case aboutServer.MatchString(query):
		rows = append(rows, object{"name": "events"})
	default:
		for _, name := range []string{orgA, orgB} {
			if name == org || !isScoped(query, org) {
				rows = append(rows, object{"org_id": name, "text": t.seeds[name].text})
			}
		}
	}
	writeJSON(w, http.StatusOK, object{"data": rows, "rows": len(rows)})
}

// aboutServer matches queries that have no rows of the table.
var aboutServer = regexp.MustCompile(`^(EXPLAIN|DESCRIBE|SHOW|EXISTS)|FROM (system|information_schema)\.`)

// A hole lets a query through that is not scoped.
type hole func(query, org string) bool

type holeKey struct{}

// withHole returns the request with a hole in the guard.
func withHole(r *http.Request, h hole) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), holeKey{}, h))
}

func holeOf(r *http.Request) hole {
	if h, ok := r.Context().Value(holeKey{}).(hole); ok {
		return h
	}
	return func(string, string) bool { return false }
}
