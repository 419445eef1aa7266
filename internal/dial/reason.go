package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"syscall"
	"time"

	"prober/internal/probe"
)

// A fault is a reason and its sentence. The sentence is ours: no error's own text and no byte of a target ever gets
// into it.
type fault struct {
	why    probe.Reason
	detail string
}

// Explain gives the reason and a sentence for an error of looking up a name or of a connection. The sentence holds
// nothing of the error's own text. Where ctx comes from an exchange, the sentence also says how far that got.
func Explain(ctx context.Context, err error) (probe.Reason, string) {
	x := exchangeOf(ctx)
	if x == nil {
		x = Begin(ctx, 1)
		if _, ok := errors.AsType[*net.DNSError](err); ok {
			x.phase = PhaseResolve
		}
	}
	return x.Explain(err)
}

// Explain gives the reason and a sentence for an error that ended the exchange. It is found by what the error is, never
// by what it says.
func (x *Exchange) Explain(err error) (probe.Reason, string) {
	if why, detail, ok := x.Classify(err); ok {
		return why, detail
	}
	_, peer := x.At()
	return probe.Protocol, "the answer" + of(peer) + " is not of the protocol that was asked for"
}

// Classify is Explain for a layer above that has words of its own for what this package does not know: ok is then
// false.
func (x *Exchange) Classify(err error) (why probe.Reason, detail string, ok bool) {
	if f := x.classify(err); f != nil {
		return f.why, f.detail, true
	}
	// Whatever it is that failed once time was up, time is why.
	if cause := x.ctx.Err(); cause != nil && !errors.Is(err, cause) {
		return x.Classify(cause)
	}
	return probe.Reason{}, "", false
}

func (x *Exchange) classify(err error) *fault {
	p := x.progress()
	for _, ask := range []func(error) *fault{p.classifyInternal, p.classifyTimeout, p.classifyDNS, p.classifyTLS, p.classifySyscall, p.classifyClosed} {
		if f := ask(err); f != nil {
			return f
		}
	}
	return nil
}

// A progress is how far an exchange got.
type progress struct {
	ctx              context.Context
	maxConns         int
	started          time.Time
	phase            Phase
	host, name, peer string
}

func (x *Exchange) progress() progress {
	x.mu.Lock()
	defer x.mu.Unlock()
	return progress{x.ctx, x.maxConns, x.started, x.phase, x.host, x.name, x.peer}
}

// at, of and by name the other side, where it is known.
func at(peer string) string { return withPeer(" at ", peer) }
func of(peer string) string { return withPeer(" of ", peer) }
func by(peer string) string { return withPeer(" by ", peer) }

func withPeer(word, peer string) string {
	if peer == "" {
		return ""
	}
	return word + peer
}

// classifyInternal knows the errors of this package.
func (p progress) classifyInternal(err error) *fault {
	if e, ok := errors.AsType[*DeniedError](err); ok {
		return &fault{probe.Protocol, e.Error()}
	}
	if e, ok := errors.AsType[*ownFault](err); ok {
		return &fault{probe.Credential, e.Error()}
	}
	switch {
	case errors.Is(err, ErrConns):
		return &fault{probe.Protocol, fmt.Sprintf("the server ends each connection before it answers; one request may open %d", p.maxConns)}
	case errors.Is(err, ErrFlood):
		return &fault{probe.Protocol, "the server" + at(p.peer) + " sent more than any answer needs"}
	}
	return nil
}

// classifyTimeout tells a run that was cancelled and time that was up.
func (p progress) classifyTimeout(err error) *fault {
	if errors.Is(err, context.Canceled) && errors.Is(p.ctx.Err(), context.Canceled) {
		return &fault{probe.Cancelled, "the run was cancelled"}
	}
	var timed interface{ Timeout() bool }
	late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT)
	if !late && (!errors.As(err, &timed) || !timed.Timeout()) {
		return nil
	}
	switch p.phase {
	case PhaseResolve:
		return &fault{probe.DNSTimeout, "no name server answered" + p.forHost() + p.within()}
	case PhaseConnect:
		return &fault{probe.Timeout, "no connection to " + p.peer + p.within()}
	case PhaseNone:
		return &fault{probe.Timeout, "the time was up before anything was sent"}
	}
	return &fault{probe.Timeout, "no complete answer" + p.within() + " (waited in " + p.phase.String() + ")"}
}

func (p progress) forHost() string {
	if p.host == "" {
		return ""
	}
	return " for " + p.host
}

// within says how long was waited.
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

// classifyDNS knows the errors of looking up a name.
func (p progress) classifyDNS(err error) *fault {
	e, ok := errors.AsType[*net.DNSError](err)
	if !ok {
		return nil
	}
	// What failed on the way to the name server is kept only as text, which is this machine's own.
	for errno, detail := range selfNetwork {
		if strings.HasSuffix(e.Err, errno.Error()) {
			return &fault{probe.SelfNetwork, detail}
		}
	}
	name := "the name"
	if p.host != "" {
		name += " " + p.host
	}
	if e.IsNotFound {
		return &fault{probe.NXDomain, name + " does not exist"}
	}
	return &fault{probe.DNSServfail, name + " could not be looked up: the name server fails"}
}

// classifyTLS knows the errors of TLS and of certificates.
func (p progress) classifyTLS(err error) *fault {
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		if _, ok := errors.AsType[x509.SystemRootsError](e.Err); ok {
			return &fault{probe.Credential, "this machine has no list of certificate authorities"}
		}
		return &fault{probe.Cert, describeCertError(e.Err, e.UnverifiedCertificates, p.name, time.Now())}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return &fault{probe.TLS, alertText(op.Err)}
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return &fault{probe.TLS, "the other side" + of(p.peer) + " does not speak TLS"}
	}
	if p.phase != PhaseTLS {
		return nil
	}
	if f := p.classifySyscall(err); f != nil {
		return f
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &fault{probe.Reset, "connection closed" + by(p.peer) + " during the TLS handshake"}
	}
	if p.ctx.Err() != nil {
		return nil
	}
	return &fault{probe.TLS, "the TLS handshake with " + p.peer + " failed"}
}

// alertText explains the alerts (RFC 8446, section 6) that tell whose fault it is. Their type is hidden in
// crypto/tls, their number is not.
func alertText(alert error) string {
	number := reflect.ValueOf(alert)
	if number.Kind() != reflect.Uint8 {
		return "the server ended TLS with an alert"
	}
	switch number.Uint() {
	case 42, 43, 44, 45, 46, 48:
		return "the server does not accept our client certificate"
	case 70:
		return "the server speaks no version of TLS that we do"
	case 112:
		return "the server has no certificate for the name that was asked for"
	case 116:
		return "the server wants a client certificate"
	case 120:
		return "the server speaks no protocol over TLS that we do"
	}
	return fmt.Sprintf("the server ended TLS with alert %d", number.Uint())
}

// selfNetwork are the errors of system calls that lie with this machine or its network.
var selfNetwork = map[syscall.Errno]string{
	syscall.EMFILE:        "this process has too many open files",
	syscall.ENFILE:        "this machine has too many open files",
	syscall.ENOBUFS:       "this machine has no memory for another connection",
	syscall.ENOMEM:        "this machine has no memory for another connection",
	syscall.ENETUNREACH:   "this machine has no network towards the target",
	syscall.ENETDOWN:      "this machine's network is down",
	syscall.EADDRINUSE:    "this machine has no free port towards the target",
	syscall.EADDRNOTAVAIL: "this machine has no free port towards the target, or no address of that family",
	syscall.EAFNOSUPPORT:  "this machine has no address of that family",
	syscall.EPERM:         "this machine's own firewall forbids the connection",
	syscall.EACCES:        "this machine's own firewall forbids the connection",
}

// classifySyscall knows the errors of system calls.
func (p progress) classifySyscall(err error) *fault {
	for errno, detail := range selfNetwork {
		if errors.Is(err, errno) {
			return &fault{probe.SelfNetwork, detail}
		}
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return &fault{probe.Refused, "connection refused" + by(p.peer)}
	case errors.Is(err, syscall.EHOSTUNREACH):
		return &fault{probe.Unreachable, "no route to " + p.peer}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNABORTED):
		return &fault{probe.Reset, "connection reset" + by(p.peer) + during(p.phase)}
	}
	return nil
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

// classifyClosed knows connections that the other side closed.
func (p progress) classifyClosed(err error) *fault {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) && p.phase >= PhaseTransfer:
		return &fault{probe.Truncated, "the answer" + of(p.peer) + " is shorter than announced"}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &fault{probe.Reset, "connection closed" + by(p.peer) + " without an answer"}
	}
	return nil
}
