package jwks

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"prober/internal/probe"
	"prober/internal/secret"
	"prober/probes/internal/probetest"
	"prober/probes/internal/replicas"
)

// TestReplicas_inconclusive: a replica that limits the rate of the prober's requests is not one that is gone.
func TestReplicas_inconclusive(t *testing.T) {
	set := keysetOf(t, newJWK(t, "k1", "ES256"))
	at := func(status int) string {
		answer := probetest.Respond(status, "application/json", set)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if status == 429 {
				w.Header().Set("Retry-After", "60") // without it, everybody may get a 429
			}
			answer(w, q)
		}))
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://")
	}
	good, limited, broken := at(200), at(429), at(500)
	for name, c := range map[string]struct {
		static  []string
		verdict probe.Verdict
		want    string
	}{
		"limited": {[]string{good, limited}, probe.Inconclusive,
			"replicas@proxy inconclusive(control_failed): expected 2 replicas, found 2, of which 1 with a key set; 1 inconclusive\n"},
		"limited, and one to spare": {[]string{good, at(200), limited}, probe.Inconclusive, "replicas@proxy pass(ok): expected 2 replicas, found 3, of which 2 with a key set\n"},
		"limited and broken":        {[]string{limited, broken}, probe.Fail, "replicas@proxy fail(replicas): expected 2 replicas, found 2, of which 0 with a key set\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p := jwks(nil, "k1")
			p.Verifiers = map[string]Verifier{"proxy": {URL: "http://proxy.example/jwks", Replicas: replicas.Replicas{Static: c.static, Want: 2}}}
			r := probetest.Run(t, Kind(), p)
			if got := probetest.Lines(r); r.Verdict() != c.verdict || !strings.Contains(got, c.want) {
				t.Errorf("got\n%swant %s: %s", got, c.verdict, c.want)
			}
		})
	}
}

// TestSigning_staleToken has an issuer hand out one token for as long as it is valid: it verifies, and tells
// nothing of the key that signs by now.
func TestSigning_staleToken(t *testing.T) {
	key := newJWK(t, "k1", "ES256")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token := ""
	url := probetest.Serve(t, map[string]http.HandlerFunc{
		"/keys": probetest.Respond(200, "application/json", keysetOf(t, key)),
		"/token": func(w http.ResponseWriter, q *http.Request) {
			probetest.Respond(200, "application/json", `{"access_token":"`+token+`","token_type":"Bearer"}`)(w, q)
		},
	})
	p := jwks([]string{url + "/keys"})
	p.Issuance = freshFrom(t, url+"/token")
	if token, err = jwt.Signed(signer).Claims(map[string]any{"iat": 1700000000, "exp": 4102444800}).Serialize(); err != nil {
		t.Fatal(err)
	}
	const open = "inconclusive\nsigning inconclusive(control_failed): the token verifies, but it "
	if got := probetest.NotPassed(probetest.Run(t, Kind(), p)); !strings.HasPrefix(got, open+"was issued ") || !strings.HasSuffix(got, " before it was asked for, by its iat: it does not show which key signs now") {
		t.Errorf("an old token: got\n%s", got)
	}
	if token, err = jwt.Signed(signer).Claims(map[string]any{"exp": 4102444800}).Serialize(); err != nil {
		t.Fatal(err)
	}
	if got := probetest.NotPassed(probetest.Run(t, Kind(), p)); got != "pass" {
		t.Errorf("a new token without iat: got\n%s", got)
	}
	if got := probetest.NotPassed(probetest.Run(t, Kind(), p)); got != open+"is the same as in the previous run: it does not show which key signs now" {
		t.Errorf("the same token again: got\n%s", got)
	}
}

// A token that names no key cannot be verified where there are several.
func TestSigning_withoutKid(t *testing.T) {
	key := newJWK(t, "k1", "ES256")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key.Key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	token, err := jwt.Signed(signer).Claims(map[string]any{"iat": now, "exp": now + 300}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	url := probetest.Serve(t, map[string]http.HandlerFunc{
		"/keys":  probetest.Respond(200, "application/json", keysetOf(t, key)),
		"/token": probetest.Respond(200, "application/json", `{"access_token":"`+token+`","token_type":"Bearer"}`),
	})
	p := jwks([]string{url + "/keys"})
	p.Issuance = freshFrom(t, url+"/token")
	const want = "fail\nsigning fail(no_kid): a fresh token names no kid: verifiers cannot know which key signed it"
	if got := probetest.NotPassed(probetest.Run(t, Kind(), p)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// How long a token lives is not known if it does not say when it was issued.
func TestSigning_withoutIAT(t *testing.T) {
	key := newJWK(t, "k1", "ES256")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(map[string]any{"exp": 4102444800}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	url := probetest.Serve(t, map[string]http.HandlerFunc{
		"/keys": probetest.Respond(200, "application/json", keysetOf(t, key)),
		"/token": func(w http.ResponseWriter, q *http.Request) {
			probetest.Respond(200, "application/json", `{"access_token":"`+token+`","token_type":"Bearer"}`)(w, q)
		},
	})
	p := jwks([]string{url + "/keys"})
	p.Issuance, p.Grace = freshFrom(t, url+"/token"), probe.Duration(time.Hour)
	if got := probetest.NotPassed(probetest.Run(t, Kind(), p)); got != "pass" {
		t.Errorf("got\n%s", got)
	}
	now := time.Now().Unix()
	if token, err = jwt.Signed(signer).Claims(map[string]any{"iat": now, "exp": now + 7200}).Serialize(); err != nil {
		t.Fatal(err)
	}
	const want = "fail\nrotation fail(grace_too_short): tokens live 2h, and are accepted for 1m more: longer than the grace of 1h, after which their key is gone"
	if got := probetest.NotPassed(probetest.Run(t, Kind(), p)); got != want {
		t.Errorf("a token that says how long it lives: got\n%s\nwant\n%s", got, want)
	}
}

// TestRevoked_byThumbprint: whoever has stolen a key can sign with it under any kid.
func TestRevoked_byThumbprint(t *testing.T) {
	stolen, k1 := newJWK(t, "k0", "ES256"), newJWK(t, "k1", "ES256")
	renamed := stolen
	renamed.KeyID = "k7"
	set, age := "", "0"
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Age", age)
		probetest.Respond(200, "application/json", set)(w, q)
	}})
	p := jwks([]string{url + "/"}, "k1")
	p.Revoked, p.AllowCached = literals("k0"), true
	for _, step := range []struct{ set, want string }{
		{keysetOf(t, k1, stolen), "fail\nrevoked@URL fail(revoked_kid_present): expected no \"k0\", got it still published: tokens signed with it are accepted"},
		{keysetOf(t, k1, renamed), "fail\nrevoked@URL fail(revoked_kid_present): the key of \"k0\" is still published, under another kid: tokens signed with it are accepted"},
		{keysetOf(t, k1), "pass"},
	} {
		set = step.set
		if got := strings.ReplaceAll(probetest.NotPassed(probetest.Run(t, Kind(), p)), url+"/", "URL"); got != step.want {
			t.Errorf("got\n%s\nwant\n%s", got, step.want)
		}
	}
	set, age = keysetOf(t, k1, renamed), "7" // the copy may be older than the revocation
	if got := probetest.Run(t, Kind(), p); got.Verdict() != probe.Inconclusive {
		t.Errorf("out of a cache: got\n%s", probetest.Lines(got))
	}
}

// What a revoked kid stood for is known from any set that had it, be it from before the revocation or out of a cache.
func TestRevoked_keyKnownFromBefore(t *testing.T) {
	stolen, k1 := newJWK(t, "k0", "ES256"), newJWK(t, "k1", "ES256")
	renamed := stolen
	renamed.KeyID = "k7"
	for name, first := range map[string]struct{ age, revoked string }{
		"before the revocation": {"0", "k9"},
		"in a cached copy":      {"7", "k0"},
	} {
		t.Run(name, func(t *testing.T) {
			set, age := keysetOf(t, k1, stolen), first.age
			url := probetest.Serve(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, q *http.Request) {
				w.Header().Set("Age", age)
				probetest.Respond(200, "application/json", set)(w, q)
			}})
			revoked := "PROBER_TEST_" + rand.Text()
			t.Setenv(revoked, first.revoked)
			p := jwks([]string{url + "/"}, "k1")
			p.Revoked = []secret.Public{secret.Env(revoked).Public()}
			probetest.Run(t, Kind(), p)
			t.Setenv(revoked, "k0")
			set, age = keysetOf(t, k1, renamed), "0"
			want := "fail\nrevoked@" + url + `/ fail(revoked_kid_present): the key of "k0" is still published, under another kid: tokens signed with it are accepted`
			if got := probetest.NotPassed(probetest.Run(t, Kind(), p)); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestValidate_rejectsSameVerifierTwice: what is compared must come from two places, and what is absent must be able to be
// there.
func TestValidate_rejectsSameVerifierTwice(t *testing.T) {
	replica := replicas.Replicas{Static: []string{"127.0.0.1:1"}, Want: 1}
	bundle := func(kid secret.Public) Verifier {
		return Verifier{PEM: secret.Literal("x"), Kids: []secret.Public{kid}}
	}
	const same, nothing_checked = "url: another verifier has the same one", "revoked: no verifier names its keys itself"
	for name, c := range map[string]struct {
		urls      []string
		verifiers map[string]Verifier
		want      string
	}{
		"a url again":                {[]string{"http://a.test"}, map[string]Verifier{"a": {URL: "http://a.test"}}, "verifiers.a." + same},
		"two verifiers with one url": {nil, map[string]Verifier{"a": {URL: "http://a.test"}, "b": {URL: "http://a.test"}}, "verifiers.b." + same},
		"the replicas behind a url":  {[]string{"http://a.test"}, map[string]Verifier{"a": {URL: "http://a.test", Replicas: replica}}, ""},
		"two queries":                {nil, map[string]Verifier{"a": {URL: "http://a.test?a"}, "b": {URL: "http://a.test?b"}}, ""},
		"bundles only, named here":   {nil, map[string]Verifier{"a": bundle(secret.Literal("k1"))}, nothing_checked},
		"a bundle named elsewhere":   {nil, map[string]Verifier{"a": bundle(secret.Env("X").Public())}, ""},
		"a bundle beside a key set":  {[]string{"http://a.test"}, map[string]Verifier{"a": bundle(secret.Literal("k1"))}, ""},
	} {
		p := New()
		p.URLs, p.Verifiers, p.Revoked = c.urls, c.verifiers, literals("k0")
		err := p.Validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
