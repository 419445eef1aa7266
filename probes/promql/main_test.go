package promql

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// marker is in what the server says; no text of ours may repeat it.
const marker = "hunter2-7f3a9c51d2"

// A server answers queries by what they contain: the first that matches. An answer that begins with "{" is the whole body,
// after an optional status; any other is the list of samples, with TIME for the moment of the query.
//
// An answer "STATE WHICH" is that of the function state, by the query and how long ago the moment is.
type server struct {
	answers [][2]string
	state   func(query, which string, ago time.Duration) string
	mu      sync.Mutex
	asked   []string // QUERY@TIME, the time relative to the start of the test
}

func (s *server) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.URL.Path != "/prometheus/api/v1/query" || q.Method != http.MethodPost || q.URL.RawQuery != "" {
		http.NotFound(w, q)
		return
	}
	query, at := q.PostFormValue("query"), float64(time.Now().UnixMilli())/1000
	if given := q.PostFormValue("time"); given != "" {
		at, _ = strconv.ParseFloat(given, 64)
	}
	s.mu.Lock()
	s.asked = append(s.asked, fmt.Sprintf("%s@%.0f", query, at-float64(time.Now().Unix())))
	s.mu.Unlock()
	for _, a := range s.answers {
		if strings.Contains(query, a[0]) {
			if which, ok := strings.CutPrefix(a[1], "STATE"); ok {
				a[1] = s.state(query, strings.TrimSpace(which), time.Since(time.UnixMilli(int64(at*1000))))
			}
			write(w, a[1], at)
			return
		}
	}
	write(w, "", at)
}

func write(w http.ResponseWriter, answer string, at float64) {
	status := 200
	if n, body, ok := strings.Cut(answer, " {"); ok && len(n) == 3 {
		status, _ = strconv.Atoi(n)
		answer = "{" + body
	}
	if !strings.HasPrefix(answer, "{") || strings.HasPrefix(answer, `{"metric`) {
		answer = `{"status":"success","data":{"resultType":"vector","result":[` + answer + `]}}`
	}
	stamp := func(offset float64) string { return strconv.FormatFloat(at+offset, 'f', 3, 64) }
	for _, age := range []float64{10, 59, 90, 299} {
		answer = strings.ReplaceAll(answer, fmt.Sprintf("AGE%.0f", age), stamp(-age))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprint(w, strings.ReplaceAll(answer, "TIME", stamp(0)))
}

// start serves the answers, the first of which say that the service is scraped.
func (s *server) start(t *testing.T) string {
	t.Helper()
	s.answers = append(s.answers, [2]string{"max(timestamp(requests_total))", scalar("AGE10")})
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return h.URL + "/prometheus"
}

// scalar is a vector of one sample without labels.
func scalar(value string) string { return `{"metric":{},"value":[TIME,"` + value + `"]}` }

// buckets are the samples of a classic histogram: pairs of an edge and a cumulative count.
func buckets(pairs ...string) string {
	var all []string
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, fmt.Sprintf(`{"metric":{"le":"%s"},"value":[TIME,"%s"]}`, pairs[i], pairs[i+1]))
	}
	return strings.Join(all, ",")
}

func run(t *testing.T, p *Probe) probe.Result {
	t.Helper()
	r := probetest.Run(t, Kind(), p)
	if text := probetest.Lines(r); strings.Contains(text, marker) {
		t.Errorf("the server's text is repeated:\n%s", text)
	}
	t.Cleanup(p.Close)
	return r
}

// value returns a value of a result by measure and name.
func value(r probe.Result, m *probe.Measure, name ...string) (float64, bool) {
	for _, s := range r.Samples {
		if s.Measure == m && (len(name) == 0 || s.Values[0] == name[0]) {
			return s.Value, true
		}
	}
	return 0, false
}

// An incidentReader is a probe that only reads the baseline's time.
type incidentReader struct {
	*Probe
	now  time.Time
	read func(at time.Time, words string)
}

func (i incidentReader) Ask(ctx context.Context, _ *probe.Result) { i.read(i.baselineTime(ctx, i.now)) }
