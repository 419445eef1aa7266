package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"prober/internal/report"
	"prober/internal/testenv"
)

// marker is the secret that the test plants everywhere. It has characters that encodings change.
const marker = `hunter2-Zq7&x9>yk/Tm+wR=~9f31c8`

// tokenMarker is the token that the echo server issues. It contains the marker in one of its encodings.
var tokenMarker = "t." + hex.EncodeToString([]byte(marker))

// encodings are the forms in which a secret may leak.
func encodings(secret string) []string {
	quoted, _ := json.Marshal(secret)
	all := []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(string(quoted), `"`), hex.EncodeToString([]byte(secret)),
		strings.ToUpper(hex.EncodeToString([]byte(secret))), strings.ToUpper(secret), strings.ToLower(secret),
	}
	for shift := range 3 {
		coded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("u", shift) + secret))
		all = append(all, coded[4:len(coded)-4])
	}
	return all
}

// findLeak returns the first eight bytes of a secret, in any encoding, that a text contains.
func findLeak(text string) string {
	for _, form := range encodings(marker) {
		for i := 0; i+8 <= len(form); i++ {
			if strings.Contains(text, form[i:i+8]) {
				return form[i : i+8]
			}
		}
	}
	return ""
}

func TestFindLeak(t *testing.T) {
	for _, form := range encodings(marker) {
		if findLeak("before "+form+" after") == "" || findLeak("cut "+form[3:12]) == "" {
			t.Errorf("%q is not found", form)
		}
	}
	if got := findLeak("an innocent text, hunter-gatherer, 9f31"); got != "" {
		t.Errorf("found %q in an innocent text", got)
	}
}

// echoServer answers each path in another bad way, each time with everything that it was sent, wherever it fits.
func echoServer(t *testing.T) (string, func() string) {
	var mu sync.Mutex
	var seen strings.Builder
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		user, password, _ := q.BasicAuth()
		auth, _ := url.QueryUnescape(q.Header.Get("Authorization"))
		all := fmt.Sprint(q.URL, " ", auth, " ", q.Header.Get("X-Api-Key"), " ", user, " ", password, " ", string(body))
		mu.Lock()
		seen.WriteString(all)
		mu.Unlock()
		flat := strings.Map(func(c rune) rune {
			if c < ' ' || c > '~' {
				return '_'
			}
			return c
		}, all)
		for _, name := range []string{"X-Trace-Id", "X-Version", "Location", "Set-Cookie", "X-Echo", "Etag", "X-Instance"} {
			w.Header().Set(name, flat)
		}
		switch path := strings.TrimPrefix(q.URL.Path, "/"); path {
		case "redirect":
			w.WriteHeader(302)
		case "cut":
			w.Header().Set("Content-Length", "100000")
			io.WriteString(w, all)
		case "hang":
			<-q.Context().Done()
		case "garbage":
			conn, _, _ := w.(http.Hijacker).Hijack()
			fmt.Fprintf(conn, "HTTP/1.1 %s\r\n\r\n", flat)
			conn.Close()
		case "status":
			conn, _, _ := w.(http.Hijacker).Hijack()
			fmt.Fprintf(conn, "HTTP/1.1 500 %s\r\nContent-Length: 0\r\n\r\n", flat)
			conn.Close()
		case "length":
			conn, _, _ := w.(http.Hijacker).Hijack()
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n", flat)
			conn.Close()
		case "token":
			w.Header().Set("X-Version", tokenMarker)
			json.NewEncoder(w).Encode(map[string]string{"access_token": tokenMarker, "token_type": "Bearer"})
		case "json":
			json.NewEncoder(w).Encode(map[string]any{"status": all, "trace": all, "version": all, "test": true, "id": "n1"})
		default:
			code := 200
			fmt.Sscan(path, &code)
			w.WriteHeader(code)
			io.WriteString(w, all)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, func() string {
		mu.Lock()
		defer mu.Unlock()
		return seen.String()
	}
}

// TestNoSecretLeaves plants one secret in every place that can hold one, runs every kind of probe against a target that
// echoes it in every way, and searches everything that the prober writes for it.
func TestNoSecretLeaves(t *testing.T) {
	testenv.Slow(t, "it searches everything that the prober prints")
	target, seen := echoServer(t)
	dir := t.TempDir()
	file := writeFile(t, dir, "secret", marker+"\n")
	var probes strings.Builder
	fmt.Fprintf(&probes, "system: leak\ninterval: 1s\ntimeout: 700ms\nprobes:\n")
	credentials := []string{
		"bearer: {file: %[1]s}", "basic: {username: someone, password: {file: %[1]s}}", "headers: {X-Api-Key: {file: %[1]s}}",
		"method: POST, body: {file: %[1]s}",
		"oauth2: {token_url: \"%[2]s/500\", client_id: me, client_secret: {file: %[1]s}}",
		"oauth2: {token_url: \"%[2]s/401\", client_id: me, client_secret: {file: %[1]s}, auth_style: params}",
	}
	var paths []string
	for i, path := range []string{"200", "401", "404", "429", "500", "503", "redirect", "cut", "hang", "garbage", "status", "length", "json"} {
		if testenv.Sampled(i, 4) {
			paths = append(paths, path)
		}
	}
	names := []string{}
	for i, credential := range credentials {
		for _, path := range paths {
			name := fmt.Sprintf("h%d-%s", i, path)
			names = append(names, name)
			fmt.Fprintf(&probes, "  - {name: %s, type: http, url: \"%s/%s\", %s, expect: {status: 200, body: {contains: wanted}, headers: {X-Echo: wanted}, json: {\"$.status\": up}}, gauges: {n: \"$.status\"}, trace: {header: X-Trace-Id}, version: {header: X-Version}}\n",
				name, target, path, fmt.Sprintf(credential, file, target))
		}
	}
	for _, path := range paths {
		name := "health-" + path
		names = append(names, name)
		fmt.Fprintf(&probes, "  - {name: %s, type: health, service: %q, live: /%s, ready: /r, dependency: \"%s/%s\", bearer: {file: %s}, instance: {header: X-Instance}, version: {json: $.version}, trace: {json: $.trace}}\n",
			name, target, path, target, path, file)
	}
	for _, path := range append(paths, "token") {
		name := "jwks-" + path
		names = append(names, name)
		fmt.Fprintf(&probes, "  - {name: %[1]s, type: jwks, urls: [\"%[2]s/%[3]s\"], bearer: {file: %[4]s}, kids: [k1], revoked: [k0], issuance: {token_url: \"%[2]s/%[3]s\", client_id: me, client_secret: {file: %[4]s}}, verifiers: {bundle: {pem: {file: %[4]s}, kids: [k1]}}, version: {header: X-Version}, trace: {header: X-Trace-Id}}\n",
			name, target, path, file)
		for name, issuing := range map[string]string{"issue": "token_url: \"%[1]s/%[2]s\", jwks_uri: \"%[1]s/json\", audience: a, keysets: [\"%[1]s/200\"]",
			"revoke": "token_url: \"%[1]s/token\", opaque: true, auth: post, revocation: {url: \"%[1]s/200\", use: {url: \"%[1]s/%[2]s\"}, within: 200ms, every: 100ms}"} {
			name += "-" + path
			names = append(names, name)
			fmt.Fprintf(&probes, "  - {name: %s, type: token, issuer: %q, discovery: false, client_id: me, client_secret: {file: %s}, %s, version: {header: X-Version}, trace: {header: X-Trace-Id}}\n",
				name, target, file, fmt.Sprintf(issuing, target, path))
		}
	}
	for _, path := range paths {
		name := "protected-" + path
		names = append(names, name)
		fmt.Fprintf(&probes, "  - {name: %[1]s, type: protected, url: \"%[2]s/%[3]s\", callers: {valid: {status: 501, bearer: {file: %[4]s}}, other: {code: c, bearer: {file: %[4]s}}}, code: {header: X-Echo}, forgeries: {claims: {sub: someone}, keys: \"%[2]s/%[3]s\"}, version: {header: X-Version}, trace: {header: X-Trace-Id}}\n",
			name, target, path, file)
	}
	for _, path := range append(paths, "token") {
		name := "isolation-" + path
		names = append(names, name)
		fmt.Fprintf(&probes, "  - {name: %[1]s, type: isolation, base: \"%[2]s\", headers: {X-Org-Id: \"{org}\"}, orgs: {one: {bearer: {file: %[4]s}}, two: {headers: {X-Api-Key: {file: %[4]s}}}}, unauthorized_credentials: {gone: {basic: {username: me, password: {file: %[4]s}}}}, identity: {url: /json, org: $.status, test_org: {$.test: true}}, resources: {notes: {create: {url: /json, json: {text: \"{canary}\"}}, read: \"/%[3]s?id={id}\", delete: \"/%[3]s?id={id}\", list: /%[3]s, search: \"/%[3]s?q={canary}\"}}, trace: {header: X-Trace-Id}, version: {header: X-Version}}\n",
			name, target, path, file)
		name = "clock-" + path
		names = append(names, name)
		fmt.Fprintf(&probes, "  - {name: %[1]s, type: clock, services: {date: {url: \"%[2]s/%[3]s\", bearer: {file: %[4]s}}, json: {url: \"%[2]s/%[3]s\", json: $.status, headers: {X-Api-Key: {file: %[4]s}}}, issuer: {iat: {token_url: \"%[2]s/%[3]s\", client_id: me, client_secret: {file: %[4]s}}}}, within: 5s}\n",
			name, target, path, file)
	}
	fmt.Fprintf(&probes, "  - {name: refused, type: http, url: \"http://127.0.0.1:1/\", bearer: {file: %s}}\n", file)
	fmt.Fprintf(&probes, "  - {name: nxdomain, type: http, url: \"https://no-such-host.invalid/\", bearer: {file: %s}}\n", file)
	config := writeFile(t, dir, "prober.yaml", probes.String())

	search := func(where, text string) {
		t.Helper()
		if piece := findLeak(text); piece != "" {
			at := strings.Index(text, piece)
			t.Errorf("%s holds %q: …%s…", where, piece, text[max(0, at-120):min(len(text), at+120)])
		}
	}
	once := exec.Command("prober", "--once", "--config.file="+config, "--log.level=debug")
	written := map[string]string{}
	for _, format := range report.Formats() {
		written[format] = filepath.Join(dir, "report."+format)
		once.Args = append(once.Args, "--output", format+"="+written[format])
	}
	search("--once", runCommand(t, once))
	for format, file := range written {
		out, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, wanted := range []string{"h0-500", "isolation-json", "clock-json"} {
			if !strings.Contains(string(out), wanted) {
				t.Errorf("%s: the results of %s are missing:\n%s", format, wanted, out)
			}
		}
		search("--once as "+format, string(out))
	}
	search("check", runCommand(t, exec.Command("prober", "check", "--config.file="+config)))

	p := start(t, []string{"OTHER=" + marker, "GOTRACEBACK=all"}, "--config.file="+config, "--log.level=debug", "--web.health-listen-address=127.0.0.1:0")
	testenv.Eventually(t, 2*time.Minute, func(context.Context) error {
		_, body, err := p.get("/metrics")
		if err != nil {
			return err
		}
		// Twice, so that a result that did not change is logged too.
		for _, name := range names {
			if runs := countRuns(body, name); runs < 2 {
				return fmt.Errorf("%s ran %d times", name, runs)
			}
		}
		return nil
	})
	pages := []string{"/", "/metrics", "/config", "/api/v1/status", "/-/healthy", "/-/ready", "/schema.json", "/nothing", "/incident"}
	for _, name := range names {
		pages = append(pages, "/probes/"+name, "/badge/"+name+".svg")
	}
	for _, path := range pages {
		_, body, err := p.get(path)
		if err != nil {
			t.Fatal(err)
		}
		search("GET "+path, body)
	}
	_, openMetrics := p.openMetrics(t)
	search("GET /metrics as OpenMetrics", openMetrics)
	if !strings.Contains(p.Output(), "level=DEBUG") {
		t.Error("the log at debug level is missing")
	}
	search("log", p.Output())
	if err := p.Signal(syscall.SIGQUIT); err != nil { // a dump of all goroutines
		t.Fatal(err)
	}
	<-p.Ended()
	if !strings.Contains(p.Output(), "goroutine ") {
		t.Error("the dump is missing")
	}
	search("dump", p.Output())

	// The search proves nothing unless the secrets were really sent.
	if got := strings.Count(seen(), marker); got < len(paths)*4 {
		t.Errorf("the target saw the secret only %d times", got)
	}
}

// runCommand runs the prober and returns everything that it wrote.
func runCommand(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	cmd.Path, cmd.Err = os.Args[0], nil
	cmd.Env = append(cmd.Environ(), asProber+"=1", "OTHER="+marker)
	out, err := testenv.Run(t, cmd)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out
}

func (p *running) openMetrics(t *testing.T) (string, string) {
	t.Helper()
	req, err := http.NewRequest("GET", p.url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Header.Get("Content-Type"), string(body)
}
