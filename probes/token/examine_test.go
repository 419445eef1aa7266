package token

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/probes/internal/issuance"
	"prober/probes/internal/probetest"
)

// TestKeysets_unknownKey asks the key sets of verifiers for the key that signed a fresh token.
func TestKeysets_unknownKey(t *testing.T) {
	i := newIDP(t, nil)
	set := func(keys ...jose.JSONWebKey) string {
		return probetest.Serve(t, map[string]http.HandlerFunc{"/keys": func(w http.ResponseWriter, _ *http.Request) { sends(w, 200, jose.JSONWebKeySet{Keys: keys}) }}) + "/keys"
	}
	imposter := tokenKeys()[1].Public()
	imposter.KeyID = i.key.KeyID
	knows, lags, confused := set(tokenKeys()[1].Public(), i.key.Public()), set(tokenKeys()[1].Public()), set(imposter)
	down := probetest.Serve(t, map[string]http.HandlerFunc{"/keys": probetest.Respond(502, "text/html", "<html>")}) + "/keys"
	p := i.probe(t, func(p *Probe) { p.Keysets = []string{knows, lags, confused, down} })
	probetest.WantLines(t, probetest.Run(t, Kind(), p), "fail", issued, discovered, signed, claimed, timely,
		"keysets@"+knows+" pass(ok): a fresh token verifies with the published key that has its kid (RS256, 2048 bits)",
		"keysets@"+lags+" fail(signing_with_unpublished_key): a fresh token names a kid that is not in the key set: verifiers reject it",
		"keysets@"+confused+" fail(bad_signature): a fresh token does not verify with the key that has its kid",
		"keysets@"+down+" fail(status): expected 200, got 502",
		declined)
}

// TestClockSkew_limits compares clocks with a limit of 10 s. The token was got in 400 ms.
func TestClockSkew_limits(t *testing.T) {
	sent := time.Date(2030, 1, 1, 12, 0, 0, 500e6, time.UTC)
	g := issuance.Grant{Sent: sent, Got: sent.Add(400 * time.Millisecond)}
	second := sent.Truncate(time.Second)
	for _, c := range []struct {
		name   string
		issued time.Time
		step   time.Duration
		want   string
	}{
		{"the same second", second, 0, "times pass(ok): the issuer's clock is at most 900ms behind or 500ms ahead of the prober's"},
		{"9 s ahead", second.Add(9 * time.Second), 0, "times pass(ok): the issuer's clock is 8.1s to 9.5s ahead of the prober's"},
		{"9.5 s ahead", second.Add(9*time.Second + 500*time.Millisecond), 0, "times pass(ok): the issuer's clock is 8.6s to 10s ahead of the prober's"},
		{"about 10 s ahead: the limit is within what is possible", second.Add(10*time.Second + 600*time.Millisecond), 0, "times inconclusive(clock_skew): the issuer's clock is 9.7s to 11.1s ahead of the prober's: inconclusive for a limit of 10s"},
		{"11 s ahead", second.Add(11 * time.Second), 0, "times fail(clock_skew): the issuer's clock is 10.1s to 11.5s ahead of the prober's; expected within 10s"},
		{"about 10 s behind", second.Add(-10 * time.Second), 0, "times inconclusive(clock_skew): the issuer's clock is 9.5s to 10.9s behind the prober's: inconclusive for a limit of 10s"},
		{"11 s behind", second.Add(-11 * time.Second), 0, "times fail(clock_skew): the issuer's clock is 10.5s to 11.9s behind the prober's; expected within 10s"},
		{"our own clock was set", second.Add(30 * time.Second), 30 * time.Second, "times inconclusive(self_clock): the prober's own clock was set by 30s during the run"},
		{"our own clock was set back", second, -300 * time.Millisecond, "times inconclusive(self_clock): the prober's own clock was set by -300ms during the run"},
		{"1970", time.Unix(1, 0), 0, "times fail(clock_skew): *"},
		{"the end of time", time.Unix(1<<53, 0), 0, "times fail(clock_skew): *"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := New()
			r := probetest.Run(t, Kind(), askedBy(func(_ context.Context, r *probe.Result) {
				(&runState{Probe: p, r: r}).checkClockSkew(&jwk.Token{IssuedAt: c.issued}, g, c.step)
			}))
			probetest.WantLines(t, r, r.Verdict().String(), c.want)
		})
	}
}

// askedBy makes a function a probe.
type askedBy func(context.Context, *probe.Result)

func (askedBy) Validate() error                            { return nil }
func (askedBy) Checks() []string                           { return []string{"times"} }
func (f askedBy) Ask(ctx context.Context, r *probe.Result) { f(ctx, r) }
