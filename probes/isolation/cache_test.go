package isolation

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// A sharedCache caches reads for all orgs, behind authentication.
type sharedCache struct {
	mu     sync.Mutex
	bodies map[string]string
}

func (k *sharedCache) intercept(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
	if q.op != "read" || !q.namesOwnOrg() {
		next(w, q.Request)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if q.org == q.owner {
		k.bodies[q.URL.String()] = marshal(q.note)
	}
	if body := k.bodies[q.URL.String()]; body != "" {
		reply(w, 200, body)
		return
	}
	next(w, q.Request)
}

// TestCache_distinguishedFromService: a leak is attributed to a cache or to the service.
func TestCache_distinguishedFromService(t *testing.T) {
	cached := func(api *notesAPI) { api.intercept = (&sharedCache{bodies: map[string]string{}}).intercept }
	shown := func(api *notesAPI) {
		api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			if q.op == "read" && q.namesOwnOrg() && q.foreign() {
				reply(w, 200, marshal(q.note))
				return
			}
			next(w, q.Request)
		}
	}
	const (
		afterOwner = "cache@notes/cache fail(leak_body): red was shown an object of blue only after blue had requested it"
		inAnyCase  = "cache@notes/cache inconclusive(control_failed): red was shown an object of blue that nobody had requested before"
		unknown    = "cache@notes/cache inconclusive(control_failed): notes shows other orgs' objects in any case, and whether a cache keeps them is not known: "
	)
	for name, c := range testenv.Sample(map[string]struct {
		breaks func(api *notesAPI)
		change []string
		first  string
		cache  string
	}{
		"a cache": {cached, nil, "cache@notes/cache fail(leak_body)", afterOwner},
		"a cache before a store that lags": {func(api *notesAPI) {
			cached(api)
			api.lag = 100 * time.Millisecond
		}, nil, "cache@notes/cache fail(leak_body)", afterOwner},
		"a cache that keeps denials as well": {func(api *notesAPI) {
			cache := &sharedCache{bodies: map[string]string{}}
			var denied sync.Map
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if q.op != "read" || !q.namesOwnOrg() {
					next(w, q.Request)
					return
				}
				taken := httptest.NewRecorder()
				cache.intercept(taken, q, next)
				if _, before := denied.Load(q.id); before || taken.Code == 404 {
					denied.Store(q.id, true)
					reply(w, 404, `{"error":"not_found"}`)
					return
				}
				reply(w, taken.Code, taken.Body.String())
			}
		}, []string{"interleave: {requests: 40}", "interleave: {requests: 40}\n    concurrency: 1"}, "isolated@notes/read fail(leak_body)", unknown + "a new object could not be requested in turn"},
		"the service": {shown, nil, "isolated@notes/read fail(leak_body)", inAnyCase},
		"the service, in one direction": {func(api *notesAPI) {
			shown(api)
			all := api.intercept
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if q.org == "red" {
					next(w, q.Request)
					return
				}
				all(w, q, next)
			}
		}, nil, "isolated@notes/read fail(leak_body)", "cache@notes/cache inconclusive(control_failed): blue was shown an object of red that nobody had requested before"},
		"the service, in a header": {func(api *notesAPI) {
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if q.op == "read" && q.namesOwnOrg() && q.foreign() {
					w.Header().Set("X-Debug", q.note.Text)
				}
				next(w, q.Request)
			}
		}, nil, "isolated@notes/read fail(leak_header)", inAnyCase},
		"the service, once": {func(api *notesAPI) {
			shown(api)
			once, all := sync.Once{}, api.intercept
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if q.op != "read" || !q.namesOwnOrg() || !q.foreign() {
					next(w, q.Request)
					return
				}
				rest := true
				once.Do(func() { rest = false; all(w, q, next) })
				if rest {
					next(w, q.Request)
				}
			}
		}, nil, "isolated@notes/read fail(leak_body)", unknown + "a new object was not leaked again"},
		"a store that never lists what is new": {func(api *notesAPI) {
			shown(api)
			all := api.intercept
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				text, first := q.URL.Query().Get("q"), api.list()
				if q.op == "search" && q.namesOwnOrg() && !slices.ContainsFunc(first[:min(2, len(first))], func(m note) bool { return m.Text == text }) {
					reply(w, 200, `{"notes":[],"next":""}`)
					return
				}
				all(w, q, next)
			}
		}, nil, "isolated@notes/read fail(leak_body)", unknown + "a new object of red is not found by its search"},
	}, 8) {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			c.breaks(api)
			r := api.runProbe(t, c.change...)
			expectDecisive(t, r, c.first)
			if got := probetest.Lines(r); !strings.Contains(got, c.cache) {
				t.Errorf("want %q in\n%s", c.cache, got)
			}
			if left, known := len(api.list()), measuredValue(r, "probe_isolation_orphaned_canaries"); float64(left) > known {
				t.Errorf("%d notes exist, and %g are reported", left, known)
			}
			if got, want := measuredValue(r, "probe_isolation_breach_total", "notes/cache") == 1, c.cache == afterOwner; got != want {
				t.Errorf("counted a breach of the cache: %t, expected %t", got, want)
			}
		})
	}
}

// TestCache_filledByWrites: what an owner changed is shown to whoever asks next, by a cache whose key is the id alone.
func TestCache_filledByWrites(t *testing.T) {
	for name, c := range map[string]struct {
		serves func(q *apiRequest) bool
		want   string
	}{
		"to other orgs": {func(q *apiRequest) bool { return q.namesOwnOrg() }, "cache@notes/cache fail(leak_body)"},
		"to anybody":    {func(q *apiRequest) bool { return q.org == "" }, "authenticated@notes/read fail(auth_bypass)"},
		"to its owner":  {func(q *apiRequest) bool { return q.namesOwnOrg() && q.owner == q.org }, "pass"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			var kept sync.Map
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if body, ok := kept.Load(q.id); ok && q.op == "read" && c.serves(q) {
					reply(w, 200, body.(string))
					return
				}
				taken := httptest.NewRecorder()
				next(taken, q.Request)
				switch {
				case q.op == "update" && taken.Code == 200:
					kept.Store(q.id, taken.Body.String())
				case q.op == "delete" && taken.Code == 204:
					kept.Delete(q.id)
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(taken.Code)
				_, _ = w.Write(taken.Body.Bytes())
			}
			expectDecisive(t, api.runProbe(t), c.want)
		})
	}
}

// TestCache_cacheableResponses: a shared cache may give them to another org.
func TestCache_cacheableResponses(t *testing.T) {
	testenv.WithoutRace(t)
	for control, want := range map[string]string{
		"public, max-age=60": "cache@notes/cache inconclusive(stale_or_cached)",
		"s-maxage=60":        "cache@notes/cache inconclusive(stale_or_cached)",
		"private":            "pass",
		"":                   "pass", // RFC 9111, section 3.5: a shared cache does not store what was asked with Authorization
	} {
		api := newNotesAPI("header")
		api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			next(&cacheControlWriter{w, control}, q.Request)
		}
		expectDecisive(t, api.runProbe(t), want)
	}
}

type cacheControlWriter struct {
	http.ResponseWriter
	control string
}

func (r *cacheControlWriter) WriteHeader(status int) {
	r.Header().Del("Cache-Control")
	if r.control != "" {
		r.Header().Set("Cache-Control", r.control)
	}
	r.ResponseWriter.WriteHeader(status)
}
