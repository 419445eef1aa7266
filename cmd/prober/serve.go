package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/common/version"

	"prober/config"
	"prober/internal/alerts"
	"prober/internal/history"
	"prober/internal/inbound"
	"prober/internal/incident"
	"prober/internal/memory"
	"prober/internal/metrics"
	"prober/internal/probe"
	"prober/internal/schedule"
	"prober/internal/web"
	"prober/internal/webconfig"
	"prober/probes"
)

// serveOptions are the flags of serving.
type serveOptions struct {
	listener       listenOptions
	health         string
	external       []string
	lifecycle      bool
	poll           time.Duration
	concurrency    int // 0: by default
	scheduleOffset string
	storage        string
	runs           bool
	public         publicOptions
	inbound        inboundOptions
	notify         notifyOptions
}

// A watcher tells the status page, too, of targets that asked for fewer requests.
type watcher struct {
	*metrics.Metrics
	board     *web.StatusStore
	evaluator *alerts.Evaluator // nil if nobody is told of alerts
}

// Limited reports until when a probe is not run.
func (w watcher) Limited(id probe.ID, until time.Time) {
	w.Metrics.Limited(id, until)
	w.board.Limited(id, until)
	if w.evaluator != nil {
		w.evaluator.Limited(id, until)
	}
}

// A server is the prober that runs continuously: its scheduler, and the sinks of its results.
type server struct {
	log       *slog.Logger
	filter    filter
	shard     schedule.Shard
	here      atomic.Int64 // how many probes run
	elsewhere atomic.Int64 // how many other shards run
	reference *reference
	metrics   *metrics.Metrics
	board     *web.StatusStore
	incidents *incident.Tracker
	history   *history.Store
	alerting  alerting
	disk      *diskReporter
	targets   *targetLists
	scheduler *schedule.Scheduler
	self      *selfChecks
	jobSets   chan []probe.Job
	verdicts  *verdictLogger
	config    atomic.Pointer[config.Config]
	engine    *engine        // its self-test
	memory    *memory.Budget // for the answers of all targets
	public    *publicPage
	inbound   *inboundServer // nil: nothing is received
	started   atomic.Bool    // the first set of probes runs
	draining  atomic.Bool
}

// serveForever probes until ctx ends and returns the exit status. It starts to probe after it listens on all addresses.
func (o *options) serveForever(ctx context.Context, from configSource, demo demoHooks) int {
	o.log.Writer = o.stderr
	s := &server{
		log: promslog.New(&o.log), filter: o.filter, shard: o.shard, jobSets: make(chan []probe.Job, 1), memory: newBudget(),
		board: web.NewStatusStore(), incidents: incident.New(), targets: newTargetLists(),
	}
	s.verdicts = &verdictLogger{log: s.log}
	s.metrics = metrics.New(metrics.Build{Version: version.Version, Revision: version.GetRevision()})
	s.metrics.Shard(o.shard.Index, o.shard.Of)
	s.self = newSelfChecks(s.metrics.SelfCheck)
	s.engine = newEngine(probes.Kinds(), s.engineTested)
	refuse := func(err error) int {
		fmt.Fprintln(o.stderr, err)
		return exitUsage
	}
	var err error
	if s.reference, err = newReference(o.reference, s.self.report); err != nil {
		return refuse(err)
	}
	offset, err := o.serve.parseOffset()
	if err != nil {
		return refuse(err)
	}
	kinds := o.kinds()
	cfg, err := parse(kinds, from())
	if err != nil {
		return refuse(err)
	}
	if err := o.serve.public.check(cfg); err != nil {
		return refuse(err)
	}
	if err := inbound.Check(cfg.Jobs); err != nil {
		return refuse(err)
	}
	if _, err := o.filter.applyTo(cfg); err != nil {
		return refuse(err)
	}
	webConfig, err := webconfig.Open(o.serve.listener.config)
	if err != nil {
		return refuse(fmt.Errorf("prober: web.config.file: %w", err))
	}
	listeners, err := o.serve.listener.listen()
	if err != nil {
		return refuse(err)
	}
	var kubelet []net.Listener
	if o.serve.health != "" {
		if kubelet, err = listen([]string{o.serve.health}); err != nil {
			return refuse(err)
		}
	}
	if s.public, err = s.newPublic(o.serve.public); err != nil {
		return refuse(err)
	}
	if s.inbound, err = o.serve.inbound.listen(s.log); err != nil {
		return refuse(err)
	}
	defer s.openStorage(o.serve.storage)()
	s.inbound.open(s, o.serve.storage != "", demo.inbound)
	s.board.Since = s.history.Since // which observes each result before the board
	cfg = s.loadTargets(cfg)
	jobs, err := o.filter.applyTo(cfg)
	if err != nil {
		return refuse(err)
	}
	sinks := probe.Sinks{s.targets, s.history, s.metrics, s.board, s.incidents, s.verdicts}
	if err := s.openAlerting(o); err != nil {
		return refuse(err)
	}
	if s.alerting.evaluator != nil {
		sinks = append(sinks, s.alerting.evaluator)
	}
	s.scheduler = schedule.New(sinks, schedule.Options{
		MaxConcurrent: o.serve.concurrency, Offset: offset, Watcher: watcher{s.metrics, s.board, s.alerting.evaluator},
	})
	if demo.announce != nil {
		demo.announce(listeners[0].Addr().String())
	}
	s.warnAboutProxy()
	s.apply(cfg, jobs, true)
	reload := newReloader(kinds, from, cfg, s, o.serve.poll, o.hangups)
	s.alerting.reloader.Store(reload)
	return s.run(ctx, o, reload, s.handler(o, reload, demo), webConfig, listeners, kubelet)
}

// engineTested is called after every self-test of the engine.
func (s *server) engineTested(check string, ok bool) {
	if !ok {
		s.log.Error("The self-test failed: no verdict counts until it passes", "err", s.engine.works())
	}
	s.self.report(check, ok)
}

// warnAboutProxy warns that a proxy in the environment is not used: the prober must reach the target itself.
func (s *server) warnAboutProxy() {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		if os.Getenv(name) != "" || os.Getenv(strings.ToLower(name)) != "" {
			s.log.Warn("Ignoring the proxy settings in the environment", "variable", name)
		}
	}
}

// parseOffset returns the fraction of the interval by which all starts are shifted.
func (o serveOptions) parseOffset() (float64, error) {
	if o.scheduleOffset == "" {
		host, err := os.Hostname()
		if err != nil {
			return 0, nil
		}
		sum := sha256.Sum256([]byte(host))
		return float64(binary.BigEndian.Uint32(sum[:])) / (1 << 32), nil
	}
	share, err := strconv.ParseFloat(o.scheduleOffset, 64)
	if err != nil || !(share >= 0 && share <= 1) {
		return 0, errors.New("prober: --schedule.offset: expected a number from 0 to 1")
	}
	return share, nil
}
