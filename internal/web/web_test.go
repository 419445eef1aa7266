package web

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"prober/internal/probe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// full is a site with every part.
func full() Options {
	return Options{
		Title: "ibex prober", Version: "1.0.0", Hosts: []string{"prober.example"},
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "probe_success 1\n") }),
		Healthy: func() error { return nil },
		Ready:   func() error { return nil },
		Reload:  func(context.Context) error { return nil },
		Config:  func() []byte { return []byte("system: ibex\n") },
		Schema:  func() []byte { return []byte(`{"type":"object"}`) },
		Status: func() []ProbeStatus {
			return []ProbeStatus{{ID: probe.ID{System: "ibex", Name: "proxy", Type: "health"}, Verdict: probe.Pass, Reason: probe.OK, Detail: "200 on 3 of 3"}}
		},
		Extra: map[string]http.Handler{"/extra/": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "extra "+r.Method) })},
	}
}

func ask(h http.Handler, method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://prober.example"+path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestRoutes(t *testing.T) {
	h := New(full())
	get := "GET, HEAD"
	for _, c := range []struct {
		path, allow, kind, body string
	}{
		{"/", get, "text/html; charset=utf-8", "ibex prober: 1 passed"},
		{"/metrics", get, "", "probe_success 1\n"},
		{"/metrics?name[]=probe_success&" + strings.Repeat("x", 10_000), get, "", "probe_success 1\n"},
		{"/-/healthy", get, "text/plain; charset=utf-8", "prober is healthy\n"},
		{"/-/ready", get, "text/plain; charset=utf-8", "prober is ready\n"},
		{"/-/reload", "POST, PUT", "text/plain; charset=utf-8", "reloaded\n"},
		{"/config", get, "text/yaml; charset=utf-8", "system: ibex\n"},
		{"/schema.json", get, "application/schema+json", `{"type":"object"}`},
		{"/api/v1/status", get, "application/json", `"name":"proxy"`},
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"} {
			w := ask(h, method, c.path)
			if !strings.Contains(c.allow, method) {
				if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != c.allow {
					t.Errorf("%s %.30s: got %d, Allow %q; wanted 405 and %q", method, c.path, w.Code, w.Header().Get("Allow"), c.allow)
				}
				continue
			}
			if w.Code != 200 || !strings.Contains(w.Body.String(), c.body) || (c.kind != "" && w.Header().Get("Content-Type") != c.kind) {
				t.Errorf("%s %.30s: got %d, %s\n%s", method, c.path, w.Code, w.Header().Get("Content-Type"), w.Body)
			}
		}
	}
	for _, path := range []string{"/nowhere", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/vars", "/metrics/", "/-/quit", "/index.html", "/healthz", "/favicon.ico"} {
		if w := ask(h, "GET", path); w.Code != http.StatusNotFound {
			t.Errorf("GET %s: got %d, wanted 404", path, w.Code)
		}
	}
	if w := ask(h, "GET", "/extra/thing"); w.Body.String() != "extra GET" {
		t.Errorf("extra: got %d %s", w.Code, w.Body)
	}
}

func TestNew_withoutOptions(t *testing.T) {
	h := New(Options{Hosts: []string{"prober.example"}})
	for path, want := range map[string]int{
		"/": 200, "/-/healthy": 200, "/-/ready": 200, "/api/v1/status": 200, "/metrics": 404, "/config": 404, "/schema.json": 404,
	} {
		if w := ask(h, "GET", path); w.Code != want {
			t.Errorf("GET %s: got %d, wanted %d", path, w.Code, want)
		}
	}
	if w := ask(h, "POST", "/-/reload"); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "not enabled") {
		t.Errorf("reload: got %d %s", w.Code, w.Body)
	}
	page := ask(h, "GET", "/").Body.String()
	if strings.Contains(page, "metrics") || !strings.Contains(page, "prober: no probes") {
		t.Errorf("the page links to what is not there:\n%s", page)
	}
	if got := ask(h, "GET", "/api/v1/status").Body.String(); !strings.Contains(got, `"probes":[]`) {
		t.Errorf("status without probes: %s", got)
	}
}

func TestHealth(t *testing.T) {
	sick := func() error { return errors.New("the scheduler has not started a run for 5m") }
	wait := func() error { return errors.New("no configuration is loaded") }
	h := Health(sick, wait)
	for path, want := range map[string]string{
		"/-/healthy": "prober is not healthy: the scheduler has not started a run for 5m\n",
		"/healthz":   "prober is not healthy: the scheduler has not started a run for 5m\n",
		"/livez":     "prober is not healthy: the scheduler has not started a run for 5m\n",
		"/-/ready":   "prober is not ready: no configuration is loaded\n",
		"/readyz":    "prober is not ready: no configuration is loaded\n",
	} {
		if w := ask(h, "GET", path); w.Code != http.StatusServiceUnavailable || w.Body.String() != want {
			t.Errorf("GET %s: got %d %s", path, w.Code, w.Body)
		}
		if w := ask(Health(nil, nil), "HEAD", path); w.Code != 200 {
			t.Errorf("HEAD %s of a healthy prober: got %d", path, w.Code)
		}
		if w := ask(h, "POST", path); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: got %d", path, w.Code)
		}
	}
	for _, path := range []string{"/", "/metrics", "/config", "/-/reload", "/api/v1/status"} {
		if w := ask(h, "GET", path); w.Code != http.StatusNotFound {
			t.Errorf("GET %s: got %d, wanted 404", path, w.Code)
		}
	}
	o := full()
	o.Healthy, o.Ready = sick, wait
	page := ask(New(o), "GET", "/").Body.String()
	if !strings.Contains(page, "has not started a run") || !strings.Contains(page, "no configuration is loaded") {
		t.Error("the page does not say that the prober itself is not well")
	}
}

func TestReload(t *testing.T) {
	o := full()
	bad := errors.New("ibex.yaml:6: proxy: unknown key expcet\nibex.yaml:9: proxy: <b>url</b> is missing\x1b[31m")
	o.Reload = func(context.Context) error { return bad }
	o.ReloadError = func() error { return bad }
	h := New(o)
	for _, method := range []string{"POST", "PUT"} {
		w := ask(h, method, "/-/reload")
		want := "not reloaded, the previous configuration keeps running:\nibex.yaml:6: proxy: unknown key expcet\nibex.yaml:9: proxy: <b>url</b> is missing [31m\n"
		if w.Code != 500 || w.Body.String() != want || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s: got %d %s", method, w.Code, w.Body)
		}
	}
	page := ask(h, "GET", "/").Body.String()
	if !strings.Contains(page, "The last reload failed") || !strings.Contains(page, "unknown key expcet") || strings.Contains(page, "<b>url") {
		t.Errorf("the banner is not there or not escaped:\n%s", page)
	}
}

func TestGuard_crossOrigin(t *testing.T) {
	reloads := 0
	o := full()
	o.Reload = func(context.Context) error { reloads++; return nil }
	h := New(o)
	for _, c := range []struct {
		name    string
		headers []string
		want    int
	}{
		{"curl", nil, 200},
		{"our own page", []string{"Origin", "http://prober.example", "Sec-Fetch-Site", "same-origin"}, 200},
		{"our own page, old browser", []string{"Origin", "http://prober.example"}, 200},
		{"another site", []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, 403},
		{"another site, old browser", []string{"Origin", "https://evil.example"}, 403},
		{"a sibling of our domain", []string{"Origin", "http://wiki.example", "Sec-Fetch-Site", "same-site"}, 403},
		{"another port", []string{"Origin", "http://prober.example:8080"}, 403},
		{"a sandboxed frame", []string{"Origin", "null"}, 403},
	} {
		before := reloads
		if w := ask(h, "POST", "/-/reload", c.headers...); w.Code != c.want || (reloads > before) != (c.want == 200) {
			t.Errorf("%s: got %d and %d reloads", c.name, w.Code, reloads-before)
		}
		if w := ask(h, "POST", "/extra/x", c.headers...); w.Code != c.want {
			t.Errorf("%s: got %d from an extra handler", c.name, w.Code)
		}
		if w := ask(h, "GET", "/metrics", c.headers...); w.Code != 200 {
			t.Errorf("%s: got %d for metrics", c.name, w.Code)
		}
	}
}

func TestGuard_headers(t *testing.T) {
	h := New(full())
	for _, path := range []string{"/", "/metrics", "/-/healthy", "/config", "/api/v1/status", "/nowhere", "/extra/"} {
		got := ask(h, "GET", path).Header()
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store", "Referrer-Policy": "same-origin",
		} {
			if got.Get(name) != want {
				t.Errorf("GET %s: %s is %q", path, name, got.Get(name))
			}
		}
		if policy := got.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
			t.Errorf("GET %s: policy %q", path, policy)
		}
	}
}

func TestPages_contentSecurityPolicy(t *testing.T) {
	o := full()
	o.Changed = NewStatusStore().Changed
	w := ask(New(o), "GET", "/")
	page := w.Body.String()
	before, rest, _ := strings.Cut(page, `<script data-events="./events">`)
	code, after, found := strings.Cut(rest, "</script>")
	sum := sha256.Sum256([]byte(code))
	if want := "script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"; !found || !strings.Contains(w.Header().Get("Content-Security-Policy"), want) {
		t.Errorf("the policy does not hold %s, the hash of the script", want)
	}
	page = before + after
	_, rest, _ = strings.Cut(page, "<style>")
	css, _, found := strings.Cut(rest, "</style>")
	sum = sha256.Sum256([]byte(css))
	if want := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !found || !strings.Contains(w.Header().Get("Content-Security-Policy"), want) {
		t.Errorf("the policy does not hold %s, the hash of the style", want)
	}
	for _, never := range []string{"<script", "http://", "https://", "style=", "onclick"} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %s", never)
		}
	}
}

func TestIndex_hostileText(t *testing.T) {
	evil := `"><script>alert(1)</script><img src=x onerror=alert(1)>'{{.}}`
	row := ProbeStatus{
		ID:         probe.ID{System: evil, Name: evil, Type: evil, Runbook: evil, Severity: evil},
		RunbookURL: "javascript:alert(1)", Verdict: probe.Fail, Reason: probe.Reason{Word: evil}, Check: evil, Detail: evil,
		TraceID: evil, Version: evil,
		Failing: []probe.Check{{Name: evil, Target: evil, Reason: probe.Reason{Word: evil}, Detail: evil}, {Name: evil, Detail: evil}},
	}
	o := full()
	o.Title, o.Version = evil, evil
	o.Status = func() []ProbeStatus { return []ProbeStatus{row} }
	o.ReloadError = func() error { return errors.New(evil) }
	o.Faults = func() []Fault {
		return []Fault{{Name: evil, Summary: evil, Signal: evil, Path: "/extra/" + evil}, {Name: evil, Active: true, Path: "javascript:alert(1)"}}
	}
	h := New(o)
	page := ask(h, "GET", "/").Body.String() + ask(h, "GET", "/demo").Body.String()
	for _, never := range []string{"<script", "<img", `href="javascript:`, `action="javascript:`, `'{{`} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %s", never)
		}
	}
	if n := strings.Count(page, "&lt;script&gt;"); n < 15 {
		t.Errorf("the control: the text should be on the page everywhere, got %d places", n)
	}
	status := ask(h, "GET", "/api/v1/status").Body.String()
	if strings.Contains(status, "<script") || !json.Valid([]byte(status)) {
		t.Errorf("the status is not safe: %s", status)
	}
}

func TestStatus_golden(t *testing.T) {
	o := full()
	o.Status = func() []ProbeStatus {
		return []ProbeStatus{{
			ID:         probe.ID{System: "ibex", Name: "proxy", Type: "health", Runbook: "proxy-down", Severity: "P1"},
			RunbookURL: "https://docs.example/#proxy-down", Interval: 15 * time.Second, Verdict: probe.Fail, Reason: probe.Status, Check: "ready",
			Detail: "wanted 200, got 503", Since: time.Unix(1_800_000_000, 0), LastRun: time.Unix(1_800_000_030, 5e8), Latency: 12 * time.Millisecond,
			Failing: []probe.Check{{Name: "ready", Target: "10.0.0.1:8080", Verdict: probe.Fail, Reason: probe.Status, Detail: "wanted 200, got 503"}},
			TraceID: "4bf9", Version: "1.4.2",
		}, {ID: probe.ID{System: "ibex", Name: "new", Type: "http"}, Reason: probe.NothingChecked, Check: "run", Detail: "not run yet"}}
	}
	got := ask(New(o), "GET", "/api/v1/status").Body.String()
	head, rows, _ := strings.Cut(got, `"probes":`)
	if !strings.HasPrefix(head, `{"version":"1.0.0","time":"`) || !strings.HasSuffix(head, `Z","summary":{"pass":0,"fail":1,"inconclusive":1},`) {
		t.Errorf("got %s", head)
	}
	want := `[{"system":"ibex","name":"proxy","type":"health","runbook":"proxy-down","runbook_url":"https://docs.example/#proxy-down","severity":"P1",` +
		`"verdict":"fail","reason":"status","check":"ready","detail":"wanted 200, got 503","since":"2027-01-15T08:00:00Z","last_run":"2027-01-15T08:00:30.5Z",` +
		`"interval_seconds":15,"latency_seconds":0.012,"overdue":false,"trace_id":"4bf9","version":"1.4.2",` +
		`"failing":[{"name":"ready","target":"10.0.0.1:8080","verdict":"fail","reason":"status","detail":"wanted 200, got 503"}]},` +
		`{"system":"ibex","name":"new","type":"http","verdict":"inconclusive","reason":"nothing_checked","check":"run","detail":"not run yet",` +
		`"interval_seconds":0,"latency_seconds":0,"overdue":false,"failing":[]}]}` + "\n"
	if rows != want {
		t.Errorf("got  %s\nwant %s", rows, want)
	}
}

func TestIndex(t *testing.T) {
	o := full()
	o.Status = func() []ProbeStatus {
		return []ProbeStatus{{
			ID:         probe.ID{System: "ibex", Name: "proxy", Type: "health", Runbook: "proxy-down", Severity: "P1"},
			RunbookURL: "https://docs.example/#proxy-down", Verdict: probe.Fail, Reason: probe.Refused, Detail: "nobody listens",
			Since: time.Unix(1_800_000_000, 0), SinceExact: true, Latency: 1300 * time.Millisecond, TraceID: "4bf92f35",
			Failing: []probe.Check{{Name: "live", Target: "10.0.0.1:8080", Reason: probe.Refused, Detail: "nobody listens"},
				{Name: "ready", Target: "10.0.0.2:8080", Reason: probe.Timeout, Detail: "no answer in 5s"}},
		}, {ID: probe.ID{System: "ibex", Name: "clock", Type: "clock"}, Verdict: probe.Inconclusive, Reason: probe.Reason{Word: "odd_one"}, Detail: "no answer"},
			{ID: probe.ID{System: "ibex", Name: "slow", Type: "http"}, Verdict: probe.Fail, Reason: probe.Slow, Detail: "slow", Since: time.Unix(1_800_000_000, 0), Latency: 2500 * time.Millisecond}}
	}
	page := ask(New(o), "GET", "/").Body.String()
	for _, want := range []string{
		"ibex prober: 1 P1, 1 without a severity failed since 2027-01-15 08:00:00 UTC", "<strong>connection refused</strong>: nobody listens", "2027-01-15 08:00:00 UTC", "latency 2.5 s",
		`<a href="https://docs.example/#proxy-down" rel="noreferrer">proxy-down</a>`, "trace id 4bf92f35",
		"ready 10.0.0.2:8080: <strong>no complete answer in time</strong>: no answer in 5s", "<strong>odd one</strong>: no answer",
		`href="./metrics"`, `href="./config"`, `href="./-/healthy"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "1.3 s") {
		t.Error("a refused connection has a latency")
	}
}
