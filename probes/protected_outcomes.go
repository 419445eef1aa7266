package probes

import (
	"prober/internal/probe"
)

// Reasons and outcomes of the kind.
const (
	outcomePassed      = "auth_passed"
	outcomeBypass      = "auth_bypass"       // somebody was let in who must not be: probe.AuthBypass
	outcomeRejected    = "valid_rejected"    // 401 or 403 for the valid caller
	outcomeMissing     = "route_missing"     // 404 for the valid caller
	outcomeImplemented = "route_implemented" // the route does something else by now
	outcomeBlanket     = "blanket_501"       // any path is answered 501: by what stands in front
	outcomeUpstream    = "upstream_error"    // 5xx, or no answer
	outcomeUntold      = "inconclusive"

	reasonWrongCode probe.Reason = "wrong_code" // refused, and called something else
)

var protectedOutcomes = []string{
	outcomePassed, outcomeBypass, outcomeRejected, outcomeMissing, outcomeImplemented, outcomeBlanket, outcomeUpstream, outcomeUntold,
}

// A caseOutcome is what became of one caller or forged token.
type caseOutcome int

// Outcomes of a case, the worst last.
const (
	caseAsExpected caseOutcome = iota
	caseError                  // not asked, or no telling
	caseWrongCode
	caseRejected
	caseAccepted
)

var caseOutcomes = [...]string{"as_expected", "error", "wrong_code", "rejected", "accepted"}

// Measures of the protected kind.
var (
	protectedOutcome = &probe.Measure{
		Name:   "probe_protected_outcome",
		Help:   "1 for what the last run at a replica came to, 0 for the others.",
		Labels: []string{"target", "outcome"},
	}
	authCase = &probe.Measure{
		Name:   "probe_auth_case",
		Help:   "1 for the worst that became of a caller or a forged token at any replica in the last run, 0 for the others.",
		Labels: []string{"case", "outcome"},
	}
)
