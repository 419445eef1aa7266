package isolation

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// movingAPI moves a caller's own note to the org that an update names in some place.
func movingAPI(api *notesAPI, named func(q *apiRequest, body map[string]any) string, answer func(w http.ResponseWriter, m note)) func(http.ResponseWriter, *apiRequest, http.HandlerFunc) {
	return func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		if q.op != "update" || !q.namesOwnOrg() || q.owner != q.org {
			next(w, q.Request)
			return
		}
		body := map[string]any{}
		decode(q, &body)
		org := named(q, body)
		if org == "" {
			org = q.org
		}
		api.mu.Lock()
		i := api.index(q.id)
		api.notes[i].org = org
		if text, ok := body["text"].(string); ok {
			api.notes[i].Text = text
		}
		m := api.notes[i]
		api.mu.Unlock()
		if org == q.org {
			reply(w, 200, marshal(m))
			return
		}
		answer(w, m)
	}
}

// TestMoves: an update of a caller's own object that names another org in any undocumented place must not move it there.
func TestMoves(t *testing.T) {
	testenv.WithoutRace(t)
	member := func(name string) func(*apiRequest, map[string]any) string {
		return func(_ *apiRequest, body map[string]any) string { org, _ := body[name].(string); return org }
	}
	admitted := func(w http.ResponseWriter, m note) { reply(w, 200, marshal(m)) }
	denied := func(w http.ResponseWriter, _ note) { reply(w, 422, `{"error":"org"}`) }
	for name, c := range testenv.Sample(map[string]struct {
		named  func(*apiRequest, map[string]any) string
		answer func(http.ResponseWriter, note)
		want   string
	}{
		"no member":            {member("none"), admitted, "pass"},
		"the first member":     {member("org_id"), admitted, "isolated@notes/update fail(foreign_write)"},
		"the second member":    {member("account"), admitted, "isolated@notes/update fail(foreign_write)"},
		"a member, but denied": {member("account"), denied, "isolated@notes/update fail(foreign_write)"},
		"a member alone": {func(q *apiRequest, body map[string]any) string {
			delete(body, "text") // the service does not change it
			return member("account")(q, body)
		}, admitted, "isolated@notes/update fail(leak_body)"},
		"a header":              {func(q *apiRequest, _ map[string]any) string { return q.Header.Get("X-Tenant-Id") }, admitted, "context@notes/update fail(foreign_write)"},
		"a parameter, unusably": {func(q *apiRequest, _ map[string]any) string { return q.URL.Query().Get("org_id") }, denied, "context@notes/update fail(foreign_write)"},
	}, 4) {
		for lists, change := range map[string][]string{
			"": nil, ", without reads": {`read:   "/notes/{id}"`, ""}, ", without lists": {`list:   "/notes?cursor={cursor}"`, "", "next:   $.next", "", `search: "/notes?q={canary}"`, ""},
		} {
			t.Run(name+lists, func(t *testing.T) {
				api := newNotesAPI("header")
				api.intercept = movingAPI(api, c.named, c.answer)
				r := api.runProbe(t, append(change, "replica: here", "replica: here\n    overrides: {headers: [X-Tenant-Id], query: [org_id], body: [org_id, account]}")...)
				if name == "a member alone" && lists == ", without reads" {
					expectDecisive(t, r, "isolated@notes/list fail(leak_list)") // which tells no move from a list that shows all
					return
				}
				expectDecisive(t, r, c.want)
				if left := api.list(); len(left) > 0 {
					t.Errorf("expected no notes, got %d", len(left))
				}
				if got := measuredValue(r, "probe_isolation_orphaned_canaries"); got != 0 {
					t.Errorf("expected no orphans, got %g", got)
				}
			})
		}
	}
}

// TestDeleted_isShownToNobody: what an org deleted is shown to no other org and to no unauthorized caller, by id or in a
// list.
func TestDeleted_isShownToNobody(t *testing.T) {
	testenv.WithoutRace(t)
	for name, c := range map[string]struct {
		shows  func(q *apiRequest, deleted note) bool
		breaks bool // what an org has changed breaks the reads of others, until it is deleted
		want   string
	}{
		"nobody":                 {func(*apiRequest, note) bool { return false }, false, "pass"},
		"another org":            {func(q *apiRequest, m note) bool { return q.op == "read" && q.org != "" && q.org != m.org }, false, "isolated@notes/delete fail(leak_body)"},
		"another org, at last":   {func(q *apiRequest, m note) bool { return q.op == "read" && q.org != "" && q.org != m.org }, true, "isolated@notes/delete fail(leak_body)"},
		"everybody with a token": {func(q *apiRequest, m note) bool { return q.op == "read" && q.org != "" }, false, "isolated@notes/delete fail(leak_body)"},
		"anonymous callers":      {func(q *apiRequest, m note) bool { return q.op == "read" && q.org == "" }, false, "isolated@notes/delete fail(auth_bypass)"},
		"another org's list":     {func(q *apiRequest, m note) bool { return q.op == "list" && q.org != "" && q.org != m.org }, false, "isolated@notes/list fail(leak_list)"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			var mu sync.Mutex
			var trash []note
			changed := map[string]bool{}
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				mu.Lock()
				shown := slices.DeleteFunc(slices.Clone(trash), func(m note) bool { return !c.shows(q, m) })
				if q.op == "delete" && q.owner == q.org && q.namesOwnOrg() {
					trash = append(trash, q.note)
				}
				own := q.owner == q.org
				changed[q.id] = changed[q.id] || own && q.op == "update"
				broken := c.breaks && !own && q.op == "read" && q.org != "" && q.owner != "" && changed[q.id]
				mu.Unlock()
				i := slices.IndexFunc(shown, func(m note) bool { return m.ID == q.id })
				switch {
				case broken:
					reply(w, 503, `{}`)
				case q.op == "read" && i >= 0:
					reply(w, 200, marshal(shown[i]))
				case q.op == "list" && len(shown) > 0 && q.namesOwnOrg():
					reply(w, 200, marshal(map[string]any{"notes": append(shown, notesOf(api, q.org)...), "next": ""}))
				default:
					next(w, q.Request)
				}
			}
			r := api.runProbe(t)
			expectDecisive(t, r, c.want)
		})
	}
}

// TestDeleted_gone: a service may say that an object is gone rather than not found, to everybody.
func TestDeleted_gone(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	var mu sync.Mutex
	deleted := map[string]bool{}
	api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		mu.Lock()
		gone := deleted[q.id]
		if q.op == "delete" && q.owner == q.org && q.namesOwnOrg() {
			deleted[q.id] = true
		}
		mu.Unlock()
		if gone && q.op == "read" {
			reply(w, 410, `{"error":"gone"}`)
			return
		}
		next(w, q.Request)
	}
	r := api.runProbe(t)
	expectDecisive(t, r, "pass")
	if got := r.Checks; !slices.ContainsFunc(got, func(c probe.Check) bool {
		return c.Target == "notes/delete" && strings.Contains(c.Detail, "what an org deleted is shown to nobody")
	}) {
		t.Errorf("got %v", got)
	}
}
