package dial

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// TLS holds the TLS settings that all kinds of probes share. Certificates are verified unless InsecureSkipVerify is set.
type TLS struct {
	CAFile             string `yaml:"ca_file,omitempty" doc:"PEM file of the authorities to trust; default: the system's; read again when it changes"`
	CertFile           string `yaml:"cert_file,omitempty" doc:"PEM file of the client certificate; read again when it changes"`
	KeyFile            string `yaml:"key_file,omitempty" doc:"PEM file of its key; read again when it changes"`
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
	switch {
	case t.CertFile != "" && t.KeyFile == "":
		wrong = append(wrong, probe.Settingf("cert_file", "expected key_file beside it"))
	case t.CertFile == "" && t.KeyFile != "":
		wrong = append(wrong, probe.Settingf("key_file", "expected cert_file beside it"))
	}
	if t.MinVersion != "" && t.MinVersion != "1.2" && t.MinVersion != "1.3" {
		wrong = append(wrong, probe.Settingf("min_version", "expected 1.2 or 1.3"))
	}
	return errors.Join(wrong...)
}

// TLSConfig returns the configuration for a server that is verified by the name in the settings or, without one, as host.
// Authorities and client certificate are those in the files now. The error, if a file cannot be used, is explained as a
// missing credential: to go on without it would answer another question. An anonymous client shows no certificate and needs
// none. As long as the files do not change, RootCAs and what GetClientCertificate returns are the same. The caller may change
// the result.
func (d *Dialer) TLSConfig(host string, anonymous bool) (*tls.Config, error) {
	cfg := &tls.Config{ServerName: HostName(host), MinVersion: tls.VersionTLS12}
	t := d.tls
	if t == nil {
		return cfg, nil
	}
	var err error
	if cfg.RootCAs, err = d.files.authorities(t); err != nil {
		return nil, &credentialError{err}
	}
	cfg.ServerName = HostName(cmp.Or(t.ServerName, host))
	if t.MinVersion == "1.3" {
		cfg.MinVersion = tls.VersionTLS13
	}
	cfg.InsecureSkipVerify = t.InsecureSkipVerify
	if t.CertFile == "" || anonymous {
		return cfg, nil
	}
	pair, err := d.files.certificate(t)
	if err != nil {
		return nil, &credentialError{err}
	}
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	return cfg, nil
}

// NoticeRequest has a handshake by the configuration note whether the server asked for a client certificate. In TLS 1.3 a server that
// requires one refuses the client after the handshake (RFC 8446, section 4.4.2.4), which only somebody hears who then reads.
func NoticeRequest(cfg *tls.Config) (asked *bool) {
	asked = new(bool)
	own := cfg.GetClientCertificate
	cfg.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		*asked = true
		if own == nil {
			return &tls.Certificate{}, nil
		}
		return own(info)
	}
	return asked
}

// A credentialError lies with what the prober was given, not with the server. Its text is the prober's own.
type credentialError struct{ error }

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
