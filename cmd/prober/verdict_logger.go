package main

import (
	"context"
	"log/slog"
	"maps"
	"sync"

	"prober/internal/probe"
)

// verdictLogger is a Sink that logs a line when a probe's verdict changes, and each run at debug level.
type verdictLogger struct {
	log  *slog.Logger
	mu   sync.Mutex
	last map[probe.Key]probe.Verdict
}

// SetJobs forgets the probes that are not among the jobs.
func (c *verdictLogger) SetJobs(jobs []probe.Job) {
	configured := make(map[probe.Key]bool, len(jobs))
	for _, j := range jobs {
		configured[j.Key()] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.last, func(k probe.Key, _ probe.Verdict) bool { return !configured[k] })
}

// Observe logs a result if its verdict changed.
func (c *verdictLogger) Observe(r probe.Result) {
	verdict := r.Verdict()
	c.mu.Lock()
	if c.last == nil {
		c.last = map[probe.Key]probe.Verdict{}
	}
	was, known := c.last[r.Key()]
	c.last[r.Key()] = verdict
	c.mu.Unlock()

	level := slog.LevelDebug
	switch {
	case was == verdict && known, !known && verdict == probe.Pass:
	case verdict == probe.Pass:
		level = slog.LevelInfo
	default:
		level = slog.LevelWarn
	}
	if !c.log.Enabled(context.Background(), level) {
		return
	}
	check := r.Decisive()
	attrs := []any{"system", r.System, "probe", r.Name, "verdict", verdict, "check", check.Name, "reason", check.Reason, "detail", check.Detail}
	if known && was != verdict {
		attrs = append(attrs, "was", was)
	}
	if check.Target != "" {
		attrs = append(attrs, "target", check.Target)
	}
	// The exchange that the check is about, so that the target's traces can be searched.
	if i := r.Evidence(check); i >= 0 {
		x := r.Exchanges[i]
		attrs = append(attrs, "url", x.URL, "trace_id", x.TraceID)
	}
	c.log.Log(context.Background(), level, "Probed", attrs...)
}
