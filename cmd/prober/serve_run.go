package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"prober/internal/web"
	"prober/internal/webconfig"
)

// At a shutdown, runGrace is how long runs may take to end, and requestGrace how long open HTTP requests may.
const (
	runGrace     = 6 * time.Second
	requestGrace = 3 * time.Second
)

// run serves and probes until ctx ends, then waits for open runs and requests.
func (s *server) run(ctx context.Context, o *options, reload *reloader, pages http.Handler, webConfig *webconfig.File, listeners, kubelet []net.Listener) int {
	main := web.NewServer(pages, maxConnections())
	plain := web.NewServer(web.Health(s.scheduler.Healthy, s.ready), maxConnections()/4)
	for _, server := range []*http.Server{main, plain} {
		server.ErrorLog = slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)
	}
	failed := make(chan error, 3+len(kubelet))
	go func() { failed <- webConfig.Serve(listeners, main, s.log) }()
	for _, l := range kubelet {
		s.log.Info("Listening for health checks", "address", l.Addr())
		go func() { failed <- plain.Serve(l) }()
	}
	s.public.serve(ctx, failed)
	s.inbound.serve(s.log, failed)

	work, stop := context.WithCancel(ctx)
	defer stop()
	observing, observed := context.WithCancel(context.WithoutCancel(ctx)) // the last results come after the work is stopped
	defer observed()
	receiving, received := context.WithCancel(context.WithoutCancel(ctx)) // as are the last requests of others
	defer received()
	var running sync.WaitGroup
	running.Go(func() { s.scheduler.Forever(work, s.jobSets); observed() })
	running.Go(func() { reload.run(work) })
	running.Go(func() { s.engine.run(work) })
	running.Go(func() { watchClock(work, s.self.report) })
	running.Go(func() { s.incidents.Persist(observing, s.history.SaveState, s.disk.saved) })
	running.Go(func() { s.history.Run(observing) })
	running.Go(func() { s.inbound.run(receiving) })
	if s.reference != nil {
		running.Go(func() { s.watchNetwork(work) })
	}
	if s.alerting.notifier != nil {
		running.Go(func() { s.alerting.notifier.Run(work) })
	}

	status := exitPass
	select {
	case <-ctx.Done():
		s.log.Info("Stopping")
	case err := <-failed:
		s.log.Error("Cannot serve", "err", err)
		status = exitFail
	}
	s.draining.Store(true)
	stop()
	stopped := time.Now()
	within(runGrace, func() { <-observing.Done() }) // what runs do in the end may have others send something
	end, cancel := context.WithTimeout(context.Background(), requestGrace)
	defer cancel()
	var closing sync.WaitGroup // of one listener beside the others, so that all end within one grace
	for _, server := range []*http.Server{main, plain, s.inbound.http()} {
		closing.Go(func() {
			if server != nil && server.Shutdown(end) != nil {
				server.Close()
			}
		})
	}
	closing.Go(func() { s.public.shutdown(end) })
	closing.Wait()
	received()
	if !within(max(time.Second, runGrace-time.Since(stopped)), running.Wait) {
		s.log.Warn("Some runs did not end in time")
	}
	closeProbes(s.config.Load().Jobs)
	return status
}

// watchNetwork keeps prober_self_check{check="network"} up to date even while all targets pass.
func (s *server) watchNetwork(ctx context.Context) {
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	for {
		_ = s.reference.Check(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// within reports whether f returned within the limit.
func within(limit time.Duration, f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
		return true
	case <-time.After(limit):
		return false
	}
}
