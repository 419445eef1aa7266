package jwks

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
	"prober/probes/internal/replicas"
)

// TestJWKS_everyReplica has three replicas behind a name, one of which lacks the key.
func TestJWKS_everyReplica(t *testing.T) {
	k1, k2 := newJWK(t, "k1", "ES256"), newJWK(t, "k2", "ES256")
	port := testenv.Listen(t, func(w http.ResponseWriter, q *http.Request) {
		if q.Host != "proxy.example" {
			t.Errorf("a replica is asked as %s", q.Host)
		}
		keys := keysetOf(t, k1, k2)
		if strings.HasPrefix(q.Context().Value(http.LocalAddrContextKey).(net.Addr).String(), "127.0.0.4:") {
			keys = keysetOf(t, k2)
		}
		probetest.Respond(200, "application/json", keys)(w, q)
	}, "127.0.0.2", "127.0.0.3", "127.0.0.4")
	z := &testenv.Zone{Addresses: map[string][]string{"proxy.test": {"127.0.0.2", "127.0.0.3", "127.0.0.4"}, "two.test": {"127.0.0.2", "127.0.0.3"}}}
	resolver := z.Start(t)
	of := func(replicas replicas.Replicas) *Probe {
		p := jwks(nil, "k1")
		p.Resolver = resolver
		p.Verifiers = map[string]Verifier{"proxy": {URL: "http://proxy.example/jwks", Replicas: replicas}}
		return p
	}
	at := func(n string) string { return "proxy/127.0.0." + n + ":" + port }
	many := of(replicas.Replicas{})
	delete(many.Verifiers, "proxy")
	for i := range 51 {
		many.Verifiers[fmt.Sprint("v", i)] = Verifier{URL: "http://proxy.example/jwks", Replicas: replicas.Replicas{DNS: "two.test:" + port, Want: 2}}
	}
	if got, want := probetest.NotPassed(probetest.Run(t, Kind(), many)), "inconclusive\nkeyset inconclusive(too_large): found 102 verifiers and replicas; more than 100 cannot be asked at once"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	r := probetest.Run(t, Kind(), of(replicas.Replicas{DNS: "proxy.test:" + port, Want: 3}))
	if got, want := probetest.NotPassed(r), "fail\n"+
		"kid@"+at("4")+` fail(replica_missing_kid): expected the kid "k1", got a set without it; 1 of 3 verifiers lack it`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := stateOf(t, r); got != "replica_missing_kid" {
		t.Errorf("the state is %s", got)
	}
	if !strings.Contains(probetest.Lines(r), "replicas@proxy pass(ok): expected 3 replicas, found 3, of which 3 with a key set") {
		t.Errorf("got\n%s", probetest.Lines(r))
	}

	for name, c := range map[string]struct {
		replicas replicas.Replicas
		want     string
	}{
		"fewer than expected": {replicas.Replicas{DNS: "two.test:" + port, Want: 3}, "fail\nreplicas@proxy fail(replicas): expected 3 replicas, found 2, of which 2 with a key set"},
		"one does not answer": {replicas.Replicas{Static: []string{"127.0.0.2:" + port, "127.0.0.5:" + port}, Want: 2}, "fail\n" +
			"agreement inconclusive(control_failed): only 1 of 2 verifiers could be compared\n" +
			"keyset@" + at("5") + " fail(refused): nobody listens there\n" +
			"replicas@proxy fail(replicas): expected 2 replicas, found 2, of which 1 with a key set"},
		"all well": {replicas.Replicas{DNS: "two.test:" + port, Want: 2}, "pass"},
	} {
		t.Run(name, func(t *testing.T) {
			got := probetest.NotPassed(probetest.Run(t, Kind(), of(c.replicas)))
			if name == "one does not answer" { // how the system puts it is another package's
				before, rest, _ := strings.Cut(got, "fail(refused): ")
				_, after, _ := strings.Cut(rest, "\n")
				got = before + "fail(refused): nobody listens there\n" + after
			}
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
	gone := probetest.Run(t, Kind(), of(replicas.Replicas{DNS: "gone.test:" + port, Want: 1}))
	if got := probetest.Lines(gone); !strings.HasPrefix(got, "fail\nreplicas@proxy fail(dns_nxdomain): expected 1 replica: ") {
		t.Errorf("a name that does not exist: got\n%s", got)
	}
}

// Verifiers that are named are each asked, whether they have replicas or not.
func TestJWKS_namedVerifiers(t *testing.T) {
	k1, k2 := newJWK(t, "k1", "ES256"), newJWK(t, "k2", "ES256")
	url := probetest.Serve(t, map[string]http.HandlerFunc{
		"/old": probetest.Respond(200, "application/json", keysetOf(t, k2)),
		"/new": probetest.Respond(200, "application/json", keysetOf(t, k1, k2)),
	})
	p := jwks(nil, "k1")
	p.Verifiers = map[string]Verifier{
		"admin":   {URL: url + "/old"},
		"gateway": {URL: "http://gateway.example/new", Replicas: replicas.Replicas{Static: []string{strings.TrimPrefix(url, "http://")}, Want: 1}},
		"worker":  {URL: url + "/new"},
	}
	want := "fail\n" + `kid@admin fail(replica_missing_kid): expected the kid "k1", got a set without it; 1 of 3 verifiers lack it`
	if got := probetest.NotPassed(probetest.Run(t, Kind(), p)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestJWKS_pemBundle is «Verify JWT_KEY_ID_CURRENT matches a key in JWT_PUBLIC_KEYS_PEM on all verifiers»: the ids are
// those of the configuration, and a key under the wrong one shows beside a key set.
func TestJWKS_pemBundle(t *testing.T) {
	k1, k2 := newJWK(t, "k1", "ES256"), newJWK(t, "k2", "ES256")
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/jwks": probetest.Respond(200, "application/json", keysetOf(t, k1, k2))})
	der, err := x509.MarshalPKCS8PrivateKey(k1.Key)
	if err != nil {
		t.Fatal(err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	both := bundleOf(t, k1, k2)
	for name, c := range map[string]struct {
		pem  string
		kids []string
		want []string
	}{
		"in order":                 {both, []string{"k1", "k2"}, []string{"pass"}},
		"on one line":              {strings.ReplaceAll(both, "\n", `\n`), []string{"k1", "k2"}, []string{"pass"}},
		"in the wrong order":       {both, []string{"k2", "k1"}, []string{"fail", `agreement fail(kid_conflict): the kid "k1" stands for 2 different keys (one at URL, one at worker): tokens are rejected at random`}},
		"without the current one":  {bundleOf(t, k2), []string{"k2"}, []string{"fail", `kid@worker fail(replica_missing_kid): expected the kid "k1", *`}},
		"one named, two there":     {both, []string{"k1"}, []string{"fail", "agreement inconclusive(control_failed): *", "keyset@worker fail(schema): expected a bundle of public keys in PEM: 1 keys are named and the bundle holds 2"}},
		"cut off":                  {both[:len(both)-40], []string{"k1", "k2"}, []string{"fail", "agreement inconclusive(control_failed): *", "keyset@worker fail(schema): expected a bundle of public keys in PEM: something other than PEM blocks in it"}},
		"no PEM":                   {"k1", []string{"k1", "k2"}, []string{"fail", "agreement inconclusive(control_failed): *", "keyset@worker fail(schema): expected a bundle of public keys in PEM: no PEM block in it"}},
		"with a private key in it": {private + bundleOf(t, k2), []string{"k1", "k2"}, []string{"fail", "private@worker fail(private_key_published): 1 of 2 keys hold*", `kid@worker inconclusive(control_failed): *`}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "keys.pem")
			if err := os.WriteFile(file, []byte(c.pem), 0o600); err != nil {
				t.Fatal(err)
			}
			p := jwks([]string{url + "/jwks"}, "k1")
			p.Verifiers = map[string]Verifier{"worker": {PEM: secret.File(file).Public(), Kids: literals(c.kids...)}}
			got := strings.Split(strings.ReplaceAll(probetest.NotPassed(probetest.Run(t, Kind(), p)), url+"/jwks", "URL"), "\n")
			if len(got) != len(c.want) {
				t.Fatalf("got\n%s", strings.Join(got, "\n"))
			}
			for i, want := range c.want {
				if prefix, ok := strings.CutSuffix(want, "*"); got[i] != want && !(ok && strings.HasPrefix(got[i], prefix)) {
					t.Errorf("got  %s\nwant %s", got[i], want)
				}
			}
		})
	}
}

// TestJWKS_sourceChanges: a rotation changes what the configuration's sources hold, and the next run knows. The kid
// is shown: it is no secret.
func TestJWKS_sourceChanges(t *testing.T) {
	k1, k2 := newJWK(t, "key-of-november", "ES256"), newJWK(t, "key-of-december", "ES256")
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/jwks": probetest.Respond(200, "application/json", keysetOf(t, k1))})
	p := jwks([]string{url + "/jwks"})
	name := "PROBER_TEST_" + rand.Text()
	p.Kids = []secret.Public{secret.Env(name).Public()}
	t.Setenv(name, k1.KeyID)
	r := probetest.Run(t, Kind(), p)
	if r.Verdict() != probe.Pass || sampled(r, kidPresentGauge, url+"/jwks", "key-of-november") != 1 {
		t.Errorf("got\n%s and %v", probetest.Lines(r), r.Samples)
	}
	t.Setenv(name, k2.KeyID)
	r = probetest.Run(t, Kind(), p)
	if got, want := probetest.NotPassed(r), "fail\nkid@"+url+`/jwks fail(kid_missing): expected the kid "key-of-december", got a set without it`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if sampled(r, kidPresentGauge, url+"/jwks", "key-of-december") != 0 || stateOf(t, r) != "kid_missing" {
		t.Errorf("got %v", r.Samples)
	}
	os.Unsetenv(name)
	r = probetest.Run(t, Kind(), p)
	if got, want := probetest.NotPassed(r), "inconclusive\nkid@"+url+"/jwks inconclusive(credential): kids: text from env "+name+": the variable is not set"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := stateOf(t, r); got != "" {
		t.Errorf("expected no state, got %s", got)
	}
	p = jwks([]string{url + "/jwks"})
	p.Revoked = []secret.Public{secret.Env(name).Public()}
	r = probetest.Run(t, Kind(), p)
	if got, want := probetest.NotPassed(r), "inconclusive\nrevoked@"+url+"/jwks inconclusive(credential): text from env "+name+": the variable is not set"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestJoinShort: of many only a few are told, and how many more there are.
func TestJoinShort(t *testing.T) {
	for want, all := range map[string]string{"a": "a", "a and b and c": "a b c", "a, b, c and 1 more": "a b c d"} {
		if got := joinShort(strings.Fields(all)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// No connection is left open.
func TestClose(t *testing.T) {
	key := newJWK(t, "k1", "ES256")
	url, open := testenv.ServeCounted(t, probetest.Respond(200, "application/json", keysetOf(t, key)))
	p := jwks([]string{url}, "k1")
	p.Connection = "reuse"
	probetest.Run(t, Kind(), p)
	testenv.WantClosed(t, p, 1, open)
}

// TestProbe_checks checks that a probe announces the checks that its settings ask for, and no other.
func TestProbe_checks(t *testing.T) {
	p := jwks([]string{"http://a.test"})
	if got := strings.Join(p.Checks(), " "); got != "private agreement keyset strength" {
		t.Errorf("with nothing asked for: got %s", got)
	}
	p.Issuance = freshFrom(t, "http://a.test/token")
	if got := strings.Join(p.Checks(), " "); got != "private kid signing agreement keyset strength rotation" {
		t.Errorf("with tokens: got %s", got)
	}
	p.Kids, p.Revoked, p.Grace, p.Issuance = literals("k1"), literals("k0"), 1, freshFrom(t, "http://a.test/token")
	p.Verifiers = map[string]Verifier{"a": {URL: "http://b.test", Replicas: replicas.Replicas{DNS: "x:1", Want: 1}}}
	if got := strings.Join(p.Checks(), " "); got != "private revoked kid signing agreement keyset strength cache rotation replicas" {
		t.Errorf("with everything asked for: got %s", got)
	}
}

func TestValidate_rejectsSettings(t *testing.T) {
	bundle := Verifier{PEM: secret.Literal("x"), Kids: literals("k1")}
	for want, change := range map[string]func(p *Probe){
		"nothing to ask: expected urls or verifiers":                            func(p *Probe) { p.URLs = nil },
		"urls[1]: is empty":                                                     func(p *Probe) { p.URLs = append(p.URLs, "") },
		"urls[1]: http://a.test/jwks is listed twice":                           func(p *Probe) { p.URLs = append(p.URLs, "http://a.test/jwks?x=1") },
		"urls[0]: expected http:// or https://":                                 func(p *Probe) { p.URLs = []string{"ftp://a.test"} },
		"verifiers.a: expected url or pem, and not both":                        func(p *Probe) { p.Verifiers = map[string]Verifier{"a": {}} },
		"verifiers.b: expected url or pem, and not both":                        func(p *Probe) { v := bundle; v.URL = "http://a.test"; p.Verifiers = map[string]Verifier{"b": v} },
		"verifiers.c.kids: expected the names of the pem's keys in their order": func(p *Probe) { p.Verifiers = map[string]Verifier{"c": {PEM: bundle.PEM}} },
		"verifiers.d.kids: a key set names its own":                             func(p *Probe) { p.Verifiers = map[string]Verifier{"d": {URL: "http://a.test", Kids: bundle.Kids}} },
		"verifiers.e.kids[1]: \"k1\" is listed twice":                           func(p *Probe) { p.Verifiers = map[string]Verifier{"e": {PEM: bundle.PEM, Kids: literals("k1", "k1")}} },
		"verifiers.f.replicas: a pem is the same for all": func(p *Probe) {
			v := bundle
			v.Replicas = replicas.Replicas{DNS: "x:1", Want: 1}
			p.Verifiers = map[string]Verifier{"f": v}
		},
		"verifiers.g.replicas.want: expected 1 to 100": func(p *Probe) {
			p.Verifiers = map[string]Verifier{"g": {URL: "http://a.test", Replicas: replicas.Replicas{DNS: "x:1"}}}
		},
		"verifiers.i.url: expected http:// or https://":    func(p *Probe) { p.Verifiers = map[string]Verifier{"i": {URL: "ftp://a.test"}} },
		"verifiers.two words: expected a name of one word": func(p *Probe) { p.Verifiers = map[string]Verifier{"two words": bundle} },
		"verifiers.http://a.test/jwks: expected a name":    func(p *Probe) { p.Verifiers = map[string]Verifier{"http://a.test/jwks": bundle} },
		"kids[1]: expected a text of one line":             func(p *Probe) { p.Kids = literals("k1", "") },
		"kids[0]: expected a text of one line":             func(p *Probe) { p.Kids = literals("k1\nk2") },
		"kids[1]: env X is listed twice":                   func(p *Probe) { p.Kids = []secret.Public{secret.Env("X").Public(), secret.Env("X").Public()} },
		"expected at most 100 urls and verifiers, got 101": func(p *Probe) {
			for i := range 100 {
				p.URLs = append(p.URLs, fmt.Sprintf("http://b%d.test/jwks", i))
			}
		},
		"expected at most 100 urls and verifiers, got 102": func(p *Probe) {
			p.Verifiers = map[string]Verifier{"bundle": bundle}
			for i := range 100 {
				p.URLs = append(p.URLs, fmt.Sprintf("http://b%d.test/jwks", i))
			}
		},
		"kids: expected at most 20":                                   func(p *Probe) { p.Kids = literals(strings.Split(strings.Repeat("x", 21), "")...) },
		"revoked[1]: is among kids too":                               func(p *Probe) { p.Revoked = literals("k0", "k1") },
		"revoked[0]: expected a text of one line":                     func(p *Probe) { p.Revoked = literals("") },
		"algs[0]: expected one of RS256":                              func(p *Probe) { p.Algs = []string{"HS256"} },
		"leeway: must not be below zero":                              func(p *Probe) { p.Leeway = -1 },
		"cache_ttl: 2s is longer than the grace of 1s":                func(p *Probe) { p.Grace, p.CacheTTL = 1e9, 2e9 },
		"issuance.client_id: is missing":                              func(p *Probe) { p.Issuance = freshFrom(t, "https://a.test/token"); p.Issuance.ClientID = "" },
		"issuance.token_url: http://a.test/token: http:// would send": func(p *Probe) { p.Issuance = freshFrom(t, "http://a.test/token") },
	} {
		p := jwks([]string{"http://a.test/jwks"}, "k1")
		change(p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	most := jwks(nil, strings.Split("abcdefghijklmnopqrst", "")...)
	for i := range 100 {
		most.URLs = append(most.URLs, fmt.Sprintf("http://b%d.test/jwks", i))
	}
	if err := most.Validate(); err != nil {
		t.Errorf("100 urls and 20 kids are too many: %v", err)
	}
	all := New()
	all.Algs, all.Grace = []string{"none"}, -1
	if err := all.Validate(); err == nil || strings.Count(err.Error(), "\n") < 2 {
		t.Errorf("not all mistakes are told at once: %v", err)
	}
}

// TestJWKS_leaksNothing plants a marker in everything that a publisher and an issuer can say, and looks for it in
// everything that is noted.
func TestJWKS_leaksNothing(t *testing.T) {
	const marker = "hunter2-Zq7x9yk"
	planted := newJWK(t, marker, "ES256")
	again := newJWK(t, marker, "ES256")
	k1 := newJWK(t, "k1", "ES256")
	bodies := map[string]string{
		"every member":      keysetOf(t, k1, entry(t, planted, "alg", marker, "use", marker, "key_ops", []string{marker}, "x5c", []string{marker}, "x5u", marker, marker, marker)),
		"a type":            keysetOf(t, k1, map[string]any{"kty": marker, "kid": marker, "crv": marker}),
		"a curve":           keysetOf(t, k1, map[string]any{"kty": "EC", "kid": marker, "crv": marker, "x": marker, "y": marker}),
		"private":           keysetOf(t, k1, entry(t, planted, "d", marker)),
		"symmetric":         keysetOf(t, k1, map[string]any{"kty": "oct", "kid": marker, "k": marker}),
		"one kid, two keys": keysetOf(t, k1, planted, again),
		"weak":              keysetOf(t, k1, map[string]any{"kty": "RSA", "kid": marker, "n": "AQAB", "e": "AQAB"}),
		"two members":       strings.Replace(keysetOf(t, planted), `"kid"`, `"kid":"`+marker+`","kid"`, 1),
		"no key set":        `{"` + marker + `":"` + marker + `"}`,
		"no JSON":           marker,
		"one key":           keysetOf(t, k1, planted),
		"the other key":     keysetOf(t, k1, again),
	}
	signed := newJWK(t, marker, "ES256")
	paths := map[string]http.HandlerFunc{"/token": func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("X-Version", marker)
		issues(t, signed)(w, q)
	}, "/no-token": probetest.Respond(400, "application/json", `{"error":"`+marker+`","error_description":"`+marker+`"}`),
		"/opaque": probetest.Respond(200, "application/json", `{"access_token":"`+marker+marker+`","token_type":"Bearer"}`)}
	var names []string
	for name, body := range bodies {
		paths["/"+name] = func(w http.ResponseWriter, q *http.Request) {
			for _, header := range []string{"X-Version", "X-Trace-Id", "Etag", "Location", "Expires"} {
				w.Header().Set(header, marker)
			}
			w.Header().Set("Cache-Control", "max-age="+marker)
			w.Header().Set("X-Cache", "HIT "+marker)
			probetest.Respond(200, marker, body)(w, q)
		}
		names = append(names, name)
	}
	url := probetest.Serve(t, paths)
	noted := 0
	for _, a := range names {
		if a == "one key" {
			continue // the one beside all others
		}
		for _, token := range []string{"/token", "/no-token", "/opaque"} {
			p := jwks([]string{url + "/" + strings.ReplaceAll(a, " ", "%20"), url + "/one%20key?again"}, "k1")
			p.Issuance, p.AllowCached, p.Grace = freshFrom(t, url+token), true, 1e12
			for range 2 {
				r := probetest.Run(t, Kind(), p)
				text := probetest.Lines(r)
				for _, s := range r.Samples {
					text += s.Name + strings.Join(s.Values, " ") + "\n"
				}
				for _, x := range r.Exchanges {
					text += x.Version + x.TraceID + x.TargetTraceID + x.URL + "\n"
				}
				noted += len(r.Checks)
				for i := 0; i+8 <= len(marker); i++ {
					if strings.Contains(text, marker[i:i+8]) {
						t.Fatalf("%s, %s: the publisher's words are repeated:\n%s", a, token, text)
					}
				}
			}
		}
	}
	if noted < 300 {
		t.Errorf("only %d checks were noted", noted)
	}
}
