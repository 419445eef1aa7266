package main

import (
	"context"
	"net"
	"runtime/debug"
	"slices"
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
