package http

import (
	"bufio"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/probes/internal/expect"
	"prober/probes/internal/probetest"
)

// A proxy forwards what it is asked for to one server, whatever the name, if its user has the password.
type proxy struct {
	target   string // host:port
	password string // empty: anybody may use it
	asked    atomic.Pointer[string]
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	p.asked.Store(new(q.Method + " " + q.RequestURI))
	if _, password, _ := (&http.Request{Header: http.Header{"Authorization": q.Header["Proxy-Authorization"]}}).BasicAuth(); password != p.password {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	q.Header.Del("Proxy-Authorization")
	if q.Method != http.MethodConnect {
		q.RequestURI, q.URL.Host, q.URL.Scheme = "", p.target, "http"
		resp, err := http.DefaultTransport.RoundTrip(q)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
		return
	}
	there, err := net.Dial("tcp", p.target)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	here, _, _ := w.(http.Hijacker).Hijack()
	io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { io.Copy(there, here); there.Close() }()
	io.Copy(here, there)
	here.Close()
}

// serveProxied starts a server and a proxy that leads to it. The server refuses whatever is meant for the proxy.
func serveProxied(t *testing.T, secure, secureProxy bool, password string) (server, gateway *httptest.Server, p *proxy) {
	t.Helper()
	start := func(s *httptest.Server, secure bool) *httptest.Server {
		if secure {
			s.StartTLS()
		} else {
			s.Start()
		}
		t.Cleanup(s.Close)
		return s
	}
	server = start(httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Proxy-Authorization") != "" || q.Host != "example.com" || q.URL.Path == "/500" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		io.WriteString(w, "green")
	})), secure)
	p = &proxy{target: server.Listener.Addr().String(), password: password}
	return server, start(httptest.NewUnstartedServer(p), secureProxy), p
}

// authority writes the authority of a test server to a file.
func authority(t *testing.T, s *httptest.Server) *dial.TLS {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &dial.TLS{CAFile: path}
}

// TestProxy asks https and http through a proxy of each. The name is not looked up here, and the credential for the proxy goes to
// nobody else.
func TestProxy(t *testing.T) {
	t.Setenv("TEST_PROXY_PASSWORD", "password-of-the-proxy")
	for _, secure := range []bool{false, true} {
		for _, secureProxy := range []bool{false, true} {
			server, gateway, asked := serveProxied(t, secure, secureProxy, "password-of-the-proxy")
			p := &Probe{URL: "http://example.com/a", Proxy: &httpx.Proxy{URL: gateway.URL, Basic: &httpx.Basic{Username: "prober", Password: secret.Env("TEST_PROXY_PASSWORD")}}}
			p.Expect.Body = &expect.Match{Contains: "green"}
			want := "GET http://example.com/a"
			if secure {
				p.URL, p.TLS, want = "https://example.com/a", authority(t, server), "CONNECT example.com:443"
			}
			if secureProxy {
				p.Proxy.TLS = authority(t, gateway)
			}
			r := probetest.Run(t, Kind(), p)
			probetest.WantLines(t, r, "pass", "status pass(ok): got 200", "body pass(ok): the body is as expected")
			if got := *asked.asked.Load(); got != want {
				t.Errorf("the proxy was asked %q, expected %q", got, want)
			}
			if x := r.Exchanges[0]; x.Addr != gateway.Listener.Addr().String() || x.CertExpiry.IsZero() == secure {
				t.Errorf("the exchange names %s, and a certificate until %s", x.Addr, x.CertExpiry)
			}
		}
	}
}

// TestProxy_http2 speaks HTTP/2 with a server behind a proxy.
func TestProxy_http2(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { io.WriteString(w, q.Proto) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	gateway := httptest.NewServer(&proxy{target: server.Listener.Addr().String()})
	t.Cleanup(gateway.Close)
	p := &Probe{URL: "https://example.com/", Proxy: &httpx.Proxy{URL: gateway.URL}}
	p.TLS, p.HTTP2, p.Expect.Body = authority(t, server), true, &expect.Match{Equals: str("HTTP/2.0")}
	probetest.WantLines(t, probetest.Run(t, Kind(), p), "pass", "status pass(ok): got 200", "body pass(ok): the body is as expected")
}

// TestProxy_failures checks that what the proxy does wrong is not held against the target, and what the target does wrong is.
func TestProxy_failures(t *testing.T) {
	const nobody = "127.0.0.1:1"
	server, gateway, _ := serveProxied(t, true, false, "password-of-the-proxy")
	_, open, _ := serveProxied(t, false, false, "")
	dead := httptest.NewServer(&proxy{target: nobody})
	t.Cleanup(dead.Close)
	trusted := authority(t, server)
	for name, c := range map[string]struct {
		url, proxy, want string
	}{
		"no proxy":                      {"https://example.com/", "http://" + nobody, "status inconclusive(proxy): the proxy " + nobody + ": connection refused by " + nobody},
		"no proxy, http":                {"http://example.com/", "http://" + nobody, "status inconclusive(proxy): the proxy " + nobody + ": connection refused by " + nobody},
		"no such proxy":                 {"https://example.com/", "http://proxy.invalid:3128", "status inconclusive(proxy): the proxy proxy.invalid:3128: *"},
		"no TLS":                        {"https://example.com/", "https://" + open.Listener.Addr().String(), "status inconclusive(proxy): the proxy {}: the server at {} does not speak TLS"},
		"407":                           {"https://example.com/", gateway.URL, "status inconclusive(proxy): the proxy {} requires a credential (407), and there is none under proxy"},
		"407, http":                     {"http://example.com/", gateway.URL, "status inconclusive(proxy): the proxy {} requires a credential (407), and there is none under proxy"},
		"no target":                     {"https://example.com/", dead.URL, "status fail(bad_gateway): the proxy {} answers CONNECT with 502: it did not reach example.com:443"},
		"no target, http":               {"http://example.com/", dead.URL, "status fail(status): expected 2xx, got 502; the proxy may have answered by itself"},
		"a target that does not do TLS": {"https://example.com/", open.URL, "status fail(tls): the server at example.com:443 through the proxy {} does not speak TLS"},
		"the target's own 500, http":    {"http://example.com/500", open.URL, "status fail(status): expected 2xx, got 500; the proxy may have answered by itself"},
		"403":                           {"https://example.com/", raw(t, "HTTP/1.1 403 Forbidden\r\n\r\n"), "status inconclusive(proxy): the proxy {} answers CONNECT with 403: it does not let the prober reach example.com:443"},
		"a page of the proxy's, http":   {"http://example.com/", raw(t, "HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0\r\n\r\n"), "status fail(redirect): expected 2xx, got 302: redirects are not followed; the proxy may have answered by itself"},
		"a refusal, http":               {"http://example.com/", raw(t, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), "status fail(status): expected 2xx, got 403: no credential was sent, so anybody gets it; the proxy may have answered by itself"},
		"a redirect":                    {"https://example.com/", raw(t, "HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\n\r\n"), "status inconclusive(proxy): the proxy {} answers CONNECT with 302: it does not let the prober reach example.com:443"},
		"closed":                        {"https://example.com/", raw(t, ""), "status inconclusive(proxy): the proxy {} closed the connection without an answer to CONNECT"},
		"closed, http":                  {"http://example.com/", raw(t, ""), "status inconclusive(proxy): connection closed by the proxy {} without an answer"},
		"closed in the head":            {"https://example.com/", raw(t, "HTTP/1.1 200"), "status inconclusive(proxy): the proxy {} closed the connection without an answer to CONNECT"},
		"not HTTP":                      {"https://example.com/", raw(t, "SSH-2.0-x\r\n\r\n"), "status inconclusive(proxy): the proxy {} answers CONNECT with what is not valid HTTP"},
		"not HTTP, http":                {"http://example.com/", raw(t, "SSH-2.0-x\r\n\r\n"), "status fail(protocol): the answer of the proxy {} is not valid HTTP"},
		"data in advance":               {"https://example.com/", raw(t, "HTTP/1.1 200 OK\r\n\r\n\x16\x03\x01"), "status inconclusive(proxy): the proxy {} sends data through a connection that nobody has used yet"},
		"a head without end":            {"https://example.com/", raw(t, "HTTP/1.1 200 OK\r\nA: "+strings.Repeat("a", 1<<20)), "status inconclusive(proxy): *"},
		"200, then closed":              {"https://example.com/", raw(t, "HTTP/1.1 200 OK\r\n\r\n"), "status fail(reset): connection closed by example.com:443 through the proxy {} during the TLS handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &Probe{URL: c.url, Proxy: &httpx.Proxy{URL: c.proxy}}
			if strings.HasPrefix(c.url, "https") {
				p.TLS = trusted
			}
			r := probetest.Run(t, Kind(), p)
			_, address, _ := strings.Cut(c.proxy, "//")
			probetest.WantLines(t, r, r.Verdict().String(), strings.ReplaceAll(c.want, "{}", address))
		})
	}
}

// raw serves one text at every connection, after it has read the head of a request, and returns its address as that of a proxy.
func raw(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(nc)
			for line := "-"; strings.TrimSpace(line) != "" && err == nil; {
				line, err = in.ReadString('\n')
			}
			io.WriteString(nc, text)
			nc.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, in)
			nc.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

// TestProxy_reflected has a proxy that passes on its own credential, which the target repeats: it is out then as any other would be.
func TestProxy_reflected(t *testing.T) {
	t.Setenv("TEST_PROXY_PASSWORD", "password-of-the-proxy")
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { fmt.Fprint(w, q.Header) }))
	t.Cleanup(echo.Close)
	p := &Probe{URL: "http://example.com/", Proxy: &httpx.Proxy{URL: echo.URL, Basic: &httpx.Basic{Username: "prober", Password: secret.Env("TEST_PROXY_PASSWORD")}}}
	r := probetest.Run(t, Kind(), p)
	probetest.WantLines(t, r, "fail", "status pass(ok): got 200", "secrets fail(secret_reflected): *")
}

// TestProxy_tokens fetches the token of a request through the same proxy.
func TestProxy_tokens(t *testing.T) {
	t.Setenv("TEST_PROXY_PASSWORD", "password-of-the-client")
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch {
		case q.URL.Path == "/login":
			io.WriteString(w, `{"token": "token-of-the-login"}`)
		case q.Header.Get("Authorization") != "Bearer token-of-the-login":
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(server.Close)
	gateway := httptest.NewServer(&proxy{target: server.Listener.Addr().String()})
	t.Cleanup(gateway.Close)
	p := &Probe{URL: "https://example.com/me", Proxy: &httpx.Proxy{URL: gateway.URL}}
	p.TLS, p.Login = authority(t, server), &httpx.Login{URL: "https://example.com/login", Capture: httpx.TokenSource{JSON: probetest.Path(t, "$.token")}}
	p.Login.Form = map[string]httpx.Value{"password": {Secret: secret.Env("TEST_PROXY_PASSWORD")}}
	probetest.WantLines(t, probetest.Run(t, Kind(), p), "pass", "status pass(ok): got 200")
}

// TestProxy_hanging gives a proxy that never answers the time of the run, and says who was waited for.
func TestProxy_hanging(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &Probe{URL: "https://example.com/", Proxy: &httpx.Proxy{URL: "http://" + l.Addr().String()}}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	r := probetest.Do(t.Context(), probe.Job{ID: probe.ID{System: "test", Name: "it"}, Kind: Kind(), Probe: p, Interval: time.Minute, Timeout: 100 * time.Millisecond})
	if got := probetest.Lines(r); !strings.Contains(got, "status fail(timeout): the proxy "+l.Addr().String()+" did not connect to example.com:443 in time") {
		t.Errorf("got %s", got)
	}
}

// TestProxy_hostHeader checks that a header Host does not choose whom the proxy asks.
func TestProxy_hostHeader(t *testing.T) {
	_, gateway, asked := serveProxied(t, false, false, "")
	s := httpx.Settings{Headers: map[string]httpx.Value{"Host": {Text: "metadata.google.internal"}}, Route: httpx.Route{Proxy: &httpx.Proxy{URL: gateway.URL}}}
	if _, err := s.Client("http://example.com/a?b=c%2Fd"); err == nil || !strings.Contains(err.Error(), "headers.Host: has no effect") {
		t.Errorf("expected the header to be refused, got %v", err)
	}
	c, err := (&httpx.Settings{Route: s.Route}).Client("http://example.com/")
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"http://example.com/a%2Fb?c=%2Fd": "GET http://example.com/a%2Fb?c=%2Fd",
		"http://bücher.example:8080":      "GET http://xn--bcher-kva.example:8080/",
		"http://[2001:db8::1]//a?":        "GET http://[2001:db8::1]//a?",
	} {
		q := httpx.Request{Check: "status", URL: url, Header: http.Header{"Host": {"metadata.google.internal"}}}
		c.Do(t.Context(), probe.NewResult(probe.ID{System: "s", Name: "p", Type: "http"}), q)
		if got := *asked.asked.Load(); got != want {
			t.Errorf("the proxy was asked %q, expected %q", got, want)
		}
	}
}
