package httpx

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"prober/internal/probe"
)

func TestBodies(t *testing.T) {
	large := strings.Repeat("x", 100_000)
	for _, c := range []struct {
		name, answer, want string
		max                int64
		why                probe.Reason
	}{
		{"announced", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", 0, probe.OK},
		{"announced, with more behind", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + marker, "ok", 0, probe.OK},
		{"empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", 0, probe.OK},
		{"until the end", "HTTP/1.1 200 OK\r\n\r\nok", "ok", 0, probe.OK},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nok", "ok", 0, probe.OK},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", "ok", 0, probe.OK},
		{"behind interim answers", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", 0, probe.OK},
		{"large", "HTTP/1.1 200 OK\r\n\r\n" + large, large, 0, probe.OK},
		{"large and announced", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + large, large, 0, probe.OK},
		{"just small enough", "HTTP/1.1 200 OK\r\n\r\n0123456789", "0123456789", 10, probe.OK},
		{"just small enough and announced", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", "0123456789", 10, probe.OK},
		{"a byte too large", "HTTP/1.1 200 OK\r\n\r\n0123456789a", "0123456789", 10, probe.TooLarge},
		{"a byte too large and announced", "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789a", "0123456789", 10, probe.TooLarge},
		{"gzip", zipped(func(b []byte) []byte { return b }), strings.Repeat(`{"status": "up"}`, 10), 0, probe.OK},
		{"gzip, just small enough", zipped(func(b []byte) []byte { return b }), strings.Repeat(`{"status": "up"}`, 10), 160, probe.OK},
		{"gzip, a byte too large", zipped(func(b []byte) []byte { return b }), strings.Repeat(`{"status": "up"}`, 10)[:159], 159, probe.TooLarge},
		{"gzip of nothing", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + string(gzipped(nil)), "", 0, probe.OK},
		{"no body, called gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", "", 0, probe.OK},
		{"no body until the end, called gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", "", 0, probe.OK},
		{"called identity", "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\n\r\nok", "ok", 0, probe.OK},
		{"called identity twice", "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Encoding: identity\r\n\r\nok", "ok", 0, probe.OK},
		{"identity and gzip on two lines", "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Encoding: gzip\r\n\r\n" + string(gzipped([]byte("ok"))), "ok", 0, probe.OK},
		{"identity and gzip on one line", "HTTP/1.1 200 OK\r\nContent-Encoding: Identity ,, GZIP\r\n\r\n" + string(gzipped([]byte("ok"))), "ok", 0, probe.OK},
		{"identity and another", "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Encoding: br\r\n\r\nok", "", 0, probe.Protocol},
		{"no content", "HTTP/1.1 204 No Content\r\n\r\n", "", 0, probe.OK},
	} {
		t.Run(c.name, func(t *testing.T) {
			z := serve(t, says(c.answer))
			a, _ := ask(t, &Settings{MaxBody: c.max}, patience, Request{URL: z.url()})
			if a.Reason != c.why || string(a.Body) != c.want || a.Bytes != int64(len(c.want)) {
				t.Errorf("got %s %q of %d bytes: %s", a.Reason, a.Body, a.Bytes, a.Detail)
			}
		})
	}
}

func TestHEAD(t *testing.T) {
	z := serve(t, says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nContent-Encoding: gzip\r\n\r\n"))
	if a, _ := ask(t, &Settings{}, patience, Request{Method: "HEAD", URL: z.url()}); a.Reason != probe.OK || len(a.Body) != 0 {
		t.Errorf("got %s: %s", a.Reason, a.Detail)
	}
}

func TestCached(t *testing.T) {
	for _, c := range []struct{ status, header, want string }{
		{"200 OK", "X-A: b", ""},
		{"200 OK", "Age: 0", ""},
		{"200 OK", "Age: 60", "Age: 60"},
		{"200 OK", "Age: 007", "Age: 7"},
		{"200 OK", "Age: 99999999999999999999", "Age: over 2147483647"},
		{"200 OK", "Age: " + marker, "an Age that is not a number"},
		{"200 OK", "Age: -5", "an Age that is not a number"},
		{"200 OK", "Age: 0\r\nAge: 3600", "Age: 3600"},
		{"200 OK", "Age: 3600, 0", "Age: 3600"},
		{"200 OK", "X-Cache-Status: STALE", "X-Cache-Status says STALE"},
		{"200 OK", "X-Cache-Status: UPDATING", "X-Cache-Status says UPDATING"},
		{"200 OK", "X-Cache-Status: stale", "X-Cache-Status says STALE"},
		{"200 OK", "X-Cache-Status: Updating", "X-Cache-Status says UPDATING"},
		{"304 Not Modified", "X-A: b", "status 304"},
		{"200 OK", "X-Cache: HIT", "X-Cache says HIT"},
		{"200 OK", "X-Cache: Hit from " + marker, "X-Cache says HIT"},
		{"200 OK", "X-Cache: MISS, HIT", "X-Cache says HIT"},
		{"200 OK", "X-Cache: TCP_HIT", "X-Cache says HIT"},
		{"200 OK", "X-Cache: MISS from whitehouse", ""},
		{"200 OK", "CF-Cache-Status: HIT", "Cf-Cache-Status says HIT"},
		{"200 OK", "CF-Cache-Status: DYNAMIC", ""},
		{"200 OK", "Cache-Status: edge; hit; ttl=10", "Cache-Status says HIT"},
		{"503 Service Unavailable", "Age: 3", "Age: 3"},
		{"200 OK", "X-Proxy-Cache: HIT", "X-Proxy-Cache says HIT"},
		{"200 OK", "X-FastCGI-Cache: HIT", "X-Fastcgi-Cache says HIT"},
		{"200 OK", "X-Vercel-Cache: STALE\r\nAge: 0", "X-Vercel-Cache says STALE"},
		{"200 OK", "X-Vercel-Cache: PRERENDER", "X-Vercel-Cache says PRERENDER"},
		{"200 OK", "X-LiteSpeed-Cache: hit,private", "X-Litespeed-Cache says HIT"},
		{"200 OK", "X-Nginx-Cache: HIT\r\nAge: 0", "X-Nginx-Cache says HIT"},
		{"200 OK", "CDN-Cache: HIT", "Cdn-Cache says HIT"},
		{"200 OK", "X-" + marker + "-Cache: HIT", "a header of a cache says HIT"},
		{"200 OK", "X-Nginx-Cache: MISS", ""},
		{"200 OK", "X-Cache-Hits: 0, 3", "X-Cache-Hits is above 0"},
		{"200 OK", "X-Cache-Hits: 0", ""},
		{"200 OK", "X-Varnish: 32770 32768", "X-Varnish names two requests"},
		{"200 OK", "X-Varnish: 32770", ""},
		{"200 OK", `Warning: 110 - "Response is Stale"`, "Warning: 110"},
		{"200 OK", `Warning: 199 - "110 "`, ""},
		{"200 OK", "Server-Timing: cdn-cache; desc=HIT, edge; dur=1", "Server-Timing says HIT"},
		{"200 OK", "Server-Timing: cdn-cache; desc=MISS", ""},
		{"200 OK", "Cache-Control: max-age=60, stale-while-revalidate=60\r\nCDN-Cache-Control: stale-if-error=9", ""},
		{"200 OK", "X-Cache-Lookup: HIT from squid", ""},
		{"200 OK", "Date: " + time.Now().Add(-50*time.Hour).UTC().Format(http.TimeFormat), "a Date of 2 days ago"},
		{"200 OK", "Date: " + time.Now().Add(-23*time.Hour).UTC().Format(http.TimeFormat), ""},
		{"200 OK", "Date: " + marker, ""},
	} {
		z := serve(t, says("HTTP/1.1 "+c.status+"\r\n"+c.header+"\r\nContent-Length: 0\r\n\r\n"))
		if a, _ := ask(t, &Settings{}, patience, Request{URL: z.url()}); a.Cached != c.want || a.Reason != probe.OK || a.Redirected() {
			t.Errorf("%s, %s: got %q, want %q", c.status, c.header, a.Cached, c.want)
		}
	}
}

// TestSelfDescription takes only what can be nothing but a trace id or a version, and nothing that holds a secret.
func TestSelfDescription(t *testing.T) {
	known(t, "s3cr3t-v1.2.3")
	for _, c := range []struct{ header, trace, version string }{
		{"", "", ""},
		{"0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319c"},
		{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		{"0af7651916cd43d", "", "0af7651916cd43d"},
		{strings.Repeat("a", 65), "", strings.Repeat("a", 65)},
		{strings.Repeat("a", 129), "", ""},
		{"0AF7651916CD43DD8448EB211C80319C", "", "0AF7651916CD43DD8448EB211C80319C"},
		{"v1.2.3+build_5", "", "v1.2.3+build_5"},
		{"sha256:" + strings.Repeat("0", 64), "", "sha256:" + strings.Repeat("0", 64)},
		{"registry.example/app@sha256:" + strings.Repeat("0", 64), "", ""},
		{"https://evil.example/login", "", ""},
		{"//evil.example", "", ""},
		{"@everyone", "", ""},
		{"v1@everyone", "", ""},
		{"-1", "", ""},
		{"one two", "", ""},
		{"<script>", "", ""},
		{"x-s3cr3t-v1.2.3-y", "", ""},
	} {
		z := serve(t, says("HTTP/1.1 200 OK\r\nX-A: "+c.header+"\r\nContent-Length: 0\r\n\r\n"))
		s := &Settings{Trace: &Source{Header: "X-A"}, Version: &Source{Header: "X-A"}}
		a, r := ask(t, s, patience, Request{URL: z.url()})
		if a.TargetTraceID != c.trace || a.Version != c.version || r.Exchanges[0].Version != c.version {
			t.Errorf("%q: got trace %q and version %q", c.header, a.TargetTraceID, a.Version)
		}
	}
	const id, other = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331b7ad6b7169203331"
	for headers, want := range map[string]string{
		"": "", "X-Trace-Id: " + id + "\r\n": id, "Trace-Id: " + id + "\r\n": id, "Trace-Id: " + other + "\r\nTraceresponse: 00-" + id + "-b7ad6b7169203331-01\r\n": "00-" + id + "-b7ad6b7169203331-01",
		"Request-Id: " + id + "\r\n": "",
	} {
		z := serve(t, says("HTTP/1.1 200 OK\r\n"+headers+"Content-Length: 0\r\n\r\n"))
		if a, _ := ask(t, &Settings{}, patience, Request{URL: z.url()}); a.TargetTraceID != want {
			t.Errorf("without a setting, %q: got trace %q, want %q", headers, a.TargetTraceID, want)
		}
	}
}

// TestNothingLeaks lets servers echo every secret that they were told, everywhere that they can.
func TestNothingLeaks(t *testing.T) {
	s := &Settings{
		Bearer:  keep(t, marker),
		Headers: map[string]Value{"X-Key": {Secret: keep(t, "key-"+marker)}},
		Trace:   &Source{Header: "X-Echo"}, Version: &Source{JSON: path(t, "$.echo")},
	}
	var heard atomic.Int64
	url, _, _ := listen(t, func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if token == marker && r.Header.Get("X-Key") == "key-"+marker {
			heard.Add(1) // the control: the secrets were sent
		}
		for _, name := range []string{"X-Echo", "Location", "Age", "X-Cache", "Cache-Status", "Etag", "Retry-After", "Www-Authenticate"} {
			w.Header().Set(name, token)
		}
		w.WriteHeader(302)
		fmt.Fprintf(w, `{"echo": %q}`, token)
	})
	a, r := ask(t, s, patience, Request{URL: url + "/" + marker + "?q=" + marker})
	if a.Status != 302 || heard.Load() != 1 {
		t.Fatalf("got %d: %s", a.Status, a.Detail)
	}
	if !strings.Contains(fmt.Sprintf("%+v", a.Header), marker) || !strings.Contains(string(a.Body), marker) {
		t.Error("the server did not echo: this test proves nothing")
	}
	if a.Version != "" || a.TargetTraceID != "" || !strings.Contains(r.Exchanges[0].URL, "redacted") {
		t.Errorf("%+v", r.Exchanges[0])
	}
}
