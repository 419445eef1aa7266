package incident

import (
	"errors"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/sorted"
)

// ErrNoBreach means that there is no breach of a probe to acknowledge.
var ErrNoBreach = errors.New("no breach of this probe is waiting to be acknowledged")

// Breaches returns the breaches of all probes, by their names.
func (t *Tracker) Breaches() []probe.Breach {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []probe.Breach
	for system, s := range t.systems {
		for name, b := range s.Breaches {
			all = append(all, probe.Breach{
				Key: probe.Key{System: system, Name: name}, Reason: b.Reason, First: b.First, Last: b.Last, Acknowledged: b.Acknowledged,
			})
		}
	}
	sorted.By(all, func(a, b probe.Breach) int { return strings.Compare(a.Key.String(), b.Key.String()) })
	return all
}

// Acknowledge notes that somebody knows of the breach of a probe. It changes nothing else. A breach after the next pass is
// another one.
func (t *Tracker) Acknowledge(k probe.Key, by, why string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.systems[k.System]
	if s == nil {
		return ErrNoBreach
	}
	b, seen := s.Breaches[k.Name]
	if !seen || !b.Acknowledged.At.IsZero() {
		return ErrNoBreach
	}
	b.Acknowledged = probe.Acknowledgement{At: time.Now(), By: by, Why: why}
	s.Breaches[k.Name] = b
	t.signalChange()
	return nil
}
