package http

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"prober/internal/httpx"
	"prober/internal/secret"
	"prober/probes/internal/probetest"
)

// TestUnix_oauth2 checks that the secret for the token goes to who issues it, and not through the socket to who is probed.
func TestUnix_oauth2(t *testing.T) {
	t.Setenv("TEST_UNIX_CLIENT", "secret-of-the-client")
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"access_token":"token-of-the-issuer","token_type":"Bearer","expires_in":600}`)
	}))
	t.Cleanup(issuer.Close)
	path := serveUnix(t, func(w http.ResponseWriter, q *http.Request) {
		if body, _ := io.ReadAll(q.Body); q.Method == http.MethodPost || strings.Contains(string(body), "grant_type") {
			t.Errorf("the target was sent what is for the issuer: %s %s", q.Method, q.Host)
		}
		if q.Header.Get("Authorization") != "Bearer token-of-the-issuer" {
			w.WriteHeader(401)
		}
	})
	p := &Probe{URL: "http://docker.invalid/", Unix: path}
	p.OAuth2 = &httpx.OAuth2{TokenURL: issuer.URL + "/token", ClientID: "prober", ClientSecret: secret.Env("TEST_UNIX_CLIENT")}
	probetest.WantLines(t, probetest.Run(t, Kind(), p), "pass", "status pass(ok): got 200")
}
