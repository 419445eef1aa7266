package isolation

import (
	"net/http"
	"strings"
	"testing"

	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// TestSaid holds that what a run could not find out is said, and in which words: a check without them would be missing.
func TestSaid(t *testing.T) {
	testenv.WithoutRace(t)
	for name, test := range map[string]struct {
		intercept func(http.ResponseWriter, *apiRequest, http.HandlerFunc)
		change    []string
		want      string
	}{
		"a create whose response has no id": {
			func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if q.op == "create" && q.namesOwnOrg() {
					reply(w, 201, `{"created":true}`)
					return
				}
				next(w, q.Request)
			}, nil, "inconclusive(control_failed): a canary was created in blue, but the response does not contain its id",
		},
		"an error with 200 where a denial is an empty answer": {
			func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if q.op == "read" && q.org != "" && q.owner != q.org {
					body := `{"errors":[{"message":"database is down"}],"data":null}`
					if q.owner == "" {
						body = `{}`
					}
					reply(w, 200, body)
					return
				}
				next(w, q.Request)
			}, []string{`read:   "/notes/{id}"`, `read: {url: "/notes/{id}", denied: [403, 404, {empty: $.id}]}`},
			"got 200 with an error that is not a denial by the settings",
		},
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			api.intercept = test.intercept
			lines := probetest.Lines(api.runProbe(t, test.change...))
			if !strings.Contains(lines, test.want) {
				t.Errorf("expected a check that says %q, got\n%s", test.want, lines)
			}
		})
	}
}
