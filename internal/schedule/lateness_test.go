package schedule

import (
	"context"
	"runtime"
	"testing"
	"time"

	"prober/internal/probe"
)

// A resting is a watcher that is told when no run is in progress any more.
type resting struct {
	log
	rested func()
}

func (w *resting) Depth(running, _ int) {
	if running == 0 {
		w.rested()
	}
}

// How late the prober is counts while a run is in progress: without that a slow answer would be the target's fault and no self_delay.
// While none is, nobody looks.
func TestForever_countsLateness(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // so that whoever computes makes the timer late
	busy := func() {
		for until := time.Now().Add(50 * time.Millisecond); time.Now().Before(until); {
		}
	}
	var l *probe.Lateness
	var late, total time.Duration
	rest := make(chan struct{})
	w := &resting{rested: func() { total = l.Total(); close(rest) }}
	s := New(w, Options{Watcher: w, Offset: 0.5})
	ctx, stop := context.WithCancel(t.Context())
	sets, ended := make(chan []probe.Job), make(chan struct{})
	go func() {
		defer close(ended)
		s.Forever(ctx, sets)
	}()
	j := job("a", 24*time.Hour, func(ctx context.Context, r *probe.Result) {
		l = probe.LatenessOf(ctx)
		before := l.Total()
		busy()
		late = l.Total() - before
		r.Pass("it", "good")
	})
	sets <- []probe.Job{j}
	if err := s.Now(ctx, j.ID); err != nil {
		t.Fatal(err)
	}
	<-rest
	if late < 5*time.Millisecond {
		t.Errorf("a run that computed for 50ms was late by %s", late)
	}
	if busy(); l.Total() != total {
		t.Errorf("at rest it was late by %s", l.Total()-total)
	}
	stop()
	<-ended
}
