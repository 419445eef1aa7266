package guard

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"prober/internal/httpx"
	"prober/internal/secret"
)

func envSecret(text string) secret.Secret {
	if text == "" {
		return secret.Env("NONE").In(secret.NewEnvironment(nil))
	}
	return secret.Env("TEXT").In(secret.NewEnvironment(map[string]string{"TEXT": text}))
}

// TestCorpus_harmless: every query only reads, has a limit and a limit of time, and names nobody else's machine or file.
func TestCorpus_harmless(t *testing.T) {
	p := probeOf(t, "http://127.0.0.1:1")
	p.Corpus, p.Filter = corpusNames, "text LIKE 'x%'"
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	about := []string{"describe", "show_create", "exists_table"} // have no rows to limit
	address := regexp.MustCompile(`\d+\.\d+\.\d+\.\d+(:\d+)?|https?://[^/']+`)
	seen := map[string]bool{}
	for _, c := range p.cases {
		if seen[c.name] || c.name == "" {
			t.Errorf("%s: the name is taken", c.name)
		}
		seen[c.name] = true
		if !onlyReads(c.query) {
			t.Errorf("%s does not only read: %s", c.name, c.query)
		}
		if !strings.Contains(c.query, "LIMIT 20") && !slices.Contains(about, c.name) {
			t.Errorf("%s has no limit: %s", c.name, c.query)
		}
		if !strings.Contains(c.query, "max_execution_time = 5") {
			t.Errorf("%s has no limit of time: %s", c.name, c.query)
		}
		for _, found := range address.FindAllString(c.query, -1) {
			if strings.TrimPrefix(found, "http://") != "127.0.0.1:9" || c.check != "outbound" {
				t.Errorf("%s names %s", c.name, found)
			}
		}
		if outbound.MatchString(c.query) != (c.check == "outbound") {
			t.Errorf("%s reads a file or opens a connection: %s", c.name, c.query)
		}
		if left := regexp.MustCompile(`\{[a-z ]+\}`).FindString(c.query); left != "" {
			t.Errorf("%s has the variable %s left: %s", c.name, left, c.query)
		}
		if strings.Contains(c.query, scopedQuery) && c.check != "statements" {
			t.Errorf("%s is scoped: %s", c.name, c.query)
		}
	}
}

// outbound matches what reads a file or opens a connection.
var outbound = regexp.MustCompile(`(?i)\b(file|url|s3|remote|remoteSecure|cluster|clusterAllReplicas|mysql|postgresql|mongodb|redis|hdfs|jdbc|odbc|sqlite|executable|deltaLake|iceberg|azureBlobStorage|gcs)\(|INTO OUTFILE`)

// TestCorpus_page: the page names every case at the check that it belongs to.
func TestCorpus_page(t *testing.T) {
	text := page(t)
	var cases []testCase
	for _, name := range corpusNames {
		cases = append(cases, corpus(name)...)
	}
	for _, check := range checksOf(cases) {
		var names []string
		for _, c := range cases {
			if c.check == check {
				names = append(names, "`"+c.name+"`")
			}
		}
		if row := "| `" + check + "` | " + strings.Join(names, ", ") + " |"; !strings.Contains(text, row) {
			t.Errorf("docs/kinds/guard.md does not have %s", row)
		}
	}
}

func page(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../../docs/kinds/guard.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestRequest: where a request has the query, and how it is escaped there.
func TestRequest(t *testing.T) {
	const query = "SELECT 'a' /* \"x\" & é */\n%"
	for name, c := range map[string]struct {
		p    *Probe
		body string
		kind string
	}{
		"json":      {&Probe{URL: "http://a.example/", JSON: map[string]any{"q": map[string]any{"sql": []any{"{query};", 1}}}}, `{"q":{"sql":["SELECT 'a' /* \"x\" \u0026 é */\n%;",1]}}`, "application/json"},
		"text":      {&Probe{URL: "http://a.example/", Body: "{query}"}, query, "text/plain; charset=utf-8"},
		"JSON text": {&Probe{URL: "http://a.example/", Body: `{"sql": "{query}"}`}, `{"sql": "SELECT 'a' /* \"x\" \u0026 é */\n%"}`, "application/json"},
		"form":      {&Probe{URL: "http://a.example/", Body: "sql={query}&x=1", Settings: httpx.Settings{Headers: map[string]httpx.Value{"content-type": {Text: "application/x-www-form-urlencoded"}}}}, "sql=" + url.QueryEscape(query) + "&x=1", ""},
		"url":       {&Probe{URL: "http://a.example/?sql={query}&x=1"}, "", ""},
	} {
		q := c.p.request(query)
		if string(q.Body) != c.body || q.Header.Get("Content-Type") != c.kind {
			t.Errorf("%s: got %s %s", name, q.Header.Get("Content-Type"), q.Body)
		}
		if name == "url" {
			if u, err := url.Parse(q.URL); err != nil || u.Query().Get("sql") != query {
				t.Errorf("%s: %s (%v)", name, q.URL, err)
			}
		}
		if _, err := http.NewRequest("POST", q.URL, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
