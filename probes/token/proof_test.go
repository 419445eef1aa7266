package token

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/probetest"
)

// revoking is a probe of nothing but revocation.
func (i *idp) revoking(t *testing.T, within, every time.Duration) *Probe {
	return i.probe(t, func(p *Probe) {
		p.Opaque, p.Audience, p.WrongSecret, p.Leeway = true, "", false, probe.Duration(2*time.Second)
		p.Revocation = &Revocation{Use: Use{URL: i.url + "/me"}, Within: probe.Duration(within), Every: probe.Duration(every)}
	})
}

// TestRevocation_tokenExpires: where a revoked token is rejected only once it has expired, revoking proves nothing,
// and that the control has expired by then too is nobody's fault.
func TestRevocation_tokenExpires(t *testing.T) {
	i := newIDP(t, func(i *idp) { i.forgetful, i.grant = true, map[string]any{"expires_in": 1} })
	var began time.Time
	i.paths["/me"] = func(w http.ResponseWriter, q *http.Request) {
		if began.IsZero() {
			began = time.Now()
		}
		if time.Since(began) > time.Second {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		i.serveMe(w, q)
	}
	probetest.WantLines(t, probetest.Run(t, Kind(), i.revoking(t, 8*time.Second, 100*time.Millisecond)), "inconclusive", issued, discovered,
		"revocation inconclusive(control_failed): the revoked token was rejected after *")
}

// TestRevocation_controlExpires: the revoked token is rejected at once, and the other one is answered late.
func TestRevocation_controlExpires(t *testing.T) {
	i := newIDP(t, func(i *idp) { i.grant = map[string]any{"expires_in": 5} })
	asked := 0
	i.paths["/me"] = func(w http.ResponseWriter, q *http.Request) {
		if asked++; asked <= 2+requiredRejections {
			i.serveMe(w, q)
			return
		}
		<-time.After(3500 * time.Millisecond)
		w.WriteHeader(http.StatusUnauthorized)
	}
	probetest.WantLines(t, probetest.Run(t, Kind(), i.revoking(t, time.Second, time.Second)), "inconclusive", issued, discovered,
		"revocation inconclusive(control_failed): another token is rejected as well, but may have expired")
}

// TestRevocation_oneReplicaRejects: behind a load balancer one of three knows of the revocation.
func TestRevocation_oneReplicaRejects(t *testing.T) {
	i := newIDP(t, nil)
	asked := 0
	i.paths["/me"] = func(w http.ResponseWriter, q *http.Request) {
		asked++
		i.forgetful = asked%3 != 0
		i.serveMe(w, q)
	}
	probetest.WantLines(t, probetest.Run(t, Kind(), i.revoking(t, 300*time.Millisecond, 100*time.Millisecond)), "fail", issued, discovered,
		"revocation fail(revoked_accepted): expected a revoked token to be rejected within 300ms, got it still accepted after *")
}

// TestRevocation_noControl: without a second token, which would be the control, nothing is revoked.
func TestRevocation_noControl(t *testing.T) {
	i := newIDP(t, nil)
	asked := 0
	i.paths["/token"] = func(w http.ResponseWriter, q *http.Request) {
		if asked++; asked > 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		i.serveToken(w, q)
	}
	i.paths["/revoke"] = func(http.ResponseWriter, *http.Request) { t.Error("a token was revoked") }
	probetest.WantLines(t, probetest.Run(t, Kind(), i.revoking(t, time.Second, time.Second)), "inconclusive", issued, discovered,
		"revocation inconclusive(control_failed): a second token was not issued: expected 200, got 503")
}

// TestIssuance_discoveryHangs: «all OAuth token issuance failing» is no news of a document that does not come.
func TestIssuance_discoveryHangs(t *testing.T) {
	i := newIDP(t, nil)
	i.paths["/.well-known/openid-configuration"] = func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() }
	p := i.probe(t, func(p *Probe) { p.TokenURL, p.JWKSURI = i.url+"/token", i.url+"/keys" })
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	job := probe.Job{ID: probe.ID{System: "test", Name: "it"}, Probe: p, Interval: time.Minute, Timeout: 6 * time.Second}
	probetest.WantLines(t, probetest.Do(t.Context(), job), "fail", issued, "discovery fail(timeout): no complete answer within *", signed, claimed, timely, declined)
}

// TestDiscovery_leaksNothing: the path of an endpoint is what the target wrote.
func TestDiscovery_leaksNothing(t *testing.T) {
	const marker = "planted-by-the-target"
	i := newIDP(t, nil)
	i.document = map[string]any{
		"token_endpoint": i.url + "/" + marker, "jwks_uri": i.url + "/" + marker, "revocation_endpoint": i.url + "/" + marker,
	}
	var shown []string
	for _, x := range probetest.Run(t, Kind(), i.probe(t, nil)).Exchanges {
		shown = append(shown, x.URL)
		if text.Link(x.URL) != x.URL {
			t.Errorf("%s is shown as %s", x.URL, text.Link(x.URL))
		}
	}
	i = newIDP(t, func(i *idp) { i.paths["/revoke"] = probetest.Respond(500, "text/plain", "") })
	for _, x := range probetest.Run(t, Kind(), i.revoking(t, time.Second, time.Second)).Exchanges {
		shown = append(shown, strings.ReplaceAll(x.URL, i.url, "IDP"))
	}
	got := strings.Join(shown, " ")
	if strings.Contains(got, marker) || !strings.Contains(got, "/{token_endpoint}") || !strings.Contains(got, "IDP/{revocation_endpoint}") {
		t.Errorf("got %s", got)
	}
}
