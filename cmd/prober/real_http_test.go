package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"prober/internal/testenv"
)

// TestReal_http asks Debian's nginx what people of other monitors ask: through redirects, over HTTP/2, in gzip, at a Unix socket,
// and through Debian's tinyproxy.
func TestReal_http(t *testing.T) {
	testenv.Real(t)
	t.Setenv("TEST_REAL_PROXY", "password-of-the-proxy")
	dir := t.TempDir()
	cert, key := certificate(t, 90*24*time.Hour)
	writeFile(t, dir, "cert.pem", cert)
	writeFile(t, dir, "key.pem", key)
	plain, secure, proxy, closed := testenv.FreePort(t), testenv.FreePort(t), testenv.FreePort(t), testenv.FreePort(t)
	testenv.Nginx(t, fmt.Sprintf(`
    listen 127.0.0.1:%[2]d; listen 127.0.0.1:%[3]d ssl http2; listen unix:%[1]s/socket;
    ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem;
    default_type text/plain; gzip on; gzip_min_length 1; gzip_types text/plain;
    location = /up { return 200 "green green green\n"; }
    location = /moved { return 301 /up; }
    location = /chain { return 307 /moved; }
    location = /loop { return 302 /loop; }
    location = /away { return 302 http://localhost:1/up; }
    location = /plain { gzip off; return 200 "green green green\n"; }
    location = /list { default_type application/json; return 200 '{"items":[{"s":"ok"},{"s":"down"}],"none":[]}'; }`, dir, plain, secure))
	conf := writeFile(t, dir, "tinyproxy.conf", fmt.Sprintf("Port %d\nListen 127.0.0.1\nTimeout 10\nMaxClients 20\nAllow 127.0.0.1\nBasicAuth prober password-of-the-proxy\nConnectPort %d\nConnectPort %d\n", proxy, secure, closed))
	testenv.Start(t, testenv.Need(t, "tinyproxy"), "-d", "-c", conf)
	for _, port := range []int{plain, secure, proxy} {
		waitForPort(t, port)
	}

	var probes strings.Builder
	probes.WriteString("system: web\ntimeout: 10s\nprobes:\n")
	want := map[string]string{}
	add := func(name, url, settings, line string) {
		fmt.Fprintf(&probes, "  - {name: %s, type: http, url: %q, %s}\n", name, url, settings)
		want[name] = line
	}
	web, tls := fmt.Sprintf("http://127.0.0.1:%d", plain), fmt.Sprintf("https://127.0.0.1:%d", secure)
	const pass, trust = "pass: ", "tls: {ca_file: cert.pem}"
	through := fmt.Sprintf("proxy: {url: \"http://127.0.0.1:%d\", basic: {username: prober, password: {env: TEST_REAL_PROXY}}}", proxy)
	unknown := fmt.Sprintf("proxy: \"http://127.0.0.1:%d\"", proxy)
	add("followed", web+"/chain", "follow: 2", pass+"got 200 (after 307 to /moved, 301 to /up)")
	add("followed-tls", tls+"/chain", "http2: true, follow: 2, "+trust, pass+"got 200 (after 307 to /moved, 301 to /up)")
	add("too-far", web+"/chain", "follow: 1", "fail: expected 2xx, got more than 1 redirect")
	add("loop", web+"/loop", "follow: 5", "fail: expected 2xx, got 302 to /loop, which was asked before")
	add("away", web+"/away", "follow: 5", "fail: expected 2xx, got 302 to another host, which is not followed")
	add("http2", tls+"/up", "http2: true, expect: {http_version: 2}, "+trust, pass+"got HTTP/2.0")
	add("http1", tls+"/up", "http2: true, expect: {http_version: 1.1}, "+trust, "fail: expected HTTP version 1.1, got HTTP/2.0")
	add("gzip", web+"/up", "compression: gzip, expect: {body: {contains: green}}", pass+"the body came compressed with gzip")
	add("identity", web+"/up", "compression: identity, expect: {body: {contains: green}}", pass+"the body came uncompressed")
	add("not-gzip", web+"/plain", "compression: gzip", "fail: expected the body compressed with gzip, got it uncompressed")
	add("socket", "http://web.invalid/up", "unix: "+dir+"/socket, expect: {body: {contains: green}}", pass+"got 200")
	add("version-4", web+"/up", "ip_version: 4", pass+"got 200")
	add("proxied", web+"/up", through+", expect: {body: {contains: green}}", pass+"got 200")
	add("proxied-tls", tls+"/up", through+", http2: true, expect: {http_version: 2}, "+trust, pass+"got HTTP/2.0")
	add("proxied-redirect", tls+"/moved", through+", follow: 1, "+trust, pass+"got 200 (after 301 to /up)")
	add("unknown-to-proxy", tls+"/up", unknown+", "+trust, "inconclusive: requires a credential (407)")
	add("unknown-to-proxy-plain", web+"/up", unknown, "inconclusive: requires a credential (407)")
	add("not-let-through", fmt.Sprintf("https://127.0.0.1:%d/up", plain), through, "inconclusive: answers CONNECT with 403")
	add("down-behind-proxy", fmt.Sprintf("https://127.0.0.1:%d/up", closed), through, "fail: answers CONNECT with 500: it did not reach")
	add("every", web+"/list", `expect: {json: {"$.items[*].s": {every: ok}}}`, `fail: expected every item to be "ok", got another text of 4 characters (item 2 of 2)`)
	add("any", web+"/list", `expect: {json: {"$.items[*].s": {any: ok}, $.items: {length: 2}, $.none: {length: 0}}}`, pass+"3 JSON values as expected")
	add("none", web+"/list", `expect: {json: {$.none: {every: ok}}}`, "fail: got an empty list, which proves nothing")
	wantSaid(t, writeFile(t, dir, "prober.yaml", probes.String()), want)
}
