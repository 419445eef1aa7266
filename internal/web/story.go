package web

import (
	"time"

	"prober/internal/probe"
)

// Bounds of what is kept of one run. What a failure rests on is kept before what went well.
const (
	mostStoryChecks    = 40
	mostStoryExchanges = 20
)

// A Story is all that is told of one run: what was tested, and what went over the wire. It is never changed.
type Story struct {
	Started       time.Time
	Took          time.Duration
	Checks        []probe.Check
	Exchanges     []probe.Exchange
	MoreChecks    int // beyond those kept
	MoreExchanges int
}

// tell makes a story of a result, with copies of all that it keeps.
func tell(r *probe.Result) *Story {
	s := &Story{Started: r.Started, Took: r.Took}
	bad := map[int]bool{} // exchanges
	for _, c := range r.Checks {
		if c.Verdict != probe.Pass && len(bad) < mostStoryExchanges {
			bad[r.Evidence(c)] = true
		}
	}
	s.Checks, s.MoreChecks = bounded(r.Checks, mostStoryChecks, func(i int) bool { return r.Checks[i].Verdict != probe.Pass })
	s.Exchanges, s.MoreExchanges = bounded(r.Exchanges, mostStoryExchanges, func(i int) bool { return bad[i] || r.Exchanges[i].Broken() })
	return s
}

// bounded copies at most so many of all, in their order: those that matter before others. It tells how many it left out.
func bounded[T any](all []T, most int, matters func(int) bool) (kept []T, left int) {
	if len(all) == 0 {
		return nil, 0
	}
	keep := make([]bool, len(all))
	room := min(most, len(all))
	kept, left = make([]T, 0, room), len(all)-room
	for _, wanted := range []bool{true, false} {
		for i := range all {
			if room > 0 && matters(i) == wanted {
				keep[i] = true
				room--
			}
		}
	}
	for i, x := range all {
		if keep[i] {
			kept = append(kept, x)
		}
	}
	return kept, left
}
