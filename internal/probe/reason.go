package probe

import "fmt"

// A Verdict is what a check or a run says of the target. The zero value is Inconclusive: what nobody tested is
// never green.
type Verdict int

// The three verdicts.
const (
	Inconclusive Verdict = iota // could not tell: a control did not hold, or the fault is the prober's own
	Pass                        // tested, and every control held
	Fail                        // the target broke a promise
)

// Verdicts lists the three in the order of their values.
var Verdicts = [...]Verdict{Inconclusive, Pass, Fail}

// String returns "inconclusive", "pass" or "fail".
func (v Verdict) String() string {
	switch v {
	case Pass:
		return "pass"
	case Fail:
		return "fail"
	case Inconclusive:
		return "inconclusive"
	}
	return fmt.Sprintf("Verdict(%d)", int(v))
}

// Mark returns the verdict in at most four letters, "ok", "FAIL" or "???", to be told apart without colour.
func (v Verdict) Mark() string {
	switch v {
	case Pass:
		return "ok"
	case Fail:
		return "FAIL"
	}
	return "???"
}

// MarshalText writes the verdict as its word.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// worse orders verdicts: Fail over Inconclusive over Pass.
func worse(a, b Verdict) Verdict {
	if a == Fail || b == Fail {
		return Fail
	}
	if a == Inconclusive || b == Inconclusive {
		return Inconclusive
	}
	return Pass
}

// A Reason says why a check did not pass, in one word of a closed set that serves as a metric label. Kinds may
// declare more as constants; no Reason is ever made from what a target said.
type Reason string

// Reasons any kind may give. The first group blames the target, the second the prober or a missing proof.
const (
	OK Reason = "ok"

	Status    Reason = "status"    // the status code was not the wanted one
	Body      Reason = "body"      // the body was not the wanted one
	Schema    Reason = "schema"    // the body could not be read as what it should be
	Header    Reason = "header"    // a header was not the wanted one
	Slow      Reason = "slow"      // answered rightly and too late
	Cert      Reason = "cert"      // the certificate is not to be trusted, or soon no longer
	TLS       Reason = "tls"       // the handshake failed otherwise
	Refused   Reason = "refused"   // nobody listens
	Timeout   Reason = "timeout"   // no complete answer in time
	Reset     Reason = "reset"     // cut off by the other side
	Truncated Reason = "truncated" // shorter than announced
	TooLarge  Reason = "too_large" // over the limit for bodies
	Redirect  Reason = "redirect"  // sent elsewhere; never followed
	Protocol  Reason = "protocol"  // not the protocol that was spoken, or an address that is never dialled
	NXDomain  Reason = "dns_nxdomain"
	Replicas  Reason = "replicas" // fewer, or less distinct, than wanted

	DNSTimeout    Reason = "dns_timeout"
	DNSServfail   Reason = "dns_servfail"
	Unreachable   Reason = "unreachable" // no route to the host
	SelfNetwork   Reason = "self_network"
	SelfClock     Reason = "self_clock"
	Suspended     Reason = "suspended" // the prober itself was stopped during the run
	Cancelled     Reason = "cancelled"
	Credential    Reason = "credential" // our own secret could not be read, or is no longer accepted
	ControlFailed Reason = "control_failed"
	RateLimited   Reason = "rate_limited"
	StaleOrCached Reason = "stale_or_cached"
	Vacuous       Reason = "vacuous" // nothing was tested
	Panicked      Reason = "panic"
	Hung          Reason = "hung"
)

// Reasons of a breach: somebody got what must never be had. Nothing that passes later takes one back, since what was
// shown stays shown.
const (
	LeakBody      Reason = "leak_body"             // one org was shown another's data in a body,
	LeakHeader    Reason = "leak_header"           // in a header,
	LeakList      Reason = "leak_list"             // or in a list or a count
	ForeignWrite  Reason = "foreign_write"         // one org changed another's data,
	ForeignDelete Reason = "foreign_delete"        // or deleted it
	CrossTalk     Reason = "cross_talk"            // answers on shared connections were mixed up
	AuthBypass    Reason = "auth_bypass"           // somebody was let in who must not be
	PrivateKey    Reason = "private_key_published" // whoever has read it can sign tokens
)

// Breach reports whether the reason is one of a breach.
func (why Reason) Breach() bool {
	switch why {
	case LeakBody, LeakHeader, LeakList, ForeignWrite, ForeignDelete, CrossTalk, AuthBypass, PrivateKey:
		return true
	}
	return false
}

// network reports whether the network between the prober and the target could explain the reason.
func (why Reason) network() bool {
	return why == Timeout || why == Unreachable || why.nameServer()
}

// nameServer reports whether the name server gave no answer, which says nothing of the target.
func (why Reason) nameServer() bool { return why == DNSTimeout || why == DNSServfail }

// Blame is the verdict that a reason stands for by itself: Fail where it lies with the target, Inconclusive where it
// lies with the prober or a proof is missing, Pass for OK.
func (why Reason) Blame() Verdict {
	switch why {
	case OK:
		return Pass
	case SelfNetwork, SelfClock, Suspended, Cancelled, Credential, ControlFailed, RateLimited, StaleOrCached, Vacuous, Panicked, Hung:
		return Inconclusive
	}
	return Fail
}
