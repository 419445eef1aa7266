package isolation

import (
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"

	"prober/internal/testenv"
)

// cleaned is a path as the last part of a service may understand it.
func cleaned(raw string) string {
	for range 2 {
		raw, _ = url.PathUnescape(raw)
	}
	raw = regexp.MustCompile(`;[^/]*`).ReplaceAllString(strings.ReplaceAll(raw, `\`, "/"), "")
	return path.Clean(raw)
}

// TestTraversal: a path that is judged as it was sent, and decoded or cleaned before the object is looked for, leads to no
// other org's object.
func TestTraversal(t *testing.T) {
	testenv.WithoutRace(t)
	testenv.Slow(t, "it runs the probe for every form of a path")
	for name, form := range map[string]string{
		"dots": `/\.\./`, "encoded slashes": `(?i)\.\.%2f`, "slashes encoded twice": `(?i)\.\.%252f`, "backslashes": `(?i)\.\.%5c`,
		"encoded dots": `(?i)/%2e%2e/`, "parameters": `/\.\.;/`, "nothing": `^never$`,
		"double slashes": `[^:]//`, "a dot and an encoded slash": `/\.%2F`, "a parameter of the id": `;a=b`, "an encoded letter": `/%[46][EF]ote-`,
		"another letter case":          `/NOTE-`,
		"an encoded letter in the org": `/orgs/%[4-7][0-9A-F]`, "in place of the id": `/notes/\.\.%2F`,
	} {
		for _, style := range []string{"path", "token"} {
			for _, op := range []string{"read", "update", "delete"} {
				leads, write := regexp.MustCompile(form), op != "read"
				if write && name != "in place of the id" && name != "nothing" || style == "token" && name == "an encoded letter in the org" {
					continue
				}
				t.Run(op+" by "+style+", "+name, func(t *testing.T) {
					api := newNotesAPI(style)
					api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
						raw := q.URL.EscapedPath()
						at := strings.Split(cleaned(raw), "/")
						api.mu.Lock()
						i := api.index(strings.ToLower(at[len(at)-1]))
						api.mu.Unlock()
						method := map[string]string{"read": "GET", "update": "PUT", "delete": "DELETE"}[op]
						if q.org == "" || i < 0 || q.Method != method || !leads.MatchString(raw) {
							if strings.Contains(cleaned(raw), "/notes/") && cleaned(raw) != raw {
								reply(w, 404, `{"error":"not_found"}`)
								return
							}
							next(w, q.Request)
							return
						}
						found := api.list()[i]
						as := apiRequest{Request: q.Request, op: op, org: found.org, id: found.ID}
						api.serve(w, &as, anyNote)
					}
					want := map[string]string{"read": "isolated@notes/read fail(leak_body)", "update": "isolated@notes/update fail(foreign_write)", "delete": "isolated@notes/delete fail(foreign_delete)"}[op]
					if name == "nothing" {
						want = "pass"
					}
					expectDecisive(t, api.runProbe(t), want)
				})
			}
		}
	}
}

// TestTraversals_letterCase: an id without letters is not asked for once more as it is.
func TestTraversals_letterCase(t *testing.T) {
	for id, want := range map[string]string{"note-7": "/notes/NOTE-7", "NOTE-7": "/notes/note-7", "4711": ""} {
		got := ""
		for _, m := range (&Probe{}).traversals(&Template{Request: Request{URL: "/notes/{id}"}}, vars{id: "mine"}, vars{id: id}) {
			if m.name == "a path with the id in another letter case" {
				got = m.path
			}
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", id, got, want)
		}
	}
}
