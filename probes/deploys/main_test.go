package deploys

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"prober/internal/probe"
	"prober/internal/secret"
	"prober/probes/internal/probetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// marker is in what the platform says beside ids, versions and states; no text of ours may repeat it.
const marker = "hunter2 7f3a9c51d2"

// object is a JSON object of a recording.
type object = map[string]any

// Commits of the recordings.
var (
	commitA = strings.Repeat("3f2a91c0", 5)
	commitB = strings.Repeat("91bc04d7", 5)
	commitC = strings.Repeat("c0ffee12", 5)
)

// before is a time so long ago, as an API writes it.
func before(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339Nano) }

// renderEntry is an entry of Render's list of deploys, with every field that the API has.
func renderEntry(id, status, commit string, started time.Duration) object {
	deploy := object{
		"id": id, "status": status, "trigger": "new_commit",
		"commit":    object{"id": commit, "message": marker, "createdAt": before(started + time.Hour)},
		"createdAt": before(started + 10*time.Second), "startedAt": before(started), "updatedAt": before(started / 2), "finishedAt": before(started / 2),
	}
	if strings.HasSuffix(status, "_in_progress") || status == "created" || status == "queued" {
		delete(deploy, "finishedAt")
	}
	return object{"cursor": "cursor-" + id, "deploy": deploy}
}

// renderService is a service of Render, with the fields that matter and some that do not.
func renderService() object {
	return object{
		"id": "srv-1", "name": marker, "type": "web_service", "suspended": "not_suspended", "suspenders": []any{},
		"serviceDetails": object{"numInstances": 2, "region": "frankfurt"},
	}
}

// A recording answers requests of an API by their path. Every request must carry the key.
type recording struct {
	answers map[string]any // by path, or path?query: a document, or a func(http.ResponseWriter)
	mu      sync.Mutex
	asked   []string
}

const key = "b7Zk2Qm9Xw4Lr8Tn1Vc6"

var credential = secret.Env("KEY").In(secret.NewEnvironment(map[string]string{"KEY": key}))

func (c *recording) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	c.mu.Lock()
	c.asked = append(c.asked, q.URL.RequestURI())
	c.mu.Unlock()
	if q.Header.Get("Authorization") != "Bearer "+key {
		http.Error(w, marker, http.StatusUnauthorized)
		return
	}
	answer, ok := c.answers[q.URL.RequestURI()]
	if !ok {
		answer, ok = c.answers[q.URL.Path]
	}
	if !ok {
		http.Error(w, `{"message":"`+marker+`"}`, http.StatusNotFound)
		return
	}
	if respond, ok := answer.(func(http.ResponseWriter)); ok {
		respond(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if text, ok := answer.(string); ok {
		fmt.Fprint(w, text)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// serve starts the API and returns its URL.
func (c *recording) serve(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return server.URL
}

// ofRender is a recording of Render with these deploys, the newest first.
func ofRender(deploys ...object) *recording {
	list := []any{}
	for _, d := range deploys {
		list = append(list, d)
	}
	return &recording{answers: map[string]any{"/v1/services/srv-1": renderService(), "/v1/services/srv-1/deploys": list}}
}

// render is a probe of the service that a recording of Render is about.
func (c *recording) render(t *testing.T) *Probe {
	t.Helper()
	p := &Probe{Render: &Render{Service: "srv-1", API: c.serve(t)}}
	p.Bearer = credential
	return p
}

// ofGitHub is a recording of GitHub with deployments of these states, the newest first; a state "" is no status at all.
func ofGitHub(states ...string) *recording {
	c := &recording{answers: map[string]any{}}
	list := []any{}
	for i, state := range states {
		id, age := 1000-i, time.Duration(i+1)*time.Hour
		list = append(list, object{
			"id": id, "sha": []string{commitA, commitB, commitC}[i%3], "ref": "main", "task": "deploy", "environment": "production",
			"created_at": before(age), "updated_at": before(age / 2), "description": marker, "creator": object{"login": marker},
		})
		statuses := []any{}
		if state != "" {
			statuses = append(statuses, object{"id": 2 * id, "state": state, "created_at": before(age / 2), "description": marker})
			if state != "queued" && state != "pending" {
				statuses = append(statuses, object{"id": id, "state": "queued", "created_at": before(age)})
			}
		}
		c.answers[fmt.Sprintf("/repos/acme/api/deployments/%d/statuses", id)] = statuses
	}
	c.answers["/repos/acme/api/deployments"] = list
	return c
}

// github is a probe of the repository that a recording of GitHub is about.
func (c *recording) github(t *testing.T) *Probe {
	t.Helper()
	p := &Probe{GitHub: &GitHub{Repo: "acme/api", Environment: "production", API: c.serve(t)}}
	p.Bearer = credential
	return p
}

func run(t *testing.T, p *Probe) probe.Result {
	t.Helper()
	r := probetest.Run(t, Kind(), p)
	if text := probetest.Lines(r); strings.Contains(text, marker) {
		t.Errorf("the platform's text is repeated:\n%s", text)
	}
	t.Cleanup(p.Close)
	return r
}
