package alerts

import (
	"slices"

	"prober/internal/probe"
)

// Series that only some kinds export. A probe has the alerts on a series if its kind declares it.
const (
	healthState   = "probe_health_state"
	breaches      = "probe_isolation_breach_total"
	lastProven    = "probe_isolation_last_proven_timestamp_seconds"
	telemetryZero = "probe_contract_zero"
	authCase      = "probe_auth_case"
	authOutcome   = "probe_protected_outcome"
	tokenExpiry   = "probe_stored_token_expiry_timestamp_seconds" // of tokens stored for callers; that of "expired" is in the past on purpose

	sqlValue        = "probe_sql_value"
	sqlHeartbeat    = "probe_sql_heartbeat_age_seconds"
	sqlInRecovery   = "probe_sql_in_recovery"
	deployNearOnset = "probe_deploy_near_onset_seconds"
	lastKnownGood   = "probe_last_known_good_info"

	rlsRelations = "probe_rls_relations"

	unverifiedRatio = "probe_webhook_unverified_ratio"
)

// Series of particular kinds that only the dashboard reads.
const (
	tlsVersion      = "probe_tls_version_info"
	guardCases      = "probe_guard_cases"
	redisLag        = "probe_redis_replication_lag_seconds"
	redisUnprefixed = "probe_redis_unprefixed_keys"
	redisFullPass   = "probe_redis_full_pass_timestamp_seconds"
	podsWanted      = "probe_pods_wanted"
	podsRestarts    = "probe_pods_restarts_total"
	deployInfo      = "probe_deploy_info"
	clockSkew       = "probe_clock_skew_seconds"
	promqlValue     = "probe_promql_value"
)

// KindSeries lists the series of particular kinds that rules and panels read. A series that no kind declares would be an
// alert or a panel that never exists, so a test wants each to be declared.
func KindSeries() []string {
	return []string{healthState, breaches, lastProven, telemetryZero, authCase, authOutcome, tokenExpiry, sqlValue, sqlHeartbeat, sqlInRecovery, rlsRelations, deployNearOnset, lastKnownGood, unverifiedRatio,
		tlsVersion, guardCases, redisLag, redisUnprefixed, redisFullPass, podsWanted, podsRestarts, deployInfo, clockSkew, promqlValue}
}

// exports reports whether the kind of a probe declares a series.
//
//go:noinline
func (o Options) exports(j probe.Job, series string) bool {
	return slices.ContainsFunc(o.Kinds[j.Type].Measures, func(m *probe.Measure) bool { return m.Name == series })
}

// lists reports whether a probe has a series from its start, if it says which ones it has. One whose kind proves isolation may
// prove nothing itself.
func lists(j probe.Job, series string) bool {
	p, ok := j.Probe.(probe.Initializer)
	return !ok || slices.ContainsFunc(p.InitialSamples(), func(s probe.Sample) bool { return s.Name == series })
}

// anyExports reports whether the kind of one of the probes declares a series.
func (o Options) anyExports(jobs []probe.Job, series string) bool {
	return slices.ContainsFunc(jobs, func(j probe.Job) bool { return o.exports(j, series) })
}

// checkPrivateKey is the check that no key set publishes private or symmetric key material.
const checkPrivateKey = "private"

// provesDenial reports whether a pass of the probe proves that a caller was denied. An inconclusive verdict of such a
// probe is worse than that of one which asks whether a page is up.
func (o Options) provesDenial(j probe.Job) bool {
	return o.Kinds[j.Type].Traits.ProvesDenial || expectsDenial(j)
}

// expectsDenial reports whether the one status of a probe is expected to be a denial, with a control that proves that
// others are not denied.
func expectsDenial(j probe.Job) bool {
	p, ok := j.Probe.(probe.StatusProvoker)
	if !ok || !has(j, "status") || !has(j, "control") {
		return false
	}
	for _, codes := range p.ExpectedStatuses() {
		if slices.Contains(codes, 401) || slices.Contains(codes, 403) {
			return true
		}
	}
	return false
}

// has reports whether the probe has the check.
func has(j probe.Job, check string) bool { return slices.Contains(j.Probe.Checks(), check) }
