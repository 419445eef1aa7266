package isolation

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// laggingCount responds to counts with the right org with a number from a moment ago.
func laggingCount(number func(q *apiRequest) int) func(http.ResponseWriter, *apiRequest, http.HandlerFunc) {
	const lag = 120 * time.Millisecond
	type counted struct {
		n  int
		at time.Time
	}
	var mu sync.Mutex
	var all []counted
	return func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		if q.op != "count" || !q.namesOwnOrg() {
			next(w, q.Request)
			if q.op == "create" || q.op == "delete" {
				mu.Lock()
				all = append(all, counted{number(q), time.Now()})
				mu.Unlock()
			}
			return
		}
		mu.Lock()
		defer mu.Unlock()
		n := 0
		for _, c := range all {
			if time.Since(c.at) >= lag {
				n = c.n
			}
		}
		reply(w, 200, fmt.Sprintf(`{"count":%d}`, n))
	}
}

// TestCount_lagging: a count of all orgs that lags must not pass.
func TestCount_lagging(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	api.intercept = laggingCount(func(*apiRequest) int { return len(api.list()) })
	r := api.runProbe(t)
	if why := r.Decisive(); why.Verdict == probe.Pass || why.Name != checkIsolated || why.Target != "notes/count" {
		t.Errorf("got\n%s", probetest.Lines(r))
	}
}

// TestCount_inconclusive: the count grows with another's canary, which cannot be deleted to see it shrink.
func TestCount_inconclusive(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		switch {
		case q.op == "count" && q.namesOwnOrg():
			reply(w, 200, fmt.Sprintf(`{"count":%d}`, len(api.list())))
		case q.op == "delete" && q.namesOwnOrg() && q.owner == q.org:
			reply(w, 503, `{}`)
		default:
			next(w, q.Request)
		}
	}
	expectDecisive(t, api.runProbe(t), "isolated@notes/count inconclusive(control_failed)")
}

// TestOracle_instanceHeader: a header that names the instance is not an oracle.
func TestOracle_instanceHeader(t *testing.T) {
	testenv.WithoutRace(t)
	for _, instances := range []int{2, 3, 5} {
		api, n := newNotesAPI("header"), 0
		api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			api.mu.Lock()
			w.Header().Set("X-Instance", strconv.Itoa(n*7%instances))
			n++
			api.mu.Unlock()
			next(w, q.Request)
		}
		expectDecisive(t, api.runProbe(t), "pass")
	}
	// With two instances in turn, one comparison of three responses always differs.
	api, n := newNotesAPI("header"), 0
	api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		if q.op == "read" && q.namesOwnOrg() && q.owner != q.org {
			api.mu.Lock()
			w.Header().Set("X-Instance", strconv.Itoa(n%2))
			n++
			api.mu.Unlock()
		}
		next(w, q.Request)
	}
	expectDecisive(t, api.runProbe(t), "pass")
	// A header that always distinguishes is found.
	api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		if q.op == "read" && q.foreign() {
			w.Header().Set("X-Shard", "7")
		}
		next(w, q.Request)
	}
	expectDecisive(t, api.runProbe(t), "oracle@notes/read fail(existence_oracle)")
}

// TestOracle_needsDenials: an object that is not denied has no denial to compare.
func TestOracle_needsDenials(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	api.intercept = interceptIf(foreignOperation("read"), func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `{}`) })
	r := api.runProbe(t)
	expectDecisive(t, r, "isolated@notes/read fail(misleading_success)")
	if got := probetest.Lines(r); !strings.Contains(got, "oracle@notes/read inconclusive(control_failed): another org's object, or a nonexistent one, is not denied") {
		t.Errorf("got\n%s", got)
	}
}

// TestIDs_withinIDs: the caller's own longer id, in plain or in a cursor, is not a leak of a shorter one.
func TestIDs_withinIDs(t *testing.T) {
	testenv.WithoutRace(t)
	longer := func(n int, _ string) string { return "note-000000000" + strings.Repeat("1", n) }
	cursors := func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc, api *notesAPI) {
		if own := notesOf(api, q.org); q.op == "list" && q.namesOwnOrg() && len(own) > 0 {
			w.Header().Set("X-Cursor", base64.StdEncoding.EncodeToString([]byte(`{"after":"`+own[0].ID+`"}`)))
		}
		next(w, q.Request)
	}
	api := newNotesAPI("header")
	api.newID = longer
	api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) { cursors(w, q, next, api) }
	expectDecisive(t, api.runProbe(t), "pass")
	leaking := newNotesAPI("header")
	leaking.newID = longer
	leaking.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		if all := leaking.list(); q.op == "list" && q.namesOwnOrg() && len(all) > 1 {
			for i := range all {
				if all[i].org != q.org {
					all[i].Text = ""
				}
			}
			reply(w, 200, marshal(map[string]any{"notes": all, "next": ""}))
			return
		}
		next(w, q.Request)
	}
	expectDecisive(t, leaking.runProbe(t), "isolated@notes/list fail(leak_list)")
}

// TestIDs_shortNumbers: a nonexistent id is one that the API can parse.
func TestIDs_shortNumbers(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	api.newID = func(n int, _ string) string { return strconv.Itoa(40 + n) }
	api.intercept = interceptIf(func(q *apiRequest) bool {
		_, err := strconv.ParseInt(q.id, 10, 32)
		return q.op == "read" && q.org != "" && err != nil
	}, respondStatus(400))
	expectDecisive(t, api.runProbe(t), "pass")
}

// TestLists_idsOnly: lists of ids prove as much as others if the ids are distinctive.
func TestLists_idsOnly(t *testing.T) {
	testenv.WithoutRace(t)
	ids := func(api *notesAPI, of func(note) bool) func(http.ResponseWriter, *apiRequest, http.HandlerFunc) {
		return func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			if (q.op == "list" || q.op == "export") && q.namesOwnOrg() {
				var all []map[string]string
				for _, m := range api.list() {
					if m.org == q.org || of(m) {
						all = append(all, map[string]string{"id": m.ID})
					}
				}
				reply(w, 200, marshal(map[string]any{"notes": all, "next": ""}))
				return
			}
			next(w, q.Request)
		}
	}
	api := newNotesAPI("header")
	api.intercept = ids(api, func(note) bool { return false })
	expectDecisive(t, api.runProbe(t), "pass")
	api = newNotesAPI("header")
	api.intercept = ids(api, anyNote)
	expectDecisive(t, api.runProbe(t), "isolated@notes/list fail(leak_list)")
	api = newNotesAPI("header")
	api.newID = func(n int, _ string) string { return strconv.Itoa(n) }
	api.intercept = ids(api, func(note) bool { return false })
	expectDecisive(t, api.runProbe(t), "pass")
	api = newNotesAPI("header")
	api.newID = func(n int, _ string) string { return strconv.Itoa(n) }
	api.intercept = ids(api, anyNote)
	expectDecisive(t, api.runProbe(t), "isolated@notes/list fail(leak_list)")
}

// TestIDs_notUnique: if each org numbers its own objects, a request by id is for the caller's own.
func TestIDs_notUnique(t *testing.T) {
	testenv.WithoutRace(t)
	for name, same := range map[string]string{"short": "17", "long": "invoice-0000017"} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if q.op == "create" && q.namesOwnOrg() {
					reply(w, 201, `{"id":"`+same+`"}`)
					var sent struct{ Text string }
					decode(q, &sent)
					api.add(q.org, same, sent.Text)
					return
				}
				if own := notesOf(api, q.org); q.op == "read" && q.namesOwnOrg() && len(own) > 0 {
					reply(w, 200, marshal(own[0]))
					return
				}
				if q.op == "delete" && q.namesOwnOrg() {
					api.mu.Lock()
					for i, m := range api.notes {
						if m.org == q.org {
							api.notes = append(api.notes[:i], api.notes[i+1:]...)
							break
						}
					}
					api.mu.Unlock()
					w.WriteHeader(204)
					return
				}
				next(w, q.Request)
			}
			r := api.runProbe(t, "count:  \"NOTES/count\"", "", "count:  \"/notes/count\"", "", "number: $.count", "")
			expectDecisive(t, r, "control@notes/read inconclusive(control_failed)")
			if strings.Contains(probetest.Lines(r), "fail(") || !strings.Contains(probetest.Lines(r), "have one id") {
				t.Errorf("got\n%s", probetest.Lines(r))
			}
			if left := api.list(); len(left) > 0 {
				t.Errorf("expected no notes, got %d", len(left))
			}
		})
	}
}

// TestDelete_notDone: a delete that does nothing leaves orphans, which are counted.
func TestDelete_notDone(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	job := newJob(t, api.start(t))
	lies := interceptIf(func(q *apiRequest) bool { return q.op == "delete" && q.namesOwnOrg() && q.owner == q.org }, respondStatus(204))
	api.mu.Lock()
	api.intercept = lies
	api.mu.Unlock()
	r := ask(t, job)
	expectDecisive(t, r, "pass")
	const created = 10 + maxPageSeeds
	if got := measuredValue(r, "probe_isolation_orphaned_canaries"); got != created || len(api.list()) != created {
		t.Errorf("reported %g orphans and found %d notes, expected %d", got, len(api.list()), created)
	}
	expectOrphansBounded(t, api, job)
}

// TestDelete_notVisibleYet: the next run deletes an object that was not found because it was new.
func TestDelete_notVisibleYet(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	api.lag = 2 * time.Second
	job := newJob(t, strings.Replace(api.start(t), "visibility_delay: 300ms", "visibility_delay: 500ms", 1))
	r := ask(t, job)
	expectDecisive(t, r, "control@notes/read inconclusive(control_failed)")
	if got := measuredValue(r, "probe_isolation_orphaned_canaries"); got != 3 || len(api.list()) != 3 {
		t.Errorf("reported %g orphans and found %d notes, expected 3", got, len(api.list()))
	}
	expectRecovery(t, api, job)
}

// TestCreate_returnsOthersID: a create that returns the id of another org's object proves nothing.
func TestCreate_returnsOthersID(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	first := ""
	api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		if q.op != "create" || !q.namesOwnOrg() {
			next(w, q.Request)
			return
		}
		var sent struct{ Text string }
		decode(q, &sent)
		api.mu.Lock()
		api.serial++
		m := note{ID: api.newID(api.serial, q.org), Text: sent.Text, org: q.org, made: time.Now()}
		api.notes = append(api.notes, m)
		if first == "" {
			first = m.ID
		}
		id := first
		api.mu.Unlock()
		reply(w, 201, `{"id":"`+id+`"}`)
	}
	r := api.runProbe(t)
	if r.Verdict() != probe.Inconclusive || strings.Contains(probetest.Lines(r), "fail(") {
		t.Errorf("got\n%s", probetest.Lines(r))
	}
}
