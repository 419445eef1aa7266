package isolation

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"prober/internal/canary"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// canaryOfAge is a canary that a replica created that long ago.
func canaryOfAge(replica string, age time.Duration) string {
	return canary.Mint(replica, time.Now().Add(-age))
}

// TestOrphans_afterCrash: a run deletes old canaries of its own replica, and no others.
func TestOrphans_afterCrash(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	keep := map[string]string{
		"young-one-of-ours":   canaryOfAge("here", time.Minute),
		"old-one-of-theirs":   canaryOfAge("there", time.Hour),
		"old-one-of-here-too": canaryOfAge("here-too", time.Hour),
		"a-customer-s-note":   "remember the milk",
	}
	for id, text := range keep {
		api.add("red", id, text)
	}
	for i := range 12 {
		api.add("red", fmt.Sprintf("left-over-%d", i), "x "+canaryOfAge("here", 11*time.Minute))
	}
	api.pageSize = 5 // the orphans are on several pages
	r := api.runProbe(t)
	expectDecisive(t, r, "pass")
	for _, m := range api.list() {
		if _, ok := keep[m.ID]; !ok {
			t.Errorf("%s still exists", m.ID)
		}
		delete(keep, m.ID)
	}
	if len(keep) > 0 {
		t.Errorf("deleted, but not ours: %v", keep)
	}
	if got := measuredValue(r, "probe_isolation_orphaned_canaries"); got != 1 {
		t.Errorf("expected the young orphan only, got %g", got)
	}
}

// TestOrphans_boundedPerRun: the next run deletes the rest.
func TestOrphans_boundedPerRun(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	for i := range 130 {
		api.add("blue", fmt.Sprintf("left-over-%d", i), canaryOfAge("here", time.Hour))
	}
	api.pageSize = 1000
	job := newJob(t, api.start(t))
	first := ask(t, job)
	if got := len(api.list()); got != 30 || measuredValue(first, "probe_isolation_orphaned_canaries") != 30 {
		t.Errorf("expected 30 notes after the first run, got %d, and reported %g", got, measuredValue(first, "probe_isolation_orphaned_canaries"))
	}
	second := ask(t, job)
	expectDecisive(t, second, "pass")
	if got := len(api.list()); got != 0 || measuredValue(second, "probe_isolation_orphaned_canaries") != 0 {
		t.Errorf("expected no notes after the second run, got %d", got)
	}
}

// TestOrphans_tooMany: no canaries are created while too many orphans exist.
func TestOrphans_tooMany(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	for i := range 51 {
		api.add("blue", fmt.Sprintf("left-over-%d", i), canaryOfAge("here", time.Minute))
	}
	api.pageSize = 1000
	r := api.runProbe(t)
	expectDecisive(t, r, "control@notes/read inconclusive(control_failed)")
	if !strings.Contains(r.Decisive().Detail, "51 canaries of this prober are left over") || api.writes.Load() != 0 {
		t.Errorf("%d requests wrote: %s", api.writes.Load(), r.Decisive().Detail)
	}
}

// TestCleanUp_fails: a failed clean-up does not change the verdict. It is counted and retried, and too many orphans stop
// the creation of canaries.
func TestCleanUp_fails(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	job := newJob(t, api.start(t))
	refusing := interceptIf(func(q *apiRequest) bool { return q.op == "delete" && q.namesOwnOrg() && !q.foreign() && q.owner != "" }, respondStatus(500))
	api.mu.Lock()
	api.intercept = refusing
	api.mu.Unlock()
	r := ask(t, job)
	expectDecisive(t, r, "pass")
	// A canary, a twin and a spare of each org, one that each created while it named the other in an undocumented header, one with
	// the same text, and the second page of the list.
	const created = 10 + maxPageSeeds
	if measuredValue(r, "probe_isolation_cleanup_failures_total") != created || measuredValue(r, "probe_isolation_orphaned_canaries") != created || len(api.list()) != created {
		t.Errorf("%g failures, %g orphans, %d notes; expected %d each", measuredValue(r, "probe_isolation_cleanup_failures_total"), measuredValue(r, "probe_isolation_orphaned_canaries"), len(api.list()), created)
	}
	expectOrphansBounded(t, api, job)
}

// expectOrphansBounded runs the probe until the number of orphans stops the creation of canaries, and expects all to be
// deleted once that works.
func expectOrphansBounded(t *testing.T, api *notesAPI, job probe.Job) {
	t.Helper()
	var r probe.Result
	for range 15 {
		r = ask(t, job)
	}
	expectDecisive(t, r, "control@notes/read inconclusive(control_failed)")
	if got := len(api.list()); got != 50+8 {
		t.Errorf("expected the limit of 50 notes and those of the last run, got %d", got)
	}
	expectRecovery(t, api, job)
}

// expectRecovery expects the next run to delete all orphans once the API works again.
func expectRecovery(t *testing.T, api *notesAPI, job probe.Job) {
	t.Helper()
	api.mu.Lock()
	api.intercept, api.lag = nil, 0
	api.mu.Unlock()
	expectDecisive(t, ask(t, job), "pass")
	if got := len(api.list()); got != 0 {
		t.Errorf("expected no notes once they can be deleted, got %d", got)
	}
}

// TestReplicas_concurrent: two probers share the orgs and leave each other's canaries alone.
func TestReplicas_concurrent(t *testing.T) {
	api := newNotesAPI("header")
	settings := api.start(t)
	here, there := newJob(t, settings), newJob(t, strings.Replace(settings, "replica: here", "replica: there", 1))
	for i := range 5 {
		if !testenv.Sampled(i, 3) {
			continue
		}
		for _, r := range askAll(t, here, there) {
			expectDecisive(t, r, "pass")
		}
	}
	if left := api.list(); len(left) > 0 {
		t.Errorf("expected no notes, got %d", len(left))
	}
}

// TestCleanUp_afterStop: the prober stops in the middle of a run.
func TestCleanUp_afterStop(t *testing.T) {
	blind := []string{`list:   "/notes?cursor={cursor}"`, "", "next:   $.next", "", `search: "/notes?q={canary}"`, ""}
	for at, change := range map[string][]string{
		"read": nil, "list": nil, "search": nil, "export": nil, "update": nil, "delete": nil, "create": nil, "create, without lists": blind,
	} {
		op, _, _ := strings.Cut(at, ",")
		t.Run("at "+at, func(t *testing.T) {
			stop := func() {}
			api := newNotesAPI("header")
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if n := len(api.list()); q.op == op && (n > 1 || op == "create" && n == 1) {
					stop()
					defer func() { <-time.After(100 * time.Millisecond) }() // done at once, and answered only after the stop
				}
				next(w, q.Request)
			}
			job := newJob(t, strings.NewReplacer(change...).Replace(api.start(t)))
			var r probe.Result
			var took time.Duration
			inMemory(t, func(ctx context.Context) {
				ctx, stop = context.WithCancel(ctx)
				defer stop()
				began := time.Now()
				r = job.Do(ctx)
				took = time.Since(began)
				job.Probe.(*Probe).anonymous.Close()
			})
			if r.Verdict() != probe.Inconclusive || !strings.Contains(probetest.Lines(r), "(cancelled)") {
				t.Errorf("got\n%s", probetest.Lines(r))
			}
			if left := api.list(); len(left) > 0 {
				t.Errorf("expected no notes, got %d", len(left))
			}
			if took > 8*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// TestCleanUp_afterTimeout: a response that never comes takes the time of the run, not of the clean-up. An object that
// was created without a response is found by its name.
func TestCleanUp_afterTimeout(t *testing.T) {
	testenv.WithoutRace(t)
	testenv.Slow(t, "it waits for the timeout of a run")
	never := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, holds := range map[string]func(*apiRequest) bool{
		"at export": operation("export"), "at another's object": foreignOperation("read"), "at create": operation("create"),
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				switch {
				case !holds(q):
					next(w, q.Request)
				case q.op == "create" && len(api.list()) == 0:
					next(w, q.Request) // the first one is answered
				case q.op == "create":
					next(httptest.NewRecorder(), q.Request)
					never(w, q.Request)
				default:
					never(w, q.Request)
				}
			}
			r := api.runProbe(t, "timeout: 20s", "timeout: 4s")
			if r.Verdict() != probe.Inconclusive || strings.Contains(probetest.Lines(r), "hung") || strings.Contains(probetest.Lines(r), "fail(") {
				t.Errorf("got\n%s", probetest.Lines(r))
			}
			if left := api.list(); len(left) > 0 {
				t.Errorf("expected no notes, got %d", len(left))
			}
		})
	}
}

// TestFrozen: a target that stops to respond in the middle of a run does not use up its time, and the silence comes first.
func TestFrozen(t *testing.T) {
	testenv.WithoutRace(t)
	testenv.Slow(t, "it waits for responses that never come")
	const timeout = 8 * time.Second
	silence := regexp.MustCompile(`the target stopped to respond: no response within (\S+) to `)
	for _, after := range []int64{4, 20, 124} {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			t.Parallel()
			var hung atomic.Int64
			api := newNotesAPI("header")
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if api.requests.Load() > after && q.op != "delete" {
					hung.Add(1)
					_, _ = io.Copy(io.Discard, q.Body) // before its end the server does not notice that the client is gone
					<-q.Context().Done()
					return
				}
				next(w, q.Request)
			}
			r := ask(t, newJob(t, strings.Replace(api.start(t), "timeout: 20s", "timeout: "+timeout.String(), 1)))
			why := r.Decisive()
			said := silence.FindStringSubmatch(why.Detail)
			if why.Verdict != probe.Inconclusive || said == nil {
				t.Fatalf("got\n%s", probetest.Lines(r))
			}
			if patience, err := time.ParseDuration(said[1]); err != nil || patience > timeout/5 {
				t.Errorf("expected no request to take more than a fifth of the time, got %s", said[1])
			}
			// Four are under way at a time, and the next may follow between the first silence and the second.
			if got := hung.Load(); got > maxSilences+4 {
				t.Errorf("expected the run to end after %d silences, got %d", maxSilences, got)
			}
		})
	}
}

// TestVisibilityDelay: an owner may see its note late, within the limit.
func TestVisibilityDelay(t *testing.T) {
	api := newNotesAPI("header")
	api.lag = 150 * time.Millisecond
	expectDecisive(t, api.runProbe(t, "visibility_delay: 300ms", "visibility_delay: 5s"), "pass")
	api = newNotesAPI("header")
	api.lag = time.Minute
	expectDecisive(t, api.runProbe(t), "control@notes/read inconclusive(control_failed)")
}

// TestMaxRequests: a run is bounded in its requests, and what it did not test is not proven.
func TestMaxRequests(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	r := api.runProbe(t, "visibility_delay: 300ms", "visibility_delay: 300ms\n    max_requests: 60")
	if r.Verdict() != probe.Inconclusive || !strings.Contains(probetest.Lines(r), "max_requests") {
		t.Errorf("got\n%s", probetest.Lines(r))
	}
	if got := api.requests.Load(); got > 60+2+12 {
		t.Errorf("%d requests, want 60, two whoami and the clean-up", got)
	}
	if left := api.list(); len(left) > 0 {
		t.Errorf("expected no notes, got %d", len(left))
	}
}

// TestRateLimited: after a 429 only the clean-up sends requests.
func TestRateLimited(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	after := int64(-1)
	api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		if q.op == "search" {
			api.mu.Lock()
			if after < 0 {
				after = api.requests.Load()
			}
			api.mu.Unlock()
			reply(w, 429, `{}`)
			return
		}
		next(w, q.Request)
	}
	// One at a time: what is in progress when the 429 arrives cannot be taken back.
	r := api.runProbe(t, "replica: here", "replica: here\n    concurrency: 1")
	expectDecisive(t, r, "control@notes/read inconclusive(rate_limited)")
	if got := api.requests.Load() - after; got > 6+2*3 { // others may be under way, and follow before the 429 arrives
		t.Errorf("%d requests after the 429, want the clean-up and what was under way", got)
	}
}

// TestPages: another org's note on the last page is found, by cursor and by number.
func TestPages(t *testing.T) {
	leaking := func(api *notesAPI) func(http.ResponseWriter, *apiRequest, http.HandlerFunc) {
		return func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			if q.op == "list" && q.namesOwnOrg() {
				if page := q.URL.Query().Get("page"); page != "" {
					q.Request.URL.RawQuery = "cursor=" + fmt.Sprint(int(page[0]-'1')*api.pageSize)
				}
				api.serve(w, q, anyNote)
				return
			}
			next(w, q.Request)
		}
	}
	for name, change := range map[string][]string{
		"by cursor": nil,
		"by number": {`"/notes?cursor={cursor}"`, `"/notes?page={page}"`, "next:   $.next", `items:  "$.notes[*]"`},
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			api.pageSize = 4
			for i := range 12 {
				api.add("red", fmt.Sprintf("an-old-note-%d", i), "x")
			}
			api.intercept = leaking(api)
			expectDecisive(t, api.runProbe(t, change...), "isolated@notes/list fail(leak_list)")
		})
	}
	// More pages than are read: the others are not known.
	api := newNotesAPI("header")
	api.pageSize = 1
	for i := range 12 {
		api.add("red", fmt.Sprintf("an-old-note-%d", i), "x")
	}
	expectDecisive(t, api.runProbe(t), "isolated@notes/list inconclusive(too_large)")
}

// TestIDs_inLocation also compares which ids are distinctive.
func TestIDs_inLocation(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	expectDecisive(t, api.runProbe(t, "number: $.count", "number: $.count\n        id: {header: Location}"), "pass")
	for id, tells := range map[string]bool{
		"17": false, "4711": false, "1234567890": false, "1234567890123456": true, "note-1": false, "01JABCDEF0123": true,
	} {
		if distinctive(id) != tells {
			t.Errorf("%s: distinctive is %t", id, !tells)
		}
	}
	for _, id := range []string{"17", "4f1c0b5e-2d1f-4c1e-9f00-8a7b6c5d4e3f", "01JABCDEFGHKMNPQRSTVWXYZ00", "note-00000001-red"} {
		a, b := nonexistentID(id, nil), nonexistentID(id, nil)
		if a == id || a == b || (len(a) != len(id) && id != "17") || strings.Count(a, "-") != strings.Count(id, "-") {
			t.Errorf("%s: nonexistent are %s and %s", id, a, b)
		}
	}
}

// TestIsolated_manyRuns: no false alarm, and no orphans.
func TestIsolated_manyRuns(t *testing.T) {
	testenv.Slow(t, "it runs the probe many times")
	api := newNotesAPI("header")
	job := newJob(t, api.start(t))
	for i := range 25 {
		if !testenv.Sampled(i, 10) {
			continue
		}
		if r := ask(t, job); r.Verdict() != probe.Pass {
			t.Fatalf("a false alarm:\n%s", probetest.Lines(r))
		}
	}
	if left := api.list(); len(left) > 0 {
		t.Errorf("expected no notes, got %d", len(left))
	}
}
