package sandbox

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/ntp"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

var form = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}

func basic(id, secret string) http.Header {
	h := form.Clone()
	h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret))))
	return h
}

func TestTokenIssuance(t *testing.T) {
	s := start(t, Options{})
	secret := s.Env()["PROBER_DEMO_CLIENT_SECRET"]
	const grant = "grant_type=client_credentials"
	for _, c := range []struct {
		name   string
		header http.Header
		body   string
		status int
		err    string
	}{
		{"basic", basic(clientID, secret), grant, 200, ""},
		{"post", form, grant + "&client_id=" + clientID + "&client_secret=" + secret, 200, ""},
		{"wrong secret", basic(clientID, "wrong"), grant, 401, "invalid_client"},
		{"wrong client", basic("other", secret), grant, 401, "invalid_client"},
		{"wrong secret in the form", form, grant + "&client_id=" + clientID + "&client_secret=wrong", 401, "invalid_client"},
		{"no client", form, grant, 401, "invalid_client"},
		{"unreadable client", http.Header{"Content-Type": form["Content-Type"], "Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("%zz:%zz"))}}, grant, 401, "invalid_client"},
		{"credentials in the query", form, grant, 401, "invalid_client"},
		{"wrong grant", basic(clientID, secret), "grant_type=password", 400, "unsupported_grant_type"},
		{"unreadable form", basic(clientID, secret), "%zz", 400, "invalid_request"},
		{"endless form", basic(clientID, secret), "x=" + strings.Repeat("x", 70<<10), 400, "invalid_request"},
	} {
		for _, host := range []string{auth, onepass} {
			path := "/oauth/token"
			if c.name == "credentials in the query" {
				path += "?client_id=" + clientID + "&client_secret=" + secret
			}
			answer := s.mustDo(t, request{host: host, method: "POST", path: path, header: c.header, body: c.body})
			got := answer.json(t)
			if reason, _ := got["error"].(string); answer.status != c.status || reason != c.err {
				t.Errorf("%s of %s: expected %d %s, got %d %s", c.name, host, c.status, c.err, answer.status, reason)
			}
			if answer.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s of %s: the answer may be stored", c.name, host)
			}
		}
	}
}

// issue gets a token from a service.
func issue(t *testing.T, s *Sandbox, host string) string {
	t.Helper()
	answer := s.mustDo(t, request{host: host, method: "POST", path: "/oauth/token",
		header: basic(clientID, s.Env()["PROBER_DEMO_CLIENT_SECRET"]), body: "grant_type=client_credentials"})
	token, _ := answer.json(t)["access_token"].(string)
	return token
}

func TestTokenIssuance_signedWithPublishedKeys(t *testing.T) {
	s := start(t, Options{})
	for host, alg := range map[string]jose.SignatureAlgorithm{auth: jose.ES256, onepass: jose.RS256} {
		answer := s.mustDo(t, request{host: host, method: "GET", path: "/.well-known/jwks.json"})
		var set jose.JSONWebKeySet
		if err := json.Unmarshal([]byte(answer.body), &set); err != nil || len(set.Keys) != 2 {
			t.Fatalf("%s: expected two keys, got %d (%v)", host, len(set.Keys), err)
		}
		for _, key := range set.Keys {
			if !key.IsPublic() || !key.Valid() || key.Use != "sig" || key.KeyID == "" {
				t.Errorf("%s publishes an invalid key", host)
			}
		}
		token, err := jwt.ParseSigned(issue(t, s, host), []jose.SignatureAlgorithm{alg})
		if err != nil {
			t.Fatal(err)
		}
		if token.Headers[0].KeyID != set.Keys[0].KeyID {
			t.Errorf("%s signs with another key than the first", host)
		}
		var claims jwt.Claims
		if err := token.Claims(set, &claims); err != nil {
			t.Fatalf("%s: %v", host, err)
		}
		if err := claims.ValidateWithLeeway(jwt.Expected{Issuer: "http://" + s.address(host), Subject: clientID, Time: time.Now()}, 0); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		if life := claims.Expiry.Time().Sub(claims.IssuedAt.Time()); life != tokenLife {
			t.Errorf("%s: expected a token for %s, got one for %s", host, tokenLife, life)
		}
		if discovery := s.mustDo(t, request{host: host, method: "GET", path: "/.well-known/openid-configuration"}).json(t); discovery["issuer"] != claims.Issuer {
			t.Errorf("%s: the discovery document names another issuer", host)
		}
	}
}

// newTestIssuer returns an issuer with two keys of its own.
func newTestIssuer(t *testing.T) *issuer {
	t.Helper()
	var keys []jose.JSONWebKey
	for _, kid := range []string{"new", "old"} {
		key, err := newKey(kid, jose.ES256)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return newIssuer("http://mine", "org", "secret", keys...)
}

// mustSign makes a token.
func mustSign(t *testing.T, key jose.JSONWebKey, c claims) string {
	t.Helper()
	token, err := sign(key, c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestVerifier(t *testing.T) {
	mine, other := newTestIssuer(t), newTestIssuer(t)
	good := mine.claims(clientID)
	v := mine.verifier()
	v.suspended = func(org string) bool { return org == "suspended" }
	v.opaque = func(token string) bool { return token == "opaque" }
	in := func(d time.Duration) *jwt.NumericDate { return jwt.NewNumericDate(time.Now().Add(d)) }
	but := func(change func(c *claims)) string {
		c := good
		change(&c)
		return mustSign(t, mine.keys[0], c)
	}
	token := mustSign(t, mine.keys[0], good)
	header, rest, _ := strings.Cut(token, ".")
	body, signature, _ := strings.Cut(rest, ".")
	text := func(json string) string { return base64.RawURLEncoding.EncodeToString([]byte(json)) }
	renamed := mine.keys[0]
	renamed.KeyID = "unknown"
	swapped := mine.keys[0]
	swapped.KeyID = mine.keys[1].KeyID
	nameless := mine.keys[0]
	nameless.KeyID = ""
	taken := mine.claims(clientID)
	mine.revoke(taken)
	barred, endedToo := taken, taken
	barred.Org = "suspended"
	endedToo.Expiry = in(-time.Hour)
	for _, c := range []struct {
		name, token string
		want        outcome
	}{
		{"issued", token, accepted},
		{"signed by the previous key", mustSign(t, mine.keys[1], good), accepted},
		{"not a JWT, but known", "opaque", accepted},
		{"none", "", missing},
		{"not a token", "garbage", invalid},
		{"two dots", "..", invalid},
		{"another issuer's key with the same id", mustSign(t, other.keys[0], good), invalid},
		{"an unknown key id", mustSign(t, renamed, good), invalid},
		{"the other key's id", mustSign(t, swapped, good), invalid},
		{"no key id", mustSign(t, nameless, good), invalid},
		{"another signature", header + "." + body + "." + strings.Map(func(c rune) rune {
			if c == 'A' {
				return 'B'
			}
			return 'A'
		}, signature), invalid},
		{"without its signature", header + "." + body + ".", invalid},
		{"unsigned", text(`{"alg":"none"}`) + "." + body + ".", invalid},
		{"unsigned by a known key", text(`{"alg":"none","kid":"new"}`) + "." + body + ".", invalid},
		{"tampered with", header + "." + text(`{"sub":"root"}`) + "." + signature, invalid},
		{"too long", token + strings.Repeat("A", maxTokenBytes), invalid},
		{"expired", but(func(c *claims) { c.Expiry = in(-2 * time.Second) }), expired},
		{"not yet valid", but(func(c *claims) { c.NotBefore = in(time.Minute) }), invalid},
		{"issued tomorrow", but(func(c *claims) { c.IssuedAt = in(24 * time.Hour) }), invalid},
		{"never expires", but(func(c *claims) { c.Expiry = nil }), invalid},
		{"of another issuer", but(func(c *claims) { c.Issuer = "http://other" }), invalid},
		{"for another audience", but(func(c *claims) { c.Audience = jwt.Audience{"http://other"} }), invalid},
		{"for no audience", but(func(c *claims) { c.Audience = nil }), invalid},
		{"revoked", mustSign(t, mine.keys[0], taken), revoked},
		{"revoked, of a suspended org", mustSign(t, mine.keys[0], barred), revoked},
		{"revoked and expired", mustSign(t, mine.keys[0], endedToo), expired},
		{"revoked, and another's", mustSign(t, other.keys[0], taken), invalid},
		{"of a suspended org", but(func(c *claims) { c.Org = "suspended" }), suspended},
	} {
		if got := v.verify(c.token); got != c.want {
			t.Errorf("%s: expected %s, got %s", c.name, c.want, got)
		}
	}
}

// Only accepted tokens are cached, and only for cacheLife.
func TestCache_acceptsForItsLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := map[string]bool{"early": true}
		v := &verifier{
			parse: func(token string) (claims, error) {
				expiry := jwt.NewNumericDate(time.Now().Add(time.Hour))
				return claims{Claims: jwt.Claims{ID: token, Audience: jwt.Audience{""}, Expiry: expiry}}, nil
			},
			revoked: func(id string) bool { return !good[id] },
		}
		seen := &cache{until: map[[sha256.Size]byte]time.Time{}}
		step := func(when, token string, want outcome) {
			t.Helper()
			if got := seen.verify(v, token); got != want {
				t.Errorf("%s: expected %s, got %s", when, want, got)
			}
		}
		step("first", "early", accepted)
		step("not good yet", "late", revoked)
		good["early"], good["late"] = false, true
		step("good now", "late", accepted)
		step("just revoked", "early", accepted)
		time.Sleep(cacheLife - time.Millisecond)
		step("just before it leaves the cache", "early", accepted)
		time.Sleep(time.Millisecond)
		step("no longer cached", "early", revoked)
		step("again", "early", revoked)
	})
}

func TestCache_maxEntries(t *testing.T) {
	v := &verifier{opaque: func(string) bool { return true }}
	seen := &cache{until: map[[sha256.Size]byte]time.Time{}}
	for i := range maxCached {
		seen.until[sha256.Sum256([]byte{byte(i), byte(i >> 8)})] = time.Now().Add(time.Hour)
	}
	if got := seen.verify(v, "one more"); got != accepted || len(seen.until) != maxCached {
		t.Errorf("expected it accepted and not cached, got %s and %d entries", got, len(seen.until))
	}
}

func TestRoutes_authorization(t *testing.T) {
	s := start(t, Options{})
	e := s.Env()
	orgA, admin, key := e["PROBER_DEMO_ORG_A"], e["PROBER_DEMO_ADMIN"], e["PROBER_DEMO_RENDER_KEY"]
	ibex, logi := issue(t, s, auth), issue(t, s, onepass)
	const outbox, dead = "/api/v1/admin/webhook_outbox", "/api/v1/admin/webhook_outbox?status=dead"
	for _, c := range []struct {
		host, method, path, token string
		want                      int
	}{
		{proxy1, "POST", "/v1/chat/completions", orgA, 501},
		{proxy2, "POST", "/v1/chat/completions", ibex, 501},
		{proxy3, "POST", "/v1/chat/completions", logi, 401},
		{proxy1, "POST", "/v1/chat/completions", "garbage", 401},
		{memories, "GET", "/v1/whoami", orgA, 200},
		{memories, "GET", "/v1/whoami", ibex, 401},
		{memories, "GET", "/v1/memories", admin, 401},
		{onepass, "GET", "/api/v1/me", logi, 200},
		{onepass, "GET", "/api/v1/me", admin, 200},
		{onepass, "GET", "/api/v1/me", ibex, 401},
		{onepass, "GET", "/api/v1/me", "garbage", 401},
		{onepass, "GET", dead, admin, 200},
		{onepass, "GET", dead, logi, 403},
		{onepass, "GET", dead, orgA, 401},
		{onepass, "GET", outbox + "?status=pending", admin, 200},
		{onepass, "GET", outbox, admin, 400},
		{render, "GET", "/v1/services/srv-demo", key, 200},
		{render, "GET", "/v1/services/srv-demo", admin, 401},
		{render, "GET", "/v1/services/srv-demo/deploys", key, 200},
		{render, "GET", "/v1/services/srv-other/deploys", key, 404},
	} {
		if got := s.mustDo(t, request{host: c.host, method: c.method, path: c.path, token: c.token}); got.status != c.want {
			t.Errorf("%s %s %s: expected %d, got %d", c.host, c.method, c.path, c.want, got.status)
		}
	}
}

func TestNTP(t *testing.T) {
	s := start(t, Options{})
	for _, version := range []int{3, 4} {
		before := time.Now()
		response, err := ntp.QueryWithOptions(s.address(ntp1), ntp.QueryOptions{Version: version, Timeout: answerTimeout})
		if err != nil {
			t.Fatal(err)
		}
		round := time.Since(before)
		if err := response.Validate(); err != nil {
			t.Errorf("version %d: %v", version, err)
		}
		if response.Version != version || response.Stratum != 2 || response.Leap != ntp.LeapNoWarning {
			t.Errorf("version %d: got version %d, stratum %d, leap %d", version, response.Version, response.Stratum, response.Leap)
		}
		if off := response.ClockOffset.Abs(); off > round {
			t.Errorf("expected an offset below the round trip time %s for the same clock, got %s", round, off)
		}
	}
}

func TestNTP_repliesToClientsOnly(t *testing.T) {
	request := func(first byte, length int) []byte {
		b := make([]byte, length)
		if length > 0 {
			b[0] = first
		}
		return b
	}
	for name, c := range map[string]struct {
		packet []byte
		answer bool
	}{
		"version 4":         {request(4<<3|3, 48), true},
		"with an extension": {request(4<<3|3, 68), true},
		"short":             {request(4<<3|3, 47), false},
		"empty":             {nil, false},
		"a server's reply":  {request(4<<3|4, 48), false},
		"symmetric":         {request(4<<3|1, 48), false},
		"version 0":         {request(3, 48), false},
		"version 5":         {request(5<<3|3, 48), false},
	} {
		reply := ntpReply(c.packet, time.Now())
		if (reply != nil) != c.answer {
			t.Errorf("%s: got %d bytes", name, len(reply))
		}
		if len(reply) > len(c.packet) {
			t.Errorf("%s: the reply is longer than the request", name)
		}
	}
}
