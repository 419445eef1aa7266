package sandbox

import (
	"crypto/sha1"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"
)

// Routes of the GitHub API.
const (
	deploymentsRoute = "GET /repos/demo/old-site/deployments"
	statusesRoute    = "GET /repos/demo/old-site/deployments/{id}/statuses"
)

// lastDeployment is the id of the last deployment before the freeze.
const lastDeployment = 8

// serveGitHub makes a host a stand-in for the deployments of a repository at GitHub, to which nothing was deployed for long. As in
// the real API, a deployment has no state of its own: its statuses have.
func serveGitHub(h *host, token string) {
	admitted := func(route http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if bearer(r) != token {
				writeJSON(w, http.StatusUnauthorized, object{"message": "Bad credentials"})
				return
			}
			route(w, r)
		}
	}
	h.handle(deploymentsRoute, admitted(func(w http.ResponseWriter, _ *http.Request) {
		all := []any{}
		for n := range 3 {
			all = append(all, githubDeployment(lastDeployment-n, time.Date(2025, 12, 3-n, 9, 0, 0, 0, time.UTC)))
		}
		writeJSON(w, http.StatusOK, all)
	}))
	h.handle(statusesRoute, admitted(func(w http.ResponseWriter, r *http.Request) {
		state := "inactive"
		if id, err := strconv.Atoi(r.PathValue("id")); err == nil && id >= lastDeployment {
			state = "success"
		}
		at := time.Date(2025, 12, 3, 9, 5, 0, 0, time.UTC).Format(time.RFC3339)
		writeJSON(w, http.StatusOK, []any{object{"id": 1, "state": state, "created_at": at}})
	}))
}

func githubDeployment(id int, at time.Time) object {
	commit := sha1.Sum([]byte(strconv.Itoa(id)))
	return object{
		"id": id, "sha": hex.EncodeToString(commit[:]), "ref": "main", "task": "deploy", "environment": "production",
		"created_at": at.UTC().Format(time.RFC3339),
	}
}
