package http

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/probes/internal/expect"
	"prober/probes/internal/probetest"
)

func str(s string) *string { return &s }

func pattern(expr string) *expect.Pattern { return &expect.Pattern{Regexp: regexp.MustCompile(expr)} }

func TestHTTP_checks(t *testing.T) {
	url := probetest.Serve(t, map[string]http.HandlerFunc{
		"/up":   probetest.Respond(200, "text/html", "<html>green</html>"),
		"/json": probetest.Respond(200, "application/json", `{"status":"down","depth":7,"items":[]}`),
		"/500":  probetest.Respond(500, "text/plain", "boom"),
		"/429":  probetest.Respond(429, "text/plain", "slow down"),
		"/429-later": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(429)
		},
		"/401":      probetest.Respond(401, "text/plain", "who?"),
		"/304":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) },
		"/redirect": func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, "/up", http.StatusFound) },
		"/cached": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Age", "60")
		},
	})
	t.Setenv("TEST_HTTP_TOKEN", "token-of-the-prober")
	withToken := func(p *Probe) *Probe {
		p.Bearer = secret.Env("TEST_HTTP_TOKEN")
		return p
	}
	atLeast := func(n float64) *float64 { return &n }
	for name, c := range map[string]struct {
		probe *Probe
		want  []string
	}{
		"a page that is up": {
			&Probe{URL: url + "/up", CatchAllCheck: true, Expect: expect.Expect{Status: httpx.Codes(200), Content: expect.Content{Body: &expect.Match{Contains: "green"}}}},
			[]string{"pass", "status pass(ok): got 200", "body pass(ok): the body is as expected", "catch_all pass(ok): a nonexistent path is answered differently (404)"},
		},
		"a server error": {
			&Probe{URL: url + "/500"},
			[]string{"fail", "status fail(status): expected 2xx, got 500"},
		},
		"a 304 that nothing asked for": {
			&Probe{URL: url + "/304"},
			[]string{"fail", "status fail(status): expected 2xx, got 304"},
		},
		"a 304 that is expected": {
			&Probe{URL: url + "/304", Expect: expect.Expect{Status: httpx.Codes(304)}},
			[]string{"inconclusive", "status inconclusive(stale_or_cached): the answer may come out of a cache (status 304)*"},
		},
		"a redirect is never followed": {
			&Probe{URL: url + "/redirect", Expect: expect.Expect{Status: httpx.Codes(200)}},
			[]string{"fail", "status fail(redirect): expected 200, got 302: redirects are not followed"},
		},
		"a rate limit for everybody": {
			&Probe{URL: url + "/429"},
			[]string{"fail", "status fail(status): expected 2xx, got 429: no credential was sent, and no Retry-After asks for less, so anybody may get it"},
		},
		"a rate limit for the prober": {
			&Probe{URL: url + "/429-later"},
			[]string{"inconclusive", "status inconclusive(rate_limited): expected 2xx, got 429: the target limits the rate of the prober's requests"},
		},
		"a rate limit for the prober's token": {
			withToken(&Probe{URL: url + "/429"}),
			[]string{"inconclusive", "status inconclusive(rate_limited): *"},
		},
		"a public page that wants a credential": {
			&Probe{URL: url + "/401"},
			[]string{"fail", "status fail(status): expected 2xx, got 401: no credential was sent, so anybody gets it"},
		},
		"a credential that is refused": {
			withToken(&Probe{URL: url + "/401"}),
			[]string{"inconclusive", "status inconclusive(credential): expected 2xx, got 401: the target does not accept the probe's credential"},
		},
		"a login that is refused": {
			&Probe{URL: url + "/401", Method: "POST", Body: httpx.Value{Secret: secret.Env("TEST_HTTP_TOKEN")}},
			[]string{"inconclusive", "status inconclusive(credential): *"},
		},
		"an answer out of a cache": {
			&Probe{URL: url + "/cached"},
			[]string{"inconclusive", "status inconclusive(stale_or_cached): the answer may come out of a cache (*"},
		},
		"an answer out of a cache, allowed": {
			&Probe{URL: url + "/cached", AllowCached: true},
			[]string{"pass", "status pass(ok): got 200"},
		},
		"another body, which is not shown": {
			&Probe{URL: url + "/up", Expect: expect.Expect{Content: expect.Content{Body: &expect.Match{Contains: "blue"}}}},
			[]string{"fail", "status pass(ok): got 200", `body fail(body): expected a text with "blue", got another body of 18 bytes`},
		},
		"a header": {
			&Probe{URL: url + "/up", Expect: expect.Expect{Content: expect.Content{Headers: map[string]*expect.Match{"Content-Type": {Equals: str("application/json")}}}}},
			[]string{"fail", "status pass(ok): got 200", `headers fail(header): header Content-Type: expected "application/json", got another value`},
		},
		"a JSON value": {
			&Probe{URL: url + "/json", Expect: expect.Expect{Content: expect.Content{JSON: map[string]*expect.Match{"$.status": {Equals: str("up")}}}}},
			[]string{"fail", "status pass(ok): got 200", `json fail(body): $.status: expected "up", got another text of 4 characters`},
		},
		"a JSON number": {
			&Probe{URL: url + "/json", Expect: expect.Expect{Content: expect.Content{JSON: map[string]*expect.Match{"$.depth": {Max: atLeast(5)}}}}},
			[]string{"fail", "status pass(ok): got 200", `json fail(body): $.depth: expected at most 5, got 7`},
		},
		"a JSON value that is missing is never equal and never absent-minded": {
			&Probe{URL: url + "/json", Expect: expect.Expect{Content: expect.Content{JSON: map[string]*expect.Match{"$.nothing": {Equals: str("up")}}}}},
			[]string{"fail", "status pass(ok): got 200", `json fail(schema): $.nothing: expected "up", got nothing`},
		},
		"an empty list matches nothing": {
			&Probe{URL: url + "/json", Expect: expect.Expect{Content: expect.Content{JSON: map[string]*expect.Match{"$.items[0].id": {Equals: str("a")}}}}},
			[]string{"fail", "status pass(ok): got 200", `json fail(schema): $.items[0].id: expected "a", got nothing`},
		},
		"HTML where JSON was expected": {
			&Probe{URL: url + "/up", Expect: expect.Expect{Content: expect.Content{JSON: map[string]*expect.Match{"$.status": {Equals: str("up")}}}}},
			[]string{"fail", "status pass(ok): got 200", `json fail(schema): the answer is not JSON: *`},
		},
		"a gauge that is no number": {
			&Probe{URL: url + "/json", Gauges: map[string]jsonpath.Path{"status": probetest.Path(t, "$.status")}},
			[]string{"fail", "status pass(ok): got 200", `gauges fail(schema): expected one number at $.status, got none`},
		},
		"one replica, dialled by its address": {
			&Probe{URL: "http://api.example/up", Address: strings.TrimPrefix(url, "http://")},
			[]string{"pass", "status pass(ok): got 200"},
		},
		"too slow": {
			&Probe{URL: url + "/up", Expect: expect.Expect{Latency: new(probe.Duration(1))}},
			[]string{"fail", "status pass(ok): got 200", `latency fail(slow): expected an answer within 1ns, got one after *`},
		},
	} {
		t.Run(name, func(t *testing.T) { probetest.WantLines(t, probetest.Run(t, Kind(), c.probe), c.want...) })
	}
}

func TestGauges(t *testing.T) {
	for body, want := range map[string]string{
		`{"total": 41.5}`:    "pass [41.5]",
		`{"total": "41.5"}`:  "pass [41.5]", // as Prometheus writes numbers
		`{"total": "9e15"}`:  "pass [9e+15]",
		`{"total": "high"}`:  "fail []",
		`{"total": " 1"}`:    "fail []",
		`{"total": "Inf"}`:   "fail []",
		`{"total": "1e999"}`: "fail []",
		`{"total": true}`:    "fail []",
	} {
		url := probetest.Serve(t, map[string]http.HandlerFunc{"/q": probetest.Respond(200, "application/json", body)})
		r := probetest.Run(t, Kind(), &Probe{URL: url + "/q", Gauges: map[string]jsonpath.Path{"dead": probetest.Path(t, "$.total")}})
		values := []float64{}
		for _, s := range r.Samples {
			if s.Name == "probe_http_value" && s.Values[0] == "dead" {
				values = append(values, s.Value)
			}
		}
		if got := fmt.Sprint(r.Verdict(), " ", values); got != want {
			t.Errorf("%s: got %s, expected %s", body, got, want)
		}
	}
}

func TestCatchAll_everyPage(t *testing.T) {
	server := httptest.NewServer(probetest.Respond(200, "text/html", "welcome"))
	defer server.Close()
	probetest.WantLines(t, probetest.Run(t, Kind(), &Probe{URL: server.URL + "/up", CatchAllCheck: true}),
		"inconclusive", "status inconclusive(control_failed): got 200, which proves nothing without its control",
		"catch_all inconclusive(control_failed): a nonexistent path is answered as expected too (200): any page would have passed")
}

// TestCatchAll_inconclusive checks that a slow, cached or limited answer does not pass the catch-all check.
func TestCatchAll_inconclusive(t *testing.T) {
	for name, c := range map[string]struct {
		catchAll func(w http.ResponseWriter)
		want     string
	}{
		"out of a cache": {func(w http.ResponseWriter) { w.Header().Set("X-Cache", "HIT") }, "any page would have passed"},
		"limited":        {func(w http.ResponseWriter) { w.WriteHeader(429) }, "answered 429, which proves nothing"},
		"without answer": {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "control_failed): the request for a nonexistent path failed: "},
		"broken at all":  {func(w http.ResponseWriter) { w.WriteHeader(500) }, "answered 500, which proves nothing"},
		"broken":         {func(w http.ResponseWriter) { w.WriteHeader(502) }, "answered 502, which proves nothing"},
		"slow":           {func(http.ResponseWriter) { <-time.After(150 * time.Millisecond) }, "any page would have passed"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				if q.URL.Path != "/up" {
					c.catchAll(w)
				}
			}))
			defer server.Close()
			r := probetest.Run(t, Kind(), &Probe{URL: server.URL + "/up", CatchAllCheck: true, Expect: expect.Expect{Latency: new(probe.Duration(100 * time.Millisecond))}})
			if got := probetest.Lines(r); r.Verdict() != probe.Inconclusive || !strings.Contains(got, c.want) {
				t.Errorf("got\n%swant %s", got, c.want)
			}
		})
	}
}

func TestDenial_needsControl(t *testing.T) {
	t.Setenv("TEST_HTTP_ADMIN", "admin-token-of-the-test")
	admin := func(down *bool, bypass *bool) http.HandlerFunc {
		return func(w http.ResponseWriter, q *http.Request) {
			switch {
			case *down:
				w.WriteHeader(http.StatusUnauthorized)
			case *bypass, q.Header.Get("Authorization") == "Bearer admin-token-of-the-test":
			default:
				w.WriteHeader(http.StatusUnauthorized)
			}
		}
	}
	for name, c := range map[string]struct {
		down, bypass bool
		want         []string
	}{
		"denied and controlled": {want: []string{"pass", "status pass(ok): got 401", "control pass(ok): the request that must succeed did: got 200"}},
		"everything is denied":  {down: true, want: []string{"inconclusive", "status inconclusive(control_failed): got 401, which proves nothing without its control", "control inconclusive(control_failed): the request that must succeed did not, so nothing is proven: expected 200, got 401*"}},
		"nothing is denied":     {bypass: true, want: []string{"fail", "status fail(status): expected 401, got 200", "control pass(ok): the request that must succeed did: got 200"}},
	} {
		t.Run(name, func(t *testing.T) {
			url := probetest.Serve(t, map[string]http.HandlerFunc{"/admin": admin(&c.down, &c.bypass)})
			control := &Control{Expect: expect.Expect{Status: httpx.Codes(200)}}
			control.Bearer = secret.Env("TEST_HTTP_ADMIN")
			probetest.WantLines(t, probetest.Run(t, Kind(), &Probe{URL: url + "/admin", Expect: expect.Expect{Status: httpx.Codes(401)}, Control: control}), c.want...)
		})
	}
}

// TestValidate_controlDiffers checks that every way to ask as somebody else makes the control another request.
func TestValidate_controlDiffers(t *testing.T) {
	for name, settings := range map[string]httpx.Settings{
		"bearer":             {Bearer: secret.Env("TEST_HTTP_ADMIN")},
		"basic":              {Basic: &httpx.Basic{Username: "a", Password: secret.Env("TEST_HTTP_ADMIN")}},
		"login":              {Login: &httpx.Login{URL: "https://a.example/login"}},
		"a header":           {Headers: map[string]httpx.Value{"X-Tenant": {Text: "a"}}},
		"client certificate": {TLS: &dial.TLS{CertFile: "cert.pem", KeyFile: "key.pem"}},
	} {
		p := &Probe{URL: "https://a.example/", Expect: expect.Expect{Status: httpx.Codes(401)}, Control: &Control{Settings: settings}}
		if err := p.Validate(); err != nil && strings.Contains(err.Error(), "is the same request") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDenial_mistakenRequest checks that a list of refusals is not met by a status that may be about the request, such as
// that of a query of a table that does not exist, unless the control is the same request with another credential.
func TestDenial_mistakenRequest(t *testing.T) {
	t.Setenv("TEST_HTTP_ADMIN", "admin-token-of-the-test")
	guard := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, q *http.Request) {
			body, _ := io.ReadAll(q.Body)
			if string(body) != "scoped" && q.URL.RawQuery != "scoped" && q.Method != "PUT" && q.Header.Get("Authorization") == "" {
				w.WriteHeader(status)
			}
		}
	}
	const vacuous = "status inconclusive(control_failed): got %d, which may be about the request: the control sends another one and does not rule that out"
	otherQuery := Control{URL: "?scoped"}
	for name, c := range map[string]struct {
		want    httpx.Statuses
		got     int
		control Control
		status  string
	}{
		"a refusal":                              {httpx.Codes(400, 403), 403, Control{Body: httpx.Value{Text: "scoped"}}, "status pass(ok): got 403"},
		"no such table":                          {httpx.Codes(400, 403, 404), 404, Control{Body: httpx.Value{Text: "scoped"}}, vacuous},
		"no such table, another URL":             {httpx.Codes(403, 404), 404, otherQuery, vacuous},
		"no such table, another method":          {httpx.Codes(401, 404), 404, Control{Method: "PUT"}, vacuous},
		"a malformed query":                      {httpx.Codes(400, 403), 400, Control{Body: httpx.Value{Text: "scoped"}}, vacuous},
		"a malformed query, or nobody asks":      {httpx.Codes(400, 401), 400, Control{Body: httpx.Value{Text: "scoped"}}, vacuous},
		"any 4xx":                                {httpx.Statuses{4}, 422, otherQuery, vacuous},
		"gone or missing":                        {httpx.Codes(404, 410), 410, otherQuery, "status pass(ok): got 410"},
		"malformed or gone":                      {httpx.Codes(400, 410), 410, otherQuery, vacuous},
		"malformed or missing":                   {httpx.Codes(400, 404), 404, otherQuery, vacuous},
		"hidden from others":                     {httpx.Codes(403, 404), 404, Control{}, "status pass(ok): got 404"},
		"invalid input, and nothing of refusals": {httpx.Codes(400, 422), 422, Control{Body: httpx.Value{Text: "scoped"}}, "status pass(ok): got 422"},
		"a proxy's refusal":                      {httpx.Statuses{4}, 407, otherQuery, "status pass(ok): got 407"},
		"a refusal for a legal reason":           {httpx.Statuses{4}, 451, otherQuery, "status pass(ok): got 451"},
		"a refusal of who asks":                  {httpx.Statuses{4}, 401, otherQuery, "status pass(ok): got 401"},
		"a teapot":                               {httpx.Codes(401, 418), 418, otherQuery, vacuous},
		"an error that is expected too":          {httpx.Codes(403, 500), 500, otherQuery, "status pass(ok): got 500"},
		"a path that must be gone":               {httpx.Codes(404), 404, otherQuery, "status pass(ok): got 404"},
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, guard(c.got))
			if c.control.URL != "" {
				c.control.URL = url + "/" + c.control.URL
			}
			if c.control.URL == "" && c.control.Method == "" && c.control.Body.IsZero() {
				c.control.Bearer = secret.Env("TEST_HTTP_ADMIN")
			}
			p := &Probe{URL: url + "/", Method: "POST", Body: httpx.Value{Text: "unscoped"}, Expect: expect.Expect{Status: c.want}, Control: &c.control}
			want := c.status
			if strings.Contains(want, "%d") {
				want = fmt.Sprintf(want, c.got)
			}
			if got := probetest.Lines(probetest.Run(t, Kind(), p)); !strings.Contains(got, want+"\n") || !strings.Contains(got, "control pass(ok)") {
				t.Errorf("got\n%swant %s", got, want)
			}
		})
	}
}

func serve(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return server.URL
}

// TestValidate_withoutBody checks that a request may ask for nothing but a status where no body comes.
func TestValidate_withoutBody(t *testing.T) {
	for _, p := range []*Probe{
		{URL: "https://a.example/", Method: "HEAD"},
		{URL: "https://a.example/", Expect: expect.Expect{Status: httpx.Codes(204)}},
	} {
		if err := p.Validate(); err != nil {
			t.Errorf("%s %v: %v", p.Method, p.Expect.Status, err)
		}
	}
}

func TestValidate_vacuous(t *testing.T) {
	for name, c := range map[string]struct {
		probe *Probe
		want  string
	}{
		"an address without a port":          {&Probe{URL: "https://a.example/", Address: "127.0.0.1"}, "address: expected IP:port"},
		"no url":                             {&Probe{}, "url: is missing"},
		"a denial alone":                     {&Probe{URL: "https://a.example/", Expect: expect.Expect{Status: httpx.Codes(401)}}, "expect: status 401 is negative"},
		"an absent text alone":               {&Probe{URL: "https://a.example/", Expect: expect.Expect{Content: expect.Content{Body: &expect.Match{NotContains: "error"}}}}, "expect: body is negative"},
		"an absent value alone":              {&Probe{URL: "https://a.example/", Expect: expect.Expect{Content: expect.Content{JSON: map[string]*expect.Match{"$.error": {Absent: true}}}}}, "expect: json $.error is negative"},
		"an absent header alone":             {&Probe{URL: "https://a.example/", Expect: expect.Expect{Content: expect.Content{Headers: map[string]*expect.Match{"X-Debug": {Absent: true}}}}}, "expect: header X-Debug is negative"},
		"a control that is denied":           {&Probe{URL: "https://a.example/", Expect: expect.Expect{Status: httpx.Codes(401)}, Control: &Control{Expect: expect.Expect{Status: httpx.Codes(403)}}}, "control.expect: status 403 is negative and controls nothing"},
		"a pattern that matches all":         {&Probe{URL: "https://a.example/", Expect: expect.Expect{Content: expect.Content{Body: &expect.Match{NotContains: "error", Match: pattern("")}}}}, "expect.body.match: // matches the empty text too"},
		"a control that is the same request": {&Probe{URL: "https://a.example/", Expect: expect.Expect{Status: httpx.Codes(401)}, Control: &Control{}}, "control: is the same request"},
		"a control that looks elsewhere":     {&Probe{URL: "https://a.example/", Expect: expect.Expect{Content: expect.Content{Body: &expect.Match{NotContains: "x"}}}, Control: &Control{}}, "control: must expect something of the same part of the answer, body"},
		"an empty body":                      {&Probe{URL: "https://a.example/", Expect: expect.Expect{Content: expect.Content{Body: &expect.Match{Equals: str("")}}}}, "expect: body is negative"},
		"the body of an answer to HEAD":      {&Probe{URL: "https://a.example/", Method: "HEAD", Expect: expect.Expect{Content: expect.Content{Body: &expect.Match{Contains: "ok"}}}}, "expect.body: the answer to HEAD has no body"},
		"JSON under a status without a body": {&Probe{URL: "https://a.example/", Expect: expect.Expect{Status: httpx.Codes(204), Content: expect.Content{JSON: map[string]*expect.Match{"$.a": {Equals: str("b")}}}}}, "expect.json: an answer with status 204 has no body"},
		"gauges of an answer to HEAD":        {&Probe{URL: "https://a.example/", Method: "HEAD", Gauges: map[string]jsonpath.Path{"a": probetest.Path(t, "$.a")}}, "gauges: the answer to HEAD has no body"},
		"a method of two words":              {&Probe{URL: "https://a.example/", Method: "G@T"}, "method: expected one word"},
		"a certificate of http":              {&Probe{URL: "http://127.0.0.1/", Expect: expect.Expect{Certificate: &expect.Certificate{Warn: new(probe.Duration(time.Hour))}}}, "expect.certificate: the URL is not https"},
		"an expectation of nothing":          {&Probe{URL: "https://a.example/", Expect: expect.Expect{Content: expect.Content{Body: &expect.Match{}}}}, "expect.body: expected at least one condition"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.probe.Validate()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}
