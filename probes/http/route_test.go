package http

import (
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/testenv"
	"prober/probes/internal/expect"
	"prober/probes/internal/probetest"
)

// serveUnix serves at a Unix socket and returns its path.
func serveUnix(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(handler)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return path
}

// TestUnix asks a server at a Unix socket. The name in the URL is not looked up and stays in Host; a credential may go there.
func TestUnix(t *testing.T) {
	path := serveUnix(t, func(w http.ResponseWriter, q *http.Request) {
		if q.Host != "docker.invalid" || q.URL.Path != "/v1/info" {
			w.WriteHeader(404)
		} else if q.Header.Get("Authorization") != "Bearer token-of-the-prober" {
			w.WriteHeader(401)
		}
	})
	t.Setenv("TEST_UNIX_TOKEN", "token-of-the-prober")
	p := &Probe{URL: "http://docker.invalid/v1/info", Unix: path, Expect: expect.Expect{Status: httpx.Codes(200)}}
	p.Bearer, p.Connection = secret.Env("TEST_UNIX_TOKEN"), "reuse"
	for range 2 {
		r := probetest.Run(t, Kind(), p)
		probetest.WantLines(t, r, "pass", "status pass(ok): got 200")
		if r.Exchanges[0].Addr != path {
			t.Errorf("the exchange names %s", r.Exchanges[0].Addr)
		}
	}
	p.Close()
	for _, c := range []struct{ path, want string }{
		{path + "x", "status fail(refused): nobody listens at " + path + "x: there is no such file"},
		{filepath.Dir(path), "status fail(refused): nobody listens at " + filepath.Dir(path) + ": its server is gone, or it is no socket"},
	} {
		r := probetest.Run(t, Kind(), &Probe{URL: "http://docker.invalid/", Unix: c.path})
		probetest.WantLines(t, r, "fail", c.want)
	}
}

// TestUnix_controls checks that the control and the catch-all check use the socket too.
func TestUnix_controls(t *testing.T) {
	var asked []string
	path := serveUnix(t, func(w http.ResponseWriter, q *http.Request) {
		asked = append(asked, q.URL.Path)
		if q.URL.Path != "/open" {
			w.WriteHeader(403)
		}
	})
	p := &Probe{URL: "http://app.invalid/closed", Unix: path, Expect: expect.Expect{Status: httpx.Codes(403)}, Control: &Control{URL: "http://app.invalid/open"}}
	probetest.WantLines(t, probetest.Run(t, Kind(), p), "pass", "status pass(ok): got 403", "control pass(ok): the request that must succeed did: got 200")
	p = &Probe{URL: "http://app.invalid/open", Unix: path, CatchAllCheck: true}
	probetest.WantLines(t, probetest.Run(t, Kind(), p), "pass", "status pass(ok): got 200", "catch_all pass(ok): a nonexistent path is answered differently (403)")
	if len(asked) != 4 {
		t.Errorf("the socket was asked for %v", asked)
	}
}

// TestIPVersion asks a name that has an address of each version: only the one that is allowed is dialled.
func TestIPVersion(t *testing.T) {
	port := testenv.Listen(t, func(http.ResponseWriter, *http.Request) {}, "127.0.0.1")
	for version, passes := range map[dial.IPVersion]bool{"4": true, "6": false, "prefer-4": true, "prefer-6": true} {
		server := testenv.ServeDNS(t, func(q dnsmessage.Question) (dnsmessage.RCode, []dnsmessage.ResourceBody, bool) {
			return dnsmessage.RCodeSuccess, testenv.AddressRecords(q.Type, "127.0.0.1", "::1"), true
		})
		p := &Probe{URL: "http://both.test:" + port + "/", IPVersion: version}
		p.Resolver = server
		if r := probetest.Run(t, Kind(), p); (r.Verdict() == probe.Pass) != passes {
			t.Errorf("%s: got %s", version, probetest.Lines(r))
		}
	}
}
