package sandbox

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// tokenLife is the lifetime of an access token.
const tokenLife = 5 * time.Minute

// The ids of the signing keys. They are not secret: verifiers, runbooks and configurations name them.
const (
	ibexKid        = "ibex-k3" // signs
	ibexOldKid     = "ibex-k2" // signed before it
	ibexRevokedKid = "ibex-k1" // was revoked before the sandbox started
	logiKid        = "logi-k8"
	logiOldKid     = "logi-k7"
	unpublishedKid = "logi-k9"
)

// claims are the claims of a token.
type claims struct {
	jwt.Claims
	Org string `json:"org,omitempty"`
}

// An issuer issues and revokes access tokens. It publishes several keys, like one that rotates them: the first signs,
// the others signed before it.
type issuer struct {
	url    string            // the iss and the aud of its tokens
	org    string            // of its client; empty if its tokens say nothing of orgs
	secret string            // of its one client, clientID
	keys   []jose.JSONWebKey // private

	mu      sync.Mutex
	revoked map[string]time.Time // by the token's id: when it would have expired
}

// newIssuer returns an issuer that signs with the first of the keys.
func newIssuer(url, org, secret string, keys ...jose.JSONWebKey) *issuer {
	return &issuer{url: url, org: org, secret: secret, keys: keys, revoked: map[string]time.Time{}}
}

// newKey generates a signing key.
func newKey(kid string, alg jose.SignatureAlgorithm) (jose.JSONWebKey, error) {
	var private any
	var err error
	if alg == jose.RS256 {
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return jose.JSONWebKey{}, fmt.Errorf("signing key %s: %w", kid, err)
	}
	return jose.JSONWebKey{Key: private, KeyID: kid, Algorithm: string(alg), Use: "sig"}, nil
}

// public is the key set that verifiers see.
func (i *issuer) public() []jose.JSONWebKey {
	var keys []jose.JSONWebKey
	for _, key := range i.keys {
		keys = append(keys, key.Public())
	}
	return keys
}

// claims returns the claims of a new token for a client.
func (i *issuer) claims(client string) claims {
	now := time.Now()
	return claims{Org: i.org, Claims: jwt.Claims{
		Issuer:    i.url,
		Subject:   client,
		Audience:  jwt.Audience{i.url},
		IssuedAt:  jwt.NewNumericDate(now),
		NotBefore: jwt.NewNumericDate(now),
		Expiry:    jwt.NewNumericDate(now.Add(tokenLife)),
		ID:        rand.Text(),
	}}
}

// issue returns a new token for a client.
func (i *issuer) issue(client string) (string, error) { return sign(i.keys[0], i.claims(client)) }

// sign makes a token from claims.
func sign(key jose.JSONWebKey, c claims) (string, error) {
	options := (&jose.SignerOptions{}).WithType("JWT")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, options)
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(c).Serialize()
}

// verifier returns a verifier with the issuer's keys and revocations.
func (i *issuer) verifier() *verifier {
	return &verifier{issuer: i.url, keys: i.public(), revoked: i.hasRevoked}
}

// revoke revokes a token. It is remembered for as long as the token would have been valid.
func (i *issuer) revoke(c claims) {
	until := time.Now().Add(tokenLife)
	if c.Expiry != nil {
		until = c.Expiry.Time()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	maps.DeleteFunc(i.revoked, func(_ string, until time.Time) bool { return time.Now().After(until) })
	i.revoked[c.ID] = until
}

func (i *issuer) hasRevoked(id string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	_, is := i.revoked[id]
	return is
}

// pemBundle is a set of public keys as one PEM text, the form for services that do not fetch key sets.
func pemBundle(keys []jose.JSONWebKey) (string, error) {
	var b strings.Builder
	for _, key := range keys {
		der, err := x509.MarshalPKIXPublicKey(key.Key)
		if err != nil {
			return "", fmt.Errorf("public key %s: %w", key.KeyID, err)
		}
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	return b.String(), nil
}
