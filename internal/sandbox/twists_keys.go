package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// A rekey changes a set of keys, each as its JSON stands in a key set.
type rekey func(s *Sandbox, keys []any) []any

// publishes changes the key set that is published.
func publishes(change rekey) twist {
	return func(at place, w http.ResponseWriter, r *http.Request) {
		edits(func(body any) any {
			set, _ := body.(object)
			if keys, ok := set["keys"].([]any); ok {
				set["keys"] = change(at.host.sandbox, keys)
			}
			return body
		})(at, w, r)
	}
}

// knowsOnly has tokens judged by the changed keys.
func knowsOnly(change rekey) twist {
	return verifying(func(s *Sandbox, v *verifier) {
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

// asJSON is a key as a key set shows it: a private one with all that is private.
func asJSON(key jose.JSONWebKey) any {
	var shown object
	if text, err := json.Marshal(key); err != nil || json.Unmarshal(text, &shown) != nil {
		return nil
	}
	return shown
}

func none(*Sandbox, []any) []any { return []any{} }

// drops leaves out the key of an id.
func drops(kid string) rekey {
	return func(_ *Sandbox, keys []any) []any {
		return slices.DeleteFunc(keys, func(key any) bool { return kidOf(key) == kid })
	}
}

// adds puts one more key after the others.
func adds(key func(s *Sandbox) any) rekey {
	return func(s *Sandbox, keys []any) []any { return append(keys, key(s)) }
}

// swaps puts another key in the place of the one of the same id.
func swaps(key func(s *Sandbox) any) rekey {
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

// verifying has the route's tokens judged by a verifier that is stricter or laxer than the host's own. Where both
// agree the route answers; a token that only the other accepts is answered as a good one.
func verifying(change func(s *Sandbox, v *verifier)) twist {
	return func(at place, w http.ResponseWriter, r *http.Request) {
		other := *at.host.verifier
		change(at.host.sandbox, &other)
		switch got := other.judge(bearer(r)); {
		case got == at.host.verifier.judge(bearer(r)):
			at.next(w, r)
		case got == accepted:
			asTheClient(at, w, r)
		default:
			got.refuse(w)
		}
	}
}

// asTheClient asks with a good token, whatever the caller presented.
func asTheClient(at place, w http.ResponseWriter, r *http.Request) {
	token, err := at.host.issuer.issue(clientID)
	if err != nil {
		reply(w, http.StatusInternalServerError, object{"error": "server_error"})
		return
	}
	admitted := r.Clone(r.Context())
	admitted.Header.Set("Authorization", "Bearer "+token)
	at.next(w, admitted)
}

// mistakes refuses with another code than the right one, or what should be accepted.
func mistakes(right, wrong outcome) twist {
	return func(at place, w http.ResponseWriter, r *http.Request) {
		if at.host.verifier.judge(bearer(r)) != right {
			at.next(w, r)
			return
		}
		wrong.refuse(w)
	}
}

// anybody accepts every token, and none.
func anybody(_ *Sandbox, v *verifier) { v.opaque = func(string) bool { return true } }

// forgetful knows of no revocation.
func forgetful(_ *Sandbox, v *verifier) { v.revoked = func(string) bool { return false } }

// alsoOpens has a verifier read tokens beside those that are rightly signed.
func alsoOpens(v *verifier, read func(token string) (claims, error)) {
	v.open = func(token string) (claims, error) {
		if c, err := v.signed(token); err == nil {
			return c, nil
		}
		return read(token)
	}
}

// unsignedToo believes a token that says that it needs no signature: {"alg":"none"}.
func unsignedToo(_ *Sandbox, v *verifier) {
	alsoOpens(v, func(token string) (c claims, err error) {
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

// decode reads the JSON of a part of a token.
func decode(part string, into any) error {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// publicKeysAsSecrets takes the PEM text of a public key, with or without its last line end, for a shared secret.
func publicKeysAsSecrets(_ *Sandbox, v *verifier) {
	alsoOpens(v, func(token string) (c claims, err error) {
		parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.HS256})
		if err != nil {
			return c, err
		}
		for _, key := range v.keys {
			text, err := bundle([]jose.JSONWebKey{key})
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

// timeless accepts tokens that never expire, as libraries do.
func timeless(_ *Sandbox, v *verifier) {
	v.open = func(token string) (claims, error) {
		c, err := v.signed(token)
		if c.Expiry == nil {
			c.Expiry = jwt.NewNumericDate(time.Now().Add(tokenLife))
		}
		return c, err
	}
}
