package isolation

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"prober/probes/internal/probetest"
)

// keeper is a cache of reads that does not know the org, behind whatever asks who it is.
type keeper struct {
	mu   sync.Mutex
	kept map[string]string
}

func (k *keeper) twist(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
	if q.op != "read" || !q.rightly() {
		honest(w, q.Request)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if q.org == q.owner {
		k.kept[q.URL.String()] = marshal(q.note)
	}
	if body := k.kept[q.URL.String()]; body != "" {
		reply(w, 200, body)
		return
	}
	honest(w, q.Request)
}

// TestWhatIsBetweenIsToldFromWhatIsBehind: whether a leak is that of a cache or of the service decides where to look.
func TestWhatIsBetweenIsToldFromWhatIsBehind(t *testing.T) {
	cached := func(api *notebook) { api.twist = (&keeper{kept: map[string]string{}}).twist }
	shown := func(api *notebook) {
		api.twist = func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
			if q.op == "read" && q.rightly() && q.foreign() {
				reply(w, 200, marshal(q.note))
				return
			}
			honest(w, q.Request)
		}
	}
	const (
		onlyAfter = "cache@notes/cache fail(leak_body): red was shown an object of blue only after blue had asked for it"
		anyway    = "cache@notes/cache inconclusive(control_failed): red was shown an object of blue that nobody had asked for before"
		untold    = "cache@notes/cache inconclusive(control_failed): notes is shown another's anyway, and whether something between them keeps it could not be told: "
	)
	for name, c := range map[string]struct {
		breaks func(api *notebook)
		change []string
		first  string
		cache  string
	}{
		"a cache": {cached, nil, "cache@notes/cache fail(leak_body)", onlyAfter},
		"a cache before a store that lags": {func(api *notebook) {
			cached(api)
			api.lag = 100 * time.Millisecond
		}, nil, "cache@notes/cache fail(leak_body)", onlyAfter},
		"a cache that keeps denials as well": {func(api *notebook) {
			keeps := &keeper{kept: map[string]string{}}
			var denied sync.Map
			api.twist = func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
				if q.op != "read" || !q.rightly() {
					honest(w, q.Request)
					return
				}
				taken := httptest.NewRecorder()
				keeps.twist(taken, q, honest)
				if _, before := denied.Load(q.id); before || taken.Code == 404 {
					denied.Store(q.id, true)
					reply(w, 404, `{"error":"not_found"}`)
					return
				}
				reply(w, taken.Code, taken.Body.String())
			}
		}, []string{"interleave: {requests: 40}", "interleave: {requests: 40}\n    concurrency: 1"}, "isolated@notes/read fail(leak_body)", untold + "a new object could not be asked for in turn"},
		"the service": {shown, nil, "isolated@notes/read fail(leak_body)", anyway},
		"the service, in one direction": {func(api *notebook) {
			shown(api)
			all := api.twist
			api.twist = func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
				if q.org == "red" {
					honest(w, q.Request)
					return
				}
				all(w, q, honest)
			}
		}, nil, "isolated@notes/read fail(leak_body)", "cache@notes/cache inconclusive(control_failed): blue was shown an object of red that nobody had asked for before"},
		"the service, in a header": {func(api *notebook) {
			api.twist = func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
				if q.op == "read" && q.rightly() && q.foreign() {
					w.Header().Set("X-Debug", q.note.Text)
				}
				honest(w, q.Request)
			}
		}, nil, "isolated@notes/read fail(leak_header)", anyway},
		"the service, once": {func(api *notebook) {
			shown(api)
			once, all := sync.Once{}, api.twist
			api.twist = func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
				if q.op != "read" || !q.rightly() || !q.foreign() {
					honest(w, q.Request)
					return
				}
				rest := true
				once.Do(func() { rest = false; all(w, q, honest) })
				if rest {
					honest(w, q.Request)
				}
			}
		}, nil, "isolated@notes/read fail(leak_body)", untold + "with a new object it was not seen again"},
		"a store that never lists what is new": {func(api *notebook) {
			shown(api)
			all := api.twist
			api.twist = func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
				text, first := q.URL.Query().Get("q"), api.left()
				if q.op == "search" && q.rightly() && !slices.ContainsFunc(first[:min(2, len(first))], func(m note) bool { return m.Text == text }) {
					reply(w, 200, `{"notes":[],"next":""}`)
					return
				}
				all(w, q, honest)
			}
		}, nil, "isolated@notes/read fail(leak_body)", untold + "a new object of red is not found by its search"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotebook("header")
			c.breaks(api)
			r := api.examined(t, c.change...)
			wantFirst(t, r, c.first)
			if got := probetest.Lines(r); !strings.Contains(got, c.cache) {
				t.Errorf("want %q in\n%s", c.cache, got)
			}
			if left, known := len(api.left()), measured(r, "probe_isolation_leftovers"); float64(left) > known {
				t.Errorf("%d notes are left, and %g are known of", left, known)
			}
			if got, want := measured(r, "probe_isolation_breach_total", "notes/cache") == 1, c.cache == onlyAfter; got != want {
				t.Errorf("a breach of the cache is counted: %t, want %t", got, want)
			}
		})
	}
}

// TestAnswersThatCachesMayKeep are those that a cache in front may give to another org.
func TestAnswersThatCachesMayKeep(t *testing.T) {
	for control, want := range map[string]string{
		"public, max-age=60": "cache@notes/cache inconclusive(stale_or_cached)",
		"s-maxage=60":        "cache@notes/cache inconclusive(stale_or_cached)",
		"private":            "pass",
		"":                   "pass", // RFC 9111, section 3.5: a shared cache does not store what was asked with Authorization
	} {
		api := newNotebook("header")
		api.twist = func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
			honest(&relabelled{w, control}, q.Request)
		}
		wantFirst(t, api.examined(t), want)
	}
}

type relabelled struct {
	http.ResponseWriter
	control string
}

func (r *relabelled) WriteHeader(status int) {
	r.Header().Del("Cache-Control")
	if r.control != "" {
		r.Header().Set("Cache-Control", r.control)
	}
	r.ResponseWriter.WriteHeader(status)
}
