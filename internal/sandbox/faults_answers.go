package sandbox

import (
	"encoding/json"
	"net/http"
)

// answerFaults break what every answer is checked for, whatever the kind of the probe.
func answerFaults() []Fault {
	proxies := []string{proxy1, proxy2, proxy3}
	return []Fault{
		{"secret-reflected", "whoami repeats the caller's token, as a debug page does", "P1: Tenant isolation breach, secret compromise, auth bypass",
			onRoute(identityRoute, reflectToken)},
		{"proxy-mixed-versions", "the second of three replicas of the proxy is of another version: a rollout is stuck", "Capture trace_id, deploy version, and a timeline",
			[]*effect{on([]string{proxy2}, everyRoute, addHeaders("X-Version", "1.3.9"))}},
		{"proxy-constant-trace", "the proxy answers every request with the same trace id", "Capture trace_id, deploy version, and a timeline",
			[]*effect{on(proxies, everyRoute, addHeaders("X-Trace-Id", "0af7651916cd43dd8448eb211c80319c"))}},
	}
}

// reflectToken adds the caller's token to the body.
func reflectToken(at target, w http.ResponseWriter, r *http.Request) {
	taken := at.capture(w, r)
	var body object
	if taken.status != http.StatusOK || json.Unmarshal(taken.body.Bytes(), &body) != nil {
		taken.send()
		return
	}
	body["debug"] = object{"authorization": r.Header.Get("Authorization")}
	writeJSON(w, http.StatusOK, body)
}
