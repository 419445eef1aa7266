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
//
//go:noinline
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
	Action  string  // what the person on call can do about it, a sentence
	Breach  bool    // somebody got what must never be had; no later pass takes that back
	Seen    bool    // answers that came show it, so that a missing one explains nothing

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
	Status = Reason{Word: "status", Verdict: Fail, Text: "wrong status",
		Action: "Read the service's log by the trace id; for a 5xx suspect the latest deploy first, for a 4xx the path and the permissions of the caller."}
	Body = Reason{Word: "body", Verdict: Fail, Text: "wrong body",
		Action: "Request the URL by hand and compare: another page, an error page with status 200 and a changed text look like this."}
	Schema = Reason{Word: "schema", Verdict: Fail, Text: "unreadable answer",
		Action: "Request the URL by hand: it answers with another format, or the field that the probe reads was renamed; roll back or change the probe."}
	Header = Reason{Word: "header", Verdict: Fail, Text: "wrong header",
		Action: "Look at what stands in front of the service, such as a proxy or a CDN: a header that the probe expects is missing or has changed."}
	Slow = Reason{Word: "slow", Verdict: Fail, Text: "too slow",
		Action: "Look at the phases of the exchange: resolve and connect point to the network, processing to the service and its database."}
	Cert = Reason{Word: "cert", Verdict: Fail, Text: "certificate not trusted, or about to expire",
		Action: "Read the detail for the certificate and its expiry; renew it, or install the missing intermediate, at the address that the probe reached."} // or not for much longer
	TLS = Reason{Word: "tls", Verdict: Fail, Text: "TLS handshake failed",
		Action: "Connect with \"openssl s_client\" and the same name: the protocol version, the name (SNI) or a client certificate does not match."}
	Refused = Reason{Word: "refused", Verdict: Fail, Text: "connection refused",
		Action: "Nothing listens there: check that the process runs, on this port, and that the load balancer has a healthy backend."}
	Timeout = Reason{Word: "timeout", Verdict: Fail, Text: "no complete answer in time",
		Action: "Check the load of the target and the path to it (firewall, security group); the phase that is missing says how far the request came."}
	Reset = Reason{Word: "reset", Verdict: Fail, Text: "connection cut off",
		Action: "Look for a process that crashed or restarted, or a proxy whose limit or idle timeout cuts connections."}
	Truncated = Reason{Word: "truncated", Verdict: Fail, Text: "answer cut short",
		Action: "Look for a worker that died in the middle of an answer, or a proxy that ran out of buffer space."} // shorter than announced
	TooLarge = Reason{Word: "too_large", Verdict: Fail, Text: "answer too large",
		Action: "See what the URL returns: if the answer is meant to be that large, raise max_body, otherwise find what made it grow."}
	Redirect = Reason{Word: "redirect", Verdict: Fail, Text: "redirected",
		Action: "Look where it leads: a login page, a missing or added slash, or http in place of https; probe the final URL."} // never followed
	Protocol = Reason{Word: "protocol", Verdict: Fail, Text: "wrong protocol or address",
		Action: "Check the address and the port: something that does not speak the expected protocol answers there, or the address is one that is never dialled."} // or an address that is never dialled
	NXDomain = Reason{Word: "dns_nxdomain", Verdict: Fail, Text: "name does not exist",
		Action: "Check the record, its zone and who changed them last; an expired domain looks like this too."}
	NoAddress = Reason{Word: "no_address", Verdict: Fail, Text: "name has no address",
		Action: "The name exists without an address: restore its A or AAAA record, or the endpoints of the headless Service."}
	Replicas = Reason{Word: "replicas", Verdict: Fail, Text: "too few replicas",
		Action: "Find the replicas that are missing: crashed or evicted pods, or a deployment that was scaled down."} // or too few distinct ones
	// One URL is served by different versions for longer than a rollout may take.
	MixedVersions = Reason{Word: "mixed_versions", Verdict: Fail, Text: "different versions for too long",
		Action: "Finish or roll back the rollout that stopped half-way; find the replica that still has the old version."}
	WrongVersion = Reason{Word: "wrong_version", Verdict: Fail, Text: "another version than expected",
		Action: "Check that the deploy or rollback reached this target, and that no old replica is left."}
	Unreachable = Reason{Word: "unreachable", Verdict: Fail, Text: "no route to the host",
		Action: "Check routes, VPN and security groups between the prober and the target."}
	// A name server that gives no answer says nothing of the target: Job.Do turns these two into inconclusive unless a
	// reference shows that the prober's own network works.
	DNSTimeout = Reason{Word: "dns_timeout", Verdict: Fail, Text: "name server did not respond",
		Action: "Ask the name server by hand; set --network.reference so that the prober can tell its own network from the name server's fault."}
	DNSServfail = Reason{Word: "dns_servfail", Verdict: Fail, Text: "name server failed",
		Action: "Look at the zone's own name servers and at DNSSEC; set --network.reference so that the prober can tell its own network from their fault."}
)

// Reasons of any kind that lie with the prober, or with a missing proof.
var (
	SelfNetwork = Reason{Word: "self_network", Verdict: Inconclusive, Text: "the prober's own network",
		Action: "Check the prober's own network, name server and egress rules: the reference cannot be reached either."}
	SelfClock = Reason{Word: "self_clock", Verdict: Inconclusive, Text: "the prober's own clock",
		Action: "Check time synchronisation on the prober's machine."}
	SelfEngine = Reason{Word: "self_engine", Verdict: Inconclusive, Text: "the prober does not tell good from bad",
		Action: "Restart the prober, and use another version if that does not help; the log says which target of the self-test failed."} // by its self-test
	SelfDelay = Reason{Word: "self_delay", Verdict: Inconclusive, Text: "the prober's own delay",
		Action: "Give the prober more CPU, or run fewer probes at the same time (--schedule.max-concurrency)."} // it was late itself, as on a busy machine
	Suspended = Reason{Word: "suspended", Verdict: Inconclusive, Text: "the prober was suspended",
		Action: "Remove the CPU limit of the prober, or find out who paused its machine; the next run decides."} // during the run
	Cancelled = Reason{Word: "cancelled", Verdict: Inconclusive, Text: "run cancelled",
		Action: "Nothing: the prober was stopped during the run, and the next run decides."}
	Credential = Reason{Word: "credential", Verdict: Inconclusive, Text: "the prober's own credential",
		Action: "Renew the prober's credential; the detail and \"prober check\" name the file or variable that is missing, expired or refused."} // unreadable, or no longer accepted
	ControlFailed = Reason{Word: "control_failed", Verdict: Inconclusive, Text: "a control did not hold",
		Action: "Fix what the detail of the control names first: a wrong path, a target that is down, or a dependency that is unknown."}
	RateLimited = Reason{Word: "rate_limited", Verdict: Inconclusive, Text: "rate limited",
		Action: "Make the interval longer, or exempt the prober from the limit; the page says until when it waits."}
	StaleOrCached = Reason{Word: "stale_or_cached", Verdict: Inconclusive, Text: "out of date",
		Action: "Go around the cache with the setting address, or accept cached answers with allow_cached."}
	IdleClosed = Reason{Word: "idle_closed", Verdict: Inconclusive, Text: "kept connection closed meanwhile",
		Action: "Choose an interval well below or above the idle time of the server, or connection: fresh."} // the server may not have had the request
	NothingChecked = Reason{Word: "nothing_checked", Verdict: Inconclusive, Text: "nothing checked",
		Action: "Check the settings of the probe and its target: nothing was found to check, which must not pass."}
	SelfLimit = Reason{Word: "self_limit", Verdict: Inconclusive, Text: "a limit of the prober",
		Action: "Ask for less, or raise GOMEMLIMIT; the check names the limit."} // the answer is larger than what is read, or than there is room for
	NoVersion = Reason{Word: "no_version", Verdict: Inconclusive, Text: "the answer states no version",
		Action: "Have the service state its version, or correct the setting version of the probe."}
	Settling = Reason{Word: "settling", Verdict: Inconclusive, Text: "may recover by itself",
		Action: "Wait for the next runs: it is not bad for long enough to be a failure."} // good just now, not yet bad for long
	Panicked = Reason{Word: "panic", Verdict: Inconclusive, Text: "the probe panicked",
		Action: "A bug in the prober: report it with the line of the log."}
	Hung = Reason{Word: "hung", Verdict: Inconclusive, Text: "the probe hung",
		Action: "A bug in the prober: report it with the line of the log; a restart ends the run that hangs."}
)

// Reasons that more than one kind gives about credentials and keys. Three of them are breaches.
var (
	SecretReflected = Reason{Word: "secret_reflected", Verdict: Fail, Text: "an answer repeats the credential", Breach: true,
		Action: "Stop the response from repeating the credential, then rotate it: whoever sees responses or logs has it."} // whoever sees answers has it
	AuthBypass = Reason{Word: "auth_bypass", Verdict: Fail, Text: "accepted without authorization", Breach: true,
		Action: "Treat it as a security incident: close the route or roll back now, then look in the access log for who used it."}
	ValidRejected = Reason{Word: "valid_rejected", Verdict: Fail, Text: "a valid token is rejected",
		Action: "Customers cannot log in: compare the key sets of issuer and verifiers, their clocks and the latest deploy of either."}
	PrivateKey = Reason{Word: "private_key_published", Verdict: Fail, Text: "private key published", Breach: true,
		Action: "Treat the key as stolen: rotate it, withdraw it from the key set, and revoke the tokens that it signed."} // whoever has read it can sign tokens
)

// CommonReasons lists the reasons that any kind may give, in the order in which they are documented.
var CommonReasons = [...]Reason{
	Status, Body, Schema, Header, Slow, Cert, TLS, Refused, Timeout, Reset, Truncated, TooLarge, Redirect, Protocol, NXDomain, NoAddress,
	Replicas, MixedVersions, WrongVersion, Unreachable, DNSTimeout, DNSServfail,
	SelfNetwork, SelfClock, SelfEngine, SelfDelay, Suspended, Cancelled, Credential, ControlFailed, RateLimited, StaleOrCached, IdleClosed, NothingChecked, NoVersion, NotListening, SelfLimit, Settling, Panicked, Hung,
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
