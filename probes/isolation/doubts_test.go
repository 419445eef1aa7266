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
	"prober/probes/internal/probetest"
)

// lagging answers a count of its own making, to whoever asks rightly, as it was a moment ago.
func lagging(number func(q *asked) int) func(http.ResponseWriter, *asked, http.HandlerFunc) {
	const lag = 120 * time.Millisecond
	type counted struct {
		n  int
		at time.Time
	}
	var mu sync.Mutex
	var all []counted
	return func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
		if q.op != "count" || !q.rightly() {
			honest(w, q.Request)
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

// TestACountThatLagsIsNotTakenForInnocent: it is of all orgs, and stands still while it is looked at.
func TestACountThatLagsIsNotTakenForInnocent(t *testing.T) {
	api := newNotebook("header")
	api.twist = lagging(func(*asked) int { return len(api.left()) })
	r := api.examined(t)
	if why := r.Decisive(); why.Verdict == probe.Pass || why.Name != checkIsolated || why.Target != "notes/count" {
		t.Errorf("got\n%s", probetest.Lines(r))
	}
}

// TestACountThatCannotBeToldProvesNothing: it grows with another's canary, which cannot be deleted to see it shrink.
func TestACountThatCannotBeToldProvesNothing(t *testing.T) {
	api := newNotebook("header")
	api.twist = func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
		switch {
		case q.op == "count" && q.rightly():
			reply(w, 200, fmt.Sprintf(`{"count":%d}`, len(api.left())))
		case q.op == "delete" && q.rightly() && q.owner == q.org:
			reply(w, 503, `{}`)
		default:
			honest(w, q.Request)
		}
	}
	wantFirst(t, api.examined(t), "isolated@notes/count inconclusive(control_failed)")
}

// TestInstancesAreNoOracle: a header that names who answered differs between any two answers.
func TestInstancesAreNoOracle(t *testing.T) {
	for _, instances := range []int{2, 3, 5} {
		api, n := newNotebook("header"), 0
		api.twist = func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
			api.mu.Lock()
			w.Header().Set("X-Instance", strconv.Itoa(n*7%instances))
			n++
			api.mu.Unlock()
			honest(w, q.Request)
		}
		wantFirst(t, api.examined(t), "pass")
	}
	// The third of three answers by the first instance is what a hasty comparison falls for, every time.
	api, n := newNotebook("header"), 0
	api.twist = func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
		if q.op == "read" && q.rightly() && q.owner != q.org {
			api.mu.Lock()
			w.Header().Set("X-Instance", strconv.Itoa(n%2))
			n++
			api.mu.Unlock()
		}
		honest(w, q.Request)
	}
	wantFirst(t, api.examined(t), "pass")
	// A header that always tells is found all the same, whoever answers.
	api.twist = func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
		if q.op == "read" && q.foreign() {
			w.Header().Set("X-Shard", "7")
		}
		honest(w, q.Request)
	}
	wantFirst(t, api.examined(t), "oracle@notes/read fail(existence_oracle)")
}

// TestAnOracleComparesDenials: where another org's object is shown, nothing is said of how it is denied.
func TestAnOracleComparesDenials(t *testing.T) {
	api := newNotebook("header")
	api.twist = when(foreignOn("read"), func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `{}`) })
	r := api.examined(t)
	wantFirst(t, r, "isolated@notes/read fail(misleading_success)")
	if got := probetest.Lines(r); !strings.Contains(got, "oracle@notes/read inconclusive(control_failed): another org's object, or one that never was, is not denied") {
		t.Errorf("got\n%s", got)
	}
}

// TestIDsWithinIDs: that a list shows one's own longer id, in plain or in a cursor, shows nobody else's.
func TestIDsWithinIDs(t *testing.T) {
	longer := func(n int, _ string) string { return "note-000000000" + strings.Repeat("1", n) }
	cursors := func(w http.ResponseWriter, q *asked, honest http.HandlerFunc, api *notebook) {
		if own := ownOf(api, q.org); q.op == "list" && q.rightly() && len(own) > 0 {
			w.Header().Set("X-Cursor", base64.StdEncoding.EncodeToString([]byte(`{"after":"`+own[0].ID+`"}`)))
		}
		honest(w, q.Request)
	}
	api := newNotebook("header")
	api.name = longer
	api.twist = func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) { cursors(w, q, honest, api) }
	wantFirst(t, api.examined(t), "pass")
	leaking := newNotebook("header")
	leaking.name = longer
	leaking.twist = func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
		if all := leaking.left(); q.op == "list" && q.rightly() && len(all) > 1 {
			for i := range all {
				if all[i].org != q.org {
					all[i].Text = ""
				}
			}
			reply(w, 200, marshal(map[string]any{"notes": all, "next": ""}))
			return
		}
		honest(w, q.Request)
	}
	wantFirst(t, leaking.examined(t), "isolated@notes/list fail(leak_list)")
}

// TestShortNumbersAreIDs: what never was is an id that the API can read, too.
func TestShortNumbersAreIDs(t *testing.T) {
	api := newNotebook("header")
	api.name = func(n int, _ string) string { return strconv.Itoa(40 + n) }
	api.twist = when(func(q *asked) bool {
		_, err := strconv.ParseInt(q.id, 10, 32)
		return q.op == "read" && q.org != "" && err != nil
	}, status(400))
	wantFirst(t, api.examined(t), "pass")
}

// TestListsOfIDsAlone prove as much as others, where the ids tell.
func TestListsOfIDsAlone(t *testing.T) {
	ids := func(api *notebook, of func(note) bool) func(http.ResponseWriter, *asked, http.HandlerFunc) {
		return func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
			if (q.op == "list" || q.op == "export") && q.rightly() {
				var all []map[string]string
				for _, m := range api.left() {
					if m.org == q.org || of(m) {
						all = append(all, map[string]string{"id": m.ID})
					}
				}
				reply(w, 200, marshal(map[string]any{"notes": all, "next": ""}))
				return
			}
			honest(w, q.Request)
		}
	}
	api := newNotebook("header")
	api.twist = ids(api, func(note) bool { return false })
	wantFirst(t, api.examined(t), "pass")
	api = newNotebook("header")
	api.twist = ids(api, everything)
	wantFirst(t, api.examined(t), "isolated@notes/list fail(leak_list)")
	api = newNotebook("header")
	api.name = func(n int, _ string) string { return strconv.Itoa(n) }
	api.twist = ids(api, everything)
	wantFirst(t, api.examined(t), "isolated@notes/list inconclusive(nothing_checked)")
}

// TestOneIDForTwoObjects: orgs that number their objects each for themselves are asked for their own by every id.
func TestOneIDForTwoObjects(t *testing.T) {
	for name, same := range map[string]string{"short": "17", "long": "invoice-0000017"} {
		t.Run(name, func(t *testing.T) {
			api := newNotebook("header")
			api.twist = func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
				if q.op == "create" && q.rightly() {
					reply(w, 201, `{"id":"`+same+`"}`)
					var sent struct{ Text string }
					decode(q, &sent)
					api.plant(q.org, same, sent.Text)
					return
				}
				if own := ownOf(api, q.org); q.op == "read" && q.rightly() && len(own) > 0 {
					reply(w, 200, marshal(own[0]))
					return
				}
				if q.op == "delete" && q.rightly() {
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
				honest(w, q.Request)
			}
			r := api.examined(t, "count:  \"NOTES/count\"", "", "count:  \"/notes/count\"", "", "number: $.count", "")
			wantFirst(t, r, "control@notes/read inconclusive(control_failed)")
			if strings.Contains(probetest.Lines(r), "fail(") || !strings.Contains(probetest.Lines(r), "have one id") {
				t.Errorf("got\n%s", probetest.Lines(r))
			}
			if left := api.left(); len(left) > 0 {
				t.Errorf("%d notes are left", len(left))
			}
		})
	}
}

// TestADeleteThatOnlySaysSo leaves canaries behind, and is not believed.
func TestADeleteThatOnlySaysSo(t *testing.T) {
	api := newNotebook("header")
	job := isolation(t, api.start(t))
	lies := when(func(q *asked) bool { return q.op == "delete" && q.rightly() && q.owner == q.org }, status(204))
	api.mu.Lock()
	api.twist = lies
	api.mu.Unlock()
	r := job.Do(t.Context())
	wantFirst(t, r, "pass")
	const planted = 4
	if got := measured(r, "probe_isolation_leftovers"); got != planted || len(api.left()) != planted {
		t.Errorf("%g leftovers are told of and %d notes are there, want %d", got, len(api.left()), planted)
	}
	piles(t, api, job)
}

// TestWhatIsNotThereYetIsNotGone: an object that a delete does not find, so soon after it was created, is tried again.
func TestWhatIsNotThereYetIsNotGone(t *testing.T) {
	api := newNotebook("header")
	api.lag = 2 * time.Second
	job := isolation(t, strings.Replace(api.start(t), "settle: 300ms", "settle: 500ms", 1))
	r := job.Do(t.Context())
	wantFirst(t, r, "control@notes/read inconclusive(control_failed)")
	if got := measured(r, "probe_isolation_leftovers"); got != 1 || len(api.left()) != 1 {
		t.Errorf("%g leftovers are told of and %d notes are there, want 1", got, len(api.left()))
	}
	recovers(t, api, job)
}

// TestACreateThatReturnsAnothersID is seen for what it is: the other org's object is shown, or nothing is proven.
func TestACreateThatReturnsAnothersID(t *testing.T) {
	api := newNotebook("header")
	first := ""
	api.twist = func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
		if q.op != "create" || !q.rightly() {
			honest(w, q.Request)
			return
		}
		var sent struct{ Text string }
		decode(q, &sent)
		api.mu.Lock()
		api.next++
		m := note{ID: api.name(api.next, q.org), Text: sent.Text, org: q.org, made: time.Now()}
		api.notes = append(api.notes, m)
		if first == "" {
			first = m.ID
		}
		id := first
		api.mu.Unlock()
		reply(w, 201, `{"id":"`+id+`"}`)
	}
	r := api.examined(t)
	if r.Verdict() != probe.Inconclusive || strings.Contains(probetest.Lines(r), "fail(") {
		t.Errorf("got\n%s", probetest.Lines(r))
	}
}
