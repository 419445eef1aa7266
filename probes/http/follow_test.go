package http

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/probes/internal/expect"
	"prober/probes/internal/probetest"
)

// redirectTo answers with a status and Locations. %s in one is the server itself.
func redirectTo(status int, locations ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		for _, l := range locations {
			w.Header().Add("Location", strings.ReplaceAll(l, "%s", q.Host))
		}
		w.WriteHeader(status)
	}
}

func TestFollow(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		t.Errorf("another origin was asked for %s", q.URL.Path)
	}))
	t.Cleanup(elsewhere.Close)
	hops := map[string]http.HandlerFunc{
		"/up":          probetest.Respond(200, "text/plain", "green"),
		"/500":         probetest.Respond(500, "text/plain", "boom"),
		"/401":         probetest.Respond(401, "text/plain", "who?"),
		"/one":         redirectTo(302, "/up"),
		"/absolute":    redirectTo(301, "http://%s/up"),
		"/origin":      redirectTo(302, "http://%s"),
		"/":            probetest.Respond(200, "text/plain", "green"),
		"/relative":    redirectTo(307, "up"),
		"/dots":        redirectTo(308, "a/../up?q=hunter2#part"),
		"/two":         redirectTo(301, "/one"),
		"/broken":      redirectTo(302, "/500"),
		"/denied":      redirectTo(302, "/401"),
		"/loop":        redirectTo(302, "/back"),
		"/back":        redirectTo(302, "/loop"),
		"/itself":      redirectTo(302, "/itself"),
		"/none":        redirectTo(302),
		"/empty":       redirectTo(302, ""),
		"/several":     redirectTo(302, "/up", "/500"),
		"/same-twice":  redirectTo(302, "/up", "/up"),
		"/malformed":   redirectTo(302, "http://[::1/"),
		"/percent":     redirectTo(302, "/%zz"),
		"/user":        redirectTo(302, "http://a:b@%s/up"),
		"/long":        redirectTo(302, "/up?"+strings.Repeat("a", 9000)),
		"/elsewhere":   redirectTo(302, elsewhere.URL+"/up"),
		"/host":        redirectTo(302, "//localhost:1/up"),
		"/hostless":    redirectTo(302, "http:///up"),
		"/opaque":      redirectTo(302, "http:up"),
		"/script":      redirectTo(302, "javascript:alert(1)"),
		"/file":        redirectTo(302, "file:///etc/passwd"),
		"/upgrade":     redirectTo(301, "https://%s/up"),
		"/backslash":   redirectTo(302, `/\evil.example/up`),
		"/token":       redirectTo(302, "/reset/8f3a9c1d77/up?t=a"),
		"/no-word":     redirectTo(302, "/a;b/up"),
		"/long-word":   redirectTo(302, "/"+strings.Repeat("a", 25)+"/up"),
		"/not-a-token": redirectTo(302, "/v2/up"),
		"/v2/up":       probetest.Respond(200, "text/plain", "green"),
		"/choices":     redirectTo(300, "/up"),
		"/seen":        redirectTo(302, "/seen-token-of-the-prober"),
	}
	for i := range 12 {
		hops["/chain"+strconv.Itoa(i)] = redirectTo(302, "/chain"+strconv.Itoa(i+1))
	}
	u := probetest.Serve(t, hops)
	t.Setenv("TEST_FOLLOW_TOKEN", "token-of-the-prober")
	for path, want := range map[string]string{
		"/up":         "status pass(ok): got 200",
		"/one":        "status pass(ok): got 200 (after 302 to /up)",
		"/absolute":   "status pass(ok): got 200 (after 301 to /up)",
		"/origin":     "status pass(ok): got 200 (after 302 to /)",
		"/relative":   "status pass(ok): got 200 (after 307 to /up)",
		"/dots":       "status pass(ok): got 200 (after 308 to /up?...)",
		"/two":        "status pass(ok): got 200 (after 301 to /one, 302 to /up)",
		"/same-twice": "status pass(ok): got 200 (after 302 to /up)",
		"/broken":     "status fail(status): expected 2xx, got 500 (after 302 to /500)",
		"/denied":     "status inconclusive(credential): expected 2xx, got 401: the target does not accept the probe's credential (after 302 to /401)",
		"/loop":       "status fail(too_many_redirects): expected 2xx, got 302 to /loop, which was asked before; no cookies are kept (after 302 to /back)",
		"/itself":     "status fail(too_many_redirects): expected 2xx, got 302 to /itself, which was asked before; no cookies are kept",
		"/none":       "status fail(protocol): expected 2xx, got 302 without a Location",
		"/empty":      "status fail(protocol): expected 2xx, got 302 with an empty Location",
		"/several":    "status fail(protocol): expected 2xx, got 302 with several Locations",
		"/malformed":  "status fail(protocol): expected 2xx, got 302 with a Location that is not valid",
		"/percent":    "status fail(protocol): expected 2xx, got 302 with a Location that is not valid",
		"/user":       "status fail(protocol): expected 2xx, got 302 with a Location that is not valid",
		"/long":       "status fail(protocol): expected 2xx, got 302 with a Location that is not valid",
		"/elsewhere":  "status fail(other_origin): expected 2xx, got 302 to another port, which is not followed",
		"/host":       "status fail(other_origin): expected 2xx, got 302 to another host, which is not followed",
		"/hostless":   "status fail(other_origin): expected 2xx, got 302 to another host, which is not followed",
		"/opaque":     "status fail(other_origin): expected 2xx, got 302 to another host, which is not followed",
		"/script":     "status fail(other_origin): expected 2xx, got 302 to a URL that is not http, which is not followed",
		"/file":       "status fail(other_origin): expected 2xx, got 302 to a URL that is not http, which is not followed",
		"/upgrade":    "status fail(other_origin): expected 2xx, got 301 from http to https, which is not followed",
		"/backslash":  "status fail(status): expected 2xx, got 404 (after 302 to /.../up)",
		"/token":      "status fail(status): expected 2xx, got 404 (after 302 to /reset/.../up?...)",
		"/no-word":    "status fail(status): expected 2xx, got 404 (after 302 to /.../up)",
		"/long-word":  "status fail(status): expected 2xx, got 404 (after 302 to /.../up)",
		"/choices":    "status fail(redirect): expected 2xx, got 300: redirects are not followed",
		"/chain8":     "status fail(status): expected 2xx, got 404 (after 302 to /chain9, 302 to /chain10, 302 to /chain11, 302 to /chain12)",
		"/chain0":     "status fail(too_many_redirects): expected 2xx, got more than 5 redirects, the last to /chain6 (after *",
	} {
		p := &Probe{URL: u + path, Follow: &Follow{Max: 5}}
		p.Bearer = secret.Env("TEST_FOLLOW_TOKEN")
		r := probetest.Run(t, Kind(), p)
		verdict := strings.SplitN(strings.SplitN(want, " ", 2)[1], "(", 2)[0]
		probetest.WantLines(t, r, verdict, want)
		for _, x := range r.Exchanges {
			if strings.Contains(x.URL, "8f3a9c1d77") || strings.Contains(x.URL, "hunter2") {
				t.Errorf("%s: an exchange names %s", path, x.URL)
			}
		}
	}
	p := &Probe{URL: u + "/seen", Follow: &Follow{Max: 5}}
	p.Bearer = secret.Env("TEST_FOLLOW_TOKEN")
	probetest.WantLines(t, probetest.Run(t, Kind(), p), "fail", "status fail(redirect): expected 2xx, got 302 with a credential in its Location, which is not followed", "secrets fail(secret_reflected): *")
}

// TestFollow_tls: with https a redirect within it is followed, and none out of it. The certificate of what answered in the end is
// the one whose end is told.
func TestFollow_tls(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/within":
			redirectTo(302, "https://%s/up")(w, q)
		case "/out":
			redirectTo(302, "http://%s/up")(w, q)
		}
	}))
	defer server.Close()
	for path, want := range map[string][]string{
		"/up":     {"pass", "status pass(ok): got 200", "certificate pass(ok): *"},
		"/within": {"pass", "status pass(ok): got 200 (after 302 to /up)", "certificate pass(ok): *"},
		"/out":    {"fail", "status fail(other_origin): expected 2xx, got 302 from https to http, which is not followed"},
	} {
		for warn, expiring := range map[time.Duration]float64{time.Hour: 0, 100 * 365 * 24 * time.Hour: 1} {
			p := &Probe{URL: server.URL + path, Follow: &Follow{Max: 1}}
			p.TLS = authority(t, server)
			p.Expect.Certificate = &expect.Certificate{Warn: new(probe.Duration(warn)), Fail: new(probe.Duration(time.Minute))}
			r := probetest.Run(t, Kind(), p)
			probetest.WantLines(t, r, want...)
			told := slices.IndexFunc(r.Samples, func(s probe.Sample) bool { return s.Measure == expect.CertificateExpiring })
			if len(want) < 3 {
				continue
			}
			if told < 0 || r.Samples[told].Value != expiring {
				t.Errorf("%s, with a warning %s before the end: expected %g, got %v", path, warn, expiring, r.Samples)
			}
		}
	}
}

// TestFollow_methods checks what is sent to where a redirect leads, by status and method.
func TestFollow_methods(t *testing.T) {
	for _, c := range []struct {
		status int
		method string
		resend bool
		want   string
	}{
		{301, "GET", false, "GET "}, {302, "HEAD", false, "HEAD "}, {303, "HEAD", false, "HEAD "}, {308, "GET", false, "GET "},
		{301, "POST", false, "GET "}, {302, "POST", false, "GET "}, {303, "POST", false, "GET "}, {303, "PUT", true, "GET "},
		{307, "POST", false, ""}, {308, "POST", false, ""}, {301, "PUT", false, ""}, {302, "DELETE", false, ""}, {307, "OPTIONS", false, "OPTIONS body"},
		{307, "POST", true, "POST body"}, {308, "PUT", true, "PUT body"}, {302, "PUT", true, "PUT body"}, {302, "POST", true, "GET "},
	} {
		got := ""
		u := probetest.Serve(t, map[string]http.HandlerFunc{
			"/a": redirectTo(c.status, "/b"),
			"/b": func(_ http.ResponseWriter, q *http.Request) {
				body, _ := io.ReadAll(q.Body)
				got += q.Method + " " + string(body)
			},
		})
		p := &Probe{URL: u + "/a", Method: c.method, Follow: &Follow{Max: 3, Resend: c.resend}}
		if !strings.Contains("GET HEAD", c.method) {
			p.Body = httpx.Value{Text: "body"}
		}
		r := probetest.Run(t, Kind(), p)
		if got != c.want {
			t.Errorf("%d of %s, resend %t: sent %q, expected %q", c.status, c.method, c.resend, got, c.want)
		}
		if c.want == "" {
			want := fmt.Sprintf("status fail(redirect): expected 2xx, got %d to /b, which would send %s again: that needs follow.resend", c.status, c.method)
			probetest.WantLines(t, r, "fail", want)
		}
	}
}

// TestFollow_controls checks that the control and the catch-all check follow redirects too: a login page for every path is
// found, and all expectations hold for the last answer.
func TestFollow_controls(t *testing.T) {
	strangers := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/login" {
			probetest.Respond(200, "text/plain", "Welcome")(w, q)
			return
		}
		http.Redirect(w, q, "/login", http.StatusFound)
	}))
	t.Cleanup(strangers.Close)
	u := probetest.Serve(t, map[string]http.HandlerFunc{
		"/shop":  redirectTo(302, "/shop/"),
		"/shop/": probetest.Respond(200, "text/plain", "Shop"),
		"/deny":  redirectTo(302, "/no"),
		"/no":    probetest.Respond(403, "text/plain", "no"),
	})
	follow := &Follow{Max: 2}
	contains := func(text string) expect.Expect {
		return expect.Expect{Content: expect.Content{Body: &expect.Match{Contains: text}}}
	}
	probetest.WantLines(t, probetest.Run(t, Kind(), &Probe{URL: strangers.URL + "/app", Follow: follow, CatchAllCheck: true, Expect: contains("Welcome")}), "inconclusive",
		"status inconclusive(control_failed): got 200 (after 302 to /login), which proves nothing without its control",
		"body inconclusive(control_failed): the body is as expected, which proves nothing without its control",
		"catch_all inconclusive(control_failed): a nonexistent path is answered as expected too (200): any page would have passed")
	probetest.WantLines(t, probetest.Run(t, Kind(), &Probe{URL: u + "/shop", Follow: follow, CatchAllCheck: true, Expect: contains("Shop")}), "pass",
		"status pass(ok): got 200 (after 302 to /shop/)", "body pass(ok): the body is as expected", "catch_all pass(ok): *")
	probetest.WantLines(t, probetest.Run(t, Kind(), &Probe{URL: u + "/deny", Follow: follow, Expect: expect.Expect{Status: httpx.Codes(403)}, Control: &Control{URL: u + "/shop"}}), "pass",
		"status pass(ok): got 403 (after 302 to /no)", "control pass(ok): the request that must succeed did: got 200")
}

// TestFollow_latency checks that the maximum holds for all requests together, and that each is an exchange of its own.
func TestFollow_latency(t *testing.T) {
	u := probetest.Serve(t, map[string]http.HandlerFunc{
		"/a": redirectTo(302, "/b"), "/b": redirectTo(302, "/c"), "/c": probetest.Respond(200, "text/plain", "ok"),
	})
	answers := map[string]time.Duration{"/a": 2 * time.Second, "/b": 3 * time.Second, "/c": time.Second}
	p := &Probe{URL: u + "/a", Follow: &Follow{Max: 3}}
	got := p.follow(func(q httpx.Request) *httpx.Answer {
		parsed, _ := url.Parse(q.URL)
		a := &httpx.Answer{}
		a.Status, a.Took, a.Late, a.Reason = 302, answers[parsed.Path], time.Millisecond, probe.OK
		if a.Header = (http.Header{"Location": {"/b"}}); parsed.Path == "/b" {
			a.Header.Set("Location", "/c")
		} else if parsed.Path == "/c" {
			a.Status = 200
		}
		return a
	}, httpx.Request{Method: "GET", URL: u + "/a"})
	if got.Took != 6*time.Second || got.Late != 3*time.Millisecond || got.Status != 200 {
		t.Errorf("got %d after %s, late by %s", got.Status, got.Took, got.Late)
	}
	r := probetest.Run(t, Kind(), p)
	var urls []string
	for _, x := range r.Exchanges {
		urls = append(urls, fmt.Sprintf("%d %s %t", x.Status, strings.TrimPrefix(x.URL, u), x.Expected))
	}
	if got := strings.Join(urls, ", "); got != "302 /a true, 302 /b true, 200 /c true" {
		t.Errorf("the exchanges are %s", got)
	}
}

// TestFollow_hostHeader follows a redirect to the name that the request has in Host, and dials what the URL says.
func TestFollow_hostHeader(t *testing.T) {
	u := probetest.Serve(t, map[string]http.HandlerFunc{"/a": redirectTo(302, "http://shop.example/b"), "/b": probetest.Respond(200, "text/plain", "ok")})
	p := &Probe{URL: u + "/a", Follow: &Follow{Max: 1}}
	p.Headers = map[string]httpx.Value{"host": {Text: "Shop.example"}}
	probetest.WantLines(t, probetest.Run(t, Kind(), p), "pass", "status pass(ok): got 200 (after 302 to /b)")
}

// FuzzFollow checks that no Location whatever leads anywhere but to the origin that was asked, and that nothing but plain words
// of it is shown.
func FuzzFollow(f *testing.F) {
	for _, seed := range []string{"/b", "//evil.example/", `/\evil.example`, "http://a.example:80/b", "https://a.example/", "http:b", "\t/b", "?q=1", "http://a.example@evil.example/", "http://A.EXAMPLE./"} {
		f.Add(seed)
	}
	p := &Probe{URL: "http://a.example/", Follow: &Follow{Max: 1}}
	f.Fuzz(func(t *testing.T, location string) {
		a := &httpx.Answer{Header: http.Header{"Location": {location}}}
		a.Status = 302
		next, to, refused := p.next(a, httpx.Request{Method: "GET", URL: "http://a.example/x"})
		if refused != nil {
			return
		}
		u, err := url.Parse(next.URL)
		if err != nil || u.Scheme != "http" || u.Host != "a.example" || u.User != nil || u.Fragment != "" {
			t.Errorf("%q leads to %q", location, next.URL)
		}
		if shown := shownPath(to); strings.Trim(shown, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~-/?") != "" || len(shown) > 400 {
			t.Errorf("%q is shown as %q", location, shown)
		}
	})
}
