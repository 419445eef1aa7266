package isolation

import (
	"net/http"
	"testing"
)

// TestLeak_besideTheResponse finds a canary that comes in an interim response before the denial, or in a trailer after it.
func TestLeak_besideTheResponse(t *testing.T) {
	leaks := func(q *apiRequest) bool { return q.op == "read" && q.namesOwnOrg() && q.foreign() }
	for name, intercept := range map[string]func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc){
		"interim response": func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			if leaks(q) {
				w.Header().Set("Link", q.note.Text)
				w.WriteHeader(http.StatusEarlyHints)
				w.Header().Del("Link")
			}
			next(w, q.Request)
		},
		"trailer": func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			if leaks(q) {
				w.Header().Set("Trailer", "X-Debug")
				defer w.Header().Set("X-Debug", q.note.Text)
			}
			next(w, q.Request)
		},
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			api.intercept = intercept
			expectDecisive(t, api.runProbe(t), "isolated@notes/read fail(leak_header)")
		})
	}
}
