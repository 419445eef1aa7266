package guard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/probes/internal/expect"
	"prober/probes/internal/probetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The canaries of the two test orgs.
const (
	ownCanary     = "cnry-11111111111111111111111111111111-own-1790000000"
	foreignCanary = "cnry-22222222222222222222222222222222-foreign-1790000000"
)

// An api is an analytics API with a guard in front of a database of two rows. Its zero value is sound.
type api struct {
	accepts   func(query string) bool                               // beside the scoped query
	before    func(w http.ResponseWriter, n int, query string) bool // answers instead, if it returns true
	rows      string                                                // the rows of an unscoped query
	hiddenOwn bool                                                  // the own canary is not there

	mu      sync.Mutex
	queries []string
	traces  map[string]string // the header traceparent, by the query
}

const (
	guardsWords  = `{"error": "query_not_scoped"}`
	ownRow       = `{"org_id": "org-a", "text": "` + ownCanary + `"}`
	foreignRow   = `{"org_id": "org-b", "text": "` + foreignCanary + `"}`
	scopedQuery  = "SELECT org_id, text FROM events WHERE org_id = 'org-a' LIMIT 20 SETTINGS max_execution_time = 5"
	columnAbsent = `{"error": "database", "detail": "Code: 47. DB::Exception: Missing columns"}`
)

// sent returns the queries until now.
func (s *api) sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queries
}

func (s *api) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var asked struct{ SQL string }
	if err := json.NewDecoder(q.Body).Decode(&asked); err != nil {
		http.Error(w, "bad request", 400)
		return
	}
	s.mu.Lock()
	s.queries = append(s.queries, asked.SQL)
	n := len(s.queries)
	if s.traces == nil {
		s.traces = map[string]string{}
	}
	s.traces[asked.SQL] = q.Header.Get("Traceparent")
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if s.before != nil && s.before(w, n, asked.SQL) {
		return
	}
	switch {
	case asked.SQL == scopedQuery && s.hiddenOwn:
		fmt.Fprint(w, `{"data": [{"org_id": "org-a", "text": "another"}]}`)
	case asked.SQL == scopedQuery:
		fmt.Fprintf(w, `{"data": [%s]}`, ownRow)
	case strings.Contains(asked.SQL, "prober_no_such_column"):
		respond(w, 500, columnAbsent)
	case s.accepts == nil || !s.accepts(asked.SQL):
		respond(w, 403, guardsWords)
	case s.rows != "":
		fmt.Fprint(w, s.rows)
	default:
		fmt.Fprintf(w, `{"data": [%s, %s]}`, ownRow, foreignRow)
	}
}

func respond(w http.ResponseWriter, status int, body string) {
	w.WriteHeader(status)
	fmt.Fprint(w, body)
}

// newProbe returns a probe of both corpora for an API.
func newProbe(t *testing.T, s *api) *Probe {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return probeOf(t, server.URL)
}

func probeOf(t *testing.T, url string) *Probe {
	t.Helper()
	environment := secret.NewEnvironment(map[string]string{"OWN": ownCanary, "FOREIGN": foreignCanary})
	words := "query_not_scoped"
	p := New()
	p.URL, p.JSON = url, map[string]any{"sql": variable}
	p.Select, p.Table, p.Column = "org_id, text", "events", "org_id"
	p.Orgs = Orgs{Org{"org-a", secret.Env("OWN").In(environment)}, Org{"org-b", secret.Env("FOREIGN").In(environment)}}
	p.Rejected = Answer{Status: httpx.Codes(403), Content: expect.Content{JSON: map[string]*expect.Match{"$.error": {Equals: &words}}}}
	p.Rows = probetest.Path(t, "$.data")
	p.Corpus = []string{corpusClassics, corpusClickHouse}
	p.Connection = "reuse"
	t.Cleanup(func() {
		if p.client != nil {
			p.Close()
		}
	})
	return p
}

func run1(t *testing.T, p *Probe) probe.Result { return probetest.RunWithin(t, time.Minute, Kind(), p) }

// value returns a value of a measure, and whether there is one.
func value(r probe.Result, m *probe.Measure, labels ...string) (float64, bool) {
	for _, s := range r.Samples {
		if s.Measure == m && strings.Join(s.Values, " ") == strings.Join(labels, " ") {
			return s.Value, true
		}
	}
	return 0, false
}

// namedCases lists the cases of a result that were not rejected, each with its outcome.
func namedCases(r probe.Result) map[string]string {
	named := map[string]string{}
	for _, s := range r.Samples {
		if s.Measure == caseGauge {
			named[s.Values[0]] = s.Values[1]
		}
	}
	return named
}
