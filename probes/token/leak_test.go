package token

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// TestToken_leaksNothing has an issuer that repeats all that it is sent and all that it issues, wherever that fits, and
// looks for it in all that a run says.
func TestToken_leaksNothing(t *testing.T) {
	ways := map[string]func(w http.ResponseWriter, all string){
		"as it should": nil,
		"a status":     func(w http.ResponseWriter, _ string) { w.WriteHeader(500) },
		"a body":       func(w http.ResponseWriter, all string) { fmt.Fprint(w, all) },
		"an error":     func(w http.ResponseWriter, all string) { sends(w, 400, map[string]any{"error": all, "issuer": all}) },
		"cut off":      func(w http.ResponseWriter, all string) { w.Header().Set("Content-Length", "99999"); fmt.Fprint(w, all) },
		"a private key": func(w http.ResponseWriter, all string) {
			sends(w, 200, map[string]any{"keys": []any{map[string]any{"kty": "RSA", "kid": all, "n": all, "d": all}}})
		},
	}
	issued, runs := 0, 0
	for _, path := range []string{"/.well-known/openid-configuration", "/token", "/keys", "/revoke", "/me"} {
		for way, answer := range ways {
			for _, opaque := range []bool{false, true} { // a JWT is too long for most places, an opaque token is not
				i := newIDP(t, nil)
				echoes(i, path, answer, opaque)
				p := i.probe(t, func(p *Probe) {
					if p.Opaque = opaque; opaque {
						p.Audience = ""
					} else {
						p.Keysets = []string{i.url + "/keys"}
					}
					p.Trace, p.Version = &httpx.Source{Header: "X-Trace"}, &httpx.Source{Header: "X-Version"}
					p.Revocation = &Revocation{Use: Use{URL: i.url + "/me"}, Within: probe.Duration(100 * time.Millisecond), Every: probe.Duration(100 * time.Millisecond)}
				})
				r := probetest.Run(t, Kind(), p)
				said, err := json.Marshal([]any{r.Checks, r.Exchanges, r.Samples})
				if err != nil {
					t.Fatal(err)
				}
				issued, runs = issued+len(i.issued), runs+1
				for _, s := range append([]string{i.secret, url.QueryEscape(i.secret), leakMarker}, i.issued...) {
					if piece := pieceOf(s, string(said)); piece != "" {
						at := strings.Index(string(said), piece)
						t.Errorf("%s answers with %s, opaque %t: %q is in …%s…", path, way, opaque, piece, said[max(0, at-100):min(len(said), at+100)])
					}
				}
			}
		}
	}
	if runs != 60 || issued < 80 {
		t.Errorf("only %d tokens were issued in %d runs", issued, runs)
	}
	if pieceOf("the-secret-itself", "it holds secret-i here") == "" || pieceOf("the-secret-itself", base64.StdEncoding.EncodeToString([]byte("the-secret-itself"))) == "" {
		t.Error("the search finds nothing")
	}
}

const leakMarker = "Xy7marker"

// echoes makes an issuer answer at one path in another way, and repeat everywhere what it knows.
func echoes(i *idp, path string, answer func(http.ResponseWriter, string), opaque bool) {
	i.secret += leakMarker
	i.key.KeyID = "kid" + leakMarker
	i.claims = map[string]any{"sub": leakMarker, "jti": rand.Text() + leakMarker}
	for at, handle := range map[string]http.HandlerFunc{
		"/.well-known/openid-configuration": i.serveDocument, "/token": i.serveToken, "/keys": i.serveKeys, "/revoke": i.serveRevocation, "/me": i.serveMe,
	} {
		i.paths[at] = func(w http.ResponseWriter, q *http.Request) {
			broken := at == path && answer != nil
			issues := opaque && at == "/token" && !broken && i.knows(q)
			i.mu.Lock()
			if issues { // the token to come is in the headers too
				token := hex.EncodeToString([]byte(rand.Text()))
				i.grant = map[string]any{"access_token": token}
				i.issued = append(i.issued, token)
			}
			last := ""
			if len(i.issued) > 0 {
				last = i.issued[len(i.issued)-1]
			}
			i.mu.Unlock()
			user, password, _ := q.BasicAuth()
			q.ParseForm()
			all := strings.Join([]string{q.Header.Get("Authorization"), user, password, q.PostForm.Encode(), last, leakMarker}, " ")
			for _, name := range []string{"X-Version", "X-Trace"} {
				w.Header().Set(name, last)
			}
			w.Header().Set("Location", all)
			if broken {
				answer(w, all)
				return
			}
			handle(w, q)
		}
	}
}

// pieceOf returns the first piece of eight characters of a secret, plain or in base64, that a text holds.
func pieceOf(secret, text string) string {
	for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret))} {
		for at := 0; at+8 <= len(form); at++ {
			if strings.Contains(text, form[at:at+8]) {
				return form[at : at+8]
			}
		}
	}
	return ""
}
