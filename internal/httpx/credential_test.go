package httpx

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/probe"
	"prober/internal/secret"
)

// TestCredentialsThatCannotBeSent asks nobody, and blames nobody but the prober.
func TestCredentialsThatCannotBeSent(t *testing.T) {
	url, requests, _ := listen(t, func(http.ResponseWriter, *http.Request) {})
	missing := secret.File(filepath.Join(t.TempDir(), "missing"))
	control := keep(t, "one\x01two"+marker)
	port := url[strings.LastIndexByte(url, ':'):]
	for _, c := range []struct {
		name string
		s    Settings
		q    Request
		want string
	}{
		{"no file", Settings{Bearer: missing}, Request{URL: url}, "bearer: secret from " + missing.Source()},
		{"no file for a password", Settings{Basic: &Basic{Username: "a", Password: missing}}, Request{URL: url}, "basic.password: secret from " + missing.Source()},
		{"no file for a header", Settings{Headers: map[string]Value{"X-Key": {Secret: missing}}}, Request{URL: url}, "headers.X-Key: secret from " + missing.Source()},
		{"control character", Settings{Bearer: control}, Request{URL: url}, `headers: "Authorization" holds a character that a header cannot carry`},
		{"control character in a header", Settings{Headers: map[string]Value{"X-Key": {Secret: control}}}, Request{URL: url}, `headers: "X-Key" holds a character that a header cannot carry`},
		{"header of the request", Settings{}, Request{URL: url, Header: http.Header{"X-Key": {"a\r\nb" + marker}}}, `headers: "X-Key" holds a character that a header cannot carry`},
		{"in clear", Settings{Bearer: keep(t, "token-1234")}, Request{URL: "http://example.test" + port}, "the credential is not sent: http://"},
		{"in clear, of the request", Settings{}, Request{URL: "http://example.test" + port, Header: http.Header{"Authorization": {"Bearer a"}}}, "the credential is not sent: http://"},
		{"in clear, to another address", Settings{Bearer: keep(t, "token-1234")}, Request{URL: url, Addr: "192.0.2.1:80"}, "the credential is not sent: http://"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, err := c.s.Client(url)
			if err != nil {
				t.Fatal(err)
			}
			a, r := askWith(t, client, patience, c.q)
			if a.Reason != probe.Credential || !strings.HasPrefix(a.Detail, c.want) {
				t.Errorf("got %s: %s, want %s", a.Reason, a.Detail, c.want)
			}
			if r.Verdict() != probe.Inconclusive || len(r.Exchanges) != 0 {
				t.Errorf("verdict %s, %d exchanges", r.Verdict(), len(r.Exchanges))
			}
		})
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("sent %d requests", n)
	}
	// A rotated secret is used at once; what could not be read before can be read now.
	path := strings.TrimPrefix(missing.Source(), "file ")
	if err := os.WriteFile(path, []byte("arrived-at-last"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a, _ := ask(t, &Settings{Bearer: missing}, patience, Request{URL: url}); a.Reason != probe.OK {
		t.Errorf("got %s: %s", a.Reason, a.Detail)
	}
}

// TestAnIssuedTokenIsLearnedBeforeTheAnswerIsNoted has a server repeat the token that it issues where an answer says
// its trace id and its version.
func TestAnIssuedTokenIsLearnedBeforeTheAnswerIsNoted(t *testing.T) {
	for name, length := range map[string]string{"whole": "", "cut off": "100000"} {
		t.Run(name, func(t *testing.T) {
			token := hex.EncodeToString([]byte(rand.Text()))
			url, _, _ := listen(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Trace-Id", token)
				w.Header().Set("X-Version", token)
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				w.Write([]byte(token))
			})
			s := &Settings{Trace: &Source{Header: "X-Trace-Id"}, Version: &Source{Header: "X-Version"}}
			learn := func(a *Answer) { secret.Learn("test issued "+name, string(a.Body)) }
			a, _ := ask(t, s, patience, Request{URL: url, Learn: learn})
			if a.Status != 200 || a.TargetTraceID != "" || a.Version != "" {
				t.Errorf("got status %d, trace %q, version %q", a.Status, a.TargetTraceID, a.Version)
			}
		})
	}
	url, _, _ := listen(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Version", "1.4.2") })
	a, _ := ask(t, &Settings{Version: &Source{Header: "X-Version"}}, patience, Request{URL: url, Learn: func(*Answer) {}})
	if a.Version != "1.4.2" {
		t.Errorf("the version of an answer that issues nothing: got %q", a.Version)
	}
}

// TestLocalhostElsewhere has a name server say that a name below localhost is another machine. What is secret is not sent
// there over http, whichever part of the request it is; the dial is counted in place of the network.
func TestLocalhostElsewhere(t *testing.T) {
	token := keep(t, "token-1234567")
	for _, c := range []struct {
		name string
		s    Settings
		q    Request
		want int // dials
	}{
		{"bearer", Settings{Bearer: token}, Request{}, 0},
		{"basic", Settings{Basic: &Basic{Username: "a", Password: token}}, Request{}, 0},
		{"a header", Settings{Headers: map[string]Value{"X-Key": {Secret: token}}}, Request{}, 0},
		{"a secret body", Settings{Confidential: true}, Request{Body: []byte("token-1234567")}, 0},
		{"a secret body of nobody", Settings{Confidential: true}, Request{Anonymous: true, Body: []byte("token-1234567")}, 0},
		{"a secret body of one request", Settings{}, Request{Secret: true, Body: []byte("token-1234567")}, 0},
		{"a header of the request", Settings{}, Request{Header: http.Header{"Authorization": {"Bearer a"}}}, 0},
		{"kept connections", Settings{Bearer: token, Connection: reuse}, Request{}, 0},
		{"no secret", Settings{}, Request{}, 1},
		{"anonymous", Settings{Bearer: token}, Request{Anonymous: true}, 1},
		{"allowed", Settings{Bearer: token, AllowPlaintext: true}, Request{}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.s.Resolver = nameserver(t, always(dnsmessage.RCodeSuccess, "192.0.2.1"))
			c.q.URL = "http://api.localhost:8080/"
			client, err := c.s.Client(c.q.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			dials := 0
			client.dialer.Open = func(context.Context, string, string) (net.Conn, error) {
				dials++
				return nil, syscall.ECONNREFUSED
			}
			a, r := askWith(t, client, patience, c.q)
			want := probe.Refused
			if c.want == 0 {
				want = probe.Credential
			}
			if dials != c.want || a.Reason != want || (want == probe.Credential) != (r.Verdict() == probe.Inconclusive) {
				t.Errorf("dialled %d times: %s: %s", dials, a.Reason, a.Detail)
			}
		})
	}
}

// TestLocalhostElsewhere_token is the same for the request that fetches a token.
func TestLocalhostElsewhere_token(t *testing.T) {
	password := keep(t, "pass-word-1234567")
	url := "http://issuer.localhost:8080/token"
	for name, s := range map[string]*Settings{
		"oauth2": {OAuth2: &OAuth2{TokenURL: url, ClientID: "a", ClientSecret: password}},
		"login":  {Login: &Login{URL: url, Form: map[string]Value{"password": {Secret: password}}, Capture: TokenSource{Header: "X-Token"}}},
	} {
		s.Resolver = nameserver(t, always(dnsmessage.RCodeSuccess, "192.0.2.1"))
		client, err := s.Client("http://issuer.localhost:8080/")
		if err != nil {
			t.Fatal(err)
		}
		dials := 0
		client.tokens.client.dialer.Open = func(context.Context, string, string) (net.Conn, error) {
			dials++
			return nil, syscall.ECONNREFUSED
		}
		a, _ := askWith(t, client, patience, Request{URL: "http://issuer.localhost:8080/"})
		if dials != 0 || a.Reason != probe.Credential || !strings.Contains(a.Detail, "192.0.2.1 is not this machine") {
			t.Errorf("%s: dialled %d times: %s: %s", name, dials, a.Reason, a.Detail)
		}
	}
}

// TestLocalhostElsewhere_kept lets a request without a secret open a connection elsewhere, which one with a secret then
// does not use.
func TestLocalhostElsewhere_kept(t *testing.T) {
	z := serve(t, says(okAnswer))
	s := &Settings{Bearer: keep(t, "token-1234567"), Connection: reuse, Resolver: nameserver(t, always(dnsmessage.RCodeSuccess, "192.0.2.1"))}
	url := "http://api.localhost:8080/"
	client, err := s.Client(url)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.dialer.Open = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, z.Addr().String())
	}
	if a, _ := askWith(t, client, patience, Request{URL: url, Anonymous: true}); a.Reason != probe.OK {
		t.Fatalf("got %s: %s", a.Reason, a.Detail)
	}
	if a, _ := askWith(t, client, patience, Request{URL: url}); a.Reason != probe.Credential {
		t.Errorf("got %s: %s", a.Reason, a.Detail)
	}
}
