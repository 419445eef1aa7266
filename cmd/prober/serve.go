package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/common/version"

	"prober/config"
	"prober/internal/alerts"
	"prober/internal/history"
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
	notify         notifyOptions
}

// At a shutdown, runGrace is how long runs may take to end, and requestGrace how long open HTTP requests may.
const (
	runGrace     = 6 * time.Second
	requestGrace = 3 * time.Second
)

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
	reference *reference
	metrics   *metrics.Metrics
	board     *web.StatusStore
	incidents *incident.Tracker
	history   *history.Store
	alerting  alerting
	disk      *diskReporter
	scheduler *schedule.Scheduler
	self      *selfChecks
	jobSets   chan []probe.Job
	verdicts  *verdictLogger
	config    atomic.Pointer[config.Config]
	effective atomic.Pointer[config.Effective] // the configuration, written before its probes run: they change what it reads
	engine    *engine                          // its self-test
	memory    *memory.Budget                   // for the answers of all targets
	public    *publicPage
	started   atomic.Bool // the first set of probes runs
	draining  atomic.Bool
}

// demoHooks are what the command demo adds to a server; the zero value adds nothing.
type demoHooks struct {
	announce func(address string)
	faults   func() []web.Fault
	handlers map[string]http.Handler
}

// serveForever probes until ctx ends and returns the exit status. It starts to probe after it listens on all addresses.
func (o *options) serveForever(ctx context.Context, from configSource, demo demoHooks) int {
	o.log.Writer = o.stderr
	s := &server{
		log: promslog.New(&o.log), filter: o.filter, jobSets: make(chan []probe.Job, 1), memory: newBudget(),
		board: web.NewStatusStore(), incidents: incident.New(),
	}
	s.verdicts = &verdictLogger{log: s.log}
	s.metrics = metrics.New(metrics.Build{Version: version.Version, Revision: version.GetRevision()})
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
	cfg, err := config.Parse(kinds, from()...)
	if err != nil {
		return refuse(err)
	}
	if err := o.serve.public.check(cfg); err != nil {
		return refuse(err)
	}
	jobs, err := o.filter.apply(cfg.Jobs)
	if err != nil {
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
	defer s.openStorage(o.serve.storage)()
	s.board.Since = s.history.Since // which observes each result before the board
	sinks := probe.Sinks{s.history, s.metrics, s.board, s.incidents, s.verdicts}
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
	s.apply(cfg, jobs)
	reload := newReloader(kinds, from, cfg, s, o.serve.poll, o.hangups)
	s.alerting.reloader.Store(reload)
	return s.run(ctx, o, reload, s.handler(o, reload, demo), webConfig, listeners, kubelet)
}

// run serves and probes until ctx ends, then waits for open runs and requests.
func (s *server) run(ctx context.Context, o *options, reload *reloader, pages http.Handler, webConfig *webconfig.File, listeners, kubelet []net.Listener) int {
	main := web.NewServer(pages, maxConnections())
	plain := web.NewServer(web.Health(s.scheduler.Healthy, s.ready), maxConnections()/4)
	for _, server := range []*http.Server{main, plain} {
		server.ErrorLog = slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)
	}
	failed := make(chan error, 2+len(kubelet))
	go func() { failed <- webConfig.Serve(listeners, main, s.log) }()
	for _, l := range kubelet {
		s.log.Info("Listening for health checks", "address", l.Addr())
		go func() { failed <- plain.Serve(l) }()
	}
	s.public.serve(ctx, failed)

	work, stop := context.WithCancel(ctx)
	defer stop()
	observing, observed := context.WithCancel(context.WithoutCancel(ctx)) // the last results come after the work is stopped
	defer observed()
	var running sync.WaitGroup
	running.Go(func() { s.scheduler.Forever(work, s.jobSets); observed() })
	running.Go(func() { reload.run(work) })
	running.Go(func() { s.engine.run(work) })
	running.Go(func() { watchClock(work, s.self.report) })
	running.Go(func() { s.incidents.Persist(observing, s.history.SaveState, s.disk.saved) })
	running.Go(func() { s.history.Run(observing) })
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
	if !within(runGrace, running.Wait) {
		s.log.Warn("Some runs did not end in time")
	}
	closeProbes(s.config.Load().Jobs)
	end, cancel := context.WithTimeout(context.Background(), requestGrace)
	defer cancel()
	for _, server := range []*http.Server{main, plain} {
		if server.Shutdown(end) != nil {
			server.Close()
		}
	}
	s.public.shutdown(end)
	return status
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
		Config:           func() []byte { return s.effective.Load().YAML() },
		Settings:         func(k probe.Key) []probe.Setting { return s.effective.Load().Settings(k) },
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
	if o.serve.lifecycle {
		options.Reload = reload.reload
		options.Acknowledge, options.User = s.acknowledge, authenticated
	}
	if o.serve.runs {
		options.Run = s.scheduler.Now
	}
	return web.New(options)
}

// engineTested is called after every self-test of the engine.
func (s *server) engineTested(check string, ok bool) {
	if !ok {
		s.log.Error("The self-test failed: no verdict counts until it passes", "err", s.engine.works())
	}
	s.self.report(check, ok)
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

// apply switches to a configuration.
func (s *server) apply(cfg *config.Config, jobs []probe.Job) {
	jobs = s.engine.withEngine(withMemory(s.memory, withIncidents(s.incidents.Incident, s.reference.withReference(jobs))))
	repeatProbes(jobs)
	for _, w := range warnings(cfg, jobs) {
		s.log.Warn("Configuration", "warning", w)
	}
	s.effective.Store(cfg.Effective())
	old := s.config.Swap(cfg)
	s.metrics.SetJobs(jobs)
	s.metrics.ConfigLoaded(true)
	s.board.SetJobs(jobs)
	s.history.SetJobs(jobs)
	s.incidents.SetJobs(jobs)
	s.verdicts.SetJobs(jobs)
	if s.alerting.evaluator != nil {
		s.alerting.evaluator.SetJobs(jobs)
	}
	select { // jobs that the scheduler has not received yet are outdated
	case <-s.jobSets:
	default:
	}
	s.jobSets <- jobs
	s.started.Store(true)
	if old == nil {
		s.log.Info("Probing", "probes", len(jobs))
	} else {
		s.log.Info("Configuration reloaded", "probes", len(jobs))
		closeProbes(old.Jobs)
	}
	debug.FreeOSMemory() // parsing takes many times the memory of the result
}

// repeatProbes tells probes that they run more than once. They have to be closed then.
func repeatProbes(jobs []probe.Job) {
	for _, j := range jobs {
		if p, ok := j.Probe.(probe.Repeater); ok {
			p.Repeat()
		}
	}
}

// maxClosing is how many probes are closed at a time: each has a goroutine, and at a reload there are two configurations in memory.
const maxClosing = 64

// closeProbes closes what probes keep open or left at their targets.
func closeProbes(jobs []probe.Job) {
	open := make(chan probe.Closer)
	var closing sync.WaitGroup
	for range min(maxClosing, len(jobs)) {
		closing.Go(func() {
			for p := range open {
				p.Close()
			}
		})
	}
	for _, j := range jobs {
		if p, ok := j.Probe.(probe.Closer); ok {
			open <- p
		}
	}
	close(open)
	closing.Wait()
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
