package httpx

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"prober/internal/dial"
	"prober/internal/probe"
)

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestCertificates(t *testing.T) {
	p := newPKI(t)
	stranger := newPKI(t)
	alone := (&pki{t: t}).server(-day, 30*day)
	middle := p.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "middle"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-30 * day), NotAfter: time.Now().Add(-2 * day),
	})
	under := (&pki{t: t, cert: middle.Leaf, key: ecdsaKey(middle)}).server(-day, 30*day)
	under.Certificate = append(under.Certificate, middle.Certificate[0])
	odd := p.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: marker}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-day), NotAfter: time.Now().Add(day), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	})
	for _, c := range []struct {
		name   string
		cert   tls.Certificate
		tls    dial.TLS
		why    probe.Reason
		want   string
		expiry time.Duration // of the leaf or the middle, from now, in days
	}{
		{"good", p.server(-day, 30*day), dial.TLS{}, probe.OK, "", 30 * day},
		{"for another name", p.server(-day, 30*day, marker+".example"), dial.TLS{}, probe.Cert, "the certificate is not for 127.0.0.1", 30 * day},
		{"for the name asked for", p.server(-day, 30*day, "a.example"), dial.TLS{ServerName: "a.example"}, probe.OK, "", 30 * day},
		{"not for the name asked for", p.server(-day, 30*day), dial.TLS{ServerName: "a.example"}, probe.Cert, "the certificate is not for a.example", 30 * day},
		{"expired three days ago", p.server(-30*day, -3*day-time.Hour), dial.TLS{}, probe.Cert, "the certificate expired 3 days ago", -3*day - time.Hour},
		{"expired an hour ago", p.server(-30*day, -time.Hour-time.Minute), dial.TLS{}, probe.Cert, "the certificate expired 1 hour ago", -time.Hour - time.Minute},
		{"expired just now", p.server(-30*day, -time.Second), dial.TLS{}, probe.Cert, "the certificate expired 1 minute ago", -time.Second},
		{"not valid yet", p.server(day, 30*day), dial.TLS{}, probe.Cert, "the certificate is not valid before ", 30 * day},
		{"self-signed", alone, dial.TLS{}, probe.Cert, "the certificate is self-signed", 30 * day},
		{"of a stranger", stranger.server(-day, 30*day), dial.TLS{}, probe.Cert, "issued by an authority that is not trusted", 30 * day},
		{"below one that expired", under, dial.TLS{}, probe.Cert, "a certificate of the chain expired 2 days ago", -2 * day},
		{"for another purpose", odd, dial.TLS{}, probe.Cert, "the certificate is not valid for this use", day},
		{"of a stranger, not verified", stranger.server(-day, 30*day), dial.TLS{InsecureSkipVerify: true}, probe.OK, "", 30 * day},
		{"expired, not verified", p.server(-30*day, -3*day), dial.TLS{InsecureSkipVerify: true}, probe.OK, "", -3 * day},
	} {
		t.Run(c.name, func(t *testing.T) {
			z := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{c.cert}}, says(okAnswer))
			c.tls.CAFile = p.file
			for _, two := range []bool{false, true} {
				a, r := ask(t, &Settings{TLS: &c.tls, HTTP2: two}, patience, Request{URL: z.https()})
				if a.Reason != c.why || !strings.Contains(a.Detail, c.want) {
					t.Errorf("got %s: %s, want %s: %s", a.Reason, a.Detail, c.why, c.want)
				}
				if off := time.Until(a.CertExpiry) - c.expiry; off > 0 || off < -5*time.Minute {
					t.Errorf("the certificates end in %s, want %s", time.Until(a.CertExpiry), c.expiry)
				}
				if a.Reason == probe.OK && phases(a) != "connect tls processing transfer" {
					t.Errorf("phases %s", phases(a))
				}
				if a.Reason != probe.OK && (phases(a) != "connect tls" || r.Verdict() != probe.Fail) {
					t.Errorf("phases %s, verdict %s", phases(a), r.Verdict())
				}
			}
		})
	}
}

func phases(a *Answer) string {
	var names []string
	for _, p := range a.Phases {
		names = append(names, p.Name)
	}
	return strings.Join(names, " ")
}

// TestHandshakes fails before there is any certificate to judge.
func TestHandshakes(t *testing.T) {
	p := newPKI(t)
	cert := []tls.Certificate{p.server(-day, day)}
	for _, c := range []struct {
		name  string
		serve func(*zoo, net.Conn)
		tls   dial.TLS
		why   probe.Reason
		want  string
	}{
		{"no TLS", func(_ *zoo, c net.Conn) { io.WriteString(c, "HTTP/1.1 400 "+marker+"\r\n\r\n"); hold(nil, c) }, dial.TLS{}, probe.TLS, "does not speak TLS"},
		{"closed", func(_ *zoo, c net.Conn) { c.Read(make([]byte, 4096)) }, dial.TLS{}, probe.Reset, "connection closed by PEER during the TLS handshake"},
		{"reset", func(_ *zoo, c net.Conn) { c.Read(make([]byte, 1)); resets(c) }, dial.TLS{}, probe.Reset, "connection reset by PEER during the TLS handshake"},
		{"alert", func(_ *zoo, c net.Conn) {
			c.Read(make([]byte, 4096))
			c.Write([]byte{21, 3, 3, 0, 2, 2, 40})
			hold(nil, c)
		}, dial.TLS{}, probe.TLS, "the server ended TLS with alert 40"},
		{"unknown name", func(_ *zoo, c net.Conn) {
			c.Read(make([]byte, 4096))
			c.Write([]byte{21, 3, 3, 0, 2, 2, 112})
			hold(nil, c)
		}, dial.TLS{}, probe.TLS, "no certificate for the requested name"},
		{"old version", behindTLS(&tls.Config{Certificates: cert, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}), dial.TLS{}, probe.TLS, "TLS"},
		{"older than wanted", behindTLS(&tls.Config{Certificates: cert, MaxVersion: tls.VersionTLS12}), dial.TLS{MinVersion: "1.3"}, probe.TLS, "the server supports no version of TLS that the prober does"},
		{"client certificate wanted", behindTLS(&tls.Config{Certificates: cert, ClientAuth: tls.RequireAnyClientCert}), dial.TLS{}, probe.TLS, "the server requires a client certificate"},
		{"client certificate wanted, TLS 1.2", behindTLS(&tls.Config{Certificates: cert, ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}), dial.TLS{}, probe.TLS, "the server ended TLS with alert 40"},
	} {
		t.Run(c.name, func(t *testing.T) {
			z := serve(t, c.serve)
			c.tls.CAFile = p.file
			a, _ := ask(t, &Settings{TLS: &c.tls}, patience, Request{URL: z.https()})
			if want := strings.ReplaceAll(c.want, "PEER", z.Addr().String()); a.Reason != c.why || !strings.Contains(a.Detail, want) {
				t.Errorf("got %s: %s, want %s: %s", a.Reason, a.Detail, c.why, want)
			}
			if n := z.conns.Load(); n != 1 {
				t.Errorf("opened %d connections, want 1", n)
			}
		})
	}
}

// behindTLS answers over TLS and keeps the connection until the client has closed it, so that no RST takes over.
func behindTLS(cfg *tls.Config) func(*zoo, net.Conn) {
	return func(z *zoo, c net.Conn) {
		tc := tls.Server(c, cfg)
		if tc.Handshake() == nil {
			says(okAnswer)(z, tc)
		}
		hold(nil, c)
	}
}

// TestClientCertificate shows ours only where it is configured, as it is in the file at that time.
func TestClientCertificate(t *testing.T) {
	p := newPKI(t)
	shown := make(chan string, 1)
	cfg := &tls.Config{Certificates: []tls.Certificate{p.server(-day, day)}, ClientAuth: tls.RequestClientCert}
	z := serveTLS(t, cfg, func(z *zoo, c net.Conn) {
		name := "none"
		if certs := c.(*tls.Conn).ConnectionState().PeerCertificates; len(certs) > 0 {
			name = certs[0].DNSNames[0]
		}
		br := bufio.NewReader(c)
		for z.request(br) != nil {
			shown <- name
			io.WriteString(c, okAnswer)
		}
	})
	expect := func(client *Client, q Request, want string) {
		t.Helper()
		q.URL = z.https()
		if a, _ := askWith(t, client, patience, q); a.Reason != probe.OK {
			t.Errorf("got %s: %s", a.Reason, a.Detail)
		} else if got := <-shown; got != want {
			t.Errorf("showed %s, want %s", got, want)
		}
	}
	for _, connection := range []string{fresh, reuse} {
		without, err := (&Settings{TLS: &dial.TLS{CAFile: p.file}, Connection: connection}).Client(z.https())
		if err != nil {
			t.Fatal(err)
		}
		defer without.Close()
		expect(without, Request{}, "none")

		cert, key := files(t, p.server(-day, day, "first"))
		with, err := (&Settings{TLS: &dial.TLS{CAFile: p.file, CertFile: cert, KeyFile: key}, Connection: connection}).Client(z.https())
		if err != nil {
			t.Fatal(err)
		}
		defer with.Close()
		expect(with, Request{}, "first")
		expect(with, Request{Anonymous: true}, "none")
		expect(with, Request{}, "first")

		newCert, newKey := files(t, p.server(-day, day, "second"))
		rename(t, newCert, cert)
		rename(t, newKey, key)
		with.Close()
		expect(with, Request{}, "second")

		with.Close()
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		a, r := askWith(t, with, patience, Request{URL: z.https()})
		if want := key + ": no such file or directory"; a.Reason != probe.Credential || a.Detail != want || r.Verdict() != probe.Inconclusive {
			t.Errorf("got %s %s: %s, want %s", r.Verdict(), a.Reason, a.Detail, want)
		}
	}
}

// TestClientCertificate_unasked: a server that refuses a caller whose certificate it never asked for is told apart from one that does
// not accept it.
func TestClientCertificate_unasked(t *testing.T) {
	p := newPKI(t)
	cert, key := files(t, p.server(-day, day, "first"))
	for auth, want := range map[tls.ClientAuthType]string{
		tls.NoClientCert:      "expected 200, got 401: the target did not ask for the probe's certificate in the TLS handshake, and the prober shows it at no other time",
		tls.RequestClientCert: "expected 200, got 401: the target does not accept the probe's credential",
	} {
		for _, connection := range []string{fresh, reuse} {
			z := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{p.server(-day, day)}, ClientAuth: auth}, says("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"))
			a, _ := ask(t, &Settings{TLS: &dial.TLS{CAFile: p.file, CertFile: cert, KeyFile: key}, Connection: connection}, patience, Request{URL: z.https()})
			if got := a.Classify(ClassifyOptions{Want: Codes(200), Credential: true}); got.Reason != probe.Credential || got.Detail != want {
				t.Errorf("%s, %s: got %s: %s, want %s", auth, connection, got.Reason, got.Detail, want)
			}
		}
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
