package main

import (
	"sync"

	"prober/internal/sorted"
)

// selfChecks remembers which self checks of the prober failed, for the page, and passes the results on to the metrics. Its
// methods may be called from several goroutines.
type selfChecks struct {
	export func(check string, ok bool)

	mu      sync.Mutex
	failing map[string]bool
}

func newSelfChecks(export func(string, bool)) *selfChecks {
	return &selfChecks{export: export, failing: map[string]bool{}}
}

// report records the result of a check.
func (s *selfChecks) report(check string, ok bool) {
	s.mu.Lock()
	if ok {
		delete(s.failing, check)
	} else {
		s.failing[check] = true
	}
	s.mu.Unlock()
	s.export(check, ok)
}

// failed names the checks whose last result was a failure.
func (s *selfChecks) failed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return sorted.Keys(s.failing)
}
