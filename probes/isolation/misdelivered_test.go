package isolation

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"prober/internal/probe"
)

// A mixUp gives red what belongs to blue, in response to the next requests of a sort, once both have a note.
type mixUp struct {
	request func(q *apiRequest) bool
	times   int
	give    string // OTHER is blue's first note, OWN is red's
}

// TestMisdelivered: what one response in all shows is put down to responses that were mixed up, unless it was asked for or came
// beside the caller's own; what the same request shows again is not, and is not sent again for ever. A write is not sent again.
func TestMisdelivered(t *testing.T) {
	ownRead := func(q *apiRequest) bool { return q.op == "read" && q.namesOwnOrg() && q.owner == q.org }
	named := func(q *apiRequest) bool {
		return q.op == "list" && q.namesOwnOrg() && q.Header.Get("X-Tenant-Id") != ""
	}
	for name, test := range map[string]struct {
		mixUps []mixUp
		want   string // the checks that fail
		op     string // what red requests at most so often
		max    int
	}{
		"a read of its own":                {[]mixUp{{ownRead, 1, "OTHER"}}, "interleave cross_talk", "", 0},
		"a read of its own, again":         {[]mixUp{{ownRead, 2, "OTHER"}}, "interleave cross_talk", "", 0},
		"a read of its own, three times":   {[]mixUp{{ownRead, 3, "OTHER"}}, "control leak_body", "", 0},
		"a read of another's":              {[]mixUp{{func(q *apiRequest) bool { return q.op == "read" && q.foreign() && q.namesOwnOrg() }, 1, "OTHER"}}, "isolated leak_body", "", 0},
		"a list":                           {[]mixUp{{operation("list"), 1, "[OTHER]"}}, "interleave cross_talk", "", 0},
		"a list with its own":              {[]mixUp{{operation("list"), 1, "[OWN,OTHER]"}}, "isolated leak_list", "", 0},
		"every list":                       {[]mixUp{{operation("list"), 1000, "[OTHER]"}}, "isolated leak_list context leak_list", "list", 20},
		"an export":                        {[]mixUp{{operation("export"), 1, "[OTHER]"}}, "interleave cross_talk", "", 0},
		"a create":                         {[]mixUp{{operation("create"), 1, "OTHER"}}, "control leak_body", "create", 3},
		"who is unknown":                   {[]mixUp{{func(q *apiRequest) bool { return q.op == "read" && q.org == "" }, 1, "OTHER"}}, "authenticated leak_body", "", 0},
		"a list with another org as well":  {[]mixUp{{named, 1, "[OTHER]"}}, "interleave cross_talk", "", 0},
		"that three times":                 {[]mixUp{{named, 3, "[OTHER]"}}, "context leak_list", "", 0},
		"that after responses were mixed":  {[]mixUp{{ownRead, 1, "OTHER"}, {named, 3, "[OTHER]"}}, "interleave cross_talk", "", 0},
		"that five times, after they were": {[]mixUp{{ownRead, 1, "OTHER"}, {named, 5, "[OTHER]"}}, "context leak_list interleave cross_talk", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			api, left, sent := newNotesAPI("header"), slices.Clone(test.mixUps), 0
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if q.op == test.op && q.org == "red" {
					sent++
				}
				own, other := firstNote(api, "red"), firstNote(api, "blue")
				i := slices.IndexFunc(left, func(m mixUp) bool { return m.times > 0 && m.request(q) })
				if i < 0 || q.org == "blue" || own == "" || other == "" {
					next(w, q.Request)
					return
				}
				left[i].times--
				reply(w, map[bool]int{true: 401, false: 200}[q.org == ""], strings.NewReplacer("OWN", own, "OTHER", other).Replace(left[i].give))
			}
			r := api.runProbe(t, "requests: 40", "requests: 4", "    interval", "    concurrency: 1\n    interval")
			var failed []string
			for _, c := range r.Checks {
				if c.Verdict == probe.Fail {
					failed = append(failed, c.Name+" "+c.Reason.Word)
				}
			}
			if got := strings.Join(failed, " "); got != test.want {
				t.Errorf("expected to fail: %s; got %s", test.want, got)
			}
			if sent > test.max {
				t.Errorf("expected red to %s %d times at most, got %d", test.op, test.max, sent)
			}
		})
	}
}

// firstNote returns the first note of an org as JSON; empty if it has none.
func firstNote(api *notesAPI, org string) string {
	for _, n := range api.list() {
		if n.org == org {
			return marshal(n)
		}
	}
	return ""
}
