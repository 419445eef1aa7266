package sandbox

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHandler(t *testing.T) {
	s := start(t, Options{})
	handler := s.Handler()
	const asJSON = "application/json"
	for _, c := range []struct {
		name, method, path, accept string
		status                     int
		holds                      string
		active                     string
	}{
		{"no faults", "GET", "/", "", 200, "ok      proxy-down              all three replicas of the proxy refuse connections\n", ""},
		{"as JSON", "GET", "/", asJSON, 200, `{"name":"proxy-down","summary":"all three replicas of the proxy refuse connections","signal":"ibex_process_up{service=\"proxy\"} == 0 for 1 minute","active":false}`, ""},
		{"inject", "POST", "/inject/replica-down", "", 200, "ACTIVE  replica-down            the second", "replica-down"},
		{"inject another", "POST", "/inject/up-500", asJSON, 200, `"name":"up-500"`, "replica-down up-500"},
		{"two faults", "GET", "/", "", 200, "ACTIVE  up-500 ", "replica-down up-500"},
		{"two faults, as JSON", "GET", "/", asJSON, 200, `"active":true`, "replica-down up-500"},
		{"clear", "POST", "/clear/replica-down", "", 200, "ok      replica-down ", "up-500"},
		{"clear again", "POST", "/clear/replica-down", asJSON, 200, `"active":false`, "up-500"},
		{"unknown", "POST", "/inject/up-50", "", 404, `no fault is called "up-50"; did you mean up-500?`, "up-500"},
		{"unknown, as JSON", "POST", "/clear/up-50", asJSON, 404, `{"error":"no fault is called \"up-50\"; did you mean up-500?"}`, "up-500"},
		{"by GET", "GET", "/inject/up-404", "", 405, "", "up-500"},
		{"by PUT", "PUT", "/clear/up-500", "", 405, "", "up-500"},
		{"the list by POST", "POST", "/", "", 405, "", "up-500"},
		{"an unknown path", "GET", "/other", "", 404, "", "up-500"},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Header.Set("Accept", c.accept)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.holds) {
			t.Errorf("%s: expected %d %s, got %d %s", c.name, c.status, c.holds, w.Code, w.Body)
		}
		if got := strings.Join(s.Active(), " "); got != c.active {
			t.Errorf("%s: expected %q active, got %q", c.name, c.active, got)
		}
	}
}

func TestHandler_listsEveryFault(t *testing.T) {
	s := start(t, Options{})
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if lines := strings.Count(w.Body.String(), "\n"); lines != len(s.Faults()) {
		t.Errorf("expected %d lines, got %d", len(s.Faults()), lines)
	}
}

func TestHandler_refusesOtherSites(t *testing.T) {
	s := start(t, Options{})
	r := httptest.NewRequest("POST", "/inject/up-500", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusForbidden || len(s.Active()) > 0 {
		t.Errorf("expected 403 and no active faults, got %d and %v", w.Code, s.Active())
	}
}

func TestHandler_afterClose(t *testing.T) {
	s := start(t, Options{})
	s.Close()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("POST", "/inject/up-500", nil))
	if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "the sample system is stopped") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
