package metrics

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	textFormat   = "text/plain;version=0.0.4"
	openFormat   = "application/openmetrics-text;version=1.0.0"
	binaryFormat = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)

// scrapeText reads all series of probes, or the families named.
func scrapeText(t testing.TB, m *Metrics, accept string, names ...string) string {
	t.Helper()
	rec := request(m, http.MethodGet, accept, names...)
	if rec.Code != http.StatusOK {
		t.Fatalf("status %d: %s", rec.Code, rec.Body)
	}
	return rec.Body.String()
}

func request(m *Metrics, method, accept string, names ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, "/metrics", nil)
	query := req.URL.Query()
	query["name[]"] = names
	req.URL.RawQuery = query.Encode()
	req.Header.Set("Accept", accept)
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, req)
	return rec
}

// value returns the value of one series as written, or "absent".
func value(t testing.TB, m *Metrics, series string) string {
	t.Helper()
	name, _, _ := strings.Cut(series, "{")
	for _, suffix := range []string{"_count", "_sum"} {
		if strings.HasPrefix(name, "probe_run_duration") {
			name = strings.TrimSuffix(name, suffix)
		}
	}
	for line := range strings.Lines(scrapeText(t, m, textFormat, name)) {
		if v, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(v)
		}
	}
	return "absent"
}

// countSeries counts the series of the families that a probe can have.
func countSeries(t testing.TB, m *Metrics) (n int) {
	t.Helper()
	for line := range strings.Lines(scrapeText(t, m, textFormat)) {
		if strings.HasPrefix(line, "probe_") {
			n++
		}
	}
	return n
}

// fake is a probe that is never asked; it knows the statuses that it causes.
type fake map[string][]int

func (fake) Validate() error                        { return nil }
func (fake) Checks() []string                       { return nil }
func (fake) Ask(_ context.Context, _ *probe.Result) {}
func (f fake) ExpectedStatuses() map[string][]int   { return f }

func job(name string, change ...func(*probe.Job)) probe.Job {
	j := probe.Job{
		ID:         probe.ID{System: "ibex", Name: name, Type: "http", Runbook: "proxy-down", Severity: "P1"},
		RunbookURL: "https://docs.ibex.example/incident-response#proxy-down",
		Interval:   15 * time.Second,
		Timeout:    5 * time.Second,
		Labels:     map[string]string{"env": "prod", "region": "eu-west-1"},
	}
	for _, c := range change {
		c(&j)
	}
	return j
}

// resultOf is a run of the job that began now, with what note notes on it.
func resultOf(j probe.Job, took time.Duration, note func(r *probe.Result)) probe.Result {
	r := probe.NewResult(j.ID)
	r.Started, r.Took = time.Now(), took
	if note != nil {
		note(r)
	}
	return *r
}

func passed(j probe.Job) probe.Result {
	return resultOf(j, 20*time.Millisecond, func(r *probe.Result) {
		r.Pass("answers", "got 200")
		r.Exchanged(probe.Exchange{Check: "answers", Status: 200, Took: 12 * time.Millisecond, Connections: 1})
	})
}

func trace(n int) string { return fmt.Sprintf("%032x", n) }
