package sandbox

import (
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// describeWeb describes the answers of the status page to somebody who offers HTTP/2 and asks for a coding, by path and coding.
func (s *Sandbox) describeWeb(t testing.TB) map[string]string {
	pem, err := os.ReadFile(s.authority.file())
	if err != nil {
		t.Error(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "web.demo.test"}, ForceAttemptHTTP2: true, DisableCompression: true,
	}
	defer transport.CloseIdleConnections()
	said := map[string]string{}
	for _, path := range []string{"/status", "/status/components", "/status/list"} {
		for _, coding := range []string{"gzip", "identity"} {
			said["GET "+path+" in "+coding] = askWeb(t, transport, "https://"+s.address(web)+path, coding)
		}
	}
	return said
}

func askWeb(t testing.TB, transport *http.Transport, url, coding string) string {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Accept-Encoding", coding)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	var in io.Reader = resp.Body
	got := resp.Header.Get("Content-Encoding")
	if got == "gzip" {
		if in, err = gzip.NewReader(resp.Body); err != nil {
			return err.Error()
		}
	}
	body, err := io.ReadAll(in)
	if err != nil {
		return err.Error()
	}
	words := []string{fmt.Sprint(resp.Proto, " ", resp.StatusCode)}
	for _, word := range []string{got, resp.Header.Get("Location"), strings.TrimSpace(string(body))} {
		if word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}
