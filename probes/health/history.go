package health

import (
	"sync"
	"time"
)

// history remembers when each replica was last healthy and in which state it was.
type history struct {
	sync.Mutex
	seen map[string]lastSeen
}

type lastSeen struct {
	state   string
	healthy time.Time // when it was last healthy; zero if never
}

// unreadySince returns how long ago a replica that has just become unhealthy was last healthy. It is zero once the state
// has lasted for two runs or for settle, if the replica was never healthy, and in a state that is not transient.
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
