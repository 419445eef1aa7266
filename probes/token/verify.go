package token

import (
	"context"
	"slices"
	"time"

	"prober/internal/httpx"
	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/probes/internal/issuance"
)

// verify looks at a fresh token as a verifier does.
func (run *runState) verify(ctx context.Context, e endpoints, g issuance.Grant) {
	token, err := jwk.ReadToken(g.Token)
	if err != nil {
		o := issuance.NotVerified(err)
		run.r.Fail("signature", o.Reason, "%s", o.Detail)
		return
	}
	run.checkSignature(ctx, run.r, "signature", e.jwks, token, func(a *httpx.Answer) { run.step("jwks", a) })
	run.checkClaims(token, g)
	step, _ := run.clock.Stepped()
	run.checkClockSkew(token, g, step)
	if len(run.Keysets) > 0 {
		run.r.Each(run.Keysets, func(i int, r *probe.Result) {
			url := run.Keysets[i]
			run.checkSignature(ctx, r, "keysets", url, token, func(*httpx.Answer) {})
		})
	}
}

// checkSignature proves the token's signature by a published key set.
func (run *runState) checkSignature(ctx context.Context, r *probe.Result, check, url string, token *jwk.Token, read func(*httpx.Answer)) {
	if url == "" {
		r.Inconclusive(check, probe.ControlFailed, "not verified: no key set URL is known")
		return
	}
	if o := run.inTime(ctx); !o.Passed() {
		r.Note(check, o)
		return
	}
	answer := run.get(ctx, r, check, url)
	if f := issuance.NotOK(answer); !f.Passed() {
		r.Note(check, f)
		return
	}
	read(answer)
	set, err := jwk.Parse(ctx, answer.Body)
	if err != nil {
		r.Fail(check, probe.Schema, "expected a key set: %s", err)
		return
	}
	key, err := set.Verify(token, jwk.Allowed(run.Algs))
	if err == nil {
		r.Pass(check, "a fresh token verifies with the published key that has its kid (%s, %d bits)", token.Algorithm, key.Bits)
		return
	}
	o := issuance.NotVerified(err)
	if o.Reason == issuance.KeyUnusable {
		for _, key := range set.Find(token.KeyID) {
			if key.Problem != "" {
				o.Detail += ": " + string(key.Problem)
				break
			}
		}
	}
	if answer.Cached != "" {
		o.Detail += " (the set may come out of a cache, " + answer.Cached + ", as it may for every verifier)"
	}
	r.Fail(check, o.Reason, "%s", o.Detail)
}

// checkClaims compares what the token says of itself with what it must say (RFC 7519, section 4.1).
func (run *runState) checkClaims(t *jwk.Token, g issuance.Grant) {
	const check = "claims"
	life := t.Expiry.Sub(run.issued(t, g))
	switch {
	case t.Issuer != run.Issuer:
		run.r.Fail(check, reasonIssuer, "expected iss %s, got none or another", run.Issuer)
	case !slices.Contains(t.Audience, run.Audience):
		run.r.Fail(check, reasonAudience, "expected aud to contain %s, got none or others", run.Audience)
	case t.Expiry.IsZero():
		run.r.Fail(check, reasonNoExpiry, "expected an exp, got none: the token never expires")
	case life <= 0:
		run.r.Fail(check, reasonLifetime, "exp is not after iat: the token was never valid")
	case !t.NotBefore.IsZero() && t.NotBefore.After(run.issued(t, g)):
		run.r.Fail(check, reasonLifetime, "nbf is %s after iat: the fresh token is not valid yet", t.NotBefore.Sub(run.issued(t, g)).Round(time.Second))
	case run.Lifetime.Max > 0 && life > run.Lifetime.Max.D():
		run.r.Fail(check, reasonLifetime, "expected a token valid for at most %s, got %s", run.Lifetime.Max, life.Round(time.Second))
	case life < run.Lifetime.Min.D():
		run.r.Fail(check, reasonLifetime, "expected a token valid for at least %s, got %s", run.Lifetime.Min, life.Round(time.Second))
	case g.Expires > 0 && (life-g.Expires).Abs() > run.Leeway.D():
		run.r.Fail(check, reasonLifetime, "expires_in says %s, but the token is valid for %s", g.Expires.Round(time.Second), life.Round(time.Second))
	default:
		run.r.Pass(check, "iss and aud as expected, valid for %s", life.Round(time.Second))
	}
}

// issued is when the token says it was issued: by iat or, where that is missing, by exp and expires_in; by neither,
// when it was got.
func (run *runState) issued(t *jwk.Token, g issuance.Grant) time.Time {
	switch {
	case !t.IssuedAt.IsZero():
		return t.IssuedAt
	case !t.Expiry.IsZero() && g.Expires > 0:
		return t.Expiry.Add(-g.Expires)
	}
	return g.Got
}

// checkClockSkew compares the issuer's clock with the prober's. The token was issued between the request and its answer, and
// iat tells whole seconds: so the issuer's clock is ahead by at least iat-got and less than iat+1s-sent. Only what the
// whole of that range says is said.
func (run *runState) checkClockSkew(t *jwk.Token, g issuance.Grant, step time.Duration) {
	const check = "times"
	limit := run.Leeway.D()
	if step.Abs() > probe.MaxClockStep {
		run.r.Inconclusive(check, probe.SelfClock, "the prober's own clock was set by %s during the run", step.Round(time.Millisecond))
		return
	}
	if t.IssuedAt.IsZero() && (t.Expiry.IsZero() || g.Expires == 0) {
		run.r.Inconclusive(check, probe.NothingChecked, "the token has no iat, and nothing else shows when it was issued")
		return
	}
	issued := run.issued(t, g)
	low, high := issued.Sub(g.Got), issued.Add(time.Second).Sub(g.Sent)
	seen := "the issuer's clock is " + apart(low, high) + " the prober's"
	switch {
	case low > limit || high < -limit:
		run.r.Fail(check, reasonClockSkew, "%s; expected within %s", seen, run.Leeway)
	case low < -limit || high > limit:
		run.r.Inconclusive(check, reasonClockSkew, "%s: inconclusive for a limit of %s", seen, run.Leeway)
	default:
		run.r.Pass(check, "%s", seen)
	}
}

// apart says how far one clock is ahead of another, or behind it.
func apart(low, high time.Duration) string {
	low, high = low.Round(10*time.Millisecond), high.Round(10*time.Millisecond)
	switch {
	case low >= 0:
		return low.String() + " to " + high.String() + " ahead of"
	case high <= 0:
		return (-high).String() + " to " + (-low).String() + " behind"
	}
	return "at most " + (-low).String() + " behind or " + high.String() + " ahead of"
}
