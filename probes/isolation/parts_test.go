package isolation

import (
	"net/http"
	"net/url"
	"testing"

	"prober/internal/testenv"
)

// extraFields are headers that come before a response or behind it.
var extraFields = map[string]func(w http.ResponseWriter, value string, rest func()){
	"an interim answer": func(w http.ResponseWriter, value string, rest func()) {
		w.Header().Set("Link", "</"+url.PathEscape(value)+">; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		rest()
	},
	"the second interim answer": func(w http.ResponseWriter, value string, rest func()) {
		w.WriteHeader(http.StatusProcessing)
		w.Header().Set("X-Debug", value)
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("X-Debug")
		rest()
	},
	"a trailer": func(w http.ResponseWriter, value string, rest func()) {
		rest()
		w.(http.Flusher).Flush() // chunks alone have trailers
		w.Header().Set(http.TrailerPrefix+"X-Debug", value)
	},
}

// TestLeak_fieldsBeforeAndBehind: what is before a response or behind it is a part of it.
func TestLeak_fieldsBeforeAndBehind(t *testing.T) {
	testenv.WithoutRace(t)
	testenv.Slow(t, "it runs the probe once for each field")
	for place, send := range extraFields {
		for name, c := range map[string]struct {
			value func(api *notesAPI, q *apiRequest) string // empty: none is sent
			want  string
		}{
			"with another org's note, of a read": {func(_ *notesAPI, q *apiRequest) string {
				if q.op != "read" || !q.foreign() {
					return ""
				}
				return q.note.Text
			}, "isolated@notes/read fail(leak_header)"},
			"with another org's note, of a list": {func(api *notesAPI, q *apiRequest) string {
				others := notesOfOthers(api, q.org)
				if q.op != "list" || q.org == "" || len(others) == 0 {
					return ""
				}
				return others[0].Text
			}, "isolated@notes/list fail(leak_header)"},
			"only for an object that exists": {func(_ *notesAPI, q *apiRequest) string {
				if q.op != "read" || !q.foreign() {
					return ""
				}
				return "found"
			}, "oracle@notes/read fail(existence_oracle)"},
			"with the caller's own note": {func(_ *notesAPI, q *apiRequest) string {
				if q.owner != q.org {
					return ""
				}
				return q.note.Text
			}, "pass"},
		} {
			t.Run(place+" "+name, func(t *testing.T) {
				api := newNotesAPI("header")
				api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
					if value := c.value(api, q); value != "" {
						send(w, value, func() { next(w, q.Request) })
						return
					}
					next(w, q.Request)
				}
				expectDecisive(t, api.runProbe(t), c.want)
			})
		}
	}
}
