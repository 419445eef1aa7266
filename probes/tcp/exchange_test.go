package tcp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/expect"
	"prober/probes/internal/probetest"
)

// inBubble runs a probe once in a bubble, where all that is waited for takes exactly its time, and with a function as the server of
// every address.
func inBubble(t *testing.T, p *Probe, timeout time.Duration, serve func(n int, nc net.Conn)) (r probe.Result) {
	t.Helper()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	testenv.Bubble(t, func(ctx context.Context, _ testenv.Open) {
		job := probe.Job{ID: probe.ID{System: "s", Name: "p", Type: "tcp"}, Kind: Kind(), Probe: p, Timeout: timeout}
		r = job.Do(dial.WithOpen(ctx, testenv.OpenTo(serve)))
	})
	return r
}

// TestTCP_exchange shows what is recorded of the connection, beside the checks.
func TestTCP_exchange(t *testing.T) {
	for name, test := range map[string]struct {
		greeting, address, url string
		want                   probe.Reason
	}{
		"as expected":            {"220 mail\r\n", "127.0.0.1:25", "tcp://127.0.0.1:25", probe.OK},
		"other than expected":    {"554 go away\r\n", "127.0.0.1:25", "tcp://127.0.0.1:25", Kind().Reasons[0]},
		"closed without a word":  {"", "127.0.0.1:25", "tcp://127.0.0.1:25", probe.Reset},
		"more than is ever read": {strings.Repeat("220-"+strings.Repeat("a", 4000)+"\r\n", 300), "127.0.0.1:25", "tcp://127.0.0.1:25", probe.Protocol},
	} {
		p := load(t, test.address, "    protocol: smtp\n")
		r := inBubble(t, p, 10*time.Second, func(_ int, nc net.Conn) { fmt.Fprint(nc, test.greeting) })
		if measured := slices.ContainsFunc(r.Samples, func(s probe.Sample) bool { return s.Measure == connectGauge }); !measured {
			t.Errorf("%s: expected the duration of the connection to be measured", name)
		}
		if x := r.Exchanges[0]; len(r.Exchanges) != 1 || x.Reason != test.want || x.Expected != (test.want == probe.OK) || x.URL != test.url || x.Check != "connect" {
			t.Errorf("%s: expected one exchange with %s, as expected or not, got %+v", name, test.want, r.Exchanges)
		}
	}
}

// TestTCP_times has what a server takes to reply in the duration and in the phase processing, but not the wait for a refusal of the
// client certificate, which no server has to send. Where none is asked for nothing is waited for.
func TestTCP_times(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.StartTLS()
	defer server.Close()
	files := writePair(t, server)
	greetsLate := func(_ int, nc net.Conn) {
		<-time.After(3 * time.Second)
		fmt.Fprint(nc, "220 mail\r\n")
		_, _ = nc.Read(make([]byte, 99))
	}
	asks := func(auth tls.ClientAuthType, handle func(int, net.Conn)) func(int, net.Conn) {
		return func(n int, nc net.Conn) {
			cfg := &tls.Config{Certificates: server.TLS.Certificates, ClientAuth: auth, SessionTicketsDisabled: true}
			if tc := tls.Server(nc, cfg); tc.Handshake() == nil {
				handle(n, tc)
			}
		}
	}
	overTLS := func(handle func(int, net.Conn)) func(int, net.Conn) { return asks(tls.RequestClientCert, handle) }
	reads := func(_ int, nc net.Conn) { _, _ = nc.Read(make([]byte, 99)) }
	authority, pair := "ca_file: "+files+"/cert", fmt.Sprintf("ca_file: %[1]s/cert, cert_file: %[1]s/cert, key_file: %[1]s/key", files)
	for name, test := range map[string]struct {
		settings string
		serve    func(int, net.Conn)
		took     time.Duration // as recorded
		run      time.Duration // as it was
	}{
		"a late greeting":                     {"    protocol: smtp\n", greetsLate, 3 * time.Second, 3 * time.Second},
		"a late greeting over TLS":            {"    protocol: smtp\n    tls: {" + authority + "}\n", overTLS(greetsLate), 3 * time.Second, 3 * time.Second},
		"a certificate, and a late greeting":  {"    protocol: smtp\n    tls: {" + pair + "}\n", overTLS(greetsLate), 3 * time.Second, 3 * time.Second},
		"a certificate, and nothing to await": {"    tls: {" + pair + "}\n", overTLS(reads), 0, maxRefusal},
		"no certificate, and asked for one":   {"    tls: {" + authority + "}\n", overTLS(reads), 0, maxRefusal},
		"a certificate, and not asked for it": {"    tls: {" + pair + "}\n", asks(tls.NoClientCert, reads), 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := inBubble(t, load(t, "127.0.0.1:25", test.settings), 10*time.Second, test.serve)
			if r.Verdict() != probe.Pass || r.Exchanges[0].Took != test.took || r.Took != test.run {
				t.Fatalf("expected to pass and to take %s in a run of %s, got %s in %s and %s", test.took, test.run, r.Exchanges[0].Took, r.Took, probetest.Lines(r))
			}
			phases := r.Exchanges[0].Phases
			if phases[len(phases)-1] != (probe.Phase{Name: "processing", Took: test.took}) || slices.ContainsFunc(phases[:len(phases)-1], func(p probe.Phase) bool { return p.Took > 0 }) {
				t.Errorf("expected %s of processing and nothing else, got %+v", test.took, phases)
			}
		})
	}
	t.Run("a short run", func(t *testing.T) {
		r := inBubble(t, load(t, "127.0.0.1:25", "    tls: {"+pair+"}\n"), time.Second, overTLS(reads))
		if r.Verdict() != probe.Pass || r.Took != 450*time.Millisecond {
			t.Errorf("expected to pass in half of the run's time, less the margin, got %s in %s", probetest.Lines(r), r.Took)
		}
	})
}

// writePair writes the certificate of a server and its key, and returns the directory.
func writePair(t *testing.T, server *httptest.Server) string {
	t.Helper()
	dir := t.TempDir()
	key, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: server.Certificate().Raw}, "key": {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestTCP_elsewhere shows what is sent to another machine: all but a secret without TLS, which allow_plaintext allows.
func TestTCP_elsewhere(t *testing.T) {
	t.Setenv("TCP_TEST_SECRET", "tr0ub4dor")
	for settings, want := range map[string]string{
		"    dialogue: [{send: hello}, {expect: OK}]\n":                                             "pass",
		"    dialogue: [{send: {env: TCP_TEST_SECRET}}, {expect: OK}]\n    allow_plaintext: true\n": "pass",
		"    dialogue: [{send: {env: TCP_TEST_SECRET}}, {expect: OK}]\n":                            "inconclusive",
	} {
		r := inBubble(t, load(t, "192.0.2.1:6379", settings), 10*time.Second, func(_ int, nc net.Conn) {
			_, _ = nc.Read(make([]byte, 99))
			fmt.Fprint(nc, "OK\n")
		})
		if lines := probetest.Lines(r); !strings.HasPrefix(lines, want+"\n") {
			t.Errorf("expected %s of %s, got %s", want, settings, lines)
		}
	}
}

// TestTCP_startTLS shows how the change to TLS is judged: a certificate that nobody trusts, one that ends soon, and a client
// certificate that the server refuses after the handshake. What the server says over TLS is heard from its first byte on.
func TestTCP_startTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.StartTLS()
	defer server.Close()
	files := writePair(t, server)
	pair := fmt.Sprintf("{ca_file: %[1]s/cert, cert_file: %[1]s/cert, key_file: %[1]s/key}", files)
	silent, greeted := "    dialogue: [{expect: hello, send: STARTTLS, starttls: true}]\n", "    dialogue: [{expect: hello, send: STARTTLS, starttls: true}, {expect: ^welcome$}]\n"
	for name, test := range map[string]struct {
		settings string
		auth     tls.ClientAuthType
		want     string
	}{
		"nobody trusts it":                    {silent, tls.NoClientCert, "fail\nconnect pass(ok): *\ntls fail(cert): *"},
		"it ends soon":                        {silent + "    tls: " + pair + "\n    certificate: {warn: 40000d, fail: 30000d}\n", tls.NoClientCert, "fail\n*\n*\n*\ncertificate fail(cert): *"},
		"refused":                             {silent + "    tls: " + pair + "\n", tls.RequireAndVerifyClientCert, "fail\nconnect pass(ok): *\ntls fail(tls): the server rejected the client certificate"},
		"refused for having none":             {silent + "    tls: {ca_file: " + files + "/cert}\n", tls.RequireAnyClientCert, "fail\nconnect pass(ok): *\ntls fail(tls): the server requires a client certificate"},
		"refused, where a reply is awaited":   {greeted + "    tls: " + pair + "\n", tls.RequireAndVerifyClientCert, "fail\nconnect pass(ok): *\ntls pass(ok): TLS 1.3\ndialogue fail(tls): *"},
		"accepted, and a reply comes at once": {greeted + "    tls: " + pair + "\n", tls.RequireAnyClientCert, "pass\nconnect pass(ok): *\ntls pass(ok): TLS 1.3\ndialogue pass(ok): 2 steps as expected"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := &tls.Config{Certificates: server.TLS.Certificates, ClientAuth: test.auth, ClientCAs: x509.NewCertPool()}
			r := inBubble(t, load(t, "127.0.0.1:25", test.settings), 10*time.Second, func(_ int, nc net.Conn) {
				fmt.Fprint(nc, "hello\n")
				_, _ = nc.Read(make([]byte, len("STARTTLS\r\n")))
				if tc := tls.Server(nc, cfg); tc.Handshake() == nil {
					fmt.Fprint(tc, "welcome\n")
					_, _ = tc.Read(make([]byte, 1))
				}
			})
			wantPattern(t, probetest.Lines(r), test.want)
			if test.auth == tls.NoClientCert && strings.Contains(test.settings, "certificate") && !slices.ContainsFunc(r.Samples, func(s probe.Sample) bool { return s.Measure == expect.CertificateExpiring && s.Value == 1 }) {
				t.Error("expected the warning to be measured")
			}
		})
	}
}

// TestChecks lists the checks that the settings ask for, and no others.
func TestChecks(t *testing.T) {
	for settings, want := range map[string]string{
		"":                         "connect",
		"    tls: {}\n":            "connect tls",
		"    protocol: smtp\n    ": "connect dialogue",
		"    protocol: smtp\n    starttls: true\n    latency: 1s\n    certificate: {fail: 14d}\n    replicas: {static: ['127.0.0.1:25'], want: 1}\n": "connect tls dialogue latency certificate replicas",
	} {
		if got := strings.Join(load(t, "127.0.0.1:25", settings).Checks(), " "); got != want {
			t.Errorf("%s: expected %s, got %s", settings, want, got)
		}
	}
}

// TestCertificateWarning has a warning only where one is set.
func TestCertificateWarning(t *testing.T) {
	for settings, want := range map[string]string{
		"": "",
		"    tls: {}\n    certificate: {fail: 14d}\n":                 "",
		"    tls: {}\n    certificate: {warn: 14d, severity: info}\n": "info",
	} {
		if severity, ok := load(t, "127.0.0.1:25", settings).CertificateWarning(); severity != want || ok != (want != "") {
			t.Errorf("%s: expected %q, got %q, %t", settings, want, severity, ok)
		}
	}
}
