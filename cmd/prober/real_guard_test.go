package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"prober/config"
	"prober/internal/probe"
	"prober/internal/testenv"
)

// The events of the two test orgs.
const (
	guardOwnCanary     = "9f2c4e6a8b0d1f3e5a7c9b1d3f5e7a90"
	guardForeignCanary = "1a3c5e7f9b2d4f6a8c0e1b3d5f7a9c2e"
)

// guardConfig is that of a probe of an API whose database is a real one.
const guardConfig = `
system: analytics
probes:
  - name: guard
    type: guard
    interval: 15m
    timeout: 2m
    url: URL
    connection: reuse
    json: {sql: "{query}"}
    select: text
    table: events
    column: org_id
    filter: event = 'prober_canary'
    time_limit: LIMIT
    orgs:
      own:     {id: org-a, canary: {file: OWN}}
      foreign: {id: org-b, canary: {file: FOREIGN}}
    rejected: {status: 403, json: {$.error: query_not_scoped}}
    rows: $.data
    corpus: [CORPUS]
`

// A guarded API passes on to a database what its guard accepts.
type guardedAPI struct {
	engine  string // the HTTP interface of the database
	accepts func(query string) bool
}

func (a *guardedAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var asked struct{ SQL string }
	if json.NewDecoder(r.Body).Decode(&asked) != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	if !a.accepts(asked.SQL) {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"error": "query_not_scoped"}`)
		return
	}
	answer, err := http.Post(a.engine, "text/plain", strings.NewReader(asked.SQL))
	if err != nil {
		http.Error(w, "database", http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	w.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
	w.WriteHeader(answer.StatusCode)
	io.Copy(w, answer.Body)
}

// fillEvents makes the table: the events of the test orgs, and many of other orgs before them.
func fillEvents(t *testing.T, engine string) {
	t.Helper()
	for _, query := range []string{
		"CREATE TABLE events (org_id String, event String, text String) ENGINE = MergeTree ORDER BY org_id",
		"INSERT INTO events SELECT 'customer', 'login', toString(number) FROM numbers(10000)",
		// Both in one part of the table, as events that come at the same time are.
		"INSERT INTO events SELECT 'org-a', 'prober_canary', '" + guardOwnCanary + "' UNION ALL SELECT 'org-b', 'prober_canary', '" + guardForeignCanary + "'",
	} {
		answer, err := http.Post(engine, "text/plain", strings.NewReader(query))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", query, answer.StatusCode, body)
		}
	}
}

// guardJob is a job that asks an API. Each has a memory of its own.
func guardJob(t *testing.T, url, limit, corpus string) probe.Job {
	t.Helper()
	dir := t.TempDir()
	text := strings.NewReplacer("URL", url, "LIMIT", limit, "CORPUS", corpus,
		"OWN", writeFile(t, dir, "own", guardOwnCanary), "FOREIGN", writeFile(t, dir, "foreign", guardForeignCanary)).Replace(guardConfig)
	return jobsOf(t, config.File{Name: "guard.yaml", Data: []byte(text)})[0]
}

// guardCases runs a job and returns what became of the cases that were not rejected.
func guardCases(t *testing.T, j probe.Job) (named map[string]string, r probe.Result) {
	t.Helper()
	defer j.Probe.(probe.Closer).Close()
	r, named = j.Do(t.Context()), map[string]string{}
	for _, s := range r.Samples {
		if s.Name == "probe_guard_case" {
			named[s.Values[0]] = s.Values[1]
		}
	}
	return named, r
}

// guardChecks describes the checks of a result that did not pass.
func guardChecks(r probe.Result) string {
	var b strings.Builder
	for _, c := range r.NotPassed() {
		fmt.Fprintf(&b, "%s [%s]: %s\n", c.Name, c.Reason, c.Detail)
	}
	return b.String()
}

// guardTokens splits a query into its words, without comments, as a guard that parses does.
var guardTokens = regexp.MustCompile(`--[^\n]*(?:\n|$)|/\*[^*]*\*/|'[^']*'|[A-Za-z_][A-Za-z0-9_]*|[0-9]+|\S`)

// parses is a sound guard: after its own lexer, it knows one form of query.
func parses(query string) bool {
	if strings.Trim(query, "\t\n\r") != strings.Map(func(c rune) rune {
		if c == '\t' || c >= ' ' && c <= '~' {
			return c
		}
		return -1
	}, query) {
		return false // only one line of ASCII
	}
	var words []string
	for _, w := range guardTokens.FindAllString(query, -1) {
		if !strings.HasPrefix(w, "--") && !strings.HasPrefix(w, "/*") {
			words = append(words, w)
		}
	}
	text := strings.Join(words, " ")
	for _, column := range []string{"text", "prober_no_such_column"} {
		for _, end := range []string{"", " SETTINGS max_execution_time = 5"} {
			if text == "SELECT "+column+" FROM events WHERE org_id = 'org-a' AND ( event = 'prober_canary' ) LIMIT 20"+end {
				return true
			}
		}
	}
	return false
}

// guardHoles are holes of guards as people write them. What the table expects are the cases that get through; each is one that
// the engine of a current ClickHouse answers with rows of another org, unless it says otherwise.
var guardHoles = map[string]struct {
	lets func(query string) bool
	want map[string]string
}{
	"the scope in a comment": {func(q string) bool {
		return regexp.MustCompile(`(--[^\n]*|/\*[^*]*)org_id = 'org-a'`).MatchString(q) && !strings.Contains(q, "FORMAT")
	}, foreignRowsOf("block_comment line_comment comment_after_true comment_first line_comment_first comment_in_condition")},
	"the first statement alone": {func(q string) bool { first, _, more := strings.Cut(q, ";"); return more && parses(first) },
		foreignRowsOf("second_statement")},
	"the end of a UNION alone": {func(q string) bool {
		_, last, union := strings.Cut(q, " UNION ALL ")
		return union && parses(last)
	}, foreignRowsOf("union_first")},
	"any org": {func(q string) bool { return parses(strings.ReplaceAll(q, "'org-b'", "'org-a'")) }, foreignRowsOf("foreign")},
	"a name for the column": {func(q string) bool { return strings.Contains(q, "'org-a' AS org_id") },
		foreignRowsOf("alias_hides_column with_hides_column derived_hides_column")},
	"functions of tables": {func(q string) bool {
		return regexp.MustCompile(`FROM (merge|view|loop|mergeTreeIndex)\(`).MatchString(q)
	},
		with(foreignRowsOf("merge merge_of_one view view_with_scope loop"), map[string]string{"merge_tree_index": "accepted"})},
	"spaces that are not ASCII": {func(q string) bool { return strings.ContainsAny(q, "\u00a0\u3000") }, foreignRowsOf("unicode_spaces wide_spaces")},
	"indexHint":                 {func(q string) bool { return strings.Contains(q, "indexHint(") }, foreignRowsOf("index_hint")},
	"EXPLAIN":                   {func(q string) bool { return strings.HasPrefix(q, "EXPLAIN") }, map[string]string{"explain": "accepted", "explain_syntax": "accepted", "explain_estimate": "accepted"}},
	"parameters":                {func(q string) bool { return strings.Contains(q, "{prober_") }, map[string]string{"named_parameter": "inconclusive", "named_table": "inconclusive"}},
}

func foreignRowsOf(names string) map[string]string {
	all := map[string]string{}
	for _, name := range strings.Fields(names) {
		all[name] = "foreign_rows"
	}
	return all
}

func with(a, b map[string]string) map[string]string {
	maps.Copy(a, b)
	return a
}

// TestReal_guard puts guards in front of the engine of a current ClickHouse. A sound one passes many times; each hole, opened
// alone, lets through the cases that the kind then names, and no others.
func TestReal_guard(t *testing.T) {
	engine := testenv.ChDB(t)
	fillEvents(t, engine)
	api := &guardedAPI{engine: engine, accepts: parses}
	server := httptest.NewServer(api)
	defer server.Close()
	runs, err := strconv.Atoi(testenv.Runs())
	if err != nil {
		t.Fatal(err)
	}
	for range runs {
		if _, r := guardCases(t, guardJob(t, server.URL, "5s", "classics, clickhouse")); r.Verdict() != probe.Pass {
			t.Fatalf("the sound guard:\n%s", guardChecks(r))
		}
	}
	for name, hole := range guardHoles {
		api.accepts = func(query string) bool { return parses(query) || hole.lets(query) }
		named, r := guardCases(t, guardJob(t, server.URL, "5s", "classics, clickhouse"))
		if !maps.Equal(named, hole.want) {
			t.Errorf("%s:\n got  %v\n want %v\n%s", name, named, hole.want, guardChecks(r))
		}
	}

	// Without any guard, every case is answered by this engine, and no answer is taken for a rejection.
	api.accepts = func(string) bool { return true }
	named, r := guardCases(t, guardJob(t, server.URL, "5s", "classics, clickhouse"))
	for _, c := range r.Checks {
		if c.Name != "scoped" && c.Name != "mistake" && c.Verdict == probe.Pass {
			t.Errorf("without a guard, %s passes: %s", c.Name, c.Detail)
		}
	}
	counts := map[string]int{}
	var unanswered []string
	for name, outcome := range named {
		if counts[outcome]++; outcome == "inconclusive" {
			unanswered = append(unanswered, name)
		}
	}
	slices.Sort(unanswered)
	if want := []string{"named_parameter", "named_table", "system_query_log"}; !slices.Equal(unanswered, want) {
		t.Errorf("without a guard, the engine cannot run %v, expected %v:\n%s", unanswered, want, guardChecks(r))
	}
	t.Logf("without a guard: %v", counts)

	// A filter of the server holds back the rows of others, and what gets around it are the ways that are known.
	api.engine = engine + "?additional_table_filters=" + url.QueryEscape("{'events': 'org_id = ''org-a'''}")
	named, _ = guardCases(t, guardJob(t, server.URL, "5s", "classics, clickhouse"))
	maps.DeleteFunc(named, func(_, outcome string) bool { return outcome != "foreign_rows" })
	want := foreignRowsOf("inner_settings outer_settings filter_true settings_of_cte merge merge_of_one")
	if !maps.Equal(named, want) {
		t.Errorf("with a filter of the server, rows of another org are shown by %v, expected %v", named, want)
	}
}

// TestReal_guardOfClickHouse18 puts guards in front of a real HTTP interface, whose user may only read: a limit of time in the
// query is refused to it, and is one of its profile.
func TestReal_guardOfClickHouse18(t *testing.T) {
	engine := testenv.ClickHouse(t)
	fillEvents(t, engine)
	api := &guardedAPI{engine: engine + "?user=reader&default_format=JSON", accepts: parses}
	server := httptest.NewServer(api)
	defer server.Close()
	if _, r := guardCases(t, guardJob(t, server.URL, "0s", "classics, clickhouse, clickhouse-outbound")); r.Verdict() != probe.Pass {
		t.Fatalf("the sound guard:\n%s", guardChecks(r))
	}
	if _, r := guardCases(t, guardJob(t, server.URL, "5s", "classics")); r.Verdict() != probe.Inconclusive {
		t.Errorf("with SETTINGS, which the user may not change: %s", guardChecks(r))
	}
	for name, want := range map[string]map[string]string{
		"the scope in a comment":    guardHoles["the scope in a comment"].want,
		"any org":                   foreignRowsOf("foreign"),
		"the first statement alone": {"second_statement": "inconclusive"}, // the interface runs one
	} {
		lets := guardHoles[name].lets
		api.accepts = func(query string) bool { return parses(query) || lets(query) }
		if named, r := guardCases(t, guardJob(t, server.URL, "0s", "classics")); !maps.Equal(named, want) {
			t.Errorf("%s:\n got  %v\n want %v\n%s", name, named, want, guardChecks(r))
		}
	}
	// Without any guard, what this old engine cannot run is inconclusive, and never rejected.
	api.accepts = func(string) bool { return true }
	_, r := guardCases(t, guardJob(t, server.URL, "0s", "classics, clickhouse, clickhouse-outbound"))
	for _, c := range r.Checks {
		if c.Name != "scoped" && c.Name != "mistake" && c.Verdict == probe.Pass {
			t.Errorf("without a guard, %s passes: %s", c.Name, c.Detail)
		}
	}
	if _, err := os.Stat("/prober-missing-folder"); err == nil {
		t.Error("a query has written a file")
	}
	if _, r := guardCases(t, guardJob(t, missingTable(t, server.URL), "0s", "classics")); r.Verdict() == probe.Pass {
		t.Error("the queries of a table that does not exist pass")
	}
}

// missingTable serves an API in front of another, whose database has lost the table.
func missingTable(t *testing.T, target string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answer, err := http.Post(target, "application/json", bytes.NewReader(bytes.ReplaceAll(body, []byte("events"), []byte("no_events"))))
		if err != nil {
			http.Error(w, "database", http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		w.WriteHeader(answer.StatusCode)
		io.Copy(w, answer.Body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
