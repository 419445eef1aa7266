package isolation

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// titles has the list and the search show the beginning of each text and nothing else.
func titles(api *notesAPI, shows func(q *apiRequest, m note) bool) func(http.ResponseWriter, *apiRequest, http.HandlerFunc) {
	const length = 40
	return func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		if q.op != "list" || !q.namesOwnOrg() {
			next(w, q.Request)
			return
		}
		all := []string{}
		for _, m := range api.list() {
			if shows(q, m) {
				all = append(all, m.Text[:min(len(m.Text), length)]+"…")
			}
		}
		reply(w, 200, marshal(map[string]any{"titles": all, "next": ""}))
	}
}

// TestLists_titlesCutOff: a list that shows the beginning of each text shows whose it is.
func TestLists_titlesCutOff(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	api.intercept = titles(api, func(q *apiRequest, m note) bool { return m.org == q.org })
	expectDecisive(t, api.runProbe(t), "pass")
	api = newNotesAPI("header")
	api.intercept = titles(api, func(*apiRequest, note) bool { return true })
	expectDecisive(t, api.runProbe(t), "isolated@notes/list fail(leak_list)")
}

// TestLists_shortIDs: an id of a few digits is found where the list has ids, and nowhere else.
func TestLists_shortIDs(t *testing.T) {
	testenv.WithoutRace(t)
	number := func(id string) json.Number { return json.Number(id) }
	type row = map[string]any
	// With everything else that a list has: other numbers, some of which are ids of the other org by chance.
	rows := func(all []note, q *apiRequest) []row {
		list := []row{}
		for _, m := range all {
			if m.org == q.org {
				list = append(list, row{"id": number(m.ID), "text": m.Text, "views": number("1"), "author": row{"id": 2, "name": "x"}, "tags": []int{1, 2, 3, 4, 5}})
			}
		}
		return list
	}
	others := func(all []note, q *apiRequest, with func(m note) row) []row {
		list := rows(all, q)
		for _, m := range all {
			if m.org != q.org {
				list = append(list, with(m))
			}
		}
		return list
	}
	page := func(list []row) string {
		return marshal(row{"notes": list, "next": "", "total": len(list), "took": 1, "ids_of_related": 3})
	}
	lines := func(list []row) string {
		text := ""
		for _, r := range list {
			text += marshal(r) + "\n"
		}
		return text
	}
	justID := func(m note) row { return row{"id": number(m.ID), "text": "hidden"} }
	for name, c := range map[string]struct {
		op   string
		body func(all []note, q *apiRequest) string
		want string
	}{
		"only one's own": {"list", func(all []note, q *apiRequest) string { return page(rows(all, q)) }, "pass"},
		"another's id":   {"list", func(all []note, q *apiRequest) string { return page(others(all, q, justID)) }, "isolated@notes/list fail(leak_list)"},
		"another's id as a text": {"list", func(all []note, q *apiRequest) string {
			return page(others(all, q, func(m note) row { return row{"id": m.ID} }))
		}, "isolated@notes/list fail(leak_list)"},
		"another's id in lines":   {"export", func(all []note, q *apiRequest) string { return lines(others(all, q, justID)) }, "isolated@notes/export fail(leak_list)"},
		"only one's own in lines": {"export", func(all []note, q *apiRequest) string { return lines(rows(all, q)) }, "pass"},
		"another's id in a search, which echoes": {"search", func(all []note, q *apiRequest) string {
			return marshal(row{"query": q.URL.Query().Get("q"), "notes": others(all, q, justID)})
		}, "isolated@notes/search fail(leak_list)"},
		"the number of another's id elsewhere": {"list", func(all []note, q *apiRequest) string {
			list := rows(all, q)
			for _, m := range all {
				list[0]["rank"], list[0]["parent"] = number(m.ID), row{"number": number(m.ID)}
			}
			return page(list)
		}, "pass"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			api.newID = func(n int, _ string) string { return strconv.Itoa(n) }
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if all := api.list(); q.op == c.op && q.namesOwnOrg() && len(notesOf(api, q.org)) > 0 {
					reply(w, 200, c.body(all, q))
					return
				}
				next(w, q.Request)
			}
			expectDecisive(t, api.runProbe(t), c.want)
		})
	}
}

// TestLists_idsPerOrg: if each org numbers its own objects, an id of another org's object may be that of one's own.
func TestLists_idsPerOrg(t *testing.T) {
	testenv.WithoutRace(t)
	const blue, red = "the first text of many letters", "the second text of many letters"
	t.Setenv("TEST_ISO_TEXT_1", blue)
	t.Setenv("TEST_ISO_TEXT_2", red)
	for name, c := range map[string]struct {
		idsOnly bool
		want    string
	}{"with texts": {false, "pass"}, "ids only": {true, "isolated@notes/list inconclusive(control_failed)"}} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("token")
			for _, m := range []note{{ID: "1", Text: blue, org: "blue"}, {ID: "1", Text: "old", org: "red"}, {ID: "4", Text: red, org: "red"}} {
				api.add(m.org, m.ID, m.Text)
			}
			api.add("blue", "note-of-1-01", blue)
			api.add("red", "note-of-2-01", red)
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if q.op != "list" || q.org == "" || !c.idsOnly {
					next(w, q.Request)
					return
				}
				all := []map[string]string{}
				for _, m := range notesOf(api, q.org) {
					all = append(all, map[string]string{"id": m.ID})
				}
				reply(w, 200, marshal(all))
			}
			head, _, _ := strings.Cut(api.start(t), "      notes:")
			r := ask(

				t, newJob(t, head+`      notes:
        list: /notes
        canaries:
          blue: {id: "1", text: {env: TEST_ISO_TEXT_1}}
          red:  {id: "4", text: {env: TEST_ISO_TEXT_2}}
      other:
        read: "/notes/{id}"
        canaries:
          blue: {id: note-of-1-01, text: {env: TEST_ISO_TEXT_1}}
          red:  {id: note-of-2-01, text: {env: TEST_ISO_TEXT_2}}
`))

			expectDecisive(t, r, c.want)
			if got := probetest.Lines(r); strings.Contains(got, "fail(") || c.idsOnly != strings.Contains(got, "whether ids are unique across orgs is not known") {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

// pageOf responds with a page of a list, whose cursor is a number.
func pageOf(w http.ResponseWriter, q *apiRequest, list []note, size int, cursor func(at int) string) {
	from, _ := strconv.Atoi(q.URL.Query().Get("cursor"))
	if page, err := strconv.Atoi(q.URL.Query().Get("page")); err == nil {
		from = (page - 1) * size
	}
	from = min(from, len(list))
	to, next := min(from+size, len(list)), ""
	if to < len(list) {
		next = cursor(to)
	}
	reply(w, 200, marshal(map[string]any{"notes": list[from:to], "next": next}))
}

// TestLists_secondPage: an org of few objects gets more, so that its list has a second page, if a few are enough.
func TestLists_secondPage(t *testing.T) {
	testenv.WithoutRace(t)
	newestFirst := func(list []note) []note { list = slices.Clone(list); slices.Reverse(list); return list }
	asIs := func(list []note) []note { return list }
	const notSeen = "on a single page: what further pages show was not seen"
	byCursor := []string{`"/notes?cursor={cursor}"`, `"/notes?cursor={cursor}"`}
	byNumber := []string{`"/notes?cursor={cursor}"`, `"/notes?page={page}"`, "next:   $.next", `items:  "$.notes[*]"`}
	limited := []string{`"/notes?cursor={cursor}"`, `"/notes?per_page=3&cursor={cursor}"`}
	large := []string{`"/notes?cursor={cursor}"`, `"/notes?limit=100&cursor={cursor}"`}
	for name, c := range testenv.Sample(map[string]struct {
		size   int
		change []string
		leaks  bool
		order  func([]note) []note
		want   string
		says   string
	}{
		"by cursor":                        {3, byCursor, false, asIs, "pass", "on up to 2 pages"},
		"by cursor, of one":                {1, byCursor, false, asIs, "pass", "on up to 3 pages"},
		"by cursor, leaks":                 {3, byCursor, true, asIs, "isolated@notes/list fail(leak_list)", "was shown"},
		"by cursor, newest first, leaks":   {3, byCursor, true, newestFirst, "isolated@notes/list fail(leak_list)", "was shown"},
		"by cursor, eight on a page":       {8, byCursor, true, newestFirst, "isolated@notes/list fail(leak_list)", "was shown"},
		"by number":                        {3, byNumber, false, asIs, "pass", "on up to 2 pages"},
		"by number, leaks":                 {3, byNumber, true, asIs, "isolated@notes/list fail(leak_list)", "was shown"},
		"with a small limit":               {3, limited, false, asIs, "pass", "on up to 2 pages"},
		"with a small limit, leaks":        {3, limited, true, newestFirst, "isolated@notes/list fail(leak_list)", "was shown"},
		"more on a page than are created":  {20, byCursor, true, asIs, "pass", notSeen},
		"a limit that would take too many": {20, large, true, asIs, "pass", notSeen},
	}, 8) {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			most := 0
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if q.op != "list" || !q.namesOwnOrg() {
					next(w, q.Request)
					return
				}
				api.mu.Lock()
				most = max(most, len(api.notes))
				api.mu.Unlock()
				list := notesOf(api, q.org)
				if later := q.URL.Query().Get("cursor") != "" || q.URL.Query().Get("page") > "1"; later && c.leaks {
					list = api.list()
				}
				pageOf(w, q, c.order(list), c.size, strconv.Itoa)
			}
			r := api.runProbe(t, c.change...)
			expectDecisive(t, r, c.want)
			if got := probetest.Lines(r); !strings.Contains(got, c.says) {
				t.Errorf("want %q in\n%s", c.says, got)
			}
			if left := api.list(); len(left) > 0 || most > 10+maxPageSeeds {
				t.Errorf("%d notes are left, and there were %d", len(left), most)
			}
		})
	}
}

// TestLists_cursorOfAnotherOrg: a cursor belongs to the org that got it.
func TestLists_cursorOfAnotherOrg(t *testing.T) {
	testenv.WithoutRace(t)
	for name, c := range map[string]struct {
		trusts bool
		want   string
	}{"ignored": {false, "pass"}, "trusted": {true, "isolated@notes/list fail(leak_list)"}} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if q.op != "list" || !q.namesOwnOrg() {
					next(w, q.Request)
					return
				}
				org, at, _ := strings.Cut(q.URL.Query().Get("cursor"), ":")
				if org == "" || !c.trusts {
					org = q.org
				}
				q.Request.URL.RawQuery = "cursor=" + at
				pageOf(w, q, notesOf(api, org), 2, func(to int) string { return org + ":" + strconv.Itoa(to) })
			}
			expectDecisive(t, api.runProbe(t), c.want)
		})
	}
}

// TestLists_lateIndex: lists, searches and exports may lag behind the store of what they list, within the delay. What they
// show another org later than its owner was shown it is found.
func TestLists_lateIndex(t *testing.T) {
	for name, c := range testenv.Sample(map[string]struct {
		lag, delay time.Duration
		leaks      bool
		want       string
	}{
		"within the delay":            {250 * time.Millisecond, 5 * time.Second, false, "pass"},
		"within the delay, and leaks": {250 * time.Millisecond, 5 * time.Second, true, "isolated@notes/OP fail(leak_list)"},
		"beyond it":                   {time.Minute, 300 * time.Millisecond, false, "isolated@notes/OP inconclusive(nothing_checked)"},
	}, 3) {
		for _, op := range []string{"list", "search", "export"} {
			t.Run(op+", "+name, func(t *testing.T) {
				api := newNotesAPI("token")
				api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
					if q.op != op || q.org == "" {
						next(w, q.Request)
						return
					}
					api.serve(w, q, func(m note) bool { return (m.org == q.org || c.leaks) && time.Since(m.made) >= c.lag })
				}
				settings := strings.NewReplacer("visibility_delay: 300ms", "visibility_delay: "+c.delay.String(), "requests: 40", "requests: 4").Replace(api.start(t))
				expectDecisive(t, ask(t, newJob(t, settings)), strings.Replace(c.want, "OP", op, 1))
			})
		}
	}
}

// TestLists_withoutReads: where objects cannot be read one by one, they are looked for in lists or by a search, by all that
// clean up at once.
func TestLists_withoutReads(t *testing.T) {
	unread := []string{`read:   "/notes/{id}"`, ""}
	for name, change := range map[string][]string{
		"lists":    unread,
		"searches": append(unread, `list:   "/notes?cursor={cursor}"`, "", "next:   $.next", ""),
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			expectDecisive(t, api.runProbe(t, change...), "pass")
			if left := api.list(); len(left) > 0 {
				t.Errorf("expected no notes, got %d", len(left))
			}
		})
	}
}
