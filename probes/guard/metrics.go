package guard

import "prober/internal/probe"

// Reasons of the kind beside that of a breach.
var (
	unscopedAccepted = probe.Reason{Word: "unscoped_accepted", Verdict: probe.Fail, Text: "a query of all orgs was accepted",
		Action: "Treat it as a security incident: the guard lets a query of all orgs through; roll the guard back, or close the API."}
	rejectedByOther = probe.Reason{Word: "rejected_by_other", Verdict: probe.Inconclusive, Text: "rejected, and not by the guard",
		Action: "Read the detail: something else than the guard refused the query, so the guard was not tested; correct the settings of the probe."}
	notAllAsked = probe.Reason{Word: "not_all_asked", Verdict: probe.Inconclusive, Text: "not every query has had its turn",
		Action: "Wait: the queries take turns, and not all of them have been asked since the start."}
)

// An outcome is what became of a case.
type outcome int

// The outcomes, the worst last.
const (
	rejected     outcome = iota
	notAsked             // its turn is still to come
	inconclusive         // sent, and without an answer that says anything
	accepted
	foreignRows
)

var outcomes = [...]string{"rejected", "not_asked", "inconclusive", "accepted", "foreign_rows"}

func (o outcome) String() string { return outcomes[o] }

// Measures of the kind.
var (
	caseCount = &probe.Measure{
		Name:   "probe_guard_cases",
		Help:   "Cases by what became of them when they were asked last: rejected by the guard, accepted, accepted or rejected with rows of another org, inconclusive, or not asked yet.",
		Labels: []string{"outcome"},
	}
	caseGauge = &probe.Measure{
		Name:   "probe_guard_case",
		Help:   "1 for each case that was asked and not rejected by the guard the last time, by what became of it.",
		Labels: []string{"case", "outcome"},
	}
	fullPass = &probe.Measure{
		Name: "probe_guard_full_pass_timestamp_seconds",
		Help: "When every case had been asked since the full pass before; 0 before the first.",
		Kept: true,
	}
	requestCount = &probe.Measure{
		Name: "probe_guard_requests",
		Help: "Requests of the last run, controls included.",
	}
)
