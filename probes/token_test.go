package probes

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/httpx"
	"prober/internal/keyset"
	"prober/internal/probe"
	"prober/internal/secret"
)

// What a run of a whole issuer says, line by line.
var (
	discovered = "discovery pass(ok): the issuer names itself and its endpoints"
	issued     = "issuance pass(ok): a token was issued"
	signed     = "signature pass(ok): a fresh token verifies with the published key that has its kid (RS256, 2048 bits)"
	claimed    = "claims pass(ok): iss and aud as wanted, valid for 5m0s"
	timely     = "times pass(ok): the issuer's clock is *"
	declined   = "refusal pass(ok): a wrong client_secret is refused (401 invalid_client), the right one was accepted"
)

func TestTokenOfAnIssuerThatIsWell(t *testing.T) {
	for _, auth := range []string{"basic", "post"} {
		t.Run(auth, func(t *testing.T) {
			i := newIDP(t, nil)
			p := i.probe(t, func(p *Token) {
				p.Auth, p.Scopes, p.Params = auth, []string{"read", "write"}, map[string]string{"resource": "https://api.test"}
				p.Latency, p.Lifetime = probe.Duration(time.Minute), Lifetime{Max: probe.Duration(5 * time.Minute)}
				p.Keysets = []string{i.url + "/keys"}
				p.Revocation = &Revocation{Use: Use{URL: i.url + "/me"}}
			})
			r := run(t, p)
			wantLines(t, r, "pass", issued, discovered, signed, claimed, timely,
				"keysets@"+i.url+"/keys"+strings.TrimPrefix(signed, "signature"), declined,
				"revocation pass(ok): the revoked token was refused after *", "latency pass(ok): the slowest step, *")
			if got := strings.Join(p.Checks(), " "); got != "issuance discovery signature claims times keysets refusal revocation latency" {
				t.Errorf("checks: %s", got)
			}
			steps := map[string]bool{}
			for _, s := range r.Samples {
				steps[strings.Join(append([]string{s.Name}, s.Values...), " ")] = true
			}
			for _, step := range []string{"discovery", "token", "jwks", "refusal", "use", "revoke"} {
				if !steps["probe_token_step_duration_seconds "+step] {
					t.Errorf("no duration of the step %s", step)
				}
			}
			if !steps["probe_token_revocation_seconds"] || len(r.Samples) != 7 {
				t.Errorf("got samples %v", steps)
			}
			// The right secret, a wrong one, the right one again; sent where it was said, and in one place only.
			if i.requests() != 3 {
				t.Fatalf("%d token requests", i.requests())
			}
			form := i.forms[0]
			if form.Get("grant_type") != "client_credentials" || form.Get("scope") != "read write" || form.Get("resource") != "https://api.test" {
				t.Errorf("asked for %v", form)
			}
			if inForm, inHeader := form.Has("client_secret"), i.auths[0] != ""; inForm != (auth == "post") || inHeader != (auth == "basic") {
				t.Errorf("the secret is in the form: %t, in the header: %t", inForm, inHeader)
			}
		})
	}
}

// TestTokenSaysWhatIsWrongWithTheIssuer breaks the issuer in one way each.
func TestTokenSaysWhatIsWrongWithTheIssuer(t *testing.T) {
	now := time.Now().Unix()
	with := func(name string, v any) map[string]any { return map[string]any{name: v} }
	token := func(handle http.HandlerFunc) func(*idp) { return func(i *idp) { i.paths["/token"] = handle } }
	for name, c := range map[string]struct {
		issuer func(*idp)
		probe  func(*Token)
		want   []string
	}{
		"discovery names another issuer": {
			func(i *idp) { i.document = with("issuer", i.url+"/") }, nil,
			[]string{"fail", "issuance inconclusive(control_failed): not asked: nothing says where tokens are issued", "discovery fail(wrong_issuer): wanted the issuer to name itself *"},
		},
		"discovery is a page": {
			func(i *idp) {
				i.paths["/.well-known/openid-configuration"] = answers(200, "text/html", "<!DOCTYPE html>welcome")
			}, nil,
			[]string{"fail", "issuance inconclusive*", "discovery fail(schema): wanted JSON, got a page of HTML"},
		},
		"discovery says one thing twice": {
			func(i *idp) {
				i.paths["/.well-known/openid-configuration"] = answers(200, "application/json", `{"issuer":"a","issuer":"b"}`)
			}, nil,
			[]string{"fail", "issuance inconclusive*", "discovery fail(schema): the answer is not JSON: *"},
		},
		"discovery is down": {
			func(i *idp) { i.paths["/.well-known/openid-configuration"] = answers(503, "text/plain", "") }, nil,
			[]string{"fail", "issuance inconclusive*", "discovery fail(status): wanted 200, got 503"},
		},
		"discovery without a token endpoint": {
			func(i *idp) { i.document = with("token_endpoint", nil) }, nil,
			[]string{"fail", "issuance inconclusive*", "discovery fail(schema): token_endpoint is missing"},
		},
		"issuing fails": {
			token(answers(500, "text/html", "<html>oops")), nil,
			[]string{"fail", "issuance fail(status): wanted 200, got 500", discovered},
		},
		"the grant is gone": {
			token(answers(400, "application/json", `{"error":"unsupported_grant_type"}`)), nil,
			[]string{"fail", "issuance fail(status): wanted a token, got 400 (unsupported_grant_type)", discovered},
		},
		"a 400 that says nothing": {
			token(answers(400, "application/json", `{"error":"leave-me-out"}`)), nil,
			[]string{"fail", "issuance fail(status): wanted 200, got 400", discovered},
		},
		"our secret is not accepted": {
			token(answers(401, "application/json", `{"error":"invalid_client"}`)), nil,
			[]string{"inconclusive", "issuance inconclusive(credential): wanted a token, got 401 (invalid_client): the issuer does not accept what the probe is configured with", discovered},
		},
		"something before the issuer says no": {
			token(answers(403, "text/html", "<html>")), nil,
			[]string{"inconclusive", "issuance inconclusive(credential): wanted a token, got 403: the issuer, or what stands before it, does not accept the probe", discovered},
		},
		"a rate limit": {
			token(answers(429, "application/json", `{"error":"invalid_request"}`)), nil,
			[]string{"inconclusive", "issuance inconclusive(rate_limited): wanted 200, got 429: *", discovered},
		},
		"a redirect": {
			token(func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, "/login", http.StatusFound) }), nil,
			[]string{"fail", "issuance fail(redirect): wanted 200, got 302, which sends elsewhere; redirects are never followed", discovered},
		},
		"a page in place of a token": {
			token(answers(200, "application/json", "\n <html>")), nil,
			[]string{"fail", "issuance fail(schema): wanted JSON, got a page of HTML", discovered},
		},
		"nothing in place of a token": {
			token(answers(200, "application/json", "")), nil,
			[]string{"fail", "issuance fail(schema): the answer is not JSON: the body is empty, wanted JSON", discovered},
		},
		"a list in place of a token": {
			token(answers(200, "application/json", "[]")), nil,
			[]string{"fail", "issuance fail(schema): wanted a JSON object, got other JSON", discovered},
		},
		"null in place of a token": {
			token(answers(200, "application/json", "null")), nil,
			[]string{"fail", "issuance fail(schema): wanted a JSON object, got other JSON", discovered},
		},
		"no access_token": {
			func(i *idp) { i.grant = map[string]any{"access_token": nil, "id_token": "abc"} }, nil,
			[]string{"fail", "issuance fail(schema): wanted an access_token, got none", discovered},
		},
		"an access_token that is a number": {
			func(i *idp) { i.grant = with("access_token", 1234567890123456) }, nil,
			[]string{"fail", "issuance fail(schema): wanted an access_token, got none", discovered},
		},
		"an access_token under another name": {
			func(i *idp) { i.grant = map[string]any{"access_token": nil, "Access_Token": "abcdefghijklmnopqrst"} }, nil,
			[]string{"fail", "issuance fail(schema): wanted an access_token, got none", discovered},
		},
		"an access_token that no header can carry": {
			func(i *idp) { i.grant = with("access_token", "abcdefghijklmnop\r\nX-Evil: 1") }, nil,
			[]string{"fail", "issuance fail(schema): the access_token is none: wanted 16 to 16384 characters that a header can carry (RFC 6749, appendix A.12)", discovered},
		},
		"an access_token without end": {
			func(i *idp) { i.grant = with("access_token", strings.Repeat("a", keyset.LongestToken+1)) }, nil,
			[]string{"fail", "issuance fail(schema): the access_token is none: *", discovered},
		},
		"a token of another type": {
			func(i *idp) { i.grant = with("token_type", "DPoP") }, nil,
			[]string{"fail", "issuance fail(schema): wanted token_type Bearer, got none or another", discovered},
		},
		"a token out of a cache": {
			func(i *idp) {
				i.paths["/token"] = func(w http.ResponseWriter, q *http.Request) { w.Header().Set("Age", "7"); i.serveToken(w, q) }
			}, nil,
			[]string{"inconclusive", "issuance inconclusive(stale_or_cached): the answer may come out of a cache (Age: 7), and then the token is not a fresh one", discovered},
		},
		"an opaque token": {
			func(i *idp) { i.grant = with("access_token", "Zx81-opaque-"+rand.Text()) }, nil,
			[]string{"fail", "issuance*", discovered, "signature fail(schema): a fresh token cannot be read as a JWT: not a signed JWT in compact form (RFC 7519); if the issuer's tokens are none, say opaque: true", declined},
		},
		"a token that anybody could have made: alg none": {
			func(i *idp) { i.grant = with("access_token", unsecured(`{"alg":"none"}`)) }, nil,
			[]string{"fail", "issuance*", discovered, "signature fail(alg_not_allowed): a fresh token is signed with an algorithm that verifiers do not allow (algs)", declined},
		},
		"an algorithm that is not on the list": {
			nil, func(p *Token) { p.Algs = []string{"ES256"} },
			[]string{"fail", issued, discovered, "signature fail(alg_not_allowed): *", claimed, timely, declined},
		},
		"the signing key is not published": {
			func(i *idp) { i.published = []jose.JSONWebKey{tokenKeys()[1].Public()} }, nil,
			[]string{"fail", issued, discovered, "signature fail(signing_with_unpublished_key): a fresh token names a kid that is not in the key set: nobody can verify it", claimed, timely, declined},
		},
		"another key has its kid": {
			func(i *idp) {
				other := tokenKeys()[1].Public()
				other.KeyID = i.key.KeyID
				i.published = []jose.JSONWebKey{other}
			}, nil,
			[]string{"fail", issued, discovered, "signature fail(bad_signature): a fresh token does not verify with the key that has its kid", claimed, timely, declined},
		},
		"the key is for something else": {
			func(i *idp) { i.published[0].Use = "enc" }, nil,
			[]string{"fail", issued, discovered, "signature fail(key_unfit): the key with a fresh token's kid cannot verify its algorithm: not_for_signing", claimed, timely, declined},
		},
		"the private key is published": {
			func(i *idp) { i.published[0] = i.key }, nil,
			[]string{"fail", issued, discovered, "signature fail(key_unfit): the key with a fresh token's kid cannot verify its algorithm: private_key", claimed, timely, declined},
		},
		"a token without a kid": {
			func(i *idp) { i.key.KeyID = "" }, nil,
			[]string{"fail", issued, discovered, "signature fail(no_kid): a fresh token names no kid: nobody can tell which key signed it", claimed, timely, declined},
		},
		"the key set is empty": {
			func(i *idp) { i.paths["/keys"] = answers(200, "application/json", `{"keys":[]}`) }, nil,
			[]string{"fail", issued, discovered, "signature fail(schema): wanted a key set: the set holds no key", claimed, timely, declined},
		},
		"the key set is down": {
			func(i *idp) { i.paths["/keys"] = answers(503, "text/html", "<html>") }, nil,
			[]string{"fail", issued, discovered, "signature fail(status): wanted 200, got 503", claimed, timely, declined},
		},
		"a cached key set without the key": {
			func(i *idp) {
				i.published = []jose.JSONWebKey{tokenKeys()[1].Public()}
				i.paths["/keys"] = func(w http.ResponseWriter, q *http.Request) { w.Header().Set("Age", "60"); i.serveKeys(w, q) }
			}, nil,
			[]string{"fail", issued, discovered, "signature fail(signing_with_unpublished_key): a fresh token names a kid that is not in the key set: nobody can verify it (the set may come out of a cache, Age: 60, as it may for every verifier)", claimed, timely, declined},
		},
		"another issuer's token": {
			func(i *idp) { i.claims = with("iss", "https://other.test") }, nil,
			[]string{"fail", issued, discovered, signed, "claims fail(wrong_issuer): wanted iss http*", timely, declined},
		},
		"a token for somebody else": {
			func(i *idp) { i.claims = with("aud", []string{"https://other.test", "https://api.test.evil"}) }, nil,
			[]string{"fail", issued, discovered, signed, "claims fail(wrong_audience): wanted aud to hold https://api.test, it does not", timely, declined},
		},
		"a token for several": {
			func(i *idp) { i.claims = with("aud", []string{"https://other.test", "https://api.test"}) }, nil,
			[]string{"pass", issued, discovered, signed, claimed, timely, declined},
		},
		"a token that never expires": {
			func(i *idp) { i.claims = with("exp", nil) }, nil,
			[]string{"fail", issued, discovered, signed, "claims fail(no_expiry): wanted an exp, got none: the token is valid for ever", timely, declined},
		},
		"a token that was never valid": {
			func(i *idp) { i.claims = with("exp", now-100) }, nil,
			[]string{"fail", issued, discovered, signed, "claims fail(lifetime): exp is not after iat: the token was never valid", timely, declined},
		},
		"a token that is not valid yet": {
			func(i *idp) { i.claims = map[string]any{"nbf": now + 120, "iat": now, "exp": now + 300} }, nil,
			[]string{"fail", issued, discovered, signed, "claims fail(lifetime): nbf is 2m0s after iat: the fresh token is not valid yet", timely, declined},
		},
		"a token that lives too long": {
			nil, func(p *Token) { p.Lifetime.Max = probe.Duration(time.Minute) },
			[]string{"fail", issued, discovered, signed, "claims fail(lifetime): wanted a token valid for at most 1m0s, it is for 5m0s", timely, declined},
		},
		"a token that lives too short": {
			nil, func(p *Token) { p.Lifetime.Min = probe.Duration(time.Hour) },
			[]string{"fail", issued, discovered, signed, "claims fail(lifetime): wanted a token valid for at least 1h0m0s, it is for 5m0s", timely, declined},
		},
		"clients are told another lifetime": {
			func(i *idp) { i.grant = with("expires_in", 3600) }, nil,
			[]string{"fail", issued, discovered, signed, "claims fail(lifetime): expires_in says 1h0m0s, but the token is valid for 5m0s", timely, declined},
		},
		"claims that are none": {
			func(i *idp) { i.claims = with("exp", "tomorrow") }, nil,
			[]string{"fail", issued, discovered, "signature fail(schema): a fresh token cannot be read as a JWT: its claims are no JSON object*", declined},
		},
		"a clock that is ahead": {
			func(i *idp) { i.claims = map[string]any{"iat": now + 3600, "exp": now + 3900} }, nil,
			[]string{"fail", issued, discovered, signed, claimed, "times fail(clock_skew): the issuer's clock is *", declined},
		},
		"no iat, but expires_in": {
			func(i *idp) { i.claims = with("iat", nil) }, nil,
			[]string{"pass", issued, discovered, signed, claimed, timely, declined},
		},
		"neither iat nor expires_in": {
			func(i *idp) { i.claims, i.grant = with("iat", nil), with("expires_in", nil) }, nil,
			[]string{"inconclusive", issued, discovered, signed, "claims pass(ok): iss and aud as wanted, valid for *", "times inconclusive(vacuous): the token says no iat, and nothing else says when it was issued", declined},
		},
		"any secret will do": {
			func(i *idp) { i.anySecret = true }, nil,
			[]string{"fail", issued, discovered, signed, claimed, timely, "refusal fail(auth_bypass): a wrong client_secret gets a token too (200)"},
		},
		"too slow": {
			nil, func(p *Token) { p.Latency = 1 },
			[]string{"fail", issued, discovered, signed, claimed, timely, declined, "latency fail(slow): wanted each step within 1ns, *"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIDP(t, c.issuer)
			wantLines(t, run(t, i.probe(t, c.probe)), c.want...)
		})
	}
}

// unsecured makes a token with a header of somebody's choice and no signature worth the name.
func unsecured(header string) string {
	coded := base64.RawURLEncoding.EncodeToString
	return coded([]byte(header)) + "." + coded([]byte(`{"iss":"https://issuer.test","sub":"me"}`)) + "." + coded([]byte("signed"))
}

// TestTokenTellsHowAWrongSecretIsRefused has the issuer answer the wrong secret, and only that, in other ways.
func TestTokenTellsHowAWrongSecretIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"400, as some do":      {answers(400, "application/json", `{"error":"invalid_client"}`), "refusal pass(ok): a wrong client_secret is refused (400 invalid_client), the right one was accepted"},
		"without a code":       {answers(401, "text/plain", "no"), "refusal fail(body): a wrong client_secret is refused (401), but not as invalid_client (RFC 6749, section 5.2)"},
		"with another code":    {answers(400, "application/json", `{"error":"invalid_grant"}`), "refusal fail(body): a wrong client_secret is refused (400), but not as invalid_client (RFC 6749, section 5.2)"},
		"a server error":       {answers(500, "application/json", `{"error":"invalid_client"}`), "refusal fail(status): wanted a wrong client_secret refused (400 or 401 invalid_client), got 500"},
		"200 and no token":     {answers(200, "application/json", `{"error":"invalid_client"}`), "refusal fail(status): wanted a wrong client_secret refused (400 or 401 invalid_client), got 200"},
		"401 and a token":      {answers(401, "application/json", `{"access_token":"abcdefghijklmnopqrstuv"}`), "refusal fail(auth_bypass): a wrong client_secret gets a token too (401)"},
		"a rate limit":         {answers(429, "text/plain", ""), "refusal inconclusive(rate_limited): *"},
		"a firewall":           {answers(403, "text/html", "<html>"), "refusal inconclusive(control_failed): *"},
		"a connection cut off": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "refusal fail(reset): *"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIDP(t, func(i *idp) {
				i.paths["/token"] = func(w http.ResponseWriter, q *http.Request) {
					if i.knows(q) {
						i.serveToken(w, q)
						return
					}
					c.answer(w, q)
				}
			})
			verdict := "fail"
			if strings.Contains(c.want, " pass(") {
				verdict = "pass"
			} else if strings.Contains(c.want, " inconclusive(") {
				verdict = "inconclusive"
			}
			wantLines(t, run(t, i.probe(t, nil)), verdict, issued, discovered, signed, claimed, timely, c.want)
		})
	}
	t.Run("nothing is tried where the right one is not accepted", func(t *testing.T) {
		i := newIDP(t, nil)
		p := i.probe(t, nil)
		i.secret = "another-since"
		if r := run(t, p); r.Verdict() != probe.Inconclusive || i.requests() != 1 {
			t.Errorf("%d requests, %s", i.requests(), told(r))
		}
	})
	t.Run("not tried where that is forbidden", func(t *testing.T) {
		i := newIDP(t, nil)
		wantLines(t, run(t, i.probe(t, func(p *Token) { p.Refusal = false })), "pass", issued, discovered, signed, claimed, timely)
		if i.requests() != 1 {
			t.Errorf("%d token requests", i.requests())
		}
	})
}

func TestWrongSecretIsAsLongAndNeverRight(t *testing.T) {
	for _, right := range []string{"abcd", strings.Repeat("x", 16), strings.Repeat("y", 100)} {
		wrong := wrongSecret(right)
		if wrong == right || len(wrong) != max(len(right), 16) || wrong == wrongSecret(right) {
			t.Errorf("for one of %d: got one of %d", len(right), len(wrong))
		}
	}
}

// TestDiscoveryCannotSendTheSecretElsewhere has a hostile document name endpoints that are not the issuer's. None of
// them may be asked at all.
func TestDiscoveryCannotSendTheSecretElsewhere(t *testing.T) {
	var caught int
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { caught++ }))
	defer thief.Close()
	const elsewhere = "is on another host than the issuer, and so is not asked; if that is right, name the host under allow_hosts"
	for _, member := range []string{"token_endpoint", "jwks_uri", "revocation_endpoint"} {
		for name, c := range map[string]struct{ url, want string }{
			"another port":      {thief.URL + "/token", "foreign_endpoint): " + member + " " + elsewhere},
			"another host":      {"https://evil.test/token", "foreign_endpoint): " + member + " " + elsewhere},
			"a host that looks": {"http://127.0.0.1.evil.test/token", "foreign_endpoint): " + member + " " + elsewhere},
			"the cloud's":       {"http://169.254.169.254/latest/meta-data", "foreign_endpoint): " + member + " " + elsewhere},
			"credentials":       {strings.Replace(thief.URL, "http://", "http://a:b@", 1), "schema): " + member + " is no URL that can be asked"},
			"a file":            {"file:///etc/passwd", "schema): " + member + " is no URL that can be asked"},
			"no scheme":         {"//evil.test/token", "schema): " + member + " is no URL that can be asked"},
			"no URL":            {"http://[::1", "schema): " + member + " is no URL that can be asked"},
			"nothing":           {"", "schema): " + member + " is missing"},
		} {
			t.Run(member+" "+name, func(t *testing.T) {
				i := newIDP(t, func(i *idp) { i.document = map[string]any{member: c.url} })
				p := i.probe(t, func(p *Token) { p.Revocation = &Revocation{Use: Use{URL: i.url + "/me"}} })
				r := run(t, p)
				if text := told(r); r.Verdict() != probe.Fail || !strings.Contains(text, "discovery fail("+c.want+"\n") || strings.Contains(text, "evil") {
					t.Errorf("wanted %s, got\n%s", c.want, text)
				}
			})
		}
	}
	if caught > 0 {
		t.Errorf("the other server was asked %d times", caught)
	}
}

// TestDiscoveryMayNameHostsThatAreAllowed lets the endpoints be on another host, and sends it no header of the settings.
func TestDiscoveryMayNameHostsThatAreAllowed(t *testing.T) {
	var leaked bool
	i := newIDP(t, nil)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		leaked = leaked || q.Header.Get("X-Tenant") != ""
		i.serveToken(w, q)
	}))
	defer other.Close()
	i.document = map[string]any{"token_endpoint": other.URL + "/token"}
	host := strings.TrimPrefix(other.URL, "http://")
	p := i.probe(t, func(p *Token) {
		p.AllowHosts, p.Headers = []string{host}, map[string]httpx.Value{"X-Tenant": {Text: "mine"}}
	})
	wantLines(t, run(t, p), "pass", issued, discovered, signed, claimed, timely, declined)
	if leaked {
		t.Error("the other host got a header that is for the issuer")
	}
}

func TestVetOfAnIssuerInTheOpen(t *testing.T) {
	p := &Token{Issuer: "https://issuer.test", AllowHosts: []string{"login.test", "other.test:8443"}, ClientSecret: secret.Env("X")}
	p.base, _ = url.Parse(p.Issuer)
	for raw, want := range map[string]probe.Reason{
		"https://issuer.test/token": "", "https://ISSUER.test:443/token": "", "https://login.test/token": "", "https://other.test:8443/t": "",
		"http://issuer.test/token": tokenForeign, "http://login.test/token": tokenForeign, "https://issuer.test:8443/token": tokenForeign,
		"https://login.test:8443/t": tokenForeign, "https://other.test/t": tokenForeign, "https://sub.login.test/t": tokenForeign,
		"https://issuer.test@evil.test/t": probe.Schema, "https://issuer.test/t#x": probe.Schema, "https://evil.test\\@issuer.test/": probe.Schema,
	} {
		for _, credential := range []bool{true, false} {
			if why, wrong := p.vet(raw, credential); why != want {
				t.Errorf("%s: got %q (%s), want %q", raw, why, wrong, want)
			}
		}
	}
}

func TestTokenWithoutDiscovery(t *testing.T) {
	i := newIDP(t, func(i *idp) { i.paths["/.well-known/openid-configuration"] = answers(500, "text/plain", "") })
	explicit := func(p *Token) { p.TokenURL, p.JWKSURI = i.url+"/token", i.url+"/keys" }
	wantLines(t, run(t, i.probe(t, func(p *Token) { explicit(p); p.Discovery = false })), "pass", issued, signed, claimed, timely, declined)
	// Endpoints that are given are asked even while discovery is down.
	wantLines(t, run(t, i.probe(t, explicit)), "fail", issued, "discovery fail(status): wanted 200, got 500", signed, claimed, timely, declined)
}

func TestOpaqueTokensAreNotLookedInto(t *testing.T) {
	i := newIDP(t, nil)
	i.paths["/token"] = func(w http.ResponseWriter, q *http.Request) {
		if !i.knows(q) {
			i.serveToken(w, q)
			return
		}
		sends(w, 200, map[string]any{"access_token": rand.Text(), "token_type": "Bearer"})
	}
	p := i.probe(t, func(p *Token) {
		p.Opaque, p.Audience = true, ""
		p.Revocation = &Revocation{Use: Use{URL: i.url + "/me"}}
	})
	wantLines(t, run(t, p), "pass", issued, discovered, declined, "revocation pass(ok): *")
}

// TestVerifiersMustKnowTheFreshKey asks the key sets of verifiers for the key that signed a fresh token.
func TestVerifiersMustKnowTheFreshKey(t *testing.T) {
	i := newIDP(t, nil)
	set := func(keys ...jose.JSONWebKey) string {
		return serve(t, map[string]http.HandlerFunc{"/keys": func(w http.ResponseWriter, _ *http.Request) { sends(w, 200, jose.JSONWebKeySet{Keys: keys}) }}) + "/keys"
	}
	imposter := tokenKeys()[1].Public()
	imposter.KeyID = i.key.KeyID
	knows, lags, confused := set(tokenKeys()[1].Public(), i.key.Public()), set(tokenKeys()[1].Public()), set(imposter)
	down := serve(t, map[string]http.HandlerFunc{"/keys": answers(502, "text/html", "<html>")}) + "/keys"
	p := i.probe(t, func(p *Token) { p.Keysets = []string{knows, lags, confused, down} })
	wantLines(t, run(t, p), "fail", issued, discovered, signed, claimed, timely,
		"keysets@"+knows+" pass(ok): a fresh token verifies with the published key that has its kid (RS256, 2048 bits)",
		"keysets@"+lags+" fail(signing_with_unpublished_key): a fresh token names a kid that is not in the key set: nobody can verify it",
		"keysets@"+confused+" fail(bad_signature): a fresh token does not verify with the key that has its kid",
		"keysets@"+down+" fail(status): wanted 200, got 502",
		declined)
}

// TestTimesSayOnlyWhatIsProven compares clocks with a limit of 10 s. The token was got in 400 ms.
func TestTimesSayOnlyWhatIsProven(t *testing.T) {
	sent := time.Date(2030, 1, 1, 12, 0, 0, 500e6, time.UTC)
	g := grant{sent: sent, got: sent.Add(400 * time.Millisecond)}
	second := sent.Truncate(time.Second)
	for _, c := range []struct {
		name   string
		issued time.Time
		step   time.Duration
		want   string
	}{
		{"the same second", second, 0, "times pass(ok): the issuer's clock is at most 900ms behind or 500ms ahead of the prober's"},
		{"9 s ahead", second.Add(9 * time.Second), 0, "times pass(ok): the issuer's clock is 8.1s to 9.5s ahead of the prober's"},
		{"9.5 s ahead", second.Add(9*time.Second + 500*time.Millisecond), 0, "times pass(ok): the issuer's clock is 8.6s to 10s ahead of the prober's"},
		{"about 10 s ahead: the limit is within what is possible", second.Add(10*time.Second + 600*time.Millisecond), 0, "times inconclusive(clock_skew): the issuer's clock is 9.7s to 11.1s ahead of the prober's: cannot tell whether within 10s"},
		{"11 s ahead", second.Add(11 * time.Second), 0, "times fail(clock_skew): the issuer's clock is 10.1s to 11.5s ahead of the prober's; wanted within 10s"},
		{"about 10 s behind", second.Add(-10 * time.Second), 0, "times inconclusive(clock_skew): the issuer's clock is 9.5s to 10.9s behind the prober's: cannot tell whether within 10s"},
		{"11 s behind", second.Add(-11 * time.Second), 0, "times fail(clock_skew): the issuer's clock is 10.5s to 11.9s behind the prober's; wanted within 10s"},
		{"our own clock was set", second.Add(30 * time.Second), 30 * time.Second, "times inconclusive(self_clock): the prober's own clock was set by 30s during the run"},
		{"our own clock was set back", second, -300 * time.Millisecond, "times inconclusive(self_clock): the prober's own clock was set by -300ms during the run"},
		{"1970", time.Unix(1, 0), 0, "times fail(clock_skew): *"},
		{"the end of time", time.Unix(1<<53, 0), 0, "times fail(clock_skew): *"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := NewToken()
			r := run(t, asked(func(_ context.Context, r *probe.Result) {
				(&tokenRun{Token: p, r: r}).times(&keyset.Token{IssuedAt: c.issued}, g, c.step)
			}))
			wantLines(t, r, r.Verdict().String(), c.want)
		})
	}
	now := time.Now()
	if d := stepped(now, now.Add(time.Minute)); d != 0 {
		t.Errorf("a minute that passed is no step: got %s", d)
	}
}

// asked makes a function a probe.
type asked func(context.Context, *probe.Result)

func (asked) Validate() error                            { return nil }
func (asked) Checks() []string                           { return nil }
func (f asked) Ask(ctx context.Context, r *probe.Result) { f(ctx, r) }

func TestRevocation(t *testing.T) {
	const ms = probe.Duration(time.Millisecond)
	for name, c := range map[string]struct {
		issuer func(*idp)
		within probe.Duration
		want   string
	}{
		"it takes a while":    {func(i *idp) { i.slow = 250 * time.Millisecond }, 10 * 1000 * ms, "revocation pass(ok): the revoked token was refused after *"},
		"it is never refused": {func(i *idp) { i.forgetful = true }, 300 * ms, "revocation fail(revoked_accepted): wanted a revoked token refused within 300ms, it is still accepted after *"},
		"revoking fails":      {func(i *idp) { i.paths["/revoke"] = answers(500, "text/plain", "") }, 300 * ms, "revocation fail(status): the token could not be revoked: wanted 200, got 500"},
		"revoking is not for such tokens": {func(i *idp) {
			i.paths["/revoke"] = answers(400, "application/json", `{"error":"unsupported_token_type"}`)
		}, 300 * ms,
			"revocation fail(status): the token could not be revoked: wanted 200, got 400 (unsupported_token_type)"},
		"tokens are not accepted to begin with": {func(i *idp) { i.paths["/me"] = answers(401, "text/plain", "") }, 300 * ms,
			"revocation inconclusive(control_failed): a fresh token is not accepted before it is revoked: got 401"},
		"what takes tokens is broken": {func(i *idp) { i.paths["/me"] = answers(500, "text/plain", "") }, 300 * ms,
			"revocation inconclusive(control_failed): a fresh token is not accepted before it is revoked: wanted 2xx, got 500"},
		"one revocation ends all tokens": {func(i *idp) {
			i.paths["/me"] = func(w http.ResponseWriter, _ *http.Request) {
				i.mu.Lock()
				defer i.mu.Unlock()
				w.WriteHeader(map[bool]int{true: 401, false: 200}[len(i.revoked) > 0])
			}
		}, 300 * ms, "revocation fail(valid_rejected): a token that nobody revoked is refused as well: got 401"},
		"what takes tokens breaks meanwhile": {func(i *idp) {
			i.paths["/me"] = func(w http.ResponseWriter, q *http.Request) {
				i.mu.Lock()
				broken := len(i.revoked) > 0
				i.mu.Unlock()
				if broken {
					w.WriteHeader(503)
					return
				}
				i.serveMe(w, q)
			}
		}, 300 * ms, "revocation inconclusive(control_failed): whether the revoked token is refused within 300ms could not be told: wanted 2xx, got 503"},
		"one token for all": {func(i *idp) {
			token := unsecured(`{"alg":"RS256","kid":"x"}`)
			i.grant = map[string]any{"access_token": token}
		}, 300 * ms, "revocation inconclusive(control_failed): the issuer gives the same token twice, so there is none to compare with"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIDP(t, c.issuer)
			p := i.probe(t, func(p *Token) {
				p.Opaque, p.Audience, p.Refusal = true, "", false
				p.Revocation = &Revocation{Use: Use{URL: i.url + "/me"}, Within: c.within, Every: 100 * ms}
			})
			r := run(t, p)
			wantLines(t, r, r.Verdict().String(), issued, discovered, c.want)
			measured := false
			for _, s := range r.Samples {
				measured = measured || s.Measure == tokenRevocation
			}
			if passed := strings.Contains(c.want, " pass("); measured != passed {
				t.Errorf("the time until the refusal was measured: %t", measured)
			}
		})
	}
}

// TestWatchLooksAtTheLimitAndNoMore counts, in fake time, how often a revoked token is used and when.
func TestWatchLooksAtTheLimitAndNoMore(t *testing.T) {
	for name, c := range map[string]struct {
		refusedAfter time.Duration
		timeout      time.Duration
		want         string
		looks        int
	}{
		"at once":                {0, time.Hour, "ok: the revoked token was refused after 0s", 1},
		"at the limit":           {10 * time.Second, time.Hour, "ok: the revoked token was refused after 10s", 5},
		"after the limit":        {10*time.Second + 1, time.Hour, "revoked_accepted: wanted a revoked token refused within 10s, it is still accepted after 10s", 5},
		"the run is too short":   {time.Hour, 7 * time.Second, "control_failed: the revoked token was not refused after 6s (got 200), when the run's time was up; the limit is 10s: give the probe a longer timeout", 3},
		"the run is long enough": {9 * time.Second, 10500 * time.Millisecond, "ok: the revoked token was refused after 9s", 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.timeout)
				defer cancel()
				v := &Revocation{Within: probe.Duration(10 * time.Second), Every: probe.Duration(3 * time.Second)}
				begun, looks := time.Now(), 0
				found, took := v.watch(ctx, func(context.Context) usage {
					looks++
					if time.Since(begun) >= c.refusedAfter {
						return usage{refused, "got 401"}
					}
					return usage{accepted, "got 200"}
				})
				if got := fmt.Sprintf("%s: %s", found.why, found.detail); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
				if looks != c.looks || ctx.Err() != nil {
					t.Errorf("looked %d times, wanted %d; ended with the run: %v", looks, c.looks, ctx.Err())
				}
				if (took > 0) != (found.why == probe.OK && c.refusedAfter > 0) {
					t.Errorf("took %s", took)
				}
			})
		})
	}
	t.Run("a run that is cancelled ends at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			begun := time.Now()
			v := &Revocation{Within: probe.Duration(time.Minute), Every: probe.Duration(time.Minute)}
			v.watch(ctx, func(context.Context) usage { return usage{accepted, "got 200"} })
			if took := time.Since(begun); took != time.Second {
				t.Errorf("took %s", took)
			}
		})
	})
}

// TestARunThatIsTooShortBlamesNobody has an issuer that takes most of the run for each token.
func TestARunThatIsTooShortBlamesNobody(t *testing.T) {
	i := newIDP(t, nil)
	i.paths["/token"] = func(w http.ResponseWriter, q *http.Request) {
		select {
		case <-time.After(2500 * time.Millisecond):
			i.serveToken(w, q)
		case <-q.Context().Done():
		}
	}
	p := i.probe(t, func(p *Token) { p.Revocation = &Revocation{Use: Use{URL: i.url + "/me"}} })
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	job := probe.Job{ID: probe.ID{System: "test", Name: "it"}, Probe: p, Interval: time.Minute, Timeout: 4 * time.Second}
	wantLines(t, job.Do(t.Context()), "inconclusive", issued, discovered, signed, claimed, timely,
		"refusal inconclusive(timeout): not asked: issuing a token took *", "revocation inconclusive(timeout): not asked: *")
}

func TestTokenRefusesSettingsThatProveNothing(t *testing.T) {
	good := func() *Token {
		p := NewToken()
		p.Issuer, p.ClientID, p.ClientSecret, p.Audience = "https://issuer.test", "me", secret.Env("X"), "https://api.test"
		return p
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	use := Use{URL: "https://api.test/me"}
	for want, change := range map[string]func(*Token){
		"issuer: is missing":                                      func(p *Token) { p.Issuer = "" },
		"issuer: wanted a URL without a query":                    func(p *Token) { p.Issuer += "?a=b" },
		"http:// would send the credential in clear":              func(p *Token) { p.Issuer = "http://issuer.test" },
		"token_url: url http://issuer.test/t: http:// would send": func(p *Token) { p.TokenURL = "http://issuer.test/t" },
		"token_url: is missing, and without discovery":            func(p *Token) { p.Discovery = false },
		"jwks_uri: is missing, and without discovery":             func(p *Token) { p.Discovery = false },
		"allow_hosts: is about what discovery names":              func(p *Token) { p.Discovery, p.AllowHosts = false, []string{"a.test"} },
		"allow_hosts: wanted host or host:port":                   func(p *Token) { p.AllowHosts = []string{"https://a.test"} },
		"client_id: is missing":                                   func(p *Token) { p.ClientID = "" },
		"client_secret: is missing":                               func(p *Token) { p.ClientSecret = secret.Secret{} },
		"auth: wanted basic or post":                              func(p *Token) { p.Auth = "private_key_jwt" },
		"bearer, basic, oauth2: none is sent":                     func(p *Token) { p.Bearer = secret.Env("Y") },
		"params: scope cannot be given here":                      func(p *Token) { p.Params = map[string]string{"scope": "a"} },
		"audience: is missing":                                    func(p *Token) { p.Audience = "" },
		"opaque: then audience, algs":                             func(p *Token) { p.Opaque = true },
		`algs: "none" is none that a published key verifies`:      func(p *Token) { p.Algs = []string{"none"} },
		`algs: "HS256" is none that a published key verifies`:     func(p *Token) { p.Algs = []string{"RS256", "HS256"} },
		"lifetime: wanted min and max":                            func(p *Token) { p.Lifetime = Lifetime{Min: 2, Max: 1} },
		"leeway: wanted at least 2s":                              func(p *Token) { p.Leeway = probe.Duration(time.Second) },
		"latency: must be above zero":                             func(p *Token) { p.Latency = -1 },
		"keysets: the URL at place 2 is missing or stands there":  func(p *Token) { p.Keysets = []string{"https://a.test", "https://a.test"} },
		"keysets: at most 20 can be asked":                        func(p *Token) { p.Keysets = make([]string, 21) },
		"tls.insecure_skip_verify: with it a credential":          func(p *Token) { p.TLS = &httpx.TLS{InsecureSkipVerify: true} },
		"revocation.use.url: is missing":                          func(p *Token) { p.Revocation = &Revocation{} },
		"revocation.url: is missing, and without discovery": func(p *Token) {
			p.Discovery, p.Revocation = false, &Revocation{Use: use}
		},
		"revocation.use.status: 401 and 403 are the answers": func(p *Token) {
			p.Revocation = &Revocation{Use: Use{URL: use.URL, Status: httpx.Codes(401)}}
		},
		"revocation: wanted every from 100ms to within": func(p *Token) {
			p.Revocation = &Revocation{Use: use, Within: probe.Duration(time.Hour)}
		},
		"revocation.use.url: url http://api.test/me: http://": func(p *Token) {
			p.Revocation = &Revocation{Use: Use{URL: "http://api.test/me"}}
		},
	} {
		p := good()
		change(p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("wanted %q, got %v", want, err)
		}
	}
}

// TestTokenLeaksNothing has an issuer that repeats all that it is sent and all that it issues, wherever that fits, and
// looks for it in all that a run says.
func TestTokenLeaksNothing(t *testing.T) {
	ways := map[string]func(w http.ResponseWriter, all string){
		"as it should": nil,
		"a status":     func(w http.ResponseWriter, _ string) { w.WriteHeader(500) },
		"a body":       func(w http.ResponseWriter, all string) { fmt.Fprint(w, all) },
		"an error":     func(w http.ResponseWriter, all string) { sends(w, 400, map[string]any{"error": all, "issuer": all}) },
		"cut off":      func(w http.ResponseWriter, all string) { w.Header().Set("Content-Length", "99999"); fmt.Fprint(w, all) },
		"a private key": func(w http.ResponseWriter, all string) {
			sends(w, 200, map[string]any{"keys": []any{map[string]any{"kty": "RSA", "kid": all, "n": all, "d": all}}})
		},
	}
	issued, runs := 0, 0
	for _, path := range []string{"/.well-known/openid-configuration", "/token", "/keys", "/revoke", "/me"} {
		for way, answer := range ways {
			for _, opaque := range []bool{false, true} { // a JWT is too long for most places, an opaque token is not
				i := newIDP(t, nil)
				echoes(i, path, answer, opaque)
				p := i.probe(t, func(p *Token) {
					if p.Opaque = opaque; opaque {
						p.Audience = ""
					} else {
						p.Keysets = []string{i.url + "/keys"}
					}
					p.Trace, p.Version = &httpx.Source{Header: "X-Trace"}, &httpx.Source{Header: "X-Version"}
					p.Revocation = &Revocation{Use: Use{URL: i.url + "/me"}, Within: probe.Duration(100 * time.Millisecond), Every: probe.Duration(100 * time.Millisecond)}
				})
				r := run(t, p)
				said, err := json.Marshal([]any{r.Checks, r.Exchanges, r.Samples})
				if err != nil {
					t.Fatal(err)
				}
				issued, runs = issued+len(i.issued), runs+1
				for _, s := range append([]string{i.secret, url.QueryEscape(i.secret), leakMarker}, i.issued...) {
					if piece := pieceOf(s, string(said)); piece != "" {
						at := strings.Index(string(said), piece)
						t.Errorf("%s answers with %s, opaque %t: %q is in …%s…", path, way, opaque, piece, said[max(0, at-100):min(len(said), at+100)])
					}
				}
			}
		}
	}
	if runs != 60 || issued < 80 {
		t.Errorf("only %d tokens were issued in %d runs", issued, runs)
	}
	if pieceOf("the-secret-itself", "it holds secret-i here") == "" || pieceOf("the-secret-itself", base64.StdEncoding.EncodeToString([]byte("the-secret-itself"))) == "" {
		t.Error("the search finds nothing")
	}
}

const leakMarker = "Xy7marker"

// echoes makes an issuer answer at one path in another way, and repeat everywhere what it knows.
func echoes(i *idp, path string, answer func(http.ResponseWriter, string), opaque bool) {
	i.secret += leakMarker
	i.key.KeyID = "kid" + leakMarker
	i.claims = map[string]any{"sub": leakMarker, "jti": rand.Text() + leakMarker}
	for at, handle := range map[string]http.HandlerFunc{
		"/.well-known/openid-configuration": i.serveDocument, "/token": i.serveToken, "/keys": i.serveKeys, "/revoke": i.serveRevocation, "/me": i.serveMe,
	} {
		i.paths[at] = func(w http.ResponseWriter, q *http.Request) {
			broken := at == path && answer != nil
			issues := opaque && at == "/token" && !broken && i.knows(q)
			i.mu.Lock()
			if issues { // the token to come is in the headers too
				token := hex.EncodeToString([]byte(rand.Text()))
				i.grant = map[string]any{"access_token": token}
				i.issued = append(i.issued, token)
			}
			last := ""
			if len(i.issued) > 0 {
				last = i.issued[len(i.issued)-1]
			}
			i.mu.Unlock()
			user, password, _ := q.BasicAuth()
			q.ParseForm()
			all := strings.Join([]string{q.Header.Get("Authorization"), user, password, q.PostForm.Encode(), last, leakMarker}, " ")
			for _, name := range []string{"X-Version", "X-Trace"} {
				w.Header().Set(name, last)
			}
			w.Header().Set("Location", all)
			if broken {
				answer(w, all)
				return
			}
			handle(w, q)
		}
	}
}

// pieceOf returns the first piece of eight characters of a secret, plain or in base64, that a text holds.
func pieceOf(secret, text string) string {
	for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret))} {
		for at := 0; at+8 <= len(form); at++ {
			if strings.Contains(text, form[at:at+8]) {
				return form[at : at+8]
			}
		}
	}
	return ""
}
