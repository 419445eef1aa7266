package httpx

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"syscall"
	"testing"
	"time"

	"prober/internal/probe"
)

// errno is an error as the net package reports a failed system call.
func errno(n int) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.Errno(n))}
}

// wrap hides an error behind a text that holds the marker.
type wrap struct{ error }

func (w wrap) Error() string { return marker + ": " + w.error.Error() }
func (w wrap) Unwrap() error { return w.error }

func TestSystemCalls(t *testing.T) {
	for _, c := range []struct {
		errno syscall.Errno
		at    stage
		why   probe.Reason
		want  string
	}{
		{syscall.ECONNREFUSED, stageConnect, probe.Refused, "connection refused by PEER"},
		{syscall.ECONNRESET, stageProcessing, probe.Reset, "connection reset by PEER during processing"},
		{syscall.EPIPE, stageProcessing, probe.Reset, "connection reset by PEER during processing"},
		{syscall.ETIMEDOUT, stageConnect, probe.Timeout, "no connection to PEER in time"},
		{syscall.EHOSTUNREACH, stageConnect, probe.Unreachable, "no route to PEER"},
		{syscall.ENETUNREACH, stageConnect, probe.SelfNetwork, "this machine has no network towards the target"},
		{syscall.ENETDOWN, stageConnect, probe.SelfNetwork, "this machine's network is down"},
		{syscall.EMFILE, stageConnect, probe.SelfNetwork, "this process has too many open files"},
		{syscall.ENFILE, stageConnect, probe.SelfNetwork, "this machine has too many open files"},
		{syscall.EADDRINUSE, stageConnect, probe.SelfNetwork, "this machine has no free port towards the target"},
		{syscall.EADDRNOTAVAIL, stageConnect, probe.SelfNetwork, "this machine has no free port towards the target, or no address of that family"},
		{syscall.EPERM, stageConnect, probe.SelfNetwork, "this machine's own firewall forbids the connection"},
	} {
		w := &wire{ctx: t.Context(), stage: c.at, peer: "PEER"}
		if why, detail := w.explain(errno(int(c.errno))); why != c.why || detail != c.want {
			t.Errorf("%v: got %s: %s, want %s: %s", c.errno, why, detail, c.why, c.want)
		}
	}
}

// A late error says only by its method that time was up.
type late struct{ error }

func (late) Timeout() bool { return true }

// TestTimeoutWithin finds it below the error of net/http, which has such a method as well and looks one level deep.
func TestTimeoutWithin(t *testing.T) {
	w := &wire{ctx: t.Context(), stage: stageProcessing}
	err := &url.Error{Op: "Get", URL: marker, Err: fmt.Errorf("%s: %w", marker, late{errors.New(marker)})}
	if why, detail := w.explain(err); why != probe.Timeout || detail != "no complete answer in time (waited in processing)" {
		t.Errorf("got %s: %s", why, detail)
	}
}

// TestWithin tells a wait in the precision that matters.
func TestWithin(t *testing.T) {
	for ago, want := range map[time.Duration]string{2 * time.Second: "2s", 150 * time.Millisecond: "150ms"} {
		w := &wire{started: time.Now().Add(-ago)}
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
	w := &wire{stage: stageNone}
	w.enter(stageProcessing)
	w.enter(stageConnect)
	if in, _ := w.now(); in != stageProcessing || w.happened[stageConnect] {
		t.Errorf("went back to %s", in)
	}
}
