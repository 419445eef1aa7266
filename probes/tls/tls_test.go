package tls

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/probes/internal/expect"
	"prober/probes/internal/probetest"
)

const soundLines = `connect pass(ok): connected to *
tls pass(ok): TLS 1.3, *
chain pass(ok): 1 certificate presented, issued by an authority that is trusted
names pass(ok): valid for 1 expected name`

// TestTLS shows what a server is told of by each check.
func TestTLS(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	good := a.issue(t, 90*day, "127.0.0.1", "a.example")
	leafAndOld := good
	leafAndOld.Certificate = append([][]byte{good.Certificate[0]}, a.issue(t, -day, "old.example").Certificate[0])
	config := func(cert tls.Certificate, change func(*tls.Config)) *tls.Config {
		cfg := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
		if change != nil {
			change(cfg)
		}
		return cfg
	}
	for name, test := range map[string]struct {
		server func(int, net.Conn)
		change func(*Probe)
		want   string
	}{
		"sound":        {speak(config(good, nil)), nil, "pass\n" + soundLines},
		"expired":      {speak(config(a.issue(t, -2*day, "127.0.0.1"), nil)), nil, "fail\nconnect pass(ok): *\ntls pass(ok): the handshake got as far as the certificates\nchain fail(cert): the certificate expired 2 days ago"},
		"another name": {speak(config(a.issue(t, 90*day, "b.example"), nil)), nil, "fail\nconnect pass(ok): *\ntls pass(ok): *\nchain pass(ok): the certificate was issued by an authority that is trusted\nnames fail(cert): the certificate is not for 127.0.0.1"},
		"stranger":     {speak(config(stranger.issue(t, 90*day, "127.0.0.1"), nil)), nil, "fail\nconnect pass(ok): *\ntls pass(ok): *\nchain fail(cert): the certificate was issued by an authority that is not trusted"},
		"a stranger's, for another name": {
			speak(config(stranger.issue(t, 90*day, "b.example"), nil)), nil,
			"fail\nconnect pass(ok): *\ntls pass(ok): *\nchain fail(cert): the certificate was issued by an authority that is not trusted",
		},
		"an expired certificate that is not needed": {
			speak(config(leafAndOld, nil)), func(p *Probe) { p.Certificate = &expect.Certificate{Fail: days(14)} },
			"pass\nconnect pass(ok): *\ntls pass(ok): *\nchain pass(ok): 2 certificates presented, issued by an authority that is trusted; 1 of them has expired and is not needed\nnames pass(ok): *\ncertificate pass(ok): the certificate is valid for another 89 days",
		},
		"a name is missing": {
			speak(config(good, nil)), func(p *Probe) { p.Names = []string{"a.example", "c.example"} },
			"fail\nconnect pass(ok): *\ntls pass(ok): *\nchain pass(ok): *\nnames fail(cert): expected a certificate valid for 3 names, got one that is not valid for c.example",
		},
		"many names are missing": {
			speak(config(good, nil)), func(p *Probe) {
				for i := range 11 {
					p.Names = append(p.Names, fmt.Sprintf("%c.missing", 'a'+i))
				}
			},
			"fail\nconnect pass(ok): *\ntls pass(ok): *\nchain pass(ok): *\nnames fail(cert): expected a certificate valid for 12 names, got one that is not valid for a.missing, *, j.missing",
		},
		"names in other scripts": {
			speak(config(a.issue(t, 90*day, "xn--bcher-kva.example", "xn--caf-dma.example"), nil)),
			func(p *Probe) { p.TLS.ServerName, p.Names = "bücher.example", []string{"Café.example"} },
			"pass\nconnect pass(ok): *\ntls pass(ok): *\nchain pass(ok): *\nnames pass(ok): valid for 2 expected names",
		},
		"ends soon": {
			speak(config(a.issue(t, 10*day, "127.0.0.1"), nil)), func(p *Probe) { p.Certificate = &expect.Certificate{Warn: days(30), Fail: days(14)} },
			"fail\nconnect pass(ok): *\ntls pass(ok): *\nchain pass(ok): *\nnames pass(ok): *\ncertificate fail(cert): expected a certificate valid for another 14d, got one that expires in 9 days",
		},
		"too old a version": {
			speak(config(good, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })), func(p *Probe) { p.Version = "1.3" },
			"fail\nconnect pass(ok): *\ntls pass(ok): TLS 1.2, *\nchain pass(ok): *\nnames pass(ok): *\nversion fail(tls_version): expected TLS 1.3 or later, got TLS 1.2",
		},
		"no TLS": {
			func(_ int, nc net.Conn) { fmt.Fprint(nc, "220 hello\r\n") }, nil,
			"fail\nconnect pass(ok): *\ntls fail(tls): the server at * does not speak TLS",
		},
		"a certificate that cannot be read": {
			speak(config(tls.Certificate{Certificate: [][]byte{[]byte("no certificate")}, PrivateKey: good.PrivateKey}, nil)), nil,
			"fail\nconnect pass(ok): *\ntls fail(tls): the TLS handshake with * failed",
		},
		"old versions are refused": {
			speak(config(good, nil)), func(p *Probe) { p.RefusedVersions = []string{"1.0", "1.1"} },
			"pass\n" + soundLines + "\nrefused_versions pass(ok): TLS 1.0 and 1.1 refused, and a later version accepted before and after",
		},
		"an old version is accepted": {
			speak(config(good, func(c *tls.Config) { c.MinVersion = tls.VersionTLS11 })), func(p *Probe) { p.RefusedVersions = []string{"1.0", "1.1"} },
			"fail\n" + soundLines + "\nrefused_versions fail(tls_version_accepted): expected TLS 1.1 to be refused, got a handshake",
		},
		"an old version is accepted, and who has no client certificate refused": {
			speak(config(good, func(c *tls.Config) {
				c.MinVersion = tls.VersionTLS10
				c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
					old := c.Clone()
					if hello.SupportedVersions[0] == tls.VersionTLS10 {
						old.ClientAuth = tls.RequireAnyClientCert
					}
					return old, nil
				}
			})), func(p *Probe) { p.RefusedVersions = []string{"1.0"} },
			"fail\n" + soundLines + "\nrefused_versions fail(tls_version_accepted): expected TLS 1.0 to be refused, got a handshake",
		},
		"goes away in the meantime": {
			func(n int, nc net.Conn) {
				if n == 0 {
					speak(config(good, nil))(n, nc)
				}
			}, func(p *Probe) { p.RefusedVersions = []string{"1.0"} },
			"inconclusive\n" + soundLines + "\nrefused_versions inconclusive(control_failed): the handshake that must succeed did not succeed any more: *",
		},
		"drops old versions without a word": {
			func(_ int, nc net.Conn) {
				cfg := config(good, nil)
				cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
					if hello.SupportedVersions[0] < tls.VersionTLS12 {
						nc.Close()
					}
					return nil, nil
				}
				speak(cfg)(0, nc)
			}, func(p *Probe) { p.RefusedVersions = []string{"1.0"} },
			"pass\n" + soundLines + "\nrefused_versions pass(ok): TLS 1.0 refused, and a later version accepted before and after",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := probetest.Run(t, Kind(), probeOf(serve(t, test.server), a, test.change))
			wantPattern(t, probetest.Lines(r), test.want)
		})
	}
}

// TestTLS_clientCertificate shows who is told of a server that does not ask its clients for a certificate.
func TestTLS_clientCertificate(t *testing.T) {
	a := newAuthority(t)
	for name, test := range map[string]struct {
		auth    tls.ClientAuthType
		version uint16
		want    string
	}{
		"required, TLS 1.2":     {tls.RequireAndVerifyClientCert, tls.VersionTLS12, "client_certificate pass(ok): a client without a certificate is refused, and one with it accepted"},
		"required, TLS 1.3":     {tls.RequireAndVerifyClientCert, tls.VersionTLS13, "client_certificate pass(ok): a client without a certificate is refused, and one with it accepted"},
		"optional, TLS 1.2":     {tls.VerifyClientCertIfGiven, tls.VersionTLS12, "client_certificate fail(client_certificate_not_required): expected a client without a certificate to be refused, got a handshake and no refusal within *"},
		"optional, TLS 1.3":     {tls.VerifyClientCertIfGiven, tls.VersionTLS13, "client_certificate fail(client_certificate_not_required): expected a client without a certificate to be refused, got a handshake and no refusal within *"},
		"not asked for at all":  {tls.NoClientCert, tls.VersionTLS13, "client_certificate fail(client_certificate_not_required): *"},
		"asked for, not needed": {tls.RequestClientCert, tls.VersionTLS13, "client_certificate fail(client_certificate_not_required): *"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := &tls.Config{Certificates: []tls.Certificate{a.issue(t, 90*day, "127.0.0.1")}, MinVersion: test.version, MaxVersion: test.version, ClientAuth: test.auth, ClientCAs: pool(a)}
			p := probeOf("127.0.0.1:443", a, func(p *Probe) { p.TLS, p.ClientCertificate = a.client(t), "required" })
			r := inBubble(t, p, 10*time.Second, speak(cfg))
			wantLast(t, r, test.want)
			if last := r.Exchanges[len(r.Exchanges)-1]; last.Expected != strings.Contains(test.want, " pass(") {
				t.Errorf("%s, and recorded as expected: %t", test.want, last.Expected)
			}
		})
	}
}

// TestTLS_replicas finds the one replica with another certificate.
func TestTLS_replicas(t *testing.T) {
	a := newAuthority(t)
	sound := serve(t, speak(&tls.Config{Certificates: []tls.Certificate{a.issue(t, 90*day, "127.0.0.1")}}))
	old := serve(t, speak(&tls.Config{Certificates: []tls.Certificate{a.issue(t, -day, "127.0.0.1")}}))
	r := probetest.Run(t, Kind(), probeOf(sound, a, func(p *Probe) {
		p.Replicas.Static, p.Replicas.Want = []string{sound, old}, 2
	}))
	bad := r.NotPassed()
	if len(bad) != 1 || bad[0].Target != old || bad[0].Name != "chain" {
		t.Errorf("expected chain to fail at %s only, got %+v", old, bad)
	}
	_, port, _ := net.SplitHostPort(sound)
	r = probetest.Run(t, Kind(), probeOf(sound, a, func(p *Probe) {
		p.Replicas.DNS, p.Replicas.Want = "localhost:"+port, 5
	}))
	if bad := r.NotPassed(); len(bad) != 1 || bad[0].Name != "replicas" || bad[0].Reason != probe.Replicas {
		t.Errorf("expected too few replicas, got %+v", bad)
	}
}

// TestTLS_startTLS asks for TLS in the words of SMTP.
func TestTLS_startTLS(t *testing.T) {
	a := newAuthority(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{a.issue(t, 90*day, "127.0.0.1")}}
	for name, test := range map[string]struct{ ehlo, behind, want string }{
		"sound":    {"250-mail\r\n250-STARTTLS\r\n250 8BITMIME\r\n", "220 go ahead\r\n", "pass\nconnect pass(ok): *\nstarttls pass(ok): the server offers STARTTLS and does it\ntls pass(ok): *\nchain pass(ok): *\nnames pass(ok): *"},
		"stripped": {"250-mail\r\n250-XXXXXXXX\r\n250 8BITMIME\r\n", "", "fail\nconnect pass(ok): *\nstarttls fail(starttls_not_offered): expected the server to offer STARTTLS, got a reply without it (3 lines that do not, the last with the code 250)"},
		"refused":  {"250-mail\r\n250 STARTTLS\r\n", "454 TLS not available\r\n", "fail\nconnect pass(ok): *\nstarttls fail(unexpected_reply): expected a line that matches ^220( |$), got 1 line that does not, the last with the code 454 (the reply to STARTTLS)"},
		"injected": {"250-mail\r\n250 STARTTLS\r\n", "220 go ahead\r\n250 injected\r\n", "fail\nconnect pass(ok): *\nstarttls fail(plaintext_injected): expected nothing between the reply to STARTTLS and the TLS handshake, got 14 bytes in plain text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, func(n int, nc net.Conn) {
				fmt.Fprint(nc, "220-mail\r\n220 ready\r\n")
				said := make([]byte, 100)
				_, _ = nc.Read(said)
				fmt.Fprint(nc, test.ehlo)
				if k, _ := nc.Read(said); strings.HasPrefix(string(said[:k]), "STARTTLS") {
					fmt.Fprint(nc, test.behind)
					speak(cfg)(n, nc)
				}
			})
			r := probetest.Run(t, Kind(), probeOf(address, a, func(p *Probe) { p.StartTLS = "smtp" }))
			wantPattern(t, probetest.Lines(r), test.want)
		})
	}
}

// TestTLS_silent ends with the run when a server accepts connections and says nothing.
func TestTLS_silent(t *testing.T) {
	address := serve(t, func(_ int, nc net.Conn) { _, _ = nc.Read(make([]byte, 1<<16)); <-t.Context().Done() })
	job := probe.Job{ID: probe.ID{System: "s", Name: "p", Type: "tls"}, Kind: Kind(), Timeout: 300 * time.Millisecond}
	p := probeOf(address, newAuthority(t), nil)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	job.Probe = p
	r := job.Do(t.Context())
	if why := r.Decisive(); why.Name != "tls" || why.Reason != probe.Timeout {
		t.Errorf("expected tls to fail with timeout, got %s", probetest.Lines(r))
	}
}

// TestTLS_clientCertificate_everybodyIsRefused proves nothing by a server that refuses the control too, in TLS 1.3 after its
// handshake.
func TestTLS_clientCertificate_everybodyIsRefused(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{a.issue(t, 90*day, "127.0.0.1")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool(stranger)}
	for _, required := range []string{"", "required"} {
		p := probeOf("127.0.0.1:443", a, func(p *Probe) { p.TLS, p.ClientCertificate = a.client(t), required })
		wantPattern(t, probetest.Lines(inBubble(t, p, 10*time.Second, speak(cfg))), "fail\nconnect pass(ok): *\ntls fail(tls): the server rejected the client certificate")
	}
}

// TestTLS_clientCertificate_none: a server that requires a certificate serves nobody without one, in whichever version it says so.
func TestTLS_clientCertificate_none(t *testing.T) {
	a := newAuthority(t)
	for version, want := range map[uint16]string{
		tls.VersionTLS12: "fail\nconnect pass(ok): *\ntls fail(tls): *",
		tls.VersionTLS13: "fail\nconnect pass(ok): *\ntls fail(tls): the server requires a client certificate",
	} {
		cfg := &tls.Config{Certificates: []tls.Certificate{a.issue(t, 90*day, "127.0.0.1")}, MaxVersion: version, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool(a)}
		wantPattern(t, probetest.Lines(inBubble(t, probeOf("127.0.0.1:443", a, nil), 10*time.Second, speak(cfg))), want)
	}
}

// TestTLS_clientCertificate_closes takes a connection that is closed in order for one that was accepted, if who has no certificate
// gets an alert, and one that is reset for neither: a reset may have swallowed the alert.
func TestTLS_clientCertificate_closes(t *testing.T) {
	a := newAuthority(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{a.issue(t, 90*day, "127.0.0.1")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool(a)}
	for want, reset := range map[string]bool{
		"client_certificate pass(ok): a client without a certificate is refused, and one with it accepted":                                                  false,
		"client_certificate inconclusive(control_failed): a client without a certificate is refused, and so may be one with it: its connection is reset, *": true,
	} {
		p := probeOf(serve(t, func(_ int, nc net.Conn) {
			if tls.Server(nc, cfg).Handshake() == nil && reset {
				_ = nc.(*net.TCPConn).SetLinger(0)
			}
		}), a, func(p *Probe) { p.TLS, p.ClientCertificate = a.client(t), "required" })
		wantLast(t, probetest.Run(t, Kind(), p), want)
	}
}

// TestTLS_clientCertificate_everybodyIsDropped proves nothing by a connection that is closed for everybody.
func TestTLS_clientCertificate_everybodyIsDropped(t *testing.T) {
	a := newAuthority(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{a.issue(t, 90*day, "127.0.0.1")}}
	p := probeOf("127.0.0.1:443", a, func(p *Probe) { p.TLS, p.ClientCertificate = a.client(t), "required" })
	r := inBubble(t, p, 10*time.Second, func(_ int, nc net.Conn) { _ = tls.Server(nc, cfg).Handshake() })
	wantLast(t, r, "client_certificate inconclusive(control_failed): the connection of a client without a certificate is closed without a word, and so is that of one with it, *")
}
