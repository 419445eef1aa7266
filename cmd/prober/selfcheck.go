package main

import (
	"maps"
	"slices"
	"sync"
)

// selfChecks remembers which checks of its own surroundings the prober did not pass, for its page to say so, and tells
// them to whoever exports them. Its methods may be called from several goroutines.
type selfChecks struct {
	export func(check string, ok bool)

	mu  sync.Mutex
	bad map[string]bool
}

func newSelfChecks(export func(string, bool)) *selfChecks {
	return &selfChecks{export: export, bad: map[string]bool{}}
}

// report takes in how a check ended.
func (s *selfChecks) report(check string, ok bool) {
	s.mu.Lock()
	if ok {
		delete(s.bad, check)
	} else {
		s.bad[check] = true
	}
	s.mu.Unlock()
	s.export(check, ok)
}

// unfit names the checks that were not passed the last time.
func (s *selfChecks) unfit() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.bad))
}
