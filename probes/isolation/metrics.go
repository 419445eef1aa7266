package isolation

import (
	"slices"
	"time"

	"prober/internal/probe"
	"prober/probes/internal/breach"
)

// Measures of the kind.
var (
	breaches, lastProven = breach.Total, breach.LastProven

	cleanUpFailures = &probe.Measure{
		Name:    "probe_isolation_cleanup_failures_total",
		Help:    "Failed attempts to delete a canary.",
		Counter: true,
	}
	orphanedCanaries = &probe.Measure{
		Name: "probe_isolation_orphaned_canaries",
		Help: "Canaries of this prober that the last run found or left undeleted.",
	}
	matrixRows = &probe.Measure{
		Name:   "probe_isolation_matrix_rows",
		Help:   "Rows of the matrix, out of 14, that the last run tested, and that it skipped because an operation or a response is missing.",
		Labels: []string{"state"},
	}
	requestCount = &probe.Measure{
		Name: "probe_isolation_requests",
		Help: "Requests of the last run, clean-up included.",
	}
	leakRateBound = &probe.Measure{
		Name: "probe_isolation_leak_rate_bound_ratio",
		Help: "Upper bound, with 95 % confidence, of the share of responses that are mixed up on shared connections: 3/n after n clean ones.",
	}
	oracleDifference = &probe.Measure{
		Name:   "probe_isolation_oracle_difference_seconds",
		Help:   "Median extra latency of denials for another org's object compared with a nonexistent id, over the pairs of orgs in the last run. One run proves nothing.",
		Labels: []string{"surface"},
	}
)

// exportMeasures notes the measures of the run as a whole.
func (r *run) exportMeasures() {
	r.mu.Lock()
	defer r.mu.Unlock()
	tested := 0
	for _, row := range r.rows {
		if row {
			tested++
		}
	}
	r.result.Measure(matrixRows, float64(tested), "tested")
	r.result.Measure(matrixRows, float64(matrixSize-tested), "skipped")
	r.result.Measure(requestCount, float64(r.requests))
	r.result.Measure(orphanedCanaries, float64(r.orphanCount))
	r.result.Measure(cleanUpFailures, float64(r.cleanUpFailures))
	for surface, delays := range r.denialDelays {
		slices.Sort(delays)
		median := (delays[(len(delays)-1)/2] + delays[len(delays)/2]) / 2
		r.result.Measure(oracleDifference, median.Seconds(), surface)
	}
	if r.ownResponses > 0 {
		r.result.Measure(leakRateBound, min(1, 3/float64(r.ownResponses)))
	}
}

// countBreach counts a breach of a surface, or notes the time if all of its assertions hold.
func countBreach(result *probe.Result, surface string, verdicts []verdict) {
	proven := true
	for _, v := range verdicts {
		if v.rule > 0 && v.rule.breach() {
			result.Measure(breaches, 1, surface)
			return
		}
		proven = proven && v.rule == 0
	}
	if proven {
		result.Measure(lastProven, float64(time.Now().Unix()), surface)
	}
}
