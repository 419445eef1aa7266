package probe

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// An Exchange is one request and its answer as they went over the wire. It holds no header, no body and no query.
type Exchange struct {
	Check         string // the check it was made for
	Target        string // which of several targets
	Method        string
	URL           string // scheme, host and path only
	Addr          string // the address dialled, IP:port; empty if none was
	Status        int    // 0 if no answer came
	Proto         string // HTTP/1.1
	Expected      bool   // it ended as was wanted: with such a status, complete or hung up on on purpose
	Reason        Reason // OK, or why no complete answer came
	Started       time.Time
	Took          time.Duration // from the start to the last byte, or to the error
	Late          time.Duration // of Took, by how much the prober itself was late meanwhile
	Phases        []Phase       // those that happened, in their order
	Bytes         int64         // of the body as read, decoded
	Connections   int           // opened for it: 0 when one was reused
	TraceID       string        // sent, 32 hex digits
	TargetTraceID string        // answered, if the target gives one
	Version       string        // of the target's software, if it gives one
	Reflected     string        // where the answer repeats the credential that was sent, such as "the body"; empty if nowhere

	RetryAfter time.Duration // for how long a 429 asks to be left alone; 0 if it does not say

	SoughtVersion    bool // the answer was to state the version
	SoughtCredential bool // a credential was sent, and looked for in the answer

	CertExpiry time.Time // the earliest in the chain; zero without TLS
	Denied     string    // class of the address that was not dialled: link_local, metadata, unspecified, multicast
}

// A Phase is a part of an exchange: resolve, connect, tls, processing, transfer.
type Phase struct {
	Name string
	Took time.Duration
}

// Supports reports whether a check may rest on the exchange: it cites it or, if it cites none, was what it was made for.
func (x Exchange) Supports(c Check) bool {
	if c.TraceID != "" {
		return x.TraceID == c.TraceID
	}
	return x.Check == c.Name && x.Target == c.Target
}

// TracePropagated reports whether the target answered with the trace id that it was sent, also as part of a traceparent, in
// groups, or cut to 64 bits as some tracers do. It is not known of an exchange without both.
func (x *Exchange) TracePropagated() (same, known bool) {
	if x.TraceID == "" || x.TargetTraceID == "" {
		return false, false
	}
	sent, got := strings.ToLower(x.TraceID), strings.ToLower(strings.ReplaceAll(x.TargetTraceID, "-", ""))
	return strings.Contains(got, sent) || got == sent[len(sent)/2:], true
}

// Broken reports whether no complete answer came, though one was wanted.
func (x *Exchange) Broken() bool { return x.Reason != OK && x.Reason.Word != "" && !x.Expected }

// Answered says that an answer came, with its status if the protocol has one: "answered 503", "answered".
//
//go:noinline
func (x *Exchange) Answered() string {
	if x.Status == 0 {
		return "answered"
	}
	return fmt.Sprintf("answered %d", x.Status)
}

// PhaseNames lists the phases in the order in which they happen.
var PhaseNames = [...]string{"resolve", "connect", "tls", "processing", "transfer"}

// Evidence returns the index in Exchanges of the one that a check rests on: the one that it cites, or one that was
// made for it or, where none was, for the first other check of the run that has some with the same target. Of several
// it is the last that got no complete answer, else the last. It is -1 if there is none.
func (r Result) Evidence(c Check) int {
	if c.TraceID != "" {
		if i := slices.IndexFunc(r.Exchanges, func(x Exchange) bool { return x.TraceID == c.TraceID }); i >= 0 {
			return i
		}
	}
	for _, made := range append([]Check{c}, r.Checks...) {
		if i := r.exchangeFor(made.Name, c.Target); i >= 0 {
			return i
		}
	}
	return -1
}

// exchangeFor returns the index of the telling one among the exchanges that were made for a check of a target.
func (r Result) exchangeFor(check, target string) int {
	found := -1
	for i := range r.Exchanges {
		x := &r.Exchanges[i] // there may be thousands, and as many checks
		if x.Target == target && x.Check == check && (found < 0 || x.Broken() || !r.Exchanges[found].Broken()) {
			found = i
		}
	}
	return found
}
