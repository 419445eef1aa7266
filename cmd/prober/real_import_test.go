package main

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"prober/internal/sandbox"
	"prober/internal/testenv"
)

// An imported case is a probe of another monitor: the settings that its file has for it, and what the probe here must say of a real
// server: "pass", or a part of why it fails.
type imported struct{ settings, target, want string }

// TestReal_import translates files of blackbox_exporter, gatus and cloudprober that are written for this test, and runs them against
// Debian's nginx, OpenSSH, Postfix, Dovecot and BIND, the gRPC server of the sample system and a WebSocket server of the test. Each kind of module and
// each condition is asked of a server that meets it, and of one that does not.
func TestReal_import(t *testing.T) {
	testenv.Real(t)
	if os.Getuid() != 0 {
		t.Skip("Postfix, Dovecot and BIND start as root only")
	}
	dir, err := os.MkdirTemp("", "import")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	at := importServers(t, dir)
	runs, err := strconv.Atoi(testenv.Runs())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("blackbox", func(t *testing.T) { importBlackbox(t, dir, at, runs) })
	t.Run("gatus", func(t *testing.T) { importGatus(t, dir, at, runs) })
	t.Run("cloudprober", func(t *testing.T) { importCloudprober(t, dir, at, runs) })
}

// importServers starts the servers, and returns what replaces their names in the files.
func importServers(t *testing.T, dir string) *strings.Replacer {
	t.Helper()
	cert, key := certificate(t, 90*24*time.Hour)
	writeFile(t, dir, "cert.pem", cert)
	writeFile(t, dir, "key.pem", key)
	writeFile(t, dir, "users", "prober:{PLAIN}password-of-the-page\n")
	ports := map[string]int{}
	for _, name := range []string{"web", "tls", "ssh", "smtp", "imap", "imaps", "pop3", "closed"} {
		ports[name] = testenv.FreePort(t)
	}
	testenv.Nginx(t, fmt.Sprintf(`
    listen 127.0.0.1:%[2]d; listen 127.0.0.1:%[3]d ssl http2; listen unix:%[1]s/socket;
    ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem;
    default_type text/plain; gzip on; gzip_min_length 1; gzip_types text/plain;
    add_header X-Shop open;
    location = /up { return 200 "Welcome to the shop, 42\n"; }
    location = /empty { return 204; }
    location = /error { return 500 "Could not connect to database\n"; }
    location = /broken { return 200 "Welcome. Could not connect to database\n"; }
    location = /moved { return 301 /up; }
    location = /post { if ($request_method != POST) { return 405; } return 200 "stored\n"; }
    location = /private { auth_basic "shop"; auth_basic_user_file %[1]s/users; try_files /nothing =404; error_page 404 =200 /up; }
    location = /token { if ($http_authorization != "Bearer token-of-the-test") { return 403; } return 200 "in\n"; }
    location = /json { default_type application/json; return 200 '{"status":"UP","user":{"name":"john"},"data":[{"id":1},{"id":2}],"count":6,"kind":"a","state":"up"}'; }
    location = /down { default_type application/json; return 200 '{"status":"DOWN","state":"down","errors":["a"],"data":[],"count":1,"kind":"c","user":{"name":"jane"}}'; }`,
		dir, ports["web"], ports["tls"]))
	startSSH(t, dir, ports["ssh"])
	startPostfix(t, dir, ports["smtp"])
	startDovecot(t, dir, ports)
	loopbackAddress(t, dnsPrimary)
	signZone(t, dir, "shop.example", 7, nil)
	startBIND(t, dir, dnsPrimary, "shop.example")
	sample := startSandbox(t, sandbox.Options{})
	ledger := string(sample.RewriteAddresses([]byte("127.0.0.1:19851")))
	socket := serveWebSocket(t)
	for name, port := range ports {
		if name == "closed" {
			continue
		}
		testenv.Eventually(t, time.Minute, func(ctx context.Context) error {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(port))
			if err == nil {
				conn.Close()
				return nil
			}
			return fmt.Errorf("%s: %w", name, err)
		})
	}
	testenv.Eventually(t, time.Minute, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", dnsPrimary+":53")
		if err == nil {
			conn.Close()
		}
		return err
	})
	names := []string{"DIR", dir, "TRUSTED", filepath.Join(dir, "cert.pem"), "SOCKET", socket, "LEDGER", ledger, "NAMES", dnsPrimary}
	for name, port := range ports {
		names = append(names, strings.ToUpper(name)+"_PORT", strconv.Itoa(port), strings.ToUpper(name)+"_AT", "127.0.0.1:"+strconv.Itoa(port))
	}
	return strings.NewReplacer(names...)
}

// serveWebSocket starts a server that greets whoever sends a message, and answers the close frame. It returns its address.
func serveWebSocket(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		sum := sha1.Sum([]byte(q.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		nc, in, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer nc.Close()
		fmt.Fprintf(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
		for {
			head := make([]byte, 2)
			if _, err := io.ReadFull(in, head); err != nil {
				return
			}
			body := make([]byte, 4+int(head[1]&127)) // a mask, and a short message
			if _, err := io.ReadFull(in, body); err != nil {
				return
			}
			reply := []byte(`{"type":"welcome"}`)
			if head[0]&15 == 8 {
				reply = []byte{3, 232}
			}
			nc.Write(append([]byte{head[0], byte(len(reply))}, reply...))
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

var importedName = regexp.MustCompile(`(?m)^  (?:- |  )name: (\S+)$`)

// runImported translates files, fills in the controls in their order, and runs what comes of them. Probes are in the order of want.
func runImported(t *testing.T, runs int, want, controls []string, files ...string) {
	t.Helper()
	var out, errs strings.Builder
	if status := run(t.Context(), append([]string{"import"}, files...), &out, &errs); status != exitPass {
		t.Fatalf("import: exit status %d\n%s", status, errs.String())
	}
	text := out.String()
	for _, control := range controls {
		before, after, ok := strings.Cut(text, "control: TODO")
		if !ok {
			t.Fatalf("no control is asked for that is %s\n%s", control, text)
		}
		text = before + "control: " + control + " #" + after
	}
	_, rest, _ := strings.Cut(text, "probes:")
	if strings.Contains(rest, "TODO") {
		t.Fatalf("not all is filled in:\n%s", text)
	}
	var names []string
	for _, m := range importedName.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	if len(names) != len(want) {
		t.Fatalf("expected %d probes, got %q\n%s", len(want), names, text)
	}
	dir := t.TempDir()
	file := writeFile(t, dir, "imported.yaml", text)
	rules := writeFile(t, dir, "rules.yml", outputOf(t, "rules", "--config.file="+file))
	if said, err := testenv.Run(t, exec.Command(testenv.Need(t, "promtool"), "check", "rules", "--lint=all", "--lint-fatal", rules)); err != nil {
		t.Errorf("the rules of what was imported: %v\n%s", err, said)
	}
	for range runs {
		out.Reset()
		errs.Reset()
		run(t.Context(), []string{"--once", "--format=json", "--config.file=" + file}, &out, &errs)
		var got struct{ Probes []realProbe }
		if err := json.Unmarshal([]byte(out.String()), &got); err != nil || len(got.Probes) != len(want) {
			t.Fatalf("expected %d probes, got %d, %v\n%s\n%s\n%s", len(want), len(got.Probes), err, out.String(), errs.String(), text)
		}
		for _, p := range got.Probes {
			i := slices.Index(names, p.Name)
			if i < 0 {
				t.Fatalf("%s is no probe of the file", p.Name)
			}
			if said := p.said(false); want[i] == "pass" && p.Verdict != "pass" || want[i] != "pass" && (p.Verdict != "fail" || !strings.Contains(said, want[i])) {
				t.Errorf("%s: expected %q, got %s: %s", p.Name, want[i], p.Verdict, said)
			}
		}
	}
}

// importBlackbox has each prober of blackbox_exporter, as its example has them. A module without settings is the one before it.
func importBlackbox(t *testing.T, dir string, at *strings.Replacer, runs int) {
	t.Setenv("PROBER_M4_HTTP_BASIC_AUTH_PASSWORD", "password-of-the-page")
	cases := []imported{
		{"prober: http", "http://WEB_AT/up", "pass"},
		{"", "http://WEB_AT/error", "got 500"},
		{"", "http://CLOSED_AT/", "connection refused"},
		{"prober: http, http: {method: POST, headers: {Content-Type: application/json}, body: '{}', valid_status_codes: [200, 204]}", "http://WEB_AT/post", "pass"},
		{"prober: http, http: {valid_http_versions: [HTTP/2.0], fail_if_not_ssl: true, tls_config: {ca_file: TRUSTED}}", "https://TLS_AT/up", "pass"},
		{"prober: http, http: {fail_if_body_not_matches_regexp: [Welcome]}", "http://WEB_AT/up", "pass"},
		{"", "http://WEB_AT/post?a=b", "got 405"},
		{"prober: http, http: {basic_auth: {username: prober, password: password-of-the-page}}", "http://WEB_AT/private", "pass"},
		{"prober: http, http: {bearer_token_file: DIR/token}", "http://WEB_AT/token", "pass"},
		{"prober: http, http: {valid_status_codes: [403]}", "http://WEB_AT/token", "pass"},
		{"", "http://WEB_AT/up", "got 200"},
		{"prober: http, http: {fail_if_body_matches_regexp: [database], fail_if_body_not_matches_regexp: [Welcome]}", "http://WEB_AT/up", "pass"},
		{"", "http://WEB_AT/broken", "no match of /database/"},
		{"prober: http, http: {follow_redirects: false, valid_status_codes: [301]}", "http://WEB_AT/moved", "pass"},
		{"prober: http, http: {follow_redirects: true}", "http://WEB_AT/moved", "pass"},
		{"prober: http, http: {compression: gzip}", "http://WEB_AT/up", "pass"},
		{"prober: http, http: {fail_if_header_not_matches: [{header: X-Shop, regexp: open}]}", "http://WEB_AT/up", "pass"},
		{"prober: http, http: {fail_if_header_not_matches: [{header: X-Shop, regexp: closed}]}", "http://WEB_AT/up", "X-Shop"},
		{"prober: tcp", "WEB_AT", "pass"},
		{"", "CLOSED_AT", "connection refused"},
		{"prober: tcp, tcp: {tls: true, tls_config: {ca_file: TRUSTED}}", "TLS_AT", "pass"},
		{"", "WEB_AT", "does not speak TLS"},
		{"prober: tcp, tcp: {query_response: [{expect: '^SSH-2.0-'}]}", "SSH_AT", "pass"},
		{"", "SMTP_AT", "waiting for"},
		{"prober: tcp, timeout: 5s, tcp: {query_response: [{expect: '^220 ([^ ]+) ESMTP'}, {send: \"EHLO prober\\r\"}, {expect: '^250-STARTTLS'}, {send: \"STARTTLS\\r\"}, {expect: '^220'}, {starttls: true}, {send: \"EHLO prober\\r\"}, {expect: '^250-'}, {send: \"QUIT\\r\"}], tls_config: {ca_file: TRUSTED}}", "SMTP_AT", "pass"},
		{"prober: tcp, tcp: {query_response: [{expect: 'OK.*STARTTLS'}, {send: '. STARTTLS'}, {expect: OK}, {starttls: true}, {send: '. capability'}, {expect: 'CAPABILITY IMAP4rev1'}], tls_config: {ca_file: TRUSTED}}", "IMAP_AT", "pass"},
		{"prober: tcp, tcp: {query_response: [{expect: '^\\+OK'}]}", "POP3_AT", "pass"},
		{"prober: unix, unix: {query_response: [{send: 'GET /up HTTP/1.0'}, {send: 'Host: a'}, {send: ''}]}", "DIR/socket", "pass"},
		{"", "DIR/nobody", "nobody listens"},
		{"prober: dns, dns: {query_name: www.shop.example, query_type: A, valid_rcodes: [NOERROR], validate_answer_rrs: {fail_if_not_matches_regexp: ['192.0.2.1[01]$']}}", "NAMES", "pass"},
		{"prober: dns, dns: {query_name: www.shop.example, query_type: A, transport_protocol: tcp, validate_answer_rrs: {fail_if_none_matches_regexp: ['192.0.2.66$']}}", "NAMES:53", "expected a record"},
		{"prober: dns, dns: {query_name: shop.example, query_type: SOA}", "NAMES", "pass"},
		{"prober: dns, dns: {query_name: old.shop.example, query_type: A, valid_rcodes: [NXDOMAIN]}", "NAMES", "pass"},
		{"prober: icmp, icmp: {preferred_ip_protocol: ip4, dont_fragment: true, payload_size: 100, ttl: 5}", "127.0.0.1", "pass"},
		{"prober: grpc", "LEDGER", "pass"},
		{"prober: grpc, grpc: {service: ledger.v1.Ledger}", "LEDGER", "pass"},
		{"prober: grpc, grpc: {service: ledger.v1.Archive}", "LEDGER", "NOT_SERVING"},
		{"prober: websocket, websocket: {query_response: [{send: '{\"type\":\"hello\"}'}, {expect: welcome}]}", "ws://SOCKET/socket", "pass"},
		{"", "ws://WEB_AT/up", "got 200"},
	}
	writeFile(t, dir, "token", "token-of-the-test")
	modules, targets := "modules:\n", "global: {scrape_interval: 30s, scrape_timeout: 10s}\nscrape_configs:\n- job_name: a\n  metrics_path: /probe\n"+
		"  relabel_configs: [{source_labels: [module], target_label: __param_module}, {source_labels: [__address__], target_label: __param_target}, {regex: module, action: labeldrop}]\n  static_configs:\n"
	var want []string
	module := -1
	for _, c := range cases {
		if c.settings != "" {
			module++
			modules += fmt.Sprintf("  m%d: {%s}\n", module, c.settings)
		}
		targets += fmt.Sprintf("  - {targets: [%q], labels: {module: m%d, case: %q}}\n", c.target, module, fmt.Sprint(len(want)))
		want = append(want, c.want)
	}
	blackbox, prometheus := writeFile(t, dir, "blackbox.yml", at.Replace(modules)), writeFile(t, dir, "prometheus.yml", at.Replace(targets))
	// m7 is asked for 403, m8 for a body without "database", m19 for a name that does not exist.
	controls := []string{
		at.Replace(`{url: "http://WEB_AT/up", expect: {status: 200}}`),
		`{query_name: www.shop.example}`,
	}
	runImported(t, runs, want, controls, blackbox, prometheus)
}

// importGatus has each condition of gatus, once met and once not.
func importGatus(t *testing.T, dir string, at *strings.Replacer, runs int) {
	cases := []imported{
		{`conditions: ["[STATUS] == 200", "[CONNECTED] == true", "[RESPONSE_TIME] < 5000"]`, "http://WEB_AT/up", "pass"},
		{`conditions: ["[STATUS] == any(200, 204)"]`, "http://WEB_AT/empty", "pass"},
		{`conditions: ["[STATUS] == 201"]`, "http://WEB_AT/up", "got 200"},
		{`conditions: ["[STATUS] < 300"]`, "http://WEB_AT/error", "got 500"},
		{`conditions: ["[STATUS] == 200", "[BODY] == pat(*Welcome*)"]`, "http://WEB_AT/up", "pass"},
		{`conditions: ["[STATUS] == 200", "[BODY] == pat(*Goodbye*)"]`, "http://WEB_AT/up", "expected a text"},
		{`conditions: ["[STATUS] == 200", "[BODY].status == UP", "[BODY].user.name == pat(jo*)", "[BODY].data[0].id == 1", "len([BODY].data) > 1", "len([BODY].status) == 2", "[BODY].count > 5", "[BODY].count <= 6", "[BODY].kind == any(a, b)"]`, "http://WEB_AT/json", "pass"},
		{`conditions: ["[STATUS] == 200", "[BODY].status == UP"]`, "http://WEB_AT/down", "$.status"},
		{`conditions: ["[STATUS] == 200", "[BODY].user.name == pat(jo*)"]`, "http://WEB_AT/down", "$.user.name"},
		{`conditions: ["[STATUS] == 200", "len([BODY].data) > 1"]`, "http://WEB_AT/down", "$.data"},
		{`conditions: ["[STATUS] == 200", "[BODY].count > 5"]`, "http://WEB_AT/down", "$.count"},
		{`conditions: ["[STATUS] == 200", "[BODY].kind == any(a, b)"]`, "http://WEB_AT/down", "$.kind"},
		{`conditions: ["[STATUS] == 200", "has([BODY].errors) == false"]`, "http://WEB_AT/json", "pass"},
		{`conditions: ["[STATUS] == 200", "[BODY].state != down"]`, "http://WEB_AT/json", "pass"},
		{`conditions: ["[STATUS] == 403"]`, "http://WEB_AT/token", "pass"},
		{`conditions: ["[STATUS] == 200", "[CERTIFICATE_EXPIRATION] > 48h"], client: {insecure: true}`, "https://TLS_AT/up", "pass"},
		{`conditions: ["[STATUS] == 200", "[CERTIFICATE_EXPIRATION] > 4800h"], client: {insecure: true}`, "https://TLS_AT/up?a=b", "expected a certificate"},
		{`conditions: ["[STATUS] == 200"]`, "https://TLS_AT/up", "certificate"},
		{`conditions: ["[CONNECTED] == true"]`, "tcp://WEB_AT", "pass"},
		{`conditions: ["[CONNECTED] == true"]`, "tcp://CLOSED_AT", "connection refused"},
		{`conditions: ["[CONNECTED] == true"]`, "ssh://SSH_AT", "pass"},
		{`conditions: ["[CERTIFICATE_EXPIRATION] > 48h"], client: {insecure: true}`, "tls://IMAPS_AT", "the certificate"},
		{`conditions: ["[CERTIFICATE_EXPIRATION] > 48h"]`, "starttls://SMTP_AT", "the certificate"},
		{`conditions: ["[CONNECTED] == true", "[RESPONSE_TIME] < 1000"]`, "icmp://127.0.0.1", "pass"},
		{`conditions: ["[CONNECTED] == true"]`, "grpc://LEDGER", "pass"},
		{`conditions: ["[CONNECTED] == true"]`, "grpc://WEB_AT", "HTTP/2"},
		{`body: '{"type":"hello"}', conditions: ["[CONNECTED] == true", "[BODY].type == welcome"]`, "ws://SOCKET/socket", "pass"},
		{`conditions: ["[CONNECTED] == true"]`, "ws://WEB_AT/up", "got 200"},
		{`dns: {query-name: mail.shop.example, query-type: A}, conditions: ["[DNS_RCODE] == NOERROR", "[BODY] == 192.0.2.25"]`, "NAMES", "pass"},
		{`dns: {query-name: shop.example, query-type: MX}, conditions: ["[BODY] == pat(*mail.shop.example.)"]`, "NAMES", "pass"},
		{`dns: {query-name: ns1.shop.example, query-type: A}, conditions: ["[BODY] == 192.0.2.66"]`, "NAMES", "expected a record"},
		{`dns: {query-name: old.shop.example, query-type: A}, conditions: ["[DNS_RCODE] == NXDOMAIN"]`, "NAMES", "pass"},
	}
	text := "endpoints:\n"
	var want []string
	for i, c := range cases {
		text += fmt.Sprintf("  - {name: e%d, url: %q, interval: 30s, %s}\n", i, c.target, c.settings)
		want = append(want, c.want)
	}
	controls := []string{
		`{url: "http://WEB_AT/down", expect: {status: 200, json: {$.errors: {length: 1}}}}`, `{url: "http://WEB_AT/down", expect: {status: 200, json: {$.state: down}}}`,
		`{url: "http://WEB_AT/up", expect: {status: 200}}`, `{query_name: www.shop.example}`,
	}
	for i := range controls {
		controls[i] = at.Replace(controls[i])
	}
	runImported(t, runs, want, controls, writeFile(t, dir, "gatus.yaml", at.Replace(text)))
}

// importCloudprober has each type of probe of cloudprober that is translated.
func importCloudprober(t *testing.T, dir string, at *strings.Replacer, runs int) {
	t.Setenv("TEST_REAL_TOKEN", "token-of-the-test")
	cases := []imported{
		{`type: HTTP targets { host_names: "127.0.0.1" } http_probe { port: WEB_PORT relative_url: "/up" } validator { http_validator { success_status_codes: "200" } } validator { regex: "Welcome" }`, "", "pass"},
		{`type: HTTP targets { host_names: "127.0.0.1" } http_probe { port: WEB_PORT relative_url: "/error" } validator { http_validator { success_status_codes: "200" } }`, "", "got 500"},
		{`type: HTTP targets { endpoint { name: "token" url: "http://WEB_AT/token" } } http_probe { header { key: "Authorization" value: "Bearer {{env "TEST_REAL_TOKEN"}}" } }`, "", "pass"},
		{`type: HTTP targets { host_names: "TLS_AT" } http_probe { scheme: HTTPS relative_url: "/post" method: POST body: "a=b" tls_config { ca_cert_file: "TRUSTED" } }`, "", "pass"},
		{`type: HTTP targets { host_names: "WEB_AT" } http_probe { relative_url: "/json" } validator { http_validator { success_header { name: "X-Shop" value_regex: "closed" } } }`, "", "X-Shop"},
		{`type: HTTP targets { host_names: "WEB_AT" } http_probe { relative_url: "/token" } validator { http_validator { success_status_codes: "403" } }`, "", "pass"},
		{`type: TCP targets { host_names: "127.0.0.1" } tcp_probe { port: SSH_PORT }`, "", "pass"},
		{`type: TCP targets { host_names: "CLOSED_AT" }`, "", "connection refused"},
		{`type: TCP targets { host_names: "TLS_AT" } tcp_probe { tls_handshake: true tls_config { ca_cert_file: "TRUSTED" } }`, "", "pass"},
		{`type: PING targets { host_names: "127.0.0.1" } ping_probe { packets_per_probe: 3 packets_interval_msec: 25 }`, "", "pass"},
		{`type: DNS targets { host_names: "NAMES" } dns_probe { resolved_domain: "www.shop.example" query_type: A min_answers: 2 } validator { regex: "192\\.0\\.2\\.1[01]$" } validator { dns_validator { authoritative: true } }`, "", "pass"},
		{`type: DNS targets { host_names: "NAMES" } dns_probe { resolved_domain: "www.shop.example" query_type: A min_answers: 3 dns_proto: TCP }`, "", "expected"},
		{`type: GRPC targets { host_names: "LEDGER" } grpc_probe { method: HEALTH_CHECK health_check_service: "ledger.v1.Ledger" plaintext: true }`, "", "pass"},
		{`type: GRPC targets { host_names: "LEDGER" } grpc_probe { method: HEALTH_CHECK health_check_service: "ledger.v1.Archive" plaintext: true }`, "", "NOT_SERVING"},
	}
	text := ""
	var want []string
	for i, c := range cases {
		text += fmt.Sprintf("probe { name: \"c%d\" interval: \"30s\" timeout: \"10s\" %s }\n", i, c.settings)
		want = append(want, c.want)
	}
	control := at.Replace(`{url: "http://WEB_AT/up", expect: {status: 200}}`)
	runImported(t, runs, want, []string{control}, writeFile(t, dir, "cloudprober.cfg", at.Replace(text)))
}
