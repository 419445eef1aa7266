package sandbox

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// tokenLife is how long an access token is valid.
const tokenLife = 5 * time.Minute

// An issuer issues access tokens and verifies them. It publishes several keys, as one that rotates does: the first
// signs, the others signed before it.
type issuer struct {
	url    string            // the iss and the aud of its tokens
	keys   []jose.JSONWebKey // private
	secret string            // of its one client, clientID
}

// newIssuer returns an issuer with a key for each of the algorithms.
func newIssuer(url, secret string, algs ...jose.SignatureAlgorithm) (*issuer, error) {
	i := &issuer{url: url, secret: secret}
	for _, alg := range algs {
		key, err := newKey(alg)
		if err != nil {
			return nil, fmt.Errorf("signing key: %w", err)
		}
		i.keys = append(i.keys, key)
	}
	return i, nil
}

// algs lists the algorithms of the keys.
func (i *issuer) algs() []jose.SignatureAlgorithm {
	var algs []jose.SignatureAlgorithm
	for _, key := range i.keys {
		algs = append(algs, jose.SignatureAlgorithm(key.Algorithm))
	}
	return algs
}

// newKey makes a signing key whose id is its thumbprint (RFC 7638).
func newKey(alg jose.SignatureAlgorithm) (jose.JSONWebKey, error) {
	var private any
	var err error
	if alg == jose.RS256 {
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	key := jose.JSONWebKey{Key: private, Algorithm: string(alg), Use: "sig"}
	print, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	key.KeyID = base64.RawURLEncoding.EncodeToString(print)
	return key, nil
}

// public is the key set that verifiers see.
func (i *issuer) public() jose.JSONWebKeySet {
	var set jose.JSONWebKeySet
	for _, key := range i.keys {
		set.Keys = append(set.Keys, key.Public())
	}
	return set
}

// issue returns a token for a client.
func (i *issuer) issue(client string) (string, error) {
	options := (&jose.SignerOptions{}).WithType("JWT")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: i.algs()[0], Key: i.keys[0]}, options)
	if err != nil {
		return "", err
	}
	now := time.Now()
	return jwt.Signed(signer).Claims(jwt.Claims{
		Issuer:    i.url,
		Subject:   client,
		Audience:  jwt.Audience{i.url},
		IssuedAt:  jwt.NewNumericDate(now),
		NotBefore: jwt.NewNumericDate(now),
		Expiry:    jwt.NewNumericDate(now.Add(tokenLife)),
		ID:        rand.Text(),
	}).Serialize()
}

// verify returns nil for a token that this issuer issued and that is still valid.
func (i *issuer) verify(token string) error {
	parsed, err := jwt.ParseSigned(token, i.algs())
	if err != nil {
		return err
	}
	var claims jwt.Claims
	if err := parsed.Claims(i.public(), &claims); err != nil {
		return err
	}
	if claims.Expiry == nil {
		return errors.New("the token never expires") // the library accepts it
	}
	expected := jwt.Expected{Issuer: i.url, AnyAudience: jwt.Audience{i.url}, Time: time.Now()}
	return claims.ValidateWithLeeway(expected, 0)
}

// serveAuth makes a host the auth service of the proxy's world.
func serveAuth(h *host, i *issuer) {
	h.handle("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, object{"status": "ok", "service": "auth", "version": release})
	})
	i.serve(h)
}

// serve adds what an issuer is asked: its keys, its discovery document and its tokens.
func (i *issuer) serve(h *host) {
	h.handle("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, i.public())
	})
	h.handle("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, object{
			"issuer":                                i.url,
			"jwks_uri":                              i.url + "/.well-known/jwks.json",
			"token_endpoint":                        i.url + "/oauth/token",
			"grant_types_supported":                 []string{"client_credentials"},
			"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
			"id_token_signing_alg_values_supported": []string{i.keys[0].Algorithm},
			"response_types_supported":              []string{"token"},
			"subject_types_supported":               []string{"public"},
		})
	})
	h.handle("POST /oauth/token", i.token)
}

// token answers a request for an access token as RFC 6749 says, sections 2.3.1 and 4.4.
func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		reply(w, http.StatusBadRequest, object{"error": "invalid_request"})
		return
	}
	client, ok := i.client(r)
	if !ok {
		w.Header().Set("WWW-Authenticate", "Basic")
		reply(w, http.StatusUnauthorized, object{"error": "invalid_client"})
		return
	}
	if r.PostForm.Get("grant_type") != "client_credentials" {
		reply(w, http.StatusBadRequest, object{"error": "unsupported_grant_type"})
		return
	}
	token, err := i.issue(client)
	if err != nil {
		reply(w, http.StatusInternalServerError, object{"error": "server_error"})
		return
	}
	reply(w, http.StatusOK, object{"access_token": token, "token_type": "Bearer", "expires_in": int(tokenLife.Seconds())})
}

// client returns who asks, and whether the secret is right.
func (i *issuer) client(r *http.Request) (id string, ok bool) {
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if user, password, basic := r.BasicAuth(); basic {
		var wrongID, wrongSecret error
		id, wrongID = url.QueryUnescape(user)
		secret, wrongSecret = url.QueryUnescape(password)
		if wrongID != nil || wrongSecret != nil {
			return "", false
		}
	}
	return id, id == clientID && subtle.ConstantTimeCompare([]byte(secret), []byte(i.secret)) == 1
}
