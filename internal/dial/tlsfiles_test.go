package dial

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// authority returns a new certificate and its key as PEM.
func authority(t *testing.T) (cert, key []byte) {
	t.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &signer.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})
}

func put(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTLSFiles changes the files of a dialer in use: the next connection is made with what is in them, or not at all.
func TestTLSFiles(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	ours := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	theirs, key := authority(t)
	ca, cert := filepath.Join(t.TempDir(), "ca.pem"), filepath.Join(t.TempDir(), "client.pem")
	d := New("", &TLS{CAFile: ca, CertFile: cert, KeyFile: cert})
	for _, step := range []struct {
		name       string
		ca, client []byte
		why        probe.Reason
		want       string
	}{
		{"no authorities", nil, append(theirs, key...), probe.Credential, ca + ": no such file or directory"},
		{"they appear", ours, append(theirs, key...), probe.OK, ""},
		{"others", theirs, append(theirs, key...), probe.Cert, "the certificate "},
		{"half-written in front", []byte("-----BEGIN CERT\n" + string(ours)), append(theirs, key...), probe.Credential, ca + " is damaged, or not yet written to its end"},
		{"half-written at the end", append(ours[:len(ours):len(ours)], theirs[:len(theirs)/2]...), append(theirs, key...), probe.Credential, ca + " is damaged, or not yet written to its end"},
		{"two", append(theirs[:len(theirs):len(theirs)], ours...), append(theirs, key...), probe.OK, ""},
		{"a comment alone", []byte("# none\n"), append(theirs, key...), probe.Credential, ca + " holds no certificate"},
		{"no client certificate", ours, nil, probe.Credential, cert + ": no such file or directory"},
		{"without its key", ours, theirs, probe.Credential, cert + " and " + cert + " are no certificate with its key"},
		{"all", ours, append(theirs, key...), probe.OK, ""},
	} {
		for path, content := range map[string][]byte{ca: step.ca, cert: step.client} {
			if content == nil {
				os.Remove(path)
			} else {
				put(t, path, content)
			}
		}
		x := Begin(t.Context(), 1)
		_, err := d.DialTLSContext(x.Context(), "tcp", server.Listener.Addr().String())
		got := probe.Outcome{Reason: probe.OK}
		if err != nil {
			got = x.Explain(err)
		}
		if got.Reason != step.why || !strings.HasPrefix(got.Detail, step.want) {
			t.Errorf("%s: got %s: %s, expected %s: %s", step.name, got.Reason, got.Detail, step.why, step.want)
		}
		x.Close()
	}
}

// TestTLSConfig_sameFiles parses files again only if their content is another.
func TestTLSConfig_sameFiles(t *testing.T) {
	first, _ := authority(t)
	second, _ := authority(t)
	for len(first) != len(second) { // a signature may be a byte shorter
		second, _ = authority(t)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	put(t, ca, first)
	d := New("", &TLS{CAFile: ca})
	roots := func() *x509.CertPool {
		cfg, err := d.TLSConfig("a.example", false)
		if err != nil {
			t.Fatal(err)
		}
		return cfg.RootCAs
	}
	before := roots()
	if roots() != before {
		t.Error("the file was parsed again although nothing changed")
	}
	put(t, ca, first)
	if roots() != before {
		t.Error("the file was parsed again although it has the same content")
	}
	same := time.Now()
	if err := os.Chtimes(ca, same, same); err != nil {
		t.Fatal(err)
	}
	before = roots()
	put(t, ca, second)
	if err := os.Chtimes(ca, same, same); err != nil { // as within one tick of the file system's clock
		t.Fatal(err)
	}
	if roots() == before {
		t.Error("a change at the same time and of the same length was not seen")
	}
}

func TestCheckFiles(t *testing.T) {
	dir := t.TempDir()
	cert, key := authority(t)
	otherCert, _ := authority(t)
	for name, content := range map[string][]byte{"cert": cert, "key": key, "other": otherCert} {
		put(t, filepath.Join(dir, name), content)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, test := range map[string]struct {
		tls  TLS
		want string
	}{
		"good":          {TLS{CAFile: "cert", CertFile: "cert", KeyFile: "key"}, ""},
		"absolute":      {TLS{CAFile: in("cert")}, ""},
		"none":          {TLS{}, ""},
		"missing":       {TLS{CAFile: "a", CertFile: "b", KeyFile: "key"}, "ca_file: " + in("a") + ": no such file or directory\ncert_file: " + in("b") + ": no such file or directory"},
		"a key":         {TLS{CAFile: "key"}, "ca_file: " + in("key") + " holds no certificate"},
		"a directory":   {TLS{CAFile: "."}, "ca_file: " + dir + " is no file of certificates"},
		"of another":    {TLS{CertFile: "other", KeyFile: "key"}, "cert_file: " + in("other") + " and " + in("key") + " are no certificate with its key"},
		"key is absent": {TLS{CertFile: "cert", KeyFile: "none"}, "cert_file: " + in("none") + ": no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			test.tls.ResolveFiles(dir)
			var lines []string
			for setting, err := range test.tls.CheckFiles() {
				lines = append(lines, setting+": "+err.Error())
			}
			slices.Sort(lines)
			if got := strings.Join(lines, "\n"); got != test.want {
				t.Errorf("got %q, expected %q", got, test.want)
			}
		})
	}
}
