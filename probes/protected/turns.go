package protected

import (
	"maps"
	"sync"
)

// A turnKeeper says which token that names no key of a verifier is next, for each verifier. A verifier may fetch the key
// set for every such token and usually limits how often it does; with more than one a run, it could find no key for
// real tokens after a rotation. A token that was not rejected stays next until it is, so that a verdict does not flap.
type turnKeeper struct {
	mu sync.Mutex
	of map[string]turn // by target
}

// A turn is where one verifier stands.
type turn struct {
	next int                    // of the tokens that name no key of the verifier
	last map[string]caseOutcome // of those tried so far, by name
}

// begin forgets who is no target any more.
func (k *turnKeeper) begin(targets []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	of := make(map[string]turn, len(targets))
	for _, target := range targets {
		state, known := k.of[target]
		if !known {
			state.last = map[string]caseOutcome{}
		}
		of[target] = state
	}
	k.of = of
}

// choose returns what to present to a verifier: everything that names its key, and the next that does not.
func (k *turnKeeper) choose(target string, all []forgery) []*forgery {
	k.mu.Lock()
	defer k.mu.Unlock()
	var chosen []*forgery
	next, count := k.of[target].next, 0
	for i := range all {
		if all[i].newKey {
			count++
		}
	}
	for i, at := 0, 0; i < len(all); i++ {
		f := &all[i]
		if f.newKey {
			at++
		}
		if !f.newKey || at-1 == next%count {
			chosen = append(chosen, f)
		}
	}
	return chosen
}

// tried notes what became of a token that names no key of the verifier.
func (k *turnKeeper) tried(target string, f *forgery, outcome caseOutcome) {
	k.mu.Lock()
	defer k.mu.Unlock()
	state, known := k.of[target]
	if !known || !f.newKey {
		return
	}
	state.last[f.name] = outcome
	if outcome == caseAsExpected {
		state.next++
	}
	k.of[target] = state
}

// outcomes returns what became of those tokens when they were last tried.
func (k *turnKeeper) outcomes(target string) map[string]caseOutcome {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.of[target].last)
}
