package protected

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// let lists the forgeries that were accepted, by the gauge.
func let(r probe.Result) []string {
	var names []string
	for _, s := range r.Samples {
		if s.Name == "probe_auth_case" && s.Values[1] == "accepted" && s.Value == 1 {
			names = append(names, strings.TrimPrefix(s.Values[0], forgedPrefix))
		}
	}
	slices.Sort(names)
	return names
}

// TestForgeries_correctVerifier, whatever it signs with.
func TestForgeries_correctVerifier(t *testing.T) {
	for alg, want := range map[jose.SignatureAlgorithm]int{jose.ES256: 63, jose.RS256: 62, jose.EdDSA: 59} {
		t.Run(string(alg), func(t *testing.T) {
			g := newGate(t, alg)
			p := g.knocker()
			p.Forgeries = &Forgeries{Keys: g.keys(), AllUnknownKids: true}
			r := probetest.RunWithin(t, time.Minute, Kind(), p)
			line := fmt.Sprintf("forgeries pass(ok): %d forged tokens were rejected\n", want)
			if got := probetest.Lines(r); r.Verdict() != probe.Pass || !strings.Contains(got, line) {
				t.Errorf("got\n%swant\n%s", got, line)
			}
			if got := let(r); got != nil {
				t.Errorf("accepted: %v", got)
			}
		})
	}
}

// TestForgeries_flawedVerifiers gives a real verifier one flaw at a time. The run must fail for it, name what was let
// in, and find nothing else.
func TestForgeries_flawedVerifiers(t *testing.T) {
	testenv.WithoutRace(t)
	found := map[string]bool{}
	for flaw, want := range gateFlaws {
		t.Run(flaw, func(t *testing.T) {
			alg := jose.ES256
			if flaw == "hs256_pkcs1" {
				alg = jose.RS256
			}
			g := newGate(t, alg)
			p := g.knocker()
			p.Forgeries = &Forgeries{Keys: g.keys(), AllUnknownKids: true}
			g.flaw = flaw
			r := probetest.Run(t, Kind(), p)
			slices.Sort(want)
			if got := let(r); !slices.Equal(got, want) {
				t.Errorf("accepted %v, want %v\n%s", got, want, probetest.Lines(r))
			}
			if c := r.Decisive(); r.Verdict() != probe.Fail || c.Name != "forgeries" || c.Reason != probe.AuthBypass || !strings.Contains(c.Detail, "forged tokens are accepted") {
				t.Errorf("got\n%s", probetest.Lines(r))
			}
			if x := r.Exchanges[r.Evidence(r.Decisive())]; x.Status != 501 { // the one to look for in the traces
				t.Errorf("the exchange shown is not that of the forged token, but one answered %d", x.Status)
			}
			for _, c := range r.Checks {
				if c.Name != "forgeries" && c.Verdict != probe.Pass {
					t.Errorf("%s is not to blame: %+v", c.Name, c)
				}
			}
			for _, name := range want {
				found[name] = true
			}
		})
	}
	for _, r := range recipes {
		if !found[r.name] {
			t.Errorf("no flaw proves that %s can be found", r.name)
		}
		delete(found, r.name)
	}
	if len(found) > 0 {
		t.Errorf("never forged: %v", slices.Sorted(maps.Keys(found)))
	}
}
