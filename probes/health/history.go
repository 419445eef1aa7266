package health

import (
	"sync"
	"time"
)

// calmRuns is for how many runs a replica must have been healthy before it may be unready again. One that flaps has no
// grace of its own each time.
const calmRuns = 10

// history remembers of each replica when it was last healthy and how much of its grace is used up.
type history struct {
	sync.Mutex
	seen map[string]lastSeen
}

type lastSeen struct {
	state       string
	healthy     time.Time // when it was last healthy; zero if never
	healthyRuns int       // in a row, up to the last run
	graceEnds   time.Time // of a replica that was unready less than calmRuns ago, else zero
}

// unreadySince returns how long ago a replica that has just become unhealthy was last healthy. It is zero once the state
// has lasted for two runs or for settle, if the replica was unready before and is not calm since, if it was never healthy,
// and in a state that is not transient.
func (m *history) unreadySince(target string, now state, settle time.Duration) time.Duration {
	m.Lock()
	defer m.Unlock()
	if m.seen == nil {
		m.seen = map[string]lastSeen{}
	}
	was := m.seen[target]
	next := was.after(now, settle)
	m.seen[target] = next
	ago := time.Since(was.healthy)
	if now.Serving == holds || !now.Transient || was.healthy.IsZero() || was.state == now.Name || ago >= settle || !time.Now().Before(next.graceEnds) {
		return 0
	}
	return ago
}

// after returns what is remembered after one more run.
func (was lastSeen) after(now state, settle time.Duration) lastSeen {
	next := lastSeen{state: now.Name, healthy: was.healthy, graceEnds: was.graceEnds}
	switch {
	case now.Serving == holds:
		next.healthy, next.healthyRuns = time.Now(), was.healthyRuns+1
		if next.healthyRuns >= calmRuns {
			next.graceEnds = time.Time{}
		}
	case now.Transient && was.graceEnds.IsZero() && !was.healthy.IsZero():
		next.graceEnds = time.Now().Add(settle)
	}
	return next
}

// forget drops the replicas that are no longer there.
func (m *history) forget(targets []string) {
	m.Lock()
	defer m.Unlock()
	keep := map[string]lastSeen{}
	for _, t := range targets {
		if h, ok := m.seen[t]; ok {
			keep[t] = h
		}
	}
	m.seen = keep
}
