package protected

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/httpx"
	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
	"prober/probes/internal/replicas"
)

// outcomeByTarget returns the outcome at each target, by the gauge, which must be 1 for exactly one.
func outcomeByTarget(t *testing.T, r probe.Result) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, s := range r.Samples {
		if s.Name == "probe_protected_outcome" && s.Value == 1 {
			if other, twice := all[s.Values[0]]; twice {
				t.Errorf("both %s and %s", other, s.Values[1])
			}
			all[s.Values[0]] = s.Values[1]
		}
	}
	return all
}

// always answers every request the same.
func always(status int, contentType, body string) func(http.ResponseWriter, *http.Request, string) bool {
	return func(w http.ResponseWriter, q *http.Request, _ string) bool {
		probetest.Respond(status, contentType, body)(w, q)
		return true
	}
}

// atRoute answers at the protected route only.
func atRoute(answer func(http.ResponseWriter, *http.Request, string) bool) func(http.ResponseWriter, *http.Request, string) bool {
	return func(w http.ResponseWriter, q *http.Request, token string) bool {
		return q.URL.Path == gateRoute && answer(w, q, token)
	}
}

// rest is a verdict, the lines of the checks that are told word for word, and those of all others.
func rest(others, verdict string, told ...string) []string {
	lines := append([]string{verdict}, told...)
	for _, check := range []string{"anonymous", "invalid", "valid", "catch_all", "expired", "revoked", "suspended", "forgeries"} {
		if !slices.ContainsFunc(told, func(line string) bool { return strings.HasPrefix(line, check+" ") }) {
			lines = append(lines, check+" "+others+": *")
		}
	}
	return append(lines, "stored_tokens pass(ok): *")
}

// TestProtected_responses: what all callers are answered together decides what each answer means.
func TestProtected_responses(t *testing.T) {
	testenv.WithoutRace(t)
	const notProven = ", which proves nothing while the valid caller is not accepted"
	json := func(status int) func(http.ResponseWriter, *http.Request, string) bool {
		return always(status, "application/json", `{"error":"x"}`)
	}
	for name, c := range map[string]struct {
		answer  func(w http.ResponseWriter, q *http.Request, token string) bool
		change  func(p *Probe)
		outcome string
		want    []string
	}{
		"as it should be": {nil, nil, outcomePassed, []string{
			"pass",
			"anonymous pass(ok): rejected: got 401, missing_token",
			"invalid pass(ok): rejected: got 401, invalid",
			"valid pass(ok): accepted: got 501",
			"catch_all pass(ok): a nonexistent path is answered differently (404)",
			"expired pass(ok): rejected: got 401, expired",
			"revoked pass(ok): rejected: got 401, revoked",
			"suspended pass(ok): rejected: got 403, org_suspended",
			"forgeries pass(ok): 37 forged tokens were rejected, one of them with a key that no verifier has (no_kid; 10 others take turns); none was keyed with the public key, since no keys are configured",
			"stored_tokens pass(ok): 4 tokens can prove their case; that of valid expires first, in 29 days",
		}},
		"everything is 401": {json(401), nil, outcomeRejected, []string{
			"fail",
			"valid fail(valid_rejected): expected 501, got 401: the valid token is rejected",
			"catch_all inconclusive(control_failed): got 401 for a nonexistent path, and there is no control: the valid caller was not accepted",
			"anonymous inconclusive(control_failed): got 401, with another code in place of the code missing_token" + notProven,
			"invalid inconclusive(control_failed): *",
			"expired inconclusive(control_failed): *",
			"revoked inconclusive(control_failed): *",
			"suspended inconclusive(control_failed): *",
			"forgeries inconclusive(control_failed): the valid caller was not accepted, or not by the route, so rejected forged tokens prove nothing",
			"stored_tokens pass(ok): *",
		}},
		"everything is 501": {json(501), nil, outcomeCatchAll, rest("inconclusive(control_failed)", "fail",
			"catch_all fail(catch_all): expected 404 for a nonexistent path, got 501: something in front of the route answers, so the other answers prove nothing",
			"valid inconclusive(control_failed): accepted: got 501, which proves nothing: expected 404 for a nonexistent path, got 501: something in front of the route answers, so the other answers prove nothing",
			"anonymous inconclusive(control_failed): expected 401, got 501, and not from the service itself",
		)},
		"everything is 200": {json(200), nil, outcomeBypass, []string{
			"fail",
			"anonymous fail(auth_bypass): a caller without a token is accepted: expected 401, got 200, as for a nonexistent path",
			"invalid fail(auth_bypass): a caller with a random token is accepted: expected 401, got 200, as for a nonexistent path",
			"expired fail(auth_bypass): the caller expired is accepted: expected 401, got 200, as for a nonexistent path",
			"revoked fail(auth_bypass): *",
			"suspended fail(auth_bypass): *",
			"forgeries fail(auth_bypass): forged tokens are accepted (37 of 37): a token with alg none; a token with alg None; *",
			"valid fail(route_implemented): expected 501, got 200: the route now does something else; if that is intended, change the status",
			"catch_all inconclusive(control_failed): *",
			"stored_tokens pass(ok): *",
		}},
		"everything is 404": {json(404), nil, outcomeMissing, rest("inconclusive(control_failed)", "fail",
			"valid fail(route_missing): expected 501, got 404: the route does not exist",
			"catch_all inconclusive(control_failed): *",
			"anonymous inconclusive(control_failed): expected 401, got 404"+notProven,
		)},
		"everything is 503": {json(503), nil, outcomeUpstream, rest("inconclusive(control_failed)", "fail",
			"valid fail(upstream_error): expected 501, got 503",
			"catch_all inconclusive(control_failed): *",
			"anonymous inconclusive(control_failed): expected 401, got 503"+notProven,
		)},
		"everything is 429": {json(429), nil, outcomeInconclusive, []string{
			"inconclusive",
			"valid inconclusive(rate_limited): expected 501, got 429: the target limits the rate of the prober's requests",
			"catch_all inconclusive(control_failed): a nonexistent path is answered 429, which proves nothing",
			"anonymous inconclusive(rate_limited): expected 401, got 429: the target limits the rate of the prober's requests",
			"invalid inconclusive(rate_limited): *",
			"expired inconclusive(rate_limited): *",
			"revoked inconclusive(rate_limited): *",
			"suspended inconclusive(rate_limited): *",
			"forgeries inconclusive(control_failed): *",
			"stored_tokens pass(ok): *",
		}},
		"everything is 304": {json(304), nil, outcomeInconclusive, []string{
			"inconclusive",
			"valid inconclusive(stale_or_cached): expected 501, got 304 to a request that holds no copy",
			"catch_all inconclusive(control_failed): *",
			"anonymous inconclusive(stale_or_cached): expected 401, got 304 to a request that holds no copy",
			"invalid inconclusive(stale_or_cached): *",
			"expired inconclusive(stale_or_cached): *",
			"revoked inconclusive(stale_or_cached): *",
			"suspended inconclusive(stale_or_cached): *",
			"forgeries inconclusive(control_failed): *",
			"stored_tokens pass(ok): *",
		}},
		"everything goes to the login page": {func(w http.ResponseWriter, q *http.Request, _ string) bool {
			http.Redirect(w, q, "/login", http.StatusFound)
			return true
		}, nil, outcomeMissing, rest("inconclusive(control_failed)", "fail",
			"valid fail(redirect): expected 501, got 302: redirects are not followed",
			"catch_all inconclusive(control_failed): *",
			"anonymous inconclusive(control_failed): expected 401, got 302: redirects are not followed"+notProven,
		)},
		"open to those without a token only": {atRoute(func(w http.ResponseWriter, q *http.Request, token string) bool {
			return token == "" && always(501, "application/json", "{}")(w, q, token)
		}), nil, outcomeBypass, rest("pass(ok)", "fail",
			"anonymous fail(auth_bypass): a caller without a token is accepted: expected 401, got 501",
		)},
		"open to those without a token, closed to the valid one": {atRoute(func(w http.ResponseWriter, q *http.Request, token string) bool {
			status := 401
			if token == "" {
				status = 501
			}
			return always(status, "application/json", "{}")(w, q, token)
		}), nil, outcomeBypass, rest("inconclusive(control_failed)", "fail",
			"anonymous fail(auth_bypass): a caller without a token is accepted: expected 401, got 501",
			"valid fail(valid_rejected): *",
			"catch_all inconclusive(control_failed): *",
		)},
		"the route is built by now": {atRoute(func(w http.ResponseWriter, q *http.Request, token string) bool {
			return token == secretOf(t, "VALID") && always(400, "application/json", "{}")(w, q, token)
		}), nil, outcomeImplemented, rest("inconclusive(control_failed)", "fail",
			"valid fail(route_implemented): expected 501, got 400: the route now does something else; if that is intended, change the status",
			"catch_all inconclusive(control_failed): *",
			"anonymous inconclusive(control_failed): rejected: got 401, missing_token"+notProven,
		)},
		"the gateway's 501, without the marker": {atRoute(func(w http.ResponseWriter, q *http.Request, token string) bool {
			return token == secretOf(t, "VALID") && always(501, "application/json", "{}")(w, q, token)
		}), func(p *Probe) { p.Marker = &httpx.Source{Header: "X-Gate"} }, outcomeInconclusive, rest("inconclusive(control_failed)", "inconclusive",
			"valid inconclusive(control_failed): got 501, and not from the service itself: it lacks the marker",
			"catch_all inconclusive(control_failed): *",
		)},
		"the gateway's 501, a page": {atRoute(func(w http.ResponseWriter, q *http.Request, token string) bool {
			return token == secretOf(t, "VALID") && always(501, "text/html", "<h1>501</h1>")(w, q, token)
		}), nil, outcomeInconclusive, rest("inconclusive(control_failed)", "inconclusive",
			"valid inconclusive(control_failed): got 501, and not from the service itself: it is an HTML page",
			"catch_all inconclusive(control_failed): *",
		)},
		"the gateway's 501, without the code": {atRoute(func(w http.ResponseWriter, q *http.Request, token string) bool {
			return token == secretOf(t, "VALID") && always(501, "application/json", `{"error":"x"}`)(w, q, token)
		}), func(p *Probe) {
			p.Callers["valid"] = Caller{Status: httpx.Codes(501), Code: "not_implemented", Bearer: secret.Env("TEST_GATE_VALID")}
		}, outcomeInconclusive, rest("inconclusive(control_failed)", "inconclusive",
			"valid inconclusive(control_failed): got 501, and not from the service itself: it lacks the code not_implemented",
			"catch_all inconclusive(control_failed): *",
		)},
		"hidden from those without a token": {atRoute(func(w http.ResponseWriter, q *http.Request, token string) bool {
			return token == "" && always(404, "application/json", "{}")(w, q, token)
		}), nil, outcomeInconclusive, rest("pass(ok)", "fail",
			"anonymous fail(status): expected 401, got 404",
		)},
		"revoked tokens are called expired": {atRoute(func(w http.ResponseWriter, q *http.Request, token string) bool {
			return token == secretOf(t, "REVOKED") && always(401, "application/json", `{"error":"expired"}`)(w, q, token)
		}), nil, outcomePassed, rest("pass(ok)", "fail",
			"revoked fail(wrong_code): got 401, with the code expired in place of the code revoked",
		)},
		"revoked tokens are accepted": {atRoute(func(w http.ResponseWriter, q *http.Request, token string) bool {
			return token == secretOf(t, "REVOKED") && always(501, "application/json", `{}`)(w, q, token)
		}), nil, outcomeBypass, rest("pass(ok)", "fail",
			"revoked fail(auth_bypass): the caller revoked is accepted: expected 401, got 501",
		)},
		"a suspended org gets 401": {atRoute(func(w http.ResponseWriter, q *http.Request, token string) bool {
			return token == secretOf(t, "SUSPENDED") && always(401, "application/json", `{}`)(w, q, token)
		}), nil, outcomePassed, rest("pass(ok)", "fail",
			"suspended fail(status): rejected with another status: expected 403, got 401",
		)},
		"a forged token breaks it": {atRoute(func(w http.ResponseWriter, q *http.Request, token string) bool {
			f := jwk.ReadRaw(token)
			return f != nil && f.Head["jku"] != nil && always(500, "application/json", `{}`)(w, q, token)
		}), nil, outcomePassed, rest("pass(ok)", "fail",
			"forgeries fail(upstream_error): a token with the URL of its keys (jku): expected 400, 401 or 403, got 500",
		)},
		"refusals out of a cache": {atRoute(func(w http.ResponseWriter, q *http.Request, token string) bool {
			if token == "" {
				w.Header().Set("Age", "60")
			}
			return false
		}), nil, outcomePassed, rest("pass(ok)", "inconclusive",
			"anonymous inconclusive(stale_or_cached): the answer may come out of a cache (*",
		)},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, jose.ES256)
			p := g.knocker()
			p.Forgeries = &Forgeries{}
			g.answer = c.answer
			if c.change != nil {
				c.change(p)
			}
			r := probetest.Run(t, Kind(), p)
			probetest.WantLines(t, r, c.want...)
			if got := outcomeByTarget(t, r)[""]; got != c.outcome {
				t.Errorf("outcome: got %s, want %s", got, c.outcome)
			}
		})
	}
}

// TestProtected_implementedRoute: what the valid caller gets may be any status that no stranger gets.
func TestProtected_implementedRoute(t *testing.T) {
	for name, c := range map[string]struct {
		answer  func(w http.ResponseWriter, q *http.Request, token string) bool
		outcome string
		want    []string
	}{
		"closed": {atRoute(func(w http.ResponseWriter, q *http.Request, token string) bool {
			return token == secretOf(t, "VALID") && always(200, "text/html", "hello")(w, q, token)
		}), outcomePassed, []string{
			"pass", "anonymous pass(ok): rejected: got 401", "invalid pass(ok): rejected: got 401", "valid pass(ok): accepted: got 200",
			"catch_all pass(ok): a nonexistent path is answered differently (404)", "stored_tokens pass(ok): *",
		}},
		"a page for every path": {func(w http.ResponseWriter, q *http.Request, token string) bool {
			return token == secretOf(t, "VALID") && always(200, "text/html", "hello")(w, q, token)
		}, outcomeInconclusive, []string{
			"inconclusive",
			"valid inconclusive(control_failed): accepted: got 200, which proves nothing: expected 404 for a nonexistent path, got 200 as for the route",
			"catch_all inconclusive(control_failed): expected 404 for a nonexistent path, got 200 as for the route",
			"anonymous inconclusive(control_failed): rejected: got 401, which proves nothing while the valid caller is not accepted",
			"invalid inconclusive(control_failed): rejected: got 401, which proves nothing while the valid caller is not accepted",
			"stored_tokens pass(ok): *",
		}},
		"open to all": {atRoute(always(200, "text/html", "hello")), outcomeBypass, []string{
			"fail",
			"anonymous fail(auth_bypass): a caller without a token is accepted: expected 401, got 200",
			"invalid fail(auth_bypass): a caller with a random token is accepted: expected 401, got 200",
			"valid pass(ok): accepted: got 200",
			"catch_all pass(ok): a nonexistent path is answered differently (404)", "stored_tokens pass(ok): *",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, jose.ES256)
			p := g.knocker()
			p.Callers = map[string]Caller{"valid": {Status: httpx.Codes(200), Bearer: secret.Env("TEST_GATE_VALID")}}
			g.answer = c.answer
			r := probetest.Run(t, Kind(), p)
			probetest.WantLines(t, r, c.want...)
			if got := outcomeByTarget(t, r)[""]; got != c.outcome {
				t.Errorf("outcome: got %s, want %s", got, c.outcome)
			}
		})
	}
}

// secretOf is the token that a knocker has for a caller.
func secretOf(t testing.TB, name string) string {
	t.Helper()
	token, err := secret.Env("TEST_GATE_" + name).Reveal()
	if err != nil {
		t.Error(err)
	}
	return token
}

// TestForgeries_rateLimited: what answers 429 is asked for no more forged tokens, and a verifier that locks
// the prober out afterwards has proven nothing.
func TestForgeries_rateLimited(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		most   int
		want   string
	}{
		"limited":    {429, 15, "forgeries inconclusive(rate_limited): got 429 after 5 of 37 forged tokens: the target limits the rate of the prober's requests\n"},
		"locked out": {401, 100, "forgeries inconclusive(control_failed): the valid caller was accepted before the forged tokens and not after them, so their rejection proves nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, jose.ES256)
			p := g.knocker()
			p.Forgeries = &Forgeries{}
			g.answer = func(w http.ResponseWriter, q *http.Request, token string) bool {
				g.mu.Lock()
				late := g.asked > 12
				g.mu.Unlock()
				return late && always(c.status, "application/json", "{}")(w, q, token)
			}
			r := probetest.Run(t, Kind(), p)
			if got := probetest.Lines(r); r.Verdict() != probe.Inconclusive || !strings.Contains(got, c.want) {
				t.Errorf("got\n%swant %s", got, c.want)
			}
			if g.asked > c.most {
				t.Errorf("asked %d times", g.asked)
			}
		})
	}
}

// TestForgeries_outOfTime: a forged token that was not presented is not rejected.
func TestForgeries_outOfTime(t *testing.T) {
	testenv.WithoutRace(t)
	g := newGate(t, jose.ES256)
	p := g.knocker()
	p.Forgeries = &Forgeries{}
	g.answer = func(w http.ResponseWriter, q *http.Request, token string) bool {
		if f := jwk.ReadRaw(token); f != nil && f.Head["jku"] != nil {
			<-q.Context().Done() // hangs on this one
		}
		return false
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	r := probetest.Do(t.Context(), probe.Job{Probe: p, Timeout: 4 * time.Second})
	want := "forgeries inconclusive(timeout): a token with the URL of its keys (jku): "
	if got := probetest.Lines(r); r.Verdict() != probe.Inconclusive || !strings.Contains(got, want) {
		t.Errorf("got\n%swant %s", got, want)
	}
}

// TestForgeries_notPresented: the same answers, but for the last forged token.
func TestForgeries_notPresented(t *testing.T) {
	p := newGate(t, jose.ES256).knocker()
	p.Forgeries = &Forgeries{}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	r, tokens := probe.NewResult(probe.ID{}), p.readTokens()
	v := &replicaRun{probe: p, tokens: tokens, forged: p.forge(t.Context(), r, tokens)}
	p.turns.begin([]string{""})
	v.chosen = p.choose("", v.forged.all)
	v.askCallers(t.Context(), r)
	v.presented = v.presented[:36]
	v.judge()
	last := v.notes[len(v.notes)-1]
	if last.verdict != probe.Inconclusive || last.Reason != probe.Timeout || last.Detail != "the time was up after 36 of 37 forged tokens; give the probe a longer timeout, or leave some out (except)" || v.cases["forged_jku"] != caseError {
		t.Errorf("got %+v, and of the last one %s", last, caseOutcomes[v.cases["forged_jku"]])
	}
}

// TestForgeries_tokenChanges: a token that was renewed is forged again, and one that was not is not.
func TestForgeries_tokenChanges(t *testing.T) {
	g := newGate(t, jose.ES256)
	p := g.knocker()
	p.Forgeries = &Forgeries{}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	own := func() string {
		all := p.forge(t.Context(), probe.NewResult(probe.ID{}), p.readTokens()).all
		return all[slices.IndexFunc(all, func(f forgery) bool { return f.name == "own_key" })].token()
	}
	first := own()
	if own() != first {
		t.Error("forged again without a reason")
	}
	t.Setenv("TEST_GATE_VALID", g.issue(nil))
	if payload := jwk.ReadRaw(secretOf(t, "VALID")).Payload; !strings.Contains(own(), "."+payload+".") {
		t.Error("still forged out of the old token")
	}
	before := own()
	t.Setenv("TEST_GATE_EXPIRED", g.issue(func(c map[string]any) { c["exp"] = g.now.Add(-time.Hour).Unix() }))
	if own() == before {
		t.Error("still forged out of another caller's old token")
	}
}

// TestForgeries_keepHeaders: what else the valid caller sends goes along, or they would be rejected
// for want of it.
func TestForgeries_keepHeaders(t *testing.T) {
	g := newGate(t, jose.ES256)
	p := g.knocker()
	p.Forgeries = &Forgeries{}
	p.Callers["valid"] = Caller{Status: httpx.Codes(501), Bearer: secret.Env("TEST_GATE_VALID"), Headers: map[string]httpx.Value{"X-Org": {Text: "org-a"}}}
	g.answer = atRoute(func(w http.ResponseWriter, q *http.Request, token string) bool {
		return q.Header.Get("X-Org") != "org-a" && always(401, "application/json", `{"error":"missing_token"}`)(w, q, token)
	})
	g.flaw = "none"
	if got := let(probetest.Run(t, Kind(), p)); !slices.Equal(got, []string{"none"}) {
		t.Errorf("accepted %v, want none", got)
	}
}

// TestForgeries_notSentToBrokenReplica: what cannot be judged is not asked.
func TestForgeries_notSentToBrokenReplica(t *testing.T) {
	for _, status := range []int{429, 501, 503} {
		g := newGate(t, jose.ES256)
		p := g.knocker()
		p.Forgeries = &Forgeries{}
		g.answer = always(status, "application/json", "{}")
		probetest.Run(t, Kind(), p)
		if g.asked != 7 {
			t.Errorf("%d: asked %d times, want the 6 callers and the wrong path", status, g.asked)
		}
	}
}

// TestProtected_replicaCount: one that is not there is not well.
func TestProtected_replicaCount(t *testing.T) {
	g := newGate(t, jose.ES256)
	p := g.knocker()
	u, err := url.Parse(g.url)
	if err != nil {
		t.Fatal(err)
	}
	p.Replicas = replicas.Replicas{DNS: "localhost:" + u.Port(), Want: 2}
	if got, want := probetest.Lines(probetest.Run(t, Kind(), p)), "replicas fail(replicas): expected 2 replicas, found 1\n"; !strings.HasPrefix(got, "fail\n") || !strings.Contains(got, want) {
		t.Errorf("got\n%swant %s", got, want)
	}
}

// TestStoredTokens_unusable: one that can no longer prove its case spoils that case and no other.
func TestStoredTokens_unusable(t *testing.T) {
	past := func(g *gate) func(c map[string]any) {
		return func(c map[string]any) { c["exp"], c["jti"] = g.now.Add(-3*time.Hour).Unix(), "revoked" }
	}
	for name, c := range map[string]struct {
		caller string
		token  func(g *gate) string
		want   []string
	}{
		"a revoked token that expired": {"REVOKED", func(g *gate) string { return g.issue(past(g)) }, []string{
			"revoked inconclusive(credential): got 401, which proves nothing: the token expired 3 hours ago, so no response proves anything else; renew it",
			"stored_tokens inconclusive(credential): the token of revoked expired 3 hours ago, so no response proves anything else; renew it",
		}},
		"an expired token that did not expire": {"EXPIRED", func(g *gate) string { return g.issue(nil) }, []string{
			"expired inconclusive(credential): accepted, and rightly so: the token expires only in 29 days",
			"stored_tokens inconclusive(credential): the token of expired expires only in 29 days",
		}},
		"an expired token that never expires": {"EXPIRED", func(g *gate) string { return g.issue(func(c map[string]any) { delete(c, "exp") }) }, []string{
			"stored_tokens inconclusive(credential): the token of expired never expires",
		}},
		"an expired token within the leeway": {"EXPIRED", func(g *gate) string {
			return g.issue(func(c map[string]any) { c["exp"] = g.now.Add(-30 * time.Second).Unix() })
		}, []string{
			"expired inconclusive(credential): got 401, which proves nothing: the token expired less than 2 minutes ago, which verifiers may allow",
		}},
		"a valid token that expired": {"VALID", func(g *gate) string {
			return g.issue(func(c map[string]any) { c["exp"] = g.now.Add(-time.Hour).Unix() })
		}, []string{
			"valid inconclusive(credential): the token expired 1 hour ago, so no response proves anything else; renew it",
			"revoked inconclusive(control_failed): rejected: got 401, revoked, which proves nothing",
		}},
		"no token": {"REVOKED", func(*gate) string { return "" }, []string{
			"revoked inconclusive(credential): ",
			"stored_tokens inconclusive(credential): revoked: secret from env TEST_GATE_REVOKED is empty",
		}},
		"a token that expires before the others": {"SUSPENDED", func(g *gate) string {
			return g.issue(func(c map[string]any) {
				c["exp"], c["org"] = g.now.Add(7*24*time.Hour+time.Minute).Unix(), "suspended"
			})
		}, []string{"stored_tokens pass(ok): 4 tokens can prove their case; that of suspended expires first, in 7 days\n"}},
		"a token that expires after the others": {"REVOKED", func(g *gate) string {
			return g.issue(func(c map[string]any) { c["exp"], c["jti"] = g.now.Add(90*24*time.Hour).Unix(), "revoked" })
		}, []string{"stored_tokens pass(ok): 4 tokens can prove their case; that of valid expires first, in 29 days\n"}},
		"an opaque token": {"REVOKED", func(*gate) string { return "pat_0123456789abcdefghijklmnop" }, []string{
			"revoked fail(wrong_code): got 401, with the code invalid in place of the code revoked",
			"stored_tokens pass(ok): 4 tokens can prove their case; that of * expires first, in 29 days; 1 of them opaque, with an unknown expiry",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, jose.ES256)
			p := g.knocker()
			t.Setenv("TEST_GATE_"+c.caller, c.token(g))
			got := probetest.Lines(probetest.Run(t, Kind(), p))
			for _, want := range c.want {
				begin, end, _ := strings.Cut(want, "*")
				if !strings.Contains(got, "\n"+begin) || !strings.Contains(got, end) {
					t.Errorf("got\n%swant %s", got, want)
				}
			}
		})
	}
}

func TestStoredTokens_exportsExpiry(t *testing.T) {
	g := newGate(t, jose.ES256)
	got := map[string]float64{}
	for _, s := range probetest.Run(t, Kind(), g.knocker()).Samples {
		if s.Name == "probe_stored_token_expiry_timestamp_seconds" {
			got[s.Values[0]] = s.Value
		}
	}
	want := float64(g.now.Add(30 * 24 * time.Hour).Unix())
	if len(got) != 4 || got["valid"] != want || got["revoked"] != want || got["expired"] != float64(g.now.Add(-time.Hour).Unix()) {
		t.Errorf("got %v", got)
	}
}

// TestProtected_everyReplica: each verifier has its own keys, and the worst of all replicas is shown first.
func TestProtected_everyReplica(t *testing.T) {
	g := newGate(t, jose.ES256)
	second := httptest.NewServer(g)
	t.Cleanup(second.Close)
	broken := httptest.NewServer(probetest.Respond(401, "application/json", `{"error":"invalid"}`))
	t.Cleanup(broken.Close)
	open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path != gateRoute || q.Header.Get("Authorization") != "" {
			g.ServeHTTP(w, q)
			return
		}
		w.WriteHeader(501)
	}))
	t.Cleanup(open.Close)
	address := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
	p := g.knocker()
	p.Forgeries = &Forgeries{Keys: g.keys()}
	p.Replicas = replicas.Replicas{Static: []string{address(broken), address(second), address(open)}, Want: 3}
	r := probetest.Run(t, Kind(), p)
	want := map[string]string{address(broken): outcomeRejected, address(second): outcomePassed, address(open): outcomeBypass}
	for target, outcome := range outcomeByTarget(t, r) {
		if want[target] != outcome {
			t.Errorf("%s: got %s, want %s", target, outcome, want[target])
		}
		delete(want, target)
	}
	if len(want) > 0 {
		t.Errorf("no outcome of %v", want)
	}
	if c := r.Decisive(); c.Name != "anonymous" || c.Target != address(open) || c.Reason != probe.AuthBypass {
		t.Errorf("the first check shown is %+v\n%s", c, probetest.Lines(r))
	}
	if got := probetest.Lines(r); !strings.Contains(got, "replicas pass(ok): asked 3 replicas\n") {
		t.Errorf("got\n%s", got)
	}
	statuses := p.ExpectedStatuses()
	if len(statuses) != 3 || !slices.Equal(statuses[address(open)], []int{400, 401, 403, 404, 501}) {
		t.Errorf("expected statuses: %v", statuses)
	}
	for _, x := range r.Exchanges {
		if x.Target == address(second) && x.Status >= 400 && !x.Expected {
			t.Errorf("%s: %d is not counted as expected", x.Check, x.Status)
		}
	}
}

// TestProtected_oauth2: the valid caller may fetch its token, and forgeries are made of that.
func TestProtected_oauth2(t *testing.T) {
	g := newGate(t, jose.RS256)
	issuer := probetest.Serve(t, map[string]http.HandlerFunc{"/token": func(w http.ResponseWriter, _ *http.Request) {
		probetest.Respond(200, "application/json", `{"access_token":"`+secretOf(t, "VALID")+`","token_type":"Bearer","expires_in":300}`)(w, nil)
	}})
	t.Setenv("TEST_GATE_CLIENT", "secret-of-the-client")
	p := g.knocker()
	p.Callers["valid"] = Caller{Status: httpx.Codes(501), OAuth2: &httpx.OAuth2{
		TokenURL: issuer + "/token", ClientID: "me", ClientSecret: secret.Env("TEST_GATE_CLIENT")}}
	p.Forgeries = &Forgeries{Keys: g.keys()}
	if got := probetest.Lines(probetest.Run(t, Kind(), p)); !strings.HasPrefix(got, "pass\n") || !strings.Contains(got, "forgeries pass(ok): 52 forged tokens were rejected, one of them with a key that no verifier has (no_kid; 10 others take turns)\n") {
		t.Errorf("got\n%s", got)
	}
	t.Setenv("TEST_GATE_CLIENT", "x")
	p.Close()
	p = g.knocker()
	p.Forgeries = &Forgeries{}
	p.Callers["valid"] = Caller{Status: httpx.Codes(501), OAuth2: &httpx.OAuth2{
		TokenURL: issuer + "/nothing", ClientID: "me", ClientSecret: secret.Env("TEST_GATE_CLIENT")}}
	r := probetest.Run(t, Kind(), p)
	if got := probetest.Lines(r); r.Verdict() != probe.Inconclusive || !strings.Contains(got, "valid inconclusive(credential): ") || !strings.Contains(got, "forgeries inconclusive(credential): nothing could be forged: ") {
		t.Errorf("got\n%s", got)
	}
}

// TestForgeries_fromClaims: where the valid token is opaque, the configuration says what a real one would hold.
func TestForgeries_fromClaims(t *testing.T) {
	g := newGate(t, jose.RS256)
	p := g.knocker()
	t.Setenv("TEST_GATE_OPAQUE", "pat_0123456789abcdefghijklmnop")
	g.answer = atRoute(func(w http.ResponseWriter, q *http.Request, token string) bool {
		return strings.HasPrefix(token, "pat_") && always(501, "application/json", "{}")(w, q, token)
	})
	p.Callers["valid"] = Caller{Status: httpx.Codes(501), Bearer: secret.Env("TEST_GATE_OPAQUE")}
	p.Forgeries = &Forgeries{Keys: g.keys()}
	if got, want := probetest.Lines(probetest.Run(t, Kind(), p)), "forgeries inconclusive(credential): nothing could be forged: the valid token is not a JWT; set claims to those of real tokens\n"; !strings.Contains(got, want) {
		t.Errorf("got\n%swant %s", got, want)
	}
	p.Forgeries.Claims = map[string]any{"iss": gateIssuer, "aud": "gate", "sub": "someone"}
	p.Forgeries.KeyID = "k1"
	if got, want := probetest.Lines(probetest.Run(t, Kind(), p)), "forgeries pass(ok): 48 forged tokens were rejected, one of them with a key that no verifier has (no_kid; 10 others take turns)\n"; !strings.Contains(got, want) {
		t.Errorf("got\n%swant %s", got, want)
	}
	for flaw, want := range map[string][]string{"none": {"none"}, "own_key": {"embedded_jwk", "embedded_x5c", "jku", "other_signature", "own_key", "unencoded", "unknown_crit", "wrong_typ", "x5u"}, "hs256_pem": {"hs256_pem"}} {
		g.flaw = flaw
		if got := let(probetest.Run(t, Kind(), p)); !slices.Equal(got, want) {
			t.Errorf("%s: accepted %v, want %v", flaw, got, want)
		}
	}
}

// TestForgeries_wrongKey: keyed with a key by which nothing is verified, a forgery proves nothing.
func TestForgeries_wrongKey(t *testing.T) {
	g, other := newGate(t, jose.ES256), newGate(t, jose.ES256)
	file := t.TempDir() + "/keys.pem"
	for name, c := range map[string]struct {
		keys secret.Public
		want string
	}{
		"another's keys":      {other.keys(), "forgeries inconclusive(control_failed): 37 forged tokens were rejected, one of them with a key that no verifier has (no_kid; 10 others take turns), but none was keyed with the public key: none of the public keys verifies the valid token\n"},
		"no keys there":       {secret.Literal(g.url + "/nothing"), "forgeries inconclusive(status): 37 forged tokens were rejected, one of them with a key that no verifier has (no_kid; 10 others take turns), but none was keyed with the public key: the public keys could not be fetched: got 404\n"},
		"a file that is not":  {secret.File(file).Public(), "forgeries inconclusive(control_failed): 37 forged tokens were rejected, one of them with a key that no verifier has (no_kid; 10 others take turns), but none was keyed with the public key: the public keys: text from file *"},
		"a variable with PEM": {secret.Env("TEST_GATE_PEM").Public(), "forgeries pass(ok): 53 forged tokens were rejected, one of them with a key that no verifier has (no_kid; 10 others take turns)\n"},
		"an empty variable":   {secret.Env("TEST_GATE_NO_PEM").Public(), "forgeries inconclusive(control_failed): 37 forged tokens were rejected, one of them with a key that no verifier has (no_kid; 10 others take turns), but none was keyed with the public key: the public keys: text from env TEST_GATE_NO_PEM: the variable is not set\n"},
	} {
		t.Run(name, func(t *testing.T) {
			pem := string(secretsFrom(other.private.Public())[0].key) + string(secretsFrom(g.private.Public())[0].key)
			t.Setenv("TEST_GATE_PEM", strings.ReplaceAll(pem, "\n", `\n`))
			p := g.knocker()
			p.Forgeries = &Forgeries{Keys: c.keys}
			if got := probetest.Lines(probetest.Run(t, Kind(), p)); !strings.Contains(got, strings.TrimSuffix(c.want, "*")) {
				t.Errorf("got\n%swant %s", got, c.want)
			}
		})
	}
}

// TestValidate_statusOfTheValidCaller: what strangers, wrong paths, limits and broken gateways are answered shows no valid caller.
func TestValidate_statusOfTheValidCaller(t *testing.T) {
	for status := 200; status < 600; status++ {
		p := New()
		p.URL = "https://a.example/"
		p.Callers = map[string]Caller{"valid": {Status: httpx.Codes(status), Bearer: secret.Env("TEST_GATE_VALID")}}
		refused := slices.Contains([]int{401, 403, 404, 429, 502, 503, 504}, status) || 300 <= status && status < 400
		want := fmt.Sprintf("callers.valid.status: %d is also the answer to an unauthorized caller", status)
		if err := p.Validate(); refused != (err != nil) || refused && !strings.Contains(err.Error(), want) {
			t.Errorf("%d: got %v", status, err)
		}
	}
}

func TestValidate_rejectsSettings(t *testing.T) {
	token := secret.Env("TEST_GATE_VALID")
	for name, c := range map[string]struct {
		change func(p *Probe)
		want   string
	}{
		"no url":                    {func(p *Probe) { p.URL = "" }, "url: is missing"},
		"no valid caller":           {func(p *Probe) { delete(p.Callers, "valid") }, "callers.valid: is missing"},
		"a valid caller who is not": {func(p *Probe) { p.Callers["valid"] = Caller{Status: httpx.Codes(501)} }, "callers.valid: a credential is missing"},
		"two statuses for valid":    {func(p *Probe) { p.Callers["valid"] = Caller{Status: httpx.Codes(200, 501), Bearer: token} }, "callers.valid.status: expected exactly one"},
		"no status for valid":       {func(p *Probe) { p.Callers["valid"] = Caller{Bearer: token} }, "callers.valid.status: expected exactly one"},
		"valid is a stranger":       {func(p *Probe) { p.Callers["valid"] = Caller{Status: httpx.Codes(401), Bearer: token} }, "callers.valid.status: 401 is also the answer to an unauthorized"},
		"anonymous with a token":    {func(p *Probe) { p.Callers["anonymous"] = Caller{Bearer: token} }, "callers.anonymous: must not have a credential"},
		"anonymous with a password": {func(p *Probe) { p.Callers["anonymous"] = Caller{Basic: &httpx.Basic{Username: "a", Password: token}} }, "callers.anonymous: must not have a credential"},
		"anonymous with a client":   {func(p *Probe) { p.Callers["anonymous"] = Caller{OAuth2: &httpx.OAuth2{}} }, "callers.anonymous: must not have a credential"},
		"anonymous with a login":    {func(p *Probe) { p.Callers["anonymous"] = Caller{Login: &httpx.Login{}} }, "callers.anonymous: must not have a credential"},
		"anonymous with a header": {func(p *Probe) {
			p.Callers["anonymous"] = Caller{Headers: map[string]httpx.Value{"X-Api-Key": {Secret: token}}}
		}, "callers.anonymous: must not have a credential"},
		"a name of an earlier version": {func(p *Probe) { p.Callers["nobody"] = Caller{Bearer: token} }, "callers.nobody: was renamed to anonymous"},
		"anonymous is accepted":        {func(p *Probe) { p.Callers["anonymous"] = Caller{Status: httpx.Codes(200)} }, "callers.anonymous.status: expected a refusal, such as 401"},
		"any 4xx":                      {func(p *Probe) { p.Callers["anonymous"] = Caller{Status: httpx.Statuses{4}} }, "callers.anonymous.status: expected a refusal, such as 401"},
		"a stranger with no token":     {func(p *Probe) { p.Callers["revoked"] = Caller{} }, "callers.revoked: a credential is missing"},
		"refused as the valid is": {func(p *Probe) {
			p.Callers["valid"] = Caller{Status: httpx.Codes(422), Bearer: token}
			p.Callers["anonymous"] = Caller{Status: httpx.Codes(422)}
		}, "callers.anonymous.status: 422 is also the answer to the valid caller"},
		"a code that stands nowhere": {func(p *Probe) { p.Code = nil }, "callers.revoked.code: nothing says where the response has its code"},
		"a name that is taken":       {func(p *Probe) { p.Callers["forgeries"] = Caller{Bearer: token} }, "callers.forgeries: the name is taken"},
		"a name like a forgery's":    {func(p *Probe) { p.Callers["forged_none"] = Caller{Bearer: token} }, "callers.forged_none: the name is taken"},
		"a name that is no label":    {func(p *Probe) { p.Callers["Org A"] = Caller{Bearer: token} }, "callers.Org A: expected a name of letters"},
		"a credential for all":       {func(p *Probe) { p.Bearer = token }, "bearer: belongs to a caller"},
		"a header for all":           {func(p *Probe) { p.Headers = map[string]httpx.Value{"authorization": {Secret: token}} }, "headers.authorization: belongs to a caller"},
		"a cookie for all":           {func(p *Probe) { p.Headers = map[string]httpx.Value{"Cookie": {Text: "a=b"}} }, "headers.Cookie: belongs to a caller"},
		"a token in clear":           {func(p *Probe) { p.URL = "http://a.example/" }, "callers.valid: http://a.example/: http:// would send the credential in clear"},
		"a secret body in clear":     {func(p *Probe) { p.URL = "http://a.example/"; p.Body.Secret = token }, "url: http://a.example/: http:// would send the credential in clear"},
		"a source of nothing":        {func(p *Probe) { p.Marker = &httpx.Source{} }, "marker: expected header or json"},
		"a method of two words":      {func(p *Probe) { p.Method = "G T" }, "method: expected one word"},
		"a forgery let in":           {func(p *Probe) { p.Forgeries = &Forgeries{Status: httpx.Codes(200)} }, "forgeries.status: expected a refusal, such as 401"},
		"an algorithm nobody has":    {func(p *Probe) { p.Forgeries = &Forgeries{Algorithm: "ROT13"} }, "forgeries.algorithm: expected one of"},
		"a valid caller without a token": {func(p *Probe) {
			p.Forgeries = &Forgeries{}
			p.Callers["valid"] = Caller{Status: httpx.Codes(501), Headers: map[string]httpx.Value{"X-Api-Key": {Secret: token}}}
		}, "forgeries: the valid caller presents no bearer token"},
		"keys nowhere": {func(p *Probe) { p.Forgeries = &Forgeries{Keys: secret.Literal("ftp://a.example")} }, "forgeries.keys: expected http"},
		"too many": {func(p *Probe) {
			for c := 'a'; c <= 'z'; c++ {
				p.Callers["caller_"+string(c)] = Caller{Bearer: token}
			}
		}, "callers: expected at most 20"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newGate(t, jose.ES256).knocker()
			c.change(p)
			if err := p.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}
