package token

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// What a run of a whole issuer says, line by line.
var (
	discovered = "discovery pass(ok): the issuer names itself and its endpoints"
	issued     = "issuance pass(ok): a token was issued"
	signed     = "signature pass(ok): a fresh token verifies with the published key that has its kid (RS256, 2048 bits)"
	claimed    = "claims pass(ok): iss and aud as expected, valid for 5m0s"
	timely     = "times pass(ok): the issuer's clock is *"
	declined   = "wrong_secret pass(ok): a wrong client_secret is rejected (401 invalid_client), the right one was accepted"
)

func TestToken_pass(t *testing.T) {
	for _, auth := range []string{"basic", "post"} {
		t.Run(auth, func(t *testing.T) {
			i := newIDP(t, nil)
			p := i.probe(t, func(p *Probe) {
				p.Auth, p.Scopes, p.Params = auth, []string{"read", "write"}, map[string]string{"resource": "https://api.test"}
				p.Latency, p.Lifetime = new(probe.Duration(time.Minute)), Lifetime{Max: probe.Duration(5 * time.Minute)}
				p.Keysets = []string{i.url + "/keys"}
				p.Revocation = &Revocation{Use: Use{URL: i.url + "/me"}}
			})
			r := probetest.Run(t, Kind(), p)
			probetest.WantLines(t, r, "pass", issued, discovered, signed, claimed, timely,
				"keysets@"+i.url+"/keys"+strings.TrimPrefix(signed, "signature"), declined,
				"revocation pass(ok): the revoked token was rejected after *", "latency pass(ok): the slowest step, *")
			if got := strings.Join(p.Checks(), " "); got != "issuance discovery signature claims times keysets wrong_secret revocation latency" {
				t.Errorf("checks: %s", got)
			}
			for _, x := range r.Exchanges {
				if !x.Expected {
					t.Errorf("%s answers %d, which is not expected", x.URL, x.Status)
				}
			}
			steps := map[string]bool{}
			for _, s := range r.Samples {
				steps[strings.Join(append([]string{s.Name}, s.Values...), " ")] = true
			}
			for _, step := range []string{"discovery", "token", "jwks", "wrong_secret", "use", "revoke"} {
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

// TestToken_faults breaks the issuer in one way each.
func TestToken_faults(t *testing.T) {
	now := time.Now().Unix()
	with := func(name string, v any) map[string]any { return map[string]any{name: v} }
	token := func(handle http.HandlerFunc) func(*idp) { return func(i *idp) { i.paths["/token"] = handle } }
	for name, c := range map[string]struct {
		issuer func(*idp)
		probe  func(*Probe)
		want   []string
	}{
		"discovery names another issuer": {
			func(i *idp) { i.document = with("issuer", i.url+"/") }, nil,
			[]string{"fail", "issuance inconclusive(control_failed): not requested: no token endpoint is known", "discovery fail(wrong_issuer): expected the issuer to name itself exactly *"},
		},
		"discovery is a page": {
			func(i *idp) {
				i.paths["/.well-known/openid-configuration"] = probetest.Respond(200, "text/html", "<!DOCTYPE html>welcome")
			}, nil,
			[]string{"fail", "issuance inconclusive*", "discovery fail(schema): expected JSON, got an HTML page"},
		},
		"discovery says one thing twice": {
			func(i *idp) {
				i.paths["/.well-known/openid-configuration"] = probetest.Respond(200, "application/json", `{"issuer":"a","issuer":"b"}`)
			}, nil,
			[]string{"fail", "issuance inconclusive*", "discovery fail(schema): the answer is not JSON: *"},
		},
		"discovery is down": {
			func(i *idp) { i.paths["/.well-known/openid-configuration"] = probetest.Respond(503, "text/plain", "") }, nil,
			[]string{"fail", "issuance inconclusive*", "discovery fail(status): expected 200, got 503"},
		},
		"discovery without a token endpoint": {
			func(i *idp) { i.document = with("token_endpoint", nil) }, nil,
			[]string{"fail", "issuance inconclusive*", "discovery fail(schema): token_endpoint is missing"},
		},
		"issuing fails": {
			token(probetest.Respond(500, "text/html", "<html>oops")), nil,
			[]string{"fail", "issuance fail(status): expected 200, got 500", discovered},
		},
		"the grant is gone": {
			token(probetest.Respond(400, "application/json", `{"error":"unsupported_grant_type"}`)), nil,
			[]string{"fail", "issuance fail(status): expected a token, got 400 (unsupported_grant_type)", discovered},
		},
		"a 400 that says nothing": {
			token(probetest.Respond(400, "application/json", `{"error":"leave-me-out"}`)), nil,
			[]string{"fail", "issuance fail(status): expected 200, got 400", discovered},
		},
		"our secret is not accepted": {
			token(probetest.Respond(401, "application/json", `{"error":"invalid_client"}`)), nil,
			[]string{"inconclusive", "issuance inconclusive(credential): expected a token, got 401 (invalid_client): the issuer does not accept what the probe is configured with", discovered},
		},
		"something before the issuer says no": {
			token(probetest.Respond(403, "text/html", "<html>")), nil,
			[]string{"inconclusive", "issuance inconclusive(credential): expected a token, got 403: the issuer, or a proxy in front of it, does not accept the probe", discovered},
		},
		"a rate limit": {
			token(probetest.Respond(429, "application/json", `{"error":"invalid_request"}`)), nil,
			[]string{"inconclusive", "issuance inconclusive(rate_limited): expected 200, got 429: *", discovered},
		},
		"a redirect": {
			token(func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, "/login", http.StatusFound) }), nil,
			[]string{"fail", "issuance fail(redirect): expected 200, got 302: redirects are not followed", discovered},
		},
		"a page in place of a token": {
			token(probetest.Respond(200, "application/json", "\n <html>")), nil,
			[]string{"fail", "issuance fail(schema): expected JSON, got an HTML page", discovered},
		},
		"nothing in place of a token": {
			token(probetest.Respond(200, "application/json", "")), nil,
			[]string{"fail", "issuance fail(schema): the answer is not JSON: the body is empty, expected JSON", discovered},
		},
		"a list in place of a token": {
			token(probetest.Respond(200, "application/json", "[]")), nil,
			[]string{"fail", "issuance fail(schema): expected a JSON object, got other JSON", discovered},
		},
		"null in place of a token": {
			token(probetest.Respond(200, "application/json", "null")), nil,
			[]string{"fail", "issuance fail(schema): expected a JSON object, got other JSON", discovered},
		},
		"no access_token": {
			func(i *idp) { i.grant = map[string]any{"access_token": nil, "id_token": "abc"} }, nil,
			[]string{"fail", "issuance fail(schema): expected an access_token, got none", discovered},
		},
		"an access_token that is a number": {
			func(i *idp) { i.grant = with("access_token", 1234567890123456) }, nil,
			[]string{"fail", "issuance fail(schema): expected an access_token, got none", discovered},
		},
		"an access_token under another name": {
			func(i *idp) { i.grant = map[string]any{"access_token": nil, "Access_Token": "abcdefghijklmnopqrst"} }, nil,
			[]string{"fail", "issuance fail(schema): expected an access_token, got none", discovered},
		},
		"an access_token that no header can carry": {
			func(i *idp) { i.grant = with("access_token", "abcdefghijklmnop\r\nX-Evil: 1") }, nil,
			[]string{"fail", "issuance fail(schema): the access_token is malformed: expected 16 to 16384 characters that a header can carry (RFC 6749, appendix A.12)", discovered},
		},
		"an access_token without end": {
			func(i *idp) { i.grant = with("access_token", strings.Repeat("a", jwk.MaxTokenLength+1)) }, nil,
			[]string{"fail", "issuance fail(schema): the access_token is malformed: *", discovered},
		},
		"a token of another type": {
			func(i *idp) { i.grant = with("token_type", "DPoP") }, nil,
			[]string{"fail", "issuance fail(schema): expected token_type Bearer, got none or another", discovered},
		},
		"a token out of a cache": {
			func(i *idp) {
				i.paths["/token"] = func(w http.ResponseWriter, q *http.Request) { w.Header().Set("Age", "7"); i.serveToken(w, q) }
			}, nil,
			[]string{"inconclusive", "issuance inconclusive(stale_or_cached): the answer may come out of a cache (Age: 7), and the token may not be fresh", discovered},
		},
		"an opaque token": {
			func(i *idp) { i.grant = with("access_token", "Zx81-opaque-"+rand.Text()) }, nil,
			[]string{"fail", "issuance*", discovered, "signature fail(schema): a fresh token cannot be read as a JWT: not a signed JWT in compact form (RFC 7519); if the issuer's tokens are not JWTs, set opaque: true", declined},
		},
		"a token that anybody could have made: alg none": {
			func(i *idp) { i.grant = with("access_token", unsecured(`{"alg":"none"}`)) }, nil,
			[]string{"fail", "issuance*", discovered, "signature fail(alg_not_allowed): a fresh token is signed with an algorithm that verifiers do not allow (algs)", declined},
		},
		"an algorithm that is not on the list": {
			nil, func(p *Probe) { p.Algs = []string{"ES256"} },
			[]string{"fail", issued, discovered, "signature fail(alg_not_allowed): *", claimed, timely, declined},
		},
		"the signing key is not published": {
			func(i *idp) { i.published = []jose.JSONWebKey{tokenKeys()[1].Public()} }, nil,
			[]string{"fail", issued, discovered, "signature fail(signing_with_unpublished_key): a fresh token names a kid that is not in the key set: verifiers reject it", claimed, timely, declined},
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
			[]string{"fail", issued, discovered, "signature fail(key_unusable): the key with a fresh token's kid cannot verify its algorithm: not_for_signing", claimed, timely, declined},
		},
		"the private key is published": {
			func(i *idp) { i.published[0] = i.key }, nil,
			[]string{"fail", issued, discovered, "signature fail(key_unusable): the key with a fresh token's kid cannot verify its algorithm: private_key", claimed, timely, declined},
		},
		"a token without a kid": {
			func(i *idp) { i.key.KeyID = "" }, nil,
			[]string{"fail", issued, discovered, "signature fail(no_kid): a fresh token names no kid: verifiers cannot know which key signed it", claimed, timely, declined},
		},
		"the key set is empty": {
			func(i *idp) { i.paths["/keys"] = probetest.Respond(200, "application/json", `{"keys":[]}`) }, nil,
			[]string{"fail", issued, discovered, "signature fail(schema): expected a key set: the set holds no key", claimed, timely, declined},
		},
		"the key set is down": {
			func(i *idp) { i.paths["/keys"] = probetest.Respond(503, "text/html", "<html>") }, nil,
			[]string{"fail", issued, discovered, "signature fail(status): expected 200, got 503", claimed, timely, declined},
		},
		"a cached key set without the key": {
			func(i *idp) {
				i.published = []jose.JSONWebKey{tokenKeys()[1].Public()}
				i.paths["/keys"] = func(w http.ResponseWriter, q *http.Request) { w.Header().Set("Age", "60"); i.serveKeys(w, q) }
			}, nil,
			[]string{"fail", issued, discovered, "signature fail(signing_with_unpublished_key): a fresh token names a kid that is not in the key set: verifiers reject it (the set may come out of a cache, Age: 60, as it may for every verifier)", claimed, timely, declined},
		},
		"another issuer's token": {
			func(i *idp) { i.claims = with("iss", "https://other.test") }, nil,
			[]string{"fail", issued, discovered, signed, "claims fail(wrong_issuer): expected iss http*", timely, declined},
		},
		"a token for somebody else": {
			func(i *idp) { i.claims = with("aud", []string{"https://other.test", "https://api.test.evil"}) }, nil,
			[]string{"fail", issued, discovered, signed, "claims fail(wrong_audience): expected aud to contain https://api.test, got none or others", timely, declined},
		},
		"a token for several": {
			func(i *idp) { i.claims = with("aud", []string{"https://other.test", "https://api.test"}) }, nil,
			[]string{"pass", issued, discovered, signed, claimed, timely, declined},
		},
		"a token that never expires": {
			func(i *idp) { i.claims = with("exp", nil) }, nil,
			[]string{"fail", issued, discovered, signed, "claims fail(no_expiry): expected an exp, got none: the token never expires", timely, declined},
		},
		"a token that was never valid": {
			func(i *idp) { i.claims = with("exp", now-100) }, nil,
			[]string{"fail", issued, discovered, signed, "claims fail(lifetime): exp is not after iat: the token was never valid", timely, declined},
		},
		"a token that ends as it begins": {
			func(i *idp) { i.claims = map[string]any{"iat": now, "exp": now} }, nil,
			[]string{"fail", issued, discovered, signed, "claims fail(lifetime): exp is not after iat: the token was never valid", timely, declined},
		},
		"a token that is valid at once": {
			func(i *idp) { i.claims = map[string]any{"nbf": now, "iat": now, "exp": now + 300} }, nil,
			[]string{"pass", issued, discovered, signed, claimed, timely, declined},
		},
		"a token that is not valid yet": {
			func(i *idp) { i.claims = map[string]any{"nbf": now + 120, "iat": now, "exp": now + 300} }, nil,
			[]string{"fail", issued, discovered, signed, "claims fail(lifetime): nbf is 2m0s after iat: the fresh token is not valid yet", timely, declined},
		},
		"a token that lives too long": {
			nil, func(p *Probe) { p.Lifetime.Max = probe.Duration(time.Minute) },
			[]string{"fail", issued, discovered, signed, "claims fail(lifetime): expected a token valid for at most 1m, got 5m0s", timely, declined},
		},
		"a token that just lives long enough": {
			nil, func(p *Probe) {
				p.Lifetime = Lifetime{Min: probe.Duration(5 * time.Minute), Max: probe.Duration(5 * time.Minute)}
			},
			[]string{"pass", issued, discovered, signed, claimed, timely, declined},
		},
		"a token that lives too short": {
			nil, func(p *Probe) { p.Lifetime.Min = probe.Duration(time.Hour) },
			[]string{"fail", issued, discovered, signed, "claims fail(lifetime): expected a token valid for at least 1h, got 5m0s", timely, declined},
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
			[]string{"inconclusive", issued, discovered, signed, "claims pass(ok): iss and aud as expected, valid for *", "times inconclusive(nothing_checked): the token has no iat, and nothing else shows when it was issued", declined},
		},
		"any secret will do": {
			func(i *idp) { i.anySecret = true }, nil,
			[]string{"fail", issued, discovered, signed, claimed, timely, "wrong_secret fail(auth_bypass): a wrong client_secret gets a token too (200)"},
		},
		"too slow": {
			nil, func(p *Probe) { p.Latency = new(probe.Duration(1)) },
			[]string{"fail", issued, discovered, signed, claimed, timely, declined, "latency fail(slow): expected each step within 1ns, *"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIDP(t, c.issuer)
			probetest.WantLines(t, probetest.Run(t, Kind(), i.probe(t, c.probe)), c.want...)
		})
	}
}

// unsecured makes a token with a header of somebody's choice and no signature worth the name.
func unsecured(header string) string {
	coded := base64.RawURLEncoding.EncodeToString
	return coded([]byte(header)) + "." + coded([]byte(`{"iss":"https://issuer.test","sub":"me"}`)) + "." + coded([]byte("signed"))
}

func TestToken_opaque(t *testing.T) {
	i := newIDP(t, nil)
	i.paths["/token"] = func(w http.ResponseWriter, q *http.Request) {
		if !i.knows(q) {
			i.serveToken(w, q)
			return
		}
		sends(w, 200, map[string]any{"access_token": rand.Text(), "token_type": "Bearer"})
	}
	p := i.probe(t, func(p *Probe) {
		p.Opaque, p.Audience = true, ""
		p.Revocation = &Revocation{Use: Use{URL: i.url + "/me"}}
	})
	probetest.WantLines(t, probetest.Run(t, Kind(), p), "pass", issued, discovered, declined, "revocation pass(ok): *")
}

// TestCheckLatency checks which step is held against the limit, and that the limit itself is still in time.
func TestCheckLatency(t *testing.T) {
	const within = "expected each step within 1s, but "
	for want, timed := range map[string][]timedStep{
		"": {{"wrong_secret", time.Minute, false}, {"use", time.Minute, false}, {"revoke", time.Minute, false}},
		"latency pass(ok): the slowest step, token, took 1s":                                               {{"discovery", 1, false}, {"token", time.Second, false}, {"use", time.Minute, false}},
		"latency fail(slow): " + within + "jwks took 1.001s":                                               {{"jwks", 1001 * time.Millisecond, false}, {"token", time.Second, true}},
		"latency inconclusive(self_delay): " + within + "discovery took 2s and the prober itself was late": {{"discovery", 2 * time.Second, true}, {"token", 1, false}},
	} {
		p := New()
		p.Latency = new(probe.Duration(time.Second))
		run := &runState{Probe: p, r: probe.NewResult(probe.ID{}), timed: timed}
		run.checkLatency()
		if _, got, _ := strings.Cut(probetest.Lines(*run.r), "\n"); strings.TrimSpace(got) != want {
			t.Errorf("got %s, expected %s", got, want)
		}
	}
}
