package grpc

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// TestGRPC_unix asks a server at a Unix socket. The name in address is not looked up and stays in :authority; a credential may go there.
func TestGRPC_unix(t *testing.T) {
	t.Setenv("TEST_GRPC_TOKEN", "token-of-the-prober")
	path := filepath.Join(t.TempDir(), "s")
	serveAt(t, "unix", path, func(nc net.Conn) {
		speak(nc, func(c *call) {
			if c.header[":authority"] != "orders.invalid:50051" || c.header["authorization"] != "Bearer token-of-the-prober" {
				c.fail("13")
				return
			}
			by(map[string]health{"a": serving})(c)
		})
	})
	for _, connection := range []string{"fresh", "reuse"} {
		p := load(t, "orders.invalid:50051", "    unix: "+path+"\n    services: [a]\n    bearer: {env: TEST_GRPC_TOKEN}\n    connection: "+connection+"\n")
		r := probetest.Run(t, Kind(), p)
		p.Close()
		wantPattern(t, probetest.Lines(r), "pass\ncatch_all pass(ok): *\nstatus@a pass(ok): SERVING")
		if r.Exchanges[0].Addr != path {
			t.Errorf("the exchange names %s", r.Exchanges[0].Addr)
		}
	}
	wantPattern(t, probetest.Lines(probetest.Run(t, Kind(), load(t, "orders.invalid:50051", "    unix: "+path+"x\n"))), "fail\nstatus fail(refused): nobody listens at "+path+"x: there is no such file")
}

// TestGRPC_ipVersion asks a name that has an address of each version: only the one that is allowed is dialled.
func TestGRPC_ipVersion(t *testing.T) {
	_, port, _ := net.SplitHostPort(serve(t, nil, always(serving)))
	resolver := testenv.ServeDNS(t, func(q dnsmessage.Question) (dnsmessage.RCode, []dnsmessage.ResourceBody, bool) {
		return dnsmessage.RCodeSuccess, testenv.AddressRecords(q.Type, "127.0.0.1", "::1"), true
	})
	for version, want := range map[string]string{"4": "pass\n*", "6": "fail\nstatus fail(refused): *", "prefer-4": "pass\n*", "prefer-6": "pass\n*"} {
		p := load(t, "both.test:"+port, "    resolver: "+resolver+"\n    ip_version: "+version+"\n")
		got := probetest.Lines(probetest.Run(t, Kind(), p))
		if want == "pass\n*" {
			want = "pass\nstatus pass(ok): SERVING"
		}
		wantPattern(t, got, want)
	}
}

// TestGRPC_proxy asks through a proxy, whose failures say nothing of the server, and tells what it did not reach.
func TestGRPC_proxy(t *testing.T) {
	issuer, dir := certificateFiles(t)
	target := serve(t, &tls.Config{Certificates: issuer.TLS.Certificates, NextProtos: []string{"h2"}}, always(serving))
	var asked atomic.Value
	status := http.StatusOK
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		asked.Store(q.Method + " " + q.RequestURI)
		if status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
		there, err := net.Dial("tcp", target)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		here, _, _ := w.(http.Hijacker).Hijack()
		io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { io.Copy(there, here); there.Close() }()
		io.Copy(here, there)
		here.Close()
	}))
	t.Cleanup(gateway.Close)
	p := load(t, "example.com:50051", "    tls: {ca_file: "+dir+"/cert}\n    proxy: "+gateway.URL+"\n")
	for _, c := range []struct {
		status int
		want   string
	}{
		{200, "pass\nstatus pass(ok): SERVING"},
		{407, "inconclusive\nstatus inconclusive(proxy): the proxy * requires a credential (407), and there is none under proxy"},
		{403, "inconclusive\nstatus inconclusive(proxy): the proxy * answers CONNECT with 403: it does not let the prober reach example.com:50051"},
		{502, "fail\nstatus fail(bad_gateway): the proxy * answers CONNECT with 502: it did not reach example.com:50051"},
	} {
		status = c.status
		wantPattern(t, probetest.Lines(probetest.Run(t, Kind(), p)), c.want)
		if got := asked.Load(); got != "CONNECT example.com:50051" {
			t.Errorf("the proxy was asked %s", got)
		}
	}
}
