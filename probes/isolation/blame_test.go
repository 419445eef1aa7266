package isolation

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// TestReadLeak_onsets has every read show everybody's notes from some request of a run on. Whatever the run was testing when
// it noticed, the read is at fault.
func TestReadLeak_onsets(t *testing.T) {
	testenv.WithoutRace(t)
	testenv.Slow(t, "it runs the probe once for each request at which a leak begins")
	testenv.Slow(t, "it runs the probe dozens of times")
	writable := []string{"interleave: {requests: 40}", "interleave: {requests: 4}", `export: "/notes/export"`, "", `count:  "/notes/count"`, "", "number: $.count", ""}
	permanent := []string{
		"interleave: {requests: 40}", "interleave: {requests: 4}",
		`create: {url: "/notes", json: {text: "{canary}"}}`, "", `update: {url: "/notes/{id}", json: {text: "{canary}"}}`, "",
		`delete: "/notes/{id}"`, "", `count:  "/notes/count"`, "", "number: $.count",
		"canaries: {red: {id: note-0-of-the-red-org, text: {env: TEST_ISO_CANARY_RED}}, blue: {id: note-0-of-the-blue-org, text: {env: TEST_ISO_CANARY_BLUE}}}",
	}
	for name, change := range map[string][]string{"objects of the run": writable, "permanent objects": permanent} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TEST_ISO_CANARY_RED", "perm-0f61d2a97c35-red")
			t.Setenv("TEST_ISO_CANARY_BLUE", "perm-81e4b09a6d27-blue")
			api := newNotesAPI("header")
			var served, onset atomic.Int64
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if served.Add(1) > onset.Load() && q.op == "read" && q.foreign() && q.namesOwnOrg() {
					reply(w, 200, marshal(q.note))
					return
				}
				next(w, q.Request)
			}
			text := strings.NewReplacer(change...).Replace(api.start(t))
			step := int64(23)
			if testenv.IsReal() {
				step = 1
			}
			found := 0
			for k := int64(0); ; k += step {
				api.mu.Lock()
				api.notes = nil
				api.mu.Unlock()
				if name == "permanent objects" {
					api.add("red", "note-0-of-the-red-org", "perm-0f61d2a97c35-red")
					api.add("blue", "note-0-of-the-blue-org", "perm-81e4b09a6d27-blue")
				}
				served.Store(0)
				onset.Store(k)
				r := ask(t, newJob(t, text))
				for _, c := range r.Checks {
					switch {
					case c.Verdict != probe.Fail:
					case c.Target != "notes/read":
						t.Errorf("onset after %d requests: %s@%s %s\n%s", k, c.Name, c.Target, c.Reason, probetest.Lines(r))
					default:
						found++
					}
				}
				if served.Load() <= k {
					break
				}
			}
			if found == 0 {
				t.Error("no leak was found")
			}
		})
	}
}
