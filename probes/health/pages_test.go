package health

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"prober/internal/probe"
	"prober/internal/strictyaml"
	"prober/probes/internal/probetest"
)

// fromYAML reads a probe as a configuration has it.
func fromYAML(t *testing.T, text string) *Probe {
	t.Helper()
	root, wrong := strictyaml.Parse([]byte(text), 1<<16)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	h := New()
	var d strictyaml.Decoder
	if wrong := d.Decode(root, h); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	return h
}

const (
	asText = "text/plain"
	asJSON = "application/json"
	asHTML = "text/html; charset=utf-8"
	spa    = "<!doctype html><html><title>Shop</title></html>"
)

func serve(t *testing.T, handle http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return server.URL
}

// TestPages checks what the answers of a service mean by the settings of its pages. Paths that are not listed answer 404,
// or by the handler of "*".
func TestPages(t *testing.T) {
	type answers map[string]http.HandlerFunc
	respond := probetest.Respond
	ok := respond(200, asText, "ok")
	marked := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("X-Service", "shop")
			respond(status, contentType, body)(w, q)
		}
	}
	up := `{live: {path: /health, expect: {json: {$.status: UP}}}, ready: {path: /ready, expect: {json: {$.status: UP}}}}`
	for name, c := range map[string]struct {
		settings string
		answers  answers
		live     string // the beginning of the check's line, without its name
		serving  string
		state    string
	}{
		// What the body says.
		"the bodies say up": {up, answers{"/health": respond(200, asJSON, `{"status":"UP"}`), "/ready": respond(200, asJSON, `{"status":"UP"}`)},
			"pass(ok): /health answers 200", "pass(ok)", "serving_unverified"},
		"the body of liveness says down": {up, answers{"/health": respond(200, asJSON, `{"status":"DOWN"}`), "/ready": respond(200, asJSON, `{"status":"DOWN"}`)},
			`fail(body): expected 200 from /health, got 200, but $.status: expected "UP", got another text of 4 characters`, "fail(down)", "down"},
		"the body of readiness says out of service": {up, answers{"/health": respond(200, asJSON, `{"status":"UP"}`), "/ready": respond(200, asJSON, `{"status":"OUT_OF_SERVICE"}`)},
			"pass(ok)", `fail(not_ready): live and not ready, *`, "not_ready"},
		"the body has another form": {up, answers{"/health": respond(200, asJSON, `{"ok":true}`), "/ready": respond(200, asJSON, `{"status":"UP"}`)},
			"fail(schema): expected 200 from /health, got 200, but $.status: expected", "fail(wrong_route)", "wrong_route"},
		"ready by its body, not live by it": {up, answers{"/health": respond(200, asJSON, `{"status":"DOWN"}`), "/ready": respond(200, asJSON, `{"status":"UP"}`)},
			"fail(body)", "", "inverted"},
		"a header says it": {`{ready: {path: /ready, expect: {headers: {X-State: serving}}}}`, answers{"/health": ok, "/ready": ok},
			"pass(ok)", "fail(wrong_route): the answer is not the service's own: *header X-State: expected", "wrong_route"},
		"every path answers what is expected": {`{live: {path: /health, expect: {body: ok}}}`, answers{"*": ok},
			"inconclusive(control_failed)", "inconclusive(control_failed)", "unknown"},

		// Statuses.
		"204 is not 200": {`{}`, answers{"/health": respond(204, "", ""), "/ready": respond(204, "", "")},
			"fail(status): expected 200 from /health, got 204",
			"fail(unexpected_status): answered, but by a status that means neither yes nor no (/health: expected 200, got 204; /ready: expected 200 or 503, got 204)", "unexpected_status"},
		"204 of readiness alone": {`{}`, answers{"/health": ok, "/ready": respond(204, "", "")},
			"pass(ok)", "fail(unexpected_status): answered, but by a status that means neither yes nor no (/health: got 200; /ready: expected 200 or 503, got 204)", "unexpected_status"},
		"204 where it is expected": {`{live: {path: /health, status: [200, 204]}, ready: {path: /ready, status: 204}}`, answers{"/health": respond(204, "", ""), "/ready": respond(204, "", "")},
			"pass(ok): /health answers 200 or 204", "pass(ok)", "serving_unverified"},
		"429 for everybody": {`{}`, answers{"/health": respond(429, asText, "slow down"), "/ready": ok},
			"fail(status): expected 200 from /health, got 429", "fail(unexpected_status): answered, but by a status that means neither yes nor no", "unexpected_status"},
		"500 means unready": {`{ready: {path: /ready, unready: 500}}`, answers{"/health": ok, "/ready": respond(500, asText, "[-]etcd failed")},
			"pass(ok)", "fail(not_ready)", "not_ready"},
		"500 where 503 means unready": {`{}`, answers{"/health": ok, "/ready": respond(500, asText, "oops")},
			"pass(ok)", "fail(ready_error): live, but its readiness cannot be read (/health: got 200; /ready: expected 200 or 503, got 500)", "ready_error"},
		"503 where 500 means unready": {`{ready: {path: /ready, unready: 500}}`, answers{"/health": ok, "/ready": respond(503, asText, "no healthy upstream")},
			"pass(ok)", "fail(ready_error)", "ready_error"},
		"429 means live": {`{live: {path: /health, status: [200, 429]}, ready: {path: /ready, unready: [429, 503]}}`, answers{"/health": respond(429, asJSON, "{}"), "/ready": respond(429, asJSON, "{}")},
			"pass(ok): /health answers 200 or 429", "fail(not_ready)", "not_ready"},
		"a redirect means ready": {`{ready: {path: /ready, status: [2xx, 3xx]}}`, answers{"/health": ok, "/ready": http.RedirectHandler("/login", http.StatusFound).ServeHTTP},
			"pass(ok)", "pass(ok)", "serving_unverified"},

		// Queries.
		"one path, two queries": {`{live: "/health?standbyok=true", ready: /health}`, answers{"/health": func(w http.ResponseWriter, q *http.Request) {
			if q.URL.Query().Get("standbyok") != "true" {
				w.WriteHeader(503)
			}
		}}, "pass(ok): /health answers 200", "fail(not_ready)", "not_ready"},

		// Who answers.
		"unknown paths are an app's page": {`{}`, answers{"/health": respond(200, asJSON, `{}`), "/ready": ok, "*": respond(200, asHTML, spa)},
			"pass(ok)", "pass(ok)", "serving_unverified"},
		"unknown paths are an app's page, and so are all others": {`{}`, answers{"*": respond(200, asHTML, spa)},
			"fail(body): expected 200 from /health, got 200, not from the service itself: it is an HTML page, and neither marker nor expect says otherwise", "fail(wrong_route)", "wrong_route"},
		"the marker tells the app's page apart": {`{marker: {header: X-Service}}`, answers{"/health": marked(200, asHTML, spa), "/ready": marked(200, asHTML, spa), "*": respond(200, asHTML, spa)},
			"pass(ok)", "pass(ok)", "serving_unverified"},
		"the marker is on every page": {`{marker: {header: X-Service}}`, answers{"*": marked(200, asText, "ok")},
			"inconclusive(control_failed)", "inconclusive(control_failed)", "unknown"},
		"unknown paths are broken, and the marker is missing there": {`{marker: {header: X-Service}}`, answers{"/health": marked(200, asText, "ok"), "/ready": marked(200, asText, "ok"), "*": respond(503, asHTML, "<html>503")},
			"pass(ok)", "pass(ok)", "serving_unverified"},
		"text that is labelled HTML": {`{}`, answers{"/health": respond(200, asHTML, "ok"), "/ready": respond(200, asHTML, "ok")},
			"pass(ok)", "pass(ok)", "serving_unverified"},
		"no text, labelled HTML": {`{}`, answers{"/health": respond(200, asHTML, ""), "/ready": respond(200, asHTML, "")},
			"pass(ok)", "pass(ok)", "serving_unverified"},
		"a page that is labelled text": {`{}`, answers{"/health": respond(200, asText, " <!DOCTYPE html><p>It works!"), "/ready": ok},
			"fail(body)", "fail(wrong_route)", "wrong_route"},
		"XHTML": {`{}`, answers{"/health": respond(200, "application/xhtml+xml", `<?xml version="1.0"?><html/>`), "/ready": ok},
			"fail(body)", "fail(wrong_route)", "wrong_route"},
		"a page that expect names": {`{live: {path: /health, expect: {body: {contains: Service ready}}}, ready: {path: /ready, expect: {body: {contains: Service ready}}}}`,
			answers{"/health": respond(200, asHTML, "<html>Service ready"), "/ready": respond(200, asHTML, "<html>Service ready")},
			"pass(ok)", "pass(ok)", "serving_unverified"},
		"a page whose header expect names": {`{live: {path: /health, expect: {headers: {X-Service: shop}}}}`,
			answers{"/health": marked(200, asHTML, spa), "/ready": ok},
			"pass(ok)", "pass(ok)", "serving_unverified"},
		"JSON that looks like a page": {`{live: {path: /health, expect: {json: {$.status: UP}}}}`,
			answers{"/health": respond(200, asHTML, `{"status":"UP","note":"<3"}`), "/ready": ok},
			"pass(ok)", "pass(ok)", "serving_unverified"},
		"another page than the one that expect names": {`{live: {path: /health, expect: {body: {contains: Service ready}}}}`,
			answers{"/health": respond(200, asHTML, spa), "/ready": ok},
			"fail(body): expected 200 from /health, got 200, but expected a text with \"Service ready\"", "fail(wrong_route)", "wrong_route"},
		"an expectation that any page meets names none": {`{live: {path: /health, expect: {body: {not_contains: DOWN}}}}`,
			answers{"/health": respond(200, asHTML, spa), "/ready": ok},
			"fail(body)", "fail(wrong_route)", "wrong_route"},
		"unready is a page": {`{ready: {path: /ready, unready: 503}}`, answers{"/health": ok, "/ready": respond(503, asHTML, "<html>503")},
			"pass(ok)", "fail(not_ready)", "not_ready"},
		"unready is somebody's page": {`{}`, answers{"/health": ok, "/ready": respond(503, asHTML, "<html>503")},
			"pass(ok)", "fail(wrong_route)", "wrong_route"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := c.answers["*"]
			if other == nil {
				other = http.NotFound
			}
			paths := map[string]http.HandlerFunc{}
			for _, path := range []string{"/health", "/ready"} {
				if paths[path] = c.answers[path]; paths[path] == nil {
					paths[path] = other
				}
			}
			mux := http.NewServeMux()
			mux.HandleFunc("/", other)
			for path, handle := range paths {
				mux.HandleFunc(path, handle)
			}
			h := fromYAML(t, c.settings)
			h.Service = serve(t, mux)
			r := probetest.Run(t, Kind(), h)
			got := map[string]string{}
			for _, check := range r.Checks {
				got[check.Name] = check.Verdict.String() + "(" + check.Reason.Word + "): " + check.Detail
			}
			for check, want := range map[string]string{"live": c.live, "serving": c.serving} {
				begin, middle, _ := strings.Cut(want, "*")
				if !strings.HasPrefix(got[check], begin) || !strings.Contains(got[check], middle) || want == "" && got[check] != "" {
					t.Errorf("%s:\n got  %s\n want %s", check, got[check], want)
				}
			}
			for _, s := range r.Samples {
				if s.Name == "probe_health_state" && (s.Values[1] == c.state) != (s.Value == 1) {
					t.Errorf("state %s is %g, expected %s", s.Values[1], s.Value, c.state)
				}
			}
		})
	}
}

// TestCatchAll_saysHow checks that the control says how the answer for a nonexistent path differs: by its status, or by what
// stands under the same one.
func TestCatchAll_saysHow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		other http.HandlerFunc
		want  string
	}{
		"another status": {http.NotFound, "a nonexistent path is answered differently (404)"},
		"an app's page":  {probetest.Respond(200, asHTML, spa), "a nonexistent path is answered differently (got 200, not from the service itself: it is an HTML page, and neither marker nor expect says otherwise)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ok := probetest.Respond(200, asText, "ok")
			h := New()
			mux := http.NewServeMux()
			mux.HandleFunc("/", c.other)
			mux.HandleFunc("/health", ok)
			mux.HandleFunc("/ready", ok)
			h.Service = serve(t, mux)
			if got := probetest.Lines(probetest.Run(t, Kind(), h)); !strings.Contains(got, " pass(ok): "+c.want+"\n") {
				t.Errorf("got\n%swant %s", got, c.want)
			}
		})
	}
}

// TestDependency checks what the answer of a dependency means by its settings.
func TestDependency(t *testing.T) {
	t.Parallel()
	up := probetest.Respond(200, asJSON, `{"status":"UP"}`)
	const saysUp = `, expect: {json: {$.status: UP}}`
	cached := func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Age", "30")
		up(w, q)
	}
	for name, c := range map[string]struct {
		more   string
		handle http.HandlerFunc
		want   dependency
	}{
		"any 2xx":               {"", probetest.Respond(204, "", ""), depUp},
		"closes without answer": {"", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, depUnreachable},
		"5xx":                   {"", probetest.Respond(500, "", ""), depBroken},
		"not found":             {"", http.NotFound, depUnknown},
		"limited":               {"", probetest.Respond(429, "", ""), depUnknown},
		"cached":                {"", cached, depUnknown},
		"cached, as expected":   {saysUp, cached, depUnknown},
		"says up":               {saysUp, up, depUp},
		"says down":             {saysUp, probetest.Respond(200, asJSON, `{"status":"DOWN"}`), depBroken},
		"says something else":   {saysUp, probetest.Respond(200, asHTML, spa), depUnknown},
		"429 means up":          {", status: [200, 429]", probetest.Respond(429, "", ""), depUp},
		"204 where 200 is up":   {", status: 200", probetest.Respond(204, "", ""), depUnknown},
		"503, which is not 200": {", status: 200" + saysUp, probetest.Respond(503, asJSON, `{"status":"UP"}`), depBroken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := fromYAML(t, `{service: "http://127.0.0.1:1", dependency: {url: "`+serve(t, c.handle)+`/up"`+c.more+`}}`)
			if err := h.Validate(); err != nil {
				t.Fatal(err)
			}
			if got := h.askDependency(t.Context(), probe.NewResult(probe.ID{})); got != c.want {
				t.Errorf("got %d, expected %d", got, c.want)
			}
		})
	}
}

// The statuses that mean live or ready are expected, also those of errors.
func TestExpectedStatuses(t *testing.T) {
	t.Parallel()
	h := fromYAML(t, `{service: "http://127.0.0.1:1", live: {path: /health, status: [200, 400, 429]}, ready: {path: /health, status: [200, 429, 5xx]}}`)
	if got := fmt.Sprint(h.ExpectedStatuses()); got != "map[:[404 400 429]]" {
		t.Errorf("got %s", got)
	}
}
