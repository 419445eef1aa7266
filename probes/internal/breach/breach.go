// Package breach holds the measures and reasons of kinds that prove that tenants are kept apart. Alerts, dashboard and note
// read them, whatever the kind.
package breach

import "prober/internal/probe"

// Measures by surface: the part of a system that was asked.
var (
	// Total counts the runs that found a breach.
	Total = &probe.Measure{
		Name:    "probe_isolation_breach_total",
		Help:    "Runs that found that an org was shown, or changed, another's data, by surface.",
		Labels:  []string{"surface"},
		Counter: true,
	}
	// LastProven is the time of the last run in which everything held.
	LastProven = &probe.Measure{
		Name:   "probe_isolation_last_proven_timestamp_seconds",
		Help:   "When the surface was last proven to keep orgs apart; 0 before the first time.",
		Labels: []string{"surface"},
		Kept:   true,
	}
)

// Reasons that more than one kind gives.
var (
	LeakList = probe.Reason{Word: "leak_list", Verdict: probe.Fail, Text: "another org's data in a list or a count", Breach: true,
		Action: "Treat it as a security incident: one org sees another's data in a list or count; close the route or roll back, and keep the trace id."}
	ForeignWrite = probe.Reason{Word: "foreign_write", Verdict: probe.Fail, Text: "another org's data was changed", Breach: true,
		Action: "Treat it as a security incident: one org can change another's data; close the route or roll back, and keep the trace id."}
	ForeignDelete = probe.Reason{Word: "foreign_delete", Verdict: probe.Fail, Text: "another org's data was deleted", Breach: true,
		Action: "Treat it as a security incident: one org can delete another's data; close the route or roll back, and keep the trace id."}
)

// Initial returns the series of a surface as they are before the first run.
func Initial(surface string) []probe.Sample {
	return []probe.Sample{{Measure: Total, Values: []string{surface}}, {Measure: LastProven, Values: []string{surface}}}
}
