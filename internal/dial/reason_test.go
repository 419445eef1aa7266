package dial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"prober/internal/probe"
)

// errno is an error as the net package reports a failed system call.
func errno(n int) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.Errno(n))}
}

func TestSystemCalls(t *testing.T) {
	for _, c := range []struct {
		errno syscall.Errno
		at    Phase
		why   probe.Reason
		want  string
	}{
		{syscall.ECONNREFUSED, PhaseConnect, probe.Refused, "connection refused by PEER"},
		{syscall.ECONNRESET, PhaseProcessing, probe.Reset, "connection reset by PEER during processing"},
		{syscall.EPIPE, PhaseProcessing, probe.Reset, "connection reset by PEER during processing"},
		{syscall.ETIMEDOUT, PhaseConnect, probe.Timeout, "no connection to PEER in time"},
		{syscall.EHOSTUNREACH, PhaseConnect, probe.Unreachable, "no route to PEER"},
		{syscall.ENETUNREACH, PhaseConnect, probe.SelfNetwork, "this machine has no network route to the target"},
		{syscall.ENETDOWN, PhaseConnect, probe.SelfNetwork, "this machine's network is down"},
		{syscall.EMFILE, PhaseConnect, probe.SelfNetwork, "this process has too many open files"},
		{syscall.ENFILE, PhaseConnect, probe.SelfNetwork, "this machine has too many open files"},
		{syscall.EADDRINUSE, PhaseConnect, probe.SelfNetwork, "this machine has no free port for the target"},
		{syscall.EADDRNOTAVAIL, PhaseConnect, probe.SelfNetwork, "this machine has no free port for the target, or no address of that family"},
		{syscall.EPERM, PhaseConnect, probe.SelfNetwork, "this machine's own firewall blocks the connection"},
		{syscall.EINVAL, PhaseConnect, probe.Unreachable, `no connection to PEER: this machine's kernel answers "invalid argument"`},
		{syscall.Errno(4000), PhaseConnect, probe.Unreachable, `no connection to PEER: this machine's kernel answers "errno 4000"`},
		{syscall.EIO, PhaseTransfer, probe.Reset, `connection to PEER lost during transfer: this machine's kernel answers "input/output error"`},
	} {
		x := &Exchange{ctx: t.Context(), phase: c.at, peer: "PEER"}
		if got := x.Explain(errno(int(c.errno))); got.Reason != c.why || got.Detail != c.want {
			t.Errorf("%v: got %s: %s, expected %s: %s", c.errno, got.Reason, got.Detail, c.why, c.want)
		}
	}
}

// TestSocketErrors lie with a file, its server or this process, never with a network or its firewall.
func TestSocketErrors(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.EACCES:      "credential: the user of this process may not connect to /s",
		syscall.EPERM:       "credential: the user of this process may not connect to /s",
		syscall.EMFILE:      "self_network: this process has too many open files",
		syscall.Errno(4000): `refused: no connection to /s: this machine's kernel answers "errno 4000"`,
	} {
		x := &Exchange{ctx: t.Context(), phase: PhaseConnect}
		if got := x.Explain(&socketError{"/s", errno}); got.Reason.Word+": "+got.Detail != want {
			t.Errorf("%v: got %s: %s, expected %s", errno, got.Reason.Word, got.Detail, want)
		}
	}
}

// An alert has the form of those of crypto/tls.
type alert uint8

func (alert) Error() string { return marker }

// TestRenegotiation is met where a server wants a client certificate for a part of its site only.
func TestRenegotiation(t *testing.T) {
	x := &Exchange{ctx: t.Context(), phase: PhaseProcessing, peer: "PEER"}
	got := x.Explain(&net.OpError{Op: "local error", Err: alert(noRenegotiation)})
	if got.Reason != probe.Credential || !strings.HasPrefix(got.Detail, "the server at PEER asks for another TLS handshake") {
		t.Errorf("got %s: %s", got.Reason, got.Detail)
	}
	if got := x.Explain(&net.OpError{Op: "local error", Err: alert(80)}); got.Reason == probe.Credential {
		t.Errorf("got %s: %s of another alert", got.Reason, got.Detail)
	}
}

// TestWithin tells a wait in the precision that matters.
func TestWithin(t *testing.T) {
	for ago, want := range map[time.Duration]string{2 * time.Second: "2s", 150 * time.Millisecond: "150ms"} {
		w := progress{started: time.Now().Add(-ago)}
		var got time.Duration
		if _, err := fmt.Sscanf(w.within(), " within %s", new(string)); err != nil {
			t.Fatal(err)
		}
		got, err := time.ParseDuration(w.within()[len(" within "):])
		if err != nil || got < ago || got > ago+time.Minute {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestNoWayBack keeps the stage of an exchange when another connection is dialled beside the one that it uses.
func TestNoWayBack(t *testing.T) {
	x := Begin(t.Context(), 1)
	x.Enter(PhaseProcessing)
	x.Enter(PhaseConnect)
	if in := x.Phase(); in != PhaseProcessing || x.happened[PhaseConnect] {
		t.Errorf("went back to %s", in)
	}
}
func TestExplainAlone(t *testing.T) {
	for _, c := range []struct {
		err  error
		why  probe.Reason
		want string
	}{
		{&net.DNSError{Err: "no such host", Name: marker, IsNotFound: true}, probe.NXDomain, "the name does not exist"},
		{&net.DNSError{Err: "i/o timeout", Name: marker, IsTimeout: true}, probe.DNSTimeout, "no name server answered in time"},
		{&net.DNSError{Err: "server misbehaving", Name: marker}, probe.DNSServfail, "the name could not be looked up: the name server fails"},
		{&net.DNSError{Err: "dial udp 10.0.0.1:53: socket: too many open files", Name: marker}, probe.SelfNetwork, "this process has too many open files"},
		{errors.New(marker), probe.Protocol, "the answer is not valid for the protocol"},
	} {
		if got := Explain(t.Context(), c.err); got.Reason != c.why || got.Detail != c.want {
			t.Errorf("%v: got %s: %s", c.err, got.Reason, got.Detail)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := Explain(ctx, &net.DNSError{UnwrapErr: context.Canceled, Err: "operation was canceled"}); got.Reason != probe.Cancelled {
		t.Errorf("got %s: %s", got.Reason, got.Detail)
	}
}

// wrap hides an error behind a text that holds the marker.
type wrap struct{ error }

func (w wrap) Error() string { return marker + ": " + w.error.Error() }
func (w wrap) Unwrap() error { return w.error }

// TestReasons holds that no error gets out with its own text, and that each has a reason of the closed set.
func TestReasons(t *testing.T) {
	var errs []error
	for n := range 134 {
		errs = append(errs, errno(n))
	}
	errs = append(errs,
		errors.New(marker), &net.OpError{Op: "read", Err: errors.New(marker)}, &net.OpError{Op: "remote error", Err: errors.New(marker)},
		&net.OpError{Op: "local error", Err: errors.New(marker)}, &net.DNSError{Err: marker, Name: marker}, &net.AddrError{Err: marker, Addr: marker},
		net.ErrClosed, &net.ParseError{Type: marker, Text: marker}, net.UnknownNetworkError(marker), net.InvalidAddrError(marker),
		ErrConns, ErrFlood, &DeniedError{class: classMulticast}, &credentialError{errors.New("ours")}, context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF,
	)
	for _, e := range errs {
		for p := PhaseNone; p <= PhaseTransfer; p++ {
			for _, wrapped := range []error{e, &net.OpError{Op: "dial", Net: marker, Err: e}, wrap{e}} {
				x := &Exchange{ctx: t.Context(), phase: p, peer: "127.0.0.1:1", host: "a.example", started: time.Now()}
				got := x.Explain(wrapped)
				if !reasons[got.Reason] || got.Detail == "" || strings.Contains(got.Detail, marker) {
					t.Errorf("%T %v at %s: got %s: %s", e, e, p, got.Reason, got.Detail)
				}
			}
		}
	}
}

// reasons are those that the network can give.
var reasons = map[probe.Reason]bool{
	probe.Cert: true, probe.TLS: true, probe.Refused: true, probe.Timeout: true, probe.Reset: true, probe.Truncated: true,
	probe.Protocol: true, probe.NXDomain: true, probe.DNSTimeout: true, probe.DNSServfail: true, probe.Unreachable: true,
	probe.SelfNetwork: true, probe.Cancelled: true, probe.Credential: true,
}

// An untimely error has lost that it is one of a deadline.
type untimely struct{ error }

func (e untimely) Timeout() bool { return false }
func (e untimely) Unwrap() error { return e.error }

// TestTimeouts: each sign of a deadline is enough, however it is wrapped.
func TestTimeouts(t *testing.T) {
	for _, err := range []error{context.DeadlineExceeded, os.ErrDeadlineExceeded, syscall.ETIMEDOUT} {
		x := &Exchange{ctx: t.Context(), phase: PhaseProcessing, peer: "127.0.0.1:1", started: time.Now()}
		if got := x.Explain(untimely{err}); got.Reason != probe.Timeout {
			t.Errorf("%v: got %s: %s", err, got.Reason, got.Detail)
		}
	}
}
