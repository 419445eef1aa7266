package signature

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/jwk"
)

// headers makes a header of pairs.
func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func keysOf(t *testing.T, scheme string, texts ...string) *Keys {
	t.Helper()
	k := &Keys{}
	for _, text := range texts {
		if err := k.Add(scheme, text); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// The vector of the libraries of Standard Webhooks.
const (
	vectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorTime      = "1614265330"
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func macOf(key, content string) []byte {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(content))
	return h.Sum(nil)
}

func TestVerify_standard(t *testing.T) {
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	asymmetric := "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(private, []byte(vectorID+"."+vectorTime+"."+vectorBody)))
	whpk := "whpk_" + base64.StdEncoding.EncodeToString(public)
	other := "whsec_" + base64.StdEncoding.EncodeToString([]byte("another secret of 32 bytes......"))
	dotted := "v1," + base64.StdEncoding.EncodeToString(macOf("another secret of 32 bytes......", "a.5.6.{}"))
	for _, c := range []struct {
		name   string
		header http.Header
		body   string
		keys   []string
		want   error
	}{
		{"the vector of the libraries", headers("webhook-id", vectorID, "webhook-timestamp", vectorTime, "webhook-signature", vectorSignature), vectorBody, []string{vectorSecret}, nil},
		{"the names of Svix", headers("svix-id", vectorID, "svix-timestamp", vectorTime, "svix-signature", vectorSignature), vectorBody, []string{vectorSecret}, nil},
		{"names of both families", headers("svix-id", vectorID, "webhook-timestamp", vectorTime, "webhook-signature", vectorSignature), vectorBody, []string{vectorSecret}, ErrMissing},
		{"one of two secrets", headers("webhook-id", vectorID, "webhook-timestamp", vectorTime, "webhook-signature", vectorSignature), vectorBody, []string{other, vectorSecret}, nil},
		{"one of two signatures", headers("webhook-id", vectorID, "webhook-timestamp", vectorTime, "webhook-signature", "v1,AAAA "+vectorSignature), vectorBody, []string{vectorSecret}, nil},
		{"ed25519", headers("webhook-id", vectorID, "webhook-timestamp", vectorTime, "webhook-signature", "v1,AAAA "+asymmetric), vectorBody, []string{whpk}, nil},
		{"ed25519 without its public key", headers("webhook-id", vectorID, "webhook-timestamp", vectorTime, "webhook-signature", asymmetric), vectorBody, []string{vectorSecret}, ErrMismatch},
		{"another secret", headers("webhook-id", vectorID, "webhook-timestamp", vectorTime, "webhook-signature", vectorSignature), vectorBody, []string{other}, ErrMismatch},
		{"another body", headers("webhook-id", vectorID, "webhook-timestamp", vectorTime, "webhook-signature", vectorSignature), vectorBody + " ", []string{vectorSecret}, ErrMismatch},
		{"another id", headers("webhook-id", "msg_2", "webhook-timestamp", vectorTime, "webhook-signature", vectorSignature), vectorBody, []string{vectorSecret}, ErrMismatch},
		{"another time", headers("webhook-id", vectorID, "webhook-timestamp", "1614265331", "webhook-signature", vectorSignature), vectorBody, []string{vectorSecret}, ErrMismatch},
		{"no signature", headers("webhook-id", vectorID, "webhook-timestamp", vectorTime), vectorBody, []string{vectorSecret}, ErrMissing},
		{"an unknown version", headers("webhook-id", vectorID, "webhook-timestamp", vectorTime, "webhook-signature", "v2,AAAA"), vectorBody, []string{vectorSecret}, ErrMissing},
		{"no id", headers("webhook-timestamp", vectorTime, "webhook-signature", vectorSignature), vectorBody, []string{vectorSecret}, ErrMissing},
		{"no time", headers("webhook-id", vectorID, "webhook-signature", vectorSignature), vectorBody, []string{vectorSecret}, ErrMalformed},
		{"a time with a sign", headers("webhook-id", vectorID, "webhook-timestamp", "+1614265330", "webhook-signature", vectorSignature), vectorBody, []string{vectorSecret}, ErrMalformed},
		{"a time that overflows", headers("webhook-id", vectorID, "webhook-timestamp", "99999999999999999999", "webhook-signature", vectorSignature), vectorBody, []string{vectorSecret}, ErrMalformed},
		{"two signatures in two headers", headers("webhook-id", vectorID, "webhook-timestamp", vectorTime, "webhook-signature", vectorSignature, "webhook-signature", "v1,AAAA"), vectorBody, []string{vectorSecret}, ErrMalformed},
		{"more signatures than anybody sends", headers("webhook-id", vectorID, "webhook-timestamp", vectorTime, "webhook-signature", strings.Repeat("v1,AAAA ", 40)+vectorSignature), vectorBody, []string{vectorSecret}, ErrMalformed},
		{"an id with a dot", headers("webhook-id", "a.5", "webhook-timestamp", "6", "webhook-signature", dotted), "{}", []string{other}, ErrMalformed},
		{"the same content, cut elsewhere", headers("webhook-id", "a", "webhook-timestamp", "5", "webhook-signature", dotted), "6.{}", []string{other}, nil}, // JSON never begins so
	} {
		form := &Form{Scheme: Standard}
		signed, err := form.Verify(c.header, []byte(c.body), keysOf(t, Standard, c.keys...))
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: got %v, expected %v", c.name, err, c.want)
		}
		if err == nil && (signed.ID != cmpOr(c.header.Get("webhook-id"), c.header.Get("svix-id")) || signed.Timestamp.IsZero() || string(signed.Payload) != c.body) {
			t.Errorf("%s: got the id %q, the time %s and %d bytes", c.name, signed.ID, signed.Timestamp, len(signed.Payload))
		}
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func TestVerify_hmac(t *testing.T) {
	github := &Form{Scheme: HMAC, Header: "X-Hub-Signature-256", Prefix: "sha256=", Hex: true, Content: PartBody}
	const githubSecret = "It's a Secret to Everybody"
	const githubSignature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17" // of GitHub's documentation
	stripe := &Form{Scheme: HMAC, Header: "Stripe-Signature", Prefix: "v1=", Hex: true, Content: "{timestamp}.{body}", Timestamp: "t="}
	stripeSignature := hex.EncodeToString(macOf("whsec_stripe", "1492774577.{body}"))
	slack := &Form{Scheme: HMAC, Header: "X-Slack-Signature", Prefix: "v0=", Hex: true, Content: "v0:{timestamp}:{body}", Timestamp: "X-Slack-Request-Timestamp"}
	slackSignature := "v0=" + hex.EncodeToString(macOf("slack", "v0:1531420618:a=b"))
	shopify := &Form{Scheme: HMAC, Header: "X-Shopify-Hmac-Sha256", Content: PartBody}
	for _, c := range []struct {
		name   string
		form   *Form
		header http.Header
		body   string
		secret string
		want   error
	}{
		{"as GitHub's", github, headers("X-Hub-Signature-256", githubSignature), "Hello, World!", githubSecret, nil},
		{"without the prefix", github, headers("X-Hub-Signature-256", githubSignature[7:]), "Hello, World!", githubSecret, ErrMissing},
		{"in base64 where hexadecimal is due", github, headers("X-Hub-Signature-256", "sha256=AAAA"), "Hello, World!", githubSecret, ErrMismatch},
		{"cut short", github, headers("X-Hub-Signature-256", githubSignature[:20]), "Hello, World!", githubSecret, ErrMismatch},
		{"of nothing", github, headers("X-Hub-Signature-256", "sha256="), "Hello, World!", githubSecret, ErrMissing},
		{"as Stripe's", stripe, headers("Stripe-Signature", "t=1492774577,v1="+stripeSignature+",v0=00"), "{body}", "whsec_stripe", nil},
		{"as Stripe's, with spaces and an old secret", stripe, headers("Stripe-Signature", "t=1492774577, v1=00, v1="+stripeSignature), "{body}", "whsec_stripe", nil},
		{"as Stripe's, at another time", stripe, headers("Stripe-Signature", "t=1492774578,v1="+stripeSignature), "{body}", "whsec_stripe", ErrMismatch},
		{"as Stripe's, at two times", stripe, headers("Stripe-Signature", "t=1492774577,t=1492774578,v1="+stripeSignature), "{body}", "whsec_stripe", ErrMalformed},
		{"as Stripe's, at no time", stripe, headers("Stripe-Signature", "v1="+stripeSignature), "{body}", "whsec_stripe", ErrMalformed},
		{"as Slack's", slack, headers("X-Slack-Signature", slackSignature, "X-Slack-Request-Timestamp", "1531420618"), "a=b", "slack", nil},
		{"as Slack's, without a time", slack, headers("X-Slack-Signature", slackSignature), "a=b", "slack", ErrMalformed},
		{"as Shopify's", shopify, headers("X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(macOf("shop", "{}"))), "{}", "shop", nil},
		{"as Shopify's, of an empty body", shopify, headers("X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(macOf("shop", ""))), "", "shop", nil},
		{"as Shopify's, of another shop", shopify, headers("X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(macOf("pohs", "{}"))), "{}", "shop", ErrMismatch},
		{"a v1a, which only Standard Webhooks has", shopify, headers("X-Shopify-Hmac-Sha256", "v1a,AAAA"), "{}", "shop", ErrMismatch},
		{"a shared token", &Form{Scheme: Token, Header: "X-Gitlab-Token"}, headers("X-Gitlab-Token", "a-token"), "{}", "a-token", nil},
		{"a bearer token", &Form{Scheme: Token, Header: "Authorization", Prefix: "Bearer "}, headers("Authorization", "Bearer a-token"), "{}", "a-token", nil},
		{"another token", &Form{Scheme: Token, Header: "X-Gitlab-Token"}, headers("X-Gitlab-Token", "a-tokem"), "{}", "a-token", ErrMismatch},
		{"no token", &Form{Scheme: Token, Header: "X-Gitlab-Token"}, headers(), "{}", "a-token", ErrMissing},
	} {
		if _, err := c.form.Verify(c.header, []byte(c.body), keysOf(t, c.form.Scheme, c.secret)); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: got %v, expected %v", c.name, err, c.want)
		}
	}
}

// A signer signs as a provider does.
type signer struct {
	kid     string
	key     crypto.Signer
	alg     jose.SignatureAlgorithm
	options *jose.SignerOptions
}

func (s *signer) sign(t *testing.T, payload string, detached bool) string {
	t.Helper()
	if s.options == nil {
		s.options = &jose.SignerOptions{}
	}
	made, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: jose.JSONWebKey{Key: s.key, KeyID: s.kid}}, s.options)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := made.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	serialize := signed.CompactSerialize
	if detached {
		serialize = signed.DetachedCompactSerialize
	}
	text, err := serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func setOf(t *testing.T, signers ...*signer) jwk.Set {
	t.Helper()
	var keys []jose.JSONWebKey
	for _, s := range signers {
		keys = append(keys, jose.JSONWebKey{Key: s.key.Public(), KeyID: s.kid, Use: "sig"})
	}
	body, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	set, err := jwk.Parse(t.Context(), body)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// ed25519ByItsNewName signs with the algorithm as RFC 9864 calls it, which the library does not know.
func ed25519ByItsNewName(key ed25519.PrivateKey, kid, payload string, detached bool) string {
	b64 := base64.RawURLEncoding.EncodeToString
	header := b64(fmt.Appendf(nil, `{"alg":"Ed25519","kid":%q}`, kid))
	signature := b64(ed25519.Sign(key, []byte(header+"."+b64([]byte(payload)))))
	if detached {
		payload = ""
	}
	return header + "." + b64([]byte(payload)) + "." + signature
}

func TestVerify_jws(t *testing.T) {
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	strange, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	es, eddsa := &signer{kid: "es", key: p256, alg: jose.ES256}, &signer{kid: "ed", key: ed, alg: jose.EdDSA}
	forger := &signer{kid: "es", key: strange, alg: jose.ES256}
	unknown := &signer{kid: "gone", key: p256, alg: jose.ES256}
	nameless := &signer{key: p256, alg: jose.ES256}
	unencoded := &signer{kid: "es", key: p256, alg: jose.ES256, options: (&jose.SignerOptions{}).WithBase64(false)}
	critical := &signer{kid: "es", key: p256, alg: jose.ES256, options: (&jose.SignerOptions{}).WithCritical("made-up").WithHeader("made-up", 1)}
	keys := &Keys{Set: setOf(t, es, eddsa)}
	inHeader, inBody, detached := &Form{Scheme: JWS, Header: "X-Signature"}, &Form{Scheme: JWS}, &Form{Scheme: Detached, Header: "X-Signature"}
	const body = `{"event_id": "7"}`
	for _, c := range []struct {
		name  string
		form  *Form
		value string // of the header, or the body
		body  string
		want  error
	}{
		{"in a header", inHeader, es.sign(t, body, false), body, nil},
		{"in a header, of another body", inHeader, es.sign(t, body, false), `{"event_id": "8"}`, ErrMismatch},
		{"in a header, by Ed25519", inHeader, eddsa.sign(t, body, false), body, nil},
		{"in a header, by Ed25519 of RFC 9864", inHeader, ed25519ByItsNewName(ed, "ed", body, false), body, nil},
		{"detached in place of whole", inHeader, es.sign(t, body, true), body, ErrMismatch},
		{"detached", detached, es.sign(t, body, true), body, nil},
		{"detached, of another body", detached, es.sign(t, body, true), body + " ", ErrMismatch},
		{"detached, of no body", detached, es.sign(t, "", true), "", nil},
		{"detached, by Ed25519 of RFC 9864", detached, ed25519ByItsNewName(ed, "ed", body, true), body, nil},
		{"detached, by Ed25519 of RFC 9864, of another body", detached, ed25519ByItsNewName(ed, "ed", body, true), body + " ", ErrMismatch},
		{"detached, not encoded (RFC 7797)", detached, unencoded.sign(t, body, true), body, nil},
		{"whole in place of detached", detached, es.sign(t, body, false), body, ErrMalformed},
		{"the body itself (RFC 8935)", inBody, "", es.sign(t, body, false), nil},
		{"a body that is no signature", inBody, "", body, ErrMalformed},
		{"by a forger", detached, forger.sign(t, body, true), body, ErrMismatch},
		{"by a key that is not published", detached, unknown.sign(t, body, true), body, ErrUnknownKey},
		{"by a key without a name", detached, nameless.sign(t, body, true), body, ErrUnknownKey},
		{"with an extension that must be known", detached, critical.sign(t, body, true), body, ErrMismatch},
		{"by nobody", detached, base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"es"}`)) + "..", body, ErrMalformed},
		{"by an HMAC of the public key", detached, base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","kid":"es"}`)) + "..AAAA", body, ErrMalformed},
		{"empty", detached, "", body, ErrMalformed},
	} {
		h := http.Header{}
		if c.form.Header != "" {
			h.Set(c.form.Header, c.value)
		}
		signed, err := c.form.Verify(h, []byte(c.body), keys)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: got %v, expected %v", c.name, err, c.want)
		}
		if err == nil && (signed.Key.ID == "" || string(signed.Payload) != c.body && string(signed.Payload) != body) {
			t.Errorf("%s: got the key %q and the payload %q", c.name, signed.Key.ID, signed.Payload)
		}
	}
}

// What is signed by a key that cannot be used is no forgery: it is the publisher's mistake, or a type that is not known here.
func TestJWS_unusable(t *testing.T) {
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	es := &signer{kid: "k", key: p256, alg: jose.ES256}
	sound, err := json.Marshal(jose.JSONWebKey{Key: p256.Public(), KeyID: "k"})
	if err != nil {
		t.Fatal(err)
	}
	const body, known = "{}", `{"kty": "EC", "crv": "P-256", "kid": "k", "x": "AAAA", "y": "AAAA"}`
	alg := func(name string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"`+name+`","kid":"k"}`)) + "..AAAA"
	}
	for _, c := range []struct {
		name, key, signature string
		want                 error
	}{
		{"a sound key", string(sound), es.sign(t, body, true), nil},
		{"a broken one", known, es.sign(t, body, true), ErrUnusable},
		{"one with a member of another type", `{"kty": "EC", "crv": 7, "kid": "k"}`, es.sign(t, body, true), ErrUnusable},
		{"one that is for encryption", strings.Replace(string(sound), "{", `{"use":"enc",`, 1), es.sign(t, body, true), ErrUnusable},
		{"a private one", `{"kty": "oct", "kid": "k", "k": "AAAA"}`, es.sign(t, body, true), ErrUnusable},
		{"one of another type", `{"kty": "AKP", "alg": "ML-DSA-65", "kid": "k", "pub": "AAAA"}`, es.sign(t, body, true), ErrUnknown},
		{"one of another curve", `{"kty": "EC", "crv": "secp256k1", "kid": "k", "x": "AAAA", "y": "AAAA"}`, es.sign(t, body, true), ErrUnknown},
		{"a broken one and a sound one", known + "," + string(sound), es.sign(t, body, true), nil},
		{"a sound one and a forger", string(sound), (&signer{kid: "k", key: mustKey(t), alg: jose.ES256}).sign(t, body, true), ErrMismatch},
		{"one of another type beside it, and a forger", `{"kty": "AKP", "kid": "k"},` + string(sound), (&signer{kid: "k", key: mustKey(t), alg: jose.ES256}).sign(t, body, true), ErrMismatch},
		{"an algorithm that is not known", string(sound), alg("ML-DSA-65"), ErrUnknown},
		{"none", string(sound), alg("nOne"), ErrMalformed},
		{"a shared secret", string(sound), alg("hs512"), ErrMalformed},
		{"no algorithm", string(sound), alg(""), ErrMalformed},
	} {
		set, err := jwk.Parse(t.Context(), []byte(`{"keys": [`+c.key+`]}`))
		if err != nil {
			t.Fatalf("%s: %s", c.name, err)
		}
		form := Form{Scheme: Detached, Header: "S"}
		if _, err := form.Verify(headers("S", c.signature), []byte(body), &Keys{Set: set}); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: got %v, expected %v", c.name, err, c.want)
		}
	}
}

func mustKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A delivery with one byte changed verifies in no scheme. A verifier that looks at nothing is found so.
func TestTampered(t *testing.T) {
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	es := &signer{kid: "es", key: p256, alg: jose.ES256}
	const body = `{"event_id": "7"}`
	for name, c := range map[string]struct {
		form   *Form
		header http.Header
		body   string
		keys   *Keys
		copies int
	}{
		"standard": {&Form{Scheme: Standard}, headers("webhook-id", vectorID, "webhook-timestamp", vectorTime, "webhook-signature", vectorSignature), vectorBody, keysOf(t, Standard, vectorSecret), 4},
		"a list":   {&Form{Scheme: Standard}, headers("svix-id", vectorID, "svix-timestamp", vectorTime, "svix-signature", vectorSignature+" v1,AAAA"), vectorBody, keysOf(t, Standard, vectorSecret), 3},
		"hmac": {&Form{Scheme: HMAC, Header: "S", Hex: true, Content: "{timestamp}{body}", Timestamp: "T"},
			headers("S", hex.EncodeToString(macOf("secret", "99"+body)), "T", "99"), body, keysOf(t, HMAC, "secret"), 3},
		"no body":  {&Form{Scheme: HMAC, Header: "S", Content: PartBody}, headers("S", base64.StdEncoding.EncodeToString(macOf("secret", ""))), "", keysOf(t, HMAC, "secret"), 2},
		"detached": {&Form{Scheme: Detached, Header: "S"}, headers("S", es.sign(t, body, true)), body, &Keys{Set: setOf(t, es)}, 2},
		"whole":    {&Form{Scheme: JWS, Header: "S"}, headers("S", es.sign(t, body, false)), body, &Keys{Set: setOf(t, es)}, 2},
		"body":     {&Form{Scheme: JWS}, headers(), es.sign(t, body, false), &Keys{Set: setOf(t, es)}, 1},
		"token":    {&Form{Scheme: Token, Header: "S"}, headers("S", "a-token"), body, keysOf(t, Token, "a-token"), 1},
	} {
		if _, err := c.form.Verify(c.header, []byte(c.body), c.keys); err != nil {
			t.Fatalf("%s: the delivery itself does not verify: %s", name, err)
		}
		all, bodies := c.form.Tampered(c.header, []byte(c.body))
		if len(all) != c.copies {
			t.Errorf("%s: got %d copies, expected %d", name, len(all), c.copies)
		}
		for i := range all {
			if bytes.Equal(bodies[i], []byte(c.body)) && fmt.Sprint(all[i]) == fmt.Sprint(c.header) {
				t.Errorf("%s: copy %d is not changed", name, i)
			}
			if _, err := c.form.Verify(all[i], bodies[i], c.keys); err == nil {
				t.Errorf("%s: copy %d verifies: %v %q", name, i, all[i], bodies[i])
			}
		}
	}
}

func TestAdd(t *testing.T) {
	for text, want := range map[string]string{
		vectorSecret:     "",
		vectorSecret[6:]: "",
		"whpk_" + base64.StdEncoding.EncodeToString(make([]byte, 32)): "",
		"whpk_" + base64.StdEncoding.EncodeToString(make([]byte, 31)): "whsec_ or whpk_",
		"whsec_AAAA": "at least 16 bytes",
		"whsec_-":    "whsec_ or whpk_",
		"whsec_":     "at least 16 bytes",
	} {
		err := new(Keys).Add(Standard, text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, expected %q", text, err, want)
		}
	}
}

// FuzzVerify: no delivery is verified but the one that was signed, whatever it holds, and nothing panics.
func FuzzVerify(f *testing.F) {
	f.Add(vectorID, vectorTime, vectorSignature, "", "", vectorBody)
	f.Add("", "", "", "t=1492774577,v1=00", "a.b.c", "{}")
	f.Add("a.b", "-1", "v1,AAAA v1a,AAAA", "t=,t=", "..", "")
	public, _, _ := ed25519.GenerateKey(rand.Reader)
	key, err := base64.StdEncoding.DecodeString(vectorSecret[6:])
	if err != nil {
		f.Fatal(err)
	}
	keys := &Keys{Shared: [][]byte{key}, Public: []ed25519.PublicKey{public}}
	forms := []*Form{
		{Scheme: Standard},
		{Scheme: HMAC, Header: "S", Prefix: "v1=", Hex: true, Content: "{timestamp}.{body}", Timestamp: "t="},
		{Scheme: HMAC, Header: "S", Content: PartBody},
		{Scheme: JWS}, {Scheme: JWS, Header: "J"}, {Scheme: Detached, Header: "J"},
		{Scheme: Token, Header: "S"},
	}
	f.Fuzz(func(t *testing.T, id, stamp, signature, plain, compact, body string) {
		h := headers("Webhook-Id", id, "Webhook-Timestamp", stamp, "Webhook-Signature", signature, "S", plain, "J", compact)
		for _, form := range forms {
			signed, err := form.Verify(h, []byte(body), keys)
			real := form.Scheme == Standard && id+"."+stamp+"."+body == vectorID+"."+vectorTime+"."+vectorBody
			if err == nil && !real {
				t.Errorf("%s verifies %q %q", form.Scheme, h, body)
			}
			if err != nil && (signed.ID != "" || signed.Payload != nil || !slices.Contains([]error{ErrMissing, ErrMalformed, ErrUnknownKey, ErrMismatch, ErrUnusable, ErrUnknown}, err)) {
				t.Errorf("%s: got %+v and %v", form.Scheme, signed, err)
			}
			form.Tampered(h, []byte(body))
		}
	})
}
