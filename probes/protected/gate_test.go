package protected

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/jwk"
	"prober/internal/secret"
)

const (
	gateIssuer = "https://auth.gate.example"
	gateRoute  = "/v1/chat/completions"
)

// A gate is a protected route with a real verifier, which a test can give one flaw.
type gate struct {
	t         testing.TB
	alg       jose.SignatureAlgorithm
	private   crypto.Signer
	now       time.Time
	flaw      string
	answer    func(w http.ResponseWriter, q *http.Request, token string) bool // answers in place of the gate
	mu        sync.Mutex
	asked     int
	signature map[string]bool // of real tokens
	url       string
}

func newGate(t testing.TB, alg jose.SignatureAlgorithm) *gate {
	t.Helper()
	g := &gate{t: t, alg: alg, now: time.Now(), signature: map[string]bool{}}
	g.makeKey()
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	g.url = server.URL + gateRoute
	return g
}

func (g *gate) makeKey() {
	var err error
	switch g.alg {
	case jose.RS256:
		g.private, err = testRSA()
	case jose.EdDSA:
		_, g.private, err = ed25519.GenerateKey(rand.Reader)
	default:
		g.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

var testRSA = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// issue returns a token of the gate's, with what the test wants otherwise.
func (g *gate) issue(change func(c map[string]any)) string {
	claims := map[string]any{
		"iss": gateIssuer, "aud": "gate", "sub": "gateuser17", "jti": rand.Text(),
		"iat": g.now.Add(-time.Hour).Unix(), "exp": g.now.Add(30 * 24 * time.Hour).Unix(),
	}
	if change != nil {
		change(claims)
	}
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "k1")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: g.alg, Key: g.private}, options)
	if err != nil {
		g.t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		g.t.Fatal(err)
	}
	g.signature[token[strings.LastIndexByte(token, '.')+1:]] = true
	return token
}

func (g *gate) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	g.mu.Lock()
	g.asked++
	g.mu.Unlock()
	token, bears := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer ")
	if !bears && token != "" {
		g.t.Error("something else than a bearer token was presented")
	}
	if g.answer != nil && g.answer(w, q, token) {
		return
	}
	w.Header().Set("X-Gate", "g1")
	say := func(status int, code string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":%q}`, code)
	}
	switch {
	case q.URL.Path == "/keys":
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: g.private.Public(), KeyID: "k1", Algorithm: string(g.alg)}}})
	case q.URL.Path != gateRoute:
		say(404, "not_found")
	case token == "":
		say(401, "missing_token")
	default:
		switch code := g.judge(token); code {
		case "":
			say(501, "not_implemented")
		case "org_suspended":
			say(403, code)
		default:
			say(401, code)
		}
	}
}

// judge returns the code of a refusal; empty if the token is accepted.
func (g *gate) judge(token string) string {
	var claims map[string]any
	if g.verifies(token) {
		claims = jwk.ReadRaw(token).Claims
	} else if claims = g.flawed(token); claims == nil {
		return "invalid"
	}
	date := (&jwk.RawToken{Claims: claims}).Date
	switch {
	case claims["iss"] != gateIssuer && g.flaw != "wrong_iss",
		claims["aud"] != "gate" && g.flaw != "wrong_aud",
		g.now.Before(date("nbf")) && g.flaw != "future_nbf":
		return "invalid"
	case !g.now.Before(date("exp")) && (g.flaw != "past_exp" || g.verifies(token)):
		return "expired"
	case claims["jti"] == "revoked":
		return "revoked"
	case claims["org"] == "suspended":
		return "org_suspended"
	}
	return ""
}

// verifies is how it should be: one algorithm, one key, found by its kid.
func (g *gate) verifies(token string) bool {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{g.alg})
	return err == nil && parsed.Headers[0].KeyID == "k1" && parsed.Claims(g.private.Public()) == nil
}

// knocker is a probe of the gate with a token for each reason to be rejected.
func (g *gate) knocker() *Probe {
	for name, change := range map[string]func(c map[string]any){
		"VALID":     nil,
		"EXPIRED":   func(c map[string]any) { c["exp"] = g.now.Add(-time.Hour).Unix() },
		"REVOKED":   func(c map[string]any) { c["jti"] = "revoked" },
		"SUSPENDED": func(c map[string]any) { c["org"] = "suspended" },
	} {
		g.t.Setenv("TEST_GATE_"+name, g.issue(change))
	}
	p := New()
	p.URL, p.Method = g.url, "POST"
	p.Code = &httpx.Source{JSON: errorPath(g.t)}
	bearer := func(name string) secret.Secret { return secret.Env("TEST_GATE_" + name) }
	p.Callers = map[string]Caller{
		"valid":     {Status: httpx.Codes(501), Bearer: bearer("VALID")},
		"anonymous": {Code: "missing_token"},
		"invalid":   {Code: "invalid"},
		"expired":   {Code: "expired", Bearer: bearer("EXPIRED")},
		"revoked":   {Code: "revoked", Bearer: bearer("REVOKED")},
		"suspended": {Status: httpx.Codes(403), Code: "org_suspended", Bearer: bearer("SUSPENDED")},
	}
	return p
}

func (g *gate) keys() secret.Public {
	return secret.Literal(strings.TrimSuffix(g.url, gateRoute) + "/keys")
}

func errorPath(t testing.TB) jsonpath.Path {
	p, err := jsonpath.Parse("$.error")
	if err != nil {
		t.Fatal(err)
	}
	return p
}
