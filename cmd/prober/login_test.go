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
	"time"
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

// TestLogin_everyKind logs in for each kind that sends a credential, and for callers and orgs as different users. A kind
// that did not send the token would be denied.
func TestLogin_everyKind(t *testing.T) {
	texts := map[string]string{"red": "cnry-text-of-red-4f2a9c", "blue": "cnry-text-of-blue-7be013"}
	who := func(q *http.Request) string {
		token := strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ") + q.Header.Get("X-Session")
		user, ok := strings.CutSuffix(strings.TrimPrefix(token, "token-of-"), "-0123456789abcdef")
		if !ok {
			return ""
		}
		return user
	}
	x := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		user := who(q)
		note := func(owner string) string { return fmt.Sprintf(`{"id":"note-%s-01","text":%q}`, owner, texts[owner]) }
		switch {
		case q.URL.Path == "/login":
			var body struct{ User, Password string }
			if json.NewDecoder(q.Body).Decode(&body) != nil || body.Password != "pass-word-0123456789" {
				w.WriteHeader(401)
				return
			}
			fmt.Fprintf(w, `{"token":"token-of-%s-0123456789abcdef"}`, body.User)
		case q.URL.Path == "/protected" && user == "red":
			w.WriteHeader(501)
		case q.URL.Path == "/protected" && user == "suspended":
			w.WriteHeader(403)
		case user == "":
			w.WriteHeader(401)
		case q.URL.Path == "/health", q.URL.Path == "/ready", q.URL.Path == "/":
			fmt.Fprint(w, `{"status":"ok"}`)
		case q.URL.Path == "/time":
			fmt.Fprintf(w, `{"now":%q}`, time.Now().UTC().Format(time.RFC3339Nano))
		case q.URL.Path == "/keys":
			fmt.Fprint(w, `{"keys":[{"kid":"a","kty":"OKP","crv":"Ed25519","use":"sig","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)
		case q.URL.Path == "/me" && texts[user] != "":
			fmt.Fprintf(w, `{"org":%q,"sub":%q,"test":true}`, user, "sub-"+user)
		case strings.HasPrefix(q.URL.Path, "/notes") && texts[user] == "":
			w.WriteHeader(403)
		case q.URL.Path == "/notes" && texts[user] != "":
			fmt.Fprintf(w, `[%s]`, note(user))
		case q.URL.Path == "/notes/note-"+user+"-01":
			fmt.Fprint(w, note(user))
		case q.URL.Path == "/me":
			w.WriteHeader(403)
		default:
			w.WriteHeader(404)
		}
	}))
	defer x.Close()
	t.Setenv("PROBER_PASSWORD", "pass-word-0123456789")
	t.Setenv("PROBER_TEXT_RED", texts["red"])
	t.Setenv("PROBER_TEXT_BLUE", texts["blue"])
	text := `system: shop
interval: 1m
timeout: 30s
probes:
  - {name: http, type: http, url: URL/, LOGIN(red)}
  - {name: health, type: health, service: URL, LOGIN(red)}
  - {name: jwks, type: jwks, urls: [URL/keys], kids: [a], LOGIN(red)}
  - {name: clock, type: clock, services: {a: {url: URL/time, json: $.now, LOGIN(red)}, b: {url: URL/time, json: $.now, HEADER(blue)}}}
  - name: protected
    type: protected
    url: URL/protected
    callers: {valid: {status: 501, LOGIN(red)}, anonymous: {status: 401}, suspended: {status: 403, LOGIN(suspended)}}
  - name: isolation
    type: isolation
    base: URL
    orgs: {red: {LOGIN(red)}, blue: {HEADER(blue)}}
    unauthorized_credentials: {suspended: {LOGIN(suspended)}}
    identity: {url: /me, org: $.org, subject: $.sub, test_org: {$.test: true}}
    resources:
      notes:
        read: "/notes/{id}"
        list: /notes
        canaries: {red: {id: note-red-01, text: {env: PROBER_TEXT_RED}}, blue: {id: note-blue-01, text: {env: PROBER_TEXT_BLUE}}}
`
	login := `login: {url: URL/login, json: {user: $1, password: {env: PROBER_PASSWORD}}, capture: {json: $$.token}`
	text = regexp.MustCompile(`LOGIN\((\w+)\)`).ReplaceAllString(text, login+"}")
	text = regexp.MustCompile(`HEADER\((\w+)\)`).ReplaceAllString(text, login+", send_header: X-Session}")
	file := writeFile(t, t.TempDir(), "shop.yaml", strings.ReplaceAll(text, "URL", x.URL))
	var out, errs strings.Builder
	if status := run(t.Context(), []string{"--once", "--config.file=" + file}, &out, &errs); status != exitPass {
		t.Errorf("got status %d\n%s%s", status, out.String(), errs.String())
	}
	// The same user twice is one org, not two.
	same := writeFile(t, t.TempDir(), "same.yaml", strings.ReplaceAll(strings.ReplaceAll(text, "user: blue", "user: red"), "URL", x.URL))
	errs.Reset()
	if status := run(t.Context(), []string{"--once", "--config.file=" + same}, &out, &errs); status != exitUsage || !strings.Contains(errs.String(), "an org is not isolated from itself") {
		t.Errorf("got status %d\n%s", status, errs.String())
	}
}
