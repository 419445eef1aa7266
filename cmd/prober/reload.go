package main

import (
	"context"
	"os"
	"sync/atomic"
	"time"

	"prober/config"
	"prober/internal/inbound"
	"prober/internal/probe"
)

// reloadDebounce is the minimum time between two loads, so that many signals cause one load and the last content wins.
const reloadDebounce = time.Second

// memoryPatience is how long a reload waits for the runs that have large answers in memory to end.
const memoryPatience = 10 * time.Second

// A reloader applies a changed configuration to a running server: on SIGHUP, on request, and when it finds the files
// changed. A file with a mistake changes only a metric and a log line.
type reloader struct {
	kinds     probe.Kinds // of the first load: no reload allows more
	source    configSource
	server    *server
	poll      time.Duration
	hangups   <-chan os.Signal
	requests  chan chan error
	lastSum   string                // of the content that was loaded or refused last
	lastLook  string                // of the files when polling last looked at them
	lastError atomic.Pointer[error] // the error of the last load; nil if there was none
}

func newReloader(kinds probe.Kinds, from configSource, running *config.Config, s *server, poll time.Duration, hangups <-chan os.Signal) *reloader {
	return &reloader{kinds: kinds, source: from, server: s, poll: poll, hangups: hangups, requests: make(chan chan error), lastSum: running.Hash}
}

// reload loads the configuration and returns its error.
func (r *reloader) reload(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case r.requests <- answer:
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

// failed returns the error of the last load, while the old configuration keeps running.
func (r *reloader) failed() error {
	if err := r.lastError.Load(); err != nil {
		return *err
	}
	return nil
}

// run reloads until ctx ends.
func (r *reloader) run(ctx context.Context) {
	var poll <-chan time.Time
	if r.poll > 0 {
		tick := time.NewTicker(r.poll)
		defer tick.Stop()
		poll = tick.C
	}
	for {
		var waiting []chan error
		requested := true
		select {
		case <-ctx.Done():
			return
		case <-r.hangups:
		case answer := <-r.requests:
			waiting = append(waiting, answer)
		case <-poll:
			requested = false
		case <-r.server.targets.changed:
			if r.targetsChanged(); !sleep(ctx, reloadDebounce) {
				return
			}
			continue
		}
		err := r.once(requested)
		for _, answer := range waiting {
			answer <- err
		}
		if requested && !sleep(ctx, reloadDebounce) {
			return
		}
	}
}

// awaitMemory keeps large answers from being read while two configurations are in memory.
func (r *reloader) awaitMemory() (release func()) {
	ctx, cancel := context.WithTimeout(context.Background(), memoryPatience)
	defer cancel()
	return r.server.memory.Reserve(ctx)
}

// once reads the files and applies them if a reload was requested, or if they changed and then stood still for two looks.
func (r *reloader) once(requested bool) error {
	files := r.source()
	sum, look := config.Sum(files...), config.Fingerprint(files...)
	moved := look != r.lastLook
	r.lastLook = look
	last := r.failed()
	if !requested && (sum == r.lastSum || moved) {
		return last
	}
	r.lastSum = sum
	defer r.awaitMemory()()
	defer collectOften()()
	cfg, err := r.server.config.Load().Reparse(r.kinds, files...)
	var jobs []probe.Job
	if err == nil {
		err = inbound.Check(cfg.Jobs)
	}
	if err == nil {
		r.server.targets.readLocal(cfg)
		cfg = r.server.expand(cfg)
		jobs, err = r.server.filter.applyTo(cfg)
	}
	if err != nil {
		if requested || last == nil || last.Error() != err.Error() { // polling does not log the same error again
			r.server.log.Error("Configuration refused, the old one keeps running", "err", err)
		}
		r.lastError.Store(&err)
		r.server.metrics.ConfigLoaded(false)
		return err
	}
	r.lastError.Store(nil)
	r.server.apply(cfg, jobs, true)
	return nil
}
