package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/config"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes"
)

// missingEverywhere has a probe of each kind whose secret, authorities or client certificate are in the files CREDENTIAL.
const missingEverywhere = `
system: shop
interval: 5s
timeout: 4s
probes:
  - {name: http, type: http, url: URL/ok, CREDENTIAL}
  - {name: http-denial, type: http, url: URL/ok, expect: {status: 403}, control: {url: URL/control, expect: {status: 200}}, CREDENTIAL}
  - {name: health, type: health, service: URL, CREDENTIAL}
  - {name: jwks, type: jwks, urls: [URL/keys], CREDENTIAL}
  - {name: token, type: token, issuer: URL, discovery: false, token_url: URL/token, jwks_uri: URL/keys, audience: a, client_id: me, client_secret: {file: good}, CREDENTIAL}
  - {name: protected, type: protected, url: URL/ok, callers: {valid: {status: 200, code: x, bearer: {file: good}}}, code: {header: X}, CREDENTIAL}
  - {name: isolation, type: isolation, base: URL, orgs: {one: {bearer: {file: good}}, two: {bearer: {file: better}}}, identity: {url: /me, org: $.org, test_org: {$.test: true}}, resources: {notes: {create: {url: /notes, json: {text: "{canary}"}}, read: "/notes/{id}", delete: "/notes/{id}", list: /notes}}, CREDENTIAL}
  - {name: clock, type: clock, services: {date: {url: URL/ok, CREDENTIAL}, other: {url: URL/ok, CREDENTIAL}}, within: 5s}
  - {name: contract, type: contract, url: URL/metrics, zero: {never: never_total}, CREDENTIAL}
  - {name: guard, type: guard, url: URL/query, json: {sql: "{query}"}, select: text, table: events, column: org_id, orgs: {own: {id: a, canary: {file: good}}, foreign: {id: b, canary: {file: better}}}, rejected: {status: 403, json: {$.error: not_scoped}}, corpus: [classics], CREDENTIAL}
  - {name: promql, type: promql, url: URL, fresh: {series: requests_total}, control: sum(requests_total), values: {errors: {query: sum(errors_total), max: 0}}, CREDENTIAL}
  - {name: sql, type: sql, address: "HOST", database: shop, user: prober, query: SELECT n FROM t, control: SELECT count(*) FROM t, values: {n: {column: n, max: 0}}, CREDENTIAL}
  - {name: sql-standby, type: sql, preset: replication, address: "HOST", database: shop, user: prober, heartbeat: SELECT age FROM heartbeat, max_age: 1m, CREDENTIAL}
  - {name: sql-primary, type: sql, preset: primary, addresses: ["HOST", "OTHER"], database: shop, user: prober, CREDENTIAL}
  - {name: rls, type: rls, address: "HOST", database: shop, user: app, schema: shop, tables: [notes], column: org, setting: app.org, orgs: {one: one, two: two}, CREDENTIAL}
`

// isDatabase reports whether a kind asks a database, to which it sends a password and no headers.
func isDatabase(kind string) bool { return kind == "sql" || kind == "rls" }

// TestMissingSources runs a probe of each kind while a file that it needs is missing: it is inconclusive and names the file.
// Nothing is asked without it.
func TestMissingSources(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 1000)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			asked <- "a connection"
		}
	}
	server.StartTLS()
	defer server.Close()
	host := server.Listener.Addr().String()
	other := strings.Replace(host, "127.0.0.1", "localhost", 1)
	for credential, fits := range map[string]func(kind string) bool{
		"bearer: {file: absent}": func(kind string) bool {
			return !slices.Contains([]string{"token", "protected", "isolation", "sql", "rls"}, kind)
		},
		"headers: {X-Api-Key: {file: absent}}":                    func(kind string) bool { return !isDatabase(kind) },
		"password: {file: absent}":                                isDatabase,
		"tls: {ca_file: absent}":                                  func(string) bool { return true },
		"tls: {ca_file: ca, cert_file: absent, key_file: absent}": func(kind string) bool { return kind != "isolation" },
	} {
		dir := t.TempDir()
		writeFile(t, dir, "good", "a-good-secret-of-some-length")
		writeFile(t, dir, "better", "another-good-secret-of-some-length")
		ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		writeFile(t, dir, "ca", string(ca))
		var lines []string
		for line := range strings.Lines(strings.NewReplacer("URL", server.URL, "HOST", host, "OTHER", other, "CREDENTIAL", credential).Replace(missingEverywhere)) {
			_, kind, _ := strings.Cut(line, "type: ")
			kind, _, _ = strings.Cut(kind, ",")
			if kind == "" || fits(kind) {
				lines = append(lines, line)
			}
		}
		cfg, err := config.Parse(probes.Kinds(), config.File{Name: filepath.Join(dir, "shop.yaml"), Data: []byte(strings.Join(lines, ""))})
		if err != nil {
			t.Fatal(err)
		}
		if problems := cfg.CheckSources(cfg.Jobs); len(problems) != 1 || !strings.Contains(problems[0], filepath.Join(dir, "absent")) {
			t.Errorf("%s: got the warnings %q, expected one", credential, problems)
		}
		for _, job := range cfg.Jobs {
			r := job.Do(t.Context())
			if d := r.Decisive(); r.Verdict() != probe.Inconclusive || d.Reason != probe.Credential || !strings.Contains(d.Detail, filepath.Join(dir, "absent")) {
				t.Errorf("%s with %s: got %s (%s): %s, expected inconclusive (credential) with the file", job.Name, credential, r.Verdict(), d.Reason, d.Detail)
			}
			select {
			case path := <-asked:
				t.Errorf("%s with %s asked for %s", job.Name, credential, path)
			default:
			}
		}
		closeProbes(cfg.Jobs)
	}
}

// TestMissingSource_oneProbe starts a prober of which some probes have no secret, no authorities or no client certificate: they
// alone are inconclusive, in every command, and pass once the files are there.
func TestMissingSource_oneProbe(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	dir := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	writeFile(t, dir, "ca", string(ca))
	writeFile(t, dir, "token", "a-good-token")
	file := writeFile(t, dir, "shop.yaml", strings.ReplaceAll(`
system: shop
interval: 1s
timeout: 900ms
probes:
  - {name: good, type: http, url: URL, tls: {ca_file: ca}, bearer: {file: token}}
  - {name: secret, type: http, url: URL, tls: {ca_file: ca},
     bearer: {file: late-token}}
  - name: trust
    type: http
    url: URL
    tls:
      ca_file: late-ca
  - name: variable
    type: http
    url: URL
    tls: {ca_file: ca}
    bearer: {env: PROBER_TEST_UNSET}
  - name: database
    type: sql
    address: 127.0.0.1:1
    database: shop
    user: prober
    password: {file: late-password}
    query: SELECT n FROM t
    control: SELECT count(*) FROM t
    values: {n: {column: n, max: 0}}
  - name: tenants
    type: rls
    address: 127.0.0.1:1
    database: shop
    user: app
    tls:
      ca_file: ca
      cert_file: late-cert
      key_file: late-cert
    schema: shop
    tables: [notes]
    column: org
    setting: app.org
    orgs: {one: one, two: two}
`, "URL", server.URL))
	warnings := fmt.Sprintf("warning: %[1]s:8: secret: bearer: secret from file %[2]s/late-token: no such file or directory\n"+
		"warning: %[1]s:13: trust: tls.ca_file: %[2]s/late-ca: no such file or directory\n"+
		"warning: %[1]s:18: variable: bearer: secret from env PROBER_TEST_UNSET: the variable is not set\n"+
		"warning: %[1]s:24: database: password: secret from file %[2]s/late-password: no such file or directory\n"+
		"warning: %[1]s:35: tenants: tls.cert_file: %[2]s/late-cert: no such file or directory\n", file, dir)
	for _, c := range []struct {
		args   []string
		status int
		stderr string
	}{
		{[]string{"check", file}, exitPass, warnings},
		{[]string{"rules", file}, exitPass, warnings},
		{[]string{"dashboard", file}, exitPass, warnings},
		{[]string{"--once", "--config.file=" + file}, exitInconclusive, warnings},
		{[]string{"--once", "--config.file=" + file, "--probe=good"}, exitPass, ""},
		{[]string{"--once", "--config.file=" + file, "--probe=trust"}, exitInconclusive, strings.SplitAfter(warnings, "\n")[1]},
	} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), c.args, &stdout, &stderr); status != c.status || stderr.String() != c.stderr {
			t.Errorf("%q: got status %d and\n%sexpected %d and\n%s", c.args, status, stderr.String(), c.status, c.stderr)
		}
	}

	p := start(t, nil, "--config.file="+file, "--config.auto-reload-interval=0")
	verdict := func(probe, verdict string) string {
		return fmt.Sprintf(`probe_verdict{probe=%q,system="shop",type="http",verdict=%q} 1`, probe, verdict)
	}
	p.waitForMetric(t, verdict("good", "pass"))
	for name, check := range map[string]string{"secret": "status", "trust": "status", "variable": "status", "database": "connect", "tenants": "connect"} {
		testenv.Eventually(t, time.Minute, func(context.Context) error {
			if want := "probe=" + name + " verdict=inconclusive check=" + check + " reason=credential"; !strings.Contains(p.Output(), want) {
				return fmt.Errorf("the log does not say %q", want)
			}
			return nil
		})
	}
	for line := range strings.Lines(warnings) {
		if want := strings.TrimSpace(strings.TrimPrefix(line, "warning: ")); !strings.Contains(p.Output(), want) {
			t.Errorf("the log does not say %q:\n%s", want, p.Output())
		}
	}
	writeFile(t, dir, "late-token", "a-late-token")
	writeFile(t, dir, "late-ca", string(ca))
	p.waitForMetric(t, verdict("secret", "pass"))
	p.waitForMetric(t, verdict("trust", "pass"))
	p.waitForMetric(t, verdict("variable", "inconclusive"))
}
