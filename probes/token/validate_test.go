package token

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/probes/internal/issuance"
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
		"algs: is not checked, since opaque says":             func(p *Probe) { p.Opaque, p.Algs = true, []string{"RS256"} },
		"keysets: is not checked, since opaque says":          func(p *Probe) { p.Opaque, p.Keysets = true, []string{"https://a.test"} },
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
		"revocation.use.status: 401 and 403 are the answers to": func(p *Probe) {
			p.Revocation = &Revocation{Use: Use{URL: use.URL, Status: httpx.Codes(200, 403)}}
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

// What is announced follows from the settings: checks, provoked errors and who is asked.
func TestAnnounced(t *testing.T) {
	p := New()
	p.Issuer, p.Discovery, p.WrongSecret, p.Opaque = "https://issuer.test/", false, false, true
	p.TokenURL, p.JWKSURI = "https://a.test/token", "https://a.test/keys"
	want := func(checks string, addresses string, codes ...int) {
		t.Helper()
		if got := strings.Join(p.Checks(), " "); got != checks {
			t.Errorf("got the checks %s, expected %s", got, checks)
		}
		if got := strings.Join(p.Addresses(), " "); got != addresses {
			t.Errorf("got the addresses %s, expected %s", got, addresses)
		}
		if got := p.ExpectedStatuses()[""]; !slices.Equal(got, codes) {
			t.Errorf("got the statuses %v, expected %v", got, codes)
		}
	}
	want("issuance", "https://a.test/token https://a.test/keys")
	p.WrongSecret, p.Opaque = true, false
	want("issuance signature claims times wrong_secret", "https://a.test/token https://a.test/keys", wrongSecretStatuses.Codes()...)
	p.WrongSecret, p.Discovery, p.Keysets = false, true, []string{"https://b.test/keys"}
	p.Revocation = &Revocation{URL: "https://a.test/revoke", Use: Use{URL: "https://b.test/me"}}
	want("issuance discovery signature claims times keysets revocation", "https://issuer.test/.well-known/openid-configuration "+
		"https://a.test/token https://a.test/keys https://b.test/keys https://a.test/revoke https://b.test/me", rejectedStatuses.Codes()...)
}

// When a token was issued is told by iat, else by exp and expires_in, else by when it was got.
func TestIssued(t *testing.T) {
	at := time.Now()
	run := &runState{}
	for want, c := range map[time.Time]struct {
		token jwk.Token
		grant issuance.Grant
	}{
		at:                  {jwk.Token{IssuedAt: at, Expiry: at.Add(time.Hour)}, issuance.Grant{Got: at.Add(time.Minute), Expires: time.Second}},
		at.Add(time.Second): {jwk.Token{Expiry: at.Add(time.Hour)}, issuance.Grant{Got: at.Add(time.Minute), Expires: time.Hour - time.Second}},
		at.Add(time.Minute): {jwk.Token{Expiry: at.Add(time.Hour)}, issuance.Grant{Got: at.Add(time.Minute)}},
	} {
		if got := run.issued(&c.token, c.grant); !got.Equal(want) {
			t.Errorf("got %s, expected %s", got, want)
		}
	}
}

// A token may be taken for expired by what it says itself or what the answer with it says, whichever is sooner, less the leeway.
func TestExpiry(t *testing.T) {
	sent := time.Unix(1_800_000_000, 0)
	lives := func(life time.Duration) string {
		claims := fmt.Sprintf(`{"iat": %d, "exp": %d}`, sent.Unix(), sent.Add(life).Unix())
		return "eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	}
	run := &runState{Probe: &Probe{Leeway: probe.Duration(10 * time.Second)}}
	for name, c := range map[string]struct {
		token   string
		expires time.Duration // as expires_in says
		want    time.Duration // after it was asked for; 0: it is not known
	}{
		"only the answer says":  {"opaque", time.Hour, time.Hour},
		"only the token says":   {lives(5 * time.Minute), 0, 5 * time.Minute},
		"the token, and sooner": {lives(5 * time.Minute), time.Hour, 5 * time.Minute},
		"the token, but later":  {lives(time.Hour), time.Minute, time.Minute},
		"nothing says":          {"opaque", 0, 0},
	} {
		want := time.Time{}
		if c.want > 0 {
			want = sent.Add(c.want - 10*time.Second)
		}
		if got := run.expiry(issuance.Grant{Token: c.token, Expires: c.expires, Sent: sent, Got: sent}); !got.Equal(want) {
			t.Errorf("%s: got %s, expected %s", name, got, want)
		}
	}
}
