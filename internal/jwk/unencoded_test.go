package jwk

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

// The vectors of RFC 7515, appendix A.3, and of RFC 8037, appendix A.4: whole, detached, and with one byte changed.
func TestReadSignature_vectors(t *testing.T) {
	point, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, bytesOf(t, "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")...), bytesOf(t, "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")...))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		compact string
		public  any
	}{
		"RFC 7515": {"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ." +
			"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
			point},
		"RFC 8037": {"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
			ed25519.PublicKey(bytesOf(t, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"))},
	} {
		whole, err := ReadSignature(c.compact, nil)
		if err != nil || !whole.verifiedBy(c.public) {
			t.Fatalf("%s: does not verify: %v", name, err)
		}
		parts := strings.Split(c.compact, ".")
		detached, err := ReadSignature(parts[0]+".."+parts[2], whole.Payload)
		if err != nil || !detached.verifiedBy(c.public) {
			t.Errorf("%s, detached: does not verify: %v", name, err)
		}
		detached.Payload = append(detached.Payload[:len(detached.Payload):len(detached.Payload)], ' ')
		if detached.verifiedBy(c.public) {
			t.Errorf("%s, detached: verifies with a byte more", name)
		}
	}
}

func bytesOf(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The vectors of RFC 7797, section 4: what is signed. They are made with an HMAC, which nothing of a key set verifies, so that they
// are refused as they are.
func TestReadSignature_unencodedVectors(t *testing.T) {
	key := bytesOf(t, "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
	for header, signature := range map[string]string{
		`{"alg":"HS256"}`: "5mvfOroL-g7HyqJoozehmsaqmvTYGEq5jTI1gVvoEoQ",
		`{"alg":"HS256","b64":false,"crit":["b64"]}`: "A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY",
	} {
		if _, err := ReadSignature(part(header)+".."+signature, []byte("$.02")); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%s: got %v, want %v", header, err, ErrAlgorithm)
		}
		asymmetric, err := ReadSignature(part(strings.Replace(header, "HS256", "EdDSA", 1))+".."+signature, []byte("$.02"))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(asymmetric.content()), ".") // the same but for the algorithm
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part(header) + "." + rest))
		if got := base64.RawURLEncoding.EncodeToString(mac.Sum(nil)); got != signature {
			t.Errorf("%s: got %s, want %s", header, got, signature)
		}
	}
}

// Each way to write the extension of RFC 7797, by both names of Ed25519, signed as the header says. Two verifiers must never read one
// signature as two things.
func TestReadSignature_extensions(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := Parse(t.Context(), []byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"`+base64.RawURLEncoding.EncodeToString(public)+`"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	const payload = `{"event_id": "7"}`
	for _, c := range []struct {
		extension string
		raw       bool // the payload is signed as it is
		want      error
	}{
		{``, false, nil},
		{``, true, ErrSignature},
		{`,"b64":true`, false, nil},
		{`,"b64":true,"crit":["b64"]`, false, nil},
		{`,"b64":true,"crit":["b64"]`, true, ErrSignature},
		{`,"b64":false,"crit":["b64"]`, true, nil},
		{`,"b64":false,"crit":["b64"]`, false, ErrSignature},
		{`,"b64":false`, true, ErrCritical},
		{`,"b64":false`, false, ErrCritical},
		{`,"b64":"false","crit":["b64"]`, false, ErrCritical},
		{`,"b64":0,"crit":["b64"]`, true, ErrCritical},
		{`,"b64":"true"`, false, ErrCritical},
		{`,"crit":["b64"]`, false, ErrCritical},
		{`,"b64":false,"crit":["b64","b64"]`, true, ErrCritical},
		{`,"b64":false,"crit":["b64","made-up"],"made-up":1`, true, ErrCritical},
		{`,"b64":false,"crit":["B64"]`, true, ErrCritical},
		{`,"crit":["alg"]`, false, ErrCritical},
		{`,"crit":[]`, false, ErrCritical},
		{`,"crit":"b64","b64":false`, true, ErrCritical},
	} {
		for _, alg := range []string{"EdDSA", "Ed25519"} {
			head := part(`{"alg":"` + alg + `","kid":"a"` + c.extension + `}`)
			middle := part(payload)
			if c.raw {
				middle = payload
			}
			signature := base64.RawURLEncoding.EncodeToString(ed25519.Sign(private, []byte(head+"."+middle)))
			verify := func(compact string, detached []byte) error {
				token, err := ReadSignature(compact, detached)
				if err == nil {
					_, err = set.Verify(token, Algorithms)
				}
				return err
			}
			if err := verify(head+".."+signature, []byte(payload)); !errors.Is(err, c.want) {
				t.Errorf("%s%s, raw %t, detached: got %v, want %v", alg, c.extension, c.raw, err, c.want)
			}
			if c.want != nil {
				continue
			}
			if err := verify(head+"."+middle+"."+signature, nil); err != nil {
				t.Errorf("%s%s, whole: got %v", alg, c.extension, err)
			}
			for what, compact := range map[string]string{
				"a line break behind it":      head + "." + middle + "." + signature + "\n",
				"a space in the header":       head[:4] + " " + head[4:] + "." + middle + "." + signature,
				"a line break in the payload": head + "." + middle[:4] + "\n" + middle[4:] + "." + signature,
				"a fourth part":               head + "." + middle + "." + signature + ".AAAA",
			} {
				if err := verify(compact, nil); !errors.Is(err, ErrToken) {
					t.Errorf("%s%s, %s: got %v, want %v", alg, c.extension, what, err, ErrToken)
				}
			}
			if err := verify(head+".. "+signature, []byte(payload)); !errors.Is(err, ErrToken) {
				t.Errorf("%s%s, detached with a space: got %v, want %v", alg, c.extension, err, ErrToken)
			}
		}
	}
	for payload, want := range map[string]error{" and ~": nil, "\x1f": ErrToken, "\x7f": ErrToken, "é": ErrToken} { // RFC 7797, section 5.2
		if _, err := ReadSignature(part(`{"alg":"EdDSA","b64":false,"crit":["b64"]}`)+"."+payload+".AAAA", nil); !errors.Is(err, want) {
			t.Errorf("the payload %q as it is: got %v, want %v", payload, err, want)
		}
	}
	for header, want := range map[string]string{`"typ":"application/Secevent+JWT"`: "secevent+jwt", `"typ":"JOSE"`: "jose", `"typ":7`: "", `"cty":"a"`: ""} {
		if token, err := ReadSignature(part(`{"alg":"EdDSA",`+header+`}`)+".AAAA.AAAA", nil); err != nil || token.Type != want {
			t.Errorf("%s: got %+v, %v, want the type %q", header, token, err, want)
		}
	}
	token, err := ReadToken(signedByHand(private, `{"alg":"EdDSA","kid":"a","b64":false,"crit":["b64"]}`))
	if err == nil {
		_, err = set.Verify(token, Algorithms)
	}
	if !errors.Is(err, ErrCritical) {
		t.Errorf("a JWT: got %v, want %v (RFC 7797, section 7)", err, ErrCritical)
	}
}
