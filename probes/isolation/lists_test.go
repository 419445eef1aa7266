package isolation

import (
	"net/http"
	"testing"
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
	api := newNotesAPI("header")
	api.intercept = titles(api, func(q *apiRequest, m note) bool { return m.org == q.org })
	expectDecisive(t, api.runProbe(t), "pass")
	api = newNotesAPI("header")
	api.intercept = titles(api, func(*apiRequest, note) bool { return true })
	expectDecisive(t, api.runProbe(t), "isolated@notes/list fail(leak_list)")
}
