package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// callerOf returns the org of a caller whose token and org header agree; empty otherwise.
func (t *tenants) callerOf(r *http.Request) string {
	if org := t.org(bearer(r)); org == r.Header.Get(orgHeader) {
		return org
	}
	return ""
}

// foreignTo is the view of the memories of all other orgs; empty for a caller without one.
func foreignTo(org string) view {
	return func(m memory) bool { return org != "" && m.org != org }
}

// peekMemory reads the memory that a request sends, and leaves the request as it was.
func peekMemory(w http.ResponseWriter, r *http.Request) memoryBody {
	var posted memoryBody
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMemoryBytes))
	if err == nil {
		_ = json.Unmarshal(body, &posted) // the route refuses invalid JSON
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return posted
}

// namesOther reports whether a body names another org, one that exists.
func (m memoryBody) namesOther(org string) bool {
	return org != "" && m.Org != nil && *m.Org != org && (*m.Org == orgA || *m.Org == orgB)
}

// createElsewhere creates a memory in the org that the body names, and answers 204.
func createElsewhere(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	posted := peekMemory(w, r)
	if !posted.namesOther(t.callerOf(r)) {
		at.next(w, r)
		return
	}
	t.create(*posted.Org, posted.Text)
	w.WriteHeader(http.StatusNoContent)
}

// moveByUpdate moves an updated memory to the org that the body names.
func moveByUpdate(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	org, posted := t.callerOf(r), peekMemory(w, r)
	if !posted.namesOther(org) {
		at.next(w, r)
		return
	}
	moved, ok := t.move(func(m memory) bool { return m.org == org }, r.PathValue("id"), *posted.Org, posted.Text)
	if !ok {
		writeNotFound(w)
		return
	}
	writeJSON(w, http.StatusOK, moved.full())
}

// appendDenied denies the update of another org's memory, and appends its text to the memory.
func appendDenied(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	posted, foreign := peekMemory(w, r), foreignTo(t.callerOf(r))
	if m, ok := t.read(foreign, r.PathValue("id")); ok && len(m.text) < maxMemoryBytes {
		t.change(foreign, m.id, m.text+" "+posted.Text)
	}
	at.next(w, r)
}

// forbidMissing answers 403 for a memory that the caller is not shown.
func forbidMissing(at target, w http.ResponseWriter, r *http.Request) {
	taken := at.capture(w, r)
	if taken.status == http.StatusNotFound {
		writeError(w, http.StatusForbidden, "forbidden")
		return
	}
	taken.send()
}

// deleteForbidden deletes the memory of another org, and answers 403.
func deleteForbidden(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	t.remove(foreignTo(t.callerOf(r)), r.PathValue("id"))
	forbidMissing(at, w, r)
}

// blindAfter shows nobody any memory after a number of requests.
func blindAfter(requests int64) interceptor {
	var served atomic.Int64
	hide := filterMemories(func(string, memory) bool { return false })
	return func(at target, w http.ResponseWriter, r *http.Request) {
		if served.Add(1) > requests {
			hide(at, w, r)
			return
		}
		at.next(w, r)
	}
}

// A trash has the memories that were deleted.
type trash struct {
	mu       sync.Mutex
	memories map[string]memory // by id
}

func (c *trash) add(m memory) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.memories) < maxMemories {
		c.memories[m.id] = m
	}
}

func (c *trash) find(id string) (found memory, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok = c.memories[id]
	return found, ok
}

// keep deletes a memory of the caller's own org into the trash.
func (c *trash) keep(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	org := t.callerOf(r)
	if m, ok := t.read(func(m memory) bool { return m.org == org }, r.PathValue("id")); ok {
		c.add(m)
	}
	at.next(w, r)
}

// show shows a caller of another org what is in the trash.
func (c *trash) show(at target, w http.ResponseWriter, r *http.Request) {
	org := at.host.sandbox.tenants.callerOf(r)
	if m, ok := c.find(r.PathValue("id")); ok && org != "" && org != m.org {
		writeJSON(w, http.StatusOK, m.full())
		return
	}
	at.next(w, r)
}

// takeForeign denies the deletion of another org's memory, and moves it to the trash of its org.
func (c *trash) takeForeign(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	if m, ok := t.read(foreignTo(t.callerOf(r)), r.PathValue("id")); ok {
		c.add(m)
	}
	at.next(w, r)
}

// hide leaves what is in the trash out of lists.
func (c *trash) hide(at target, w http.ResponseWriter, r *http.Request) {
	at.next(w, withView(r, func(org string, m memory) bool {
		_, trashed := c.find(m.id)
		return m.org == org && !trashed
	}))
}
