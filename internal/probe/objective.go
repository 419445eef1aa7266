package probe

import (
	"fmt"
	"time"
)

// An Objective is a service level objective: which part of the runs within a window must pass. The zero value is none.
type Objective struct {
	Percent float64       // of the conclusive runs
	Window  time.Duration // over which the budget lasts
}

// IsZero reports whether there is no objective.
func (o Objective) IsZero() bool { return o == Objective{} }

// Budget is the part of the runs that may fail.
func (o Objective) Budget() float64 { return 1 - o.Percent/100 }

// minBudgetRuns is how many failed runs the budget of a window must have: with fewer, a single failure takes so much of it that
// chance decides about the objective.
const minBudgetRuns = 10

// Check reports an objective that is decided by chance if probes run at these intervals.
func (o Objective) Check(intervals []time.Duration) error {
	perWindow := 0.0
	for _, interval := range intervals {
		perWindow += o.Window.Seconds() / interval.Seconds()
	}
	if allowed := perWindow * o.Budget(); allowed < minBudgetRuns {
		return fmt.Errorf("%g%% of the %.0f runs in %s allows %.1f failures, expected at least %d: a single one would decide; probe more often, or lower the objective",
			o.Percent, perWindow, Duration(o.Window), allowed, minBudgetRuns)
	}
	if len(o.BurnWindows(intervals)) == 0 {
		return fmt.Errorf("the probes run too seldom, or the objective of %g%% is too low, for an alert on its budget", o.Percent)
	}
	return nil
}

// A BurnWindow is a pair of times over which the budget is spent too fast: the long one proves that it matters, the short one that
// it goes on.
type BurnWindow struct {
	Long, Short time.Duration
	Rate        float64 // of what the budget allows
	Page        bool    // somebody has to act at once
}

// burnWindows are those of the SRE workbook: which part of the budget is spent in the long window.
var burnWindows = []struct {
	long, short time.Duration
	part        float64
	page        bool
}{
	{time.Hour, 5 * time.Minute, 0.02, true},
	{6 * time.Hour, 30 * time.Minute, 0.05, true},
	{24 * time.Hour, 2 * time.Hour, 0.1, false},
	{72 * time.Hour, 6 * time.Hour, 0.1, false},
}

// minShortRuns is how many runs the short window of a pair must have.
const minShortRuns = 3

// BurnWindows returns the pairs that probes with these intervals can decide.
func (o Objective) BurnWindows(intervals []time.Duration) (all []BurnWindow) {
	perSecond := 0.0
	for _, interval := range intervals {
		perSecond += 1 / interval.Seconds()
	}
	for _, w := range burnWindows {
		rate := w.part * o.Window.Seconds() / w.long.Seconds()
		if rate >= 1 && rate*o.Budget() < 1 && perSecond*w.short.Seconds() >= minShortRuns {
			all = append(all, BurnWindow{w.long, w.short, rate, w.page})
		}
	}
	return all
}
