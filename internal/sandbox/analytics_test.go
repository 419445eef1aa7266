package sandbox

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// isAnalyticsFault reports whether a fault is one of the analytics API.
func isAnalyticsFault(f Fault) bool {
	return strings.HasPrefix(f.Name, "guard-") || strings.HasPrefix(f.Name, "analytics-")
}

const (
	scopeOfA = "org_id = 'org-a'"
	limits   = " LIMIT 20 SETTINGS max_execution_time = 5"
)

// analyticsQueries are queries of org A, in the order in which they are sent.
var analyticsQueries = []struct{ name, query string }{
	{"scoped", "SELECT org_id, text FROM events WHERE " + scopeOfA + limits},
	{"mistaken", "SELECT prober_no_such_column FROM events WHERE " + scopeOfA + limits},
	{"unscoped", "SELECT text FROM events" + limits},
	{"comment", "SELECT text FROM events /* WHERE " + scopeOfA + " */" + limits},
	{"or", "SELECT text FROM events WHERE " + scopeOfA + " OR 1 = 1" + limits},
	{"other org", "SELECT text FROM events WHERE org_id = 'org-b'" + limits},
	{"union", "SELECT text FROM events WHERE " + scopeOfA + " LIMIT 20 UNION ALL SELECT text FROM events" + limits},
	{"statements", "SELECT text FROM events WHERE " + scopeOfA + limits + "; SELECT text FROM events" + limits},
	{"settings", "SELECT text FROM events LIMIT 20 SETTINGS additional_table_filters = {}"},
	{"merge", "SELECT text FROM merge('^events$')" + limits},
	{"alias", "SELECT text, 'org-a' AS org_id FROM events WHERE " + scopeOfA + limits},
	{"spaces", "SELECT\u00a0text FROM events" + limits},
	{"system", "SELECT name FROM system.tables" + limits},
}

// observeQueries sends the queries, and says of each what the answer is.
func observeQueries(t *testing.T, s *Sandbox) map[string]string {
	t.Helper()
	seen := map[string]string{}
	for _, q := range analyticsQueries {
		body, err := json.Marshal(object{"sql": q.query})
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.do(t.Context(), request{host: analytics, method: "POST", path: "/v1/analytics/query", token: s.credentials.orgA, body: string(body)})
		seen[q.name] = s.describeAnswer(a, err)
	}
	return seen
}

func (s *Sandbox) describeAnswer(a response, err error) string {
	if err != nil {
		return "no answer"
	}
	words := []string{}
	for word, part := range map[string]string{
		"rejected": "query_not_scoped", "own": s.tenants.seeds[orgA].text, "foreign": s.tenants.seeds[orgB].text,
		"exception": "Exception", "repeated": "SELECT", "server": `"name":"events"`, "database": `"database"`, "page": "<html>",
	} {
		if strings.Contains(a.body, part) {
			words = append(words, word)
		}
	}
	if a.header.Get("Age") != "" {
		words = append(words, "cached")
	}
	slices.Sort(words)
	return strings.Join(append([]string{map[int]string{200: "200", 400: "400", 403: "403", 500: "500"}[a.status]}, words...), " ")
}

// TestAnalyticsFaults: which queries each fault answers otherwise, and how.
func TestAnalyticsFaults(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	whole := observeQueries(t, s)
	sound := map[string]string{"scoped": "200 own", "mistaken": "500 exception"}
	for _, q := range analyticsQueries {
		if want := sound[q.name]; whole[q.name] != want && !(want == "" && whole[q.name] == "403 rejected") {
			t.Errorf("%s: %s", q.name, whole[q.name])
		}
	}
	everything := func(of string, but map[string]string) map[string]string {
		all := map[string]string{}
		for _, q := range analyticsQueries {
			if sound[q.name] == "" {
				all[q.name] = of
			}
		}
		maps.Copy(all, but)
		return all
	}
	one := func(name string) map[string]string { return map[string]string{name: "200 foreign own"} }
	want := map[string]map[string]string{
		"guard-off":              everything("200 foreign own", map[string]string{"system": "200 server"}),
		"guard-comment":          one("comment"),
		"guard-or":               one("or"),
		"guard-any-org":          one("other org"),
		"guard-union":            one("union"),
		"guard-second-statement": one("statements"),
		"guard-settings":         one("settings"),
		"guard-merge":            one("merge"),
		"guard-alias":            one("alias"),
		"guard-spaces":           one("spaces"),
		"guard-system":           {"system": "200 server"},
		"guard-replica-open":     {"unscoped": "200 foreign own", "other org": "200 foreign own", "settings": "200 foreign own", "spaces": "200 foreign own"},
		"guard-filters":          everything("200", nil),
		"guard-database-error":   everything("400 database", nil),
		"guard-error-in-200":     everything("200 exception", nil),
		"guard-firewall":         everything("403 page", nil),
		"guard-leaks":            everything("403 foreign rejected", nil),
		"guard-rejects-all":      {"scoped": "403 rejected"},
		"guard-any-error":        {"mistaken": "403 rejected"},
		"analytics-empty":        {"scoped": "200"},
		"analytics-cached":       everything("403 cached rejected", map[string]string{"scoped": "200 cached own", "mistaken": "500 cached exception"}),
		"analytics-down":         everything("no answer", map[string]string{"scoped": "no answer", "mistaken": "no answer"}),
		"guard-repeats-query":    everything("403 rejected repeated", nil),
	}
	for _, f := range s.Faults() {
		if !isAnalyticsFault(f) {
			continue
		}
		if err := s.Inject(f.Name); err != nil {
			t.Fatal(err)
		}
		got := observeQueries(t, s)
		maps.DeleteFunc(got, func(name, answer string) bool { return answer == whole[name] })
		if !maps.Equal(got, want[f.Name]) {
			t.Errorf("%s: expected %v, got %v", f.Name, want[f.Name], got)
		}
		if err := s.Clear(f.Name); err != nil {
			t.Fatal(err)
		}
		delete(want, f.Name)
	}
	if len(want) > 0 {
		t.Errorf("no such faults: %v", slices.Sorted(maps.Keys(want)))
	}
}
