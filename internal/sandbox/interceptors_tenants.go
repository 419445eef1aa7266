package sandbox

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// filterMemories makes the store show a request the memories that a rule selects.
func filterMemories(rule func(org string, m memory) bool) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) { at.next(w, withView(r, rule)) }
}

// allOrgs forgets the org in the query to the store.
func allOrgs(at target, w http.ResponseWriter, r *http.Request) {
	at.next(w, withView(r, func(string, memory) bool { return true }))
}

// visibleAfterDelay shows an org its own memories only some time after they were created.
func visibleAfterDelay(at target, w http.ResponseWriter, r *http.Request) {
	at.next(w, withView(r, func(org string, m memory) bool {
		return m.org == org && time.Since(m.made) >= at.host.sandbox.visibilityDelay
	}))
}

// onlySearch limits an interceptor of the list to searches, or to requests that are not searches.
func onlySearch(search bool, i interceptor) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		if (r.URL.Query().Get("q") != "") != search {
			at.next(w, r)
			return
		}
		i(at, w, r)
	}
}

// onlyWithOrg limits an interceptor to requests with an org header.
func onlyWithOrg(i interceptor) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(orgHeader) == "" {
			at.next(w, r)
			return
		}
		i(at, w, r)
	}
}

// onlyLaterPages limits an interceptor of the list to pages after the first.
func onlyLaterPages(i interceptor) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") == "" {
			at.next(w, r)
			return
		}
		i(at, w, r)
	}
}

// leakTitles adds to a list the beginnings of the memories of all orgs.
func leakTitles(at target, w http.ResponseWriter, r *http.Request) {
	const length = 40
	titles := []any{}
	for _, m := range at.host.sandbox.tenants.matching(allMemories, "") {
		titles = append(titles, m.text[:min(len(m.text), length)])
	}
	setField("titles", titles)(at, w, r)
}

// denyWith denies another org's memory in another way than with the 404 of a nonexistent one.
//
//go:noinline
func denyWith(deny func(w http.ResponseWriter, taken *capturedResponse, m memory)) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		taken := at.capture(w, r)
		m, exists := at.host.sandbox.tenants.read(allMemories, r.PathValue("id"))
		if taken.status != http.StatusNotFound || !exists {
			taken.send()
			return
		}
		deny(w, taken, m)
	}
}

func denyForbidden(w http.ResponseWriter, _ *capturedResponse, _ memory) {
	writeError(w, http.StatusForbidden, "forbidden")
}

func leakInHeader(w http.ResponseWriter, taken *capturedResponse, m memory) {
	const maxHeaderText = 1 << 10 // callers refuse longer headers
	w.Header().Set("X-Debug", m.text[:min(len(m.text), maxHeaderText)])
	taken.send()
}

func leakInBase64(w http.ResponseWriter, taken *capturedResponse, m memory) {
	row, err := json.Marshal(m.summary())
	if err != nil {
		taken.send()
		return
	}
	writeJSON(w, http.StatusNotFound, object{"error": "not_found", "ref": base64.StdEncoding.EncodeToString(row)})
}

func leakInUpperCase(w http.ResponseWriter, _ *capturedResponse, m memory) {
	writeJSON(w, http.StatusNotFound, object{"error": "not_found", "message": "NOT YOURS: " + strings.ToUpper(m.text)})
}

// pretendDeleted answers 204 to a delete that found nothing.
func pretendDeleted(at target, w http.ResponseWriter, r *http.Request) {
	taken := at.capture(w, r)
	if taken.status != http.StatusNotFound {
		taken.send()
		return
	}
	w.Header().Del("Content-Type")
	w.WriteHeader(http.StatusNoContent)
}

// refuseOwner answers 500 when an org deletes its own memory.
func refuseOwner(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	org := t.org(bearer(r))
	_, own := t.read(func(m memory) bool { return m.org == org }, r.PathValue("id"))
	if own && r.Header.Get(orgHeader) == org {
		writeError(w, http.StatusInternalServerError, "internal")
		return
	}
	at.next(w, r)
}

func refuseToken(_ target, w http.ResponseWriter, _ *http.Request) { writeUnauthorized(w) }

// impersonate returns the request with the token of an org. It changes nothing if there is no such org.
func (t *tenants) impersonate(r *http.Request, org string) *http.Request {
	token := t.token(org)
	if token == "" {
		return r
	}
	clone := r.Clone(r.Context())
	clone.Header.Set("Authorization", "Bearer "+token)
	clone.Header.Set(orgHeader, org)
	return clone
}

// trustOrgHeader trusts the org header of a caller with a token of any org.
func trustOrgHeader(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	if t.org(bearer(r)) != "" {
		r = t.impersonate(r, r.Header.Get(orgHeader))
	}
	at.next(w, r)
}

// trustOrgHeaderOfAnonymous trusts the org header of a caller without a token of an org.
func trustOrgHeaderOfAnonymous(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	if t.org(bearer(r)) == "" {
		r = t.impersonate(r, r.Header.Get(orgHeader))
	}
	at.next(w, r)
}

// deleteForAnonymous deletes a memory of the org that the header names, and refuses the caller.
func deleteForAnonymous(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	if t.org(bearer(r)) == "" {
		t.remove(func(m memory) bool { return m.org == r.Header.Get(orgHeader) }, r.PathValue("id"))
	}
	at.next(w, r)
}

// ignoreExpiry accepts the expired token of org-a.
func ignoreExpiry(at target, w http.ResponseWriter, r *http.Request) {
	if bearer(r) == at.host.sandbox.credentials.orgAExpired {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+at.host.sandbox.tenants.token(orgA))
	}
	at.next(w, r)
}

// ignoreOrgHeader uses the org of the token, whatever the header says.
func ignoreOrgHeader(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	at.next(w, t.impersonate(r, t.org(bearer(r))))
}

// defaultToFirstOrg uses the first org if a request has no org header.
func defaultToFirstOrg(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	if t.org(bearer(r)) != "" && r.Header.Get(orgHeader) == "" {
		r = t.impersonate(r, orgA)
	}
	at.next(w, r)
}

// alwaysOrgA treats every token of an org as one of org-a. The org header must still agree with that.
func alwaysOrgA(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	if t.org(bearer(r)) != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+t.token(orgA))
	}
	at.next(w, r)
}

// trustOrgInBody creates a memory in the org that the body names.
func trustOrgInBody(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	org := t.org(bearer(r))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMemoryBytes))
	if err != nil || org == "" || r.Header.Get(orgHeader) != org {
		r.Body = io.NopCloser(bytes.NewReader(body))
		at.next(w, r)
		return
	}
	var posted memoryBody
	_ = json.Unmarshal(body, &posted) // the route refuses invalid JSON
	if posted.Org != nil {
		r = t.impersonate(r, cmp.Or(*posted.Org, org))
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	at.next(w, r)
}
