package token

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/secret"
	"prober/probes/internal/probetest"
)

// An idp is an issuer of tokens and an API that takes them. Tests break it by setting its fields before it is asked.
type idp struct {
	url    string
	paths  map[string]http.HandlerFunc // in place of its own routes
	secret string

	key       jose.JSONWebKey   // signs
	published []jose.JSONWebKey // its key set
	document  map[string]any    // changes to the discovery document; nil removes a member
	claims    map[string]any    // changes to what tokens say
	grant     map[string]any    // changes to the answer with a token
	anySecret bool              // lets everybody in who names the client
	forgetful bool              // accepts revoked tokens for ever
	slow      time.Duration     // accepts revoked tokens that long

	mu      sync.Mutex
	forms   []url.Values // of token requests
	auths   []string     // their Authorization
	issued  []string
	revoked map[string]time.Time
}

// tokenKeys are made once: it takes a while.
var tokenKeys = sync.OnceValue(func() []jose.JSONWebKey {
	var keys []jose.JSONWebKey
	for _, kid := range []string{"kid-one", "kid-two"} {
		private, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys = append(keys, jose.JSONWebKey{Key: private, KeyID: kid, Algorithm: "RS256", Use: "sig"})
	}
	return keys
})

const tokenClient = "us:er"

func newIDP(t *testing.T, change func(*idp)) *idp {
	key := tokenKeys()[0]
	i := &idp{secret: "p&ss w%rd/" + rand.Text(), key: key, published: []jose.JSONWebKey{key.Public()}, paths: map[string]http.HandlerFunc{}, revoked: map[string]time.Time{}}
	routes := map[string]http.HandlerFunc{
		"/.well-known/openid-configuration": i.serveDocument, "/keys": i.serveKeys, "/token": i.serveToken,
		"/revoke": i.serveRevocation, "/me": i.serveMe,
	}
	for path, handle := range routes {
		routes[path] = func(w http.ResponseWriter, q *http.Request) {
			if other := i.paths[path]; other != nil {
				other(w, q)
				return
			}
			handle(w, q)
		}
	}
	i.url = probetest.Serve(t, routes)
	if change != nil {
		change(i)
	}
	return i
}

// probe returns the probe that a user would configure for the issuer.
func (i *idp) probe(t *testing.T, change func(*Probe)) *Probe {
	t.Helper()
	file := filepath.Join(t.TempDir(), "client-secret")
	if err := os.WriteFile(file, []byte(i.secret), 0o600); err != nil {
		t.Fatal(err)
	}
	p := New()
	p.Issuer, p.ClientID, p.ClientSecret, p.Audience = i.url, tokenClient, secret.File(file), "https://api.test"
	if change != nil {
		change(p)
	}
	return p
}

func sends(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(value)
}

// changed returns an object with changes made to it.
func changed(object, changes map[string]any) map[string]any {
	for name, v := range changes {
		object[name] = v
		if v == nil {
			delete(object, name)
		}
	}
	return object
}

func (i *idp) serveDocument(w http.ResponseWriter, _ *http.Request) {
	sends(w, 200, changed(map[string]any{
		"issuer": i.url, "token_endpoint": i.url + "/token", "jwks_uri": i.url + "/keys", "revocation_endpoint": i.url + "/revoke",
	}, i.document))
}

func (i *idp) serveKeys(w http.ResponseWriter, _ *http.Request) {
	sends(w, 200, jose.JSONWebKeySet{Keys: i.published})
}

// knows reports whether a request comes from the client: by its form or by HTTP Basic, each part escaped.
func (i *idp) knows(q *http.Request) bool {
	id, password := q.PostFormValue("client_id"), q.PostFormValue("client_secret")
	if user, pass, basic := q.BasicAuth(); basic {
		id, _ = url.QueryUnescape(user)
		password, _ = url.QueryUnescape(pass)
	}
	return id == tokenClient && (i.anySecret || password == i.secret)
}

func (i *idp) serveToken(w http.ResponseWriter, q *http.Request) {
	known := i.knows(q)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.forms, i.auths = append(i.forms, q.PostForm), append(i.auths, q.Header.Get("Authorization"))
	if !known {
		sends(w, 401, map[string]any{"error": "invalid_client"})
		return
	}
	now := time.Now()
	claims := changed(map[string]any{
		"iss": i.url, "aud": "https://api.test", "sub": tokenClient, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Unix() + 300,
	}, i.claims)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(i.key.Algorithm), Key: i.key}, nil)
	if err != nil {
		panic(err)
	}
	payload, _ := json.Marshal(claims)
	signed, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	token, _ := signed.CompactSerialize()
	answer := changed(map[string]any{"access_token": token, "token_type": "bearer", "expires_in": 300}, i.grant)
	i.issued = append(i.issued, token)
	sends(w, 200, answer)
}

func (i *idp) serveRevocation(w http.ResponseWriter, q *http.Request) {
	if !i.knows(q) {
		sends(w, 401, map[string]any{"error": "invalid_client"})
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.revoked[q.PostFormValue("token")] = time.Now()
}

// serveMe accepts every token that was issued and is not revoked.
func (i *idp) serveMe(w http.ResponseWriter, q *http.Request) {
	token := strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ")
	i.mu.Lock()
	defer i.mu.Unlock()
	if at, is := i.revoked[token]; token == "" || is && !i.forgetful && time.Since(at) >= i.slow {
		sends(w, 401, map[string]any{"error": "invalid_token"})
		return
	}
	sends(w, 200, map[string]any{"id": "me"})
}

func (i *idp) requests() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.forms)
}
