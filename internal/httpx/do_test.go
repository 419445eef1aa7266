package httpx

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"prober/internal/jsonpath"
	"prober/internal/probe"
	"prober/internal/secret"
)

// keep writes a secret to a file, and makes it known as soon as it is read.
func keep(t testing.TB, value string) secret.Secret {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return secret.File(path)
}

// listen serves HTTP on loopback and counts requests and connections.
func listen(t testing.TB, h http.HandlerFunc) (url string, requests, conns *atomic.Int64) {
	t.Helper()
	requests, conns = new(atomic.Int64), new(atomic.Int64)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		h(w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.URL, requests, conns
}

func path(t testing.TB, expr string) jsonpath.Path {
	t.Helper()
	p, err := jsonpath.Parse(expr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestExchange(t *testing.T) {
	url, _, _ := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Version", "v1.2.3+abc")
		w.WriteHeader(http.StatusNotImplemented)
		io.WriteString(w, `{"error": {"trace": "0af7651916cd43dd8448eb211c80319c"}}`)
	})
	s := &Settings{Version: &Source{Header: "x-version"}, Trace: &Source{JSON: path(t, "$.error.trace")}}
	before := time.Now()
	a, r := ask(t, s, patience, Request{Check: "answer", Method: "POST", URL: url + "/v1/chat?model=" + marker, Body: []byte("{}"), Want: Codes(501)})
	if len(r.Exchanges) != 1 {
		t.Fatalf("noted %d exchanges, want 1", len(r.Exchanges))
	}
	x := r.Exchanges[0]
	if x.Started.Before(before) || x.Took <= 0 || x.Took > time.Since(before) {
		t.Errorf("started %s, took %s", x.Started, x.Took)
	}
	var sum time.Duration
	for _, p := range x.Phases {
		sum += p.Took
	}
	if sum > x.Took || phases(a) != "connect processing transfer" {
		t.Errorf("phases %v within %s", x.Phases, x.Took)
	}
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(x.TraceID) {
		t.Errorf("trace id %q", x.TraceID)
	}
	got := fmt.Sprintf("%s %s %s %s %d %s %t %s %d %d %s %s %t",
		x.Check, x.Method, x.URL, x.Addr, x.Status, x.Proto, x.Expected, x.Reason, x.Bytes, x.Connections, x.TargetTraceID, x.Version, x.CertExpiry.IsZero())
	want := fmt.Sprintf("answer POST %s/v1/chat %s 501 HTTP/1.1 true ok 56 1 0af7651916cd43dd8448eb211c80319c v1.2.3+abc true", url, strings.TrimPrefix(url, "http://"))
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if r.Verdict() != probe.Pass || a.Incomplete(probe.NewResult(probe.ID{}), "answer") || a.Redirected() || a.Cached != "" {
		t.Errorf("%s %+v", r.Verdict(), a)
	}
	doc, err := a.JSON()
	if err != nil || len(path(t, "$.error").Find(doc)) != 1 {
		t.Errorf("the body is not read as JSON: %v", err)
	}
}

// TestRequest reads what goes over the wire, whole.
func TestRequest(t *testing.T) {
	sent := make(chan string, 1)
	z := serve(t, func(_ *zoo, c net.Conn) {
		br := bufio.NewReader(c)
		var head strings.Builder
		for {
			line, err := br.ReadString('\n')
			if err != nil || line == "\r\n" {
				break
			}
			head.WriteString(strings.TrimRight(line, "\r\n") + "\n")
		}
		sent <- head.String()
		io.WriteString(c, okAnswer)
	})
	host := z.Addr().String()
	agent := userAgent()
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("ALL_PROXY", "http://127.0.0.1:1")
	token, other := keep(t, "token-1234"), keep(t, "another-secret")
	for _, c := range []struct {
		name string
		s    Settings
		q    Request
		want string
	}{
		{"plain", Settings{}, Request{}, "GET / HTTP/1.1\nHost: HOST\nUser-Agent: AGENT\nAccept-Encoding: gzip\nConnection: close\nTraceparent: TRACE\n"},
		{"reused", Settings{Connection: reuse}, Request{}, "GET / HTTP/1.1\nHost: HOST\nUser-Agent: AGENT\nAccept-Encoding: gzip\nTraceparent: TRACE\n"},
		{"POST", Settings{}, Request{Method: "POST", Body: []byte("abc")}, "POST / HTTP/1.1\nHost: HOST\nUser-Agent: AGENT\nContent-Length: 3\nAccept-Encoding: gzip\nConnection: close\nTraceparent: TRACE\n"},
		{"bearer", Settings{Bearer: token}, Request{}, "GET / HTTP/1.1\nHost: HOST\nUser-Agent: AGENT\nAccept-Encoding: gzip\nAuthorization: Bearer token-1234\nConnection: close\nTraceparent: TRACE\n"},
		{"basic", Settings{Basic: &Basic{Username: "me", Password: token}}, Request{}, "GET / HTTP/1.1\nHost: HOST\nUser-Agent: AGENT\nAccept-Encoding: gzip\nAuthorization: Basic bWU6dG9rZW4tMTIzNA==\nConnection: close\nTraceparent: TRACE\n"},
		{"headers", Settings{Headers: map[string]Value{"x-org": {Text: "a"}, "X-Key": {Secret: other}, "Host": {Text: "b.example"}}}, Request{}, "GET / HTTP/1.1\nHost: b.example\nUser-Agent: AGENT\nAccept-Encoding: gzip\nConnection: close\nTraceparent: TRACE\nX-Key: another-secret\nX-Org: a\n"},
		{"anonymous", Settings{Bearer: token, Headers: map[string]Value{"X-Org": {Text: "a"}, "X-Key": {Secret: other}}}, Request{Anonymous: true}, "GET / HTTP/1.1\nHost: HOST\nUser-Agent: AGENT\nAccept-Encoding: gzip\nConnection: close\nTraceparent: TRACE\nX-Org: a\n"},
		{"headers of the request", Settings{Headers: map[string]Value{"X-Org": {Text: "a"}}}, Request{Header: http.Header{"X-Org": {"b", "c"}, "Cookie": {"d=e"}}}, "GET / HTTP/1.1\nHost: HOST\nUser-Agent: AGENT\nAccept-Encoding: gzip\nConnection: close\nCookie: d=e\nTraceparent: TRACE\nX-Org: b\nX-Org: c\n"},
		{"headers that are ours", Settings{}, Request{Header: http.Header{"User-Agent": {"x"}, "Referer": {"x"}, "Accept-Encoding": {"br"}, "Traceparent": {"x"}, "Connection": {"keep-alive"}}}, "GET / HTTP/1.1\nHost: HOST\nUser-Agent: AGENT\nAccept-Encoding: gzip\nConnection: close\nTraceparent: TRACE\n"},
		{"idempotency key", Settings{}, Request{Method: "POST", Header: http.Header{"Idempotency-Key": {"1"}}}, "POST / HTTP/1.1\nHost: HOST\nUser-Agent: AGENT\nContent-Length: 0\nAccept-Encoding: gzip\nConnection: close\nTraceparent: TRACE\nIdempotency-Key: 1\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.q.URL = "http://" + host + "/"
			a, _ := ask(t, &c.s, patience, c.q)
			if a.Reason != probe.OK {
				t.Fatalf("%s: %s", a.Reason, a.Detail)
			}
			got := strings.NewReplacer("Host: "+host, "Host: HOST", agent, "AGENT").Replace(<-sent)
			got = regexp.MustCompile(`Traceparent: 00-`+a.TraceID+`-[0-9a-f]{16}-01`).ReplaceAllString(got, "Traceparent: TRACE")
			if got, want := inOrder(got), inOrder(c.want); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
	if !regexp.MustCompile(`^prober/[\w.+-]+$`).MatchString(agent) {
		t.Errorf("user agent %q", agent)
	}
}

// inOrder brings the lines of a head into an order that does not depend on who wrote them.
func inOrder(head string) string {
	lines := strings.Split(strings.TrimSpace(head), "\n")
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n")
}

// TestNoFollowing answers with redirects to a second server, which must hear nothing.
func TestNoFollowing(t *testing.T) {
	elsewhere, heard, _ := listen(t, func(http.ResponseWriter, *http.Request) {})
	token := keep(t, "token-of-the-first")
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{elsewhere, strings.Replace(elsewhere, "127.0.0.1", "localhost", 1), "", "/again", "?", "//" + strings.TrimPrefix(elsewhere, "http://")} {
			url, requests, _ := listen(t, func(w http.ResponseWriter, _ *http.Request) {
				if to != "" {
					w.Header().Set("Location", to)
				}
				w.Header().Set("Set-Cookie", "a="+marker)
				w.WriteHeader(status)
			})
			a, r := ask(t, &Settings{Bearer: token}, patience, Request{Method: "POST", URL: url, Body: []byte("body")})
			if a.Reason != probe.OK || a.Status != status || !a.Redirected() {
				t.Errorf("%d to %q: got %s %d, redirected %t", status, to, a.Reason, a.Status, a.Redirected())
			}
			if requests.Load() != 1 || len(r.Exchanges) != 1 {
				t.Errorf("%d to %q: sent %d requests", status, to, requests.Load())
			}
		}
	}
	if n := heard.Load(); n != 0 {
		t.Errorf("the second server was asked %d times", n)
	}
}

// TestOnce counts requests to servers whose answers invite to try again.
func TestOnce(t *testing.T) {
	for _, after := range []string{"", "0", "-1", "1", "86400", "9223372037", "Fri, 31 Dec 1999 23:59:59 GMT", marker} {
		for _, status := range []int{408, 425, 429, 500, 501, 502, 503, 504} {
			for _, method := range []string{"GET", "POST"} {
				url, requests, _ := listen(t, func(w http.ResponseWriter, _ *http.Request) {
					if after != "" {
						w.Header().Set("Retry-After", after)
					}
					w.WriteHeader(status)
					io.WriteString(w, "kept")
				})
				a, _ := ask(t, &Settings{}, patience, Request{Method: method, URL: url})
				if a.Reason != probe.OK || a.Status != status || string(a.Body) != "kept" || requests.Load() != 1 {
					t.Errorf("%s %d after %q: got %s %d %q by %d requests", method, status, after, a.Reason, a.Status, a.Body, requests.Load())
				}
			}
		}
	}
}

func TestNoCookies(t *testing.T) {
	var cookies atomic.Int64
	url, _, _ := listen(t, func(w http.ResponseWriter, r *http.Request) {
		cookies.Add(int64(len(r.Cookies())))
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
	})
	for _, connection := range []string{fresh, reuse} {
		client, err := (&Settings{Connection: connection}).Client(url)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			askWith(t, client, patience, Request{URL: url})
		}
		client.Close()
	}
	if n := cookies.Load(); n != 0 {
		t.Errorf("sent %d cookies back", n)
	}
}
