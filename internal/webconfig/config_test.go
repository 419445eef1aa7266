package webconfig

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// aHash is the bcrypt hash of "correct horse", made for these tests.
const aHash = "$2a$04$QXPrTkAqMqcSbRApY0x2OufUUgP6XTfr7rq27uNH504EiMTaGgJwK"

// TestOpen_pipes: a named pipe with nobody at its other end blocks nothing, and is not taken for an empty file, which asks for no password.
func TestOpen_pipes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(pipe); err == nil || !strings.Contains(err.Error(), "pipe: not a regular file") {
		t.Errorf("got %v", err)
	}
	path := filepath.Join(dir, "web.yaml")
	for name, want := range map[string]string{"pipe": "the file cannot be read: not a regular file", "large": "the file cannot be read: it is larger than 1 MiB"} {
		if err := os.WriteFile(filepath.Join(dir, "large"), make([]byte, maxSize+1), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("tls_server_config: {cert_file: "+name+", key_file: "+name+"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestOpen: what is refused at the start, each mistake with its line. "" is accepted.
func TestOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	newCA(t).issue(t, dir, "server", "localhost")
	const files = "cert_file: server.pem, key_file: server.key"
	for text, want := range map[string]string{
		"":                         "",
		"# nothing\n---\n":         "",
		"{}":                       "",
		"tls_server_config:\n":     "",
		"basic_auth_users:\n":      "",
		"tls_server_confg: {}":     "web.yaml:1: unknown key tls_server_confg; did you mean tls_server_config?",
		"tls_server_confg:":        "web.yaml:1: unknown key tls_server_confg; did you mean tls_server_config?",
		"just text":                "web.yaml:1: wants keys, got text",
		"a:\n\tb: 1":               "web.yaml:2: this line is indented by a tab; YAML is indented by spaces",
		"basic_auth_users: [a, b]": "web.yaml:1: basic_auth_users: wants keys, got a list",

		"basic_auth_users:\n  on-call: " + aHash + "\n": "",
		"basic_auth_users:\n  on-call: hunter2222\n":    "web.yaml:2: basic_auth_users.on-call: expected a bcrypt hash, as htpasswd -nBC 10 NAME prints it",
		"basic_auth_users:\n  on-call:\n":               "web.yaml:2: basic_auth_users.on-call: has no value",
		"basic_auth_users:\n  a.b: x\n  c: y\n": "web.yaml:2: basic_auth_users.a.b: expected a bcrypt hash, as htpasswd -nBC 10 NAME prints it\n" +
			"web.yaml:3: basic_auth_users.c: expected a bcrypt hash, as htpasswd -nBC 10 NAME prints it",
		"basic_auth_users:\n  a: " + aHash + "\n  a: " + aHash + "\n": "web.yaml:3: the key a stands here and on line 2",

		"tls_server_config: {" + files + "}":                                                                   "",
		"tls_server_config: {" + files + ", client_ca_file: }":                                                 "",
		"tls_server_config: {min_version: TLS13}":                                                              "",
		"tls_server_config: {cert_file: server.pem}":                                                           "web.yaml:1: tls_server_config.key_file: key_file or key is missing",
		"tls_server_config: {key_file: server.key}":                                                            "web.yaml:1: tls_server_config.cert_file: cert_file or cert is missing",
		"tls_server_config: {client_auth_type: NoClientCert}":                                                  "web.yaml:1: tls_server_config.cert_file: cert_file or cert is missing\nweb.yaml:1: tls_server_config.key_file: key_file or key is missing",
		"tls_server_config: {cert_file: no.pem, key_file: server.key}":                                         "web.yaml:1: tls_server_config.cert_file: the file cannot be read: no such file or directory; names are relative to DIR",
		"tls_server_config: {cert_file: server.key, key_file: server.key}":                                     "web.yaml:1: tls_server_config: the certificate and the key cannot be used: tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched",
		"tls_server_config: {" + files + ", client_ca_file: server.pem}":                                       "web.yaml:1: tls_server_config: client_ca and client_ca_file need a client_auth_type, such as RequireAndVerifyClientCert",
		"tls_server_config: {" + files + ", client_allowed_sans: [a]}":                                         "web.yaml:1: tls_server_config.client_allowed_sans: needs a client_auth_type that verifies, such as RequireAndVerifyClientCert",
		"tls_server_config: {" + files + ", client_auth_type: RequireAnyClientCert, client_allowed_sans: [a]}": "web.yaml:1: tls_server_config.client_allowed_sans: needs a client_auth_type that verifies, such as RequireAndVerifyClientCert",
		"tls_server_config: {" + files + ", client_auth_type: RequestClientCer}":                               "web.yaml:1: tls_server_config.client_auth_type: unknown word; did you mean RequestClientCert?",
		"tls_server_config: {" + files + ", min_version: TLS1.2}":                                              "web.yaml:1: tls_server_config.min_version: unknown word; did you mean TLS12?",
		"tls_server_config: {" + files + ", min_version: ''}":                                                  "web.yaml:1: tls_server_config.min_version: expected one of TLS10, TLS11, TLS12, TLS13",
		"tls_server_config: {" + files + ", min_version: TLS13, max_version: TLS12}":                           "web.yaml:1: tls_server_config.max_version: is below min_version",
		"tls_server_config: {" + files + ", curve_preferences: [X25519, X]}":                                   "web.yaml:1: tls_server_config.curve_preferences[1]: expected one of CurveP256, CurveP384, CurveP521, X25519",
		"tls_server_config: {" + files + ", cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]}": "web.yaml:1: tls_server_config.cipher_suites: HTTP/2 requires TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 or " +
			"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256; add it, or set http2 to false",
		"tls_server_config: {" + files + ", cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]}\nhttp_server_config: {http2: off}":             "",
		"tls_server_config: {" + files + ", cipher_suites: [TLS_RSA_WITH_RC4_128_SHA, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]}":                       "web.yaml:1: tls_server_config.cipher_suites[0]: expected one of ",
		"tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n  client_auth_type: RequireClientCert\n  client_ca_file: server.key\n": "web.yaml:1: tls_server_config: the client CA has no certificate in PEM",

		"http_server_config: {headers: {X-Frame-Options: deny, Strict-Transport-Security: max-age=1, X-XSS-Protection: '0'}}": "",
		"http_server_config: {headers: {X-Frame-Options: DENY}}":                                                              "web.yaml:1: http_server_config.headers.X-Frame-Options: expected deny or sameorigin",
		"http_server_config: {headers: {X-Content-Type-Options: sniff}}":                                                      "web.yaml:1: http_server_config.headers.X-Content-Type-Options: expected nosniff",
		"http_server_config: {headers: {Server: x}}":                                                                          "web.yaml:1: http_server_config.headers.Server: this header cannot be set; expected one of Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, X-XSS-Protection, Content-Security-Policy",
		"http_server_config: {http2: maybe}":                                                                                  "web.yaml:1: http_server_config.http2: wants true or false",

		"rate_limit: {interval: 1s, burst: 5}": "",
		"rate_limit: {interval: 0}":            "",
		"rate_limit: {interval: 1s}":           "web.yaml:1: rate_limit.burst: expected at least 1: no request would be answered",
		"rate_limit: {interval: 5, burst: 1}":  "web.yaml:1: rate_limit.interval: expected a duration with its unit, such as 100ms",
		"rate_limit: {interval: -1s}":          "web.yaml:1: rate_limit.interval: expected a duration that is not negative",

		"rate_limit: {burst: many}\nhttp_server_config:\n  http3: true\ntls_server_config: {cert_file: no.pem, key_file: server.key, max_version: x}\n": "web.yaml:1: rate_limit.burst: wants a whole number, got text\n" +
			"web.yaml:3: http_server_config: unknown key http3; did you mean http2?\nweb.yaml:4: tls_server_config.max_version: expected one of TLS10, TLS11, TLS12, TLS13\n" +
			"web.yaml:4: tls_server_config.cert_file: the file cannot be read: no such file or directory; names are relative to DIR",
	} {
		_, err := Open(write(t, dir, "web.yaml", text))
		got := ""
		if err != nil {
			got = strings.ReplaceAll(err.Error(), dir+"/", "")
			got = strings.ReplaceAll(got, dir, "DIR")
		}
		if got != want && (want == "" || !strings.HasSuffix(want, " ") || !strings.HasPrefix(got, want)) {
			t.Errorf("%s\ngot  %q\nwant %q", text, got, want)
		}
	}
}

func TestOpen_noFile(t *testing.T) {
	t.Parallel()
	if _, err := Open(""); err != nil {
		t.Errorf("without the flag: %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing file was accepted")
	}
}

// TestOpen_secrets: no mistake repeats what may be a password, a hash or a key, wherever it was written.
func TestOpen_secrets(t *testing.T) {
	t.Parallel()
	const secret = "MC4CAQAwBQYDK2VwBCIEIJ8sHx"
	for _, text := range []string{
		"basic_auth_users: {on-call: SECRET}",
		"basic_auth_users: {on-call: '$2a$99$SECRETSECRETSECRETSECRET'}",
		"basic_auth_users: {'SECRET/+ =': on-call}",
		"basic_auth_users: {'$2a$04$SECRET': on-call}",
		"basic_auth_users: [SECRET]",
		"basic_auth_users: SECRET",
		"'SECRET =': 1",
		"tls_server_config: {cert_file: a, key_file: SECRET}",
		"tls_server_config: {cert_file: a, key_file: \"-----BEGIN PRIVATE KEY-----\\nSECRET\\n\"}",
		"tls_server_config: {cert: SECRET, key: SECRET}",
		"tls_server_config: {cert: a, key: SECRET, min_version: SECRET, client_auth_type: SECRET, cipher_suites: [SECRET], curve_preferences: [SECRET]}",
		"rate_limit: {interval: SECRET, burst: SECRET}",
		"http_server_config: {http2: SECRET, headers: {X-Frame-Options: SECRET, 'SECRET =': a}}",
		"a: *SECRET",
		"a: [SECRET",
	} {
		_, err := Open(write(t, t.TempDir(), "web.yaml", strings.ReplaceAll(text, "SECRET", secret)))
		if err == nil || strings.Contains(err.Error(), secret[:8]) {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}
