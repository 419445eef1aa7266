package health

import (
	"time"

	"prober/internal/probe"
	"prober/probes/internal/expect"
)

var _ probe.LatencyLimiter = (*Probe)(nil)

// LatencyLimit returns the setting latency.
func (h *Probe) LatencyLimit() time.Duration { return expect.LatencyLimit(h.Latency) }
