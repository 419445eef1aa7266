package webconfig

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A site is a web configuration that is served on loopback.
type site struct {
	t       *testing.T
	dir     string
	address string
	log     *lockedBuffer
	guard   func() *guard
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// serve serves the user's name as dir/web.yaml says, which has the text.
func serve(t *testing.T, dir, text string) *site {
	t.Helper()
	f, err := Open(write(t, dir, "web.yaml", text))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: dir, address: l.Addr().String(), log: &lockedBuffer{}}
	log := slog.New(slog.NewTextHandler(s.log, nil))
	server := &http.Server{
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "user "+User(r)) }),
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- f.Serve([]net.Listener{l}, server, log) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-ended; err != http.ErrServerClosed {
			t.Errorf("Serve returned %v", err)
		}
	})
	s.guard = func() *guard { g, _ := server.Handler.(*guard); return g }
	return s
}

func (s *site) write(text string) { s.t.Helper(); write(s.t, s.dir, "web.yaml", text) }

// get asks over plain HTTP with a user and a password, unless both are "-".
func (s *site) get(user, password string) (status int, body string, header http.Header) {
	s.t.Helper()
	r, _ := http.NewRequest("GET", "http://"+s.address, nil)
	if user != "-" {
		r.SetBasicAuth(user, password)
	}
	return s.do(http.DefaultClient, r)
}

func (s *site) do(client *http.Client, r *http.Request) (int, string, http.Header) {
	s.t.Helper()
	resp, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Header
}

// handshake asks over TLS, on a new connection, and returns the state of it, or why there was no answer.
func (s *site) handshake(config *tls.Config) (*tls.ConnectionState, error) {
	s.t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, ForceAttemptHTTP2: true}}
	resp, err := client.Get("https://" + s.address)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return resp.TLS, nil
}

func (c ca) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.cert)
	return pool
}

const pair = "tls_server_config: {cert_file: server.pem, key_file: server.key"

// TestServe_clients: which certificates of clients are let in.
func TestServe_clients(t *testing.T) {
	t.Parallel()
	const nobody, theirs, foreign = 1, 2, 4 // who is let in
	for settings, want := range map[string]int{
		"":                                      nobody | theirs | foreign,
		", client_auth_type: NoClientCert":      nobody | theirs | foreign,
		", client_auth_type: RequestClientCert": nobody | theirs | foreign,
		", client_auth_type: RequireAnyClientCert":                                                                                                 theirs | foreign,
		", client_auth_type: RequireClientCert":                                                                                                    theirs | foreign,
		", client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca.pem":                                                                      nobody | theirs,
		", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem":                                                                   theirs,
		", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, client_allowed_sans: [x, a.example.com]":                          theirs,
		", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, client_allowed_sans: [127.0.0.1]":                                 theirs,
		", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, client_allowed_sans: [on-call@example.com]":                       theirs,
		", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, client_allowed_sans: [spiffe://example.com/prometheus]":           theirs,
		", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, client_allowed_sans: [client, b.example.com, A.example.com, '*']": 0,
		", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, client_allowed_sans: []":                                          0,
		", client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca.pem, client_allowed_sans: [a.example.com]":                                theirs,
	} {
		dir, authority := t.TempDir(), newCA(t)
		authority.issue(t, dir, "server", "localhost")
		write(t, dir, "ca.pem", authority.pem)
		certificates := map[int][]tls.Certificate{
			nobody:  nil,
			theirs:  {authority.issue(t, dir, "client", "a.example.com")},
			foreign: {newCA(t).issue(t, dir, "client", "a.example.com")},
		}
		s := serve(t, dir, pair+settings+"}")
		got := 0
		for who, certs := range certificates {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				if _, err := s.handshake(&tls.Config{RootCAs: authority.pool(), MaxVersion: version, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					if len(certs) == 0 {
						return new(tls.Certificate), nil
					}
					return &certs[0], nil
				}}); err == nil {
					got |= who
				} else if want&who != 0 {
					t.Errorf("%s: %d: %v", settings, who, err)
				}
			}
		}
		if got != want {
			t.Errorf("%s: let in %03b, expected %03b", settings, got, want)
		}
	}
}

// TestServe_versions: the versions, suites, curves and HTTP/2 that are agreed on.
func TestServe_versions(t *testing.T) {
	t.Parallel()
	dir, authority := t.TempDir(), newCA(t)
	authority.issue(t, dir, "server", "localhost")
	for _, c := range []struct {
		settings string
		client   *tls.Config
		want     string // the beginning of it; "" for no agreement
	}{
		{"}", &tls.Config{}, "TLS 1.3 h2"},
		{"}", &tls.Config{MaxVersion: tls.VersionTLS12}, "TLS 1.2 h2"},
		{"}", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, ""},
		{", min_version: TLS11}\nhttp_server_config: {http2: no}", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, "TLS 1.1"},
		{", min_version: TLS13}", &tls.Config{MaxVersion: tls.VersionTLS12}, ""},
		{", max_version: TLS12}", &tls.Config{}, "TLS 1.2 h2"},
		{", max_version: TLS12}", &tls.Config{MinVersion: tls.VersionTLS13}, ""},
		{"}\nhttp_server_config: {http2: false}", &tls.Config{}, "TLS 1.3 http/1.1"},
		{", max_version: TLS12, cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]}", &tls.Config{}, "TLS 1.2 h2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
		{", curve_preferences: [CurveP384], prefer_server_cipher_suites: false}", &tls.Config{}, "TLS 1.3 h2 TLS_AES_128_GCM_SHA256 CurveP384"},
	} {
		s := serve(t, dir, pair+c.settings)
		c.client.RootCAs = authority.pool()
		state, err := s.handshake(c.client)
		got := ""
		if err == nil {
			got = tls.VersionName(state.Version) + " " + state.NegotiatedProtocol + " " + tls.CipherSuiteName(state.CipherSuite) + " " + state.CurveID.String()
		}
		if (got == "") != (c.want == "") || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: got %q %v, expected %q", c.settings, got, err, c.want)
		}
	}
}

// TestServe_rotation: a new certificate is served at once, and one that cannot be used ends handshakes.
func TestServe_rotation(t *testing.T) {
	t.Parallel()
	dir, first, second := t.TempDir(), newCA(t), newCA(t)
	first.issue(t, dir, "server", "localhost")
	s := serve(t, dir, pair+"}")
	answers := func(by ca) bool { _, err := s.handshake(&tls.Config{RootCAs: by.pool()}); return err == nil }
	if !answers(first) || answers(second) {
		t.Error("expected the first certificate")
	}
	second.issue(t, dir, "server", "localhost")
	if answers(first) || !answers(second) {
		t.Error("expected the second certificate")
	}
	write(t, dir, "server.key", "nothing")
	for range 2 {
		if answers(first) || answers(second) {
			t.Error("expected no certificate")
		}
	}
	if got := strings.Count(s.log.String(), "Cannot use the certificates"); got != 1 {
		t.Errorf("got %d messages, expected 1:\n%s", got, s.log)
	}
	second.issue(t, dir, "server", "localhost")
	if !answers(second) {
		t.Error("expected the second certificate again")
	}
	s.write("tls_server_config: {}\n")
	if answers(second) {
		t.Error("a file that lost its certificates let somebody in")
	}
}

// TestServe_validity: a certificate that clients refuse, since it expired or is not valid yet, is logged once and counted.
func TestServe_validity(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		from, to time.Duration
		want     string
	}{
		"valid":   {-time.Hour, time.Hour, ""},
		"expired": {-2 * time.Hour, -time.Hour, "the certificate expired on " + now.Add(-time.Hour).UTC().Format(time.RFC3339)},
		"not yet": {time.Hour, 2 * time.Hour, "the certificate is not valid before " + now.Add(time.Hour).UTC().Format(time.RFC3339)},
	} {
		dir, authority := t.TempDir(), newCA(t)
		authority.issue(t, dir, "server", "localhost", func(x *x509.Certificate) { x.NotBefore, x.NotAfter = now.Add(c.from), now.Add(c.to) })
		s := serve(t, dir, pair+"}")
		var refused atomic.Int32
		s.handshake(&tls.Config{InsecureSkipVerify: true})
		s.guard().file.Refused = func(by *http.Request) {
			if by == nil {
				refused.Add(1)
			}
		}
		want := int32(0)
		for range 2 {
			if _, err := s.handshake(&tls.Config{RootCAs: authority.pool()}); (err == nil) != (c.want == "") {
				t.Errorf("%s: got %v", name, err)
			}
			if c.want != "" {
				want++
			}
		}
		if refused.Load() != want || strings.Count(s.log.String(), "Cannot use the certificates") != min(int(want), 1) || !strings.Contains(s.log.String(), c.want) {
			t.Errorf("%s: refused %d times, expected %d, and logged\n%s", name, refused.Load(), want, s.log)
		}
	}
}

// TestServe_resumption: a client that has been let in is not let in by its session when it is allowed no longer.
func TestServe_resumption(t *testing.T) {
	t.Parallel()
	dir, authority := t.TempDir(), newCA(t)
	authority.issue(t, dir, "server", "localhost")
	write(t, dir, "ca.pem", authority.pem)
	client := &tls.Config{
		RootCAs: authority.pool(), ClientSessionCache: tls.NewLRUClientSessionCache(0),
		Certificates: []tls.Certificate{authority.issue(t, dir, "client", "a.example.com")},
	}
	const settings = pair + ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, client_allowed_sans: "
	s := serve(t, dir, settings+"[a.example.com]}")
	for range 2 {
		if state, err := s.handshake(client); err != nil || state.DidResume {
			t.Fatalf("expected a whole handshake, got %v", err)
		}
	}
	s.write(settings + "[b.example.com]}")
	if _, err := s.handshake(client); err == nil {
		t.Error("let in by a session")
	}
}

func TestServe_inline(t *testing.T) {
	t.Parallel()
	dir, authority := t.TempDir(), newCA(t)
	authority.issue(t, dir, "server", "localhost")
	text := "tls_server_config:\n"
	for _, part := range [][2]string{{"cert", "server.pem"}, {"key", "server.key"}} {
		pem, err := os.ReadFile(filepath.Join(dir, part[1]))
		if err != nil {
			t.Fatal(err)
		}
		text += "  " + part[0] + ": |\n    " + strings.ReplaceAll(string(pem), "\n", "\n    ") + "\n"
	}
	if _, err := serve(t, dir, text).handshake(&tls.Config{RootCAs: authority.pool()}); err != nil {
		t.Error(err)
	}
}
