package tls

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"prober/internal/dial"
	"prober/internal/probe"
)

const day = 24 * time.Hour

// An authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // of its certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t), file: filepath.Join(t.TempDir(), "ca.pem")}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-day), NotAfter: time.Now().Add(1000 * day),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

// issue returns a certificate for names, valid for some time.
func (a *authority) issue(t *testing.T, life time.Duration, names ...string) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-10 * day), NotAfter: time.Now().Add(life),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// client writes a client certificate and returns the settings that use it and trust the authority.
func (a *authority) client(t *testing.T) *dial.TLS {
	t.Helper()
	pair, dir := a.issue(t, day, "client.example"), t.TempDir()
	der, err := x509.MarshalECPrivateKey(pair.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	s := &dial.TLS{CAFile: a.file, CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	writePEM(t, s.CertFile, "CERTIFICATE", pair.Certificate[0])
	writePEM(t, s.KeyFile, "EC PRIVATE KEY", der)
	return s
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// serve has a function handle each connection until the test ends, and returns the address. The function is told how many
// connections came before.
func serve(t *testing.T, handle func(n int, nc net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for n := 0; ; n++ {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer nc.Close()
				handle(n, nc)
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

// speak makes the server's handshake and reads until the client goes.
func speak(cfg *tls.Config) func(int, net.Conn) {
	return func(_ int, nc net.Conn) {
		tc := tls.Server(nc, cfg)
		if tc.Handshake() == nil {
			_, _ = tc.Read(make([]byte, 1))
		}
	}
}

// probeOf returns a probe of an address that trusts the authority.
func probeOf(address string, a *authority, change func(*Probe)) *Probe {
	p := New()
	p.Address, p.TLS = address, &dial.TLS{CAFile: a.file}
	if change != nil {
		change(p)
	}
	return p
}

func days(n int) *probe.Duration {
	d := probe.Duration(time.Duration(n) * day)
	return &d
}

func pool(a *authority) *x509.CertPool {
	all := x509.NewCertPool()
	all.AddCert(a.cert)
	return all
}

// wantPattern compares lines with those expected, in which * stands for anything.
func wantPattern(t *testing.T, got, want string) {
	t.Helper()
	quoted := strings.ReplaceAll(regexp.QuoteMeta(want), `\*`, ".*")
	if !regexp.MustCompile("^" + quoted + "$").MatchString(strings.TrimSpace(got)) {
		t.Errorf("got\n%s\nexpected\n%s", got, want)
	}
}
