package guard

import (
	"cmp"
	"slices"
	"sync"

	"prober/internal/sorted"
)

// turns says whose turn it is, and remembers what became of each case, since one run may not have the time or the requests for
// all of them. Those that have not been asked for longest come first.
type turns struct {
	mu    sync.Mutex
	run   int              // counts the runs
	since int              // the first run of the full pass that is under way
	known map[string]known // by the name of the case
}

// A known is what became of a case when it was asked last.
type known struct {
	run int
	verdict
}

// next begins a run, and returns so many cases at most, those first that have waited longest.
func (t *turns) next(cases []testCase, most int) []testCase {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil {
		t.known, t.since = map[string]known{}, 1
	}
	t.run++
	order := slices.Clone(cases)
	sorted.By(order, func(a, b testCase) int { return cmp.Compare(t.known[a.name].run, t.known[b.name].run) })
	return order[:min(most, len(order))]
}

// asked notes what became of a case in this run.
func (t *turns) asked(name string, v verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known[name] = known{t.run, v}
}

// last returns what became of a case when it was asked last, and whether that was in this run.
func (t *turns) last(name string) (v verdict, now bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k, ok := t.known[name]
	if !ok {
		return verdict{outcome: notAsked, reason: notAllAsked}, false
	}
	return k.verdict, k.run == t.run
}

// passed reports whether this run ends a full pass: every case was asked since the one before. The next one then begins.
func (t *turns) passed(cases []testCase) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range cases {
		if t.known[c.name].run < t.since {
			return false
		}
	}
	t.since = t.run + 1
	return true
}
