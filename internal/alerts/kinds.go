package alerts

import (
	"slices"

	"prober/internal/probe"
)

// The kinds of probe that the rules know more of than that they pass or fail. A kind that is not named here gets the
// alerts that every probe gets.
const (
	kindHTTP      = "http"
	kindHealth    = "health"
	kindIsolation = "isolation"
	kindJWKS      = "jwks"
	kindProtected = "protected"
	kindToken     = "token"
)

// Reads lists the series that the rules for a kind read beyond those that every probe has: the kind must declare them.
// This is all that the rules and the kinds have to agree on, and a test holds it against what is exported.
func Reads(kind string) []string {
	switch kind {
	case kindHealth:
		return []string{"probe_health_state"}
	case kindIsolation:
		return []string{"probe_isolation_breach_total", "probe_isolation_last_proven_timestamp_seconds"}
	case kindProtected:
		return []string{"probe_auth_case", "probe_protected_outcome", fixture}
	}
	return nil
}

// fixture is when a token that was made beforehand expires. That of the caller "expired" has, and shall have.
const fixture = "probe_fixture_expiry_timestamp_seconds"

// checkPrivate is the check of the kind jwks that no key set holds private or symmetric material.
const checkPrivate = "private"

// provesDenial reports whether a pass of the probe means that somebody was refused. Not to know that is worse than not
// to know whether a page is up.
func provesDenial(j probe.Job) bool {
	return j.Type == kindIsolation || j.Type == kindProtected || denies(j)
}

// timed reports whether the latency of a probe of the kind is that of HTTP answers, of which the playbook says how fast
// they have to be.
func timed(kind string) bool {
	switch kind {
	case kindHTTP, kindHealth, kindJWKS, kindProtected, kindToken:
		return true
	}
	return false
}

// denies reports whether an HTTP probe asks as somebody who is to be refused, and has a control that shows that others
// are not.
func denies(j probe.Job) bool {
	p, ok := j.Probe.(probe.StatusProvoker)
	if j.Type != kindHTTP || !ok || !has(j, "control") {
		return false
	}
	for _, codes := range p.ExpectedStatuses() {
		if slices.Contains(codes, 401) || slices.Contains(codes, 403) {
			return true
		}
	}
	return false
}

// has reports whether the probe can note the check.
func has(j probe.Job, check string) bool { return slices.Contains(j.Probe.Checks(), check) }
