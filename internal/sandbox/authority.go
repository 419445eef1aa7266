package sandbox

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// Names of the certificates that the authority of the sample system has issued.
const (
	soundCertificate    = "sound"
	expiredCertificate  = "expired"
	endingCertificate   = "ending"
	webCertificate      = "web"
	strangerCertificate = "stranger" // of another authority
)

// mailName is the host name of the mail server, which its certificate is for.
const mailName = "mail.demo.test"

// authorityFile stands in the demo's configuration for the file with the authority's certificate.
const authorityFile = "/run/prober-demo/authority.pem"

// An authority has issued the certificates of the sample system.
type authority struct {
	dir          string // of the file with its certificate
	certificates map[string]tls.Certificate
}

func newAuthority() (*authority, error) {
	const day = 24 * time.Hour
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &authority{certificates: map[string]tls.Certificate{}}
	root, err := newRoot(key)
	if err != nil {
		return nil, err
	}
	stranger, err := newRoot(key)
	if err != nil {
		return nil, err
	}
	for _, c := range []struct {
		name, host string
		left       time.Duration
		by         *x509.Certificate
	}{
		{soundCertificate, mailName, 90 * day, root}, {expiredCertificate, mailName, -2 * day, root}, {endingCertificate, mailName, 5 * day, root},
		{webCertificate, "web.demo.test", 90 * day, root}, {strangerCertificate, mailName, 90 * day, stranger},
	} {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{c.host}, NotBefore: time.Now().Add(-30 * day), NotAfter: time.Now().Add(c.left),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}
		der, err := x509.CreateCertificate(rand.Reader, template, c.by, &key.PublicKey, key)
		if err != nil {
			return nil, err
		}
		a.certificates[c.name] = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
	if a.dir, err = os.MkdirTemp("", "prober-demo-"); err != nil {
		return nil, err
	}
	return a, os.WriteFile(a.file(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}), 0o600)
}

// newRoot issues a certificate of an authority to itself.
func newRoot(key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	subject := make([]byte, 8) // two authorities have two names
	_, _ = rand.Read(subject)
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(subject), Subject: pkix.Name{CommonName: "prober demo", SerialNumber: new(big.Int).SetBytes(subject).String()},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// file is the path of the authority's certificate.
func (a *authority) file() string { return filepath.Join(a.dir, "authority.pem") }

func (a *authority) close() {
	if a != nil {
		_ = os.RemoveAll(a.dir)
	}
}
