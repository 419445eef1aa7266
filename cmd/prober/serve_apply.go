package main

import (
	"runtime/debug"
	"sync"

	"prober/config"
	"prober/internal/probe"
)

// apply switches to a configuration, and to the jobs of it that are of this shard. It was loaded, or lists of targets changed.
func (s *server) apply(cfg *config.Config, all []probe.Job, loaded bool) {
	defer collectOften()()
	jobs := s.shard.Select(all)
	s.here.Store(int64(len(jobs)))
	s.elsewhere.Store(int64(len(all) - len(jobs)))
	jobs = s.engine.withEngine(withMemory(s.memory, withIncidents(s.incidents.Incident, s.reference.withReference(jobs))))
	jobs = s.inbound.withInbox(jobs)
	old := s.config.Swap(cfg)
	var before []probe.Job
	if old != nil {
		before = old.Jobs
	}
	added := newIn(jobs, before)
	repeatProbes(jobs)
	if loaded {
		for _, w := range warnings(cfg, jobs) {
			s.log.Warn("Configuration", "warning", w)
		}
	}
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
	gone := newIn(before, cfg.Jobs)
	switch {
	case old == nil:
		s.log.Info("Probing", "probes", len(jobs))
	case loaded:
		s.log.Info("Configuration reloaded", "probes", len(jobs), "new", len(added), "gone", len(gone))
	default:
		s.log.Info("Targets changed", "probes", len(jobs), "new", len(added), "gone", len(gone))
	}
	closeProbes(gone)
	debug.FreeOSMemory() // parsing takes many times the memory of the result
}

// repeatProbes tells probes that they run more than once. They have to be closed then. Those that know it may be told again.
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
