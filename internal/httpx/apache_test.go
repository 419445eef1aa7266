package httpx

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/testenv"
)

// TestClientCertificate_apache asks a real Apache for a page that needs a client certificate, and for one of a site that
// needs it for that page only. The server asks for it in a second handshake with TLS 1.2, and with TLS 1.3 refuses, since
// the prober does not offer to show it later. Neither is a fault of the target, nor of the certificate.
func TestClientCertificate_apache(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	p := newPKI(t)
	cert, key := files(t, p.server(-day, day))
	for _, c := range []struct {
		name, version, where string
		path                 string
		status               int
		why                  probe.Reason
		want                 string
	}{
		{"whole site, TLS 1.2", "TLSv1.2", "/", "/server-status", 200, probe.OK, ""},
		{"whole site, TLS 1.3", "TLSv1.3", "/", "/server-status", 200, probe.OK, ""},
		{"this page, TLS 1.2", "TLSv1.2", "/server-status", "/server-status", 0, probe.Credential, "the server at ADDR asks for another TLS handshake on the same connection"},
		{"this page, TLS 1.3", "TLSv1.3", "/server-status", "/server-status", 403, probe.Credential,
			"expected 200, got 403: the target did not ask for the probe's certificate in the TLS handshake, and the prober shows it at no other time"},
		{"another page, TLS 1.3", "TLSv1.3", "/none", "/server-status", 200, probe.OK, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			addr := p.apache(t, c.version, c.where)
			s := &Settings{TLS: &dial.TLS{CAFile: p.file, CertFile: cert, KeyFile: key}, Connection: "reuse"}
			client, err := s.Client("https://" + addr)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			for range 2 { // the second time on a kept connection, if the first one is
				a := client.Do(t.Context(), probe.NewResult(probe.ID{}), Request{URL: "https://" + addr + c.path, Method: "GET"})
				got := a.Classify(ClassifyOptions{Want: Codes(200), Credential: true})
				if detail := strings.ReplaceAll(got.Detail, addr, "ADDR"); a.Status != c.status || got.Reason != c.why || (c.want != "" && !strings.HasPrefix(detail, c.want)) {
					t.Errorf("got %d, %s: %s; expected %d, %s: %s", a.Status, got.Reason, got.Detail, c.status, c.why, c.want)
				}
			}
		})
	}
}

// apache starts Apache with one version of TLS; what is under a path needs a client certificate.
func (p *pki) apache(t *testing.T, version, where string) (addr string) {
	t.Helper()
	cert, key := files(t, p.server(-day, day))
	addr = fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t))
	needs := "SSLVerifyClient require\n"
	if where != "/" { // for the whole site it is asked for in the first handshake
		needs = fmt.Sprintf("<Location %s>\n%s</Location>\n", where, needs)
	}
	testenv.Apache(t, 4, fmt.Sprintf(`LoadModule socache_shmcb_module /usr/lib/apache2/modules/mod_socache_shmcb.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
Listen %[1]s
SSLEngine on
SSLProtocol %[2]s
SSLSessionTickets off
SSLCertificateFile %[3]s
SSLCertificateKeyFile %[4]s
SSLCACertificateFile %[5]s
<Location /server-status>
SetHandler server-status
</Location>
%[6]s`, addr, version, cert, key, p.file, needs))
	testenv.Eventually(t, 30*time.Second, func(context.Context) error {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	return addr
}
