package token

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/probes/internal/probetest"
)

// TestDiscovery_foreignEndpoint has a hostile document name endpoints that are not the issuer's. None of
// them may be asked at all.
func TestDiscovery_foreignEndpoint(t *testing.T) {
	var caught int
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { caught++ }))
	defer thief.Close()
	const elsewhere = "is on another host than the issuer, so it is not requested; if that is intended, list the host under allow_hosts"
	for _, member := range []string{"token_endpoint", "jwks_uri", "revocation_endpoint"} {
		for name, c := range map[string]struct{ url, want string }{
			"another port":      {thief.URL + "/token", "foreign_endpoint): " + member + " " + elsewhere},
			"another host":      {"https://evil.test/token", "foreign_endpoint): " + member + " " + elsewhere},
			"a host that looks": {"http://127.0.0.1.evil.test/token", "foreign_endpoint): " + member + " " + elsewhere},
			"the cloud's":       {"http://169.254.169.254/latest/meta-data", "foreign_endpoint): " + member + " " + elsewhere},
			"credentials":       {strings.Replace(thief.URL, "http://", "http://a:b@", 1), "schema): " + member + " is not a URL that can be requested"},
			"a file":            {"file:///etc/passwd", "schema): " + member + " is not a URL that can be requested"},
			"no scheme":         {"//evil.test/token", "schema): " + member + " is not a URL that can be requested"},
			"no URL":            {"http://[::1", "schema): " + member + " is not a URL that can be requested"},
			"nothing":           {"", "schema): " + member + " is missing"},
		} {
			t.Run(member+" "+name, func(t *testing.T) {
				i := newIDP(t, func(i *idp) { i.document = map[string]any{member: c.url} })
				p := i.probe(t, func(p *Probe) { p.Revocation = &Revocation{Use: Use{URL: i.url + "/me"}} })
				r := probetest.Run(t, Kind(), p)
				if text := probetest.Lines(r); r.Verdict() != probe.Fail || !strings.Contains(text, "discovery fail("+c.want+"\n") || strings.Contains(text, "evil") {
					t.Errorf("expected %s, got\n%s", c.want, text)
				}
			})
		}
	}
	if caught > 0 {
		t.Errorf("the other server was asked %d times", caught)
	}
}

// TestDiscovery_allowHosts lets the endpoints be on another host, and sends it no header of the settings.
func TestDiscovery_allowHosts(t *testing.T) {
	var leaked bool
	i := newIDP(t, nil)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		leaked = leaked || q.Header.Get("X-Tenant") != ""
		i.serveToken(w, q)
	}))
	defer other.Close()
	i.document = map[string]any{"token_endpoint": other.URL + "/token"}
	host := strings.TrimPrefix(other.URL, "http://")
	p := i.probe(t, func(p *Probe) {
		p.AllowHosts, p.Headers = []string{host}, map[string]httpx.Value{"X-Tenant": {Text: "mine"}}
	})
	probetest.WantLines(t, probetest.Run(t, Kind(), p), "pass", issued, discovered, signed, claimed, timely, declined)
	if leaked {
		t.Error("the other host got a header that is for the issuer")
	}
}

func TestCheckEndpoint_plaintextIssuer(t *testing.T) {
	p := &Probe{Issuer: "https://issuer.test", AllowHosts: []string{"login.test", "other.test:8443"}, ClientSecret: secret.Env("X")}
	p.base, _ = url.Parse(p.Issuer)
	for raw, want := range map[string]probe.Reason{
		"https://issuer.test/token": {}, "https://ISSUER.test:443/token": {}, "https://login.test/token": {}, "https://other.test:8443/t": {},
		"http://issuer.test/token": reasonForeignEndpoint, "http://login.test/token": reasonForeignEndpoint, "https://issuer.test:8443/token": reasonForeignEndpoint,
		"https://login.test:8443/t": reasonForeignEndpoint, "https://other.test/t": reasonForeignEndpoint, "https://sub.login.test/t": reasonForeignEndpoint,
		"https://issuer.test@evil.test/t": probe.Schema, "https://issuer.test/t#x": probe.Schema, "https://evil.test\\@issuer.test/": probe.Schema,
	} {
		for _, credential := range []bool{true, false} {
			if why, wrong := p.checkEndpoint(raw, credential); why != want {
				t.Errorf("%s: got %q (%s), want %q", raw, why, wrong, want)
			}
		}
	}
}

// An endpoint in clear on another machine is not asked, though its host is allowed.
func TestCheckEndpoint_inClear(t *testing.T) {
	p := &Probe{Issuer: "http://127.0.0.1", AllowHosts: []string{"login.test"}, ClientSecret: secret.Env("X")}
	p.base, _ = url.Parse(p.Issuer)
	if why, wrong := p.checkEndpoint("http://login.test/token", true); why != reasonForeignEndpoint || wrong != "must not be requested" {
		t.Errorf("got %s, %s", why, wrong)
	}
	if why, wrong := p.checkEndpoint("http://login.test/keys", false); wrong != "" {
		t.Errorf("without a credential: got %s, %s", why, wrong)
	}
}

// Nor does a document lead a credential there.
func TestDiscovery_inClear(t *testing.T) {
	for _, member := range []string{"token_endpoint", "revocation_endpoint"} {
		i := newIDP(t, func(i *idp) { i.document = map[string]any{member: "http://login.test/a"} })
		p := i.probe(t, func(p *Probe) {
			p.AllowHosts, p.Revocation = []string{"login.test"}, &Revocation{Use: Use{URL: i.url + "/me"}}
		})
		r := probetest.Run(t, Kind(), p)
		if text := probetest.Lines(r); !strings.Contains(text, "discovery fail(foreign_endpoint): "+member+" must not be requested\n") {
			t.Errorf("%s: got\n%s", member, text)
		}
		for _, x := range r.Exchanges {
			if strings.Contains(x.URL, "login.test") {
				t.Errorf("%s was asked", x.URL)
			}
		}
	}
}

// What the settings name is asked there, whatever the document names, and what is not needed need not be in it.
func TestDiscovery_settingsFirst(t *testing.T) {
	i := newIDP(t, func(i *idp) { i.document = map[string]any{"jwks_uri": "https://evil.test/keys"} })
	p := i.probe(t, func(p *Probe) { p.JWKSURI = i.url + "/keys" })
	probetest.WantLines(t, probetest.Run(t, Kind(), p), "pass", issued, discovered, signed, claimed, timely, declined)
	i.document = map[string]any{"jwks_uri": nil, "revocation_endpoint": nil}
	p = i.probe(t, func(p *Probe) { p.Opaque, p.Audience = true, "" })
	probetest.WantLines(t, probetest.Run(t, Kind(), p), "pass", issued, discovered, declined)
}

// Headers of the settings go to the issuer.
func TestDiscovery_ownHeaders(t *testing.T) {
	i := newIDP(t, nil)
	var tenant atomic.Int64
	for path, handle := range map[string]http.HandlerFunc{"/.well-known/openid-configuration": i.serveDocument, "/keys": i.serveKeys, "/token": i.serveToken} {
		i.paths[path] = func(w http.ResponseWriter, q *http.Request) {
			if q.Header.Get("X-Tenant") == "mine" {
				tenant.Add(1)
			}
			handle(w, q)
		}
	}
	p := i.probe(t, func(p *Probe) { p.Headers = map[string]httpx.Value{"X-Tenant": {Text: "mine"}} })
	r := probetest.Run(t, Kind(), p)
	if got := tenant.Load(); got == 0 || got != int64(len(r.Exchanges)) {
		t.Errorf("%d of %d requests had the header", got, len(r.Exchanges))
	}
}

func TestToken_withoutDiscovery(t *testing.T) {
	i := newIDP(t, func(i *idp) { i.paths["/.well-known/openid-configuration"] = probetest.Respond(500, "text/plain", "") })
	explicit := func(p *Probe) { p.TokenURL, p.JWKSURI = i.url+"/token", i.url+"/keys" }
	probetest.WantLines(t, probetest.Run(t, Kind(), i.probe(t, func(p *Probe) { explicit(p); p.Discovery = false })), "pass", issued, signed, claimed, timely, declined)
	// Endpoints that are given are asked even while discovery is down.
	probetest.WantLines(t, probetest.Run(t, Kind(), i.probe(t, explicit)), "fail", issued, "discovery fail(status): expected 200, got 500", signed, claimed, timely, declined)
}
