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
	seen := func(name, trace string) Check { return Check{Name: name, Reason: Credential, TraceID: trace} }
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
		{"some for what another shows", []Check{seen("control", "a"), seen("isolated", "a"), seen("oracle", "a"), seen("isolated", "a")}, 1, []string{"isolated", "oracle"}},
		{"one for what another shows", []Check{seen("control", "a"), seen("isolated", "a")}, 2, nil},
		{"two controls", []Check{seen("control", "a"), seen("isolated", "a"), seen("control", "b"), seen("oracle", "b")}, 2, []string{"isolated", "oracle"}},
		{"each for what it saw itself", []Check{seen("control", "a"), seen("isolated", "b"), seen("oracle", "c")}, 3, nil},
		{"those who saw nothing", []Check{seen("control", ""), seen("isolated", ""), seen("oracle", "")}, 3, nil},
		{"failures that one exchange shows", []Check{{Name: "live", Verdict: Fail, TraceID: "a"}, {Name: "split", Verdict: Fail, TraceID: "a"}, {Name: "serving", Verdict: Fail, TraceID: "a"}}, 3, nil},
		{"a control that failed itself", []Check{down, {Name: "control", Verdict: Fail, Reason: ControlFailed}}, 2, nil},
	} {
		told, followed := RootCauses(c.doubted)
		if len(told) != c.told || !slices.Equal(followed, c.followed) {
			t.Errorf("%s: got %v and %v, want %d and %v", c.name, told, followed, c.told, c.followed)
		}
	}
}
