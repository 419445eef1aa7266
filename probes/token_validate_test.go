package probes

import (
	"strings"
	"testing"
	"time"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
)

func TestTokenRefusesSettingsThatProveNothing(t *testing.T) {
	good := func() *Token {
		p := NewToken()
		p.Issuer, p.ClientID, p.ClientSecret, p.Audience = "https://issuer.test", "me", secret.Env("X"), "https://api.test"
		return p
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	use := Use{URL: "https://api.test/me"}
	for want, change := range map[string]func(*Token){
		"issuer: is missing":                                      func(p *Token) { p.Issuer = "" },
		"issuer: wanted a URL without a query":                    func(p *Token) { p.Issuer += "?a=b" },
		"http:// would send the credential in clear":              func(p *Token) { p.Issuer = "http://issuer.test" },
		"token_url: url http://issuer.test/t: http:// would send": func(p *Token) { p.TokenURL = "http://issuer.test/t" },
		"token_url: is missing, and without discovery":            func(p *Token) { p.Discovery = false },
		"jwks_uri: is missing, and without discovery":             func(p *Token) { p.Discovery = false },
		"allow_hosts: is about what discovery names":              func(p *Token) { p.Discovery, p.AllowHosts = false, []string{"a.test"} },
		"allow_hosts: wanted host or host:port":                   func(p *Token) { p.AllowHosts = []string{"https://a.test"} },
		"client_id: is missing":                                   func(p *Token) { p.ClientID = "" },
		"client_secret: is missing":                               func(p *Token) { p.ClientSecret = secret.Secret{} },
		"auth: wanted basic or post":                              func(p *Token) { p.Auth = "private_key_jwt" },
		"bearer, basic, oauth2: none is sent":                     func(p *Token) { p.Bearer = secret.Env("Y") },
		"params: scope cannot be given here":                      func(p *Token) { p.Params = map[string]string{"scope": "a"} },
		"audience: is missing":                                    func(p *Token) { p.Audience = "" },
		"opaque: then audience, algs":                             func(p *Token) { p.Opaque = true },
		`algs: "none" is none that a published key verifies`:      func(p *Token) { p.Algs = []string{"none"} },
		`algs: "HS256" is none that a published key verifies`:     func(p *Token) { p.Algs = []string{"RS256", "HS256"} },
		"lifetime: wanted min and max":                            func(p *Token) { p.Lifetime = Lifetime{Min: 2, Max: 1} },
		"leeway: wanted at least 2s":                              func(p *Token) { p.Leeway = probe.Duration(time.Second) },
		"latency: must be above zero":                             func(p *Token) { p.Latency = -1 },
		"keysets: the URL at place 2 is missing or stands there":  func(p *Token) { p.Keysets = []string{"https://a.test", "https://a.test"} },
		"keysets: at most 20 can be asked":                        func(p *Token) { p.Keysets = make([]string, 21) },
		"tls.insecure_skip_verify: with it a credential":          func(p *Token) { p.TLS = &dial.TLS{InsecureSkipVerify: true} },
		"revocation.use.url: is missing":                          func(p *Token) { p.Revocation = &Revocation{} },
		"revocation.url: is missing, and without discovery": func(p *Token) {
			p.Discovery, p.Revocation = false, &Revocation{Use: use}
		},
		"revocation.use.status: 401 and 403 are the answers": func(p *Token) {
			p.Revocation = &Revocation{Use: Use{URL: use.URL, Status: httpx.Codes(401)}}
		},
		"revocation: wanted every from 100ms to within": func(p *Token) {
			p.Revocation = &Revocation{Use: use, Within: probe.Duration(time.Hour)}
		},
		"revocation.use.url: url http://api.test/me: http://": func(p *Token) {
			p.Revocation = &Revocation{Use: Use{URL: "http://api.test/me"}}
		},
	} {
		p := good()
		change(p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("wanted %q, got %v", want, err)
		}
	}
}
