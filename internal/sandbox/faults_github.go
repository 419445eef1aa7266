package sandbox

import (
	"net/http"
	"strconv"
	"time"
)

// githubFaults break what GitHub says of the deployments of the old site.
func githubFaults() []Fault {
	api := []string{github}
	const (
		freeze      = "Declare P1: Freeze deployments"
		lastDeploys = "last 5 deploys: .[].deploy | {id, status, commit: .commit.id, createdAt}"
	)
	limited := func(_ target, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(time.Minute).Unix(), 10))
		writeJSON(w, http.StatusForbidden, object{"message": "API rate limit exceeded"})
	}
	return []Fault{
		{"deploy-in-freeze", "somebody deployed the old site a minute ago, which is frozen", freeze,
			[]*effect{on(api, deploymentsRoute, editJSON(func(all any) any {
				return append([]any{githubDeployment(lastDeployment+1, time.Now().Add(-time.Minute))}, all.([]any)...)
			}))}},
		{"github-deploy-failed", "the latest deployment of the old site failed", lastDeploys,
			[]*effect{on(api, statusesRoute, editJSON(func(all any) any {
				if all.([]any)[0].(object)["state"] == "success" {
					all.([]any)[0].(object)["state"] = "failure"
				}
				return all
			}))}},
		{"github-rate-limited", "GitHub limits the rate of requests: 403, with the headers that say so", lastDeploys, []*effect{on(api, everyRoute, limited)}},
	}
}
