package sandbox

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// leakInHint sends another org's memory before the denial, as the name of something to load.
func leakInHint(w http.ResponseWriter, taken *capturedResponse, m memory) {
	const maxHint = 1 << 10 // callers refuse longer headers
	w.Header().Set("Link", "</"+url.PathEscape(m.text[:min(len(m.text), maxHint)])+">; rel=preload")
	w.WriteHeader(http.StatusEarlyHints)
	w.Header().Del("Link")
	taken.send()
}

// cleanLate reads the memory that a path leads to once it is cleaned, whose org nobody asks for then.
func cleanLate(at target, w http.ResponseWriter, r *http.Request) {
	t, id := at.host.sandbox.tenants, r.PathValue("id")
	if m, ok := t.read(allMemories, path.Base(path.Clean("/"+id))); ok && strings.Contains(id, "/") && t.callerOf(r) != "" {
		writeJSON(w, http.StatusOK, m.full())
		return
	}
	at.next(w, r)
}

// archiveDenied denies the update of another org's memory, and archives it.
func archiveDenied(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	t.archive(foreignTo(t.callerOf(r)), r.PathValue("id"))
	at.next(w, r)
}

// uniqueTexts refuses a memory with a text that one of any org has.
func uniqueTexts(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	posted := peekMemory(w, r)
	same := func(m memory) bool { return m.text == posted.Text }
	if t.callerOf(r) != "" && len(t.matching(same, "")) > 0 {
		writeError(w, http.StatusConflict, "taken")
		return
	}
	at.next(w, r)
}

// numbered gives new memories ids that count up.
func numbered() interceptor {
	var n atomic.Int64
	n.Store(4710)
	return func(at target, w http.ResponseWriter, r *http.Request) {
		taken := at.capture(w, r)
		var made struct{ ID string }
		if taken.status != http.StatusCreated || json.Unmarshal(taken.body.Bytes(), &made) != nil {
			taken.send()
			return
		}
		m, ok := at.host.sandbox.tenants.rename(made.ID, strconv.FormatInt(n.Add(1), 10))
		if !ok {
			writeError(w, http.StatusInternalServerError, "internal")
			return
		}
		w.Header().Set("Location", "/v1/memories/"+m.id)
		writeJSON(w, http.StatusCreated, m.full())
	}
}

// listForeignIDs shows in a list also the memories of other orgs, without their texts.
func listForeignIDs(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	editJSON(func(body any) any {
		shown, _ := body.(object)["memories"].([]any)
		for _, m := range t.matching(foreignTo(t.callerOf(r)), r.URL.Query().Get("q")) {
			shown = append(shown, object{"id": m.id, "text": "(hidden)"})
		}
		body.(object)["memories"] = shown
		return body
	})(at, w, r)
}

// frozenAfter answers nothing after a number of requests, until the caller goes away.
func frozenAfter(requests int64) interceptor {
	var served atomic.Int64
	return func(at target, w http.ResponseWriter, r *http.Request) {
		if served.Add(1) <= requests {
			at.next(w, r)
			return
		}
		select {
		case <-r.Context().Done():
		case <-time.After(time.Minute):
		}
	}
}

// checkIDs refuses an id whose form the service does not use, before it looks for a memory.
func checkIDs(at target, w http.ResponseWriter, r *http.Request) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	if id := r.PathValue("id"); len(id) != 26 || strings.Trim(id, alphabet) != "" {
		writeError(w, http.StatusBadRequest, "invalid_id")
		return
	}
	at.next(w, r)
}
