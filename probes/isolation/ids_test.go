package isolation

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// TestDistinct_perOrg: where each org numbers its objects itself, a request by id may be for either of two, and nothing is proven,
// whichever of an org's objects has the number of another's.
func TestDistinct_perOrg(t *testing.T) {
	for _, format := range []string{"INVOICE-%06d", "%d"} {
		for ahead := range 3 {
			t.Run(fmt.Sprintf("%s, %d ahead", format, ahead), func(t *testing.T) {
				last := map[string]int{"blue": 40, "red": 40 + ahead}
				api, inner := newNotesAPI("header"), newNotesAPI("header")
				inner.newID = func(_ int, org string) string {
					last[org]++
					return fmt.Sprintf(format, last[org]) + "-" + org // unique within; the org is left out outside
				}
				outside := strings.NewReplacer("-red", "", "-blue", "")
				api.intercept = func(w http.ResponseWriter, q *apiRequest, _ http.HandlerFunc) {
					in := q.Request.Clone(q.Context())
					if q.id != "" {
						in.URL.Path += "-" + q.org
					}
					got := httptest.NewRecorder()
					inner.ServeHTTP(got, in)
					for name := range got.Header() {
						w.Header().Set(name, outside.Replace(got.Header().Get(name)))
					}
					w.WriteHeader(got.Code)
					_, _ = io.WriteString(w, outside.Replace(got.Body.String()))
				}
				r := api.runProbe(t, "requests: 40", "requests: 4")
				if why := r.Decisive(); r.Verdict() != probe.Inconclusive || why.Name != checkControl || !strings.Contains(why.Detail, "have one id") {
					t.Errorf("expected nothing to be proven, got %s", probetest.NotPassed(r))
				}
				if left := inner.list(); len(left) > 0 {
					t.Errorf("expected everything to be deleted, got %v", left)
				}
			})
		}
	}
}
