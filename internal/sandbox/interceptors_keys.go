package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"prober/internal/drop"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// A keyChange changes a set of keys, each as its JSON in a key set.
type keyChange func(s *Sandbox, keys []any) []any

// publishKeys changes the key set that is published.
//
//go:noinline
func publishKeys(change keyChange) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		editJSON(func(body any) any {
			set, _ := body.(object)
			if keys, ok := set["keys"].([]any); ok {
				set["keys"] = change(at.host.sandbox, keys)
			}
			return body
		})(at, w, r)
	}
}

// verifyWithKeys verifies tokens with the changed keys.
//
//go:noinline
func verifyWithKeys(change keyChange) interceptor {
	return withVerifier(func(s *Sandbox, v *verifier) {
		var all []any
		for _, key := range v.keys {
			all = append(all, asJSON(key))
		}
		v.keys = nil
		for _, changed := range change(s, all) {
			var key jose.JSONWebKey
			if text, err := json.Marshal(changed); err == nil && key.UnmarshalJSON(text) == nil {
				v.keys = append(v.keys, key)
			}
		}
	})
}

// asJSON is a key as a key set shows it; that of a private key includes the private members.
func asJSON(key jose.JSONWebKey) any {
	var shown object
	if text, err := json.Marshal(key); err != nil || json.Unmarshal(text, &shown) != nil {
		return nil
	}
	return shown
}

func noKeys(*Sandbox, []any) []any { return []any{} }

// dropKey removes the key with an id.
func dropKey(kid string) keyChange {
	return func(_ *Sandbox, keys []any) []any {
		return drop.If(keys, func(key any) bool { return kidOf(key) == kid })
	}
}

// addKey appends a key.
func addKey(key func(s *Sandbox) any) keyChange {
	return func(s *Sandbox, keys []any) []any { return append(keys, key(s)) }
}

// replaceKey replaces the key that has the same id.
func replaceKey(key func(s *Sandbox) any) keyChange {
	return func(s *Sandbox, keys []any) []any {
		other := key(s)
		for i := range keys {
			if kidOf(keys[i]) == kidOf(other) {
				keys[i] = other
			}
		}
		return keys
	}
}

func kidOf(key any) any {
	members, _ := key.(object)
	return members["kid"]
}

// withVerifier verifies the route's tokens with a changed copy of the host's verifier. Where both agree, the route
// answers; a token that only the copy accepts gets the answer to a valid one.
//
//go:noinline
func withVerifier(change func(s *Sandbox, v *verifier)) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		other := *at.host.verifier
		change(at.host.sandbox, &other)
		switch got := other.verify(bearer(r)); {
		case got == at.host.verifier.verify(bearer(r)):
			at.next(w, r)
		case got == accepted:
			asValidClient(at, w, r)
		default:
			got.refuse(w)
		}
	}
}

// asValidClient calls the route with a valid token, whatever the caller presented.
func asValidClient(at target, w http.ResponseWriter, r *http.Request) {
	token, err := at.host.issuer.issue(clientID)
	if err != nil {
		writeJSON(w, http.StatusInternalServerError, object{"error": "server_error"})
		return
	}
	admitted := r.Clone(r.Context())
	admitted.Header.Set("Authorization", "Bearer "+token)
	at.next(w, admitted)
}

// misreport refuses with the wrong code, or refuses a token that should be accepted.
func misreport(right, wrong outcome) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		if at.host.verifier.verify(bearer(r)) != right {
			at.next(w, r)
			return
		}
		wrong.refuse(w)
	}
}

// acceptAll accepts any token, and a request without one.
func acceptAll(_ *Sandbox, v *verifier) { v.opaque = func(string) bool { return true } }

// ignoreRevocation accepts revoked tokens.
func ignoreRevocation(_ *Sandbox, v *verifier) { v.revoked = func(string) bool { return false } }

// alsoAccept makes a verifier read tokens in another way if their signature is not valid.
//
//go:noinline
func alsoAccept(v *verifier, read func(token string) (claims, error)) {
	v.parse = func(token string) (claims, error) {
		if c, err := v.parseSigned(token); err == nil {
			return c, nil
		}
		return read(token)
	}
}

// acceptUnsigned accepts a token that says it needs no signature: {"alg":"none"}.
func acceptUnsigned(_ *Sandbox, v *verifier) {
	alsoAccept(v, func(token string) (c claims, err error) {
		parts := strings.Split(token, ".")
		if len(parts) != 3 {
			return c, errors.New("not three parts")
		}
		var header struct {
			Alg string `json:"alg"`
		}
		if err := errors.Join(decode(parts[0], &header), decode(parts[1], &c)); err != nil {
			return c, err
		}
		if !strings.EqualFold(header.Alg, "none") {
			return c, errors.New("signed")
		}
		return c, nil
	})
}

// decode decodes the JSON of one part of a token.
func decode(part string, into any) error {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// acceptPublicKeyAsSecret accepts HS256 tokens signed with the PEM text of a public key, with or without its final
// newline.
func acceptPublicKeyAsSecret(_ *Sandbox, v *verifier) {
	alsoAccept(v, func(token string) (c claims, err error) {
		parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.HS256})
		if err != nil {
			return c, err
		}
		for _, key := range v.keys {
			text, err := pemBundle([]jose.JSONWebKey{key})
			if err != nil {
				return c, err
			}
			for _, secret := range []string{text, strings.TrimSpace(text)} {
				if parsed.Claims([]byte(secret), &c) == nil {
					return c, nil
				}
			}
		}
		return c, errors.New("no such key")
	})
}

// acceptWithoutExpiry accepts tokens that have no exp, as libraries do.
func acceptWithoutExpiry(_ *Sandbox, v *verifier) {
	v.parse = func(token string) (claims, error) {
		c, err := v.parseSigned(token)
		if c.Expiry == nil {
			c.Expiry = jwt.NewNumericDate(time.Now().Add(tokenLife))
		}
		return c, err
	}
}
