package tls

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
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
	return inBubbleTo(t, p, timeout, testenv.OpenTo(serve))
}

func inBubbleTo(t *testing.T, p *Probe, timeout time.Duration, open testenv.Open) (r probe.Result) {
	t.Helper()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	testenv.Bubble(t, func(ctx context.Context, _ testenv.Open) {
		job := probe.Job{ID: probe.ID{System: "s", Name: "p", Type: "tls"}, Kind: Kind(), Probe: p, Timeout: timeout}
		r = job.Do(dial.WithOpen(ctx, open))
	})
	return r
}

// TestRefusalOf tells a refusal in the server's words from a connection that was dropped, and both from all else.
func TestRefusalOf(t *testing.T) {
	wrapped := func(err error) error {
		return &net.OpError{Op: "read", Err: &os.SyscallError{Syscall: "read", Err: err}}
	}
	for _, test := range []struct {
		err  error
		want refusal
	}{
		{&net.OpError{Op: "remote error", Err: errors.New("tls: protocol version not supported")}, refused},
		{&net.OpError{Op: "local error", Err: errors.New("tls: bad record")}, unclear},
		{io.EOF, dropped},
		{io.ErrUnexpectedEOF, dropped},
		{wrapped(syscall.ECONNRESET), dropped},
		{wrapped(syscall.EPIPE), dropped},
		{wrapped(syscall.EHOSTUNREACH), unclear},
		{context.DeadlineExceeded, unclear},
	} {
		if got := refusalOf(test.err); got != test.want {
			t.Errorf("%v: expected %d, got %d", test.err, test.want, got)
		}
	}
}

// isOld reports whether a client speaks nothing later than TLS 1.1.
func isOld(hello *tls.ClientHelloInfo) bool {
	return slices.Max(hello.SupportedVersions) < tls.VersionTLS12
}

// TestTLS_refusedVersions shows how what becomes of an old client is told: by the check, and by what is recorded of each
// connection.
func TestTLS_refusedVersions(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	good, other := a.issue(t, 90*day, "127.0.0.1"), stranger.issue(t, -day, "old.example")
	for name, test := range map[string]struct {
		lowest    uint16
		old       func(net.Conn) (*tls.Config, error) // what the server does for an old client
		want      string
		exchanges string
	}{
		"refused": {
			tls.VersionTLS12, nil, "pass(ok): TLS 1.0 refused, and a later version accepted before and after",
			"tls ok true, refused_versions tls true, refused_versions ok true",
		},
		"accepted": {
			tls.VersionTLS10, nil, "fail(tls_version_accepted): expected TLS 1.0 to be refused, got a handshake",
			"tls ok true, refused_versions ok false, refused_versions ok true",
		},
		"accepted with a certificate that nobody trusts": {
			tls.VersionTLS10, func(net.Conn) (*tls.Config, error) {
				return &tls.Config{MinVersion: tls.VersionTLS10, Certificates: []tls.Certificate{other}}, nil
			},
			"fail(tls_version_accepted): expected TLS 1.0 to be refused, got a handshake",
			"tls ok true, refused_versions ok false, refused_versions ok true",
		},
		"dropped, also when asked again": {
			tls.VersionTLS12, func(nc net.Conn) (*tls.Config, error) { nc.Close(); return nil, nil },
			"pass(ok): TLS 1.0 refused, and a later version accepted before and after",
			"tls ok true, refused_versions reset true, refused_versions reset true, refused_versions ok true",
		},
		"without an answer": {
			tls.VersionTLS12, func(nc net.Conn) (*tls.Config, error) { _, err := nc.Read(make([]byte, 1)); return nil, err },
			"inconclusive(control_failed): TLS 1.0 was neither accepted nor refused",
			"tls ok true, refused_versions timeout false, refused_versions ok true",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := probeOf("127.0.0.1:443", a, func(p *Probe) { p.RefusedVersions = []string{"1.0"} })
			r := inBubble(t, p, 10*time.Second, func(n int, nc net.Conn) {
				speak(&tls.Config{MinVersion: test.lowest, Certificates: []tls.Certificate{good}, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
					if test.old == nil || !isOld(hello) {
						return nil, nil
					}
					return test.old(nc)
				}})(n, nc)
			})
			wantLast(t, r, "refused_versions "+test.want)
			if got := exchanges(r); got != test.exchanges {
				t.Errorf("expected the exchanges %s, got %s", test.exchanges, got)
			}
		})
	}
}

// exchanges lists the check, the reason and whether it ended as was wanted, of each exchange.
func exchanges(r probe.Result) string {
	var all []string
	for _, x := range r.Exchanges {
		all = append(all, fmt.Sprintf("%s %s %t", x.Check, x.Reason, x.Expected))
	}
	return strings.Join(all, ", ")
}

func wantLast(t *testing.T, r probe.Result, want string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(probetest.Lines(r)), "\n")
	wantPattern(t, lines[len(lines)-1], want)
}

// TestTLS_clientCertificate_time shows how long a refusal is waited for, and that a run that is too short proves nothing.
func TestTLS_clientCertificate_time(t *testing.T) {
	a := newAuthority(t)
	config := func(version uint16, auth tls.ClientAuthType) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{a.issue(t, 90*day, "127.0.0.1")}, MinVersion: version, MaxVersion: version, ClientAuth: auth, ClientCAs: pool(a)}
	}
	greets := func(n int, nc net.Conn) {
		if tc := tls.Server(nc, config(tls.VersionTLS13, tls.VerifyClientCertIfGiven)); tc.Handshake() == nil {
			if len(tc.ConnectionState().PeerCertificates) == 0 {
				fmt.Fprint(tc, "hello\n")
			}
			_, _ = tc.Read(make([]byte, 1))
		}
	}
	for name, test := range map[string]struct {
		serve   func(int, net.Conn)
		timeout time.Duration
		want    string
		took    time.Duration
	}{
		"TLS 1.3": {
			speak(config(tls.VersionTLS13, tls.RequireAndVerifyClientCert)), 10 * time.Second,
			"pass(ok): a client without a certificate is refused, and one with it accepted", minRefusal,
		},
		"TLS 1.2, which refuses in its handshake": {
			speak(config(tls.VersionTLS12, tls.RequireAndVerifyClientCert)), 10 * time.Second,
			"pass(ok): a client without a certificate is refused, and one with it accepted", 0,
		},
		"not required": {
			speak(config(tls.VersionTLS13, tls.VerifyClientCertIfGiven)), 10 * time.Second,
			"fail(client_certificate_not_required): expected a client without a certificate to be refused, got a handshake and no refusal within 1.0 s", 2 * minRefusal,
		},
		"not required, TLS 1.2": {
			speak(config(tls.VersionTLS12, tls.VerifyClientCertIfGiven)), 10 * time.Second,
			"fail(client_certificate_not_required): expected a client without a certificate to be refused, got a handshake and no refusal within 1.0 s", 0,
		},
		"not required, in a short run": {
			speak(config(tls.VersionTLS13, tls.VerifyClientCertIfGiven)), 1500 * time.Millisecond,
			"inconclusive(control_failed): the run is too short to wait 1.0 s for a refusal", 1400 * time.Millisecond,
		},
		"a word to who has none, in a short run": {
			greets, 1500 * time.Millisecond,
			"fail(client_certificate_not_required): expected a client without a certificate to be refused, got a handshake and no refusal within 1.0 s", 700 * time.Millisecond,
		},
		"no answer to who has none": {
			func(n int, nc net.Conn) {
				if n == 0 {
					speak(config(tls.VersionTLS13, tls.RequireAndVerifyClientCert))(n, nc)
				}
				_, _ = io.Copy(io.Discard, nc)
			}, 10 * time.Second,
			"inconclusive(control_failed): a client without a certificate was neither accepted nor refused: *", 9900 * time.Millisecond,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := probeOf("127.0.0.1:443", a, func(p *Probe) { p.TLS, p.ClientCertificate = a.client(t), "required" })
			r := inBubble(t, p, test.timeout, test.serve)
			wantLast(t, r, "client_certificate "+test.want)
			if r.Took != test.took {
				t.Errorf("expected the run to take %s, got %s", test.took, r.Took)
			}
			if x := r.Exchanges[0]; x.Took != 0 || x.Phases[len(x.Phases)-1].Took != 0 {
				t.Errorf("expected the wait for a refusal to be no part of the handshake, got %+v", x)
			}
		})
	}
}

// TestTLS_clientCertificate_dropped shows what is concluded where a client without a certificate is only cut off.
func TestTLS_clientCertificate_dropped(t *testing.T) {
	a := newAuthority(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{a.issue(t, 90*day, "127.0.0.1")}, ClientAuth: tls.RequestClientCert}
	for _, test := range []struct {
		removed         bool // the client's key, while the run is in progress
		want, exchanges string
	}{
		{false, "pass(ok): the connection of a client without a certificate is closed, and that of one with it stays open", "tls ok true, client_certificate reset true, client_certificate ok true"},
		{true, "inconclusive(control_failed): the connection of a client without a certificate is closed without a word, *", "tls ok true, client_certificate reset true"},
	} {
		files := a.client(t)
		p := probeOf("127.0.0.1:443", a, func(p *Probe) { p.TLS, p.ClientCertificate = files, "required" })
		r := inBubble(t, p, 10*time.Second, func(_ int, nc net.Conn) {
			tc := tls.Server(nc, cfg)
			if tc.Handshake() != nil {
				return
			}
			if len(tc.ConnectionState().PeerCertificates) > 0 {
				_, _ = tc.Read(make([]byte, 1))
			} else if test.removed {
				_ = os.Remove(files.KeyFile)
			}
		})
		wantLast(t, r, "client_certificate "+test.want)
		if got := exchanges(r); got != test.exchanges {
			t.Errorf("expected the exchanges %s, got %s", test.exchanges, got)
		}
	}
}

// TestTLS_gone proves nothing by a server that is gone when it is to refuse: who does not answer at all refuses nothing.
func TestTLS_gone(t *testing.T) {
	a := newAuthority(t)
	sound := &tls.Config{Certificates: []tls.Certificate{a.issue(t, 90*day, "127.0.0.1")}, MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert}
	for name, test := range map[string]struct {
		change  func(*Probe)
		refused int // the connection that is refused
		want    string
	}{
		"for an old client":                    {func(p *Probe) { p.RefusedVersions = []string{"1.0"} }, 1, "refused_versions inconclusive(control_failed): TLS 1.0 was neither accepted nor refused"},
		"for an old client that was cut off":   {func(p *Probe) { p.RefusedVersions = []string{"1.0"} }, 2, "refused_versions inconclusive(control_failed): TLS 1.0 was neither accepted nor refused"},
		"for a client without its certificate": {func(p *Probe) { p.TLS, p.ClientCertificate = a.client(t), "required" }, 1, "client_certificate inconclusive(control_failed): a client without a certificate was neither accepted nor refused: connection refused by *"},
		"from the beginning":                   {nil, 0, "connect fail(refused): connection refused by *"},
		"for the handshake that must succeed":  {func(p *Probe) { p.RefusedVersions = []string{"1.0"} }, 3, "refused_versions inconclusive(control_failed): the handshake that must succeed did not succeed any more: *"},
	} {
		t.Run(name, func(t *testing.T) {
			n := -1
			open := testenv.OpenTo(func(i int, nc net.Conn) {
				cut := sound.Clone()
				cut.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
					if isOld(hello) {
						nc.Close()
					}
					return nil, nil
				}
				speak(cut)(i, nc)
			})
			p := probeOf("127.0.0.1:443", a, test.change)
			r := inBubbleTo(t, p, 10*time.Second, func(ctx context.Context, network, address string) (net.Conn, error) {
				if n++; n == test.refused {
					return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
				}
				return open(ctx, network, address)
			})
			wantLast(t, r, test.want)
		})
	}
}

// TestTLS_exchange shows what is recorded of a handshake that did not succeed: the step, and that it was not wanted.
func TestTLS_exchange(t *testing.T) {
	a := newAuthority(t)
	for name, test := range map[string]struct {
		serve           func(int, net.Conn)
		change          func(*Probe)
		want, exchanges string
	}{
		"expired": {
			speak(&tls.Config{Certificates: []tls.Certificate{a.issue(t, -day, "127.0.0.1")}}), nil,
			"chain fail(cert): the certificate expired *", "chain cert false",
		},
		"silent behind STARTTLS": {
			func(_ int, nc net.Conn) { _, _ = nc.Read(make([]byte, 1)) }, func(p *Probe) { p.StartTLS = "smtp" },
			"starttls fail(timeout): no complete answer within * (waiting for the greeting)", "starttls timeout false",
		},
		"the version that is wanted": {
			speak(&tls.Config{Certificates: []tls.Certificate{a.issue(t, 90*day, "127.0.0.1")}}), func(p *Probe) { p.Version = "1.3" },
			"version pass(ok): TLS 1.3", "tls ok true",
		},
		"no authority": {
			speak(&tls.Config{Certificates: []tls.Certificate{a.issue(t, 90*day, "127.0.0.1")}}), func(p *Probe) { p.TLS.CAFile = "/dev/null/ca.pem" },
			"tls inconclusive(credential): *", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := inBubble(t, probeOf("127.0.0.1:25", a, test.change), 10*time.Second, test.serve)
			wantLast(t, r, test.want)
			if got := exchanges(r); got != test.exchanges {
				t.Errorf("expected the exchanges %s, got %s", test.exchanges, got)
			}
		})
	}
}

// TestRefusedVersions_control: a version may be refused only if the handshake that must succeed cannot be one of it.
func TestRefusedVersions_control(t *testing.T) {
	for _, test := range []struct {
		version, minimum string
		want             string
	}{
		{"", "", "expected version"}, {"1.2", "1.2", "expected version"}, {"1.3", "", ""}, {"", "1.3", ""}, {"1.2", "1.3", ""},
	} {
		p := &Probe{Address: "127.0.0.1:443", Version: test.version, TLS: &dial.TLS{MinVersion: test.minimum}, RefusedVersions: []string{"1.0", "1.1", "1.2"}}
		if err := p.Validate(); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got %v", test, err)
		}
	}
}

// TestTLS_measures shows the ends of the certificates: the first of all that are presented, in whatever order, and whether the one
// that counts ends too soon.
func TestTLS_measures(t *testing.T) {
	a := newAuthority(t)
	first, second := a.issue(t, 20*day, "127.0.0.1"), a.issue(t, 10*day, "other.example")
	third := a.issue(t, 30*day, "another.example")
	first.Certificate = append(first.Certificate, second.Certificate[0], third.Certificate[0])
	p := probeOf("127.0.0.1:25", a, func(p *Probe) { p.StartTLS, p.Certificate = "smtp", &expect.Certificate{Warn: days(30)} })
	r := inBubble(t, p, 10*time.Second, func(n int, nc net.Conn) {
		<-time.After(2 * time.Second)
		fmt.Fprint(nc, "220 ready\r\n")
		for _, reply := range []string{"250 STARTTLS\r\n", "220 go ahead\r\n"} {
			_, _ = nc.Read(make([]byte, 99))
			fmt.Fprint(nc, reply)
		}
		speak(&tls.Config{Certificates: []tls.Certificate{first}})(n, nc)
	})
	got := map[string]float64{}
	for _, s := range r.Samples {
		got[s.Measure.Name] = s.Value
	}
	soon := time.Now().Add(11 * day).Unix()
	if end := int64(got[presentedGauge.Name]); end > soon || end < soon-2*24*60*60 || got[versionGauge.Name] != 1 || got[expect.CertificateExpiring.Name] != 1 {
		t.Errorf("expected the end of the second certificate and a warning of the first, got %v", got)
	}
	if x := r.Exchanges[0]; x.Took != 2*time.Second || !slices.Contains(x.Phases, probe.Phase{Name: "processing", Took: 2 * time.Second}) {
		t.Errorf("expected the server's words to have taken 2 s, got %+v", x)
	}
}

// TestChecks lists the checks that the settings ask for, and no others.
func TestChecks(t *testing.T) {
	if got := strings.Join(New().Checks(), " "); got != "connect tls chain names" {
		t.Errorf("got %s", got)
	}
	p := &Probe{StartTLS: "smtp", Certificate: &expect.Certificate{Fail: days(1)}, Version: "1.2", RefusedVersions: []string{"1.0"}, ClientCertificate: "required"}
	p.Replicas.Want = 1
	p.Replicas.Static = []string{"127.0.0.1:1"}
	if got := strings.Join(p.Checks(), " "); got != "connect starttls tls chain names certificate version refused_versions client_certificate replicas" {
		t.Errorf("got %s", got)
	}
}

// TestCertificateWarning has a warning only where one is set.
func TestCertificateWarning(t *testing.T) {
	for _, p := range []*Probe{New(), {Certificate: &expect.Certificate{Fail: days(1), Severity: "info"}}} {
		if severity, ok := p.CertificateWarning(); ok || severity != "" {
			t.Errorf("expected no warning, got %q", severity)
		}
	}
	if severity, ok := (&Probe{Certificate: &expect.Certificate{Warn: days(1), Severity: "info"}}).CertificateWarning(); !ok || severity != "info" {
		t.Errorf("expected a warning of severity info, got %q, %t", severity, ok)
	}
}
