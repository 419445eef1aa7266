package main

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http/httptest"
	"path/filepath"
	"testing"

	toolkit "github.com/prometheus/exporter-toolkit/web"
)

// TestUser: whoever acknowledges is named only if the listener checked who that is.
func TestUser(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := func(s string) *string { return &s }
	withUsers := writeFile(t, dir, "web.yaml", "basic_auth_users:\n  on-call: $2a$04$QXPrTkAqMqcSbRApY0x2OuPzbNI8ChqBHX1DqKlJMyqWXmF5iGjGC\n")
	without := writeFile(t, dir, "tls.yaml", "tls_server_config: {cert_file: a, key_file: b}\n")
	certificate := &x509.Certificate{Subject: pkix.Name{CommonName: "on-call"}}
	for name, c := range map[string]struct {
		file, user string
		state      *tls.ConnectionState
		want       string
	}{
		"a password that was checked":   {withUsers, "on-call", nil, "on-call"},
		"a name that the file lacks":    {withUsers, "admin", nil, ""},
		"nobody asks for passwords":     {without, "on-call", nil, ""},
		"no file":                       {"", "on-call", nil, ""},
		"a missing file":                {filepath.Join(dir, "none"), "on-call", nil, ""},
		"no name":                       {withUsers, "", nil, ""},
		"a verified certificate":        {"", "", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}, VerifiedChains: [][]*x509.Certificate{{certificate}}}, "CN=on-call"},
		"a certificate nobody verified": {"", "", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}}, ""},
	} {
		r := httptest.NewRequest("POST", "/", nil)
		if r.TLS = c.state; c.user != "" {
			r.SetBasicAuth(c.user, "any")
		}
		o := serveOptions{web: &toolkit.FlagConfig{WebConfigFile: path(c.file)}}
		if got := o.user(r); got != c.want {
			t.Errorf("%s: got %q, expected %q", name, got, c.want)
		}
	}
}
