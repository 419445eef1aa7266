package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func TestRecoverPanics(t *testing.T) {
	var told []string
	o := full()
	o.Panicked = func(pattern string) { told = append(told, pattern) }
	o.Config = func() []byte { panic("hunter2 was the password") }
	o.Status = func() []ProbeStatus { panic(http.ErrNoCookie) }
	o.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { _ = told[len(told):][0] })
	h := New(o)
	for _, path := range []string{"/config", "/api/v1/status", "/metrics", "/"} {
		w := ask(h, "GET", path)
		if w.Code != 500 || w.Body.String() != "internal error\n" {
			t.Errorf("GET %s: got %d %s", path, w.Code, w.Body)
		}
	}
	if got := strings.Join(told, " "); got != "/config /api/v1/status /metrics /{$}" {
		t.Errorf("told of %q", got)
	}
}

func TestRecoverPanics_afterTheStart(t *testing.T) {
	var told atomic.Int64
	o := full()
	o.Panicked = func(string) { told.Add(1) }
	half := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "half of ")
		panic("hunter2")
	})
	o.Extra = map[string]http.Handler{"/half": half, "/gone": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })}
	server := httptest.NewServer(New(o))
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	for _, path := range []string{"/half", "/gone"} {
		response, err := server.Client().Get(server.URL + path)
		if err == nil {
			body, readErr := io.ReadAll(response.Body)
			response.Body.Close()
			if readErr == nil || strings.Contains(string(body), "hunter2") {
				t.Errorf("GET %s: got a whole answer %q", path, body)
			}
		}
	}
	if told.Load() != 1 {
		t.Errorf("told of %d panics, wanted the one that was no abort", told.Load())
	}
}

func TestRedirectAfterPost(t *testing.T) {
	broken := false
	o := full()
	o.Faults = func() []Fault {
		return []Fault{{Name: "auth-down", Summary: "auth stops", Active: broken, Path: "/faults/inject/auth-down"}}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /faults/inject/{name}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("name") != "auth-down" {
			http.Error(w, "no such fault", http.StatusNotFound)
			return
		}
		broken = true
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "broken\n")
	})
	mux.HandleFunc("POST /faults/silent", func(http.ResponseWriter, *http.Request) {})
	o.Extra = map[string]http.Handler{"/faults/": mux}
	h := New(o)
	if page := ask(h, "GET", "/demo").Body.String(); !strings.Contains(page, `action="./faults/inject/auth-down"`) || !strings.Contains(page, "Inject auth-down") {
		t.Error("the page has no form for the fault")
	}
	browser := []string{"Accept", "text/html,*/*"}
	w := ask(h, "POST", "/faults/inject/auth-down", browser...)
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "./../../" || w.Body.Len() != 0 || !broken {
		t.Errorf("a browser got %d to %q, %s", w.Code, w.Header().Get("Location"), w.Body)
	}
	if page := ask(h, "GET", "/demo").Body.String(); !strings.Contains(page, "Clear auth-down") || !strings.Contains(page, "1 active") {
		t.Error("the page does not offer to clear it")
	}
	if page := ask(h, "GET", "/").Body.String(); !strings.Contains(page, `<a href="./demo">Fault injection (1 active)</a>`) {
		t.Error("the front page does not say that a fault is active")
	}
	from := append(browser, "Referer", "https://proxy.example/prober/demo")
	if w := ask(h, "POST", "/faults/inject/auth-down", from...); w.Header().Get("Location") != "/prober/demo" {
		t.Errorf("from behind a prefix: led to %q", w.Header().Get("Location"))
	}
	if w := ask(h, "POST", "/faults/silent", browser...); w.Code != http.StatusSeeOther {
		t.Errorf("a handler without a word: got %d", w.Code)
	}
	if w := ask(h, "POST", "/faults/inject/nothing", browser...); w.Code != 404 || w.Body.String() != "no such fault\n" {
		t.Errorf("a failure was hidden: got %d %s", w.Code, w.Body)
	}
	if w := ask(h, "POST", "/faults/inject/auth-down"); w.Code != 200 || w.Body.String() != "broken\n" {
		t.Errorf("curl got %d %s", w.Code, w.Body)
	}
}
