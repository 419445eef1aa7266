package dial

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// TLS holds the TLS settings that all kinds of probes share. Certificates are verified unless InsecureSkipVerify is set.
type TLS struct {
	CAFile             string `yaml:"ca_file,omitempty" doc:"PEM file of the authorities to trust; default: the system's"`
	CertFile           string `yaml:"cert_file,omitempty" doc:"PEM file of the client certificate; read at each handshake"`
	KeyFile            string `yaml:"key_file,omitempty" doc:"PEM file of its key; read at each handshake"`
	ServerName         string `yaml:"server_name,omitempty" doc:"the name to send and to verify instead of the URL's host"`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify,omitempty" doc:"skip verification of the server's certificate; not together with a credential"`
	MinVersion         string `yaml:"min_version,omitempty" default:"1.2" doc:"1.2 or 1.3"`
}

// Validate reports everything wrong with the settings. The argument says whether a credential is sent over the
// connection.
func (t *TLS) Validate(credential bool) error {
	if t == nil {
		return nil
	}
	var wrong []error
	if t.InsecureSkipVerify && credential {
		wrong = append(wrong, probe.Settingf("insecure_skip_verify", "a credential could be sent to anyone"))
	}
	if t.CAFile != "" {
		if _, err := roots(t.CAFile); err != nil {
			wrong = append(wrong, probe.Settingf("ca_file", "%s", err))
		}
	}
	switch {
	case t.CertFile != "" && t.KeyFile == "":
		wrong = append(wrong, probe.Settingf("cert_file", "expected key_file beside it"))
	case t.CertFile == "" && t.KeyFile != "":
		wrong = append(wrong, probe.Settingf("key_file", "expected cert_file beside it"))
	case t.CertFile != "":
		if _, err := t.keyPair(); err != nil {
			wrong = append(wrong, probe.Settingf("cert_file", "%s", err))
		}
	}
	if t.MinVersion != "" && t.MinVersion != "1.2" && t.MinVersion != "1.3" {
		wrong = append(wrong, probe.Settingf("min_version", "expected 1.2 or 1.3"))
	}
	return errors.Join(wrong...)
}

// TLSConfig returns the configuration for a server that is verified by the name in the settings or, without one, as host.
// The client certificate is read at each handshake, so that a rotated one is used at once. The caller may change the
// result.
func (d *Dialer) TLSConfig(host string) *tls.Config {
	cfg := &tls.Config{ServerName: host, RootCAs: d.roots, MinVersion: tls.VersionTLS12}
	t := d.tls
	if t == nil {
		return cfg
	}
	cfg.ServerName = cmp.Or(t.ServerName, host)
	if t.MinVersion == "1.3" {
		cfg.MinVersion = tls.VersionTLS13
	}
	cfg.InsecureSkipVerify = t.InsecureSkipVerify
	if t.CertFile != "" {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := t.keyPair()
			if err != nil {
				return nil, &credentialError{err}
			}
			return pair, nil
		}
	}
	return cfg
}

// A credentialError lies with what the prober was given, not with the server. Its text is the prober's own.
type credentialError struct{ error }

// keyPair reads the client's certificate and key again, so that rotated files are used without a reload.
func (t *TLS) keyPair() (*tls.Certificate, error) {
	cert, err := readFile(t.CertFile)
	if err != nil {
		return nil, err
	}
	key, err := readFile(t.KeyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s are no certificate with its key", t.CertFile, t.KeyFile)
	}
	return &pair, nil
}

func roots(path string) (*x509.CertPool, error) {
	pem, err := readFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return pool, nil
}

// maxFile bounds the size of a certificate file. The authorities of a whole system take some 250 KiB.
const maxFile = 4 << 20

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxFile) {
		return nil, fmt.Errorf("%s is no file of certificates", path)
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(path)
	}
	if err != nil {
		if pe, ok := errors.AsType[*os.PathError](err); ok {
			return nil, fmt.Errorf("%s: %w", path, pe.Err)
		}
		return nil, fmt.Errorf("%s cannot be read", path)
	}
	return b, nil
}

// expiry returns when the certificates are no longer valid: the earliest end in the chain that lasts longest. For
// certificates that were not verified it is the earliest end of all.
func expiry(chains [][]*x509.Certificate, shown []*x509.Certificate) time.Time {
	if len(chains) == 0 {
		return earliest(shown)
	}
	var last time.Time
	for _, chain := range chains {
		if end := earliest(chain); end.After(last) {
			last = end
		}
	}
	return last
}

func earliest(chain []*x509.Certificate) time.Time {
	var end time.Time
	for _, c := range chain {
		if end.IsZero() || c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end
}

// describeCertError says what is wrong with a certificate, without any text from it.
func describeCertError(err error, shown []*x509.Certificate, name string, now time.Time) string {
	which := "the certificate"
	if bad, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if bad.Cert != nil && len(shown) > 0 && !bad.Cert.Equal(shown[0]) {
			which = "a certificate of the chain"
		}
		switch {
		case bad.Reason != x509.Expired || bad.Cert == nil:
			return which + " is not valid for this use"
		case now.Before(bad.Cert.NotBefore):
			return which + " is not valid before " + bad.Cert.NotBefore.UTC().Format("2006-01-02 15:04 MST")
		}
		return which + " expired " + text.Roughly(now.Sub(bad.Cert.NotAfter)) + " ago"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the certificate is not for " + name
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		if len(shown) > 0 && string(shown[0].RawIssuer) == string(shown[0].RawSubject) {
			return "the certificate is self-signed"
		}
		return "the certificate was issued by an authority that is not trusted"
	}
	return "the certificate cannot be trusted"
}
