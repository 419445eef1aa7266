package sandbox

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
)

// Bounds of the memories API, so that a writer that never deletes cannot fill the prober's memory.
const (
	mostMemories  = 1000 // of one org
	longestMemory = 16 << 10
)

// tenants holds the memories of two test orgs. Whose memories a request sees follows from its token alone.
type tenants struct {
	orgs map[string]string // by token; never changes

	mu   sync.Mutex
	kept map[string][]memory // by org, oldest first
}

type memory struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

func newTenants(tokenA, tokenB string) *tenants {
	return &tenants{
		orgs: map[string]string{tokenA: "org-a", tokenB: "org-b"},
		kept: map[string][]memory{
			"org-a": {{ID: rand.Text(), Text: "A prefers short answers."}},
			"org-b": {{ID: rand.Text(), Text: "B prefers long answers."}},
		},
	}
}

// org returns the org of a token; empty if it has none.
func (t *tenants) org(token string) string { return t.orgs[token] }

func serveMemories(h *host, t *tenants) {
	h.handle("GET /v1/whoami", t.as(func(w http.ResponseWriter, _ *http.Request, org string) {
		reply(w, http.StatusOK, object{"org": org})
	}))
	h.handle("GET /v1/memories", t.as(t.list))
	h.handle("POST /v1/memories", t.as(t.add))
	h.handle("GET /v1/memories/{id}", t.as(t.get))
	h.handle("DELETE /v1/memories/{id}", t.as(t.remove))
}

// as admits a request as the org of its token.
func (t *tenants) as(route func(w http.ResponseWriter, r *http.Request, org string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		org := t.org(bearer(r))
		if org == "" {
			unauthorised(w)
			return
		}
		route(w, r, org)
	}
}

func (t *tenants) list(w http.ResponseWriter, _ *http.Request, org string) {
	t.mu.Lock()
	kept := slices.Clone(t.kept[org])
	t.mu.Unlock()
	reply(w, http.StatusOK, object{"memories": kept, "total": len(kept)})
}

func (t *tenants) add(w http.ResponseWriter, r *http.Request, org string) {
	var m memory
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, longestMemory))
	if decoder.Decode(&m) != nil || m.Text == "" {
		reply(w, http.StatusBadRequest, object{"error": "invalid_request"})
		return
	}
	m.ID = rand.Text()
	t.mu.Lock()
	full := len(t.kept[org]) >= mostMemories
	if !full {
		t.kept[org] = append(t.kept[org], m)
	}
	t.mu.Unlock()
	if full {
		reply(w, http.StatusInsufficientStorage, object{"error": "too_many_memories"})
		return
	}
	reply(w, http.StatusCreated, m)
}

func (t *tenants) get(w http.ResponseWriter, r *http.Request, org string) {
	t.mu.Lock()
	at := t.find(org, r.PathValue("id"))
	var found memory
	if at >= 0 {
		found = t.kept[org][at]
	}
	t.mu.Unlock()
	if at < 0 {
		reply(w, http.StatusNotFound, object{"error": "not_found"})
		return
	}
	reply(w, http.StatusOK, found)
}

func (t *tenants) remove(w http.ResponseWriter, r *http.Request, org string) {
	t.mu.Lock()
	at := t.find(org, r.PathValue("id"))
	if at >= 0 {
		t.kept[org] = slices.Delete(t.kept[org], at, at+1)
	}
	t.mu.Unlock()
	if at < 0 {
		reply(w, http.StatusNotFound, object{"error": "not_found"})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// find returns where an org's memory is, or -1. Another org's memory and one that never was are the same to it. The
// caller holds mu.
func (t *tenants) find(org, id string) int {
	return slices.IndexFunc(t.kept[org], func(m memory) bool { return m.ID == id })
}
