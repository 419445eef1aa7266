package httpx

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"time"
)

// handshake speaks TLS on a connection, by the exchange's deadline. Sessions are never resumed: a resumed one would
// hide what a probe is there to see.
func (w *wire) handshake(nc net.Conn) (net.Conn, error) {
	cfg := w.tlsConfig()
	var below *conn
	if w.client.http2 {
		below = w.tracked(nc, false)
		nc = below
	}
	tc := tls.Client(nc, cfg)
	if err := tc.HandshakeContext(w.ctx); err != nil {
		if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			w.certified(expiry(nil, bad.UnverifiedCertificates))
		}
		return nil, err
	}
	state := tc.ConnectionState()
	w.certified(expiry(state.VerifiedChains, state.PeerCertificates))
	if state.NegotiatedProtocol == "h2" {
		// net/http knows HTTP/2 by the bare *tls.Conn only.
		_, below.expiry = w.peerNow()
		return tc, nil
	}
	if below != nil {
		below.left.Store(math.MaxInt64) // the one above counts
	}
	return w.tracked(tc, true), nil
}

func (w *wire) tlsConfig() *tls.Config {
	cfg := &tls.Config{
		ServerName: w.name,
		RootCAs:    w.client.roots,
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
	}
	if w.client.http2 {
		cfg.NextProtos = []string{"h2", "http/1.1"}
	}
	t := w.client.settings.TLS
	if t == nil {
		return cfg
	}
	if t.MinVersion == "1.3" {
		cfg.MinVersion = tls.VersionTLS13
	}
	cfg.InsecureSkipVerify = t.InsecureSkipVerify
	if t.CertFile != "" && !w.anonymous {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := t.keyPair()
			if err != nil {
				return nil, &ownFault{err}
			}
			return pair, nil
		}
	}
	return cfg
}

// An ownFault is an error that lies with what the prober was given, not with the server. Its text is ours.
type ownFault struct{ error }

// keyPair reads the client's certificate and key anew, so that rotated files are used without a reload.
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

// largestFile bounds what is read of a certificate file. The authorities of a whole system are some 250 KiB.
const largestFile = 4 << 20

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > largestFile) {
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

// expiry is when the certificates cease to be trusted: the earliest end in the chain that lasts longest. Of
// certificates that were not verified it is the earliest end of those that were shown.
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

// distrust says what is wrong with a certificate, in our words: names in it are the server's.
func distrust(err error, shown []*x509.Certificate, name string, now time.Time) string {
	which := "the certificate"
	if bad, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if bad.Cert != nil && len(shown) > 0 && !bad.Cert.Equal(shown[0]) {
			which = "a certificate of the chain"
		}
		switch {
		case bad.Reason != x509.Expired || bad.Cert == nil:
			return which + " must not be used for this"
		case now.Before(bad.Cert.NotBefore):
			return which + " is not valid before " + bad.Cert.NotBefore.UTC().Format("2006-01-02 15:04 MST")
		}
		return which + " expired " + ago(now.Sub(bad.Cert.NotAfter))
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
	return "the certificate is not to be trusted"
}

// ago writes how long something is past, in the unit that matters.
func ago(d time.Duration) string {
	n, unit := int(d.Hours()/24), "day"
	if n == 0 {
		n, unit = int(d.Hours()), "hour"
	}
	if n == 0 {
		n, unit = cmp.Or(int(d.Minutes()), 1), "minute"
	}
	if n == 1 {
		return "1 " + unit + " ago"
	}
	return fmt.Sprintf("%d %ss ago", n, unit)
}
