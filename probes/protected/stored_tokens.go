package protected

import (
	"fmt"
	"strings"
	"time"

	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/text"
)

// A storedToken is a token kept for a caller, in one run.
type storedToken struct {
	token           string
	jwt             *jwk.RawToken // nil if it is opaque
	exp             time.Time     // zero if it says none
	unreadable      string        // why there is no token
	unusableBecause string        // why the token cannot prove the caller's case, after "the token"
	expectedValid   bool          // to be accepted with it is right: it is there as expired and is not, or it is another caller's
}

var storedTokenExpiryGauge = &probe.Measure{
	Name:   "probe_stored_token_expiry_timestamp_seconds",
	Help:   "When the token stored for a caller expires, by its own exp.",
	Labels: []string{"caller"},
}

// storedTokenLeeway is how long after its expiry a token may still be accepted: verifiers allow for clocks that disagree (RFC
// 7519, section 4.1.4).
const storedTokenLeeway = 2 * time.Minute

// withTokens lists the callers for whom a token is kept.
func (p *Probe) withTokens() []*caller {
	var kept []*caller
	for _, c := range p.order {
		if !c.Bearer.IsZero() {
			kept = append(kept, c)
		}
	}
	return kept
}

// readTokens reads the tokens that are kept and what they say of themselves.
func (p *Probe) readTokens() map[string]*storedToken {
	tokens := map[string]*storedToken{}
	now := time.Now()
	for _, c := range p.withTokens() {
		f := &storedToken{}
		tokens[c.name] = f
		var err error
		if f.token, err = c.Bearer.Reveal(); err != nil {
			f.unreadable = err.Error()
			continue
		}
		f.unusableBecause = p.sharedWith(c, tokens)
		f.expectedValid = f.unusableBecause != ""
		if f.jwt = jwk.ReadRaw(f.token); f.jwt == nil {
			if c.name == "expired" && c.Code == "" && f.unusableBecause == "" {
				f.unusableBecause = "is opaque, so an expired token cannot be distinguished from an invalid one; set the code of the response"
			}
			continue
		}
		f.exp = f.jwt.Date("exp")
		if f.unusableBecause != "" {
			continue
		}
		if c.name == "expired" || c.Code == "expired" {
			f.unusableBecause = notExpired(f.exp, now)
			f.expectedValid = f.unusableBecause != ""
		} else if !f.exp.IsZero() && !now.Before(f.exp) {
			f.unusableBecause = fmt.Sprintf("expired %s ago, so no response proves anything else; renew it", text.Roughly(now.Sub(f.exp)))
		}
	}
	return tokens
}

// sharedWith says whose token it is that a caller has, if it is another one's: what they are answered would be one and
// the same answer. Callers that send headers of their own may well share one.
func (p *Probe) sharedWith(c *caller, tokens map[string]*storedToken) string {
	for _, other := range p.withTokens() {
		f := tokens[other.name]
		if other.name == c.name {
			return ""
		}
		if len(c.Headers) == 0 && len(other.Headers) == 0 && f != nil && f.token == tokens[c.name].token {
			return "is that of " + other.name
		}
	}
	return ""
}

// notExpired says why a token cannot prove that expired ones are rejected; empty if it can.
func notExpired(exp, now time.Time) string {
	switch {
	case exp.IsZero():
		return "never expires"
	case now.Before(exp):
		return fmt.Sprintf("expires only in %s", text.Roughly(exp.Sub(now)))
	case now.Sub(exp) < storedTokenLeeway:
		return fmt.Sprintf("expired less than %s ago, which verifiers may allow", text.Roughly(storedTokenLeeway))
	}
	return ""
}

// exportTokens notes whether the tokens that are kept can prove what they are there for, and exports when they expire.
func (p *Probe) exportTokens(r *probe.Result, tokens map[string]*storedToken) {
	var short []string
	opaque := 0
	first, next := "", time.Time{}
	kept := p.withTokens()
	for _, c := range kept {
		f := tokens[c.name]
		if !f.exp.IsZero() {
			r.Measure(storedTokenExpiryGauge, float64(f.exp.Unix()), c.name)
		}
		switch {
		case f.unreadable != "":
			short = append(short, fmt.Sprintf("%s: %s", c.name, f.unreadable))
		case f.unusableBecause != "":
			short = append(short, fmt.Sprintf("the token of %s %s", c.name, f.unusableBecause))
		case f.jwt == nil:
			opaque++
		case f.exp.After(time.Now()) && (first == "" || f.exp.Before(next)):
			first, next = c.name, f.exp
		}
	}
	switch {
	case len(kept) == 0:
	case short != nil:
		r.Inconclusive(checkStoredTokens, probe.Credential, "%s", strings.Join(short, "; "))
	case first != "":
		r.Pass(checkStoredTokens, "%s can prove their case; that of %s expires first, in %s%s", text.Count(len(kept), "token"), first, text.Roughly(time.Until(next)), without(opaque))
	default:
		r.Pass(checkStoredTokens, "%s can be read%s", text.Count(len(kept), "token"), without(opaque))
	}
}

func without(opaque int) string {
	if opaque == 0 {
		return ""
	}
	return fmt.Sprintf("; %d of them opaque, with an unknown expiry", opaque)
}
