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

// sees has the store show a request what a rule says.
func sees(rule func(org string, m memory) bool) twist {
	return func(at place, w http.ResponseWriter, r *http.Request) { at.next(w, through(r, rule)) }
}

// unscoped forgets the org in the query to the store.
func unscoped(at place, w http.ResponseWriter, r *http.Request) {
	at.next(w, through(r, func(string, memory) bool { return true }))
}

// settled shows an org its own memories a while after they were made.
func settled(at place, w http.ResponseWriter, r *http.Request) {
	at.next(w, through(r, func(org string, m memory) bool {
		return m.org == org && time.Since(m.made) >= at.host.sandbox.settleIn
	}))
}

// whenSearching limits a twist of the list to searches, or to the list as a whole.
func whenSearching(search bool, t twist) twist {
	return func(at place, w http.ResponseWriter, r *http.Request) {
		if (r.URL.Query().Get("q") != "") != search {
			at.next(w, r)
			return
		}
		t(at, w, r)
	}
}

// denying has another org's memory denied in another way than by the 404 of one that never was.
func denying(deny func(w http.ResponseWriter, taken *answerTaken, m memory)) twist {
	return func(at place, w http.ResponseWriter, r *http.Request) {
		taken := at.take(w, r)
		m, exists := at.host.sandbox.tenants.read(everything, r.PathValue("id"))
		if taken.status != http.StatusNotFound || !exists {
			taken.send()
			return
		}
		deny(w, taken, m)
	}
}

func asForbidden(w http.ResponseWriter, _ *answerTaken, _ memory) {
	denied(w, http.StatusForbidden, "forbidden")
}

func inHeader(w http.ResponseWriter, taken *answerTaken, m memory) {
	const longest = 1 << 10 // callers refuse headers that are too long
	w.Header().Set("X-Debug", m.text[:min(len(m.text), longest)])
	taken.send()
}

func inBase64(w http.ResponseWriter, taken *answerTaken, m memory) {
	row, err := json.Marshal(m.brief())
	if err != nil {
		taken.send()
		return
	}
	reply(w, http.StatusNotFound, object{"error": "not_found", "ref": base64.StdEncoding.EncodeToString(row)})
}

func inCapitals(w http.ResponseWriter, _ *answerTaken, m memory) {
	reply(w, http.StatusNotFound, object{"error": "not_found", "message": "NOT YOURS: " + strings.ToUpper(m.text)})
}

// pretends answers a delete that found nothing as one that did.
func pretends(at place, w http.ResponseWriter, r *http.Request) {
	taken := at.take(w, r)
	if taken.status != http.StatusNotFound {
		taken.send()
		return
	}
	w.Header().Del("Content-Type")
	w.WriteHeader(http.StatusNoContent)
}

// refusesOwner fails when an org deletes what is its own.
func refusesOwner(at place, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	org := t.org(bearer(r))
	_, own := t.read(func(m memory) bool { return m.org == org }, r.PathValue("id"))
	if own && r.Header.Get(orgHeader) == org {
		denied(w, http.StatusInternalServerError, "internal")
		return
	}
	at.next(w, r)
}

func refusesToken(_ place, w http.ResponseWriter, _ *http.Request) { unauthorised(w) }

// become has a request made on behalf of an org with that org's token. It does nothing where there is no such org.
func (t *tenants) become(r *http.Request, org string) *http.Request {
	token := t.token(org)
	if token == "" {
		return r
	}
	became := r.Clone(r.Context())
	became.Header.Set("Authorization", "Bearer "+token)
	became.Header.Set(orgHeader, org)
	return became
}

// asHeaderSays believes the org header of whoever has a token of any org.
func asHeaderSays(at place, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	if t.org(bearer(r)) != "" {
		r = t.become(r, r.Header.Get(orgHeader))
	}
	at.next(w, r)
}

// asHeaderSaysToAnyone believes the org header of whoever has no token of an org.
func asHeaderSaysToAnyone(at place, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	if t.org(bearer(r)) == "" {
		r = t.become(r, r.Header.Get(orgHeader))
	}
	at.next(w, r)
}

// asIfInTime takes the token of org-a that has expired for one that has not.
func asIfInTime(at place, w http.ResponseWriter, r *http.Request) {
	if bearer(r) == at.host.sandbox.credentials.orgAExpired {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+at.host.sandbox.tenants.token(orgA))
	}
	at.next(w, r)
}

// asTokenSays does not look at the org header.
func asTokenSays(at place, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	at.next(w, t.become(r, t.org(bearer(r))))
}

// asFirstOrg takes a request that names no org for one of the first.
func asFirstOrg(at place, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	if t.org(bearer(r)) != "" && r.Header.Get(orgHeader) == "" {
		r = t.become(r, orgA)
	}
	at.next(w, r)
}

// asOrgA takes every token of an org for one of org-a. The org header must still agree with that.
func asOrgA(at place, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	if t.org(bearer(r)) != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+t.token(orgA))
	}
	at.next(w, r)
}

// asBodySays creates a memory in the org that the body names.
func asBodySays(at place, w http.ResponseWriter, r *http.Request) {
	t := at.host.sandbox.tenants
	org := t.org(bearer(r))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, longestMemory))
	if err != nil || org == "" || r.Header.Get(orgHeader) != org {
		r.Body = io.NopCloser(bytes.NewReader(body))
		at.next(w, r)
		return
	}
	var wanted writing
	_ = json.Unmarshal(body, &wanted) // the route refuses what is no JSON
	if wanted.Org != nil {
		r = t.become(r, cmp.Or(*wanted.Org, org))
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	at.next(w, r)
}
