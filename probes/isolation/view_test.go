package isolation

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"prober/internal/testenv"
)

// A flaggedAPI shows with each note what else is known of it.
type flaggedAPI struct {
	*notesAPI
	mu    sync.Mutex
	known map[string]map[string]any // by id
	made  map[string]time.Time
}

func newFlaggedAPI() *flaggedAPI {
	return &flaggedAPI{notesAPI: newNotesAPI("header"), known: map[string]map[string]any{}, made: map[string]time.Time{}}
}

// set changes what is known of a note.
func (f *flaggedAPI) set(id, member string, change func(before any) any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known[id] == nil {
		f.known[id], f.made[id] = map[string]any{}, time.Now()
	}
	f.known[id][member] = change(f.known[id][member])
}

func to(value any) func(any) any { return func(any) any { return value } }

func count(before any) any {
	n, _ := before.(int)
	return n + 1
}

// show adds what is known of a note to the response to a read.
func (f *flaggedAPI) show(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc, also func(made time.Time) map[string]any) {
	taken := httptest.NewRecorder()
	next(taken, q.Request)
	body := taken.Body.String()
	if q.op == "read" && taken.Code == 200 {
		f.mu.Lock()
		shown := map[string]any{"id": q.id, "text": q.note.Text, "archived": false}
		for member, value := range f.known[q.id] {
			shown[member] = value
		}
		for member, value := range also(f.made[q.id]) {
			shown[member] = value
		}
		f.mu.Unlock()
		body = marshal(shown)
	}
	reply(w, taken.Code, body)
}

// TestForeignWrite_flag: a write that is denied, and sets a flag or a number all the same, is found by what the owner is shown.
func TestForeignWrite_flag(t *testing.T) {
	testenv.WithoutRace(t)
	nothing := func(time.Time) map[string]any { return nil }
	foreign := func(op string, also func(q *apiRequest) bool) func(*apiRequest) bool {
		return func(q *apiRequest) bool { return q.op == op && q.owner != "" && q.owner != q.org && also(q) }
	}
	rightOrg := func(q *apiRequest) bool { return q.namesOwnOrg() }
	ownersOrg := func(q *apiRequest) bool { return q.org != "" && q.Header.Get("X-Org-Id") == q.owner }
	anonymous := func(q *apiRequest) bool { return q.org == "" }
	for name, c := range map[string]struct {
		when   func(q *apiRequest) bool
		member string
		change func(any) any
		also   func(made time.Time) map[string]any
		want   string
	}{
		"a flag":                      {foreign("update", rightOrg), "archived", to(true), nothing, "isolated@notes/update fail(foreign_write)"},
		"a number":                    {foreign("update", rightOrg), "version", count, nothing, "isolated@notes/update fail(foreign_write)"},
		"a member that was not there": {foreign("update", rightOrg), "closed_at", to("now"), nothing, "isolated@notes/update fail(foreign_write)"},
		"beside a clock": {foreign("update", rightOrg), "archived", to(true), func(made time.Time) map[string]any {
			return map[string]any{"age": time.Since(made).Nanoseconds()}
		}, "isolated@notes/update fail(foreign_write)"},
		"with the owner's org":   {foreign("update", ownersOrg), "archived", to(true), nothing, "context@notes/update fail(foreign_write)"},
		"by a deletion":          {foreign("delete", rightOrg), "deleted", to(true), nothing, "isolated@notes/delete fail(foreign_delete)"},
		"by an anonymous update": {foreign("update", anonymous), "archived", to(true), nothing, "authenticated@notes/update fail(auth_bypass)"},
		"a counter of views":     {func(q *apiRequest) bool { return q.op == "read" }, "views", count, nothing, "pass"},
		"a counter of denials":   {func(q *apiRequest) bool { return q.id != "" && q.owner != q.org }, "denied", count, nothing, "pass"},
		"what a worker does a moment later": {func(q *apiRequest) bool { return q.op == "read" }, "seen", to(true), func(made time.Time) map[string]any {
			return map[string]any{"indexed": time.Since(made) > 60*time.Millisecond}
		}, "pass"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newFlaggedAPI()
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if q.owner != "" {
					api.set(q.id, "known", to(true))
				}
				if c.when(q) && q.owner != "" {
					api.set(q.id, c.member, c.change)
				}
				api.show(w, q, next, c.also)
			}
			expectDecisive(t, api.runProbe(t), c.want)
			if left := api.list(); len(left) > 0 {
				t.Errorf("expected no notes, got %d", len(left))
			}
		})
	}
}

// TestForeignWrite_replicaThatLags: what the owner itself changed may show only later, and nobody else did it.
func TestForeignWrite_replicaThatLags(t *testing.T) {
	testenv.WithoutRace(t)
	api := newFlaggedAPI()
	changed := map[string]time.Time{}
	api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		api.mu.Lock()
		if q.op == "update" && q.owner == q.org && q.namesOwnOrg() {
			changed[q.id] = time.Now()
		}
		at, ok := changed[q.id]
		api.mu.Unlock()
		api.show(w, q, next, func(time.Time) map[string]any {
			return map[string]any{"edited": ok && time.Since(at) > 15*time.Millisecond}
		})
	}
	expectDecisive(t, api.runProbe(t), "pass")
}

// TestView: the order of a list is none of the object's, and a number is no text.
func TestView(t *testing.T) {
	for _, c := range []struct {
		a, b string
		n    int
	}{
		{`{"a":1}`, `{"a":1}`, 0}, {`{"a":1}`, `{"a":"1"}`, 1}, {`{"a":true}`, `{"a":false}`, 1}, {`{"a":null}`, `{}`, 1},
		{`{"a":{"b":1}}`, `{"a":{"b":2,"c":3}}`, 2}, {`{}`, `{}`, 0},
		{`{"a":[1,2]}`, `{"a":[2,1]}`, 0}, {`{"a":[1,2]}`, `{"a":[1,3]}`, 1},
	} {
		if got := viewOf([]byte(c.a)).differing(viewOf([]byte(c.b))); len(got) != c.n {
			t.Errorf("%s and %s: got %v, want %d", c.a, c.b, got, c.n)
		}
	}
}
