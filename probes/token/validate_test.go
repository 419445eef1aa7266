package token

import (
	"strings"
	"testing"
	"time"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
)

func TestValidate_rejectsSettings(t *testing.T) {
	good := func() *Probe {
		p := New()
		p.Issuer, p.ClientID, p.ClientSecret, p.Audience = "https://issuer.test", "me", secret.Env("X"), "https://api.test"
		return p
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	use := Use{URL: "https://api.test/me"}
	for want, change := range map[string]func(*Probe){
		"issuer: is missing":                                  func(p *Probe) { p.Issuer = "" },
		"issuer: expected a URL without a query":              func(p *Probe) { p.Issuer += "?a=b" },
		"http:// would send the credential in clear":          func(p *Probe) { p.Issuer = "http://issuer.test" },
		"token_url: http://issuer.test/t: http:// would send": func(p *Probe) { p.TokenURL = "http://issuer.test/t" },
		"token_url: is missing, and without discovery":        func(p *Probe) { p.Discovery = false },
		"jwks_uri: is missing, and without discovery":         func(p *Probe) { p.Discovery = false },
		"allow_hosts: is about what discovery names":          func(p *Probe) { p.Discovery, p.AllowHosts = false, []string{"a.test"} },
		"allow_hosts[0]: expected host or host:port":          func(p *Probe) { p.AllowHosts = []string{"https://a.test"} },
		"client_id: is missing":                               func(p *Probe) { p.ClientID = "" },
		"client_secret: is missing":                           func(p *Probe) { p.ClientSecret = secret.Secret{} },
		"auth: expected basic or post":                        func(p *Probe) { p.Auth = "private_key_jwt" },
		"bearer: is not sent":                                 func(p *Probe) { p.Bearer = secret.Env("Y") },
		"params.scope: is written by the prober":              func(p *Probe) { p.Params = map[string]string{"scope": "a"} },
		"audience: is missing":                                func(p *Probe) { p.Audience = "" },
		"audience: is not checked, since opaque says":         func(p *Probe) { p.Opaque = true },
		"algs[0]: expected one of RS256":                      func(p *Probe) { p.Algs = []string{"none"} },
		"algs[1]: expected one of RS256":                      func(p *Probe) { p.Algs = []string{"RS256", "HS256"} },
		"lifetime.max: must be above zero":                    func(p *Probe) { p.Lifetime = Lifetime{Min: 2, Max: 1} },
		"leeway: expected at least 2s":                        func(p *Probe) { p.Leeway = probe.Duration(time.Second) },
		"latency: must be above zero":                         func(p *Probe) { p.Latency = new(probe.Duration(0)) },
		"keysets[1]: is empty or listed twice":                func(p *Probe) { p.Keysets = []string{"https://a.test", "https://a.test"} },
		"keysets: expected at most 20, got 21":                func(p *Probe) { p.Keysets = make([]string, 21) },
		"tls.insecure_skip_verify: a credential":              func(p *Probe) { p.TLS = &dial.TLS{InsecureSkipVerify: true} },
		"revocation.use.url: is missing":                      func(p *Probe) { p.Revocation = &Revocation{} },
		"revocation.url: is missing, and without discovery": func(p *Probe) {
			p.Discovery, p.Revocation = false, &Revocation{Use: use}
		},
		"revocation.use.status: 401 and 403 are the answers": func(p *Probe) {
			p.Revocation = &Revocation{Use: Use{URL: use.URL, Status: httpx.Codes(401)}}
		},
		"revocation.every: expected 100ms to within": func(p *Probe) {
			p.Revocation = &Revocation{Use: use, Within: probe.Duration(time.Hour)}
		},
		"revocation.use.url: http://api.test/me: http://": func(p *Probe) {
			p.Revocation = &Revocation{Use: Use{URL: "http://api.test/me"}}
		},
	} {
		p := good()
		change(p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("expected %q, got %v", want, err)
		}
	}
}
