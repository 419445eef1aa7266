package protected

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// TestProtected_runTooShort: every caller is answered, and all of them together take longer than the run.
// A route that hangs is another thing.
func TestProtected_runTooShort(t *testing.T) {
	for name, c := range map[string]struct {
		takes   time.Duration
		verdict probe.Verdict
		want    string
	}{
		"slow": {600 * time.Millisecond, probe.Inconclusive, "\nsuspended inconclusive(timeout): the run's time was up before this was answered; give the probe a longer timeout\n"},
		"hung": {time.Hour, probe.Fail, "fail\nvalid fail(timeout): expected 501: no complete answer within "},
	} {
		g := newGate(t, jose.ES256)
		r := askInMemory(t, g.knocker(), 3500*time.Millisecond, func(w http.ResponseWriter, q *http.Request) {
			select {
			case <-time.After(c.takes):
				g.ServeHTTP(w, q)
			case <-q.Context().Done():
			}
		})
		if got := probetest.Lines(r); r.Verdict() != c.verdict || !strings.Contains(got, c.want) {
			t.Errorf("%s: got\n%swant %s with%s", name, got, c.verdict, c.want)
		}
	}
}

// askInMemory runs a probe once, in a bubble of package synctest.
func askInMemory(t *testing.T, p *Probe, timeout time.Duration, serve http.HandlerFunc) (r probe.Result) {
	t.Helper()
	p.URL = testenv.ServeInMemory(t, serve) + gateRoute
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	testenv.Bubble(t, func(ctx context.Context, open testenv.Open) {
		r = probe.Job{Probe: p, Timeout: timeout}.Do(dial.WithOpen(ctx, open))
	})
	return r
}

// TestProtected_oneHangs: whoever hangs is the one who is blamed, and the others keep a share of the time.
func TestProtected_oneHangs(t *testing.T) {
	g := newGate(t, jose.ES256)
	p := g.knocker()
	tokens := map[string]string{"": "", "VALID": secretOf(t, "VALID"), "REVOKED": secretOf(t, "REVOKED")}
	for hangs, want := range map[string]string{
		"":        "fail\nanonymous fail(timeout): expected 401: no complete answer within ",
		"VALID":   "fail\nvalid fail(timeout): expected 501: no complete answer within ",
		"REVOKED": "fail\nrevoked fail(timeout): expected 401: no complete answer within ",
	} {
		asks := New()
		asks.Method, asks.Code, asks.Callers = p.Method, p.Code, p.Callers
		got := probetest.Lines(askInMemory(t, asks, 2*time.Second, func(w http.ResponseWriter, q *http.Request) {
			if q.URL.Path == gateRoute && strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ") == tokens[hangs] {
				<-q.Context().Done()
				return
			}
			g.ServeHTTP(w, q)
		}))
		if !strings.HasPrefix(got, want) || strings.Count(got, "(timeout)") != 1 {
			t.Errorf("%q hangs: got\n%swant %s and no other timeout", hangs, got, want)
		}
		if control := hangs != "VALID"; control != strings.Contains(got, "\nexpired pass(ok): ") {
			t.Errorf("%q hangs: got\n%s", hangs, got)
		}
	}
}

// TestProtected_oneHangsAndAllAreSlow: who was cut off says whose time it was.
func TestProtected_oneHangsAndAllAreSlow(t *testing.T) {
	g := newGate(t, jose.ES256)
	g.answer = func(_ http.ResponseWriter, q *http.Request, token string) bool {
		after := 200 * time.Millisecond
		if token == "" {
			after = time.Hour
		}
		select {
		case <-time.After(after):
		case <-q.Context().Done():
		}
		return false
	}
	got := probetest.Lines(askInMemory(t, g.knocker(), 1500*time.Millisecond, g.ServeHTTP))
	for _, want := range []string{
		"fail\nanonymous fail(timeout): ", "\nvalid pass(ok): ",
		"\ninvalid inconclusive(timeout): not answered in the time that was left: a caller without a token was not answered in ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%swant %s", got, want)
		}
	}
}

// TestStoredTokens_sharedWithAnotherCaller: the mistakes of whoever put the tokens there.
func TestStoredTokens_sharedWithAnotherCaller(t *testing.T) {
	for name, c := range map[string]struct {
		revoked, expired string // whose token they have; empty: their own
		codes            bool
		want             []string
	}{
		"revoked has the valid one": {"VALID", "", true, []string{"inconclusive",
			"revoked inconclusive(credential): accepted, and rightly so: the token is that of valid",
			"stored_tokens inconclusive(credential): the token of revoked is that of valid"}},
		"revoked has the expired one": {"EXPIRED", "", true, []string{"inconclusive",
			"revoked inconclusive(credential): got 401, which proves nothing: the token is that of expired",
			"stored_tokens inconclusive(credential): the token of revoked is that of expired"}},
		"expired has none at all": {"", "any-text-will-be-refused", false, []string{"inconclusive",
			"expired inconclusive(credential): got 401, which proves nothing: the token is opaque, so an expired token cannot be distinguished from an invalid one; set the code of the response",
			"stored_tokens inconclusive(credential): the token of expired is opaque, so an expired token cannot be distinguished from an invalid one; set the code of the response"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, jose.ES256)
			p := g.knocker()
			for name, caller := range p.Callers {
				if !c.codes {
					caller.Code = ""
				}
				p.Callers[name] = caller
			}
			if c.revoked != "" {
				t.Setenv("TEST_GATE_REVOKED", secretOf(t, c.revoked))
			}
			if c.expired != "" {
				t.Setenv("TEST_GATE_EXPIRED", c.expired)
			}
			if got := probetest.NotPassed(probetest.Run(t, Kind(), p)); got != strings.Join(c.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestStoredTokens_sharedWithHeaders(t *testing.T) {
	p := newGate(t, jose.ES256).knocker()
	other := p.Callers["valid"]
	other.Status, other.Headers = nil, map[string]httpx.Value{"X-Org-Id": {Text: "other"}}
	p.Callers["other"] = other
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	if f := p.readTokens()["other"]; f.unusableBecause != "" {
		t.Errorf("the token %s", f.unusableBecause)
	}
}

// TestForgeries_cachedRejection: nobody verified anything.
func TestForgeries_cachedRejection(t *testing.T) {
	g := newGate(t, jose.ES256)
	p := g.knocker()
	p.Forgeries = &Forgeries{}
	g.answer = func(w http.ResponseWriter, _ *http.Request, token string) bool {
		if f := jwk.ReadRaw(token); f != nil && f.Head["jku"] != nil {
			w.Header().Set("Age", "7")
		}
		return false
	}
	want := "inconclusive\nforgeries inconclusive(stale_or_cached): a token with the URL of its keys (jku): the answer may come out of a cache (Age: 7)"
	if got := probetest.NotPassed(probetest.Run(t, Kind(), p)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestForgeries_severalUnproven: a failure is told before what is only unproven, wherever it is among them, and else the first.
func TestForgeries_severalUnproven(t *testing.T) {
	testenv.WithoutRace(t)
	cached := func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		w.Header().Set("Age", "7")
		return false
	}
	broken, accepted := always(500, "application/json", "{}"), always(501, "application/json", "{}")
	const unsigned, jku = "a token with alg none and the real signature", "a token with the URL of its keys (jku)"
	for name, c := range map[string]struct {
		unsigned, jku func(http.ResponseWriter, *http.Request, string) bool
		want          string
		rests         int // the status of the answer that the check rests on
	}{
		"a failure after what is unproven":  {cached, broken, "fail\nforgeries fail(upstream_error): " + jku + ": expected 400, 401 or 403, got 500", 500},
		"a failure before what is unproven": {broken, cached, "fail\nforgeries fail(upstream_error): " + unsigned + ": expected 400, 401 or 403, got 500", 500},
		"two failures":                      {broken, always(502, "application/json", "{}"), "fail\nforgeries fail(upstream_error): " + unsigned + ": expected 400, 401 or 403, got 500", 500},
		"two that are unproven":             {cached, cached, "inconclusive\nforgeries inconclusive(stale_or_cached): " + unsigned + ": the answer may come out of a cache (Age: 7)", 401},
		"one accepted after a failure":      {broken, accepted, "fail\nforgeries fail(auth_bypass): forged tokens are accepted (1 of 37): " + jku, 501},
		"some accepted before a failure":    {accepted, broken, "fail\nforgeries fail(auth_bypass): forged tokens are accepted (*", 501},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, jose.ES256)
			p := g.knocker()
			p.Forgeries = &Forgeries{}
			g.answer = func(w http.ResponseWriter, q *http.Request, token string) bool {
				switch f := jwk.ReadRaw(token); {
				case f == nil:
					return false
				case f.Head["alg"] == "none":
					return c.unsigned(w, q, token)
				case f.Head["jku"] != nil:
					return c.jku(w, q, token)
				}
				return false
			}
			r := probetest.Run(t, Kind(), p)
			begin, more := strings.CutSuffix(c.want, "*")
			if got := probetest.NotPassed(r); got != c.want && !(more && strings.HasPrefix(got, begin)) {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			others := 0
			for _, x := range r.Exchanges {
				switch x.Check {
				case "forged":
					others++
				case checkForgeries:
					if x.Status != c.rests {
						t.Errorf("the check rests on an answer with %d, expected %d", x.Status, c.rests)
					}
				}
			}
			if others != 37 { // and the valid caller once more
				t.Errorf("%d other exchanges, expected 37", others)
			}
		})
	}
}

// Whatever form a token has, its parts that are JSON are found: they say whose it is.
func TestJSONParts(t *testing.T) {
	for token, want := range map[string]string{
		"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmVk":                                   "eyJhbGciOiJFUzI1NiJ9 eyJzdWIiOiJtZSJ9",
		`{"protected":"eyJhbGciOiJFUzI1NiJ9","payload":"eyJzdWIiOiJtZSJ9","signature":""}`: "eyJhbGciOiJFUzI1NiJ9 eyJzdWIiOiJtZSJ9",
		"eyAz-_09.eyZA":        "eyAz-_09 eyZA",
		"pat_0123456789abcdef": "",
	} {
		if got := strings.Join(jsonParts(token), " "); got != want {
			t.Errorf("%s: got %s, expected %s", token, got, want)
		}
	}
}

// A key is made for each algorithm, of the curve that it has.
func TestNewForgeKey(t *testing.T) {
	for alg, bits := range map[string]int{"ES256": 256, "ES384": 384, "ES512": 521} {
		k, err := newForgeKey(alg)
		if err != nil {
			t.Fatal(err)
		}
		if key, ok := k.signer.(*ecdsa.PrivateKey); !ok || k.alg != alg || key.Params().BitSize != bits {
			t.Errorf("%s: got %T for %s", alg, k.signer, k.alg)
		}
	}
	secrets := map[string]bool{}
	for _, alg := range []string{"HS256", "HS384", "HS512", "HS256"} {
		k, err := newForgeKey(alg)
		if err != nil || k.signer != nil || k.alg != alg || len(k.shared) < 64 || secrets[string(k.shared)] {
			t.Errorf("%s: got a secret of %d bytes for %s, %v, want one that nobody knows", alg, len(k.shared), k.alg, err)
		}
		secrets[string(k.shared)] = true
	}
	for _, alg := range []string{"ES256K", "HS999", "none", ""} {
		k, err := newForgeKey(alg)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := k.signer.(*ecdsa.PrivateKey); !ok || k.alg != "ES256" {
			t.Errorf("%q: got %T for %q, want a key for ES256", alg, k.signer, k.alg)
		}
	}
}

// TestSecretsFrom: each form of a public key is the one that its name says: a verifier holds no other.
func TestSecretsFrom(t *testing.T) {
	g, r := newGate(t, jose.ES256), newGate(t, jose.RS256)
	for of, public := range map[string]crypto.PublicKey{
		"EC": g.private.Public(), "RSA": r.private.Public(), "Ed25519": newGate(t, jose.EdDSA).private.Public(),
	} {
		form := map[string]string{}
		for _, s := range secretsFrom(public) {
			form[s.name] = string(s.key)
		}
		block, rest := pem.Decode([]byte(form["pem"]))
		if block == nil || len(rest) > 0 || string(block.Bytes) != form["der"] || form["pem_bare"]+"\n" != form["pem"] {
			t.Errorf("%s: got the PEM %q, bare %q", of, form["pem"], form["pem_bare"])
		}
		text, err := json.Marshal(jose.JSONWebKey{Key: public})
		if err != nil {
			t.Fatal(err)
		}
		var member struct{ N, X string }
		if err := json.Unmarshal(text, &member); err != nil || form["jwk"] != member.N+member.X {
			t.Errorf("%s: got %q of the key set, want %q, %v", of, form["jwk"], member.N+member.X, err)
		}
		kind, blob, _ := strings.Cut(form["ssh"], " ")
		raw, err := base64.StdEncoding.DecodeString(blob)
		var fields [][]byte
		for rest := raw; err == nil && len(rest) >= 4; { // RFC 4253, section 6.6
			size := min(int(binary.BigEndian.Uint32(rest))+4, len(rest))
			fields, rest = append(fields, rest[4:size]), rest[size:]
		}
		if err != nil || len(fields) == 0 || string(fields[0]) != kind || !strings.HasSuffix(string(fields[len(fields)-1]), form["material"]) ||
			len(fields) != map[string]int{"EC": 3, "RSA": 3, "Ed25519": 2}[of] {
			t.Errorf("%s: OpenSSH would not write it as %q", of, form["ssh"])
		}
	}
}

// TestIsOwn: a page of an error is that of a proxy.
func TestIsOwn(t *testing.T) {
	for status, want := range map[int]bool{401: true, 499: true, 500: false, 501: false} {
		a := &httpx.Answer{Header: http.Header{"Content-Type": {"text/html"}}}
		a.Status = status
		if got := New().isOwn(a); got != want {
			t.Errorf("a page with %d is the service's own: %t", status, got)
		}
	}
}

// What is true in the configuration is shown as true.
func TestForgeries_marshal(t *testing.T) {
	if got, err := (Forgeries{}).MarshalYAML(); got != true || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := (Forgeries{AllUnknownKids: true}).MarshalYAML(); got == true || err != nil {
		t.Errorf("with more to say: got %v, %v", got, err)
	}
}

// TestProtected_validFromCache: whoever a cache lets in was not let in by the verifier, before the forged tokens or after them.
func TestProtected_validFromCache(t *testing.T) {
	for name, c := range map[string]struct {
		cached func(nth int) bool // of the valid caller's requests
		want   string
	}{
		"always": {func(int) bool { return true }, "inconclusive\nvalid inconclusive(stale_or_cached): the answer may come out of a cache (Age: 3)\n"},
		"before": {func(nth int) bool { return nth == 1 }, "inconclusive\nvalid inconclusive(stale_or_cached): the answer may come out of a cache (Age: 3)\n"},
		"after":  {func(nth int) bool { return nth == 2 }, "forgeries inconclusive(control_failed): the valid caller was accepted before the forged tokens and not after them, so their rejection proves nothing\n"},
		"never":  {func(int) bool { return false }, "pass\n"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, jose.ES256)
			p := g.knocker()
			p.Forgeries = &Forgeries{}
			nth := 0
			g.answer = atRoute(func(w http.ResponseWriter, q *http.Request, token string) bool {
				if token == secretOf(t, "VALID") {
					if nth++; c.cached(nth) {
						w.Header().Set("Age", "3")
					}
				}
				return false
			})
			if got := probetest.Lines(probetest.Run(t, Kind(), p)); !strings.Contains(got, c.want) {
				t.Errorf("got\n%swant %s", got, c.want)
			}
			if nth != 2 {
				t.Errorf("the valid caller asked %d times", nth)
			}
		})
	}
}

func TestProtected_callerNames(t *testing.T) {
	g := newGate(t, jose.ES256)
	for _, name := range []string{"org-b", "Org.B", "2nd"} {
		p := g.knocker()
		p.Callers[name] = p.Callers["revoked"]
		delete(p.Callers, "revoked")
		if got := probetest.Lines(probetest.Run(t, Kind(), p)); !strings.Contains(got, "\n"+name+" pass(ok): rejected: got 401, revoked\n") {
			t.Errorf("no caller %s, got\n%s", name, got)
		}
	}
}
