package health

import (
	"sync"
	"time"
)

// memory keeps when each replica was last well and how long its state has held.
type memory struct {
	sync.Mutex
	last map[string]held
}

type held struct {
	state string
	well  time.Time // when it was last seen well; zero if never
}

// settling returns how long ago a replica was well that now, for the first time, is not; zero once the state has held
// for two runs or for settle, and where the replica was never seen well. A state that is down does not settle.
func (m *memory) settling(target string, now state, settle time.Duration) time.Duration {
	m.Lock()
	defer m.Unlock()
	if m.last == nil {
		m.last = map[string]held{}
	}
	was := m.last[target]
	next := held{state: now.Name, well: was.well}
	if now.Serving == yes {
		next.well = time.Now()
	}
	m.last[target] = next
	ago := time.Since(was.well)
	if now.Serving == yes || !now.Settles || was.well.IsZero() || was.state == now.Name || ago >= settle {
		return 0
	}
	return ago
}

// forget drops the replicas that are no longer there.
func (m *memory) forget(targets []string) {
	m.Lock()
	defer m.Unlock()
	keep := map[string]held{}
	for _, t := range targets {
		if h, ok := m.last[t]; ok {
			keep[t] = h
		}
	}
	m.last = keep
}
