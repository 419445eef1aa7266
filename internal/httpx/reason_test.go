package httpx

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"prober/internal/dial"
	"prober/internal/probe"
)

// wrap hides an error behind a text that holds the marker.
type wrap struct{ error }

func (w wrap) Error() string { return marker + ": " + w.error.Error() }
func (w wrap) Unwrap() error { return w.error }

// A late error says only by its method that time was up.
type late struct{ error }

func (late) Timeout() bool { return true }

// TestTimeoutWithin finds it below the error of net/http, which has such a method as well and looks one level deep.
func TestTimeoutWithin(t *testing.T) {
	x := &exchange{Exchange: dial.Begin(t.Context(), 1)}
	x.Enter(dial.PhaseProcessing)
	err := &url.Error{Op: "Get", URL: marker, Err: fmt.Errorf("%s: %w", marker, late{errors.New(marker)})}
	if got := x.explain(err); got != probe.Outcomef(probe.Timeout, "no complete answer in time (waited in processing)") {
		t.Errorf("got %s: %s", got.Reason, got.Detail)
	}
}

// TestReasons holds that no error gets out with its own text, and that each has a reason of the closed set.
func TestReasons(t *testing.T) {
	var errs []error
	for n := range 134 {
		errs = append(errs, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.Errno(n))})
	}
	errs = append(errs,
		errors.New(marker), &net.OpError{Op: "read", Err: errors.New(marker)}, &net.OpError{Op: "remote error", Err: errors.New(marker)},
		&net.OpError{Op: "local error", Err: errors.New(marker)}, &net.DNSError{Err: marker, Name: marker}, &net.AddrError{Err: marker, Addr: marker},
		net.ErrClosed, &net.ParseError{Type: marker, Text: marker}, net.UnknownNetworkError(marker), net.InvalidAddrError(marker),
		streamError{Code: 1}, &streamError{}, dial.ErrConns, errHead, errUnsolicited, dial.ErrFlood, errTooLarge, errCoding, errGzip, errCodedEnd, errAmbiguous, errStatus, errVersion,
		dial.CheckAddr(netip.MustParseAddr("224.0.0.1")),
	)
	for _, e := range errs {
		for p := dial.PhaseNone; p <= dial.PhaseTransfer; p++ {
			for _, wrapped := range []error{e, &net.OpError{Op: "dial", Net: marker, Err: e}, wrap{e}} {
				x := &exchange{Exchange: dial.Begin(t.Context(), 1), client: &Client{settings: &Settings{}}}
				if p != dial.PhaseNone {
					x.Enter(p)
				}
				got := x.explain(wrapped)
				if !reasons[got.Reason] || got.Reason == probe.OK || got.Detail == "" || strings.Contains(got.Detail, marker) {
					t.Errorf("%T %v at %s: got %s: %s", e, e, p, got.Reason, got.Detail)
				}
			}
		}
	}
}
