package contract

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
	"prober/probes/internal/replicas"
)

// sound is what a service exposes that keeps the contract.
const sound = `# HELP process_start_time_seconds Start time.
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.7e+09
# TYPE requests_total counter
requests_total{code="200"} 12
requests_total{code="500"} 0
# TYPE duration_seconds histogram
duration_seconds_bucket{result="ok",le="0.5"} 3
duration_seconds_bucket{result="ok",le="+Inf"} 4
duration_seconds_sum{result="ok"} 1.5
duration_seconds_count{result="ok"} 4
duration_seconds_bucket{result="revoked",le="0.5"} 0
duration_seconds_bucket{result="revoked",le="+Inf"} 0
duration_seconds_sum{result="revoked"} 0
duration_seconds_count{result="revoked"} 0
# TYPE cross_tenant_total counter
cross_tenant_total 0
# TYPE size_bytes summary
size_bytes{quantile="0.5"} 100
size_bytes_sum 300
size_bytes_count 3
# TYPE other gauge
other{x="y"} NaN
`

// full is a contract that sound keeps.
func full(url string) *Probe {
	return &Probe{
		URL: url + "/metrics",
		Families: map[string]Family{
			"requests_total":   {Type: "counter", Labels: map[string][]string{"code": {"200", "500"}}},
			"duration_seconds": {Type: "histogram", Labels: map[string][]string{"result": {"ok", "revoked"}}, Buckets: []float64{0.5}},
			"size_bytes":       {Type: "summary"},
			"other":            {},
		},
		Zero: map[string]string{"cross-tenant": "cross_tenant_total", "errors": `requests_total{code=~"5.."}`},
	}
}

const textFormat = "text/plain; version=0.0.4; charset=utf-8"

// exposing starts a service that exposes a text.
func exposing(t *testing.T, text string) string {
	t.Helper()
	return probetest.Serve(t, map[string]http.HandlerFunc{"/metrics": probetest.Respond(200, textFormat, text)})
}

func TestContract_kept(t *testing.T) {
	r := probetest.Run(t, Kind(), full(exposing(t, sound)))
	probetest.WantLines(t, r,
		"pass",
		"scrape pass(ok): read 16 series",
		"families pass(ok): 4 metrics exposed, of the right type",
		"labels pass(ok): every series has its labels, and every value occurs (2 labels)",
		"buckets pass(ok): every histogram has its buckets (1 bound)",
		"zero pass(ok): 2 sums that must be 0 are 0",
	)
	for _, s := range r.Samples {
		if want := map[string]float64{"probe_contract_family_ok": 1, "probe_contract_series": 16, "probe_contract_zero": 0}[s.Name]; s.Value != want {
			t.Errorf("%s %q: expected %v, got %v", s.Name, s.Values, want, s.Value)
		}
	}
	if len(r.Samples) != 7 {
		t.Errorf("expected 7 samples, got %d", len(r.Samples))
	}
}

// TestContract_old: Prometheus shows nothing of a sample that states a time long ago, so it is not exposed.
func TestContract_old(t *testing.T) {
	r := probetest.Run(t, Kind(), full(exposing(t, strings.Replace(sound, `other{x="y"} NaN`, `other{x="y"} NaN 1395066363000`, 1))))
	if got := probetest.Lines(r); !strings.Contains(got, "scrape pass(ok): read 16 series, 1 of them with a time that is not now, of which Prometheus shows nothing\nfamilies fail(family_missing): expected other, got none\n") {
		t.Error(got)
	}
}

// Each change breaks one promise of the contract, and no other.
func TestContract_broken(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"a family is gone":            {"other{x=\"y\"} NaN\n", "", "fail\nfamilies fail(family_missing): expected other, got none"},
		"a counter became a gauge":    {"requests_total counter", "requests_total gauge", "fail\nfamilies fail(wrong_type): expected requests_total to be a counter, got a gauge\nlabels inconclusive(control_failed): a metric is missing or of another type, so nothing is known of what it has"},
		"a histogram became summary":  {"duration_seconds histogram", "duration_seconds summary", "fail\nfamilies fail(wrong_type): expected duration_seconds to be a histogram, got a summary\n*"},
		"a histogram lost its type":   {"# TYPE duration_seconds histogram\n", "", "fail\nfamilies fail(wrong_type): expected duration_seconds to be a histogram, got series without a type\n*"},
		"a label is renamed":          {"{code=", "{status=", "fail\nlabels fail(label_missing): expected the label code on all 2 series of requests_total, got it on 0\nzero fail(series_missing): *"},
		"a label is empty on one":     {`{code="200"}`, `{code=""}`, "fail\nlabels fail(label_missing): expected the label code on all 2 series of requests_total, got it on 1"},
		"a value does not occur":      {`result="revoked"`, `result="gone"`, "fail\nlabels fail(value_missing): expected a series of duration_seconds with result=revoked, got none: increase() does not see the first event of a series that begins with it"},
		"an edge moved on one series": {`{result="ok",le="0.5"}`, `{result="ok",le="0.4"}`, "fail\nbuckets fail(bucket_missing): expected a bucket with le=0.5 on all 2 series of duration_seconds, got none on 1"},
		"telemetry is not 0":          {"cross_tenant_total 0", "cross_tenant_total 2", "fail\nzero fail(not_zero): expected cross_tenant_total to be 0, got 2"},
		"telemetry is gone":           {"# TYPE cross_tenant_total counter\ncross_tenant_total 0\n", "", "fail\nzero fail(series_missing): expected cross_tenant_total to exist and be 0, got no series: its first event would go unseen"},
		"telemetry is NaN":            {"cross_tenant_total 0", "cross_tenant_total NaN", "fail\nzero fail(not_a_number): expected cross_tenant_total to be 0, got NaN, which no alert sees"},
		"telemetry has no value":      {"\ncross_tenant_total 0", "", "fail\nzero fail(series_missing): *"},
		"a series is there twice":     {"requests_total{code=\"200\"} 12\n", "requests_total{code=\"200\"} 12\nrequests_total{code=\"200\"} 13\n", "fail\nfamilies fail(duplicate_series): expected each series of requests_total once, got one twice: Prometheus takes only one of them"},
		"twice, in another order":     {"requests_total{code=\"200\"} 12\n", "requests_total{code=\"200\",a=\"b\"} 12\nrequests_total{a=\"b\",code=\"200\"} 13\n", "fail\nfamilies fail(duplicate_series): *"},
		"a line without an end":       {"other{x=\"y\"} NaN", "other{x=\"" + strings.Repeat("y", 65<<10) + "\"} 1", "inconclusive\nscrape inconclusive(self_limit): line 23 is longer than 64 KiB, which is the most that is read of one"},
		"a bucket is there twice":     {"duration_seconds_sum{result=\"ok\"} 1.5\n", "duration_seconds_bucket{result=\"ok\",le=\"0.5\"} 9\n", "fail\nfamilies fail(duplicate_series): *"},
		"a quantile is there twice":   {"size_bytes_sum 300\n", "size_bytes{quantile=\"0.5\"} 200\n", "fail\nfamilies fail(duplicate_series): *"},
		"cut in the middle of a line": {"other{x=\"y\"} NaN\n", "other{x=\"", "fail\nscrape fail(truncated): expected whole metrics, got fewer: it ends in the middle: Prometheus takes nothing of it"},
		"an odd line":                 {"# TYPE other gauge", "what is this?", "fail\nscrape fail(schema): line 22 is not of the text format: Prometheus takes nothing of the exposition"},
		"a second type":               {"requests_total{code=\"500\"} 0\n", "requests_total{code=\"500\"} 0\n# TYPE requests_total gauge\n", "fail\nscrape fail(schema): line 7 *"},
		"a series of nobody's is bad": {"other{x=\"y\"} NaN", "foreign{x=\"y\"} abc", "fail\nscrape fail(schema): line 23 *"},
		"only comments":               {sound, "# nothing\n", "fail\nscrape fail(no_series): expected metrics, got none"},
		"empty":                       {sound, "", "fail\nscrape fail(no_series): expected metrics, got none"},
	} {
		text := strings.ReplaceAll(sound, c.old, c.new)
		if text == sound {
			t.Fatalf("%s changes nothing", name)
		}
		got := probetest.NotPassed(probetest.Run(t, Kind(), full(exposing(t, text))))
		if prefix, ok := strings.CutSuffix(c.want, "*"); got != c.want && !(ok && strings.HasPrefix(got, prefix)) {
			t.Errorf("%s:\n got  %s\n want %s", name, got, c.want)
		}
	}
}

// Each metric has a series of its own that says whether it is as the contract has it, and a sentence names three mistakes.
func TestContract_brokenTogether(t *testing.T) {
	text := strings.NewReplacer("{code=", "{status=", `le="0.5"`, `le="0.4"`, "other{", "another{").Replace(sound)
	p := full(exposing(t, text))
	p.Zero = nil
	want := "expected absent_1, got none; expected absent_2, got none; expected other, got none"
	for _, more := range []string{"", "; and 1 more"} {
		p.Families["absent_1"], p.Families["absent_2"] = Family{}, Family{}
		r := probetest.Run(t, Kind(), p)
		if got := probetest.Lines(r); !strings.Contains(got, "families fail(family_missing): "+want+more+"\n") {
			t.Errorf("got %s", got)
		}
		for _, s := range r.Samples {
			if s.Measure == familyGauge && (s.Value == 1) != (s.Values[1] == "size_bytes" || s.Values[1] == "process_start_time_seconds") {
				t.Errorf("%s is %v", s.Values[1], s.Value)
			}
		}
		p.Families["z_absent"] = Family{}
		p.Families["process_start_time_seconds"] = Family{}
	}
}

// Of a metric that is not there nobody knows what it has. One that must have nothing takes no proof from the others.
func TestContract_missing(t *testing.T) {
	code, half := map[string][]string{"code": {}}, []float64{0.5}
	for name, c := range map[string]struct {
		families map[string]Family
		want     string
	}{
		"it must have nothing": {map[string]Family{"absent": {}, "requests_total": {Labels: code}, "duration_seconds": {Type: "histogram", Buckets: half}}, "families fail(family_missing): expected absent, got none"},
		"it must have a label": {map[string]Family{"absent": {Labels: code}, "requests_total": {Labels: code}}, "families fail(family_missing): *labels inconclusive(control_failed): *"},
		"it must have a bucket": {map[string]Family{"absent": {Type: "histogram", Buckets: half}, "duration_seconds": {Type: "histogram", Buckets: half}},
			"families fail(family_missing): *buckets inconclusive(control_failed): *"},
		"it lost its type, and none is expected": {map[string]Family{"untyped": {}}, "families fail(family_missing): expected untyped, got none"},
	} {
		got := probetest.NotPassed(probetest.Run(t, Kind(), &Probe{URL: exposing(t, sound+"untyped_count 1\n") + "/metrics", Families: c.families}))
		if !matches("fail\n"+c.want, got) {
			t.Errorf("%s:\n got  %s\n want %s", name, got, c.want)
		}
	}
}

// A contract without metrics, labels or buckets notes none of them.
func TestContract_zeroAlone(t *testing.T) {
	p := full(exposing(t, sound))
	p.Families = nil
	probetest.WantLines(t, probetest.Run(t, Kind(), p), "pass", "scrape pass(ok): read 16 series", "zero pass(ok): 2 sums that must be 0 are 0")
}

// OpenMetrics is read by its own rules: without its end it may have been cut.
func TestContract_openMetrics(t *testing.T) {
	const text = "# TYPE requests counter\nrequests_total 1\n"
	for end, want := range map[string]string{"# EOF\n": "pass", "": "fail\nscrape fail(truncated): *"} {
		url := probetest.Serve(t, map[string]http.HandlerFunc{"/metrics": probetest.Respond(200, "application/openmetrics-text; version=1.0.0; charset=utf-8", text+end)})
		p := &Probe{URL: url + "/metrics", Zero: map[string]string{"a": "absent_total"}, Families: map[string]Family{"requests_total": {Type: "counter"}}}
		p.Zero = nil
		if got := probetest.NotPassed(probetest.Run(t, Kind(), p)); !matches(want, got) {
			t.Errorf("with %q: got %s", end, got)
		}
	}
}

// Close closes the connections to the service and those of the requests.
func TestClose(t *testing.T) {
	c := newCounter(5, 1_700_000_000)
	metrics, one := testenv.ServeCounted(t, c.ServeHTTP)
	calls, other := testenv.ServeCounted(t, c.ServeHTTP)
	p := &Probe{URL: metrics + "/metrics", Moves: map[string]Move{"calls": {Series: "calls_total", Request: &Request{URL: calls + "/call", Status: httpx.Codes(401)}}}}
	p.Connection, p.Moves["calls"].Request.Connection = "reuse", "reuse"
	probetest.Run(t, Kind(), p)
	testenv.WantClosed(t, p, 2, func() int { return one() + other() })
}

// What is not 0 is a breach, though the sum of several be 0.
func TestContract_breach(t *testing.T) {
	text := strings.Replace(sound, "cross_tenant_total 0", "cross_tenant_total{org=\"a\"} 1\ncross_tenant_total{org=\"b\"} -1", 1)
	r := probetest.Run(t, Kind(), full(exposing(t, text)))
	if c := r.Decisive(); c.Reason != reasonNotZero || !c.Reason.Breach {
		t.Errorf("got %+v", c)
	}
}

func TestContract_answers(t *testing.T) {
	for name, c := range map[string]struct {
		status      int
		contentType string
		header      string
		want        string
	}{
		"no metrics there":   {404, "text/plain", "", "fail\nscrape fail(status): expected 200, got 404"},
		"a login page":       {200, "text/html; charset=utf-8", "", "fail\nscrape fail(schema): expected the text format of Prometheus, got HTML"},
		"JSON":               {200, "application/json", "", "fail\nscrape fail(schema): expected the text format of Prometheus, got JSON"},
		"protobuf":           {200, "application/vnd.google.protobuf; encoding=delimited", "", "fail\nscrape fail(schema): expected the text format of Prometheus, got protobuf, which was not asked for"},
		"something else":     {200, "image/png; <secret>", "", "fail\nscrape fail(schema): expected the text format of Prometheus, got another content type"},
		"a cache":            {200, textFormat, "Age: 60", "inconclusive\nscrape inconclusive(stale_or_cached): *"},
		"not allowed":        {401, textFormat, "", "fail\nscrape fail(status): *"},
		"too many":           {429, textFormat, "Retry-After: 60", "inconclusive\nscrape inconclusive(rate_limited): *"},
		"not there just now": {503, textFormat, "", "fail\nscrape fail(status): expected 200, got 503"},
		"moved":              {302, textFormat, "", "fail\nscrape fail(redirect): *"},
	} {
		url := probetest.Serve(t, map[string]http.HandlerFunc{"/metrics": func(w http.ResponseWriter, q *http.Request) {
			if key, value, ok := strings.Cut(c.header, ": "); ok {
				w.Header().Set(key, value)
			}
			probetest.Respond(c.status, c.contentType, sound)(w, q)
		}})
		got := probetest.NotPassed(probetest.Run(t, Kind(), full(url)))
		if prefix, ok := strings.CutSuffix(c.want, "*"); got != c.want && !(ok && strings.HasPrefix(got, prefix)) {
			t.Errorf("%s:\n got  %s\n want %s", name, got, c.want)
		}
	}
}

// Protobuf is never asked for, names in UTF-8 only if the contract has some, and an Accept of the configuration stays.
func TestContract_accept(t *testing.T) {
	var got []string
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/metrics": func(w http.ResponseWriter, q *http.Request) {
		got = q.Header.Values("Accept")
		probetest.Respond(200, textFormat, sound+"{\"a.b\",\"l.m\"=\"n\"} 1\n")(w, q)
	}})
	odd := &Probe{URL: url + "/metrics", Families: map[string]Family{"a.b": {Labels: map[string][]string{"l.m": {"n"}}}}, Zero: map[string]string{"x": `cross_tenant_total`}}
	own := full(url)
	own.Headers = map[string]httpx.Value{"accept": {Text: "text/plain"}}
	for _, c := range []struct {
		p    *Probe
		want string
	}{
		{full(url), "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"},
		{odd, "text/plain;version=1.0.0;escaping=allow-utf-8,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1"},
		{own, "text/plain"},
	} {
		if r := probetest.Run(t, Kind(), c.p); r.Verdict() != probe.Pass {
			t.Errorf("%s", probetest.Lines(r))
		}
		if len(got) != 1 || got[0] != c.want {
			t.Errorf("expected Accept: %s, got %q", c.want, got)
		}
	}
}

func TestContract_replicas(t *testing.T) {
	one, two := exposing(t, sound), exposing(t, strings.Replace(sound, "cross_tenant_total 0", "cross_tenant_total 1", 1))
	p := full(one)
	p.Replicas = replicas.Replicas{Static: []string{strings.TrimPrefix(one, "http://"), strings.TrimPrefix(two, "http://"), "127.0.0.1:1"}, Want: 3}
	got := probetest.NotPassed(probetest.Run(t, Kind(), p))
	want := "fail\nzero@" + strings.TrimPrefix(two, "http://") + " fail(not_zero): expected cross_tenant_total to be 0, got 1\nscrape@127.0.0.1:1 fail(refused): "
	if !strings.HasPrefix(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Fewer replicas than there must be are told, and those that there are asked.
func TestContract_fewerReplicas(t *testing.T) {
	p := full("http://localhost")
	_, port, _ := strings.Cut(strings.TrimPrefix(exposing(t, sound), "http://"), ":")
	p.Replicas = replicas.Replicas{DNS: "localhost:" + port, Want: 3}
	got := probetest.Lines(probetest.Run(t, Kind(), p))
	if !matches("fail\nreplicas fail(replicas): expected 3 replicas, got *\nzero@127.0.0.1:"+port+" pass(ok): *", got) {
		t.Errorf("got %s", got)
	}
}

// What the contract is not about is read and not kept.
func TestWants(t *testing.T) {
	p := full("http://a.example")
	p.Moves = map[string]Move{"m": {Series: "h_count"}}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"requests_total": true, "duration_seconds_bucket": true, "cross_tenant_total": true, "h": true, "h_bucket": true, startSeries: true,
		"foreign": false, "requests": false, "h_total": false,
	} {
		if got := p.wants(name); got != want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

func TestExpectedStatuses(t *testing.T) {
	p := &Probe{Moves: map[string]Move{
		"a": {Request: &Request{Status: httpx.Codes(401, 200, 400)}}, "b": {Request: &Request{Status: httpx.Codes(401, 403)}}, "c": {Within: probe.Duration(time.Second)},
	}}
	if got := fmt.Sprint(p.ExpectedStatuses()[""]); got != "[400 401 403]" {
		t.Errorf("got %s", got)
	}
}

// TestChecks: what is announced must be made, or nothing passes.
func TestChecks(t *testing.T) {
	for want, p := range map[string]*Probe{
		"[scrape families]":                              {Families: map[string]Family{"a": {}}},
		"[scrape families labels]":                       {Families: map[string]Family{"a": {Labels: map[string][]string{"code": {}}}, "b": {}}},
		"[scrape families buckets]":                      {Families: map[string]Family{"a": {Buckets: []float64{1}}, "b": {}}},
		"[scrape zero]":                                  {Zero: map[string]string{"a": "a_total"}},
		"[scrape moves]":                                 {Moves: map[string]Move{"a": {}}},
		"[replicas scrape families labels buckets zero]": {Families: full("").Families, Zero: full("").Zero, Replicas: replicas.Replicas{Static: []string{"127.0.0.1:1"}, Want: 1}},
	} {
		if got := fmt.Sprint(p.Checks()); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// What rules read is covered by a family, by its buckets, sum and count, and by the series that must be 0 or move.
func TestRequiresSeries(t *testing.T) {
	p := full("http://a.example")
	p.Families["c_total"] = Family{Type: "counter"}
	p.Moves = map[string]Move{"m": {Series: `moving_total{x="y"}`}}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	for series, want := range map[string]bool{
		"requests_total ": true, "requests_total code": true, "requests_total x": false, "duration_seconds_bucket le": true, "duration_seconds_count result": true,
		"duration_seconds_sum x": false, "size_bytes quantile": true, "size_bytes_count ": true, "size_bytes le": false, "other_bucket ": true,
		"c_total_count ": false, "cross_tenant_total ": true, "cross_tenant_total x": false, "moving_total x": true, "moving_total ": true, "nothing ": false, "_count ": false,
	} {
		name, label, _ := strings.Cut(series, " ")
		if got := p.RequiresSeries(name, label); got != want {
			t.Errorf("%s: got %t", series, got)
		}
	}
}

// As much as there may be is accepted, and one of each is something that is required.
func TestValidate_bounds(t *testing.T) {
	long := strings.Repeat("a", maxName)
	p := &Probe{URL: "https://a.example/metrics", Families: map[string]Family{long: {}}, Moves: map[string]Move{}}
	for i := range maxFamilies - 1 {
		p.Families[fmt.Sprint("f", i)] = Family{}
	}
	for i := range maxMoves {
		p.Moves[fmt.Sprint("m", i)] = Move{Series: "a_total"}
	}
	for _, p := range []*Probe{
		p, {URL: p.URL, Families: map[string]Family{"a": {}}, Moves: map[string]Move{"a": {Series: "a_total"}}},
		{URL: p.URL, Families: map[string]Family{"a": {}}, Zero: map[string]string{"a": "a_total"}},
	} {
		if err := p.Validate(); err != nil {
			t.Error(err)
		}
	}
	p.Families = map[string]Family{long + "a": {}}
	if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "expected the name of a metric, at most 200 bytes") {
		t.Errorf("got %v", err)
	}
}

// matches reports whether a text is as expected; * stands for any text.
func matches(want, got string) bool {
	return regexp.MustCompile("(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(want), `\*`, ".*") + "$").MatchString(got)
}
