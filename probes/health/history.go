package health

import (
	"sync"
	"time"
)

// history keeps when each replica was last well and how long its state has held.
type history struct {
	sync.Mutex
	seen map[string]lastSeen
}

type lastSeen struct {
	state   string
	healthy time.Time // when it was last seen well; zero if never
}

// unreadySince returns how long ago a replica was well that now, for the first time, is not; zero once the state has held
// for two runs or for settle, and where the replica was never seen well. A state that is down does not settle.
func (m *history) unreadySince(target string, now state, settle time.Duration) time.Duration {
	m.Lock()
	defer m.Unlock()
	if m.seen == nil {
		m.seen = map[string]lastSeen{}
	}
	was := m.seen[target]
	next := lastSeen{state: now.Name, healthy: was.healthy}
	if now.Serving == holds {
		next.healthy = time.Now()
	}
	m.seen[target] = next
	ago := time.Since(was.healthy)
	if now.Serving == holds || !now.Transient || was.healthy.IsZero() || was.state == now.Name || ago >= settle {
		return 0
	}
	return ago
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
