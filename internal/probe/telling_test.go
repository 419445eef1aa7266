package probe

import (
	"slices"
	"testing"
)

// TestWhatFollowsFromAFailureIsNamedAndNotTold shows when checks without their control are worth a sentence.
func TestWhatFollowsFromAFailureIsNamedAndNotTold(t *testing.T) {
	down := Check{Name: "valid", Verdict: Fail, Reason: Refused}
	lacking := func(name string) Check { return Check{Name: name, Reason: ControlFailed} }
	expired := Check{Name: "expired", Reason: Credential}
	for _, c := range []struct {
		name     string
		doubted  []Check
		told     int
		followed []string
	}{
		{"nothing", nil, 0, nil},
		{"a failure alone", []Check{down}, 1, nil},
		{"one that follows", []Check{down, lacking("nobody")}, 2, nil},
		{"several that follow", []Check{down, lacking("nobody"), lacking("garbage"), lacking("nobody")}, 1, []string{"nobody", "garbage"}},
		{"one has a reason of its own", []Check{down, expired, lacking("nobody"), lacking("garbage")}, 2, []string{"nobody", "garbage"}},
		{"nothing failed, so nothing else is told", []Check{lacking("nobody"), lacking("garbage")}, 2, nil},
		{"a control that failed itself", []Check{down, {Name: "control", Verdict: Fail, Reason: ControlFailed}}, 2, nil},
	} {
		told, followed := Telling(c.doubted)
		if len(told) != c.told || !slices.Equal(followed, c.followed) {
			t.Errorf("%s: got %v and %v, want %d and %v", c.name, told, followed, c.told, c.followed)
		}
	}
}
