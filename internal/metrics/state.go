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

// state is what is known of one probe. It outlives reloads.
type state struct {
	registered int64 // Unix milliseconds; never changed

	mu          sync.Mutex
	view        *view
	settings    string // of the probe that last was
	runs        [len(probe.Verdicts)]uint64
	connections uint64
	lastPass    float64 // Unix seconds; 0 before the first
	failures    tally   // by check and reason
	expected    tally   // by target and code
	latency     *exposition.Histogram
	last        *lastRun
	kept        []sample // of measures that outlive runs, sorted by measure and values, each once
}

// asked is a probe that knows which statuses of at least 400 it causes on purpose, by target.
type asked interface {
	ExpectedStatuses() map[string][]int
}

// set replaces the view and makes sure that the counters which the probe can name exist. It returns how many do not
// fit.
func (s *state) set(v *view, p probe.Probe, settings string, now time.Time) (left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := s.settings != settings
	if fresh {
		s.settings, s.last = settings, nil // what the old question was answered says nothing of the new one
	}
	s.view = v
	left = s.keep(p, fresh)
	s.expected.unpin()
	if p, ok := p.(asked); ok {
		for target, codes := range p.ExpectedStatuses() {
			for _, code := range codes {
				if code >= 400 && !s.expected.pin(labelValue(target), strconv.Itoa(code), now.UnixMilli()) {
					left++
				}
			}
		}
	}
	return left
}

// observe takes in one run and returns how many series it had no room for.
func (s *state) observe(r *probe.Result) (left int) {
	verdict := r.Verdict()
	ended := r.Started.Add(r.Took)
	slowest := slowestOf(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if verdict >= 0 && int(verdict) < len(s.runs) {
		s.runs[verdict]++
	}
	if verdict == probe.Pass {
		s.lastPass = unixSeconds(ended)
	}
	at := max(ended.UnixMilli(), 0)
	for i := range r.Checks {
		if c := &r.Checks[i]; c.Verdict != probe.Pass {
			left += s.failures.add(labelValue(c.Name), labelValue(c.Reason.Word), at)
		}
	}
	for i := range r.Exchanges {
		x := &r.Exchanges[i]
		s.connections += uint64(max(x.Connections, 0))
		if x.Expected && x.Status >= 400 {
			left += s.expected.add(labelValue(x.Target), strconv.Itoa(x.Status), at)
		}
	}
	if tellsLatency(r, verdict) {
		if s.latency == nil {
			s.latency = &exposition.Histogram{}
		}
		var traceID string
		if slowest != nil {
			traceID = slowest.TraceID
		}
		s.latency.Observe(max(r.Latency().Seconds(), 0), traceID, at)
	}
	left += s.addUp(r.Samples)
	room := maxSeries - len(s.failures.counts) - len(s.expected.counts) - len(s.kept)
	last, dropped := newLastRun(r, verdict, slowest, s.view, room)
	s.last = last
	return left + dropped
}

// tellsLatency reports whether the run says how fast the target is. A run that the prober itself spoiled does not.
func tellsLatency(r *probe.Result, verdict probe.Verdict) bool {
	if verdict != probe.Inconclusive {
		return true
	}
	for i := range r.Checks {
		switch r.Checks[i].Reason {
		case probe.Suspended, probe.Cancelled, probe.Panicked, probe.SelfNetwork, probe.Credential:
			return false
		case probe.NothingChecked:
			if len(r.Exchanges) == 0 {
				return false
			}
		}
	}
	return len(r.Checks) > 0 || len(r.Exchanges) > 0
}

// slowestOf returns the exchange that took longest; nil if there was none.
func slowestOf(r *probe.Result) *probe.Exchange {
	var slowest *probe.Exchange
	for i := range r.Exchanges {
		if x := &r.Exchanges[i]; slowest == nil || x.Took > slowest.Took {
			slowest = x
		}
	}
	return slowest
}

// unixSeconds returns the time with the milliseconds; 0 for times before 1970, which no clock of ours shows.
func unixSeconds(t time.Time) float64 { return float64(max(t.UnixMilli(), 0)) / 1e3 }
