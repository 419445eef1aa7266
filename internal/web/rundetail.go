package web

import (
	"time"

	"prober/internal/probe"
)

// Bounds of a RunDetail. Failures, and the exchanges that they cite, come first.
const (
	maxDetailChecks    = 40
	maxDetailExchanges = 20
)

// A RunDetail holds the checks and exchanges of one run, within bounds. It is immutable.
type RunDetail struct {
	Started       time.Time
	Took          time.Duration
	Checks        []probe.Check
	Exchanges     []probe.Exchange
	MoreChecks    int // beyond those kept
	MoreExchanges int
}

// newRunDetail copies the details of a result.
func newRunDetail(r *probe.Result) *RunDetail {
	s := &RunDetail{Started: r.Started, Took: r.Took}
	bad := map[int]bool{} // exchanges
	for _, c := range r.Checks {
		if c.Verdict != probe.Pass && len(bad) < maxDetailExchanges {
			bad[r.Evidence(c)] = true
		}
	}
	s.Checks, s.MoreChecks = keepImportant(r.Checks, maxDetailChecks, func(i int) bool { return r.Checks[i].Verdict != probe.Pass })
	s.Exchanges, s.MoreExchanges = keepImportant(r.Exchanges, maxDetailExchanges, func(i int) bool { return bad[i] || r.Exchanges[i].Broken() })
	return s
}

// keepImportant copies at most limit elements in their order, those that matter first. It returns how many it left out.
func keepImportant[T any](all []T, limit int, matters func(int) bool) (kept []T, left int) {
	if len(all) == 0 {
		return nil, 0
	}
	keep := make([]bool, len(all))
	room := min(limit, len(all))
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
