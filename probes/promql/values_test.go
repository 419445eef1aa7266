package promql

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/testenv"
	"prober/probes/internal/limits"
	"prober/probes/internal/probetest"
)

// ofQueue is a probe of one value, at most 100, with a control.
func ofQueue(url string) *Probe {
	return &Probe{
		URL: url, Fresh: Fresh{Series: "requests_total"}, Control: "sum(rate(requests_total[5m]))",
		Values: map[string]Value{"queue": {Query: "queue_length", Max: new(limits.Number(100))}},
	}
}

// TestValue: only a number of the service passes or fails. Everything else is inconclusive, with its reason.
func TestValue(t *testing.T) {
	t.Parallel()
	const wellControlled = "control pass(ok): got 3"
	fresh := "fresh pass(ok): the newest sample is 10s old"
	for name, test := range map[string]struct {
		queue string
		want  string // the line of the value
	}{
		"within":             {scalar("100"), "value@queue pass(ok): got 100"},
		"beyond":             {scalar("100.5"), "value@queue fail(value): expected at most 100, got 100.5"},
		"far beyond":         {scalar("1e+06"), "value@queue fail(value): expected at most 100, got 1000000"},
		"empty":              {"", "value@queue inconclusive(no_data): the answer is empty: *"},
		"several":            {scalar("1") + `,{"metric":{"instance":"` + marker + `"},"value":[TIME,"2"]}`, "value@queue inconclusive(many_series): expected one series, got 2: *"},
		"twice the same":     {scalar("1") + "," + scalar("2"), "value@queue inconclusive(schema): the answer has one series twice"},
		"NaN":                {scalar("NaN"), "value@queue inconclusive(not_a_number): got NaN: *"},
		"infinite":           {scalar("+Inf"), "value@queue inconclusive(not_a_number): got +Inf: *"},
		"negative infinite":  {scalar("-Inf"), "value@queue inconclusive(not_a_number): got -Inf: *"},
		"a text":             {scalar(marker), "value@queue inconclusive(not_a_number): got NaN: *"},
		"hexadecimal":        {scalar("0x10"), "value@queue inconclusive(not_a_number): got NaN: *"},
		"a bare number":      {`{"metric":{},"value":[TIME,7]}`, "value@queue inconclusive(schema): expected a vector in the form *"},
		"no value":           {`{"metric":{}}`, "value@queue inconclusive(schema): expected a vector in the form *"},
		"two kinds of value": {`{"metric":{},"value":[TIME,"7"],"histogram":[TIME,{"count":"1","sum":"1"}]}`, "value@queue inconclusive(schema): expected a vector *"},
		"a histogram":        {`{"metric":{},"histogram":[TIME,{"count":"1","sum":"1","buckets":[[0,"0.5","1","1"]]}]}`, "value@queue inconclusive(schema): expected a number, got a native histogram"},
		"of another moment":  {`{"metric":{},"value":[AGE90,"7"]}`, "value@queue inconclusive(stale_or_cached): the answer is for another moment, 1m30s from *"},
		"of no moment":       {`{"metric":{},"value":["now","7"]}`, "value@queue inconclusive(schema): *"},
		"a matrix":           {`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[TIME,"1"]]}]}}`, "value@queue inconclusive(schema): expected an instant vector, got a range vector: *"},
		"a scalar":           {`{"status":"success","data":{"resultType":"scalar","result":[TIME,"1"]}}`, "value@queue inconclusive(schema): expected an instant vector, got a scalar: *"},
		"a string":           {`{"status":"success","data":{"resultType":"string","result":[TIME,"1"]}}`, "value@queue inconclusive(schema): expected an instant vector, got a string: *"},
		"another type":       {`{"status":"success","data":{"resultType":"` + marker + `","result":[]}}`, "value@queue inconclusive(schema): expected an instant vector, got none"},
		"null":               {`{"status":"success","data":{"resultType":"vector","result":null}}`, "value@queue inconclusive(schema): expected a vector *"},
		"warnings":           {`{"status":"success","warnings":["` + marker + `"],"data":{"resultType":"vector","result":[` + scalar("1") + `]}}`, "value@queue inconclusive(partial): the answer has 1 warnings: *"},
		"in part":            {`{"status":"success","isPartial":true,"data":{"resultType":"vector","result":[` + scalar("1") + `]}}`, "value@queue inconclusive(partial): the answer says *"},
		"infos":              {`{"status":"success","infos":["PromQL info"],"data":{"resultType":"vector","result":[` + scalar("1") + `]}}`, "value@queue pass(ok): got 1"},
		"an error in a 200":  {`{"status":"error","errorType":"execution","error":"` + marker + `"}`, "value@queue inconclusive(bad_query): the server cannot evaluate the query (execution)"},
		"neither":            {`{"data":{"resultType":"vector","result":[` + scalar("1") + `]}}`, "value@queue inconclusive(schema): expected the status success *"},
		"two results":        {`{"status":"success","status":"success","data":{"resultType":"vector","result":[` + scalar("1") + `]}}`, "value@queue inconclusive(schema): the answer is not JSON: *"},
		"a list":             {`200 {"status":["success"]}`, "value@queue inconclusive(schema): expected an answer of the Prometheus HTTP API, *"},
		"400":                {`400 {"status":"error","errorType":"bad_data","error":"` + marker + `"}`, "value@queue inconclusive(bad_query): got 400: the server cannot parse the query (bad_data)"},
		"422":                {`422 {"status":"error","errorType":"execution","error":"` + marker + `"}`, "value@queue inconclusive(bad_query): got 422: the server cannot evaluate *"},
		"503":                {`503 {"status":"error","errorType":"timeout","error":"` + marker + `"}`, "value@queue inconclusive(timeout): got 503: the query took the server too long (timeout)"},
		"503, unavailable":   {`503 {"status":"error","errorType":"unavailable"}`, "value@queue inconclusive(status): got 503: the server is not ready *"},
		"500":                {`500 {"status":"error","errorType":"` + marker + `"}`, "value@queue inconclusive(status): expected 200, got 500"},
		"404":                {`404 {}`, "value@queue inconclusive(status): expected 200, got 404"},
		"429":                {`429 {}`, "value@queue inconclusive(rate_limited): *"},
		"401":                {`401 {}`, "value@queue inconclusive(credential): *"},
		"302":                {`302 {}`, "value@queue inconclusive(redirect): *"},
		"10 MB":              {`{"status":"success","data":{"resultType":"vector","result":[` + scalar(strings.Repeat("1", 10<<20)) + `]}}`, "value@queue inconclusive(too_large): *"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{answers: [][2]string{{"queue_length", test.queue}, {"sum(rate", scalar("3")}}}
			r := run(t, ofQueue(s.start(t)))
			verdict, _, _ := strings.Cut(strings.TrimPrefix(test.want, "value@queue "), "(")
			probetest.WantLines(t, r, verdict, fresh, wellControlled, test.want)
		})
	}
}

// TestValue_controls: without its control, a value within its limits proves nothing. One beyond them fails in any case.
func TestValue_controls(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ control, queue, verdict, wantControl, want string }{
		"nobody calls it": {scalar("0"), scalar("1"), "inconclusive", "control inconclusive(control_failed): expected a value above zero, got 0", "value@queue inconclusive(control_failed): got 1, which proves nothing without its control"},
		"no series":       {"", scalar("1"), "inconclusive", "control inconclusive(no_data): *", "value@queue inconclusive(control_failed): *"},
		"beyond":          {scalar("0"), scalar("101"), "fail", "control inconclusive(control_failed): *", "value@queue fail(value): expected at most 100, got 101"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{answers: [][2]string{{"queue_length", test.queue}, {"sum(rate", test.control}}}
			probetest.WantLines(t, run(t, ofQueue(s.start(t))), test.verdict, "fresh pass(ok): *", test.wantControl, test.want)
		})
	}
}

// TestCompare_control: without its control, a comparison proves nothing either: no 401s where nobody gets in.
func TestCompare_control(t *testing.T) {
	t.Parallel()
	healthy := state{"before": {19900, 20000}, "now 600s": {3980, 4000}}
	s := healthy.serve(t, `code!~"5.."`, "requests_total[")
	s.answers = append([][2]string{{"successes", scalar("0")}}, s.answers...)
	p := ofErrors(s.start(t))
	p.Control = "sum(successes)"
	probetest.WantLines(t, run(t, p), "inconclusive", "fresh pass(ok): *", "control inconclusive(control_failed): *", "compare@errors inconclusive(control_failed): expected at most 1.5 %*")
}

func TestValue_min(t *testing.T) {
	t.Parallel()
	for ready, want := range map[string]string{"2": "fail(value): expected at least 3, got 2", "3": "pass(ok): got 3"} {
		s := &server{answers: [][2]string{{"ready", scalar(ready)}}}
		p := &Probe{URL: s.start(t), Fresh: Fresh{Series: "requests_total"}, Values: map[string]Value{"ready": {Query: "sum(ready)", Min: new(limits.Number(3))}}}
		r := run(t, p)
		probetest.WantLines(t, r, r.Verdict().String(), "fresh pass(ok): *", "value@ready "+want)
		if got, _ := value(r, valueGauge, "ready"); fmt.Sprint(got) != ready {
			t.Errorf("exported is %v", got)
		}
	}
}

func TestFormatSeconds(t *testing.T) {
	for seconds, want := range map[float64]string{
		0.26: "300ms", 90: "1m30s", -2: "-2s", 99 * 365 * 24 * 3600: "867240h0m0s", 101 * 365 * 24 * 3600: "more than a century", math.Inf(1): "more than a century", math.NaN(): "more than a century",
	} {
		if got := formatSeconds(seconds); got != want {
			t.Errorf("%v: got %s, expected %s", seconds, got, want)
		}
	}
}

// What is just within the limits of the settings is taken, and what is just beyond them is not.
func TestValidate_limits(t *testing.T) {
	of := func(change func(p *Probe, c *Comparison)) error {
		p := ofErrors("http://127.0.0.1:1")
		c := p.Compare["errors"]
		change(p, &c)
		p.Compare["errors"] = c
		return p.Validate()
	}
	week := probe.Duration(7 * 24 * time.Hour)
	windows := func(all ...time.Duration) func(*Probe, *Comparison) {
		return func(p *Probe, _ *Comparison) {
			for _, w := range all {
				p.Windows = append(p.Windows, probe.Duration(w))
			}
			p.Baseline.Offset = 100 * week
		}
	}
	for name, test := range map[string]struct {
		change func(p *Probe, c *Comparison)
		wrong  string
	}{
		"as it is":                {func(*Probe, *Comparison) {}, ""},
		"the most samples":        {func(p *Probe, _ *Comparison) { p.MinSamples = 1_000_000 }, ""},
		"more samples":            {func(p *Probe, _ *Comparison) { p.MinSamples = 1_000_001 }, "min_samples"},
		"fewer than none":         {func(p *Probe, _ *Comparison) { p.MinSamples = -1 }, "min_samples"},
		"the widest windows":      {windows(minWindow, maxWindow), ""},
		"a wider window":          {windows(maxWindow + time.Second), "windows"},
		"a window of less":        {windows(minWindow - time.Second), "windows"},
		"a part of a second":      {windows(minWindow + time.Second/2), "windows"},
		"no wider window":         {windows(minWindow, minWindow), "windows"},
		"an offset just enough":   {func(p *Probe, _ *Comparison) { p.Windows, p.Baseline.Offset = []probe.Duration{week / 14}, week/7 }, ""},
		"an offset of less":       {func(p *Probe, _ *Comparison) { p.Windows, p.Baseline.Offset = []probe.Duration{week / 14}, week/7-1 }, "baseline.offset"},
		"no baseline":             {func(p *Probe, _ *Comparison) { p.Baseline = nil }, "baseline"},
		"not worse by a factor":   {func(_ *Probe, c *Comparison) { c.Worse.Factor = 1 }, ""},
		"a little worse":          {func(_ *Probe, c *Comparison) { c.Worse.Factor = 1.5 }, ""},
		"worse by the largest":    {func(_ *Probe, c *Comparison) { c.Worse.Factor = 1000 }, ""},
		"worse by more than that": {func(_ *Probe, c *Comparison) { c.Worse.Factor = 1000.5 }, "worse.factor"},
		"better":                  {func(_ *Probe, c *Comparison) { c.Worse.Factor = 0.5 }, "worse.factor"},
		"all of a quantile": {func(_ *Probe, c *Comparison) {
			*c = Comparison{Buckets: "sum by (le) (increase(a[{window}]))", Quantile: 1}
		}, "quantile"},
	} {
		if err := of(test.change); (err != nil) != (test.wrong != "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestClose(t *testing.T) {
	inner := (&server{answers: [][2]string{{"queue_length", scalar("7")}, {"rate(requests", scalar("3")}}}).start(t)
	target, err := url.Parse(inner)
	if err != nil {
		t.Fatal(err)
	}
	outer, open := testenv.ServeCounted(t, httputil.NewSingleHostReverseProxy(target).ServeHTTP)
	p := ofQueue(outer)
	p.Connection = "reuse"
	if r := run(t, p); r.Verdict() != probe.Pass {
		t.Fatal(probetest.Lines(r))
	}
	testenv.WantClosed(t, p, 1, open)
}

// TestFresh: a dead service is answered for with old numbers, of which nothing is asked then.
func TestFresh(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ timestamp, want string }{
		"just fresh":         {scalar("AGE59"), ""},
		"dead for 90 s":      {scalar("AGE90"), "fresh inconclusive(stale): expected a sample not older than 1m0s, got one of 1m30s ago: the numbers are those of before"},
		"dead for minutes":   {scalar("AGE299"), "fresh inconclusive(stale): *"},
		"not scraped":        {"", "fresh inconclusive(no_data): expected a sample of the service, got none: *"},
		"NaN":                {scalar("NaN"), "fresh inconclusive(not_a_number): *"},
		"in the year 1":      {scalar("-6e10"), "fresh inconclusive(stale): expected a sample not older than 1m0s, got one of more than a century ago: *"},
		"in the far future":  {scalar("1e+300"), "fresh inconclusive(stale): *"},
		"cached":             {`{"metric":{},"value":[AGE299,"AGE299"]}`, "fresh inconclusive(stale_or_cached): the answer is for a moment *"},
		"two answers":        {scalar("AGE10") + `,{"metric":{"a":"b"},"value":[TIME,"AGE10"]}`, "fresh inconclusive(many_series): *"},
		"a login page":       {"{<html>", "fresh inconclusive(schema): the answer is not JSON: *"},
		"an empty body":      {"200 { ", "fresh inconclusive(schema): the answer is not JSON: *"},
		"Prometheus is sick": {`503 {}`, "fresh inconclusive(status): expected 200, got 503"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{answers: [][2]string{{"timestamp", test.timestamp}, {"queue_length", scalar("1")}, {"sum(rate", scalar("3")}}}
			r := run(t, ofQueue(s.start(t)))
			if test.want == "" {
				probetest.WantLines(t, r, "pass", "fresh pass(ok): the newest sample is 59s old", "control pass(ok): *", "value@queue pass(ok): *")
				return
			}
			probetest.WantLines(t, r, "inconclusive", test.want)
			if len(s.asked) != 1 {
				t.Errorf("asked %q", s.asked)
			}
		})
	}
}

// TestAsk_sameMoment: all queries are as of the moment of the first, on the server's clock.
func TestAsk_sameMoment(t *testing.T) {
	t.Parallel()
	var stamps []string
	s := &server{answers: [][2]string{{"queue_length", scalar("1")}, {"sum(rate", scalar("3")}}}
	s.start(t)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		q.ParseForm()
		stamps = append(stamps, q.PostForm.Get("time"))
		if q.PostForm.Get("timeout") == "" {
			t.Error("the server is not told when to give up")
		}
		s.ServeHTTP(w, q)
	}))
	defer h.Close()
	if r := run(t, ofQueue(h.URL+"/prometheus/")); r.Verdict() != probe.Pass {
		t.Error(probetest.Lines(r))
	}
	if len(stamps) != 3 || stamps[0] != "" || stamps[1] == "" || stamps[1] != stamps[2] {
		t.Errorf("asked as of %q", stamps)
	}
}

// TestAsk_unreachable: a server that is down, hangs or cuts off says nothing of the service.
func TestAsk_unreachable(t *testing.T) {
	t.Parallel()
	probetest.WantLines(t, run(t, ofQueue("http://127.0.0.1:1")), "inconclusive", "fresh inconclusive(refused): *")

	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, `{"status":`)
	}))
	defer cut.Close()
	probetest.WantLines(t, run(t, ofQueue(cut.URL)), "inconclusive", "fresh inconclusive(truncated): *")

	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body) // only then does the server notice that nobody waits any more
		<-q.Context().Done()
	}))
	defer hangs.Close()
	p := ofQueue(hangs.URL)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	r := probetest.Do(t.Context(), probe.Job{Probe: p, Kind: Kind(), Timeout: 300 * time.Millisecond})
	probetest.WantLines(t, r, "inconclusive", "fresh inconclusive(timeout): *")
}

// TestAsk_credentials: a bearer token, a password and a tenant are sent with each query.
func TestAsk_credentials(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cr3t-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, settings := range map[string]httpx.Settings{
		"bearer s3cr3t-token ibex":             {Bearer: secret.File(token), Headers: map[string]httpx.Value{"X-Scope-OrgID": {Text: "ibex"}}},
		"basic cHJvYmVyOnMzY3IzdC10b2tlbg==  ": {Basic: &httpx.Basic{Username: "prober", Password: secret.File(token)}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{answers: [][2]string{{"queue_length", scalar("1")}, {"sum(rate", scalar("3")}}}
			s.start(t)
			h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				if got := strings.ToLower(q.Header.Get("Authorization") + " " + q.Header.Get("X-Scope-OrgID")); strings.TrimSpace(got) != strings.ToLower(strings.TrimSpace(name)) {
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				s.ServeHTTP(w, q)
			}))
			defer h.Close()
			p := ofQueue(h.URL + "/prometheus")
			p.Settings = settings
			if r := run(t, p); r.Verdict() != probe.Pass {
				t.Error(probetest.Lines(r))
			}
			other := ofQueue(h.URL + "/prometheus")
			probetest.WantLines(t, run(t, other), "inconclusive", "fresh inconclusive(credential): *")
		})
	}
}
