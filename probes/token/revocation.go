package token

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"prober/internal/httpx"
	"prober/internal/jwk"
	"prober/internal/oauth"
	"prober/internal/probe"
	"prober/probes/internal/budget"
	"prober/probes/internal/issuance"
)

// defaults fills in what the settings leave out.
func (v *Revocation) defaults() {
	v.Within = cmp.Or(v.Within, probe.Duration(time.Minute))
	v.Every = cmp.Or(v.Every, probe.Duration(time.Second))
	if v.Use.Status.IsZero() {
		v.Use.Status = httpx.Success
	}
}

// rejectedStatuses are the answers to a token that is not valid (RFC 6750, section 3.1).
var rejectedStatuses = httpx.Codes(401, 403)

// checkRevocation revokes the first token and looks how soon it is rejected. A second one, which nobody revokes, is the
// control: both are accepted before, and it is still accepted afterwards.
func (run *runState) checkRevocation(ctx context.Context, e endpoints, first issuance.Grant) {
	const check = "revocation"
	unproven := func(format string, args ...any) { run.r.Inconclusive(check, probe.ControlFailed, format, args...) }
	if e.revocation == "" {
		unproven("not requested: no revocation endpoint is known")
		return
	}
	if !run.hasTimeFor(ctx, check, first) {
		return
	}
	second := run.issue(ctx, e, "second")
	if !second.Passed() {
		unproven("a second token was not issued: %s", second.Detail)
		return
	}
	if second.Token == first.Token {
		unproven("the issuer returned the same token twice, so there is no control")
		return
	}
	for _, g := range []issuance.Grant{first, second} {
		if use := run.use(ctx, g.Token); use.verdict != accepted {
			unproven("a fresh token is not accepted before it is revoked: %s", use.detail)
			return
		}
	}
	if f := run.revoke(ctx, e, first.Token); !f.Passed() {
		run.r.Note("revocation", f)
		return
	}
	// What is rejected once it has expired, by whichever of two clocks, says nothing of its revocation.
	expires := run.expiry(first)
	expired := func() bool { return !expires.IsZero() && time.Now().After(expires) }
	found, took := run.Revocation.pollUntilRejected(ctx, func(ctx context.Context) acceptance { return run.use(ctx, first.Token) })
	if !found.Passed() {
		run.r.Note("revocation", found)
		return
	}
	if expired() {
		unproven("the revoked token was rejected after %s, when it had expired or was about to; set a shorter within, or issue tokens that live longer", took.Round(time.Millisecond))
		return
	}
	switch control := run.use(ctx, second.Token); control.verdict {
	case accepted:
		run.r.Measure(revocationGauge, took.Seconds())
		run.r.Pass(check, "%s; another token is still accepted", found.Detail)
	case rejected:
		if expired() { // the other one was issued right after it
			unproven("another token is rejected as well, but may have expired")
			return
		}
		run.r.Fail(check, probe.ValidRejected, "a token that was not revoked is rejected as well: %s", control.detail)
	default:
		unproven("the revoked token is rejected, but whether another one still works is inconclusive: %s", control.detail)
	}
}

// expiry is from when on a token may be taken for expired: leeway before it is, by what the token or the answer with
// it says; zero if neither does.
func (run *runState) expiry(g issuance.Grant) time.Time {
	life := g.Expires
	if t, err := jwk.ReadToken(g.Token); err == nil && !t.Expiry.IsZero() {
		if said := t.Expiry.Sub(run.issued(t, g)); life == 0 || said < life {
			life = said
		}
	}
	if life == 0 {
		return time.Time{}
	}
	return g.Sent.Add(life - run.Leeway.D())
}

// revoke revokes a token (RFC 7009, section 2).
func (run *runState) revoke(ctx context.Context, e endpoints, token string) probe.Outcome {
	const check = "revocation"
	clientSecret, err := run.ClientSecret.Reveal()
	if err != nil {
		return probe.Outcome{Reason: probe.Credential, Detail: "client_secret: " + err.Error()}
	}
	a := run.post(ctx, httpx.Request{Check: check, URL: e.revocation, Want: httpx.Codes(200)}, oauth.Revocation(token), clientSecret)
	f := issuance.NotOK(a)
	switch {
	case f.Passed():
		run.step("revoke", a)
		return f
	case run.cutOff(ctx, a):
		return probe.Outcome{Reason: probe.ControlFailed, Detail: "the run's time was up before the token was revoked"}
	}
	f.Detail = "the token could not be revoked: " + f.Detail
	if code := issuance.ErrorCode(a); code != "" && a.Reason == probe.OK {
		f.Detail += " (" + code + ")"
	}
	return f
}

// An acceptance is what came of using a token.
type acceptance struct {
	verdict int // accepted, rejected or unknown
	detail  string
}

// What an answer says of a token.
const (
	unknown = iota
	accepted
	rejected
)

func (run *runState) use(ctx context.Context, token string) acceptance {
	use := run.Revocation.Use
	a := run.client(use.URL).Do(ctx, run.r, httpx.Request{
		Check: "revocation", Method: use.Method, URL: use.URL, Header: http.Header{"Authorization": {"Bearer " + token}},
		Want: append(append(httpx.Statuses{}, use.Status...), rejectedStatuses...),
	})
	switch {
	case a.Reason != probe.OK:
		return acceptance{unknown, a.Detail}
	case a.Cached != "":
		return acceptance{unknown, fmt.Sprintf("the answer may come out of a cache (%s)", a.Cached)}
	case rejectedStatuses.Contains(a.Status):
		return acceptance{rejected, fmt.Sprintf("got %d", a.Status)}
	case !use.Status.Contains(a.Status):
		return acceptance{unknown, fmt.Sprintf("expected %s, got %d", use.Status, a.Status)}
	}
	run.step("use", a)
	return acceptance{accepted, fmt.Sprintf("got %d", a.Status)}
}

// requiredRejections are how often in a row a revoked token must be rejected: of several replicas, each with a cache of its
// own, one refuses it before the others.
const requiredRejections = 3

// pollUntilRejected uses a revoked token, at once and then every so often, until it is rejected and stays so; the last time is when
// the limit is reached. It returns how long that took. Where the run ends before the limit, it is inconclusive.
func (v *Revocation) pollUntilRejected(ctx context.Context, ask func(context.Context) acceptance) (probe.Outcome, time.Duration) {
	limit, revoked := v.Within.D(), time.Now()
	inARow, since := 0, time.Duration(0)
	for {
		asked := time.Since(revoked)
		seen := ask(ctx)
		took := time.Since(revoked)
		if seen.verdict != rejected {
			inARow = 0
		} else if inARow++; inARow == 1 {
			since = took
		}
		switch {
		case inARow == requiredRejections:
			return probe.Outcomef(probe.OK, "the revoked token was rejected after %s", since.Round(100*time.Microsecond)), since
		case inARow > 0:
			continue
		case asked >= limit && seen.verdict == accepted:
			return probe.Outcomef(reasonRevokedAccepted, "expected a revoked token to be rejected within %s, got it still accepted after %s", v.Within, asked.Round(time.Millisecond)), 0
		case asked >= limit:
			return probe.Outcomef(probe.ControlFailed, "whether the revoked token is rejected within %s is inconclusive: %s", v.Within, seen.detail), 0
		}
		if !budget.Sleep(ctx, min(v.Every.D(), limit-took)) {
			return probe.Outcomef(probe.ControlFailed, "the revoked token was not rejected after %s (%s), when the run's time was up; the limit is %s: give the probe a longer timeout",
				time.Since(revoked).Round(time.Millisecond), seen.detail, v.Within), 0
		}
	}
}
