package metrics

import (
	"strconv"
	"sync"
	"time"

	"prober/internal/exposition"
	"prober/internal/probe"
)

// maxSeries is how many series of one probe may come from label values that the configuration does not fix: checks,
// targets, codes, versions and measures.
const maxSeries = 2000

// state is the state of one probe. It survives reloads.
type state struct {
	registered int64 // Unix milliseconds; never changed

	mu          sync.Mutex
	view        *jobView
	settings    string // hash of the settings that the state belongs to
	runs        [len(probe.Verdicts)]uint64
	connections uint64
	lastPass    float64    // Unix seconds; 0 before the first
	limited     float64    // Unix seconds until which rate limits keep it from running; 0 if none does
	failures    counterMap // by check and reason
	expected    counterMap // by target and code
	latency     *exposition.Histogram
	last        *lastRun
	persistent  []sample // of persistent measures, sorted by measure and values, each once
}

// set replaces the view and creates the counters that the probe can name in advance. It returns how many do not fit.
func (s *state) set(v *jobView, p probe.Probe, settings string, now time.Time) (dropped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := s.settings != settings
	if fresh {
		s.settings, s.last = settings, nil // the old results say nothing about the new settings
	}
	s.view = v
	dropped = s.keepPersistent(p, fresh)
	s.expected.unpin()
	if p, ok := p.(probe.StatusProvoker); ok {
		for target, codes := range p.ExpectedStatuses() {
			for _, code := range codes {
				if code >= 400 && !s.expected.pin(labelValue(target), strconv.Itoa(code), now.UnixMilli()) {
					dropped++
				}
			}
		}
	}
	return dropped
}

// observe records one run and returns how many series it had no room for.
func (s *state) observe(r *probe.Result) (dropped int) {
	verdict := r.Verdict()
	ended := r.Started.Add(r.Took)
	slowest := slowestExchange(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs[verdict]++
	if verdict == probe.Pass {
		s.lastPass = unixSeconds(ended)
	}
	at := max(ended.UnixMilli(), 0)
	for i := range r.Checks {
		if c := &r.Checks[i]; c.Verdict != probe.Pass {
			dropped += s.failures.add(labelValue(c.Name), labelValue(c.Reason.Word), at)
		}
	}
	for i := range r.Exchanges {
		x := &r.Exchanges[i]
		s.connections += uint64(max(x.Connections, 0))
		if x.Expected && x.Status >= 400 {
			dropped += s.expected.add(labelValue(x.Target), strconv.Itoa(x.Status), at)
		}
	}
	if measuresLatency(r, verdict) {
		if s.latency == nil {
			s.latency = &exposition.Histogram{}
		}
		var traceID string
		if slowest != nil {
			traceID = slowest.TraceID
		}
		s.latency.Observe(max(r.Latency().Seconds(), 0), traceID, at)
	}
	dropped += s.addPersistent(r.Samples)
	room := maxSeries - len(s.failures.entries) - len(s.expected.entries) - len(s.persistent)
	last, rest := newLastRun(r, verdict, slowest, s.view, room)
	s.last = last
	return dropped + rest
}

// measuresLatency reports whether the run measured the target. A run that the prober itself disturbed did not.
func measuresLatency(r *probe.Result, verdict probe.Verdict) bool {
	if verdict != probe.Inconclusive {
		return true
	}
	for i := range r.Checks {
		switch r.Checks[i].Reason {
		case probe.Suspended, probe.SelfDelay, probe.Cancelled, probe.Panicked, probe.SelfNetwork, probe.Credential:
			return false
		case probe.NothingChecked:
			if len(r.Exchanges) == 0 {
				return false
			}
		}
	}
	return len(r.Checks) > 0 || len(r.Exchanges) > 0
}

// slowestExchange returns the exchange that took longest; nil if there was none.
func slowestExchange(r *probe.Result) *probe.Exchange {
	var slowest *probe.Exchange
	for i := range r.Exchanges {
		if x := &r.Exchanges[i]; slowest == nil || x.Took > slowest.Took {
			slowest = x
		}
	}
	return slowest
}

// unixSeconds returns the time to the millisecond; 0 for times before 1970.
//
//go:noinline
func unixSeconds(t time.Time) float64 { return float64(max(t.UnixMilli(), 0)) / 1e3 }
