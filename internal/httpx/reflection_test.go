package httpx

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/testenv"
)

const (
	reflectedToken = "tok/en+0123456789.abcdef"
	shortToken     = "prober-1"
)

// ask makes one request by the settings to a server with this handler, and returns where the credential came back.
func reflection(t *testing.T, s *Settings, q Request, answer func(w http.ResponseWriter, q *http.Request)) (string, bool) {
	t.Helper()
	x := httptest.NewServer(http.HandlerFunc(answer))
	defer x.Close()
	c, err := s.Client(x.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	q.URL = x.URL + q.URL
	r := probe.NewResult(probe.ID{})
	a := c.Do(t.Context(), r, q)
	if a.Reason != probe.OK && a.Status == 0 {
		t.Fatalf("no answer: %s", a.Detail)
	}
	if len(r.Exchanges) != 1 || r.Exchanges[0].Reflected != a.Reflected {
		t.Errorf("recorded %+v", r.Exchanges)
	}
	return a.Reflected, a.SoughtCredential
}

func body(format string) func(w http.ResponseWriter, q *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, format, reflectedToken) }
}

func TestReflection_places(t *testing.T) {
	t.Setenv("PROBER_TEST_TOKEN", reflectedToken)
	escaped := ""
	for _, c := range reflectedToken {
		escaped += fmt.Sprintf(`\u%04x`, c)
	}
	header := func(name string) func(w http.ResponseWriter, q *http.Request) {
		return func(w http.ResponseWriter, q *http.Request) { w.Header().Set(name, q.Header.Get("Authorization")) }
	}
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, q *http.Request)
		want   string
	}{
		"nowhere":          {body(`{"ok":true,"length":%.0s24}`), ""},
		"the scheme alone": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "expected Authorization: Bearer TOKEN") }, ""},
		"a part of it":     {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, reflectedToken[:8]+"…") }, ""},
		"body":             {body("debug: Authorization: Bearer %s"), inBody},
		"body, base64": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, base64.StdEncoding.EncodeToString([]byte("Bearer "+reflectedToken)))
		}, inBody},
		"body, hex": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, hex.EncodeToString([]byte(reflectedToken)))
		}, inBody},
		"body, in a URL": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, url.QueryEscape(reflectedToken)) }, inBody},
		"body, JSON":     {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"auth":"`+escaped+`"}`) }, inBody},
		"body of an error": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			fmt.Fprint(w, "bad token "+reflectedToken)
		}, inBody},
		"body that is cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, reflectedToken)
		}, inBody},
		"header":     {header("X-Debug"), inHeader},
		"Set-Cookie": {header("Set-Cookie"), inHeader},
		"Location": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/login?token="+url.QueryEscape(reflectedToken))
			w.WriteHeader(302)
		}, inLocation},
		"trailer": {func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Trailer", "X-Debug")
			fmt.Fprint(w, "ok")
			w.Header().Set("X-Debug", q.Header.Get("Authorization"))
		}, inTrailer},
		"text of the status": {func(w http.ResponseWriter, q *http.Request) {
			nc, _, _ := w.(http.Hijacker).Hijack()
			defer nc.Close()
			fmt.Fprintf(nc, "HTTP/1.1 401 %s is unknown\r\nContent-Length: 0\r\n\r\n", q.Header.Get("Authorization"))
		}, inHeader},
		"interim answer": {func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Link", q.Header.Get("Authorization"))
			w.WriteHeader(103)
			w.Header().Del("Link")
			fmt.Fprint(w, "ok")
		}, inInterim},
		"Parse tells the session": {body(`{"objectId":"a","sessionToken" : "%s"}`), ""},
		"and in another field":    {body(`{"sessionToken":"x","debug":"%s"}`), inBody},
	} {
		t.Run(name, func(t *testing.T) {
			where, sought := reflection(t, &Settings{Bearer: secret.Env("PROBER_TEST_TOKEN")}, Request{}, c.answer)
			if where != c.want || !sought {
				t.Errorf("got %q, %v; want %q", where, sought, c.want)
			}
		})
	}
}

func TestReflection_credentials(t *testing.T) {
	t.Setenv("PROBER_TEST_TOKEN", reflectedToken)
	t.Setenv("PROBER_TEST_SHORT", shortToken)
	t.Setenv("PROBER_TEST_COOKIE", "theme=dark; sid="+reflectedToken+"; csrftoken=0123456789abcdef")
	t.Setenv("PROBER_TEST_SCHEME", "Token "+reflectedToken)
	echo := func(w http.ResponseWriter, q *http.Request) { fmt.Fprintf(w, "%v", q.Header) }
	own := func(name, env string) *Settings {
		return &Settings{Headers: map[string]Value{name: {Secret: secret.Env(env)}}}
	}
	bearer := &Settings{Bearer: secret.Env("PROBER_TEST_TOKEN")}
	for name, c := range map[string]struct {
		settings *Settings
		request  Request
		answer   func(w http.ResponseWriter, q *http.Request)
		want     string
		sought   bool
	}{
		"none":                 {&Settings{}, Request{}, echo, "", false},
		"anonymous":            {bearer, Request{Anonymous: true}, echo, "", false},
		"allowed":              {&Settings{Bearer: secret.Env("PROBER_TEST_TOKEN"), AllowReflection: true}, Request{}, echo, "", false},
		"short":                {&Settings{Bearer: secret.Env("PROBER_TEST_SHORT")}, Request{}, echo, "", false},
		"API key":              {own("x-api-key", "PROBER_TEST_TOKEN"), Request{}, echo, inBody, true},
		"own scheme":           {own("Authorization", "PROBER_TEST_SCHEME"), Request{}, body("%s"), inBody, true},
		"Vault token":          {own("X-Vault-Token", "PROBER_TEST_TOKEN"), Request{}, echo, inBody, true},
		"an id in a file":      {own("X-Scope-OrgID", "PROBER_TEST_TOKEN"), Request{}, echo, "", false},
		"a user":               {own("X-Auth-User", "PROBER_TEST_TOKEN"), Request{}, echo, "", false},
		"password":             {&Settings{Basic: &Basic{"prober", secret.Env("PROBER_TEST_TOKEN")}}, Request{}, body("%s"), inBody, true},
		"password, as sent":    {&Settings{Basic: &Basic{"prober", secret.Env("PROBER_TEST_SHORT")}}, Request{}, echo, inBody, true},
		"made up by a kind":    {&Settings{}, Request{Header: http.Header{"Authorization": {"Bearer made-up-0123456789abcdef"}}}, echo, "", false},
		"presented by a kind":  {&Settings{}, Request{Header: http.Header{"Authorization": {"Bearer issued-token-0123456789"}}}, echo, inBody, true},
		"a client of OAuth":    {&Settings{}, Request{Method: "POST", Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, Body: []byte("client_secret=issued-token-0123456789")}, func(w http.ResponseWriter, q *http.Request) { fmt.Fprint(w, q.FormValue("client_secret")) }, inBody, true},
		"a client in a header": {&Settings{}, Request{Header: http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("client:issued%2Ftoken%2B0123456789"))}}}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "issued/token+0123456789") }, inBody, true},
		"cookie in the body":   {own("Cookie", "PROBER_TEST_COOKIE"), Request{}, body("session %s"), inBody, true},
		"cookie, renewed":      {own("Cookie", "PROBER_TEST_COOKIE"), Request{}, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Set-Cookie", "sid="+reflectedToken) }, "", true},
		"cookie against CSRF":  {own("Cookie", "PROBER_TEST_COOKIE"), Request{}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "0123456789abcdef") }, "", true},
		"lookup-self of Vault": {bearer, Request{URL: "/v1/auth/token/lookup-self"}, body(`{"data":{"id":"%s","path":"auth/token/create"}}`), "", true},
		"id elsewhere":         {bearer, Request{URL: "/v1/me"}, body(`{"data":{"id":"%s"}}`), inBody, true},
		"auth-refresh":         {bearer, Request{URL: "/api/collections/users/auth-refresh"}, body(`{"token":"%s","record":{}}`), "", true},
		"token elsewhere":      {bearer, Request{URL: "/me"}, body(`{"token":"%s"}`), inBody, true},
	} {
		t.Run(name, func(t *testing.T) {
			secret.Learn("test", "issued-token-0123456789")
			secret.Learn("client", "issued/token+0123456789")
			where, sought := reflection(t, c.settings, c.request, c.answer)
			if where != c.want || sought != c.sought {
				t.Errorf("got %q, %v; want %q, %v", where, sought, c.want, c.sought)
			}
		})
	}
}

// A large body of nested escapes is searched to its end.
func TestReflection_largeBody(t *testing.T) {
	testenv.WithoutRace(t)
	a := &Answer{Body: []byte(strings.Repeat(`%5c&amp;\u0025 `, 1<<20/16))}
	a.Status = 200
	if where, sought := a.reflected("/", credentials{texts: []string{reflectedToken}}, &finderCache{}); where != "" || !sought {
		t.Errorf("got %q, %v", where, sought)
	}
}

// TestFinderCache: a credential that is renewed is looked for at once, and the old one no longer.
func TestFinderCache(t *testing.T) {
	const first, second = "the-first-credential-of-a-client", "the-second-credential-of-a-client"
	var c finderCache
	for _, text := range []string{first, second, second, first} {
		f := c.of([]string{text})
		for _, other := range []string{first, second} {
			if got := f.In("it is " + other); got != (other == text) {
				t.Errorf("looking for %q in %q: found %t", text, other, got)
			}
		}
	}
	if f := c.of(nil); !f.IsZero() {
		t.Error("without a text, something is looked for")
	}
}
