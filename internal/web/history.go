package web

import (
	"math"
	"time"

	"prober/internal/probe"
)

// maxRuns bounds the history of a probe.
const maxRuns = 40

// A Run is a run in the history of a probe.
type Run struct {
	Started time.Time     // to the second
	Verdict probe.Verdict // of the run
	Reason  probe.Reason  // of the decisive check; empty if there were too many different ones
	Latency time.Duration // to 10 µs; at most half a day
}

// A History is the last runs of a probe, packed: ten thousand probes have four hundred thousand of them.
type History struct {
	runs    []packed       // the oldest first; never changed, so that many may read them
	reasons []probe.Reason // what the runs' reasons stand for; only ever appended to
}

// packed is a Run in 12 bytes.
type packed struct {
	started uint32 // in seconds since 1970
	latency uint32 // in grain
	verdict uint8
	reason  uint8 // an index in reasons
}

const latencyUnit = 10 * time.Microsecond

// appended returns runs with one more, without the oldest if there are too many.
func appended(runs []packed, r packed) []packed {
	return append(append(make([]packed, 0, maxRuns), runs[max(0, len(runs)-maxRuns+1):]...), r)
}

// Runs returns the runs, the oldest first.
func (h *History) Runs() []Run {
	runs := make([]Run, len(h.runs))
	for i, p := range h.runs {
		runs[i] = Run{
			Started: time.Unix(int64(p.started), 0), Verdict: probe.Verdict(p.verdict), Latency: time.Duration(p.latency) * latencyUnit,
		}
		if int(p.reason) < len(h.reasons) {
			runs[i].Reason = h.reasons[p.reason]
		}
	}
	return runs
}

// pack packs a run; reason is the number from intern.
func pack(started time.Time, v probe.Verdict, reason uint8, latency time.Duration) packed {
	return packed{
		started: uint32(min(max(started.Unix(), 0), math.MaxUint32)),
		latency: uint32(min(max(latency/latencyUnit, 0), math.MaxUint32)),
		verdict: uint8(v), reason: reason,
	}
}

// A reasonTable numbers reasons.
type reasonTable struct {
	numbers map[probe.Reason]uint8
	reasons []probe.Reason
}

// noReason stands for any reason after all other numbers are taken.
const noReason = math.MaxUint8

// intern returns the number of a reason.
func (l *reasonTable) intern(why probe.Reason) uint8 {
	if n, known := l.numbers[why]; known {
		return n
	}
	if len(l.reasons) >= noReason {
		return noReason
	}
	n := uint8(len(l.reasons))
	l.numbers[why], l.reasons = n, append(l.reasons, why)
	return n
}
