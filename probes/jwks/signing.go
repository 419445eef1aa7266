package jwks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"prober/internal/httpx"
	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/issuance"
)

// An issuedToken is a token that was issued in this run, or why there is none.
type issuedToken struct {
	probe.Outcome               // OK if there is one that can be read
	token         *jwk.Token    // nil if there is none
	stale         string        // why it may have been issued before this run, after "the token"; empty if nothing says so
	life          time.Duration // from its issue to its expiry; 0 if it does not say
}

// kid is the id of the key that signed the token; empty if there is no token, or it has no kid.
func (f issuedToken) kid() string {
	if f.token == nil {
		return ""
	}
	return f.token.KeyID
}

// oldestFresh is how long before it was asked for a token may say that it was issued, at the least: clocks disagree.
const oldestFresh = time.Minute

// issue asks for a token. That none is issued is another probe's question: here it only leaves one open.
func (p *Probe) issue(ctx context.Context, r *probe.Result) issuedToken {
	const check = "signing"
	if p.issuer == nil {
		return issuedToken{}
	}
	asked := time.Now()
	source := fmt.Sprintf("token fresh of %s/%s", r.System, r.Name)
	q, err := p.Issuance.Grant(httpx.Request{Check: check, Want: httpx.Codes(200), Learn: issuance.LearnToken(source)})
	if err != nil {
		return issuedToken{Outcome: probe.Outcome{Reason: probe.Credential, Detail: "issuance: " + err.Error()}}
	}
	g := issuance.ReadGrant(p.issuer.Do(ctx, r, q))
	if !g.Passed() {
		if g.Reason.Verdict == probe.Fail {
			g.Reason = probe.ControlFailed
		}
		return issuedToken{Outcome: probe.Outcome{Reason: g.Reason, Detail: "no fresh token: " + g.Detail}}
	}
	token, err := jwk.ReadToken(g.Token)
	if err != nil {
		o := issuance.NotVerified(err)
		if o.Reason == probe.Schema { // there is no setting opaque here
			o = probe.Outcomef(probe.Schema, "a fresh token cannot be read as a JWT: %s", err)
		}
		return issuedToken{Outcome: o}
	}
	f := issuedToken{Outcome: probe.Outcome{Reason: probe.OK, Detail: ""}, token: token}
	age := asked.Sub(token.IssuedAt)
	switch {
	case p.history.sameToken(g.Token):
		f.stale = "is the same as in the previous run"
	case !token.IssuedAt.IsZero() && age > max(p.Leeway.D(), oldestFresh):
		f.stale = fmt.Sprintf("was issued %s before it was asked for, by its iat", age.Round(time.Second))
	}
	if !token.Expiry.IsZero() && !token.IssuedAt.IsZero() {
		f.life = max(0, token.Expiry.Sub(token.IssuedAt))
	}
	return f
}

// checkSigning notes whether the key that signs is published, and verifies what it signs wherever it is.
func (run *runState) checkSigning() {
	f := run.issued
	switch {
	case run.issuer == nil:
		return
	case !f.Passed():
		run.r.Note("signing", f.Outcome)
		return
	case f.kid() == "":
		run.r.Fail("signing", issuance.NoKeyID, "a fresh token names no kid: verifiers cannot know which key signed it")
		return
	}
	having, sure := run.coverage(f.kid())
	switch {
	case sure == 0:
		run.r.Inconclusive("signing", probe.ControlFailed, "a fresh token was issued, but no key set could be read to verify it by")
		return
	case having == 0 && sure < len(run.snapshots):
		run.r.Inconclusive("signing", probe.ControlFailed, "the key that signed a fresh token is in no key set that could be read; %d of %d could not",
			len(run.snapshots)-sure, len(run.snapshots))
		return
	case having == 0:
		run.r.Fail("signing", issuance.SigningWithUnpublishedKey, "a fresh token is signed with a key that no verifier has: verifiers reject it")
		return
	}
	for i := range run.snapshots {
		v := &run.snapshots[i]
		if !v.authoritative() || len(v.set.Find(f.kid())) == 0 {
			continue
		}
		if o := run.verify(v); !o.Passed() {
			run.r.Report("signing", o.Reason, "%s: %s", v.target, o.Detail)
			return
		}
	}
	if f.stale != "" { // some issuers hand out the same token until it expires
		run.r.Inconclusive("signing", probe.ControlFailed, "the token verifies, but it %s: it does not show which key signs now", f.stale)
		return
	}
	run.r.Pass("signing", "a fresh token verifies with the published key that has its kid (%s), at %d of %s",
		f.token.Algorithm, having, text.Count(len(run.snapshots), "verifier"))
}

// verify says why the fresh token does not verify by the key set of one verifier.
func (run *runState) verify(v *keySetSnapshot) probe.Outcome {
	_, err := v.set.Verify(run.issued.token, jwk.Allowed(run.Algs))
	switch {
	case err == nil:
		return probe.Outcome{Reason: probe.OK}
	case errors.Is(err, jwk.ErrSignature):
		return probe.Outcomef(reasonConflict, "a fresh token does not verify with the key that has its kid: another key signs")
	case errors.Is(err, jwk.ErrKey) && run.problemOf(v, run.issued.kid()) != "":
		return probe.Outcomef(probe.ControlFailed, "a fresh token cannot be verified, since the key with its kid is unusable: see the other checks")
	case errors.Is(err, jwk.ErrKey):
		return probe.Outcomef(reasonAlgorithm, "the key with a fresh token's kid is not for the algorithm that signed it")
	}
	return issuance.NotVerified(err)
}

// problemOf returns what is wrong with a key of a set; empty if nothing is with one of those that have the kid.
func (run *runState) problemOf(v *keySetSnapshot, kid string) jwk.Problem {
	var worst jwk.Problem
	for _, k := range v.set.Find(kid) {
		if k.Problem == "" {
			return ""
		}
		worst = k.Problem
	}
	return worst
}

// coverage counts the verifiers that have a kid, of those that are sure to have what they show.
//
//go:noinline
func (run *runState) coverage(kid string) (having, sure int) {
	for i := range run.snapshots {
		if v := &run.snapshots[i]; v.authoritative() {
			sure++
			if len(v.set.Find(kid)) > 0 {
				having++
			}
		}
	}
	return having, sure
}
