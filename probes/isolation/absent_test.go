package isolation

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// forbidsMissing has an API answer 403 for whatever does not exist, as Directus does, so that it is no oracle.
func forbidsMissing(api *notesAPI, also func(http.ResponseWriter, *apiRequest) bool) func(http.ResponseWriter, *apiRequest, http.HandlerFunc) {
	return func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		switch {
		case also(w, q):
		case q.id != "" && q.namesOwnOrg() && q.owner != q.org:
			reply(w, 403, `{"error":"forbidden"}`)
		default:
			next(w, q.Request)
		}
	}
}

// remove deletes a note, whoever it belongs to.
func (n *notesAPI) remove(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := n.index(id); i >= 0 {
		n.notes = slices.Delete(n.notes, i, i+1)
	}
}

// TestForeignDelete_missingIsForbidden: where a missing object is forbidden rather than not found, also to its owner, a
// deletion by another org is found, counted as a breach, and cleaned up after.
func TestForeignDelete_missingIsForbidden(t *testing.T) {
	testenv.WithoutRace(t)
	for name, status := range map[string]int{"admitted": 204, "denied": 403} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			api.intercept = forbidsMissing(api, func(w http.ResponseWriter, q *apiRequest) bool {
				if q.op != "delete" || !q.foreign() || !q.namesOwnOrg() {
					return false
				}
				api.remove(q.id)
				w.WriteHeader(status)
				return true
			})
			r := api.runProbe(t)
			expectDecisive(t, r, "isolated@notes/delete fail(foreign_delete)")
			if got := measuredValue(r, "probe_isolation_breach_total", "notes/delete"); got != 1 {
				t.Errorf("the counter of breaches grew by %g, expected 1", got)
			}
			if got := measuredValue(r, "probe_isolation_orphaned_canaries"); got != 0 || len(api.list()) != 0 {
				t.Errorf("expected nothing to be left over, got %g orphans and %d notes", got, len(api.list()))
			}
		})
	}
	t.Run("isolated", func(t *testing.T) {
		api := newNotesAPI("header")
		api.intercept = forbidsMissing(api, func(http.ResponseWriter, *apiRequest) bool { return false })
		expectDecisive(t, api.runProbe(t), "pass")
		if len(api.list()) != 0 {
			t.Errorf("expected no notes, got %d", len(api.list()))
		}
	})
}

// TestInterleave_emptyAnswers: an answer without any object is not somebody else's.
func TestInterleave_emptyAnswers(t *testing.T) {
	testenv.WithoutRace(t)
	for name, body := range map[string]string{"nothing": ``, "null": `null`, "an error": `{"error":"internal"}`, "no rows": `{"notes":[]}`} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			own := 0
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if q.op == "read" && q.owner == q.org && q.namesOwnOrg() {
					api.mu.Lock()
					own++
					empty := own%21 == 0
					api.mu.Unlock()
					if empty {
						reply(w, 200, body)
						return
					}
				}
				next(w, q.Request)
			}
			r := api.runProbe(t, "requests: 40", "requests: 200")
			if r.Verdict() != probe.Inconclusive || !strings.Contains(probetest.Lines(r), "interleave@notes/interleave inconclusive(control_failed)") {
				t.Errorf("got\n%s", probetest.Lines(r))
			}
		})
	}
}

// TestExpectUnchanged_staleReplica: a replica that does not have the object yet is asked again before an intruder is blamed for its loss.
func TestExpectUnchanged_staleReplica(t *testing.T) {
	for _, status := range []int{404, 200} {
		api := newNotesAPI("header")
		var mu sync.Mutex
		stale, told := map[string]bool{}, 0
		api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			mu.Lock()
			if q.op == "update" && q.foreign() && q.owner != "" {
				stale[q.id] = true
			}
			first := q.op == "read" && q.owner == q.org && q.owner != "" && q.namesOwnOrg() && stale[q.id]
			if first {
				told++
				delete(stale, q.id)
			}
			mu.Unlock()
			if first {
				reply(w, status, `{}`)
				return
			}
			next(w, q.Request)
		}
		r := api.runProbe(t)
		if expectDecisive(t, r, "pass"); told == 0 {
			t.Error("no replica was stale")
		}
	}
}

// TestOracle_upsert: what an update of a nonexistent id created is deleted again.
func TestOracle_upsert(t *testing.T) {
	for _, status := range []int{200, 201} {
		api := newNotesAPI("header")
		var mu sync.Mutex
		made := 0
		api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			if q.op != "update" || q.owner != "" || !q.namesOwnOrg() {
				next(w, q.Request)
				return
			}
			var sent struct{ Text string }
			decode(q, &sent)
			mu.Lock()
			made++
			mu.Unlock()
			api.add(q.org, q.id, sent.Text)
			reply(w, status, `{"error":"not_found"}`)
		}
		r := api.runProbe(t)
		if left := len(api.list()); left > 0 || made == 0 {
			t.Errorf("%d: of %d notes that were created %d are left\n%s", status, made, left, probetest.Lines(r))
		}
	}
}
