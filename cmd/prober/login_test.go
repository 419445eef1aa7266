package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocs_logins runs the logins of docs/configuration.md against a server that speaks as PocketBase, Directus, Parse,
// Vault, a Kubernetes API server and an issuer do. Nothing that the prober prints holds the password or a token.
func TestDocs_logins(t *testing.T) {
	const password, token, account = "pass-word-0123456789", "issued-token-0123456789", "service-account-token-0123456789"
	logins := map[string]string{ // path of the login: its answer
		"/api/collections/users/auth-with-password": `{"token":"TOKEN"}`,
		"/auth/login":                    `{"data":{"access_token":"TOKEN","expires":900000}}`,
		"/parse/login":                   `{"sessionToken":"TOKEN"}`,
		"/v1/auth/userpass/login/prober": `{"auth":{"client_token":"TOKEN","lease_duration":3600}}`,
		"/api/v1/namespaces/monitoring/serviceaccounts/prober/token": `{"status":{"token":"TOKEN","expirationTimestamp":"2099-01-01T00:00:00Z"}}`,
		"/oauth/token": `{"access_token":"TOKEN","token_type":"Bearer"}`,
	}
	headers := map[string]string{"/parse/classes/Note": "X-Parse-Session-Token", "/v1/kv/data/prober": "X-Vault-Token"}
	asked := make(chan string, 100)
	x := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		asked <- q.URL.Path
		w.Header().Set("Content-Type", "application/json")
		if answer, ok := logins[q.URL.Path]; ok {
			var body map[string]any
			form := q.FormValue("password")
			known := json.NewDecoder(q.Body).Decode(&body) == nil && body["password"] == password || form == password ||
				q.Header.Get("Authorization") == "Bearer "+account && body["kind"] == "TokenRequest"
			if q.Method != "POST" || !known {
				w.WriteHeader(401)
				return
			}
			fmt.Fprint(w, strings.ReplaceAll(answer, "TOKEN", token))
			return
		}
		sent := strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ")
		if name := headers[q.URL.Path]; name != "" {
			sent = q.Header.Get(name)
		}
		if sent != token {
			w.WriteHeader(401)
		}
	}))
	defer x.Close()
	t.Setenv("PROBER_PASSWORD", password)
	text := ""
	for name, block := range fencedBlocks(t, "yaml") {
		if strings.HasPrefix(name, "configuration.md") && strings.Contains(block, "login:") {
			text = block
		}
	}
	dir := t.TempDir()
	text = regexp.MustCompile(`https://[a-z]+\.shop\.example`).ReplaceAllString(text, x.URL)
	text = strings.ReplaceAll(text, "/var/run/secrets/kubernetes.io/serviceaccount/token", writeFile(t, dir, "token", account))
	file := writeFile(t, dir, "shop.yaml", text)
	var out, errs strings.Builder
	status := run(t.Context(), []string{"--once", "--format=json", "--config.file=" + file}, &out, &errs)
	if status != exitPass || len(asked) != 2*strings.Count(text, "- name:") {
		t.Errorf("got status %d after %d requests\n%s%s", status, len(asked), out.String(), errs.String())
	}
	// With a wrong password every one is inconclusive.
	t.Setenv("PROBER_PASSWORD", "wrong-word-0123456789")
	writeFile(t, dir, filepath.Base("token"), "another-account-0123456789")
	if got := run(t.Context(), []string{"--once", "--config.file=" + file}, &out, &errs); got != exitInconclusive {
		t.Errorf("got status %d with a wrong password\n%s", got, out.String())
	}
	if n := strings.Count(out.String(), "no access token: the "); n != strings.Count(text, "- name:") {
		t.Errorf("%d probes have no token\n%s", n, out.String())
	}
	for _, marker := range []string{"0123456789"} {
		if all := out.String() + errs.String(); strings.Contains(all, marker) {
			t.Errorf("a secret is in\n%s", all)
		}
	}
}
