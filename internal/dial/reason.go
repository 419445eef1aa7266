package dial

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"syscall"
	"time"

	"prober/internal/probe"
)

// Explain returns the reason for an error of a look-up or a connection, and a sentence that holds neither the error's own
// text nor a byte of the target's. If ctx comes from an exchange, the sentence also says how far that got.
func Explain(ctx context.Context, err error) probe.Outcome {
	x := exchangeOf(ctx)
	if x == nil {
		x = Begin(ctx, 1)
		if _, ok := errors.AsType[*net.DNSError](err); ok {
			x.phase = PhaseResolve
		}
	}
	return x.Explain(err)
}

// Explain returns the reason for an error that ended the exchange, and a sentence. They follow from the error's type and
// never from its text.
func (x *Exchange) Explain(err error) probe.Outcome {
	if o, ok := x.Classify(err); ok {
		return o
	}
	return probe.Outcomef(probe.Protocol, "the answer%s is not valid for the protocol", of(x.Peer()))
}

// Classify is Explain for a protocol that explains errors that this package does not know: ok is false for them.
func (x *Exchange) Classify(err error) (o probe.Outcome, ok bool) {
	p := x.progress()
	for _, classify := range []func(error) probe.Outcome{p.classifyInternal, p.classifyTimeout, p.classifyDNS, p.classifyTLS, p.classifySyscall, p.classifyClosed} {
		if o := classify(err); o != (probe.Outcome{}) {
			return o, true
		}
	}
	// Any other error after the end of the context is due to that.
	if cause := x.ctx.Err(); cause != nil && !errors.Is(err, cause) {
		return x.Classify(cause)
	}
	return probe.Outcome{}, false
}

// A progress is how far an exchange got.
type progress struct {
	ctx              context.Context
	maxConns         int
	started          time.Time
	phase            Phase
	host, name, peer string
	family           string
}

func (x *Exchange) progress() progress {
	x.mu.Lock()
	defer x.mu.Unlock()
	return progress{x.ctx, x.maxConns, x.started, x.phase, x.host, x.name, cmp.Or(x.through, x.peer), x.family}
}

// at, of and by name the peer if it is known.
func at(peer string) string { return withPeer(" at ", peer) }
func of(peer string) string { return withPeer(" of ", peer) }
func by(peer string) string { return withPeer(" by ", peer) }

func withPeer(word, peer string) string {
	if peer == "" {
		return ""
	}
	return word + peer
}

// classifyInternal recognizes the errors of this package.
func (p progress) classifyInternal(err error) probe.Outcome {
	if e, ok := errors.AsType[*DeniedError](err); ok {
		return probe.Outcomef(probe.Protocol, "%s", e)
	}
	if e, ok := errors.AsType[*credentialError](err); ok {
		return probe.Outcomef(probe.Credential, "%s", e)
	}
	if e, ok := errors.AsType[*socketError](err); ok {
		return e.outcome()
	}
	switch {
	case errors.Is(err, ErrConns):
		return probe.Outcomef(probe.Protocol, "the server closes each connection before it answers; one exchange may open %d", p.maxConns)
	case errors.Is(err, ErrFlood):
		return probe.Outcomef(probe.Protocol, "the server%s sent more than any answer needs", at(p.peer))
	}
	return probe.Outcome{}
}

// classifyTimeout recognizes a cancelled run and an expired deadline.
func (p progress) classifyTimeout(err error) probe.Outcome {
	switch cancelled := errors.Is(err, context.Canceled); {
	case cancelled && p.ctx.Err() == nil: // by a context of the client's own, which ended before that of the exchange
		return probe.Outcomef(probe.Cancelled, "the prober gave up%s before there was an answer, and the run went on", withPeer(" on ", p.peer))
	case cancelled && !errors.Is(p.ctx.Err(), context.DeadlineExceeded):
		return probe.Outcomef(probe.Cancelled, "the run was cancelled")
	}
	var timed interface{ Timeout() bool }
	late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT)
	if !late && (!errors.As(err, &timed) || !timed.Timeout()) {
		return probe.Outcome{}
	}
	switch p.phase {
	case PhaseResolve:
		return probe.Outcomef(probe.DNSTimeout, "no name server answered%s%s", p.forHost(), p.within())
	case PhaseConnect:
		return probe.Outcomef(probe.Timeout, "no connection to %s%s", p.peer, p.within())
	case PhaseNone:
		return probe.Outcomef(probe.Timeout, "the time was up before anything was sent")
	}
	return probe.Outcomef(probe.Timeout, "no complete answer%s (waited in %s)", p.within(), p.phase)
}

func (p progress) forHost() string {
	if p.host == "" {
		return ""
	}
	return " for " + p.host
}

// within says how long the exchange has taken.
func (p progress) within() string {
	if p.started.IsZero() {
		return " in time"
	}
	took := time.Since(p.started)
	if took < 10*time.Millisecond {
		return " within " + took.Round(100*time.Microsecond).String()
	}
	return " within " + took.Round(time.Millisecond).String()
}

// classifyDNS recognizes the errors of looking up a name.
func (p progress) classifyDNS(err error) probe.Outcome {
	e, ok := errors.AsType[*lookupError](err)
	if _, unobserved := errors.AsType[*net.DNSError](err); unobserved && !ok {
		e, ok = new(queryLog).why(err), true
	}
	if !ok {
		return probe.Outcome{}
	}
	name := "the name"
	if p.host != "" {
		name += " " + p.host
	}
	switch e.reason {
	case probe.SelfNetwork:
		return probe.Outcomef(e.reason, "%s", selfNetwork[e.self])
	case probe.DNSTimeout:
		return probe.Outcomef(e.reason, "no name server answered%s%s", p.forHost(), p.within())
	case probe.DNSServfail:
		if e.other {
			return probe.Outcomef(e.reason, "%s could not be looked up: the name server answers about another name", name)
		}
		return probe.Outcomef(e.reason, "%s could not be looked up: the name server fails", name)
	case probe.NoAddress:
		return probe.Outcomef(e.reason, "%s exists and has no %saddress", name, p.family)
	}
	if e.alias {
		return probe.Outcomef(probe.NXDomain, "%s is an alias of one that does not exist", name)
	}
	return probe.Outcomef(probe.NXDomain, "%s does not exist", name)
}

// classifyTLS recognizes the errors of TLS and of certificates.
func (p progress) classifyTLS(err error) probe.Outcome {
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		if _, ok := errors.AsType[x509.SystemRootsError](e.Err); ok {
			return probe.Outcomef(probe.Credential, "this machine has no list of certificate authorities")
		}
		return probe.Outcomef(probe.Cert, "%s", describeCertError(e.Err, e.UnverifiedCertificates, p.name, time.Now()))
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return probe.Outcomef(probe.TLS, "%s", alertText(op.Err))
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "local error" && alertNumber(op.Err) == noRenegotiation {
		return probe.Outcomef(probe.Credential, "the server%s asks for another TLS handshake on the same connection, as for the client certificate of a part of a site: the prober does not do that", at(p.peer))
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return probe.Outcomef(probe.TLS, "the server%s does not speak TLS", at(p.peer))
	}
	if p.phase != PhaseTLS {
		return probe.Outcome{}
	}
	if o := p.classifySyscall(err); o != (probe.Outcome{}) {
		return o
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return probe.Outcomef(probe.Reset, "connection closed%s during the TLS handshake", by(p.peer))
	}
	if p.ctx.Err() != nil {
		return probe.Outcome{}
	}
	return probe.Outcomef(probe.TLS, "the TLS handshake with %s failed", p.peer)
}

// noRenegotiation is the alert with which crypto/tls declines a renegotiation (RFC 5246, section 7.2.2).
const noRenegotiation = 100

// alertNumber returns the number of an alert, or -1. The type is unexported in crypto/tls; the number can be read.
func alertNumber(alert error) int {
	v := reflect.ValueOf(alert)
	if v.Kind() != reflect.Uint8 {
		return -1
	}
	return int(v.Uint())
}

// noCommonProtocol is the alert of a server that speaks none of the protocols offered to it (RFC 7301, section 3.2).
const noCommonProtocol = 120

// NoCommonProtocol reports whether a server ended the TLS handshake because it speaks none of the protocols offered to it.
func NoCommonProtocol(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error" && alertNumber(op.Err) == noCommonProtocol
}

// alertText explains the alerts (RFC 8446, section 6) that show whose fault it is.
func alertText(alert error) string {
	number := alertNumber(alert)
	switch number {
	case -1:
		return "the server ended TLS with an alert"
	case 42, 43, 44, 45, 46, 48:
		return "the server rejected the client certificate"
	case 70:
		return "the server supports no version of TLS that the prober does"
	case 112:
		return "the server has no certificate for the requested name"
	case 116:
		return "the server requires a client certificate"
	case noCommonProtocol:
		return "the server supports no protocol over TLS that the prober does"
	}
	return fmt.Sprintf("the server ended TLS with alert %d", number)
}

// selfNetwork are the errors of system calls that are due to this machine or its network.
var selfNetwork = map[syscall.Errno]string{
	syscall.EMFILE:        "this process has too many open files",
	syscall.ENFILE:        "this machine has too many open files",
	syscall.ENOBUFS:       "this machine has no memory for another connection",
	syscall.ENOMEM:        "this machine has no memory for another connection",
	syscall.ENETUNREACH:   "this machine has no network route to the target",
	syscall.ENETDOWN:      "this machine's network is down",
	syscall.EADDRINUSE:    "this machine has no free port for the target",
	syscall.EADDRNOTAVAIL: "this machine has no free port for the target, or no address of that family",
	syscall.EAFNOSUPPORT:  "this machine has no address of that family",
	syscall.EPERM:         "this machine's own firewall blocks the connection",
	syscall.EACCES:        "this machine's own firewall blocks the connection",
}

// classifySyscall recognizes the errors of system calls.
func (p progress) classifySyscall(err error) probe.Outcome {
	for errno, detail := range selfNetwork {
		if errors.Is(err, errno) {
			return probe.Outcomef(probe.SelfNetwork, "%s", detail)
		}
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return probe.Outcomef(probe.Refused, "connection refused%s", by(p.peer))
	case errors.Is(err, syscall.EHOSTUNREACH):
		return probe.Outcomef(probe.Unreachable, "no route to %s", p.peer)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNABORTED):
		return probe.Outcomef(probe.Reset, "connection reset%s%s", by(p.peer), during(p.phase))
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	switch {
	case !ok:
		return probe.Outcome{}
	case p.phase == PhaseConnect: // such as EINVAL, by a blackhole route
		return probe.Outcomef(probe.Unreachable, "no connection to %s: this machine's kernel answers %q", p.peer, errno.Error())
	}
	return probe.Outcomef(probe.Reset, "connection%s lost%s: this machine's kernel answers %q", withPeer(" to ", p.peer), during(p.phase), errno.Error())
}

func during(in Phase) string {
	switch in {
	case PhaseNone:
		return ""
	case PhaseTLS:
		return " during the TLS handshake"
	}
	return " during " + in.String()
}

// classifyClosed recognizes connections that the other side closed.
func (p progress) classifyClosed(err error) probe.Outcome {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) && p.phase >= PhaseTransfer:
		return probe.Outcomef(probe.Truncated, "the answer%s is shorter than announced", of(p.peer))
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return probe.Outcomef(probe.Reset, "connection closed%s without an answer", by(p.peer))
	}
	return probe.Outcome{}
}
