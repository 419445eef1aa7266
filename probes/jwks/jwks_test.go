package jwks

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/probes/internal/probetest"
)

// newJWK makes a signing key.
func newJWK(t testing.TB, kid, alg string) jose.JSONWebKey {
	t.Helper()
	var private any
	var err error
	switch alg {
	case "RS256":
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: private, KeyID: kid, Algorithm: alg, Use: "sig"}
}

// entry is the public half of a key as it stands in a key set, with members set as said in pairs.
func entry(t testing.TB, key jose.JSONWebKey, members ...any) map[string]any {
	t.Helper()
	text, err := json.Marshal(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(members); i += 2 {
		all[members[i].(string)] = members[i+1]
	}
	return all
}

// keysetOf is the text of a set of entries or keys.
func keysetOf(t testing.TB, entries ...any) string {
	t.Helper()
	all := []any{}
	for _, e := range entries {
		if key, is := e.(jose.JSONWebKey); is {
			e = entry(t, key)
		}
		all = append(all, e)
	}
	text, err := json.Marshal(map[string]any{"keys": all})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// bundleOf is the PEM text of the public halves of keys.
func bundleOf(t testing.TB, keys ...jose.JSONWebKey) string {
	t.Helper()
	var b strings.Builder
	for _, key := range keys {
		der, err := x509.MarshalPKIXPublicKey(key.Public().Key)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	return b.String()
}

// tokenBy is a token that a key has signed, valid for five minutes.
func tokenBy(t testing.TB, key jose.JSONWebKey) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	token, err := jwt.Signed(signer).Claims(jwt.Claims{ID: rand.Text(), IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(5 * time.Minute))}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// issues answers token requests with a token by a key.
func issues(t testing.TB, key jose.JSONWebKey) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		if user, password, _ := q.BasicAuth(); q.Method != "POST" || user != "me" || password != "the-client-secret" {
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return
		}
		probetest.Respond(200, "application/json", `{"access_token":"`+tokenBy(t, key)+`","token_type":"Bearer","expires_in":300}`)(w, q)
	}
}

// freshFrom are the settings for having tokens issued at a URL.
func freshFrom(t testing.TB, url string) *httpx.OAuth2 {
	t.Helper()
	name := "PROBER_TEST_" + rand.Text()
	t.Setenv(name, "the-client-secret")
	return &httpx.OAuth2{TokenURL: url, ClientID: "me", ClientSecret: secret.Env(name)}
}

func literals(kids ...string) []secret.Public {
	var all []secret.Public
	for _, kid := range kids {
		all = append(all, secret.Literal(kid))
	}
	return all
}

// jwks returns a probe of these URLs that must have these kids.
func jwks(urls []string, kids ...string) *Probe {
	p := New()
	p.URLs, p.Kids = urls, literals(kids...)
	return p
}

// sampled returns the value of a measure with these label values; -1 if there is none.
func sampled(r probe.Result, m *probe.Measure, values ...string) float64 {
	for _, s := range r.Samples {
		if s.Measure == m && strings.Join(s.Values, " ") == strings.Join(values, " ") {
			return s.Value
		}
	}
	return -1
}

// stateOf returns the state that a result's one-hot series show.
func stateOf(t *testing.T, r probe.Result) string {
	t.Helper()
	var on []string
	n := 0
	for _, s := range r.Samples {
		if s.Measure == stateGauge {
			n++
			if s.Value == 1 {
				on = append(on, s.Values[0])
			}
		}
	}
	if n != 0 && (n != len(keyStates) || len(on) != 1) {
		t.Errorf("of %d states %v are on", n, on)
	}
	return strings.Join(on, " ")
}

func TestJWKS_oneVerifier(t *testing.T) {
	rs, ec := newJWK(t, "k1", "RS256"), newJWK(t, "k2", "ES256")
	other := newJWK(t, "k1", "RS256")
	huge := map[string]any{"kty": "RSA", "kid": "big", "e": "AQAB", "n": strings.Repeat("q", 1400)}
	set := func(entries ...any) http.HandlerFunc {
		return probetest.Respond(200, "application/json", keysetOf(t, entries...))
	}
	point := map[string]any{"kty": "EC", "kid": "k1", "crv": "P-256", "x": strings.Repeat("A", 43), "y": strings.Repeat("A", 43)}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		change func(p *Probe)
		want   []string // "" for a pass: nothing falls short
	}{
		"the current key is there": {set(rs), nil, []string{"pass"}},
		"the current key is not there": {set(ec), nil,
			[]string{"fail", `kid@URL fail(kid_missing): expected the kid "k1", got a set without it`}},
		"an object without keys": {probetest.Respond(200, "application/json", "{}"), nil,
			[]string{"fail", `keyset@URL fail(schema): expected a key set: no JSON object with an array named "keys", or something stands before or behind it`}},
		"null":             {probetest.Respond(200, "application/json", "null"), nil, []string{"fail", `keyset@URL fail(schema): expected a key set: no JSON*`}},
		"a list":           {probetest.Respond(200, "application/json", "[]"), nil, []string{"fail", `keyset@URL fail(schema): expected a key set: no JSON*`}},
		"Keys":             {probetest.Respond(200, "application/json", strings.Replace(keysetOf(t, rs), "keys", "Keys", 1)), nil, []string{"fail", `keyset@URL fail(schema): expected a key set: no JSON*`}},
		"a web page":       {probetest.Respond(200, "text/html", "<!DOCTYPE html>"), nil, []string{"fail", `keyset@URL fail(schema): expected a key set: no JSON*`}},
		"204":              {probetest.Respond(204, "", ""), nil, []string{"fail", `keyset@URL fail(schema): expected a key set: no JSON*`}},
		"keys twice":       {probetest.Respond(200, "application/json", `{"keys":[],"keys":[]}`), nil, []string{"fail", `keyset@URL fail(schema): expected a key set: the member "keys" occurs twice`}},
		"no keys":          {probetest.Respond(200, "application/json", `{"keys":[]}`), nil, []string{"fail", `keyset@URL fail(empty_keyset): expected a key set, got one without keys: no token can be verified with it`}},
		"null for keys":    {probetest.Respond(200, "application/json", `{"keys":null}`), nil, []string{"fail", `keyset@URL fail(empty_keyset): expected a key set, got one*`}},
		"a server error":   {probetest.Respond(503, "text/html", "down"), nil, []string{"fail", "keyset@URL fail(status): expected 2xx, got 503"}},
		"401 for everyone": {probetest.Respond(401, "", ""), nil, []string{"fail", "keyset@URL fail(status): expected 2xx, got 401: no credential was sent, so anybody gets it"}},
		"403 for everyone": {probetest.Respond(403, "", ""), nil, []string{"fail", "keyset@URL fail(status): expected 2xx, got 403: no credential was sent, so anybody gets it"}},
		"429 for everyone": {probetest.Respond(429, "", ""), nil,
			[]string{"fail", "keyset@URL fail(status): expected 2xx, got 429: no credential was sent, and no Retry-After asks for less, so anybody may get it"}},
		"a rate limit": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "60"); w.WriteHeader(429) }, nil,
			[]string{"inconclusive", "keyset@URL inconclusive(rate_limited): expected 2xx, got 429: the target limits the rate of the prober's requests"}},
		"a redirect": {func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, "/elsewhere", http.StatusFound) }, nil,
			[]string{"fail", "keyset@URL fail(redirect): expected 2xx, got 302: redirects are not followed"}},
		"304": {probetest.Respond(304, "", ""), nil, []string{"inconclusive", "keyset@URL inconclusive(stale_or_cached): expected 2xx, got 304*"}},

		"keys that nobody knows beside the current one": {
			set(rs, map[string]any{"kty": "AKP", "alg": "ML-DSA-65", "pub": "AA"}, map[string]any{"kty": "EC", "crv": "secp256k1"},
				map[string]any{"kty": "OKP", "crv": "X25519", "x": "AA"}, huge, entry(t, ec, "use", "enc")), nil, []string{"pass"}},
		"only keys that nobody knows": {set(map[string]any{"kty": "AKP", "kid": "k1", "pub": "AA"}), nil, []string{"fail",
			`kid@URL fail(bad_key): the kid "k1" is published, but no verifier can read its key`,
			"keyset@URL fail(empty_keyset): 1 key, but none of them verifies a signature"}},
		"two keys with one kid":         {set(rs, other), nil, []string{"fail", `keyset@URL fail(duplicate_kid): two different keys of one type have the kid "k1": verifiers try one of them`}},
		"two keys with one unnamed kid": {set(rs, newJWK(t, "x", "ES256"), newJWK(t, "x", "ES256")), nil, []string{"fail", `keyset@URL fail(duplicate_kid): two different keys of one type have another kid: verifiers try one of them`}},
		"one key twice":                 {set(rs, rs), nil, []string{"pass"}},
		"two kids in one key": {probetest.Respond(200, "application/json", strings.Replace(keysetOf(t, rs), `"kid"`, `"kid":"k0","kid"`, 1)), nil, []string{"fail",
			`kid@URL fail(kid_missing): expected the kid "k1", got a set without it`,
			"keyset@URL fail(schema): 1 of 1 key is no key as RFC 7517 has it: not a JSON object, one member twice, or of the wrong type"}},
		"an entry that is no key": {set(rs, 7), nil,
			[]string{"fail", "keyset@URL fail(schema): 1 of 2 keys are no key as RFC 7517 has it: not a JSON object, one member twice, or of the wrong type"}},

		"the current key with its private half": {set(rs.Key, map[string]any{"d": "AA", "kty": "EC", "kid": "k1"}, ec), nil, []string{"fail",
			"private@URL fail(private_key_published): 2 of 3 keys hold private or symmetric material: whoever has read it can sign tokens, so revoke it now",
			`kid@URL inconclusive(control_failed): the kid "k1" is published with private material, so it is not used`}},
		"a shared secret":             {set(rs, map[string]any{"kty": "oct", "k": "AA"}), nil, []string{"fail", "private@URL fail(private_key_published): 1 of 2 keys hold*"}},
		"private, of no known type":   {set(rs, map[string]any{"kty": "AKP", "priv": "AA"}), nil, []string{"fail", "private@URL fail(private_key_published): 1 of 2 keys hold*"}},
		"primes without the exponent": {set(rs, entry(t, other, "kid", "z", "p", "AA", "q", "AA")), nil, []string{"fail", "private@URL fail(private_key_published): 1 of 2 keys hold*"}},

		"a weak key beside the current one": {set(rs, entry(t, rs, "kid", "z", "e", "Aw")), nil, []string{"fail",
			"strength@URL fail(weak_key): another kid has a weak RSA key: expected 2048 bits, an odd modulus and a sound exponent (RFC 7518, section 3.3)"}},
		"an exponent of 3, allowed": {set(entry(t, rs, "e", "Aw")), func(p *Probe) { p.AllowExponent3 = true }, []string{"pass"}},
		"the current key of 1024 bits": {set(ec, entry(t, rs, "n", "0dTWtIi_DOjove8SkuB5-zvXEA1LSb2bC6sKlKuPWxg5qC_b61BQgvhjUj5R2THNKdBK12CwQhlScERTmYTfA9UBMycpJxreB2O6xFJKsXca9Lc94wRhm02mY8HXFswDzUBm-Pxik0cmj9gGQLYZaYcreMBNMB-hDpnCnV-fpTU")), nil,
			[]string{"fail", `strength@URL fail(weak_key): the kid "k1" has a weak RSA key of 1024 bits: expected*`}},
		"the current key off its curve":          {set(ec, point), nil, []string{"fail", `kid@URL fail(bad_key): the kid "k1" is published, but no verifier can read its key`}},
		"another key off its curve":              {set(rs, entry(t, ec, "y", strings.Repeat("A", 43))), nil, []string{"pass"}},
		"the current key for encryption":         {set(ec, entry(t, rs, "use", "enc")), nil, []string{"fail", `kid@URL fail(alg_mismatch): the kid "k1" is published, but its use, key_ops or alg exclude verifying signatures`}},
		"the current key without verify":         {set(ec, entry(t, rs, "key_ops", []string{"encrypt"})), nil, []string{"fail", `kid@URL fail(alg_mismatch): *`}},
		"the current key for HS256":              {set(ec, entry(t, rs, "alg", "HS256")), nil, []string{"fail", `kid@URL fail(alg_mismatch): *`}},
		"the current key for no algorithm":       {set(ec, entry(t, rs, "alg", "none")), nil, []string{"fail", `kid@URL fail(alg_mismatch): *`}},
		"the current key for another algorithm":  {set(entry(t, rs, "alg", "PS512")), func(p *Probe) { p.Algs = []string{"RS256"} }, []string{"fail", `kid@URL fail(alg_mismatch): the kid "k1" is published, but its key is not for RS256`}},
		"the current key for one of them":        {set(rs), func(p *Probe) { p.Algs = []string{"ES256", "RS256"} }, []string{"pass"}},
		"the current key without an alg":         {set(entry(t, rs, "alg", nil)), func(p *Probe) { p.Algs = []string{"PS256"} }, []string{"pass"}},
		"the current key of another type":        {set(rs), func(p *Probe) { p.Algs = []string{"ES256"} }, []string{"fail", `kid@URL fail(alg_mismatch): *`}},
		"ten thousand keys, more than are taken": {probetest.Respond(200, "application/json", `{"keys":[`+strings.Repeat(`{"kty":"x"},`, 30_000)+`{}]}`), nil, []string{"fail", "keyset@URL fail(too_large): *"}},
		"more keys than are read":                {probetest.Respond(200, "application/json", `{"keys":[`+strings.Repeat(`{},`, 20_000)+`{}]}`), nil, []string{"inconclusive", "keyset@URL inconclusive(self_limit): the set holds more than 20000 keys"}},

		"a revoked key is gone":                       {set(rs), func(p *Probe) { p.Revoked = literals("old") }, []string{"pass"}},
		"a revoked key is still there":                {set(rs, entry(t, ec, "kid", "old")), func(p *Probe) { p.Revoked = literals("old", "older") }, []string{"fail", `revoked@URL fail(revoked_kid_present): expected no "old", got it still published: tokens signed with it are accepted`}},
		"a revoked key that nobody can read is there": {set(rs, map[string]any{"kty": "?", "kid": "old"}), func(p *Probe) { p.Revoked = literals("old") }, []string{"fail", `revoked@URL fail(revoked_kid_present): *`}},
		"revoked, and nobody answers": {probetest.Respond(503, "", ""), func(p *Probe) { p.Revoked = literals("old") }, []string{"fail",
			"revoked@URL inconclusive(control_failed): the key set could not be read, so the revoked keys may still be published",
			"keyset@URL fail(status): expected 2xx, got 503"}},
		"revoked, and some entry has no id that can be read": {set(rs, 7), func(p *Probe) { p.Revoked = literals("old") }, []string{"fail",
			"revoked@URL inconclusive(control_failed): not among the readable keys, but the ids of some keys cannot be read",
			"keyset@URL fail(schema): *"}},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "the current key with its private half" { // as somebody publishes it who encodes the wrong half
				text, _ := json.Marshal(rs)
				var private map[string]any
				json.Unmarshal(text, &private)
				c.answer = set(private, map[string]any{"d": "AA", "kty": "EC", "kid": "k3"}, ec)
			}
			url := probetest.Serve(t, map[string]http.HandlerFunc{"/jwks": c.answer}) + "/jwks"
			p := jwks([]string{url + "?v=1"}, "k1")
			if c.change != nil {
				c.change(p)
			}
			got := strings.Split(strings.ReplaceAll(probetest.NotPassed(probetest.Run(t, Kind(), p)), url, "URL"), "\n")
			if len(got) != len(c.want) {
				t.Fatalf("got\n%s", strings.Join(got, "\n"))
			}
			for i, want := range c.want {
				if prefix, ok := strings.CutSuffix(want, "*"); got[i] != want && !(ok && strings.HasPrefix(got[i], prefix)) {
					t.Errorf("got  %s\nwant %s", got[i], want)
				}
			}
		})
	}
}

// A key that is listed twice harms nobody, and one that is weak is a key that verifies.
func TestKeyset_counts(t *testing.T) {
	rs, ec := newJWK(t, "k1", "RS256"), newJWK(t, "k2", "ES256")
	weak := entry(t, rs, "kid", "z", "e", "Aw")
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/jwks": probetest.Respond(200, "application/json", keysetOf(t, rs, ec, rs, ec, weak))}) + "/jwks"
	r := probetest.Run(t, Kind(), jwks([]string{url}, "k1"))
	if got, want := probetest.Lines(r), "keyset@"+url+" pass(ok): 5 keys, of which 5 to verify signatures; 2 are listed twice\n"; !strings.Contains(got, want) {
		t.Errorf("got\n%swant %s", got, want)
	}
	once := probetest.Serve(t, map[string]http.HandlerFunc{"/jwks": probetest.Respond(200, "application/json", keysetOf(t, ec, ec))}) + "/jwks"
	if got, want := probetest.Lines(probetest.Run(t, Kind(), jwks([]string{once}, "k2"))), "2 keys, of which 2 to verify signatures; 1 is listed twice\n"; !strings.Contains(got, want) {
		t.Errorf("got\n%swant %s", got, want)
	}
	if got := sampled(r, keysGauge, url); got != 5 {
		t.Errorf("got %v keys, expected 5", got)
	}
}

func TestJWKS_samples(t *testing.T) {
	k1, k2 := newJWK(t, "k1", "ES256"), newJWK(t, "k2", "ES256")
	url := probetest.Serve(t, map[string]http.HandlerFunc{
		"/jwks": func(w http.ResponseWriter, q *http.Request) {
			if q.Header.Get("Cache-Control") != "no-cache" {
				t.Error("the request does not ask for what is not cached")
			}
			w.Header().Set("Cache-Control", "public, max-age=600")
			probetest.Respond(200, "application/json", keysetOf(t, k1, k2, entry(t, newJWK(t, "e", "ES256"), "use", "enc"), map[string]any{"kty": "?"}))(w, q)
		},
		"/token": issues(t, k1),
	})
	p := jwks([]string{url + "/jwks"}, "k1")
	p.Issuance, p.Revoked, p.Grace = freshFrom(t, url+"/token"), literals("k0"), probe.Duration(time.Hour)
	p.Verifiers = map[string]Verifier{"worker": {PEM: secret.Literal(strings.ReplaceAll(bundleOf(t, k1, k2), "\n", `\n`)), Kids: literals("k1", "k2")}}
	r := probetest.Run(t, Kind(), p)
	at := url + "/jwks"
	probetest.WantLines(t, r, "pass",
		"private@"+at+" pass(ok): nothing private in 4 keys",
		"private@worker pass(ok): nothing private in 2 keys",
		"revoked@"+at+` pass(ok): "k0" not in the set`,
		`revoked@worker pass(ok): "k0" not in the set`,
		"kid@"+at+` pass(ok): the kid "k1" in the set and fit to verify`,
		`kid@worker pass(ok): the kid "k1" in the set and fit to verify`,
		"signing pass(ok): a fresh token verifies with the published key that has its kid (ES256), at 2 of 2 verifiers",
		"agreement pass(ok): all 2 have the same keys under the same kids",
		"keyset@"+at+" pass(ok): 4 keys, of which 2 to verify signatures",
		"keyset@worker pass(ok): 2 keys, of which 2 to verify signatures",
		"strength@"+at+" pass(ok): no weak key",
		"strength@worker pass(ok): no weak key",
		"cache@"+at+" pass(ok): may be kept for 10m, within the grace of 1h",
	)
	for _, c := range []struct {
		measure *probe.Measure
		want    float64
		values  []string
	}{
		{kidPresentGauge, 1, []string{at, "k1"}}, {kidPresentGauge, 0, []string{at, "k0"}}, {kidPresentGauge, 1, []string{"worker", "k1"}},
		{keysGauge, 2, []string{at}}, {maxAgeGauge, 600, []string{at}}, {maxAgeGauge, -1, []string{"worker"}},
		{ignoredKeysGauge, 1, []string{at, "unknown_type"}}, {ignoredKeysGauge, 1, []string{at, "not_for_signing"}}, {ignoredKeysGauge, 0, []string{at, "unreadable"}},
	} {
		if got := sampled(r, c.measure, c.values...); got != c.want {
			t.Errorf("%s%v: got %v, want %v", c.measure.Name, c.values, got, c.want)
		}
	}
	if got := stateOf(t, r); got != "aligned" {
		t.Errorf("the state is %s", got)
	}
	if len(r.Exchanges) != 2 || r.Exchanges[0].Check != "signing" || r.Exchanges[1].Check != "keyset" {
		t.Errorf("got the exchanges %+v, want one for the token and one for the set", r.Exchanges)
	}
}

// TestJWKS_states goes through the table of states: the worst is named, and the first check that fails is the one to
// act on.
func TestJWKS_states(t *testing.T) {
	k1, k2, k3 := newJWK(t, "k1", "ES256"), newJWK(t, "k2", "ES256"), newJWK(t, "k3", "ES256")
	false1 := newJWK(t, "k1", "ES256")
	set := func(entries ...any) http.HandlerFunc {
		return probetest.Respond(200, "application/json", keysetOf(t, entries...))
	}
	refused := probetest.Respond(500, "application/json", `{"error":"server_error"}`)
	both := set(k1, k2)
	for name, c := range map[string]struct {
		a, b, token http.HandlerFunc
		kids        []string
		state       string
		want        []string
	}{
		"all have the key that signs":                  {both, both, issues(t, k1), []string{"k1"}, "aligned", []string{"pass"}},
		"the key that signs is not the configured one": {both, both, issues(t, k2), []string{"k1"}, "aligned", []string{"pass"}},
		"no token": {both, both, refused, []string{"k1"}, "aligned_unverified",
			[]string{"inconclusive", "signing inconclusive(control_failed): no fresh token: expected 200, got 500"}},
		"a token refused": {both, both, probetest.Respond(401, "application/json", `{"error":"invalid_client"}`), []string{"k1"}, "aligned_unverified",
			[]string{"inconclusive", "signing inconclusive(credential): no fresh token: expected a token, got 401 (invalid_client)*"}},
		"no token is asked for": {both, both, nil, []string{"k1"}, "aligned_unverified", []string{"pass"}},
		"signed with a key that nobody has": {both, both, issues(t, k3), []string{"k1"}, "signing_with_unpublished_key",
			[]string{"fail", "signing fail(signing_with_unpublished_key): a fresh token is signed with a key that no verifier has: verifiers reject it"}},
		"signed with another key of that kid": {both, both, issues(t, false1), []string{"k1"}, "kid_conflict",
			[]string{"fail", "signing fail(kid_conflict): A: a fresh token does not verify with the key that has its kid: another key signs"}},
		"another key under the kid at one": {both, set(false1, k2), issues(t, k1), []string{"k1"}, "kid_conflict", []string{"fail",
			"signing fail(kid_conflict): B: a fresh token does not verify with the key that has its kid: another key signs",
			`agreement fail(kid_conflict): the kid "k1" stands for 2 different keys (one at A, one at B): tokens are rejected at random`}},
		"another key under a kid that nobody named": {set(k1, k2), set(k1, entry(t, k3, "kid", "k2")), nil, []string{"k1"}, "kid_conflict",
			[]string{"fail", "agreement fail(kid_conflict): another kid stands for 2 different keys (one at A, one at B): tokens are rejected at random"}},
		"one lacks the key": {both, set(k2), issues(t, k1), []string{"k1"}, "replica_missing_kid", []string{"fail",
			`kid@B fail(replica_missing_kid): expected the kid "k1", got a set without it; 1 of 2 verifiers lack it`}},
		"one lacks the key that signs": {both, set(k2), issues(t, k1), nil, "replica_missing_kid", []string{"fail",
			"kid@B fail(replica_missing_kid): expected the kid of a fresh token, got a set without it; 1 of 2 verifiers lack it"}},
		"one lacks another key": {both, set(k1), issues(t, k1), []string{"k1"}, "aligned",
			[]string{"inconclusive", "agreement inconclusive(settling): *"}},
		"nobody has the key, which signs": {set(k2), set(k2), issues(t, k1), []string{"k1"}, "kid_missing", []string{"fail",
			`kid@A fail(kid_missing): expected the kid "k1", got a set without it, like every other verifier`,
			`kid@B fail(kid_missing): expected the kid "k1", got a set without it, like every other verifier`,
			"signing fail(signing_with_unpublished_key): *"}},
		"one is down": {both, probetest.Respond(503, "", ""), issues(t, k1), []string{"k1"}, "unreachable", []string{"fail",
			"agreement inconclusive(control_failed): only 1 of 2 verifiers could be compared",
			"keyset@B fail(status): expected 2xx, got 503"}},
		"one is down, and nobody else has the key that signs": {set(k2), probetest.Respond(503, "", ""), issues(t, k1), nil, "unreachable", []string{"fail",
			"signing inconclusive(control_failed): the key that signed a fresh token is in no key set that could be read; 1 of 2 could not",
			"agreement inconclusive(control_failed): *", "keyset@B fail(status): *"}},
		"all are down": {refused, refused, issues(t, k1), []string{"k1"}, "unreachable", []string{"fail",
			"signing inconclusive(control_failed): a fresh token was issued, but no key set could be read to verify it by",
			"keyset@A fail(status): *", "keyset@B fail(status): *"}},
		"an invalid token": {both, both, probetest.Respond(200, "application/json", `{"access_token":"opaque-opaque-opaque","token_type":"Bearer"}`), []string{"k1"}, "aligned_unverified",
			[]string{"fail", "signing fail(schema): a fresh token cannot be read as a JWT: not a signed JWT in compact form (RFC 7519)"}},
		"a token for another algorithm than its key": {set(entry(t, k1, "alg", "ES384"), k2), set(entry(t, k1, "alg", "ES384"), k2), issues(t, k1), nil, "aligned", []string{"fail",
			"kid@A fail(alg_mismatch): the kid of a fresh token is published, but its use*", "kid@B fail(alg_mismatch): *",
			"signing inconclusive(control_failed): A: a fresh token cannot be verified, since the key with its kid is unusable: see the other checks"}},
	} {
		t.Run(name, func(t *testing.T) {
			url := probetest.Serve(t, map[string]http.HandlerFunc{"/a": c.a, "/b": c.b, "/token": c.token})
			p := jwks([]string{url + "/a", url + "/b"}, c.kids...)
			if c.token != nil {
				p.Issuance = freshFrom(t, url+"/token")
			}
			r := probetest.Run(t, Kind(), p)
			got := strings.Split(strings.NewReplacer(url+"/a", "A", url+"/b", "B").Replace(probetest.NotPassed(r)), "\n")
			if len(got) != len(c.want) {
				t.Fatalf("got\n%s", strings.Join(got, "\n"))
			}
			for i, want := range c.want {
				if prefix, ok := strings.CutSuffix(want, "*"); got[i] != want && !(ok && strings.HasPrefix(got[i], prefix)) {
					t.Errorf("got  %s\nwant %s", got[i], want)
				}
			}
			if c.state == "replica_missing_kid" && strings.Contains(probetest.Lines(r), "\nagreement ") {
				t.Errorf("verifiers that differ are said to agree:\n%s", probetest.Lines(r))
			}
			if state := stateOf(t, r); state != c.state {
				t.Errorf("the state is %s, want %s", state, c.state)
			}
		})
	}
}
