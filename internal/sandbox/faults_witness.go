package sandbox

import (
	"math"
	"net/http"
	"time"
)

// witnessFaults break what the Prometheus knows of the services, or says of it.
func witnessFaults() []Fault {
	const (
		baseline   = "Error rate and ibex_proxy_request_duration_seconds p99 back to baseline"
		impossible = "Cross-tenant access in telemetry (should be impossible)"
	)
	injected := time.Now() // each injection makes a new table
	change := func(f witnessFault) []*effect { return []*effect{onWitness(f)} }
	return []Fault{
		{"errors-high", "one in ten answers of the proxy has been 500 for a quarter of an hour", baseline, traffic(rateOf(requestsTotal, "500", 0.66))},
		{"p99-high", "one in twenty answers of the proxy has taken 2 s for a quarter of an hour", baseline, traffic(slowAnswers)},
		{"traffic-gone", "nobody has called the proxy for a quarter of an hour", baseline,
			traffic(func(string, string, int, float64) float64 { return 0 })},
		{"cross-tenant-seen", "the Prometheus has seen reads of another org's data", impossible, traffic(rateOf(crossTenant, "", 0.01))},
		{"prometheus-down", "the Prometheus refuses connections", baseline, []*effect{refuseConnections(promHost)}},
		{"prometheus-login-page", "the Prometheus answers with a login page: 200 and HTML", baseline,
			[]*effect{on([]string{promHost}, queryRoute, respondPage(http.StatusOK, loginPage))}},
		{"prometheus-unavailable", "the Prometheus is not ready: 503", baseline,
			[]*effect{on([]string{promHost}, queryRoute, respondJSON(http.StatusServiceUnavailable, object{"status": "error", "errorType": "unavailable", "error": "Service Unavailable"}))}},
		{"prometheus-empty", "the Prometheus has no series of the services", baseline,
			change(func(p *witness) { p.only = func(string) bool { return false } })},
		{"prometheus-nan", "the Prometheus answers every query with NaN", baseline,
			change(func(p *witness) { p.values = func(float64) float64 { return math.NaN() } })},
		{"prometheus-partial", "the answers of the Prometheus are partial, and say so in a warning", baseline,
			change(func(p *witness) { p.warnings = []string{"some StoreAPI replicas did not respond"} })},
		{"prometheus-stale", "the Prometheus has scraped nothing for two minutes, and answers with old numbers", baseline,
			change(func(p *witness) { p.dead = injected.Add(-scrapesDead) })},
	}
}

// tokenTrafficFaults are about what customers do with tokens. No probe of the demo sees them: most of the calls with tokens are
// the prober's own, every few seconds.
func tokenTrafficFaults() []Fault {
	const (
		spike = "401 rate returns to baseline"
		cache = "Proxy auth cache hit rate stable"
	)
	return []Fault{
		{"unauthorized-high", "one in five answers of the proxy has been 401 for a quarter of an hour", spike, traffic(rateOf(requestsTotal, "401", 1.5))},
		{"cache-misses", "half of the proxy's lookups in the cache of tokens have missed for a quarter of an hour", cache, traffic(moreMisses)},
	}
}

// traffic changes how customers call since before the fault was injected.
func traffic(change trafficFault) []*effect {
	onset := time.Now().Add(-incidentLead)
	return []*effect{onWitness(func(p *witness) { p.onset, p.changes = onset, append(p.changes, change) })}
}

// rateOf sets how often customers call with one value of a family's label.
func rateOf(name, value string, calls float64) trafficFault {
	return func(family, v string, _ int, rate float64) float64 {
		if family == name && v == value {
			return calls
		}
		return rate
	}
}

// slowAnswers has one call in twenty in the bucket up to 2.5 s.
func slowAnswers(family, _ string, bucket int, rate float64) float64 {
	if family == requestDuration && bucket == 4 {
		return 0.32
	}
	return rate
}

// moreMisses has as many misses as hits.
func moreMisses(family, _ string, _ int, rate float64) float64 {
	if family == cacheLookups {
		return 3
	}
	return rate
}
