package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/prometheus/common/version"

	"prober/config"
	"prober/internal/probe"
	"prober/internal/schedule"
	"prober/internal/web"
	"prober/probes"
)

// demoHooks are what the command demo adds to a server; the zero value adds nothing.
type demoHooks struct {
	announce func(address string)
	inbound  func(address string) // of the listener for what others send, once it is served
	faults   func() []web.Fault
	handlers map[string]http.Handler
}

func (s *server) handler(o *options, reload *reloader, demo demoHooks) http.Handler {
	options := web.Options{
		Version:          version.Version,
		Hosts:            o.serve.hosts(),
		Metrics:          s.metrics.Handler(),
		ProbeMetrics:     s.metrics.Probe,
		Healthy:          s.scheduler.Healthy,
		Ready:            s.ready,
		ReloadError:      reload.failed,
		Config:           func() []byte { return s.config.Load().YAML() },
		Settings:         func(k probe.Key) []probe.Setting { return s.config.Load().Settings(k) },
		Schema:           func() []byte { schema, _ := config.Schema(probes.Kinds()); return schema },
		Status:           s.board.Statuses,
		Probe:            s.board.Probe,
		Changed:          s.board.Changed,
		Next:             s.scheduler.Next,
		FailedSelfChecks: s.self.failed,
		Incident:         s.incidents.Notes,
		NearOnset:        s.incidents.NearOnset,
		Faults:           demo.faults,
		Extra:            demo.handlers,
		Panicked:         func(pattern string) { s.log.Error("A page panicked", "pattern", pattern) },
	}
	options.Past, options.Uptimes, options.Incidents = s.history.Past, s.history.Uptimes, s.history.Incidents
	options.Breaches = s.incidents.Breaches
	if s.shard.Of > 0 {
		options.Shard, options.Elsewhere = s.describeShard, s.shardElsewhere
	}
	if o.serve.lifecycle {
		options.Reload = reload.reload
		options.Acknowledge, options.User = s.acknowledge, authenticated
	}
	if o.serve.runs {
		options.Run = s.scheduler.Now
	}
	return web.New(options)
}

// describeShard says which part of the probes this prober runs.
func (s *server) describeShard() string {
	return fmt.Sprintf("One of %d probers that divide the probes: this one, shard %s, runs %d of them, and the others %d.", s.shard.Of, s.shard, s.here.Load(), s.elsewhere.Load())
}

// shardElsewhere names the shard that runs a probe, if that is configured and runs in another prober.
func (s *server) shardElsewhere(k probe.Key) string {
	home := schedule.Shard{Index: s.shard.Home(k), Of: s.shard.Of}
	if home == s.shard || !slices.ContainsFunc(s.config.Load().Jobs, func(j probe.Job) bool { return j.Key() == k }) {
		return ""
	}
	return "shard " + home.String()
}

// ready returns nil while the prober probes. It never depends on a target: that is the mistake that health probes find.
func (s *server) ready() error {
	switch {
	case s.draining.Load():
		return errors.New("stopping")
	case !s.started.Load():
		return errors.New("starting")
	}
	return nil
}
