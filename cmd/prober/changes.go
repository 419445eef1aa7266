package main

import (
	"context"
	"log/slog"
	"sync"

	"prober/internal/probe"
)

// changes is a Sink that logs a line when a probe's verdict changes, and every run at debug level.
type changes struct {
	log  *slog.Logger
	mu   sync.Mutex
	last map[probe.ID]probe.Verdict
}

// Observe logs what is worth a line.
func (c *changes) Observe(r probe.Result) {
	now := r.Verdict()
	c.mu.Lock()
	if c.last == nil {
		c.last = map[probe.ID]probe.Verdict{}
	}
	was, known := c.last[r.ID]
	c.last[r.ID] = now
	c.mu.Unlock()

	level := slog.LevelDebug
	switch {
	case was == now && known, !known && now == probe.Pass:
	case now == probe.Pass:
		level = slog.LevelInfo
	default:
		level = slog.LevelWarn
	}
	if !c.log.Enabled(context.Background(), level) {
		return
	}
	why := r.Decisive()
	attrs := []any{"system", r.System, "probe", r.Name, "verdict", now, "check", why.Name, "reason", why.Reason, "detail", why.Detail}
	if known && was != now {
		attrs = append(attrs, "was", was)
	}
	if why.Target != "" {
		attrs = append(attrs, "target", why.Target)
	}
	// The exchange that the check was about, for whoever goes on in the target's traces.
	if i := r.Evidence(why); i >= 0 {
		x := r.Exchanges[i]
		attrs = append(attrs, "url", x.URL, "trace_id", x.TraceID)
	}
	c.log.Log(context.Background(), level, "Probed", attrs...)
}
