package token

import (
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/probes/internal/issuance"
	"prober/probes/internal/probetest"
)

// TestRevocation_endpoint: a token is revoked where the settings say; where nothing says it, nothing is proven.
func TestRevocation_endpoint(t *testing.T) {
	i := newIDP(t, nil)
	p := i.probe(t, func(p *Probe) {
		p.Discovery, p.TokenURL, p.JWKSURI = false, i.url+"/token", i.url+"/keys"
		p.Revocation = &Revocation{URL: i.url + "/revoke", Use: Use{URL: i.url + "/me"}}
	})
	r := probetest.Run(t, Kind(), p)
	if r.Verdict() != probe.Pass || len(i.revoked) != 1 {
		t.Errorf("%d tokens were revoked: %s", len(i.revoked), probetest.Lines(r))
	}
	out := probe.NewResult(probe.ID{})
	(&runState{Probe: p, r: out}).checkRevocation(t.Context(), endpoints{}, issuance.Grant{})
	if got := probetest.Lines(*out); !strings.Contains(got, "revocation inconclusive(control_failed): not requested: no revocation endpoint is known") {
		t.Errorf("got %s", got)
	}
}

// TestApart: a range of offsets in words, also where it begins or ends with none.
func TestApart(t *testing.T) {
	const s = time.Second
	for want, c := range map[string][2]time.Duration{
		"0s to 1s ahead of": {0, s}, "0s to 1s behind": {-s, 0}, "1s to 2s ahead of": {s, 2 * s}, "1s to 2s behind": {-2 * s, -s}, "at most 1s behind or 2s ahead of": {-s, 2 * s},
	} {
		if got := apart(c[0], c[1]); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
