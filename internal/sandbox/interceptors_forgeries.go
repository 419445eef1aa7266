package sandbox

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// errForged refuses a token that the verifier's flaw does not accept either.
var errForged = errors.New("forged")

// An unverified token is one of three parts whose signature nobody has looked at.
type unverified struct {
	head      map[string]any
	said      claims
	signed    string // what the signature is of
	signature []byte
	known     bool // its kid and its alg are those of one of the verifier's keys
}

// trusting accepts a token of three parts, in place of one with a valid signature, if a flaw takes it.
//
//go:noinline
func trusting(flaw func(v *verifier, t unverified) bool) func(*Sandbox, *verifier) {
	return func(_ *Sandbox, v *verifier) {
		alsoAccept(v, func(token string) (claims, error) {
			parts := strings.Split(token, ".")
			if len(parts) != 3 {
				return claims{}, errForged
			}
			var t unverified
			signature, err := base64.RawURLEncoding.DecodeString(parts[2])
			if err := errors.Join(err, decode(parts[0], &t.head), decode(parts[1], &t.said)); err != nil {
				return claims{}, err
			}
			t.signed, t.signature = parts[0]+"."+parts[1], signature
			for _, key := range v.keys {
				t.known = t.known || t.head["kid"] == key.KeyID && t.head["alg"] == key.Algorithm
			}
			if !flaw(v, t) {
				return claims{}, errForged
			}
			return t.said, nil
		})
	}
}

// anySignature looks at no signature, but expects one, and accepts no key beside it.
func anySignature(_ *verifier, t unverified) bool {
	return t.known && len(t.signature) > 0
}

// zeroSignature takes r = s = 0 for the signature of every text, as CVE-2022-21449 did.
func zeroSignature(_ *verifier, t unverified) bool {
	return t.known && len(t.signature) > 0 && len(bytes.Trim(t.signature, "\x00")) == 0
}

// noAlgorithm has no way to verify a token without an alg that it knows, and does without.
func noAlgorithm(_ *verifier, t unverified) bool {
	alg, _ := t.head["alg"].(string)
	return alg == "" && len(t.signature) == 0
}

// emptySecret has no secret for HS256.
func emptySecret(v *verifier, t unverified) bool {
	if t.head["alg"] != "HS256" || t.head["kid"] != v.keys[0].KeyID {
		return false
	}
	mac := hmac.New(sha256.New, nil)
	mac.Write([]byte(t.signed))
	return hmac.Equal(mac.Sum(nil), t.signature)
}

// longerHash refuses HS256, and takes the public key for a secret with HS384 and HS512.
func longerHash(v *verifier, t unverified) bool {
	hash := sha512.New384
	if t.head["alg"] == "HS512" {
		hash = sha512.New
	} else if t.head["alg"] != "HS384" {
		return false
	}
	text, err := pemBundle(v.keys[:1])
	if err != nil {
		return false
	}
	mac := hmac.New(hash, []byte(text))
	mac.Write([]byte(t.signed))
	return hmac.Equal(mac.Sum(nil), t.signature)
}

// ownKey verifies by the key or the certificate that the token brings along.
func ownKey(_ *verifier, t unverified) bool {
	token, err := jwt.ParseSigned(t.signed+"."+base64.RawURLEncoding.EncodeToString(t.signature), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return false
	}
	if key := token.Headers[0].JSONWebKey; key != nil {
		return token.Claims(key.Key, &claims{}) == nil
	}
	chain, _ := t.head["x5c"].([]any)
	if len(chain) == 0 {
		return false
	}
	text, _ := chain[0].(string)
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return false
	}
	certificate, err := x509.ParseCertificate(der)
	return err == nil && token.Claims(certificate.PublicKey, &claims{}) == nil
}

// remoteKey cannot fetch the keys from where the token says, and lets it in.
func remoteKey(_ *verifier, t unverified) bool { return t.head["jku"] != nil || t.head["x5u"] != nil }

// noKey has no key for the token, and lets it in.
func noKey(v *verifier, t unverified) bool {
	for _, key := range v.keys {
		if t.head["kid"] == key.KeyID {
			return false
		}
	}
	return len(t.signature) > 0
}

// otherText knows the signatures of stored tokens, and not what they are of.
func otherText(s *Sandbox, v *verifier) {
	alsoAccept(v, func(token string) (c claims, err error) {
		parts := strings.Split(token, ".")
		if len(parts) != 3 || parts[2] == "" {
			return c, errForged
		}
		for name, stored := range s.Env() {
			if strings.HasPrefix(name, "PROBER_DEMO_TOKEN_") && strings.HasSuffix(stored, "."+parts[2]) {
				return c, decode(parts[1], &c)
			}
		}
		return c, errForged
	})
}

// unsignedJSON accepts the JSON serialization with an empty list of signatures, all of which are valid.
func unsignedJSON(_ *Sandbox, v *verifier) {
	alsoAccept(v, func(token string) (c claims, err error) {
		var t struct {
			Payload    string
			Signatures *[]any
		}
		if json.Unmarshal([]byte(token), &t) != nil || t.Signatures == nil || len(*t.Signatures) > 0 {
			return c, errForged
		}
		return c, decode(t.Payload, &c)
	})
}

// otherPart verifies the first and the last two of four parts, and reads the second.
func otherPart(_ *Sandbox, v *verifier) {
	alsoAccept(v, func(token string) (c claims, err error) {
		parts := strings.Split(token, ".")
		if len(parts) != 4 {
			return c, errForged
		}
		if _, err := v.parseSigned(parts[0] + "." + parts[2] + "." + parts[3]); err != nil {
			return c, err
		}
		return c, decode(parts[1], &c)
	})
}

// decryptOnly takes what can be decrypted with the issuer's key for signed by it.
func decryptOnly(s *Sandbox, v *verifier) {
	alsoAccept(v, func(token string) (c claims, err error) {
		sealed, err := jose.ParseEncryptedCompact(token, []jose.KeyAlgorithm{jose.ECDH_ES}, []jose.ContentEncryption{jose.A128GCM})
		if err != nil {
			return c, err
		}
		text, err := sealed.Decrypt(s.keyring.ibex[0].Key)
		if err != nil {
			return c, err
		}
		return c, json.Unmarshal(text, &c)
	})
}
