package httpx

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
	"testing"
	"time"
)

// A pki is an authority for one test.
type pki struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate, as ca_file
}

const day = 24 * time.Hour

func newPKI(t testing.TB) *pki {
	t.Helper()
	p := &pki{t: t}
	c := p.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-10 * 365 * day), NotAfter: time.Now().Add(10 * 365 * day),
	})
	p.cert, p.key = c.Leaf, c.PrivateKey.(*ecdsa.PrivateKey)
	p.file = writePEM(t, "ca.pem", "CERTIFICATE", p.cert.Raw)
	return p
}

// issue signs a certificate, by itself as long as there is no authority.
func (p *pki) issue(template *x509.Certificate) tls.Certificate {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	parent, signer := template, key
	if p.cert != nil {
		parent, signer = p.cert, p.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		p.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		p.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// server issues a certificate for loopback and names, valid from and until so far from now.
func (p *pki) server(from, until time.Duration, names ...string) tls.Certificate {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: marker}, DNSNames: names,
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(until),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if len(names) == 0 {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	return p.issue(template)
}

func writePEM(t testing.TB, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// files writes a certificate and its key.
func files(t testing.TB, c tls.Certificate) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(c.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, "cert.pem", "CERTIFICATE", c.Certificate[0]), writePEM(t, "key.pem", "EC PRIVATE KEY", der)
}

// serveTLS is serve behind TLS. A connection whose handshake fails is closed.
func serveTLS(t testing.TB, cfg *tls.Config, do func(*zoo, net.Conn)) *zoo {
	t.Helper()
	return serve(t, func(z *zoo, c net.Conn) {
		tc := tls.Server(c, cfg)
		if tc.Handshake() == nil {
			do(z, tc)
		}
		tc.Close()
	})
}

func (z *zoo) https() string { return "https://" + z.Addr().String() + "/path?who=" + marker }

func ecdsaKey(c tls.Certificate) *ecdsa.PrivateKey { return c.PrivateKey.(*ecdsa.PrivateKey) }
