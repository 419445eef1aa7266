package probe

import "testing"

func TestRootCauses(t *testing.T) {
	down := Check{Name: "valid", Verdict: Fail, Reason: Refused}
	lacking := func(name string) Check { return Check{Name: name, Reason: ControlFailed} }
	expired := Check{Name: "expired", Reason: Credential}
	seen := func(name, trace string) Check { return Check{Name: name, Reason: Credential, TraceID: trace} }
	at := func(name, target string, v Verdict) Check {
		return Check{Name: name, Target: target, Verdict: v, Reason: ControlFailed}
	}
	for _, c := range []struct {
		name         string
		notPassed    []Check
		causes       int
		consequences string
	}{
		{"nothing", nil, 0, ""},
		{"a failure alone", []Check{down}, 1, ""},
		{"one that follows", []Check{down, lacking("nobody")}, 2, ""},
		{"several that follow", []Check{down, lacking("nobody"), lacking("garbage"), lacking("nobody")}, 1, "nobody, garbage"},
		{"one has a reason of its own", []Check{down, expired, lacking("nobody"), lacking("garbage")}, 2, "nobody, garbage"},
		{"nothing failed, so nothing else is told", []Check{lacking("nobody"), lacking("garbage")}, 2, ""},
		{"some for what another shows", []Check{seen("control", "a"), seen("isolated", "a"), seen("oracle", "a"), seen("isolated", "a")}, 1, "isolated, oracle"},
		{"one for what another shows", []Check{seen("control", "a"), seen("isolated", "a")}, 2, ""},
		{"two controls", []Check{seen("control", "a"), seen("isolated", "a"), seen("control", "b"), seen("oracle", "b")}, 2, "isolated, oracle"},
		{"each for what it saw itself", []Check{seen("control", "a"), seen("isolated", "b"), seen("oracle", "c")}, 3, ""},
		{"those who saw nothing", []Check{seen("control", ""), seen("isolated", ""), seen("oracle", "")}, 3, ""},
		{"failures that one exchange shows", []Check{{Name: "live", Verdict: Fail, TraceID: "a"}, {Name: "split", Verdict: Fail, TraceID: "a"}, {Name: "serving", Verdict: Fail, TraceID: "a"}}, 3, ""},
		{"a control that failed itself", []Check{down, {Name: "control", Verdict: Fail, Reason: ControlFailed}}, 2, ""},
		{"the same check at other targets", []Check{at("context", "a", Fail), at("context", "b", Inconclusive), lacking("oracle"), at("context", "c", Inconclusive)}, 1, "context (b, c), oracle"},
		{"the same check without a target", []Check{at("context", "a", Fail), lacking("context"), lacking("oracle")}, 1, "context, oracle"},
		{"the same check at three targets", []Check{at("context", "a", Fail), at("context", "b", Inconclusive), at("context", "c", Inconclusive), at("context", "d", Inconclusive), lacking("oracle")}, 1, "context (b, c, d), oracle"},
		{"the same check at many targets", []Check{at("context", "a", Fail), at("context", "b", Inconclusive), at("context", "c", Inconclusive), at("context", "d", Inconclusive), at("context", "e", Inconclusive), lacking("oracle")}, 1, "context (b, c, d and 1 more), oracle"},
	} {
		causes, consequences := RootCauses(c.notPassed)
		if got := DescribeConsequences(causes, consequences); len(causes) != c.causes || got != c.consequences {
			t.Errorf("%s: got %v and %q, expected %d and %q", c.name, causes, got, c.causes, c.consequences)
		}
		if consequences != nil && len(causes)+len(consequences) != len(c.notPassed) {
			t.Errorf("%s: %d causes and %d consequences of %d checks", c.name, len(causes), len(consequences), len(c.notPassed))
		}
	}
}
