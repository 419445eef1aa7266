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

// An outcome is what a verifier makes of a token: the code that its refusal carries, or accepted.
type outcome string

const (
	accepted  outcome = "accepted"
	missing   outcome = "missing_token"
	invalid   outcome = "invalid"
	expired   outcome = "expired"
	revoked   outcome = "revoked"
	suspended outcome = "org_suspended"
)

// refuse answers a caller whose token was not accepted. Only a suspended org is known and yet not admitted.
func (o outcome) refuse(w http.ResponseWriter) {
	status := http.StatusForbidden
	if o != suspended {
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeJSON(w, status, object{"error": string(o)})
}

// A verifier judges tokens by its own view of the keys.
type verifier struct {
	issuer    string // the iss and the aud that a token must have
	keys      []jose.JSONWebKey
	parse     func(token string) (claims, error) // reads a token that is signed; signed if nil
	opaque    func(token string) bool            // knows tokens that are no JWT; none if nil
	revoked   func(id string) bool
	suspended func(org string) bool // none if nil
}

// verify decides in an order that tells strangers nothing: the signature first, then what the token says, and only
// then what became of it.
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

// maxTokenBytes is the length from which nothing is parsed.
const maxTokenBytes = 16 << 10

// parseSigned returns the claims of a token that one of the keys has signed: that of the same id, with the algorithm that
// the key is for.
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

// algs lists the algorithms of keys.
func algs(keys []jose.JSONWebKey) []jose.SignatureAlgorithm {
	var algs []jose.SignatureAlgorithm
	for _, key := range keys {
		algs = append(algs, jose.SignatureAlgorithm(key.Algorithm))
	}
	return algs
}

// A cache spares a verifier the question whether a token is still good, for a little while. What it accepts is
// accepted that much longer than it should be, as in life.
type cache struct {
	mu    sync.Mutex
	until map[[sha256.Size]byte]time.Time // by the hash of the token
}

// Bounds of a cache.
const (
	cacheLife = 300 * time.Millisecond
	maxCached = 1000
)

// verify asks the verifier unless it accepted the token a moment ago. Refusals are never kept.
func (c *cache) verify(v *verifier, token string) outcome {
	key, now := sha256.Sum256([]byte(token)), time.Now()
	c.mu.Lock()
	until, known := c.until[key]
	c.mu.Unlock()
	if known && now.Before(until) {
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
