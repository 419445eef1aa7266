package sandbox

import (
	"fmt"
	"slices"
	"time"
)

// A Fault is one thing that can be injected: what it breaks, and which line of a runbook it imitates.
type Fault struct {
	Name    string
	Summary string
	Signal  string // the line of a runbook, or of the prober's own rules, that a probe must detect it by

	effects []*effect
}

// Harmless reports whether the system is still correct while the fault is active. Such a fault is there to find false
// alarms.
func (f Fault) Harmless() bool {
	return !slices.ContainsFunc(f.effects, func(e *effect) bool { return !e.harmless })
}

// prepare does the slow work of the effects before the fault is active.
func (f Fault) prepare(s *Sandbox) error {
	for _, e := range f.effects {
		if e.prepare == nil {
			continue
		}
		if err := e.prepare(s); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return nil
}

// faults is the table of all faults. Each call returns a new one.
func faults() []Fault {
	return slices.Concat(proxyFaults(), apiFaults(), webhookFaults(), platformFaults(), githubFaults(), keyFaults(), routeFaults(), forgeryFaults(), tokenFaults(), timeFaults(), tenantFaults(), answerFaults(), databaseFaults(), telemetryFaults(), rowSecurityFaults(), poolOfDatabaseFaults(), analyticsFaults(), witnessFaults(), redisFaults(), mailFaults(), webFaults(), dnsFaults(), liveFaults(), ledgerFaults(), podFaults(), kubeFaults(), jobFaults())
}

// Routes that several tables use.
const (
	healthRoute = "GET /health"
	otherRoutes = "/"
	everyRoute  = ""
	keySetRoute = "GET /.well-known/jwks.json"
)

// proxyFaults break the proxy and its dependency.
func proxyFaults() []Fault {
	proxies := []string{proxy1, proxy2, proxy3}
	const ready = "GET /ready"
	const (
		processUp = `ibex_process_up{service="proxy"} == 0 for 1 minute`
		replicas  = "/health returns 200 on N replicas"
		split     = "If auth is down: proxy should stay live (/health 200) but not ready (/ready 503)"
		coupled   = "do not point liveness at /ready"
		isReady   = "/ready returns 200"
	)
	return []Fault{
		// Liveness, and pages that something in front of the proxy answers with.
		{"proxy-down", "all three replicas of the proxy refuse connections", processUp,
			[]*effect{refuseConnections(proxies...)}},
		{"proxy-catch-all", "the proxy answers every path like /health, so that /health proves nothing", processUp,
			[]*effect{on(proxies, everyRoute, sameAs(healthRoute))}},
		{"proxy-health-html", "/health of the proxy is the default page of an ingress: 200 and HTML", processUp,
			[]*effect{on(proxies, healthRoute, respondPage(200, welcomePage))}},
		{"health-redirect", "/health of the proxy redirects to a login page, which answers 200", processUp,
			[]*effect{on(proxies, healthRoute, redirect("/login")), on(proxies, otherRoutes, onlyPath("/login", respondPage(200, loginPage)))}},
		{"health-unauthorized", "/health of the proxy requires a login: 401", processUp,
			[]*effect{on(proxies, healthRoute, respondJSON(401, object{"error": "unauthorized"}))}},
		{"health-cached", "/health of the proxy comes from a cache and is a minute old", processUp,
			[]*effect{on(proxies, healthRoute, addHeaders("Age", "60"))}},
		{"health-hangs", "/health of the proxy accepts the connection and never answers", processUp,
			[]*effect{on(proxies, healthRoute, hang)}},
		{"health-slow", "/health of the proxy gives the right answer after 2.5 s", processUp,
			[]*effect{on(proxies, healthRoute, delay)}},

		{"health-says-down", "/health of the proxy answers 200 and says that it is down", processUp,
			[]*effect{on(proxies, healthRoute, setField("status", "down"))}},
		{"unknown-paths-page", "paths that the proxy does not have are answered with the page of an app: 200 and HTML", processUp,
			[]*effect{harmless(on(proxies, otherRoutes, respondPage(200, appPage)))}},

		// Replicas.
		{"replica-down", "the second of three replicas of the proxy refuses connections", replicas,
			[]*effect{refuseConnections(proxy2)}},
		{"replicas-same-instance", "all three addresses of the proxy reach the same replica", replicas,
			[]*effect{on(proxies, everyRoute, asHost(proxy1))}},

		// Readiness and its dependency.
		{"auth-down", "auth refuses connections; the proxy is live and not ready, as it should be", split,
			[]*effect{refuseConnections(auth)}},
		{"auth-unhealthy", "auth answers 503 at /health; the proxy is live and not ready, as it should be", split,
			[]*effect{on([]string{auth}, healthRoute, respondJSON(503, object{"status": "unhealthy", "service": "auth"}))}},
		{"liveness-coupled", "auth refuses connections and the proxy's liveness depends on it: /health answers 503 too", coupled,
			[]*effect{refuseConnections(auth), on(proxies, healthRoute, sameAs(ready))}},
		{"ready-despite-auth-down", "auth refuses connections and the proxy still reports that it is ready", split,
			[]*effect{refuseConnections(auth), on(proxies, ready, respondJSON(200, object{"status": "ready"}))}},
		{"auth-says-down", "auth answers 200 at /health and says that it is down, which the proxy does not read", split,
			[]*effect{on([]string{auth}, healthRoute, setField("status", "down"))}},
		{"ready-says-not-ready", "/ready of the proxy answers 200 and says that it is not ready", isReady,
			[]*effect{on(proxies, ready, setField("status", "not_ready"))}},
		{"not-ready", "the proxy is not ready although auth is up: it is draining", isReady,
			[]*effect{on(proxies, ready, respondJSON(503, object{"status": "not_ready", "reason": "draining"}))}},
		{"ready-error", "/ready of the proxy answers 500", isReady,
			[]*effect{on(proxies, ready, respondJSON(500, object{"error": "internal"}))}},
		{"ready-ingress-503", "/ready of the proxy is answered by the ingress, which has no endpoints: 503 and HTML", isReady,
			[]*effect{on(proxies, ready, respondPage(503, unavailablePage))}},
		{"ready-not-live", "the proxy is ready and not live: /health 500, /ready 200", coupled,
			[]*effect{on(proxies, healthRoute, respondJSON(500, object{"error": "internal"}))}},
	}
}

// apiFaults break the login provider's API.
func apiFaults() []Fault {
	api := []string{onepass}
	const (
		up        = "GET /up"
		discovery = "GET /.well-known/openid-configuration"
		me        = "GET /api/v1/me"
		dead      = "GET /api/v1/admin/webhook_outbox"
	)
	const (
		isUp        = "api.1pass.dev/up returns 5xx/404"
		unreachable = "curl -i https://api.1pass.dev/up"
		some5xx     = "Some endpoints 5xx"
		latency     = "p95 latency sustained > 2s"
		adminAPI    = "GET /api/v1/admin/webhook_outbox?status=dead (requires an admin token)"
	)
	return []Fault{
		// The health page.
		{"up-500", "/up answers 500", isUp, []*effect{on(api, up, respondJSON(500, object{"error": "internal"}))}},
		{"up-502", "/up answers 502, from the gateway in front of it", isUp, []*effect{on(api, up, respondPage(502, badGatewayPage))}},
		{"up-404", "/up answers 404", isUp, []*effect{on(api, up, sameAs(otherRoutes))}},
		{"up-refused", "the whole API refuses connections", unreachable, []*effect{refuseConnections(onepass)}},
		{"up-hangs", "/up accepts the connection and never answers", unreachable, []*effect{on(api, up, hang)}},
		{"up-redirect", "/up redirects to a maintenance page, which answers 200", isUp,
			[]*effect{on(api, up, redirect("/maintenance")), on(api, otherRoutes, onlyPath("/maintenance", respondPage(200, upPage)))}},
		{"up-cached", "/up comes from a cache at the edge", isUp,
			[]*effect{on(api, up, addHeaders("Age", "60", "X-Cache", "HIT"))}},
		{"up-catch-all", "every unknown path answers like /up, so that /up proves nothing", isUp,
			[]*effect{on(api, otherRoutes, sameAs(up))}},
		{"up-wrong-page", "/up answers 200 with the default page of a web server", isUp,
			[]*effect{on(api, up, respondPage(200, welcomePage))}},
		{"up-login", "/up requires a login: 401", isUp, []*effect{on(api, up, respondPage(401, loginPage))}},
		{"up-rate-limited", "/up limits the rate of requests: 429", isUp, []*effect{
			on(api, up, respondJSON(429, object{"error": "rate_limited"})), on(api, up, addHeaders("Retry-After", "30"))}},
		{"up-truncated", "/up ends before the announced length", unreachable, []*effect{on(api, up, truncate)}},
		{"up-too-large", "/up answers with an endless page", unreachable, []*effect{on(api, up, endlessBody)}},
		{"up-not-http", "/up answers in a protocol other than HTTP", unreachable, []*effect{on(api, up, notHTTP)}},

		// The other endpoints.
		{"keys-slow", "/.well-known/jwks.json gives the right answer after 2.5 s", latency, []*effect{on(api, keySetRoute, delay)}},
		{"endpoint-500", "the discovery document answers 500 while /up is fine", some5xx,
			[]*effect{on(api, discovery, respondJSON(500, object{"error": "internal"}))}},
		{"me-500", "/api/v1/me answers 500 while /up is fine", some5xx,
			[]*effect{on(api, me, respondJSON(500, object{"error": "internal"}))}},
		{"api-slow", "/api/v1/me gives the right answer after 2.5 s", latency, []*effect{on(api, me, delay)}},
		{"outbox-open", "the admin API answers without a token", adminAPI, []*effect{on(api, dead, asAdmin)}},
		{"outbox-any-token", "the admin API accepts any token", adminAPI, []*effect{on(api, dead, onlyWithToken(asAdmin))}},
		{"outbox-blocked", "the admin API refuses the admin token: 403", adminAPI, []*effect{on(api, dead, onlyWithToken(respondJSON(403, object{"error": "forbidden"})))}},
		{"outbox-schema", "the admin API no longer reports how many webhooks are dead", adminAPI,
			[]*effect{on(api, dead, removeField("total"))}},
	}
}

// platformFaults break the platform that runs the API.
func platformFaults() []Fault {
	platform := []string{render}
	const (
		service = "GET /v1/services/{id}"
		history = "GET /v1/services/{id}/deploys"
	)
	const (
		suspension  = "Render service status: .serviceDetails.suspended, .status"
		lastDeploys = "last 5 deploys: .[].deploy | {id, status, commit: .commit.id, createdAt}"
	)
	return []Fault{
		{"render-suspended", "the service is suspended", suspension,
			[]*effect{on(platform, service, setField("suspended", "suspended"))}},
		{"render-crash-looping", "the platform has suspended the service: it crashes whenever it is started", suspension,
			[]*effect{
				on(platform, service, setField("suspended", "suspended")), on(platform, service, setField("suspenders", []string{"stuck_crashlooping"}))}},
		{"render-rate-limited", "the platform's API limits the rate of requests: 429", suspension, []*effect{
			on(platform, everyRoute, respondJSON(429, object{"message": "rate limit exceeded"})), on(platform, everyRoute, addHeaders("Retry-After", "30"))}},
		{"render-schema", "the platform's API no longer reports whether the service is suspended", suspension,
			[]*effect{on(platform, service, removeField("suspended"))}},
		{"render-key-refused", "the platform's API refuses our key: 401", suspension,
			[]*effect{on(platform, everyRoute, respondJSON(401, object{"message": "Unauthorized"}))}},
		{"deploy-failed", "the latest deploy failed: update_failed", lastDeploys,
			[]*effect{on(platform, history, editJSON(latestFailed))}},
		{"deploy-stuck", "the latest deploy has been in progress for an hour", lastDeploys,
			[]*effect{on(platform, history, editJSON(latestInProgress(time.Hour)))}},
		{"deploy-in-progress", "the latest deploy began a minute ago, and the one before serves", lastDeploys,
			[]*effect{harmless(on(platform, history, editJSON(latestInProgress(time.Minute))))}},
		{"deploy-not-running", "the latest deploy is live, and the one before it still answers", lastDeploys,
			[]*effect{on(platform, history, editJSON(latestNotRunning))}},
		{"deploys-empty", "the platform's API reports no deploys: []", lastDeploys,
			[]*effect{on(platform, history, editJSON(func(any) any { return []any{} }))}},
	}
}

// latestFailed adds a failed deploy as the newest one.
func latestFailed(deploys any) any {
	before := deploys.([]any)
	failed := object{"id": "dep-demo-8", "status": "update_failed"}
	for _, same := range []string{"commit", "createdAt"} {
		failed[same] = before[0].(object)["deploy"].(object)[same]
	}
	return append([]any{object{"cursor": "latest", "deploy": failed}}, before[:len(before)-1]...)
}

// latestInProgress adds a deploy that has been in progress for so long as the newest one.
//
//go:noinline
func latestInProgress(age time.Duration) func(deploys any) any {
	return func(deploys any) any {
		at := time.Now().Add(-age).UTC().Format(time.RFC3339)
		going := object{"id": "dep-demo-8", "status": "update_in_progress", "createdAt": at, "startedAt": at, "image": object{"ref": image("1.5.0")}}
		before := deploys.([]any)
		return append([]any{object{"cursor": "latest", "deploy": going}}, before[:len(before)-1]...)
	}
}

// latestNotRunning makes the live deploy one of a version that the service does not run.
func latestNotRunning(deploys any) any {
	latest := deploys.([]any)[0].(object)["deploy"].(object)
	latest["image"] = object{"ref": image("1.5.0")}
	return deploys
}

// Pages that do not come from the services themselves.
const (
	welcomePage     = "<!DOCTYPE html><html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1></body></html>\n"
	appPage         = "<!DOCTYPE html><html><head><title>Shop</title></head><body><div id=\"root\"></div></body></html>\n"
	loginPage       = "<!DOCTYPE html><html><head><title>Log in</title></head><body><h1>Log in</h1></body></html>\n"
	unavailablePage = "<html><head><title>503 Service Temporarily Unavailable</title></head><body><h1>503 Service Temporarily Unavailable</h1></body></html>\n"
	badGatewayPage  = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"
)
