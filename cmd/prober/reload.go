package main

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"prober/config"
	"prober/internal/probe"
)

// quiet is the shortest time between two loads, so that a storm of signals is one load and the last content wins.
const quiet = time.Second

// A reloader brings changed configuration into a running server: on SIGHUP, on request, and when it sees that the
// files changed. A file with a mistake changes nothing but a metric and a log line.
type reloader struct {
	source source
	server *server
	poll   time.Duration
	asked  chan chan error
	tried  string                // sum of the files that were last looked at
	broken atomic.Pointer[error] // what is wrong with them; nil if nothing is
}

func newReloader(from source, running *config.Config, s *server, poll time.Duration) *reloader {
	return &reloader{source: from, server: s, poll: poll, asked: make(chan chan error), tried: running.Hash}
}

// now reloads and returns what is wrong with the files, if anything.
func (r *reloader) now(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case r.asked <- answer:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// failed returns what is wrong with the files now, while the old configuration runs.
func (r *reloader) failed() error {
	if err := r.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// run reloads until ctx ends.
func (r *reloader) run(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	var poll <-chan time.Time
	if r.poll > 0 {
		tick := time.NewTicker(r.poll)
		defer tick.Stop()
		poll = tick.C
	}
	for {
		var waiting []chan error
		asked := true
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		case answer := <-r.asked:
			waiting = append(waiting, answer)
		case <-poll:
			asked = false
		}
		err := r.once(asked)
		for _, answer := range waiting {
			answer <- err
		}
		if asked && !sleep(ctx, quiet) {
			return
		}
	}
}

// once reads the files and, if they are new or somebody asked, loads and applies them. What is broken is tried again
// in any case: a secret may have come.
func (r *reloader) once(asked bool) error {
	files := r.source()
	sum := config.Sum(files...)
	last := r.failed()
	if !asked && sum == r.tried && last == nil {
		return nil
	}
	r.tried = sum
	cfg, err := usable(files)
	var jobs []probe.Job
	if err == nil {
		jobs, err = r.server.filter.apply(cfg.Jobs)
	}
	if err != nil {
		if asked || last == nil || last.Error() != err.Error() { // polling does not repeat itself
			r.server.log.Error("Configuration refused, the old one keeps running", "err", err)
		}
		r.broken.Store(&err)
		r.server.metrics.ConfigLoaded(false)
		return err
	}
	r.broken.Store(nil)
	r.server.apply(cfg, jobs)
	return nil
}
