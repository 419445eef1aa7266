package main

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"syscall"
	"testing"

	"prober/internal/webconfig"
)

// TestAuthenticated: whoever acknowledges is named only if the listener checked who that is.
func TestAuthenticated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// bcrypt of "correct horse", made for this test.
	withUsers := writeFile(t, dir, "web.yaml", "basic_auth_users:\n  on-call: $2a$04$QXPrTkAqMqcSbRApY0x2OufUUgP6XTfr7rq27uNH504EiMTaGgJwK\n")
	without := writeFile(t, dir, "none.yaml", "basic_auth_users: {}\n")
	for name, c := range map[string]struct{ file, user, want string }{
		"a password that was checked": {withUsers, "on-call", "200 on-call"},
		"a name that the file lacks":  {withUsers, "admin", "401 "},
		"no name":                     {withUsers, "", "401 "},
		"nobody asks for passwords":   {without, "on-call", "200 "},
		"no file":                     {"", "on-call", "200 "},
	} {
		if got := authenticatedAt(t, c.file, c.user); got != c.want {
			t.Errorf("%s: got %q, expected %q", name, got, c.want)
		}
	}
	if _, err := webconfig.Open(filepath.Join(dir, "missing")); err == nil {
		t.Error("a missing file was accepted")
	}
	certificate := &x509.Certificate{Subject: pkix.Name{CommonName: "on-call"}}
	r := httptest.NewRequest("POST", "/", nil)
	r.SetBasicAuth("on-call", "any")
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}}
	if got := authenticated(r); got != "" {
		t.Errorf("a certificate nobody verified: got %q", got)
	}
	r.TLS.VerifiedChains = [][]*x509.Certificate{{certificate}}
	if got := authenticated(r); got != "CN=on-call" {
		t.Errorf("a verified certificate: got %q", got)
	}
}

// authenticatedAt returns the status for a user with a password, and the user whom the pages see behind a web configuration.
func authenticatedAt(t *testing.T, file, user string) string {
	t.Helper()
	config, err := webconfig.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	listeners, err := listen([]string{"127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("User", authenticated(r)) })}
	ended := make(chan error, 1)
	go func() { ended <- config.Serve(listeners, server, slog.New(slog.DiscardHandler)) }()
	defer func() { server.Close(); <-ended }()
	r, _ := http.NewRequest("POST", "http://"+listeners[0].Addr().String(), nil)
	r.SetBasicAuth(user, "correct horse")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.Status[:4] + resp.Header.Get("User")
}

// TestActivated: sockets that systemd opened are taken, but only those that are meant for this process.
func TestActivated(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fds, pid string
		want     int
	}{
		"two sockets":     {"2", "7", 2},
		"another process": {"2", "8", 0},
		"no variables":    {"", "", 0},
		"no sockets":      {"0", "7", 0},
		"no number":       {"x", "7", 0},
	} {
		got, err := activated(7, func(name string) string { return map[string]string{"LISTEN_FDS": c.fds, "LISTEN_PID": c.pid}[name] })
		if got != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%s: got %d %v, expected %d", name, got, err, c.want)
		}
	}
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	file, err := first.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	passed, err := syscall.Dup(int(file.Fd())) // inherit closes it
	if err != nil {
		t.Fatal(err)
	}
	listeners, err := inherit(passed, 1)
	if err != nil || len(listeners) != 1 || listeners[0].Addr().String() != first.Addr().String() {
		t.Fatalf("got %v %v", listeners, err)
	}
	listeners[0].Close()
}
