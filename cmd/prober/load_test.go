package main

import (
	"context"
	"errors"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestReference_ownTime asks about the network with a context that has ended, as a run does that is short or cancelled. What
// that run gets is nobody else's answer, and no report of the network.
func TestReference_ownTime(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var mu sync.Mutex
	var reports []bool
	ref, err := newReference(l.Addr().String(), func(_ string, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		reports = append(reports, ok)
	})
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	ref.Check(ended)
	var runs sync.WaitGroup
	for range 20 {
		runs.Go(func() {
			if err := ref.Check(t.Context()); err != nil {
				t.Errorf("got %v from a reference that listens", err)
			}
		})
	}
	runs.Wait()
	mu.Lock()
	defer mu.Unlock()
	if len(reports) == 0 || slices.Contains(reports, false) {
		t.Errorf("reported %v, expected a check that passed", reports)
	}
}

// TestReference_denied has references that are never dialled, or cannot be: they are refused at the start, as a target would be. Where a name
// leads there later, nothing is dialled, and nobody's failure is put down to the prober's own network for it.
func TestReference_denied(t *testing.T) {
	for _, address := range []string{
		"169.254.169.254:80", "[fd00:ec2::254]:80", "[::ffff:169.254.169.254]:80", "[fe80::1]:53", "224.0.0.1:53", "0.0.0.0:53",
		"gateway", "gateway:", ":53", "gateway:domain", "gateway:70000", "127.1:53", "a b:53",
	} {
		if _, err := newReference(address, nil); err == nil || !strings.HasPrefix(err.Error(), "--network.reference: ") {
			t.Errorf("%s: got %v", address, err)
		}
	}
	if _, err := newReference("gateway.example:53", nil); err != nil {
		t.Error(err)
	}
	reports := make(chan bool, 1)
	r := &reference{address: "169.254.169.254:80", report: func(_ string, ok bool) { reports <- ok }}
	r.dialer.Open = func(context.Context, string, string) (net.Conn, error) {
		t.Error("it is dialled")
		return nil, errors.New("never")
	}
	if err := r.Check(t.Context()); err != nil || <-reports {
		t.Errorf("got %v, or a report that the network works", err)
	}
}

// A load collects garbage more often, but no less often than GOGC says, and not at all where GOMEMLIMIT decides alone.
func TestCollectOften(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	percent := func() int {
		now := debug.SetGCPercent(100)
		debug.SetGCPercent(now)
		return now
	}
	for before, during := range map[int]int{100: loadGCPercent, 400: loadGCPercent, 30: 30, -1: -1} {
		debug.SetGCPercent(before)
		done := collectOften()
		inner := collectOften()
		inner()
		if got := percent(); got != during {
			t.Errorf("GOGC=%d: %d during a load, expected %d", before, got, during)
		}
		if done(); percent() != before {
			t.Errorf("GOGC=%d: %d after a load", before, percent())
		}
	}
}
