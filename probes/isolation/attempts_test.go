package isolation

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// historyAPI shows the versions of a note when it is read.
type historyAPI struct {
	*notesAPI
	versions map[string][]string // by id
}

func newHistoryAPI() *historyAPI {
	return &historyAPI{newNotesAPI("header"), map[string][]string{}}
}

// readHistory answers the read of a caller's own note with all that was ever written to it.
func (h *historyAPI) readHistory(w http.ResponseWriter, q *apiRequest) bool {
	if q.op != "read" || !q.namesOwnOrg() || q.owner != q.org {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	reply(w, 200, marshal(map[string]any{"id": q.id, "versions": append([]string{q.note.Text}, h.versions[q.id]...)}))
	return true
}

// write adds a version to a note, whoever it belongs to.
func (h *historyAPI) write(q *apiRequest) {
	var sent struct{ Text string }
	decode(q, &sent)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.versions[q.id] = append(h.versions[q.id], sent.Text)
}

// TestForeignUpdate_inHistory: a change that is denied and made anyway is found where the canary is still shown beside it.
func TestForeignUpdate_inHistory(t *testing.T) {
	testenv.WithoutRace(t)
	for name, mutated := range map[string]func(q *apiRequest) bool{
		"with the right org":       func(q *apiRequest) bool { return q.namesOwnOrg() },
		"with the owner's org":     func(q *apiRequest) bool { return q.Header.Get("X-Org-Id") == q.owner },
		"with the owner's as well": func(q *apiRequest) bool { return q.Header.Get("X-Tenant-Id") == q.owner },
		"by none":                  func(*apiRequest) bool { return false },
	} {
		t.Run(name, func(t *testing.T) {
			api := newHistoryAPI()
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				switch {
				case api.readHistory(w, q):
				case q.op == "update" && q.foreign() && mutated(q):
					api.write(q)
					reply(w, 404, `{"error":"not_found"}`)
				default:
					next(w, q.Request)
				}
			}
			want := "context@notes/update fail(foreign_write)"
			switch name {
			case "with the right org":
				want = "isolated@notes/update fail(foreign_write)"
			case "by none":
				want = "pass"
			}
			r := api.runProbe(t)
			expectDecisive(t, r, want)
			if left := api.list(); len(left) > 0 {
				t.Errorf("expected no notes, got %d", len(left))
			}
		})
	}
}

// TestForeignCreate_unanswered: what an org creates in another is found there, whatever the service answers.
func TestForeignCreate_unanswered(t *testing.T) {
	testenv.WithoutRace(t)
	for name, answer := range testenv.Sample(map[string]http.HandlerFunc{
		"no content": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"a denial":   respondStatus(403),
		"a conflict": respondStatus(409),
		"a failure":  respondStatus(500),
		"another id": func(w http.ResponseWriter, _ *http.Request) { reply(w, 201, `{"id":"not-the-id-of-it"}`) },
	}, 2) {
		for ops, change := range map[string][]string{
			"list":   nil,
			"search": {`list:   "/notes?cursor={cursor}"`, "", "next:   $.next", ""},
		} {
			t.Run(name+", seen by "+ops, func(t *testing.T) {
				api := newNotesAPI("header")
				api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
					if q.op != "create" || !q.namesOwnOrg() {
						next(w, q.Request)
						return
					}
					var sent struct {
						Text string
						Org  string `json:"org_id"`
					}
					decode(q, &sent)
					if sent.Org != "" && sent.Org != q.org {
						api.add(sent.Org, "by-body-"+sent.Text, sent.Text)
						answer(w, q.Request)
						return
					}
					api.add(q.org, q.org+"-"+sent.Text, sent.Text)
					reply(w, 201, `{"id":"`+q.org+`-`+sent.Text+`"}`)
				}
				r := api.runProbe(t, change...)
				expectDecisive(t, r, "isolated@notes/create fail(foreign_write)")
				if got := measuredValue(r, "probe_isolation_breach_total", "notes/create"); got != 1 {
					t.Errorf("the counter of breaches grew by %g, expected 1", got)
				}
				if left := api.list(); len(left) > 0 {
					t.Errorf("expected no notes, got %d", len(left))
				}
			})
		}
	}
}

// TestForeignWrite_readLeak: that others are shown what an org wrote to itself is a leak, and no proof that it wrote to
// them.
func TestForeignWrite_readLeak(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		if slices.Contains([]string{"read", "list"}, q.op) && q.namesOwnOrg() {
			api.serve(w, q, anyNote)
			return
		}
		next(w, q.Request)
	}
	r := api.runProbe(t)
	expectDecisive(t, r, "isolated@notes/read fail(leak_body)")
	for _, c := range r.Checks {
		if c.Reason == foreignWrite && c.Verdict == probe.Fail {
			t.Errorf("got\n%s", probetest.Lines(r))
		}
	}
}

// TestForeignDelete_toTrash: an object that another org moved to the owner's trash is deleted, though its owner can still
// read it.
func TestForeignDelete_toTrash(t *testing.T) {
	testenv.WithoutRace(t)
	for name, c := range map[string]struct {
		by     func(q *apiRequest) bool
		status int
		want   string
	}{
		"by another org, and admitted": {func(q *apiRequest) bool { return q.foreign() && q.namesOwnOrg() }, 204, "isolated@notes/delete fail(foreign_delete)"},
		"by another org, and denied":   {func(q *apiRequest) bool { return q.foreign() && q.namesOwnOrg() }, 404, "isolated@notes/delete fail(foreign_delete)"},
		"without a credential":         {func(q *apiRequest) bool { return q.org == "" }, 401, "authenticated@notes/delete fail(auth_bypass)"},
		"by its owner":                 {func(*apiRequest) bool { return false }, 204, "pass"},
	} {
		t.Run(name, func(t *testing.T) {
			api, trash := newNotesAPI("header"), map[string]bool{}
			trashed := func(id string) bool {
				api.mu.Lock()
				defer api.mu.Unlock()
				return trash[id]
			}
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				switch {
				case q.op == "delete" && c.by(q) && q.owner != "":
					api.mu.Lock()
					trash[q.id] = true
					api.mu.Unlock()
					w.WriteHeader(c.status)
				case (q.op == "delete" || q.op == "update") && trashed(q.id):
					reply(w, 404, `{"error":"not_found"}`)
				case slices.Contains([]string{"list", "search", "export", "count"}, q.op) && q.namesOwnOrg():
					api.serve(w, q, func(m note) bool { return m.org == q.org && !trash[m.ID] })
				default:
					next(w, q.Request)
				}
			}
			r := api.runProbe(t)
			expectDecisive(t, r, c.want)
			for _, check := range r.Checks { // nobody else did it; what was admitted in spite of two orgs is a fault of its own
				if failed := fmt.Sprintf("%s@%s fail(%s)", check.Name, check.Target, check.Reason); check.Verdict == probe.Fail && failed != c.want && check.Reason != mismatchNotRejected {
					t.Errorf("expected no other failure, got %s: %s", failed, check.Detail)
				}
			}
			if got := measuredValue(r, "probe_isolation_orphaned_canaries"); c.want == "pass" && got != 0 {
				t.Errorf("expected no orphans, got %g", got)
			}
		})
	}
}
