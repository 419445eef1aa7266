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

// filterMemories has the store show a request what a rule says.
func filterMemories(rule func(org string, m memory) bool) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) { at.next(w, withView(r, rule)) }
}

// allOrgs forgets the org in the query to the store.
func allOrgs(at target, w http.ResponseWriter, r *http.Request) {
	at.next(w, withView(r, func(string, memory) bool { return true }))
}

// visibleAfterDelay shows an org its own memories a while after they were made.
func visibleAfterDelay(at target, w http.ResponseWriter, r *http.Request) {
	at.next(w, withView(r, func(org string, m memory) bool {
		return m.org == org && time.Since(m.made) >= at.host.sandbox.visibilityDelay
	}))
}

// onlySearch limits a twist of the list to searches, or to the list as a whole.
func onlySearch(search bool, t interceptor) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		if (r.URL.Query().Get("q") != "") != search {
			at.next(w, r)
			return
		}
		t(at, w, r)
	}
}

// denyWith has another org's memory denied in another way than by the 404 of one that never was.
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
	const longest = 1 << 10 // callers refuse headers that are too long
	w.Header().Set("X-Debug", m.text[:min(len(m.text), longest)])
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

// pretendDeleted answers a delete that found nothing as one that did.
func pretendDeleted(at target, w http.ResponseWriter, r *http.Request) {
	taken := at.capture(w, r)
	if taken.status != http.StatusNotFound {
		taken.send()
		return
	}
	w.Header().Del("Content-Type")
	w.WriteHeader(http.StatusNoContent)
}

// refuseOwner fails when an org deletes what is its own.
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

// impersonate has a request made on behalf of an org with that org's token. It does nothing where there is no such org.
func (t *tenants) impersonate(r *http.Request, org string) *http.Request {
	token := t.token(org)
	if token == "" {
		return r
	}
	became := r.Clone(r.Context())
	became.Header.Set("Authorization", "Bearer "+token)
	became.Header.Set(orgHeader, org)
	return became
}

// trustOrgHeader believes the org header of whoever has a token of any org.
func trustOrgHeader(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	if t.org(bearer(r)) != "" {
		r = t.impersonate(r, r.Header.Get(orgHeader))
	}
	at.next(w, r)
}

// trustOrgHeaderOfAnonymous believes the org header of whoever has no token of an org.
func trustOrgHeaderOfAnonymous(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	if t.org(bearer(r)) == "" {
		r = t.impersonate(r, r.Header.Get(orgHeader))
	}
	at.next(w, r)
}

// ignoreExpiry takes the token of org-a that has expired for one that has not.
func ignoreExpiry(at target, w http.ResponseWriter, r *http.Request) {
	if bearer(r) == at.host.sandbox.credentials.orgAExpired {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+at.host.sandbox.tenants.token(orgA))
	}
	at.next(w, r)
}

// ignoreOrgHeader does not look at the org header.
func ignoreOrgHeader(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	at.next(w, t.impersonate(r, t.org(bearer(r))))
}

// defaultToFirstOrg takes a request that names no org for one of the first.
func defaultToFirstOrg(at target, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	if t.org(bearer(r)) != "" && r.Header.Get(orgHeader) == "" {
		r = t.impersonate(r, orgA)
	}
	at.next(w, r)
}

// alwaysOrgA takes every token of an org for one of org-a. The org header must still agree with that.
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
	var wanted memoryBody
	_ = json.Unmarshal(body, &wanted) // the route refuses what is no JSON
	if wanted.Org != nil {
		r = t.impersonate(r, cmp.Or(*wanted.Org, org))
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	at.next(w, r)
}
