package protected

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/httpx"
	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// pieces are the forms in which a part of a token may come out.
func pieces(part string) []string {
	all := []string{part, url.QueryEscape(part), hex.EncodeToString([]byte(part))}
	for shift := range 3 {
		coded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("u", shift) + part))
		all = append(all, coded[4:len(coded)-4])
	}
	return all
}

// leakOf returns the first piece of 12 bytes of any of the parts, in any form, that a text holds.
func leakOf(text string, parts []string) string {
	const size = 12
	held := map[string]bool{}
	for i := 0; i+size <= len(text); i++ {
		held[text[i:i+size]] = true
	}
	for _, part := range parts {
		for _, form := range pieces(part) {
			for i := 0; i+size <= len(form); i++ {
				if held[form[i:i+size]] {
					return form[i : i+size]
				}
			}
		}
	}
	return ""
}

// TestProtected_leaksNothing has the probe meet gates that throw back, wherever it fits, all that they are sent: real
// tokens, forged ones and what is in them. Nothing of it may be in what a run tells.
func TestProtected_leaksNothing(t *testing.T) {
	testenv.WithoutRace(t)
	const marker = "marker-Zq7xT9yk-of-the-claims"
	for name, answer := range map[string]func(w http.ResponseWriter, all string){
		"refused":  func(w http.ResponseWriter, _ string) { w.WriteHeader(401) },
		"let in":   func(w http.ResponseWriter, _ string) { w.WriteHeader(501) },
		"broken":   func(w http.ResponseWriter, _ string) { w.WriteHeader(500) },
		"redirect": func(w http.ResponseWriter, _ string) { w.WriteHeader(302) },
		"cut off":  func(w http.ResponseWriter, _ string) { w.Header().Set("Content-Length", "999999"); w.WriteHeader(401) },
		"invalid": func(w http.ResponseWriter, all string) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			fmt.Fprintf(conn, "HTTP/1.1 %s\r\n\r\n", all)
			conn.Close()
		},
		"right": nil,
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, jose.ES256)
			var mu sync.Mutex
			sent, said := map[string]bool{}, 0
			g.answer = func(w http.ResponseWriter, q *http.Request, token string) bool {
				all := token
				if f := jwk.ReadRaw(token + "AAAA"); f != nil { // also where there is no signature
					mu.Lock()
					for _, part := range strings.Split(token, ".") {
						if len(part) > 24 {
							sent[part] = true
						}
					}
					mu.Unlock()
				}
				for _, header := range []string{"X-Trace-Id", "X-Version", "Location", "X-Echo", "Etag"} {
					w.Header().Set(header, all)
				}
				if parts := strings.Split(token, "."); len(parts) == 3 {
					piece := parts[g.asked%2] // of the header or of the payload, such as could be a version
					w.Header().Set("X-Version", piece[len(piece)/3:min(len(piece), 100+len(piece)/3)])
				}
				decoded, _ := base64.RawURLEncoding.DecodeString(strings.Join(strings.Split(token, ".")[min(1, strings.Count(token, ".")):][:1], ""))
				w.Header().Set("X-Claims", strings.Map(func(c rune) rune {
					if c < ' ' || c > '~' {
						return '_'
					}
					return c
				}, string(decoded)))
				if bytes.Contains(decoded, []byte(marker)) {
					mu.Lock()
					said++
					mu.Unlock()
				}
				if answer == nil || q.URL.Path != gateRoute {
					return false
				}
				answer(w, all)
				if name != "invalid" {
					fmt.Fprint(w, all, string(decoded))
				}
				return true
			}
			p := g.knocker()
			for _, caller := range []string{"VALID", "REVOKED"} {
				t.Setenv("TEST_GATE_"+caller, g.issue(func(c map[string]any) { c["sub"], c["secret"] = marker, marker }))
			}
			p.Forgeries = &Forgeries{}
			p.Trace, p.Version = &httpx.Source{Header: "X-Trace-Id"}, &httpx.Source{Header: "X-Version"}
			p.Code = &httpx.Source{Header: "X-Claims"}
			r := probetest.Run(t, Kind(), p)
			out, err := json.Marshal([]any{r.Checks, r.Samples, r.Exchanges})
			if err != nil {
				t.Fatal(err)
			}
			var parts []string
			for part := range sent {
				parts = append(parts, part)
			}
			for _, text := range []string{string(out), probetest.Lines(r), fmt.Sprintf("%+v %#v", r, p)} {
				if piece := leakOf(text, append(parts, marker)); piece != "" {
					at := strings.Index(text, piece)
					t.Errorf("%q is told: …%s…", piece, text[max(0, at-120):min(len(text), at+60)])
				}
			}
			// The search is worth nothing unless they were sent.
			if forging := name == "let in" || name == "refused" || name == "right"; said == 0 || len(parts) < 8 || forging && len(parts) < 20 {
				t.Errorf("the gate saw only %d parts of tokens, and the marker %d times", len(parts), said)
			}
		})
	}
}

// TestRedaction_keepsOrdinaryText: that forged tokens are known to the redactor takes nothing out of ordinary texts.
func TestRedaction_keepsOrdinaryText(t *testing.T) {
	g := newGate(t, jose.ES256)
	p := g.knocker()
	p.Forgeries = &Forgeries{Keys: g.keys()}
	if got := probetest.Lines(probetest.Run(t, Kind(), p)); strings.Contains(got, "redacted") {
		t.Errorf("got\n%s", got)
	}
	r := probe.NewResult(probe.ID{})
	const text = "algorithm ES256 of the issuer https://auth.gate.example, kid k1, JWT, gateuser17"
	r.Pass("it", "%s", text)
	if got := r.Checks[0].Detail; got != text {
		t.Errorf("got %q", got)
	}
}
