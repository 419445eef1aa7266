package isolation

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// TestOracle_uniqueAcrossOrgs: an org that is told that a value is taken, which its own objects never had, knows that
// another's has it.
func TestOracle_uniqueAcrossOrgs(t *testing.T) {
	testenv.WithoutRace(t)
	across := func(m note, q *apiRequest) bool { return m.org != q.org }
	within := func(m note, q *apiRequest) bool { return m.org == q.org }
	const oracle = "fail(existence_oracle)"
	for name, c := range map[string]struct {
		taken  func(m note, q *apiRequest) bool
		answer http.HandlerFunc
		want   string
	}{
		"a conflict":          {across, respondStatus(409), oracle},
		"an invalid value":    {across, respondStatus(422), oracle},
		"a failure":           {across, respondStatus(500), oracle},
		"an error in a body":  {across, respondStatus(200), "inconclusive(control_failed)"},
		"within the org only": {within, respondStatus(409), "pass(ok)"},
		"a rate limit":        {across, respondStatus(429), "inconclusive(rate_limited)"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if q.op != "create" || !q.namesOwnOrg() {
					next(w, q.Request)
					return
				}
				sent, _ := io.ReadAll(q.Body)
				q.Body = readCloser{bytes.NewBuffer(sent)}
				if slices.ContainsFunc(api.list(), func(m note) bool { return strings.Contains(string(sent), m.Text) && c.taken(m, q) }) {
					c.answer(w, q.Request)
					return
				}
				next(w, q.Request)
			}
			r := api.runProbe(t)
			i := slices.IndexFunc(r.Checks, func(c probe.Check) bool { return c.Name == checkOracle && c.Target == "notes/create" })
			if i < 0 {
				t.Fatalf("got\n%s", probetest.Lines(r))
			}
			if got := fmt.Sprintf("%s(%s)", r.Checks[i].Verdict, r.Checks[i].Reason); got != c.want {
				t.Errorf("got %s, want %s\n%s", got, c.want, probetest.Lines(r))
			}
			if left := api.list(); len(left) > 0 {
				t.Errorf("expected no notes, got %d", len(left))
			}
		})
	}
}
