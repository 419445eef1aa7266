package isolation

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"prober/internal/canary"
	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// aged is a canary of a replica that was made so long ago.
func aged(replica string, age time.Duration) string {
	return canary.Mint(replica, time.Now().Add(-age))
}

// TestLeftoversOfACrashAreDeleted: those of this replica that no run can still need, and nobody else's.
func TestLeftoversOfACrashAreDeleted(t *testing.T) {
	api := newNotebook("header")
	keep := map[string]string{
		"young-one-of-ours":   aged("here", time.Minute),
		"old-one-of-theirs":   aged("there", time.Hour),
		"old-one-of-here-too": aged("here-too", time.Hour),
		"a-customer-s-note":   "remember the milk",
	}
	for id, text := range keep {
		api.plant("red", id, text)
	}
	for i := range 12 {
		api.plant("red", fmt.Sprintf("left-over-%d", i), "x "+aged("here", 11*time.Minute))
	}
	api.page = 5 // the leftovers are on several pages
	r := api.examined(t)
	wantFirst(t, r, "pass")
	for _, m := range api.left() {
		if _, ok := keep[m.ID]; !ok {
			t.Errorf("%s is still there", m.ID)
		}
		delete(keep, m.ID)
	}
	if len(keep) > 0 {
		t.Errorf("deleted, and not ours to delete: %v", keep)
	}
	if got := measured(r, "probe_isolation_leftovers"); got != 1 {
		t.Errorf("%g leftovers are told of, want the young one", got)
	}
}

// TestARunDeletesABoundedNumber and the next one the rest.
func TestARunDeletesABoundedNumber(t *testing.T) {
	api := newNotebook("header")
	for i := range 130 {
		api.plant("blue", fmt.Sprintf("left-over-%d", i), aged("here", time.Hour))
	}
	api.page = 1000
	job := isolation(t, api.start(t))
	first := job.Do(t.Context())
	if got := len(api.left()); got != 30 || measured(first, "probe_isolation_leftovers") != 30 {
		t.Errorf("%d notes are left after the first run, and %g told of; want 30", got, measured(first, "probe_isolation_leftovers"))
	}
	second := job.Do(t.Context())
	wantFirst(t, second, "pass")
	if got := len(api.left()); got != 0 || measured(second, "probe_isolation_leftovers") != 0 {
		t.Errorf("%d notes are left after the second run", got)
	}
}

// TestTooManyLeftoversStopPlanting: what cannot be deleted must not grow.
func TestTooManyLeftoversStopPlanting(t *testing.T) {
	api := newNotebook("header")
	for i := range 51 {
		api.plant("blue", fmt.Sprintf("left-over-%d", i), aged("here", time.Minute))
	}
	api.page = 1000
	r := api.examined(t)
	wantFirst(t, r, "control@notes/read inconclusive(control_failed)")
	if !strings.Contains(r.Decisive().Detail, "51 canaries of this prober are left over") || api.writes.Load() != 0 {
		t.Errorf("%d requests wrote: %s", api.writes.Load(), r.Decisive().Detail)
	}
}

// TestACleanUpThatFails is no verdict on isolation: it is counted, tried again, and stops the planting in the end.
func TestACleanUpThatFails(t *testing.T) {
	api := newNotebook("header")
	job := isolation(t, api.start(t))
	refusing := when(func(q *asked) bool { return q.op == "delete" && q.rightly() && !q.foreign() && q.owner != "" }, status(500))
	api.mu.Lock()
	api.twist = refusing
	api.mu.Unlock()
	r := job.Do(t.Context())
	wantFirst(t, r, "pass")
	// One canary of each org, and one that each created while it named the other in a header that nobody heeds.
	const planted = 4
	if measured(r, "probe_isolation_cleanup_failures_total") != planted || measured(r, "probe_isolation_leftovers") != planted || len(api.left()) != planted {
		t.Errorf("%g failures, %g leftovers, %d notes; want 4 each", measured(r, "probe_isolation_cleanup_failures_total"), measured(r, "probe_isolation_leftovers"), len(api.left()))
	}
	piles(t, api, job)
}

// piles has more and more canaries be left behind, until none is planted any more, and all of them deleted once that
// can be done.
func piles(t *testing.T, api *notebook, job probe.Job) {
	t.Helper()
	var r probe.Result
	for range 15 {
		r = job.Do(t.Context())
	}
	wantFirst(t, r, "control@notes/read inconclusive(control_failed)")
	if got := len(api.left()); got != 52 {
		t.Errorf("%d notes are left, want no more than the cap of 50 and those of the last run", got)
	}
	recovers(t, api, job)
}

// recovers has the next run against an API that is well again delete all that was left behind.
func recovers(t *testing.T, api *notebook, job probe.Job) {
	t.Helper()
	api.mu.Lock()
	api.twist, api.lag = nil, 0
	api.mu.Unlock()
	wantFirst(t, job.Do(t.Context()), "pass")
	if got := len(api.left()); got != 0 {
		t.Errorf("%d notes are left once they can be deleted", got)
	}
}

// TestTwoProbersAtOnce share the orgs and do not touch each other's canaries.
func TestTwoProbersAtOnce(t *testing.T) {
	api := newNotebook("header")
	settings := api.start(t)
	here, there := isolation(t, settings), isolation(t, strings.Replace(settings, "replica: here", "replica: there", 1))
	for range 5 {
		var wg sync.WaitGroup
		for _, job := range []probe.Job{here, there} {
			wg.Go(func() { wantFirst(t, job.Do(t.Context()), "pass") })
		}
		wg.Wait()
	}
	if left := api.left(); len(left) > 0 {
		t.Errorf("%d notes are left", len(left))
	}
}

// TestAStopLeavesNothingBehind: the prober is told to stop in the middle of a run.
func TestAStopLeavesNothingBehind(t *testing.T) {
	blind := []string{`list:   "/notes?cursor={cursor}"`, "", "next:   $.next", "", `search: "/notes?q={canary}"`, ""}
	for at, change := range map[string][]string{
		"read": nil, "list": nil, "search": nil, "export": nil, "update": nil, "delete": nil, "create": nil, "create, without lists": blind,
	} {
		op, _, _ := strings.Cut(at, ",")
		t.Run("at "+at, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			api := newNotebook("header")
			api.twist = func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
				if n := len(api.left()); q.op == op && (n > 1 || op == "create" && n == 1) {
					stop()
					defer func() { <-time.After(100 * time.Millisecond) }() // done at once, and answered only after the stop
				}
				honest(w, q.Request)
			}
			began := time.Now()
			r := isolation(t, strings.NewReplacer(change...).Replace(api.start(t))).Do(ctx)
			if r.Verdict() != probe.Inconclusive || !strings.Contains(probetest.Lines(r), "(cancelled)") {
				t.Errorf("got\n%s", probetest.Lines(r))
			}
			if left := api.left(); len(left) > 0 {
				t.Errorf("%d notes are left", len(left))
			}
			if took := time.Since(began); took > 8*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// TestTimeThatIsUpLeavesNothingBehind: an answer that never comes takes what is left of the run, not of the clean-up.
// What was created all the same is found by its name.
func TestTimeThatIsUpLeavesNothingBehind(t *testing.T) {
	never := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, holds := range map[string]func(*asked) bool{
		"at export": on("export"), "at another's object": foreignOn("read"), "at create": on("create"),
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotebook("header")
			api.twist = func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
				switch {
				case !holds(q):
					honest(w, q.Request)
				case q.op == "create" && len(api.left()) == 0:
					honest(w, q.Request) // the first one is answered
				case q.op == "create":
					honest(httptest.NewRecorder(), q.Request)
					never(w, q.Request)
				default:
					never(w, q.Request)
				}
			}
			r := api.examined(t, "timeout: 20s", "timeout: 4s")
			if r.Verdict() != probe.Inconclusive || strings.Contains(probetest.Lines(r), "hung") || strings.Contains(probetest.Lines(r), "fail(") {
				t.Errorf("got\n%s", probetest.Lines(r))
			}
			if left := api.left(); len(left) > 0 {
				t.Errorf("%d notes are left", len(left))
			}
		})
	}
}

// TestWhatIsNotThereYetIsNotLost: an owner may see its note late, within bounds.
func TestWhatIsNotThereYetIsNotLost(t *testing.T) {
	api := newNotebook("header")
	api.lag = 150 * time.Millisecond
	wantFirst(t, api.examined(t, "settle: 300ms", "settle: 5s"), "pass")
	api = newNotebook("header")
	api.lag = time.Minute
	wantFirst(t, api.examined(t), "control@notes/read inconclusive(control_failed)")
}

// TestARunIsBounded in its requests, and what was not asked is not proven.
func TestARunIsBounded(t *testing.T) {
	api := newNotebook("header")
	r := api.examined(t, "settle: 300ms", "settle: 300ms\n    max_requests: 60")
	if r.Verdict() != probe.Inconclusive || !strings.Contains(probetest.Lines(r), "max_requests") {
		t.Errorf("got\n%s", probetest.Lines(r))
	}
	if got := api.requests.Load(); got > 60+2+4 {
		t.Errorf("%d requests, want 60, two whoami and the clean-up", got)
	}
	if left := api.left(); len(left) > 0 {
		t.Errorf("%d notes are left", len(left))
	}
}

// TestARateLimitEndsTheRun: whoever is asked for less is asked for nothing more but to delete.
func TestARateLimitEndsTheRun(t *testing.T) {
	api := newNotebook("header")
	after := int64(-1)
	api.twist = func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
		if q.op == "search" {
			api.mu.Lock()
			if after < 0 {
				after = api.requests.Load()
			}
			api.mu.Unlock()
			reply(w, 429, `{}`)
			return
		}
		honest(w, q.Request)
	}
	r := api.examined(t)
	wantFirst(t, r, "control@notes/read inconclusive(rate_limited)")
	if got := api.requests.Load() - after; got > 2 {
		t.Errorf("%d requests after the 429, want the clean-up", got)
	}
}

// TestPagesAreReadToTheEnd: another's note on the last page is found, by cursor and by number.
func TestPagesAreReadToTheEnd(t *testing.T) {
	leaking := func(api *notebook) func(http.ResponseWriter, *asked, http.HandlerFunc) {
		return func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
			if q.op == "list" && q.rightly() {
				if page := q.URL.Query().Get("page"); page != "" {
					q.Request.URL.RawQuery = "cursor=" + fmt.Sprint(int(page[0]-'1')*api.page)
				}
				api.serve(w, q, everything)
				return
			}
			honest(w, q.Request)
		}
	}
	for name, change := range map[string][]string{
		"by cursor": nil,
		"by number": {`"/notes?cursor={cursor}"`, `"/notes?page={page}"`, "next:   $.next", `items:  "$.notes[*]"`},
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotebook("header")
			api.page = 4
			for i := range 12 {
				api.plant("red", fmt.Sprintf("an-old-note-%d", i), "x")
			}
			api.twist = leaking(api)
			wantFirst(t, api.examined(t, change...), "isolated@notes/list fail(leak_list)")
		})
	}
	// More pages than are read: nobody knows what is on the others.
	api := newNotebook("header")
	api.page = 1
	for i := range 12 {
		api.plant("red", fmt.Sprintf("an-old-note-%d", i), "x")
	}
	wantFirst(t, api.examined(t), "isolated@notes/list inconclusive(too_large)")
}

// TestTheIDMayStandInALocation, and numbers of a few digits tell nothing by themselves.
func TestTheIDMayStandInALocation(t *testing.T) {
	api := newNotebook("header")
	wantFirst(t, api.examined(t, "number: $.count", "number: $.count\n        id: {header: Location}"), "pass")
	for id, tells := range map[string]bool{
		"17": false, "4711": false, "1234567890": false, "1234567890123456": true, "note-1": false, "01JABCDEF0123": true,
	} {
		if distinctive(id) != tells {
			t.Errorf("%s: telling is %t", id, !tells)
		}
	}
	for _, id := range []string{"17", "4f1c0b5e-2d1f-4c1e-9f00-8a7b6c5d4e3f", "01JABCDEFGHKMNPQRSTVWXYZ00", "note-00000001-red"} {
		a, b := nonexistentID(id), nonexistentID(id)
		if a == id || a == b || (len(a) != len(id) && id != "17") || strings.Count(a, "-") != strings.Count(id, "-") {
			t.Errorf("%s: unlikely are %s and %s", id, a, b)
		}
	}
}

// TestManyRunsAgainstAnHonestAPI raise no alarm and leave nothing.
func TestManyRunsAgainstAnHonestAPI(t *testing.T) {
	api := newNotebook("header")
	job := isolation(t, api.start(t))
	for range 25 {
		if r := job.Do(t.Context()); r.Verdict() != probe.Pass {
			t.Fatalf("a false alarm:\n%s", probetest.Lines(r))
		}
	}
	if left := api.left(); len(left) > 0 {
		t.Errorf("%d notes are left", len(left))
	}
}
