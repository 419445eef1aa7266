package sandbox

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"
)

// serviceID is the only service of the Render API's stand-in.
const serviceID = "srv-demo"

// serveRender makes a host a stand-in for the two routes of the Render API that an on-call engineer uses. As in the real
// API, suspended is a string at the top level and a service has no status.
func serveRender(h *host, key string) {
	admitted := func(route http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			switch {
			case bearer(r) != key:
				writeJSON(w, http.StatusUnauthorized, object{"message": "Unauthorized"})
			case r.PathValue("id") != serviceID:
				writeJSON(w, http.StatusNotFound, object{"message": "not found: " + serviceID + " is the only service"})
			default:
				route(w, r)
			}
		}
	}
	started := time.Now().UTC()
	h.handle("GET /v1/services/{id}", admitted(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, object{
			"id": serviceID, "name": "demo", "type": "web_service",
			"suspended": "not_suspended", "suspenders": []string{},
			"createdAt": started.AddDate(-1, 0, 0).Format(time.RFC3339),
			"serviceDetails": object{
				"healthCheckPath": "/up", "numInstances": 2, "region": "frankfurt", "runtime": "ruby",
			},
		})
	}))
	history := deploys(started)
	h.handle("GET /v1/services/{id}/deploys", admitted(func(w http.ResponseWriter, r *http.Request) {
		limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
		if err != nil || limit < 1 {
			limit = 20
		}
		writeJSON(w, http.StatusOK, history[:min(limit, len(history))])
	}))
}

// deploys is the history of the service, newest first. One deploy is live, of the version that the service runs; those that
// were live before are deactivated.
func deploys(started time.Time) []any {
	history := []any{}
	for n, status := range []string{"live", "deactivated", "build_failed", "deactivated", "deactivated", "canceled", "deactivated"} {
		commit := sha1.Sum([]byte(strconv.Itoa(n)))
		created := started.Add(-time.Duration(n*20+2) * time.Hour)
		history = append(history, object{
			"cursor": rand.Text(),
			"deploy": object{
				"id":         "dep-demo-" + strconv.Itoa(7-n),
				"status":     status,
				"commit":     object{"id": hex.EncodeToString(commit[:]), "message": "change number " + strconv.Itoa(7-n)},
				"image":      object{"ref": image(releases[n])},
				"createdAt":  created.Format(time.RFC3339),
				"startedAt":  created.Add(5 * time.Second).Format(time.RFC3339),
				"finishedAt": created.Add(3 * time.Minute).Format(time.RFC3339),
			},
		})
	}
	return history
}

// releases are the versions that were deployed, the newest first.
var releases = [...]string{release, "1.4.1", "1.4.1-rc.2", "1.4.0", "1.3.9", "1.3.9-rc.1", "1.3.8"}

// image names the image of a version.
func image(version string) string { return "registry.demo.test/logi:" + version }
