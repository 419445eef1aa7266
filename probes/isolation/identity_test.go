package isolation

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// identityCache keeps successful responses to whoami under a key, in front of the API.
func identityCache(key func(r *http.Request) string, header http.Header) func(http.ResponseWriter, *apiRequest, http.HandlerFunc) {
	var kept sync.Map
	return func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		if q.op != "whoami" || key(q.Request) == "" {
			next(w, q.Request)
			return
		}
		if body, ok := kept.Load(key(q.Request)); ok {
			for name, values := range header {
				w.Header()[name] = values
			}
			reply(w, 200, body.(string))
			return
		}
		taken := httptest.NewRecorder()
		next(taken, q.Request)
		if taken.Code == 200 {
			kept.Store(key(q.Request), taken.Body.String())
		}
		reply(w, taken.Code, taken.Body.String())
	}
}

func byURL(r *http.Request) string { return r.URL.String() }

// TestIdentity_cached: a cache that ignores the caller is a leak, and not one org under two credentials.
func TestIdentity_cached(t *testing.T) {
	testenv.WithoutRace(t)
	byPath := func(r *http.Request) string {
		if r.Header.Get("Cache-Control") == "no-cache" {
			return ""
		}
		return r.URL.Path
	}
	for name, intercept := range map[string]func(http.ResponseWriter, *apiRequest, http.HandlerFunc){
		"by the URL": identityCache(byURL, nil),
		"by the path, unless no cache may answer":  identityCache(byPath, nil),
		"by the URL, and a header says so":         identityCache(byURL, http.Header{"Age": {"3"}}),
		"by the URL, and another header says so":   identityCache(byURL, http.Header{"X-Cache": {"HIT"}}),
		"by the URL, once the orgs hold something": nil,
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			if api.intercept = intercept; intercept == nil {
				api.intercept = identityCache(func(r *http.Request) string {
					if len(api.list()) == 0 {
						return ""
					}
					return r.URL.String()
				}, nil)
			}
			r := api.runProbe(t)
			expectDecisive(t, r, "identity@ fail(leak_body)")
			if got := measuredValue(r, "probe_isolation_breach_total", "identity"); got != 1 {
				t.Errorf("expected a breach of identity to be counted, got %g", got)
			}
			if left := api.list(); len(left) > 0 {
				t.Errorf("expected no notes, got %d", len(left))
			}
		})
	}
}

// TestIdentity_sameOrg: credentials of one org, or of one user, stay a mistake in the configuration, also where a
// cache answers or where the endpoint takes no parameter.
func TestIdentity_sameOrg(t *testing.T) {
	testenv.WithoutRace(t)
	one := func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `{"org":"red","test_org":true}`) }
	for name, intercept := range map[string]func(http.ResponseWriter, *apiRequest, http.HandlerFunc){
		"plain": interceptIf(operation("whoami"), one),
		"from a cache": interceptIf(operation("whoami"), func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Age", "7")
			one(w, r)
		}),
		"unknown parameters are rejected": func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			switch {
			case q.op != "whoami":
				next(w, q.Request)
			case q.URL.RawQuery != "":
				reply(w, 400, `{"error":"unknown parameter"}`)
			default:
				one(w, q.Request)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			api.intercept = intercept
			r := api.runProbe(t)
			if why := r.Decisive(); why.Name != checkIdentity || why.Verdict != probe.Inconclusive || api.writes.Load() > 0 {
				t.Errorf("%d requests wrote; got\n%s", api.writes.Load(), probetest.Lines(r))
			}
		})
	}
}

// TestIdentity_showsOthersData: whoami may show what an org holds, and is searched like any other response.
func TestIdentity_showsOthersData(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		if q.op == "whoami" && q.org != "" {
			reply(w, 200, `{"org":"`+q.org+`","test_org":true,"latest":`+marshal(notesOfOthers(api, q.org))+`}`)
			return
		}
		next(w, q.Request)
	}
	r := api.runProbe(t)
	expectDecisive(t, r, "identity@ fail(leak_body)")
	if got := probetest.Lines(r); !strings.Contains(got, "was shown the canary of") || strings.Contains(got, "foreign_write") {
		t.Errorf("got\n%s", got)
	}
}
