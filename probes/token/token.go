// Package token asks an issuer for a token, verifies it, and sees it revoked.
package token

import (
	"context"
	"net/url"
	"slices"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/probes/internal/issuance"
)

// Probe asks an OAuth 2.0 or OpenID Connect issuer for an access token as a relying party does, by client credentials,
// and looks at what it gets as a verifier does: discovery, signature, claims and times. It answers «all OAuth token
// issuance failing», and whether what is issued can be verified by anybody. A wrong secret must be rejected, and a
// revoked token within a limit.
type Probe struct {
	httpx.Settings `yaml:",inline"`

	Issuer    string `yaml:"issuer" required:"true" doc:"the issuer, exactly as it names itself; discovery is requested below it"`
	Discovery bool   `yaml:"discovery" doc:"request the issuer's discovery document (OpenID Connect Discovery 1.0)"`
	TokenURL  string `yaml:"token_url" doc:"where tokens are issued; default: from discovery"`
	JWKSURI   string `yaml:"jwks_uri" doc:"where the issuer's keys are; default: from discovery"`

	AllowHosts []string `yaml:"allow_hosts" empty:"true" doc:"further hosts, host or host:port, on which discovery may name endpoints; the client's secret goes there"`

	ClientID     string            `yaml:"client_id" required:"true" doc:"the client's name at the issuer"`
	ClientSecret secret.Secret     `yaml:"client_secret" required:"true" doc:"the client's secret"`
	Auth         string            `yaml:"auth" doc:"how the secret is sent: basic (client_secret_basic) or post (client_secret_post)"`
	Scopes       []string          `yaml:"scopes" empty:"true" doc:"scopes to request"`
	Params       map[string]string `yaml:"params" empty:"true" mask:"true" doc:"further parameters of the token request, such as resource"`

	Opaque   bool            `yaml:"opaque" doc:"the tokens are not JWTs: nothing in them can be verified here"`
	Audience string          `yaml:"audience" empty:"true" doc:"what the token's aud must contain; required unless the tokens are opaque"`
	Algs     []string        `yaml:"algs" doc:"signature algorithms that verifiers allow; default: all asymmetric ones"`
	Lifetime Lifetime        `yaml:"lifetime" doc:"how long a token may be valid"`
	Leeway   probe.Duration  `yaml:"leeway" doc:"how far the issuer's clock may be from the prober's"`
	Latency  *probe.Duration `yaml:"latency" doc:"maximum duration of each step of issuance"`
	Keysets  []string        `yaml:"keysets" doc:"key sets of verifiers; the token must also verify with each of them"`

	WrongSecret bool        `yaml:"wrong_secret" renamed:"refusal" doc:"also try a wrong secret, once in each run; it must be rejected"`
	Revocation  *Revocation `yaml:"revocation" doc:"revoke a token and measure how soon it is rejected"`

	base  *url.URL      // Issuer
	own   *httpx.Client // of the issuer's own origin
	other *httpx.Client // of every other: it gets no header of the settings
}

// Lifetime bounds how long a token may be valid, from iat to exp.
type Lifetime struct {
	Min probe.Duration `yaml:"min" doc:"the minimum"`
	Max probe.Duration `yaml:"max" doc:"the maximum"`
}

// Revocation is how it is seen that a revoked token (RFC 7009) is rejected.
type Revocation struct {
	URL    string         `yaml:"url" doc:"where tokens are revoked; default: from discovery"`
	Use    Use            `yaml:"use" required:"true" doc:"a request that succeeds only with a valid token"`
	Within probe.Duration `yaml:"within" doc:"how soon after its revocation a token must be rejected"`
	Every  probe.Duration `yaml:"every" doc:"how often to try meanwhile"`
}

// Use is a request with a token as its Bearer.
type Use struct {
	Method string         `yaml:"method" default:"GET" doc:"the HTTP method"`
	URL    string         `yaml:"url" required:"true" doc:"the URL to request"`
	Status httpx.Statuses `yaml:"status" default:"2xx" doc:"the response to a valid token"`
}

// Reasons of the token kind.
var (
	reasonForeignEndpoint = probe.Reason{Word: "foreign_endpoint", Verdict: probe.Fail, Text: "discovery names an endpoint on another host",
		Action: "Correct the discovery document: it sends clients, with their secrets, to another host."}
	reasonIssuer = probe.Reason{Word: "wrong_issuer", Verdict: probe.Fail, Text: "another issuer in iss or in the discovery document",
		Action: "Correct the issuer's own URL in its configuration: verifiers reject tokens with another iss."}
	reasonAudience = probe.Reason{Word: "wrong_audience", Verdict: probe.Fail, Text: "aud does not contain the audience",
		Action: "Correct the audience of the client at the issuer: the API rejects its tokens."}
	reasonNoExpiry = probe.Reason{Word: "no_expiry", Verdict: probe.Fail, Text: "a token without expiry",
		Action: "Set a lifetime at the issuer: a stolen token would be valid for ever."}
	reasonLifetime = probe.Reason{Word: "lifetime", Verdict: probe.Fail, Text: "valid for too long, or not long enough",
		Action: "Correct the lifetime of tokens at the issuer; the detail has the expected one."}
	reasonClockSkew = probe.Reason{Word: "clock_skew", Verdict: probe.Fail, Text: "the issuer's clock and the prober's disagree",
		Action: "Restore time synchronisation at the issuer, and at the prober: new tokens are not valid yet, or expire early."}
	reasonRevokedAccepted = probe.Reason{Word: "revoked_accepted", Verdict: probe.Fail, Text: "a revoked token was accepted for too long",
		Action: "Look at what caches tokens in front of the API: a revoked one is still accepted, so revoking does not stop a thief."}
)

// Measures of the token kind.
var (
	stepGauge = &probe.Measure{
		Name:   "probe_token_step_duration_seconds",
		Help:   "Duration of a step of the last run, of its slowest request: discovery, token, jwks, wrong_secret, use, revoke.",
		Labels: []string{"step"},
	}
	revocationGauge = &probe.Measure{
		Name: "probe_token_revocation_seconds",
		Help: "Time from the response to the revocation until the token was rejected, in the last run.",
	}
)

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return New() },
		Summary:  "an issuer: it issues a token with the right claims, rejects a wrong secret, and a revoked token is rejected in time",
		Measures: []*probe.Measure{stepGauge, revocationGauge},
		Reasons: []probe.Reason{
			reasonForeignEndpoint, reasonIssuer, reasonAudience, reasonNoExpiry, reasonLifetime, reasonClockSkew, reasonRevokedAccepted,
			issuance.SigningWithUnpublishedKey, issuance.NoKeyID, issuance.AlgorithmNotAllowed, issuance.CriticalHeader, issuance.KeyUnusable, issuance.BadSignature,
		},
		Traits:        probe.Traits{HTTPLatency: true},
		RenamedChecks: map[string]string{"refusal": "wrong_secret"},
	}
}

var (
	_ probe.Closer         = (*Probe)(nil)
	_ probe.TimeoutChecker = (*Probe)(nil)
	_ probe.StatusProvoker = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe {
	return &Probe{Discovery: true, WrongSecret: true, Auth: "basic", Leeway: probe.Duration(10 * time.Second)}
}

// Checks names what a run notes.
func (p *Probe) Checks() []string {
	var names []string
	for _, c := range []struct {
		name  string
		wants bool
	}{
		{"issuance", true}, // first: what the others are about
		{"discovery", p.Discovery},
		{"signature", !p.Opaque},
		{"claims", !p.Opaque},
		{"times", !p.Opaque},
		{"keysets", len(p.Keysets) > 0},
		{"wrong_secret", p.WrongSecret},
		{"revocation", p.Revocation != nil},
		{"latency", p.Latency != nil},
	} {
		if c.wants {
			names = append(names, c.name)
		}
	}
	return names
}

// ExpectedStatuses lists the errors that the probe provokes on purpose: the refusals of a wrong secret and of a
// revoked token.
func (p *Probe) ExpectedStatuses() map[string][]int {
	var codes []int
	if p.WrongSecret {
		codes = append(codes, wrongSecretStatuses.Codes()...)
	}
	if p.Revocation != nil {
		codes = append(codes, rejectedStatuses.Codes()...)
	}
	slices.Sort(codes)
	return map[string][]int{"": slices.Compact(codes)}
}

// Close ends the connections that are kept for reuse. The probe may still be asked.
func (p *Probe) Close() {
	p.own.Close()
	p.other.Close()
}

// Ask issues one token and looks at it. What needs a token is asked only if there is one.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	run := &runState{Probe: p, r: r, clock: probe.WatchClock()}
	ends, discovery := run.discover(ctx)
	first := issuance.Grant{Outcome: probe.Outcome{Reason: probe.ControlFailed, Detail: "not requested: no token endpoint is known"}}
	if ends.token != "" {
		first = run.issue(ctx, ends, "first")
	}
	r.Note("issuance", first.Outcome)
	if p.Discovery {
		r.Note("discovery", discovery)
	}
	if first.Passed() {
		if !p.Opaque {
			run.verify(ctx, ends, first)
		}
		if p.WrongSecret {
			run.checkWrongSecret(ctx, ends, first)
		}
		if p.Revocation != nil {
			run.checkRevocation(ctx, ends, first)
		}
	}
	run.checkLatency()
	run.measure()
}
