package probe

import "fmt"

// A Verdict is what a check or a run says of the target. The zero value is Inconclusive: what nobody tested is
// never green.
type Verdict int

// The three verdicts.
const (
	Inconclusive Verdict = iota // a control did not hold, or the fault is the prober's own
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

// Mark returns the verdict as "ok", "FAIL" or "INCONCL", which differ without colour too.
func (v Verdict) Mark() string {
	switch v {
	case Pass:
		return "ok"
	case Fail:
		return "FAIL"
	}
	return "INCONCL"
}

// MarshalText writes the verdict as its word.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Worse orders verdicts: Fail over Inconclusive over Pass. What is none of the three is Inconclusive.
func Worse(a, b Verdict) Verdict {
	switch {
	case a == Fail || b == Fail:
		return Fail
	case a == Pass && b == Pass:
		return Pass
	}
	return Inconclusive
}

// A Reason says why a check did not pass. Its word is one of a closed set and serves as a metric label: the reasons
// below, and those that a kind lists in its Kind. No Reason is ever made from what a target sent.
//
// A Reason is declared once and compared with ==.
type Reason struct {
	Word    string  // the label value: lower case, with underscores
	Verdict Verdict // of a check that gives the reason and says no more
	Text    string  // for people, a few words: "connection refused"
	Breach  bool    // somebody got what must never be had; no later pass takes that back

	Dependency bool // the fault lies with what the target depends on
}

// String returns the word.
func (why Reason) String() string { return why.Word }

// MarshalText writes the reason as its word.
func (why Reason) MarshalText() ([]byte, error) { return []byte(why.Word), nil }

// OK is the reason of a check that passed.
var OK = Reason{Word: "ok", Verdict: Pass}

// Reasons of any kind that lie with the target.
var (
	Status    = Reason{Word: "status", Verdict: Fail, Text: "wrong status"}
	Body      = Reason{Word: "body", Verdict: Fail, Text: "wrong body"}
	Schema    = Reason{Word: "schema", Verdict: Fail, Text: "unreadable answer"}
	Header    = Reason{Word: "header", Verdict: Fail, Text: "wrong header"}
	Slow      = Reason{Word: "slow", Verdict: Fail, Text: "too slow"}
	Cert      = Reason{Word: "cert", Verdict: Fail, Text: "certificate not trusted, or about to expire"} // or not for much longer
	TLS       = Reason{Word: "tls", Verdict: Fail, Text: "TLS handshake failed"}
	Refused   = Reason{Word: "refused", Verdict: Fail, Text: "connection refused"}
	Timeout   = Reason{Word: "timeout", Verdict: Fail, Text: "no complete answer in time"}
	Reset     = Reason{Word: "reset", Verdict: Fail, Text: "connection cut off"}
	Truncated = Reason{Word: "truncated", Verdict: Fail, Text: "answer cut short"} // shorter than announced
	TooLarge  = Reason{Word: "too_large", Verdict: Fail, Text: "answer too large"}
	Redirect  = Reason{Word: "redirect", Verdict: Fail, Text: "redirected"}                // never followed
	Protocol  = Reason{Word: "protocol", Verdict: Fail, Text: "wrong protocol or address"} // or an address that is never dialled
	NXDomain  = Reason{Word: "dns_nxdomain", Verdict: Fail, Text: "name does not exist"}
	NoAddress = Reason{Word: "no_address", Verdict: Fail, Text: "name has no address"}
	Replicas  = Reason{Word: "replicas", Verdict: Fail, Text: "too few replicas"} // or too few distinct ones
	// One URL is served by different versions for longer than a rollout may take.
	MixedVersions = Reason{Word: "mixed_versions", Verdict: Fail, Text: "different versions for too long"}
	WrongVersion  = Reason{Word: "wrong_version", Verdict: Fail, Text: "another version than expected"}
	Unreachable   = Reason{Word: "unreachable", Verdict: Fail, Text: "no route to the host"}
	// A name server that gives no answer says nothing of the target: Job.Do turns these two into inconclusive unless a
	// reference shows that the prober's own network works.
	DNSTimeout  = Reason{Word: "dns_timeout", Verdict: Fail, Text: "name server did not respond"}
	DNSServfail = Reason{Word: "dns_servfail", Verdict: Fail, Text: "name server failed"}
)

// Reasons of any kind that lie with the prober, or with a missing proof.
var (
	SelfNetwork    = Reason{Word: "self_network", Verdict: Inconclusive, Text: "the prober's own network"}
	SelfClock      = Reason{Word: "self_clock", Verdict: Inconclusive, Text: "the prober's own clock"}
	SelfEngine     = Reason{Word: "self_engine", Verdict: Inconclusive, Text: "the prober does not tell good from bad"} // by its self-test
	SelfDelay      = Reason{Word: "self_delay", Verdict: Inconclusive, Text: "the prober's own delay"}                  // it was late itself, as on a busy machine
	Suspended      = Reason{Word: "suspended", Verdict: Inconclusive, Text: "the prober was suspended"}                 // during the run
	Cancelled      = Reason{Word: "cancelled", Verdict: Inconclusive, Text: "run cancelled"}
	Credential     = Reason{Word: "credential", Verdict: Inconclusive, Text: "the prober's own credential"} // unreadable, or no longer accepted
	ControlFailed  = Reason{Word: "control_failed", Verdict: Inconclusive, Text: "a control did not hold"}
	RateLimited    = Reason{Word: "rate_limited", Verdict: Inconclusive, Text: "rate limited"}
	StaleOrCached  = Reason{Word: "stale_or_cached", Verdict: Inconclusive, Text: "out of date"}
	IdleClosed     = Reason{Word: "idle_closed", Verdict: Inconclusive, Text: "kept connection closed meanwhile"} // the server may not have had the request
	NothingChecked = Reason{Word: "nothing_checked", Verdict: Inconclusive, Text: "nothing checked"}
	SelfLimit      = Reason{Word: "self_limit", Verdict: Inconclusive, Text: "a limit of the prober"} // the answer is larger than what is read, or than there is room for
	NoVersion      = Reason{Word: "no_version", Verdict: Inconclusive, Text: "the answer states no version"}
	Settling       = Reason{Word: "settling", Verdict: Inconclusive, Text: "may recover by itself"} // good just now, not yet bad for long
	Panicked       = Reason{Word: "panic", Verdict: Inconclusive, Text: "the probe panicked"}
	Hung           = Reason{Word: "hung", Verdict: Inconclusive, Text: "the probe hung"}
)

// Reasons that more than one kind gives about credentials and keys. Three of them are breaches.
var (
	SecretReflected = Reason{Word: "secret_reflected", Verdict: Fail, Text: "an answer repeats the credential", Breach: true} // whoever sees answers has it
	AuthBypass      = Reason{Word: "auth_bypass", Verdict: Fail, Text: "accepted without authorization", Breach: true}
	ValidRejected   = Reason{Word: "valid_rejected", Verdict: Fail, Text: "a valid token is rejected"}
	PrivateKey      = Reason{Word: "private_key_published", Verdict: Fail, Text: "private key published", Breach: true} // whoever has read it can sign tokens
)

// CommonReasons lists the reasons that any kind may give, in the order in which they are documented.
var CommonReasons = [...]Reason{
	Status, Body, Schema, Header, Slow, Cert, TLS, Refused, Timeout, Reset, Truncated, TooLarge, Redirect, Protocol, NXDomain, NoAddress,
	Replicas, MixedVersions, WrongVersion, Unreachable, DNSTimeout, DNSServfail,
	SelfNetwork, SelfClock, SelfEngine, SelfDelay, Suspended, Cancelled, Credential, ControlFailed, RateLimited, StaleOrCached, IdleClosed, NothingChecked, NoVersion, SelfLimit, Settling, Panicked, Hung,
	AuthBypass, ValidRejected, PrivateKey, SecretReflected,
}

// Own reports whether the prober itself, and not the target, kept a check from a verdict.
func (why Reason) Own() bool {
	return why == SelfNetwork || why == SelfClock || why == SelfEngine || why == SelfDelay || why == SelfLimit
}

// network reports whether the network between the prober and the target could explain the reason.
func (why Reason) network() bool {
	return why == Timeout || why == Unreachable || why.nameServer()
}

// nameServer reports whether the name server gave no answer, which says nothing of the target.
func (why Reason) nameServer() bool { return why == DNSTimeout || why == DNSServfail }
