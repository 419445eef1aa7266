package contract

import (
	"sync"
	"time"

	"prober/internal/probe"
	"prober/internal/sorted"
)

// maxRemembered is how many addresses are remembered, whatever name servers say.
const maxRemembered = 200

// history is what earlier runs saw, by address. It lives in memory only: after a start nothing is known of the time before.
type history struct {
	sync.Mutex
	of map[string]*remembered // by address
}

// remembered is what is known of the counters at one address.
type remembered struct {
	of   map[string]record // by the name of the move
	seen time.Time
}

// A record is what is known of a counter.
type record struct {
	value   float64
	started float64   // of its process
	since   time.Time // when it rose last, or since when it is known
	rose    bool
	mixed   time.Time // when several processes were seen to answer; zero if never
}

// judgeHistory compares the counters of one replica with those of earlier runs.
func (p *Probe) judgeHistory(r *probe.Result, address string, s *scrape) (outcomes []probe.Outcome) {
	p.history.Lock()
	defer p.history.Unlock()
	now := time.Now()
	for _, name := range sorted.Keys(p.movers) {
		m := p.movers[name]
		if m.client != nil {
			continue
		}
		t := s.total(m.series)
		if o, ok := absent(m, t); ok {
			outcomes = append(outcomes, o)
			continue
		}
		r.Measure(movesGauge, t.sum, r.Target(), name)
		outcomes = append(outcomes, p.history.update(address, name, m, t.sum, s.started, now))
	}
	p.history.forget()
	return outcomes
}

// update remembers the value of a counter and says whether it moves.
func (h *history) update(address, name string, m *mover, value, started float64, now time.Time) probe.Outcome {
	if h.of == nil {
		h.of = map[string]*remembered{}
	}
	at := h.of[address]
	if at == nil {
		at = &remembered{of: map[string]record{}}
		h.of[address] = at
	}
	at.seen = now
	was, known := at.of[name]
	is := record{value: value, started: started, since: was.since, rose: was.rose, mixed: was.mixed}
	var o probe.Outcome
	switch order := compareStarts(was.started, started); {
	case !known:
		is.since = now
		o = probe.Outcomef(probe.Settling, "%s is %s, which was not read before: whether it rises shows in the next run", m.series, number(value))
	case order == older, order == newer && !was.mixed.IsZero() && now.Sub(was.mixed) < m.within:
		is.since, is.rose, is.mixed = now, false, now
		o = probe.Outcomef(reasonMixed, "the processes that answer started at different times, one before the one that answered earlier: list the replicas, each has counters of its own")
	case order == newer && value > 0, order != newer && value > was.value:
		is.since, is.rose = now, true
		o = probe.Outcomef(probe.OK, "%s rose %s", m.series, rise(was.value, value, order == newer))
	case order == same && value < was.value:
		o = probe.Outcomef(reasonFell, "expected %s to rise, got %s after %s in a process that did not restart: increase() takes that for a restart, and counts too much", m.series, number(value), number(was.value))
	case order == unknown && value < was.value:
		is.since, is.rose = now, false
		o = fellUnexplained(m, was.value, value)
	default:
		o = still(m, is, now)
	}
	at.of[name] = is
	return o
}

// How the start of a process compares with that of the one that answered before.
const (
	unknown = iota
	same
	newer
	older
)

// compareStarts compares the starts of two processes, which are calculated from the time since the machine started, and vary.
func compareStarts(before, now float64) int {
	const variance = 2 // seconds
	switch {
	case before == 0 || now == 0:
		return unknown
	case now > before+variance:
		return newer
	case now < before-variance:
		return older
	}
	return same
}

// fellUnexplained is the outcome for a counter that fell in a process that does not tell when it started.
func fellUnexplained(m *mover, before, after float64) probe.Outcome {
	return probe.Outcomef(probe.Settling, "%s fell from %s to %s, and without %s nothing tells whether the process restarted", m.series, number(before), number(after), startSeries)
}

func rise(before, after float64, restarted bool) string {
	if restarted {
		return "to " + number(after) + " since the process restarted"
	}
	return "from " + number(before) + " to " + number(after)
}

// still is the outcome for a counter that did not rise since the last run.
func still(m *mover, is record, now time.Time) probe.Outcome {
	lasted := now.Sub(is.since)
	switch {
	case lasted >= m.within:
		return probe.Outcomef(reasonStuck, "expected %s to rise within %s, got %s for %s", m.series, probe.Duration(m.within), number(is.value), probe.Duration(lasted.Round(time.Second)))
	case is.rose:
		return probe.Outcomef(probe.OK, "%s rose to %s %s ago", m.series, number(is.value), probe.Duration(lasted.Round(time.Second)))
	}
	return probe.Outcomef(probe.Settling, "%s has been %s for %s, and may take %s to rise", m.series, number(is.value), probe.Duration(lasted.Round(time.Second)), probe.Duration(m.within))
}

// forget drops the addresses that were not seen for longest, where there are too many: fewer answer in one run.
func (h *history) forget() {
	for len(h.of) > maxRemembered {
		var oldest string
		for address, at := range h.of {
			if first := h.of[oldest]; first == nil || at.seen.Before(first.seen) {
				oldest = address
			}
		}
		delete(h.of, oldest)
	}
}
