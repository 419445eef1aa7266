package sandbox

import (
	"cmp"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// orgHeader names the org of a request. It must be the token's org.
const orgHeader = "X-Org-Id"

// How many memories one page of the list holds.
const (
	defaultPageSize = 50
	maxPageSize     = 200
)

// The routes of the memories API.
const (
	identityRoute  = "GET /v1/whoami"
	listMemories   = "GET /v1/memories"
	createMemory   = "POST /v1/memories"
	exportMemories = "GET /v1/memories/export"
	countMemories  = "GET /v1/memories/count"
	readMemory     = "GET /v1/memories/{id}"
	updateMemory   = "PUT /v1/memories/{id}"
	deleteMemory   = "DELETE /v1/memories/{id}"
)

// serveMemories makes a host the memories API, a small multi-tenant service. The token decides whose memories a request
// sees. The org header is required and must agree with the token.
func serveMemories(h *host, t *tenants) {
	h.stamp = func(header http.Header, r *http.Request) {
		stamp(header, r)
		header.Set("Cache-Control", "private, no-store")
		header.Set("Vary", "Authorization, "+orgHeader)
	}
	h.handle(identityRoute, func(w http.ResponseWriter, r *http.Request) {
		who, known := t.callers[bearer(r)]
		if !known {
			writeUnauthorized(w)
			return
		}
		writeJSON(w, http.StatusOK, object{"org": who.org, "subject": who.subject, "test_org": true})
	})
	for pattern, route := range map[string]tenantRoute{
		listMemories: t.serveList, createMemory: t.serveCreate, exportMemories: t.serveExport, countMemories: t.serveCount,
		readMemory: t.serveRead, updateMemory: t.serveUpdate, deleteMemory: t.serveDelete,
	} {
		h.handle(pattern, t.authorized(route))
	}
}

// A tenantRoute answers a request on behalf of an org.
type tenantRoute func(w http.ResponseWriter, r *http.Request, org string)

// authorized passes on a request with the org of its token. It refuses a request whose org header is missing or names
// another org.
func (t *tenants) authorized(route tenantRoute) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		org, named := t.org(bearer(r)), r.Header.Values(orgHeader)
		switch {
		case org == "":
			writeUnauthorized(w)
		case len(named) == 0 || named[0] == "":
			writeError(w, http.StatusBadRequest, "org_required")
		case len(named) > 1:
			writeError(w, http.StatusBadRequest, "org_ambiguous")
		case named[0] != org:
			writeError(w, http.StatusForbidden, "org_mismatch")
		default:
			route(w, r, org)
		}
	}
}

//go:noinline
func writeError(w http.ResponseWriter, status int, why string) {
	writeJSON(w, status, object{"error": why})
}

func writeNotFound(w http.ResponseWriter) { writeError(w, http.StatusNotFound, "not_found") }

// summary is a memory in a list, full one that was asked for by its id.
func (m memory) summary() object { return object{"id": m.id, "text": m.text} }
func (m memory) full() object {
	return object{"id": m.id, "text": m.text, "org": m.org, "archived": m.archived}
}

// serveList answers with one page of all memories, or of those that contain the search text. The cursor is the order of
// the last memory on the page, so that it stays valid while memories are created and deleted.
func (t *tenants) serveList(w http.ResponseWriter, r *http.Request, org string) {
	query := r.URL.Query()
	limit, wrong := strconv.Atoi(cmp.Or(query.Get("limit"), strconv.Itoa(defaultPageSize)))
	if wrong != nil || limit < 1 {
		writeError(w, http.StatusBadRequest, "invalid_limit")
		return
	}
	limit = min(limit, maxPageSize)
	newest := strconv.FormatInt(math.MaxInt64, 36)
	before, wrong := strconv.ParseInt(cmp.Or(query.Get("cursor"), newest), 36, 64)
	if wrong != nil {
		writeError(w, http.StatusBadRequest, "invalid_cursor")
		return
	}
	found := t.matching(viewOf(r, org), query.Get("q"))
	shown, next := []object{}, ""
	var last memory
	for _, m := range found {
		if m.order >= before {
			continue
		}
		if len(shown) == limit {
			next = strconv.FormatInt(last.order, 36)
			break
		}
		shown, last = append(shown, m.summary()), m
	}
	writeJSON(w, http.StatusOK, object{"memories": shown, "total": len(found), "next": next})
}

func (t *tenants) serveExport(w http.ResponseWriter, r *http.Request, org string) {
	var lines strings.Builder
	encoder := json.NewEncoder(&lines)
	for _, m := range t.matching(viewOf(r, org), "") {
		if err := encoder.Encode(m.summary()); err != nil {
			writeError(w, http.StatusInternalServerError, "internal")
			return
		}
	}
	writeText(w, http.StatusOK, "application/x-ndjson", lines.String())
}

func (t *tenants) serveCount(w http.ResponseWriter, r *http.Request, org string) {
	writeJSON(w, http.StatusOK, object{"count": len(t.matching(viewOf(r, org), ""))})
}

func (t *tenants) serveCreate(w http.ResponseWriter, r *http.Request, org string) {
	content, ok := decodeMemory(w, r, org)
	if !ok {
		return
	}
	made, ok := t.create(org, content)
	if !ok {
		writeError(w, http.StatusInsufficientStorage, "too_many_memories")
		return
	}
	w.Header().Set("Location", "/v1/memories/"+made.id)
	writeJSON(w, http.StatusCreated, made.full())
}

func (t *tenants) serveRead(w http.ResponseWriter, r *http.Request, org string) {
	found, ok := t.read(viewOf(r, org), r.PathValue("id"))
	if !ok {
		writeNotFound(w)
		return
	}
	writeJSON(w, http.StatusOK, found.full())
}

func (t *tenants) serveUpdate(w http.ResponseWriter, r *http.Request, org string) {
	content, ok := decodeMemory(w, r, org)
	if !ok {
		return
	}
	changed, ok := t.change(viewOf(r, org), r.PathValue("id"), content)
	if !ok {
		writeNotFound(w)
		return
	}
	writeJSON(w, http.StatusOK, changed.full())
}

func (t *tenants) serveDelete(w http.ResponseWriter, r *http.Request, org string) {
	if !t.remove(viewOf(r, org), r.PathValue("id")) {
		writeNotFound(w)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// A memoryBody is the body of a request that writes. Other fields, such as an id, are ignored.
type memoryBody struct {
	Text string  `json:"text"`
	Org  *string `json:"org_id"`
}

// decodeMemory returns the text that a request wants to store. If it returns false, it has answered the request.
func decodeMemory(w http.ResponseWriter, r *http.Request, org string) (content string, ok bool) {
	var posted memoryBody
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxMemoryBytes))
	switch {
	case decoder.Decode(&posted) != nil || posted.Text == "":
		writeError(w, http.StatusBadRequest, "invalid_request")
	case posted.Org != nil && *posted.Org != org:
		writeError(w, http.StatusForbidden, "org_mismatch")
	default:
		return posted.Text, true
	}
	return "", false
}
