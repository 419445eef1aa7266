package httpx

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"syscall"
	"time"

	"prober/internal/probe"
)

var (
	errResent    = errors.New("the request would be sent again")
	errAmbiguous = errors.New("two lengths")
	errStatus    = errors.New("no status of an answer")
	errVersion   = errors.New("not the version that was spoken") // the last resort of explain says just that
)

// A fault is why there is no complete answer. Its sentence is ours: no error's own text and no byte of a server ever
// gets into it.
type fault struct {
	why    probe.Reason
	detail string
}

// Explain gives the reason and a sentence for an error of looking up a name or of a connection. The sentence holds
// nothing of the error's own text.
func Explain(ctx context.Context, err error) (probe.Reason, string) {
	w := &wire{ctx: ctx, stage: stageNone}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		w.stage = stageResolve
	}
	return w.explain(err)
}

// explain finds the reason of an error by what it is, never by what it says.
func (w *wire) explain(err error) (probe.Reason, string) {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // it has methods of its own that hide those of what it wraps
	}
	if errors.Is(context.Cause(w.ctx), errResent) {
		err = errResent
	}
	in, peer := w.now()
	for _, ask := range []func(error, stage, string) *fault{w.ours, w.clock, w.names, w.trust, w.system, w.answer} {
		if f := ask(err, in, peer); f != nil {
			return f.why, f.detail
		}
	}
	// Whatever it is that failed once time was up, time is why.
	if cause := w.ctx.Err(); cause != nil && !errors.Is(err, cause) {
		return w.explain(cause)
	}
	return probe.Protocol, "the answer" + of(peer) + " is not the HTTP that was asked for"
}

// at, of and by name the other side, where it is known.
func at(peer string) string { return behind(" at ", peer) }
func of(peer string) string { return behind(" of ", peer) }
func by(peer string) string { return behind(" by ", peer) }

func behind(word, peer string) string {
	if peer == "" {
		return ""
	}
	return word + peer
}

// ours are the errors of this package.
func (w *wire) ours(err error, _ stage, peer string) *fault {
	if e, ok := errors.AsType[*deniedError](err); ok {
		return &fault{probe.Protocol, e.Error()}
	}
	if e, ok := errors.AsType[*ownFault](err); ok {
		return &fault{probe.Credential, e.Error()}
	}
	switch {
	case errors.Is(err, errBudget):
		return &fault{probe.Protocol, fmt.Sprintf("the server ends each connection before it answers; one request may open %d", maxDials)}
	case errors.Is(err, errResent):
		return &fault{probe.Protocol, "the server refuses the request for now; it is not sent again"}
	case errors.Is(err, errSpoke):
		return &fault{probe.Protocol, "the server" + at(peer) + " spoke before it was asked"}
	case errors.Is(err, errFlood):
		return &fault{probe.Protocol, "the server" + at(peer) + " sent more than any answer needs"}
	case errors.Is(err, errAmbiguous):
		return &fault{probe.Protocol, "the answer has two lengths, a Content-Length and a Transfer-Encoding"}
	case errors.Is(err, errStatus):
		return &fault{probe.Protocol, "the status is none that an answer can have"}
	case errors.Is(err, errTooLarge):
		return &fault{probe.TooLarge, fmt.Sprintf("the body is larger than %d bytes", w.client.settings.maxBody())}
	case errors.Is(err, errCoding):
		return &fault{probe.Protocol, "the body comes in a content coding that was not asked for"}
	case errors.Is(err, errHungUp):
		return &fault{probe.Cancelled, "given up in the middle of the answer, on purpose"}
	case errors.Is(err, errGzip):
		return &fault{probe.Protocol, "the gzip data of the body is damaged"}
	}
	return nil
}

// clock tells a run that was cancelled and time that was up.
func (w *wire) clock(err error, in stage, peer string) *fault {
	if errors.Is(err, context.Canceled) && errors.Is(w.ctx.Err(), context.Canceled) {
		return &fault{probe.Cancelled, "the run was cancelled"}
	}
	var timed interface{ Timeout() bool }
	late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT)
	if !late && (!errors.As(err, &timed) || !timed.Timeout()) {
		return nil
	}
	switch in {
	case stageResolve:
		return &fault{probe.DNSTimeout, "no name server answered" + w.forHost() + w.within()}
	case stageConnect:
		return &fault{probe.Timeout, "no connection to " + peer + w.within()}
	case stageNone:
		return &fault{probe.Timeout, "the time was up before anything was sent"}
	}
	return &fault{probe.Timeout, "no complete answer" + w.within() + " (waited in " + in.String() + ")"}
}

func (w *wire) forHost() string {
	if w.host == "" {
		return ""
	}
	return " for " + w.host
}

// within says how long was waited.
func (w *wire) within() string {
	if w.started.IsZero() {
		return " in time"
	}
	took := time.Since(w.started)
	if took < 10*time.Millisecond {
		return " within " + took.Round(100*time.Microsecond).String()
	}
	return " within " + took.Round(time.Millisecond).String()
}

// names are the errors of looking up a name.
func (w *wire) names(err error, _ stage, _ string) *fault {
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
	if w.host != "" {
		name += " " + w.host
	}
	if e.IsNotFound {
		return &fault{probe.NXDomain, name + " does not exist"}
	}
	return &fault{probe.DNSServfail, name + " could not be looked up: the name server fails"}
}

// trust are the errors of TLS and of certificates.
func (w *wire) trust(err error, in stage, peer string) *fault {
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		if _, ok := errors.AsType[x509.SystemRootsError](e.Err); ok {
			return &fault{probe.Credential, "this machine has no list of certificate authorities"}
		}
		return &fault{probe.Cert, distrust(e.Err, e.UnverifiedCertificates, w.name, time.Now())}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return &fault{probe.TLS, alertText(op.Err)}
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return &fault{probe.TLS, "the other side" + of(peer) + " does not speak TLS"}
	}
	if in != stageTLS {
		return nil
	}
	if f := w.system(err, in, peer); f != nil {
		return f
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &fault{probe.Reset, "connection closed" + by(peer) + " during the TLS handshake"}
	}
	if w.ctx.Err() != nil {
		return nil
	}
	return &fault{probe.TLS, "the TLS handshake with " + peer + " failed"}
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

// system are the errors of system calls.
func (w *wire) system(err error, in stage, peer string) *fault {
	for errno, detail := range selfNetwork {
		if errors.Is(err, errno) {
			return &fault{probe.SelfNetwork, detail}
		}
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return &fault{probe.Refused, "connection refused" + by(peer)}
	case errors.Is(err, syscall.EHOSTUNREACH):
		return &fault{probe.Unreachable, "no route to " + peer}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNABORTED):
		return &fault{probe.Reset, "connection reset" + by(peer) + during(in)}
	}
	return nil
}

func during(in stage) string {
	switch in {
	case stageNone:
		return ""
	case stageTLS:
		return " during the TLS handshake"
	}
	return " during " + in.String()
}

// A streamError has the shape of the error by which net/http reports an HTTP/2 RST_STREAM. The type itself is hidden
// there; errors.As fills in any type of its shape.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (streamError) Error() string { return "stream reset" }

// answer are the errors of reading an answer.
func (w *wire) answer(err error, in stage, peer string) *fault {
	var stream streamError
	switch {
	case errors.As(err, &stream):
		if stream.Cause != nil && stream.Cause.Error() != "received from peer" {
			break // net/http's own verdict on what it read
		}
		return &fault{probe.Reset, fmt.Sprintf("stream reset%s with code %d", by(peer), stream.Code)}
	case errors.Is(err, io.ErrUnexpectedEOF):
		if in < stageTransfer {
			return &fault{probe.Reset, "connection closed" + by(peer) + " without an answer"}
		}
		return &fault{probe.Truncated, "the answer" + of(peer) + " is shorter than announced"}
	case errors.Is(err, io.EOF):
		return &fault{probe.Reset, "connection closed" + by(peer) + " without an answer"}
	case strings.Contains(err.Error(), "server closed idle connection"):
		return &fault{probe.Reset, "connection closed" + by(peer) + " without an answer"}
	case strings.Contains(err.Error(), "response headers exceeded"):
		return &fault{probe.Protocol, fmt.Sprintf("the headers of the answer are larger than %d bytes", maxHeader)}
	case strings.Contains(err.Error(), "too many 1xx"):
		return &fault{probe.Protocol, "the server sends interim answers without end"}
	}
	return nil
}
