package isolation

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"prober/internal/testenv"
)

// memberAt returns the text at a dotted path in a JSON object.
func memberAt(object map[string]any, path string) string {
	name, rest, nested := strings.Cut(path, ".")
	if inner, ok := object[name].(map[string]any); ok && nested {
		return memberAt(inner, rest)
	}
	text, _ := object[name].(string)
	return text
}

// TestMembers_nested: a member that names another org decides nothing, wherever it is in the JSON that is sent.
func TestMembers_nested(t *testing.T) {
	testenv.WithoutRace(t)
	testenv.Slow(t, "it runs the probe once for each place of a member")
	for _, op := range []string{"create", "update"} {
		for path, want := range map[string]string{
			"org_id":          "isolated@notes/" + op + " fail(foreign_write)",
			"note.org_id":     "isolated@notes/" + op + " fail(foreign_write)",
			"account.id":      "isolated@notes/" + op + " fail(foreign_write)",
			"note.account.id": "isolated@notes/" + op + " fail(foreign_write)",
			"note.account":    "pass", // is an object
			"account_id":      "pass",
		} {
			t.Run(op+" by "+path, func(t *testing.T) {
				api := newNotesAPI("header")
				api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
					if !writes(q.op) || !q.namesOwnOrg() {
						next(w, q.Request)
						return
					}
					body := map[string]any{}
					decode(q, &body)
					text, org := memberAt(body, "note.text"), memberAt(body, path)
					q.Body = readCloser{bytes.NewBufferString(marshal(map[string]string{"text": text}))}
					if org == "" || org == q.org || q.op != op || op == "update" && q.owner != q.org {
						next(w, q.Request)
						return
					}
					if op == "update" {
						api.mu.Lock()
						api.notes[api.index(q.id)].org = org
						api.mu.Unlock()
					}
					q.org = org // as which it is carried out
					api.serve(w, q, func(m note) bool { return m.org == org })
				}
				r := api.runProbe(t, `json: {text: "{canary}"}`, `json: {note: {text: "{canary}"}}`,
					"replica: here", "replica: here\n    overrides: {body: [org_id, account.id]}")
				expectDecisive(t, r, want)
				if left := api.list(); len(left) > 0 {
					t.Errorf("expected no notes, got %d", len(left))
				}
			})
		}
	}
}
