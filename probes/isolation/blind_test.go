package isolation

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// blindness are ways in which a store stops to show an owner its own objects. None of them is another org's doing.
var blindness = map[string]func(api *notesAPI, w http.ResponseWriter, q *apiRequest, n int64) (answered bool){
	"nothing is found": func(api *notesAPI, w http.ResponseWriter, q *apiRequest, _ int64) bool {
		return q.op != "create" && showNothing(api, w, q)
	},
	"one org finds nothing": func(api *notesAPI, w http.ResponseWriter, q *apiRequest, _ int64) bool {
		return q.op != "create" && q.org == "red" && showNothing(api, w, q)
	},
	"reads find nothing": func(api *notesAPI, w http.ResponseWriter, q *apiRequest, _ int64) bool {
		return q.op == "read" && showNothing(api, w, q)
	},
	"everything is forbidden": func(_ *notesAPI, w http.ResponseWriter, q *apiRequest, _ int64) bool {
		if q.id != "" {
			reply(w, 403, `{"error":"forbidden"}`)
		}
		return q.id != ""
	},
	"reads are empty": func(_ *notesAPI, w http.ResponseWriter, q *apiRequest, _ int64) bool {
		if q.readsOwn() {
			reply(w, 200, `{}`)
		}
		return q.readsOwn()
	},
	"reads are errors with an id, and 200": func(_ *notesAPI, w http.ResponseWriter, q *apiRequest, n int64) bool {
		if q.readsOwn() {
			reply(w, 200, fmt.Sprintf(`{"error":"internal","id":"request-%d"}`, n))
		}
		return q.readsOwn()
	},
	"one of two replicas finds nothing": func(api *notesAPI, w http.ResponseWriter, q *apiRequest, n int64) bool {
		return q.op != "create" && n%2 == 0 && showNothing(api, w, q)
	},
	"two of three replicas find nothing": func(api *notesAPI, w http.ResponseWriter, q *apiRequest, n int64) bool {
		return q.op != "create" && n%3 > 0 && showNothing(api, w, q)
	},
	"nothing is found for a moment": func(api *notesAPI, w http.ResponseWriter, q *apiRequest, n int64) bool {
		return n < 10 && q.op != "create" && showNothing(api, w, q)
	},
	"it is restored from an empty backup": func(api *notesAPI, w http.ResponseWriter, q *apiRequest, n int64) bool {
		if n == 1 {
			api.mu.Lock()
			api.notes = nil
			api.mu.Unlock()
		}
		return false
	},
	"it fails": func(_ *notesAPI, w http.ResponseWriter, q *apiRequest, _ int64) bool {
		reply(w, 500, `{"error":"internal"}`)
		return true
	},
}

// showNothing responds as if the store contained no object.
func showNothing(api *notesAPI, w http.ResponseWriter, q *apiRequest) bool {
	if q.org == "" {
		return false
	}
	api.serve(w, q, func(note) bool { return false })
	return true
}

func (q *apiRequest) readsOwn() bool { return q.op == "read" && q.org != "" && q.owner == q.org }

// TestBlindness_onsets has the store go blind after every sixty-first request of a run; with PROBER_TEST_REAL, as in
// `make test-real`, after each. A run must not mistake that for the deed of another org, whatever it was about to find out.
func TestBlindness_onsets(t *testing.T) {
	testenv.WithoutRace(t)
	testenv.Slow(t, "it runs the probe dozens of times")
	small := []string{
		"visibility_delay: 300ms", "visibility_delay: 0s", "interleave: {requests: 40}", "interleave: {requests: 4}",
		`search: "/notes?q={canary}"`, "", `export: "/notes/export"`, "", `count:  "/notes/count"`, "", "number: $.count", "",
		"replica: here", "replica: here\n    overrides: {headers: [X-Org-Id], query: [], body: [org_id]}",
	}
	for name, blind := range testenv.Sample(blindness, 8) {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("token") // which leaves few ways to forge the org, so a run is short
			var served, onset atomic.Int64
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				n := served.Add(1) - onset.Load()
				if n <= 0 || q.op == "whoami" || !blind(api, w, q, n) {
					next(w, q.Request)
				}
			}
			text := strings.NewReplacer(small...).Replace(api.start(t))
			step := int64(61)
			if testenv.IsReal() {
				step = 1
			}
			for k := int64(1 + len(name)%61); ; k += step { // not the same requests for each
				api.mu.Lock()
				api.notes = nil
				api.mu.Unlock()
				served.Store(0)
				onset.Store(k)
				r := ask(t, newJob(t, text))
				if r.Verdict() == probe.Fail {
					t.Fatalf("blind after %d requests:\n%s", k, probetest.Lines(r))
				}
				if served.Load() <= k { // it ended before the onset
					if r.Verdict() != probe.Pass {
						t.Errorf("without blindness:\n%s", probetest.Lines(r))
					}
					return
				}
			}
		})
	}
}
