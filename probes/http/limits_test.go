package http

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"prober/internal/jsonpath"
	"prober/internal/memory"
	"prober/internal/probe"
	"prober/probes/internal/expect"
	"prober/probes/internal/probetest"
)

// Valid JSON that is larger than what the prober reads is no fault of the target, and no proof either.
func TestHTTP_limitsOfTheProberAreNoFaultOfTheTarget(t *testing.T) {
	url := probetest.Serve(t, map[string]http.HandlerFunc{
		"/many":   probetest.Respond(200, "application/json", `{"status":"ok","rows":[`+strings.Repeat("0,", 120_000)+`0]}`),
		"/deep":   probetest.Respond(200, "application/json", `{"status":"ok","tree":`+strings.Repeat("[", 70)+strings.Repeat("]", 70)+`}`),
		"/digits": probetest.Respond(200, "application/json", `{"status":"ok","pi":3.`+strings.Repeat("1", 1200)+`}`),
		"/large":  probetest.Respond(200, "application/json", `{"status":"ok","n":1e999}`),
		"/good":   probetest.Respond(200, "application/json", `{"status":"ok","n":1}`),
	})
	status := expect.Expect{Content: expect.Content{JSON: map[string]*expect.Match{"$.status": {Equals: str("ok")}}}}
	for path, limit := range map[string]string{
		"/many": "the JSON holds more than 100000 values", "/deep": "the JSON is nested deeper than 64 levels",
		"/digits": "a number in the JSON is longer than 1000 digits", "/large": "a number in the JSON is too large for a float64",
	} {
		r := probetest.Run(t, Kind(), &Probe{URL: url + path, Expect: status})
		probetest.WantLines(t, r, "inconclusive", "status pass(ok): got 200", "json inconclusive(self_limit): "+limit)
		r = probetest.Run(t, Kind(), &Probe{URL: url + path, Gauges: map[string]jsonpath.Path{"n": probetest.Path(t, "$.n")}})
		probetest.WantLines(t, r, "inconclusive", "status pass(ok): got 200", "gauges inconclusive(self_limit): "+limit)
	}
}

// A page for everything must not be taken for none because the prober does not read it.
func TestHTTP_catchAllOverALimitProvesNothing(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		rows := ""
		if q.URL.Path != "/up" {
			rows = strings.Repeat("0,", 120_000)
		}
		probetest.Respond(200, "application/json", `{"status":"ok","rows":[`+rows+`0]}`)(w, q)
	}))
	defer server.Close()
	p := &Probe{URL: server.URL + "/up", CatchAllCheck: true, Expect: expect.Expect{Content: expect.Content{JSON: map[string]*expect.Match{"$.status": {Equals: str("ok")}}}}}
	r := probetest.Run(t, Kind(), p)
	probetest.WantLines(t, r, "inconclusive", "status pass(ok): got 200", "json pass(ok): 1 JSON value as expected",
		"catch_all pass(ok): a nonexistent path is answered differently (200)", "run inconclusive(self_limit): the JSON holds more than 100000 values")
}

// Fifty targets with the largest answers that are accepted, in the memory of the shipped deployment: each run waits for its
// turn, or says which limit kept it from reading.
func TestHTTP_largeAnswersShareTheMemory(t *testing.T) {
	url := probetest.Serve(t, map[string]http.HandlerFunc{
		"/large": probetest.Respond(200, "application/json", `{"status":"ok","rows":[`+strings.Repeat("0,", 90_000)+`"`+strings.Repeat("x", 800_000)+`"]}`),
	})
	p := &Probe{URL: url + "/large", Expect: expect.Expect{Content: expect.Content{JSON: map[string]*expect.Match{"$.status": {Equals: str("ok")}}}}}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	job := probe.Job{Kind: Kind(), Probe: p, Timeout: time.Minute, Memory: memory.NewBudget(3 << 20)}
	results := make(chan probe.Result)
	for range 8 {
		go func() { results <- job.Do(t.Context()) }()
	}
	for range 8 {
		if r := <-results; r.Verdict() != probe.Pass {
			t.Error(probetest.Lines(r))
		}
	}
	job.Memory = memory.NewBudget(512 << 10)
	r := job.Do(t.Context())
	probetest.WantLines(t, r, "inconclusive", "status inconclusive(self_limit): the answer was not read to its end: the answers of one run may take 512 KiB in memory (GOMEMLIMIT)")
}
