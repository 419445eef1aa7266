package httpx

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/secret"
)

// issuer answers token requests as do says, and counts them.
func issuer(t testing.TB, do func(n int64, w http.ResponseWriter, r *http.Request)) (url string, asked *atomic.Int64) {
	t.Helper()
	var n atomic.Int64
	url, asked, _ = listen(t, func(w http.ResponseWriter, r *http.Request) { do(n.Add(1), w, r) })
	return url + "/token", asked
}

func issue(w http.ResponseWriter, token string, life int) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"access_token": %q, "token_type": "bearer", "expires_in": %d}`, token, life)
}

func TestToken(t *testing.T) {
	for _, style := range []string{"", "header", "params"} {
		issued := "issued-" + rand.Text()
		tokens, asked := issuer(t, func(_ int64, w http.ResponseWriter, r *http.Request) {
			user, password, _ := r.BasicAuth()
			if style == "params" {
				user, password = r.FormValue("client_id"), r.FormValue("client_secret")
			}
			if user != "me" || password != "client-secret" || r.FormValue("grant_type") != "client_credentials" ||
				r.FormValue("scope") != "a b" || r.FormValue("audience") != "x" || r.Header.Get("User-Agent") != userAgent() || r.Method != "POST" {
				t.Errorf("asked as %s %v by %s", user, r.Form, r.Header.Get("User-Agent"))
			}
			issue(w, issued, 3600)
		})
		url, _, _ := listen(t, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, r.Header.Get("Authorization"))
		})
		s := &Settings{OAuth2: &OAuth2{TokenURL: tokens, ClientID: "me", ClientSecret: keep(t, "client-secret"), Scopes: []string{"a", "b"}, Params: map[string]string{"audience": "x"}, AuthStyle: style}}
		client, err := s.Client(url)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				r := probe.NewResult(probe.ID{})
				a := client.Do(t.Context(), r, Request{URL: url})
				if string(a.Body) != "Bearer "+issued || len(r.Exchanges) != 1 || r.Exchanges[0].URL != url {
					t.Errorf("got %s %q: %s; %+v", a.Reason, a.Body, a.Detail, r.Exchanges)
				}
			})
		}
		all.Wait()
		if a, _ := askWith(t, client, patience, Request{URL: url, Anonymous: true}); string(a.Body) != "" {
			t.Errorf("anonymous, and yet %q was sent", a.Body)
		}
		if asked.Load() != 1 {
			t.Errorf("fetched %d tokens, want 1", asked.Load())
		}
		if text := secret.Redact(issued); strings.Contains(text, issued[:8]) {
			t.Errorf("the token is not known: %s", text)
		}
	}
}

// TestTokenLife fetches a token again when it is about to expire, when it was refused after a while, and with the
// client's secret of that time.
func TestTokenLife(t *testing.T) {
	tokens, asked := issuer(t, func(n int64, w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		issue(w, fmt.Sprintf("token-%d-%s", n, password), 3600)
	})
	var refuse atomic.Bool
	url, _, _ := listen(t, func(w http.ResponseWriter, r *http.Request) {
		if refuse.Load() {
			w.WriteHeader(401)
		}
		io.WriteString(w, r.Header.Get("Authorization"))
	})
	key := keep(t, "first")
	client, err := (&Settings{OAuth2: &OAuth2{TokenURL: tokens, ClientID: "me", ClientSecret: key}}).Client(url)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want string, fetched int64) {
		t.Helper()
		if a, _ := askWith(t, client, patience, Request{URL: url}); string(a.Body) != "Bearer "+want || asked.Load() != fetched {
			t.Errorf("sent %s after %d fetches, want %s after %d: %s", a.Body, asked.Load(), want, fetched, a.Detail)
		}
	}
	expect("token-1-first", 1)
	expect("token-1-first", 1)
	if left := time.Until(client.tokens.until); left > time.Hour-tokenMargin || left < time.Hour/2 {
		t.Errorf("the token is used for %s", left)
	}

	if err := os.WriteFile(strings.TrimPrefix(key.Source(), "file "), []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("token-1-first", 1) // the token still holds
	client.tokens.until = time.Now()
	expect("token-2-second", 2)

	refuse.Store(true)
	expect("token-2-second", 2) // new, and refused: another would be refused too
	expect("token-2-second", 2)
	client.tokens.fetched = time.Now().Add(-2 * tokenRefetchAge)
	expect("token-2-second", 2) // old, and refused
	expect("token-3-second", 3)
}

func TestTokenRefused(t *testing.T) {
	const noToken = "no access token: "
	json := func(status int, body string) func(int64, http.ResponseWriter, *http.Request) {
		return func(_ int64, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	for _, c := range []struct {
		name  string
		do    func(int64, http.ResponseWriter, *http.Request)
		want  string
		asked int64
	}{
		{"wrong secret", json(401, `{"error": "invalid_client", "error_description": "`+marker+`"}`), "the token endpoint answered 401 (invalid_client)", 1},
		{"error of its own", json(400, `{"error": "`+marker+`"}`), "the token endpoint answered 400", 1},
		{"error with 200", json(200, `{"error": "invalid_scope"}`), "the token endpoint answered 200 (invalid_scope)", 1},
		{"HTML", json(200, "<html>"+marker), "the answer of the token endpoint is not valid (RFC 6749)", 1},
		{"no token", json(200, `{"hello": "`+marker+`"}`), "the answer of the token endpoint is not valid (RFC 6749)", 1},
		{"another type", json(200, `{"access_token": "abcdefgh", "token_type": "`+marker+`"}`), "another type of token than Bearer", 1},
		{"line break", json(200, `{"access_token": "abc\r\nX: `+marker+`"}`), "issued an invalid token", 1},
		{"a token that is too short", json(200, `{"access_token": "abc"}`), "issued an invalid token", 1},
		{"the shortest token", json(200, `{"access_token": "wxyz"}`), "", 1},
		{"redirect", func(_ int64, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/"+marker, http.StatusTemporaryRedirect)
		}, "the token endpoint answered 307", 1},
		{"500", json(500, marker), "the token endpoint answered 500", 1},
		{"501", json(501, marker), "the token endpoint answered 501", 1},
		{"429", json(429, marker), "the token endpoint answered 429", 1},
		{"503", json(503, marker), "the token endpoint answered 503", 3},
		{"502 and then a token", func(n int64, w http.ResponseWriter, _ *http.Request) {
			if n < 3 {
				w.WriteHeader(502)
				return
			}
			issue(w, "third-time-lucky", 60)
		}, "", 3},
		{"too large", json(200, `{"a": "`+strings.Repeat("x", 2<<20)+`"}`), "the answer of the token endpoint is larger than 1048576 bytes", 1},
		{"cut off", func(_ int64, w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, "connection closed by", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			tokens, asked := issuer(t, c.do)
			url, requests, _ := listen(t, func(http.ResponseWriter, *http.Request) {})
			s := &Settings{OAuth2: &OAuth2{TokenURL: tokens, ClientID: "me", ClientSecret: keep(t, "client-secret")}}
			a, r := ask(t, s, patience, Request{URL: url})
			if c.want == "" {
				if a.Reason != probe.OK {
					t.Errorf("got %s: %s", a.Reason, a.Detail)
				}
			} else {
				if a.Reason != probe.Credential || !strings.HasPrefix(a.Detail, noToken) || !strings.Contains(a.Detail, c.want) {
					t.Errorf("got %s: %s, want %s", a.Reason, a.Detail, c.want)
				}
				if r.Verdict() != probe.Inconclusive || len(r.Exchanges) != 0 || requests.Load() != 0 {
					t.Errorf("verdict %s, %d exchanges, %d requests", r.Verdict(), len(r.Exchanges), requests.Load())
				}
			}
			if asked.Load() != c.asked {
				t.Errorf("asked %d times for a token, want %d", asked.Load(), c.asked)
			}
		})
	}
}

// TestTokenNetwork cannot reach the issuer, and says so within the run's time.
func TestTokenNetwork(t *testing.T) {
	url, requests, _ := listen(t, func(http.ResponseWriter, *http.Request) {})
	silent := serve(t, hold)
	p := newPKI(t)
	untrusted := serve(t, behindTLS(&tls.Config{Certificates: []tls.Certificate{p.server(-day, day)}}))
	for _, c := range []struct {
		tokens, want string
		timeout      time.Duration
	}{
		{"http://127.0.0.1:1/token", "connection refused by 127.0.0.1:1", patience},
		{silent.url(), "no complete answer in time (waited in processing)", impatience},
		{untrusted.https(), "issued by an authority that is not trusted", patience},
	} {
		s := &Settings{OAuth2: &OAuth2{TokenURL: strings.Split(c.tokens, "?")[0], ClientID: "me", ClientSecret: keep(t, "client-secret")}}
		a, r := ask(t, s, c.timeout, Request{URL: url})
		if a.Reason != probe.Credential || !strings.Contains(a.Detail, c.want) || r.Verdict() != probe.Inconclusive {
			t.Errorf("got %s %s: %s, want %s", r.Verdict(), a.Reason, a.Detail, c.want)
		}
	}
	if requests.Load() != 0 || untrusted.conns.Load() != 1 {
		t.Errorf("sent %d requests; dialled an untrusted issuer %d times", requests.Load(), untrusted.conns.Load())
	}
}

// TestTokenAfterLong waits no longer than it may, whatever the issuer says.
func TestTokenAfterLong(t *testing.T) {
	for _, after := range []string{"", "0", "-1", "3", "86400", "9223372037", "Fri, 31 Dec 1999 23:59:59 GMT", marker} {
		resp := &http.Response{Header: http.Header{"Retry-After": {after}}}
		for attempt := range 100 {
			for _, r := range []*http.Response{resp, nil} {
				if got := pause(0, 0, attempt, r); got < minWait || got > maxWait {
					t.Errorf("Retry-After %s, attempt %d: waits %s", after, attempt, got)
				}
			}
		}
	}
	for after, want := range map[string]time.Duration{
		"1": time.Second, "2": maxWait, "3": maxWait, "86400": maxWait, "9223372037": maxWait, "18446744073709551615": maxWait, "99999999999999999999999": maxWait,
	} {
		if got := pause(0, 0, 0, &http.Response{Header: http.Header{"Retry-After": {after}}}); got != want {
			t.Errorf("Retry-After %s: waits %s, expected %s", after, got, want)
		}
	}
	tokens, asked := issuer(t, func(_ int64, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "86400")
		w.WriteHeader(503)
	})
	url, _, _ := listen(t, func(http.ResponseWriter, *http.Request) {})
	s := &Settings{OAuth2: &OAuth2{TokenURL: tokens, ClientID: "me", ClientSecret: keep(t, "client-secret")}}
	a, _ := ask(t, s, impatience, Request{URL: url})
	if a.Reason != probe.Credential || asked.Load() > 1 {
		t.Errorf("got %s: %s after %d requests", a.Reason, a.Detail, asked.Load())
	}
}
