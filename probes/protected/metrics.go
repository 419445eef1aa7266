package protected

import (
	"prober/internal/probe"
)

// Reasons of the kind.
var (
	reasonMissing = probe.Reason{Word: "route_missing", Verdict: probe.Fail, Text: "the route does not exist",
		Action: "Check the path and the latest deploy: the protected route is gone, or moved."}
	reasonImplemented = probe.Reason{Word: "route_implemented", Verdict: probe.Fail, Text: "the route now does something else",
		Action: "Change the status that the probe expects of the valid caller: the route now does something."}
	reasonCatchAll = probe.Reason{Word: "catch_all", Verdict: probe.Fail, Text: "every path returns 501",
		Action: "Find what answers for every path, such as a gateway: the route behind it is not reached."}
	reasonUpstream = probe.Reason{Word: "upstream_error", Verdict: probe.Fail, Text: "server error",
		Action: "Read the service's log by the trace id: it failed before it decided on the token."}
	reasonWrongCode = probe.Reason{Word: "wrong_code", Verdict: probe.Fail, Text: "rejected with another code",
		Action: "Check which rule rejects the caller: the right one may be switched off and another one hide that."}
)

// Outcomes of a run at a replica: it passed, one of the reasons, or inconclusive.
var (
	outcomePassed       = "auth_passed"
	outcomeBypass       = probe.AuthBypass.Word
	outcomeRejected     = probe.ValidRejected.Word
	outcomeMissing      = reasonMissing.Word
	outcomeImplemented  = reasonImplemented.Word
	outcomeCatchAll     = reasonCatchAll.Word
	outcomeUpstream     = reasonUpstream.Word
	outcomeInconclusive = "inconclusive"
)

var outcomes = []string{
	outcomePassed, outcomeBypass, outcomeRejected, outcomeMissing, outcomeImplemented, outcomeCatchAll, outcomeUpstream, outcomeInconclusive,
}

// A caseOutcome is what became of one caller or forged token.
type caseOutcome int

// Outcomes of a case, the worst last.
const (
	caseAsExpected caseOutcome = iota
	caseError                  // not asked, or inconclusive
	caseWrongCode
	caseRejected
	caseAccepted
)

var caseOutcomes = [...]string{"as_expected", "error", "wrong_code", "rejected", "accepted"}

// Measures of the protected kind.
var (
	outcomeGauge = &probe.Measure{
		Name:   "probe_protected_outcome",
		Help:   "1 for the outcome of the last run at a replica, 0 for the others.",
		Labels: []string{"target", "outcome"},
	}
	caseGauge = &probe.Measure{
		Name:   "probe_auth_case",
		Help:   "1 for the worst result of a caller or a forged token at any replica in the last run, 0 for the others.",
		Labels: []string{"caller", "outcome"},
	}
)
