package probe

import (
	"strings"
	"testing"
	"time"
)

// TestObjective: of which probes and objectives an alert can be made, and of which chance would decide.
func TestObjective(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	if !(Objective{}).IsZero() || (Objective{Percent: 99}).IsZero() {
		t.Error("the zero objective is one, or another is none")
	}
	every := func(all ...time.Duration) []time.Duration { return all }
	for name, c := range map[string]struct {
		percent   float64
		window    time.Duration
		intervals []time.Duration
		want      string // the long windows, or what is wrong
	}{
		"often":                         {99.9, 30 * day, every(30 * time.Second), "1h0m0s 6h0m0s 24h0m0s 72h0m0s"},
		"just often enough for all":     {99.9, 30 * day, every(100 * time.Second), "1h0m0s 6h0m0s 24h0m0s 72h0m0s"},
		"too seldom for the shortest":   {99.9, 30 * day, every(101 * time.Second), "6h0m0s 24h0m0s 72h0m0s"},
		"several probes count together": {99.9, 30 * day, every(200*time.Second, 200*time.Second), "1h0m0s 6h0m0s 24h0m0s 72h0m0s"},
		"seldom":                        {95, 30 * day, every(time.Hour), "72h0m0s"},
		"too seldom for any":            {95, 30 * day, every(3 * time.Hour), "the probes run too seldom, or the objective of 95% is too low, for an alert on its budget"},
		// 14.4 times the budget of 7 % are more than all runs.
		"no run could be so bad":   {93, 30 * day, every(30 * time.Second), "6h0m0s 24h0m0s 72h0m0s"},
		"all runs would be needed": {50, 30 * day, every(30 * time.Second), "72h0m0s"},
		"a window of a week":       {99, 7 * day, every(5 * time.Second), "1h0m0s 6h0m0s"},
		"a window of ten days":     {99, 10 * day, every(5 * time.Second), "1h0m0s 6h0m0s 24h0m0s"},
		"all that run would do":    {50, 10 * day, every(5 * time.Second), "24h0m0s"},
		"a window of a day":        {99, day, every(5 * time.Second), "the probes run too seldom, or the objective of 99% is too low, for an alert on its budget"},
		"chance would decide":      {99.9, 30 * day, every(5 * time.Minute), "99.9% of the 8640 runs in 30d allows 8.6 failures, expected at least 10: a single one would decide; probe more often, or lower the objective"},
		"ten failures exactly":     {50, 10 * day, every(12 * time.Hour), "the probes run too seldom, or the objective of 50% is too low, for an alert on its budget"},
		"just ten failures":        {99, 30 * day, every(43 * time.Minute), "72h0m0s"},
	} {
		o, got := Objective{Percent: c.percent, Window: c.window}, ""
		if err := o.Check(c.intervals); err != nil {
			got = err.Error()
		} else {
			var long []string
			for _, w := range o.BurnWindows(c.intervals) {
				long = append(long, w.Long.String())
				if w.Page != (w.Long < day) || w.Rate < 1 {
					t.Errorf("%s: %+v", name, w)
				}
			}
			got = strings.Join(long, " ")
		}
		if got != c.want {
			t.Errorf("%s:\n got  %s\n want %s", name, got, c.want)
		}
	}
}
