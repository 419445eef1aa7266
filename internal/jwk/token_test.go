package jwk

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// sign issues a token with these claims, signed by a key as its alg and kid say.
func sign(t testing.TB, key jose.JSONWebKey, claims any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// part encodes a part of a token by hand.
func part(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// published is the set of the public halves of keys.
func published(t testing.TB, keys ...jose.JSONWebKey) Set {
	t.Helper()
	var all jose.JSONWebKeySet
	for _, k := range keys {
		all.Keys = append(all.Keys, k.Public())
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	set, err := Parse(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func newEC(t testing.TB, id string) jose.JSONWebKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: private, KeyID: id, Algorithm: "ES256", Use: "sig"}
}

func TestVerifyAcceptsNothingButTheRightKey(t *testing.T) {
	a, b := newEC(t, "a"), newEC(t, "b")
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	r := jose.JSONWebKey{Key: private, KeyID: "r", Algorithm: "RS256", Use: "sig"}
	set := published(t, a, b, r)
	claims := map[string]any{"sub": "me"}
	good := sign(t, a, claims)
	parts := strings.Split(good, ".")

	as := func(key jose.JSONWebKey, id, alg string) jose.JSONWebKey {
		key.KeyID, key.Algorithm = id, alg
		return key
	}
	flipped, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	flipped[4] ^= 1
	anonymous, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: a.Key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	withoutKID, err := jwt.Signed(anonymous).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := anonymous.Sign([]byte("[1]"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	hmac := sign(t, jose.JSONWebKey{Key: private.N.Bytes(), KeyID: "r", Algorithm: "HS256"}, claims)

	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"the right key":                           {good, nil},
		"the right RSA key":                       {sign(t, r, claims), nil},
		"one bit of the signature flipped":        {parts[0] + "." + parts[1] + "." + part(string(flipped)), ErrSignature},
		"other claims under the signature":        {parts[0] + "." + part(`{"sub":"you"}`) + "." + parts[2], ErrSignature},
		"no signature":                            {parts[0] + "." + parts[1] + ".", ErrSignature},
		"the kid of another key":                  {sign(t, as(b, "a", "ES256"), claims), ErrSignature},
		"a kid that nobody has":                   {sign(t, as(a, "z", "ES256"), claims), ErrNoKey},
		"a kid in other letters":                  {sign(t, as(a, "A", "ES256"), claims), ErrNoKey},
		"no kid":                                  {withoutKID, ErrNoKeyID},
		"an algorithm that the key is not for":    {sign(t, as(r, "r", "PS256"), claims), ErrKey},
		"the kid of a key of another type":        {sign(t, as(r, "a", "RS256"), claims), ErrKey},
		"alg none":                                {part(`{"alg":"none","kid":"a"}`) + "." + parts[1] + ".", ErrAlgorithm},
		"alg None":                                {part(`{"alg":"None","kid":"a"}`) + "." + parts[1] + ".", ErrAlgorithm},
		"no alg":                                  {part(`{"kid":"a"}`) + "." + parts[1] + "." + parts[2], ErrAlgorithm},
		"HS256 keyed with the public key":         {hmac, ErrAlgorithm},
		"an algorithm that is not allowed here":   {sign(t, as(r, "r", "RS512"), claims), ErrAlgorithm},
		"an extension that it says is critical":   {part(`{"alg":"ES256","kid":"a","crit":["exp"],"exp":1}`) + "." + parts[1] + "." + parts[2], ErrCritical},
		"a key of its own in the header":          {part(`{"alg":"ES256","kid":"z","jwk":{`+ecKey+`}}`) + "." + parts[1] + "." + parts[2], ErrNoKey},
		"claims that are no object":               {list, ErrClaims},
		"an exp that is a text":                   {sign(t, a, map[string]any{"exp": "soon"}), ErrClaims},
		"a header that is no JSON":                {part("{") + "." + parts[1] + "." + parts[2], ErrToken},
		"padding":                                 {good + "=", ErrToken},
		"two parts":                               {parts[0] + "." + parts[1], ErrToken},
		"four parts":                              {good + ".x", ErrToken},
		"JSON serialisation":                      {`{"payload":"a.b.c","protected":"x","signature":"y"}`, ErrToken},
		"nothing":                                 {"", ErrToken},
		"fifty million dots, which nobody splits": {strings.Repeat(".", 50<<20), ErrLong},
		"longer than a header":                    {good + strings.Repeat("A", MaxTokenLength), ErrLong},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := ReadToken(c.token)
			var key Key
			if err == nil {
				key, err = set.Verify(token, []string{"ES256", "RS256", "PS256"})
			}
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if (err == nil) != (key.Public != nil) {
				t.Errorf("the key that verified: %+v", key)
			}
		})
	}
}

// TestVerifyTriesEveryKeyOfAnID: RFC 7517 wants ids distinct, and not all issuers keep to it.
func TestVerifyTriesEveryKeyOfAnID(t *testing.T) {
	first, second := newEC(t, "a"), newEC(t, "a")
	set := published(t, first, second)
	for i, key := range []jose.JSONWebKey{first, second} {
		token, err := ReadToken(sign(t, key, map[string]any{}))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := set.Verify(token, Algorithms); err != nil || got.Thumbprint != set[i].Thumbprint {
			t.Errorf("key %d: got %v, %v", i, got.Thumbprint, err)
		}
	}
}

// A key in which something is wrong verifies nothing, also where it could.
func TestVerify_ignoresUnusableKeys(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(k *jose.JSONWebKey){
		"for encryption":        func(k *jose.JSONWebKey) { k.Use = "enc" },
		"for another algorithm": func(k *jose.JSONWebKey) { k.Algorithm = "ES384" },
	} {
		key := newEC(t, "a")
		token, err := ReadToken(sign(t, key, map[string]any{}))
		if err != nil {
			t.Fatal(err)
		}
		change(&key)
		if _, err := published(t, key).Verify(token, Algorithms); !errors.Is(err, ErrKey) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	key := jose.JSONWebKey{Key: weak, KeyID: "a", Algorithm: "RS256", Use: "sig"}
	token, err := ReadToken(sign(t, key, map[string]any{}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := published(t, key).Verify(token, Algorithms); !errors.Is(err, ErrKey) {
		t.Errorf("a weak key: got %v", err)
	}
	other := newEC(t, "a")
	other.Algorithm = ""
	if _, err := published(t, other).Verify(token, Algorithms); !errors.Is(err, ErrKey) {
		t.Errorf("a key of another type: got %v", err)
	}
}

func TestAlgorithms(t *testing.T) {
	for _, c := range []struct {
		key       Key
		kind      string
		algorithm string
	}{
		{Key{Type: "RSA"}, "RSA", "RS256 RS384 RS512 PS256 PS384 PS512"},
		{Key{Type: "EC", Curve: "P-256"}, "EC", "ES256"},
		{Key{Type: "EC", Curve: "P-384"}, "EC", "ES384"},
		{Key{Type: "EC", Curve: "P-521"}, "EC", "ES512"},
		{Key{Type: "OKP", Curve: "Ed25519"}, "OKP", "EdDSA Ed25519"},
	} {
		if got := strings.Join(c.key.Algorithms(), " "); got != c.algorithm {
			t.Errorf("%s %s: got %s, expected %s", c.key.Type, c.key.Curve, got, c.algorithm)
		}
		for _, algorithm := range c.key.Algorithms() {
			if got := TypeFor(algorithm); got != c.kind {
				t.Errorf("%s needs a key of type %s, expected %s", algorithm, got, c.kind)
			}
		}
	}
	if got := Allowed([]string{"ES256"}); len(got) != 1 || got[0] != "ES256" {
		t.Errorf("a verifier that allows ES256: got %v", got)
	}
	if got := Allowed(nil); len(got) != len(Algorithms) {
		t.Errorf("a verifier that lists none: got %v", got)
	}
}

func TestReadSaysWhatATokenSays(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	key := newEC(t, "a")
	token, err := ReadToken(sign(t, key, map[string]any{"iss": "i", "sub": "s", "jti": "j", "aud": []string{"x", "y"},
		"exp": now.Add(time.Minute).Unix(), "iat": now.Unix(), "nbf": now.Unix() - 1}))
	if err != nil {
		t.Fatal(err)
	}
	if token.KeyID != "a" || token.Algorithm != "ES256" || token.Issuer != "i" || token.Subject != "s" || token.ID != "j" ||
		strings.Join(token.Audience, " ") != "x y" || !token.Expiry.Equal(now.Add(time.Minute)) || !token.IssuedAt.Equal(now) ||
		!token.NotBefore.Equal(now.Add(-time.Second)) {
		t.Errorf("got %+v", token)
	}
	if bare, err := ReadToken(sign(t, key, map[string]any{})); err != nil || !bare.Expiry.IsZero() || !bare.IssuedAt.IsZero() || !bare.NotBefore.IsZero() {
		t.Errorf("a token that says nothing: %+v, %v", bare, err)
	}
}

// signedByHand is a token with this header and a signature by an Ed25519 key.
func signedByHand(private ed25519.PrivateKey, header string) string {
	parts := part(header) + "." + part(`{"iss":"a"}`)
	return parts + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(private, []byte(parts)))
}

// TestVerify_ed25519: RFC 9864 gives the algorithm a name of its own, and EdDSA is still in use.
func TestVerify_ed25519(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x := base64.RawURLEncoding.EncodeToString(public)
	for _, c := range []struct {
		key, alg string
		signer   ed25519.PrivateKey
		want     error
	}{
		{"Ed25519", "Ed25519", private, nil},
		{"EdDSA", "EdDSA", private, nil},
		{"", "Ed25519", private, nil},
		{"", "EdDSA", private, nil},
		{"EdDSA", "Ed25519", private, ErrKey},
		{"Ed25519", "EdDSA", private, ErrKey},
		{"Ed25519", "Ed25519", other, ErrSignature},
		{"ES256", "Ed25519", private, ErrKey},
	} {
		set, err := Parse(t.Context(), []byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","alg":`+cmp.Or(strings.Replace(jsonText(t, c.key), `""`, "", 1), "null")+`,"x":"`+x+`"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		token, err := ReadToken(signedByHand(c.signer, `{"alg":"`+c.alg+`","kid":"a"}`))
		if err != nil {
			t.Fatalf("%s: %v", c.alg, err)
		}
		if _, err := set.Verify(token, Algorithms); !errors.Is(err, c.want) {
			t.Errorf("a key for %q, a token with %s: got %v, want %v", c.key, c.alg, err, c.want)
		}
		if _, err := set.Verify(token, []string{"ES256"}); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%s: got %v, want %v", c.alg, err, ErrAlgorithm)
		}
	}
}

// TestVerify_critical: a rightly signed token may demand what is not known here.
func TestVerify_critical(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := Parse(t.Context(), []byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"`+base64.RawURLEncoding.EncodeToString(public)+`"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for crit, want := range map[string]error{
		`"crit":["https://a.example/x"],"https://a.example/x":1`: ErrCritical,
		`"crit":["exp"],"exp":1`:                                 ErrCritical,
		`"crit":[]`:                                              ErrCritical,
		`"crit":"b64"`:                                           ErrCritical,
		`"crit":["b64"],"b64":true`:                              nil,
		`"exp":1`:                                                nil,
	} {
		for _, alg := range []string{"EdDSA", "Ed25519"} {
			token, err := ReadToken(signedByHand(private, `{"alg":"`+alg+`","kid":"a",`+crit+`}`))
			if err == nil {
				_, err = set.Verify(token, Algorithms)
			}
			if !errors.Is(err, want) {
				t.Errorf("%s, %s: got %v, want %v", alg, crit, err, want)
			}
		}
	}
}

// TestVerify_oneKidForTwoTypes: each key is tried that could have signed (RFC 7517, section 4.5).
func TestVerify_oneKidForTwoTypes(t *testing.T) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rs, ec := jose.JSONWebKey{Key: r, KeyID: "a", Algorithm: "RS256"}, newEC(t, "a")
	set := published(t, rs, ec)
	for _, key := range []jose.JSONWebKey{rs, ec} {
		token, err := ReadToken(sign(t, key, map[string]any{"iss": "a"}))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := set.Verify(token, Algorithms); err != nil || got.Algorithm != key.Algorithm || TypeFor(token.Algorithm) != got.Type {
			t.Errorf("%s: got %+v, %v", key.Algorithm, got, err)
		}
	}
}
