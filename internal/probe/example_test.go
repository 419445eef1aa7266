package probe_test

import (
	"context"
	"fmt"
	"time"

	"prober/internal/probe"
)

// answer is a probe that compares a number with the one that it expects.
type answer struct {
	Want int `yaml:"want" doc:"the number to expect"`

	ask func() int
}

func (a *answer) Validate() error {
	if a.Want == 0 {
		return fmt.Errorf("want is missing")
	}
	return nil
}

func (a *answer) Checks() []string { return []string{"number"} }

func (a *answer) Ask(_ context.Context, r *probe.Result) {
	if got := a.ask(); got != a.Want {
		r.Fail("number", probe.Body, "expected %d, got %d", a.Want, got)
		return
	}
	r.Pass("number", "got %d", a.Want)
}

// A run always ends with a verdict. A probe that panics has proven nothing, so the run is inconclusive.
func ExampleJob_Do() {
	for _, ask := range []func() int{
		func() int { return 42 },
		func() int { return 41 },
		func() int { panic("a bug") },
	} {
		job := probe.Job{
			ID:      probe.ID{System: "example", Name: "answer", Type: "answer"},
			Probe:   &answer{Want: 42, ask: ask},
			Timeout: time.Second,
		}
		result := job.Do(context.Background())
		check := result.Checks[0]
		fmt.Println(result.Verdict(), check.Name, check.Reason)
	}
	// Output:
	// pass number ok
	// fail number body
	// inconclusive run panic
}
