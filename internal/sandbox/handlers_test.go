package sandbox

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestSwitches(t *testing.T) {
	s := start(t, Options{})
	switches := s.Handler()
	const asJSON = "application/json"
	for _, c := range []struct {
		name, method, path, accept string
		status                     int
		holds                      string
		broken                     string
	}{
		{"all is well", "GET", "/", "", 200, "ok      proxy-down              all three replicas of the proxy refuse connections\n", ""},
		{"as JSON", "GET", "/", asJSON, 200, `{"name":"proxy-down","summary":"all three replicas of the proxy refuse connections","signal":"ibex_process_up{service=\"proxy\"} == 0 for 1 minute","broken":false}`, ""},
		{"break", "POST", "/break/replica-down", "", 200, "BROKEN  replica-down            the second", "replica-down"},
		{"break another", "POST", "/break/up-500", asJSON, 200, `"name":"up-500"`, "replica-down up-500"},
		{"some are broken", "GET", "/", "", 200, "BROKEN  up-500 ", "replica-down up-500"},
		{"some are broken, as JSON", "GET", "/", asJSON, 200, `"broken":true`, "replica-down up-500"},
		{"mend", "POST", "/mend/replica-down", "", 200, "ok      replica-down ", "up-500"},
		{"mend again", "POST", "/mend/replica-down", asJSON, 200, `"broken":false`, "up-500"},
		{"unknown", "POST", "/break/up-50", "", 404, `no fault is called "up-50"; did you mean up-500?`, "up-500"},
		{"unknown, as JSON", "POST", "/mend/up-50", asJSON, 404, `{"error":"no fault is called \"up-50\"; did you mean up-500?"}`, "up-500"},
		{"by GET", "GET", "/break/up-404", "", 405, "", "up-500"},
		{"by PUT", "PUT", "/mend/up-500", "", 405, "", "up-500"},
		{"the list by POST", "POST", "/", "", 405, "", "up-500"},
		{"elsewhere", "GET", "/other", "", 404, "", "up-500"},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Header.Set("Accept", c.accept)
		w := httptest.NewRecorder()
		switches.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.holds) {
			t.Errorf("%s: wanted %d %s, got %d %s", c.name, c.status, c.holds, w.Code, w.Body)
		}
		if got := strings.Join(s.Active(), " "); got != c.broken {
			t.Errorf("%s: wanted %q broken, got %q", c.name, c.broken, got)
		}
	}
}

func TestSwitchesListEveryFault(t *testing.T) {
	s := start(t, Options{})
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if lines := strings.Count(w.Body.String(), "\n"); lines != len(s.Faults()) {
		t.Errorf("wanted %d lines, got %d", len(s.Faults()), lines)
	}
}

func TestOtherSitesCannotTurnSwitches(t *testing.T) {
	s := start(t, Options{})
	r := httptest.NewRequest("POST", "/break/up-500", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusForbidden || len(s.Active()) > 0 {
		t.Errorf("got %d, broken %v", w.Code, s.Active())
	}
}

func TestSwitchesOfAStoppedSystem(t *testing.T) {
	s := start(t, Options{})
	s.Close()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("POST", "/break/up-500", nil))
	if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "the sample system is stopped") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
