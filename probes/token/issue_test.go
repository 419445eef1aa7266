package token

import (
	"net/http"
	"strings"
	"testing"

	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// TestWrongSecret_responses has the issuer answer the wrong secret, and only that, in other ways.
func TestWrongSecret_responses(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"400, as some do":      {probetest.Respond(400, "application/json", `{"error":"invalid_client"}`), "wrong_secret pass(ok): a wrong client_secret is rejected (400 invalid_client), the right one was accepted"},
		"without a code":       {probetest.Respond(401, "text/plain", "no"), "wrong_secret fail(body): a wrong client_secret is rejected (401), but not as invalid_client (RFC 6749, section 5.2)"},
		"with another code":    {probetest.Respond(400, "application/json", `{"error":"invalid_grant"}`), "wrong_secret fail(body): a wrong client_secret is rejected (400), but not as invalid_client (RFC 6749, section 5.2)"},
		"a server error":       {probetest.Respond(500, "application/json", `{"error":"invalid_client"}`), "wrong_secret fail(status): expected a wrong client_secret to be rejected (400 or 401 invalid_client), got 500"},
		"200 and no token":     {probetest.Respond(200, "application/json", `{"error":"invalid_client"}`), "wrong_secret fail(status): expected a wrong client_secret to be rejected (400 or 401 invalid_client), got 200"},
		"401 and a token":      {probetest.Respond(401, "application/json", `{"access_token":"abcdefghijklmnopqrstuv"}`), "wrong_secret fail(auth_bypass): a wrong client_secret gets a token too (401)"},
		"a rate limit":         {probetest.Respond(429, "text/plain", ""), "wrong_secret inconclusive(rate_limited): *"},
		"a firewall":           {probetest.Respond(403, "text/html", "<html>"), "wrong_secret inconclusive(control_failed): *"},
		"a connection cut off": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "wrong_secret fail(reset): *"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIDP(t, func(i *idp) {
				i.paths["/token"] = func(w http.ResponseWriter, q *http.Request) {
					if i.knows(q) {
						i.serveToken(w, q)
						return
					}
					c.answer(w, q)
				}
			})
			verdict := "fail"
			if strings.Contains(c.want, " pass(") {
				verdict = "pass"
			} else if strings.Contains(c.want, " inconclusive(") {
				verdict = "inconclusive"
			}
			probetest.WantLines(t, probetest.Run(t, Kind(), i.probe(t, nil)), verdict, issued, discovered, signed, claimed, timely, c.want)
		})
	}
	t.Run("nothing is tried where the right one is not accepted", func(t *testing.T) {
		i := newIDP(t, nil)
		p := i.probe(t, nil)
		i.secret = "another-since"
		if r := probetest.Run(t, Kind(), p); r.Verdict() != probe.Inconclusive || i.requests() != 1 {
			t.Errorf("%d requests, %s", i.requests(), probetest.Lines(r))
		}
	})
	t.Run("not tried where that is forbidden", func(t *testing.T) {
		i := newIDP(t, nil)
		probetest.WantLines(t, probetest.Run(t, Kind(), i.probe(t, func(p *Probe) { p.WrongSecret = false })), "pass", issued, discovered, signed, claimed, timely)
		if i.requests() != 1 {
			t.Errorf("%d token requests", i.requests())
		}
	})
}

func TestWrongSecret_lengthAndValue(t *testing.T) {
	for _, right := range []string{"abcd", strings.Repeat("x", 16), strings.Repeat("y", 100)} {
		wrong := wrongSecret(right)
		if wrong == right || len(wrong) != max(len(right), 16) || wrong == wrongSecret(right) {
			t.Errorf("for one of %d: got one of %d", len(right), len(wrong))
		}
	}
}
