package sandbox

import (
	"crypto/sha256"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// An outcome is the result of verifying a token: accepted, or the error code of the refusal.
type outcome string

const (
	accepted  outcome = "accepted"
	missing   outcome = "missing_token"
	invalid   outcome = "invalid"
	expired   outcome = "expired"
	revoked   outcome = "revoked"
	suspended outcome = "org_suspended"
)

// refuse answers a caller whose token was not accepted: 403 for a suspended org, 401 otherwise. It returns the status.
func (o outcome) refuse(w http.ResponseWriter) int {
	status := http.StatusForbidden
	if o != suspended {
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeJSON(w, status, object{"error": string(o)})
	return status
}

// A verifier verifies tokens with its own copy of the keys.
type verifier struct {
	issuer    string // the iss and the aud that a token must have
	keys      []jose.JSONWebKey
	parse     func(token string) (claims, error) // verifies the signature; parseSigned if nil
	opaque    func(token string) bool            // accepts tokens that are not JWTs; may be nil
	revoked   func(id string) bool
	suspended func(org string) bool // none if nil
}

// verify checks in an order that reveals nothing about forged tokens: first the signature, then the claims, and only
// then revocation and suspension.
func (v *verifier) verify(token string) outcome {
	if v.opaque != nil && v.opaque(token) {
		return accepted
	}
	if token == "" {
		return missing
	}
	open := v.parse
	if open == nil {
		open = v.parseSigned
	}
	c, err := open(token)
	if err != nil || c.Expiry == nil { // the library accepts tokens that never expire
		return invalid
	}
	expected := jwt.Expected{Issuer: v.issuer, AnyAudience: jwt.Audience{v.issuer}, Time: time.Now()}
	switch err := c.ValidateWithLeeway(expected, 0); {
	case errors.Is(err, jwt.ErrExpired):
		return expired
	case err != nil:
		return invalid
	case v.revoked(c.ID):
		return revoked
	case v.suspended != nil && v.suspended(c.Org):
		return suspended
	}
	return accepted
}

// maxTokenBytes is the length of the longest token that is parsed.
const maxTokenBytes = 16 << 10

// parseSigned returns the claims of a token whose signature one of the keys verifies: the key with the same id and the
// same algorithm.
func (v *verifier) parseSigned(token string) (claims, error) {
	if len(token) > maxTokenBytes {
		return claims{}, errors.New("too long")
	}
	parsed, err := jwt.ParseSigned(token, algs(v.keys))
	if err != nil {
		return claims{}, err
	}
	header := parsed.Headers[0]
	at := slices.IndexFunc(v.keys, func(key jose.JSONWebKey) bool {
		return key.KeyID == header.KeyID && key.Algorithm == header.Algorithm
	})
	if at < 0 {
		return claims{}, errors.New("no such key")
	}
	var c claims
	err = parsed.Claims(v.keys[at].Key, &c)
	return c, err
}

// algs lists the algorithms of the keys.
func algs(keys []jose.JSONWebKey) []jose.SignatureAlgorithm {
	var algs []jose.SignatureAlgorithm
	for _, key := range keys {
		algs = append(algs, jose.SignatureAlgorithm(key.Algorithm))
	}
	return algs
}

// A cache remembers accepted tokens for a short time. A token that was revoked in the meantime is accepted that much
// longer, as in real systems.
type cache struct {
	looked func(result string) // is told of each lookup: hit or miss; may be nil

	mu    sync.Mutex
	until map[[sha256.Size]byte]time.Time // by the hash of the token
}

// Bounds of a cache.
const (
	cacheLife = 300 * time.Millisecond
	maxCached = 1000
)

// verify asks the verifier unless it has just accepted the token. Refusals are never cached.
func (c *cache) verify(v *verifier, token string) outcome {
	key, now := sha256.Sum256([]byte(token)), time.Now()
	c.mu.Lock()
	until, known := c.until[key]
	c.mu.Unlock()
	hit := known && now.Before(until)
	if c.looked != nil {
		c.looked(map[bool]string{true: "hit", false: "miss"}[hit])
	}
	if hit {
		return accepted
	}
	got := v.verify(token)
	if got != accepted {
		return got
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.until, func(_ [sha256.Size]byte, until time.Time) bool { return !now.Before(until) })
	if len(c.until) < maxCached {
		c.until[key] = now.Add(cacheLife)
	}
	return got
}
