package isolation

import (
	"net/http"
	"strings"
	"testing"

	"prober/internal/probe"
)

// TestSearches shows what is made of searches that find nothing: by a status or by a body that says so, and of those that fail.
// Whether a search repeats its query is asked once for each org.
func TestSearches(t *testing.T) {
	byBody := []string{`search: "/notes?q={canary}"`, `search: {url: "/notes?q={canary}", denied: {json: {$.error: not_found}}}`}
	for name, test := range map[string]struct {
		change []string
		status int // of the response to a search for what an org does not have; 0: an empty list
		body   string
		want   string
	}{
		"an empty list":             {nil, 0, "", "pass"},
		"404":                       {nil, 404, `{}`, "pass"},
		"405":                       {nil, 405, `{}`, "isolated@notes/search inconclusive(control_failed)"},
		"a body that says so":       {byBody, 200, `{"error":"not_found"}`, "pass"},
		"a body with another error": {byBody, 200, `{"error":{"message":"overloaded"}}`, "isolated@notes/search inconclusive(control_failed)"},
		"an error in words":         {byBody, 200, `{"error":"overloaded"}`, "isolated@notes/search inconclusive(control_failed)"},
		"an error beside no data":   {byBody, 200, `{"data":[],"error":"overloaded"}`, "isolated@notes/search inconclusive(control_failed)"},
		"a failure that says so":    {byBody, 500, `{"error":"not_found"}`, "isolated@notes/search inconclusive(control_failed)"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			unknown := map[string]int{}
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if q.op != "search" || !q.namesOwnOrg() {
					next(w, q.Request)
					return
				}
				asked, own, known := q.URL.Query().Get("q"), false, false
				for _, n := range api.list() {
					found := strings.Contains(n.Text, asked)
					own, known = own || found && n.org == q.org, known || found
				}
				if !known {
					unknown[q.org]++
				}
				if own || test.status == 0 {
					next(w, q.Request)
					return
				}
				reply(w, test.status, test.body)
			}
			expectDecisive(t, api.runProbe(t, append(test.change, "requests: 40", "requests: 4", "    interval", "    concurrency: 1\n    interval")...), test.want)
			if test.want == "pass" && (unknown["red"] != 1 || unknown["blue"] != 1) {
				t.Errorf("expected each org to search once for what does not exist, got %v", unknown)
			}
		})
	}
}

// TestLists_failWhereCreated: in an API whose objects are only listed, a list that fails says nothing of where an object was
// created.
func TestLists_failWhereCreated(t *testing.T) {
	api, failing := newNotesAPI("header"), false
	api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		switch twoOrgs := q.Header.Get("X-Tenant-Id") != ""; {
		case q.op == "create" && q.namesOwnOrg():
			failing = twoOrgs
			next(w, q.Request)
		case q.op == "list" && failing && !twoOrgs && q.namesOwnOrg():
			reply(w, 500, `{}`)
		default:
			next(w, q.Request)
		}
	}
	r := api.runProbe(t, `read:   "/notes/{id}"`, "", "requests: 40", "requests: 4", "    interval", "    concurrency: 1\n    interval")
	for _, c := range r.Checks {
		if c.Name == "context" && c.Target == "notes/create" {
			if c.Verdict != probe.Inconclusive || !strings.Contains(c.Detail, "where it was created is not known, got 500") {
				t.Errorf("got %s(%s): %s", c.Verdict, c.Reason, c.Detail)
			}
			return
		}
	}
	t.Error("expected context to be checked for creates")
}
