package httpx

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"prober/internal/probe"
)

// TestOverSharesConnectionsAndNoCredential has two callers take turns on one connection, each with its own credential.
func TestOverSharesConnectionsAndNoCredential(t *testing.T) {
	url, requests, conns := listen(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("Authorization"))
	})
	base, err := (&Settings{Connection: reuse}).Client(url)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	clients := map[string]*Client{"": base}
	for _, token := range []string{"token-of-the-first", "token-of-the-second"} {
		client, err := (&Settings{Connection: reuse, Bearer: keep(t, token)}).SharingConnections(base, map[string]string{"url": url})
		if err != nil {
			t.Fatal(err)
		}
		clients["Bearer "+token] = client
	}
	for range 2 {
		for want, client := range clients {
			if a, _ := askWith(t, client, patience, Request{URL: url}); a.Reason != probe.OK || string(a.Body) != want {
				t.Errorf("got %q, %s; want %q", a.Body, a.Detail, want)
			}
		}
	}
	if requests.Load() != 6 || conns.Load() != 1 {
		t.Errorf("%d requests over %d connections, want 6 over 1", requests.Load(), conns.Load())
	}
	if _, err := (&Settings{Connection: "sometimes"}).SharingConnections(base, map[string]string{"url": url}); err == nil {
		t.Error("settings that Client refuses are accepted")
	}
}

// TestAbandonHangsUpInTheMiddle reads the first half of an answer and goes away; the server sees the caller leave.
func TestAbandonHangsUpInTheMiddle(t *testing.T) {
	left := make(chan struct{})
	url, _, conns := listen(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/short" {
			io.WriteString(w, "ab")
			return
		}
		io.WriteString(w, "first half,")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(left)
	})
	client, err := (&Settings{Connection: reuse}).Client(url)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	a, r := askWith(t, client, patience, Request{URL: url + "/long", Abandon: 5, Want: Codes(200), Check: "x", Target: "somewhere", Show: "http://shown/{id}"})
	if !a.Expected || a.Broken() {
		t.Error("hanging up on purpose is told as a fault")
	}
	if a.Reason != probe.Cancelled || string(a.Body) != "first" || a.Status != 200 || !strings.Contains(a.Detail, "on purpose") {
		t.Errorf("got %s with %q: %s", a.Reason, a.Body, a.Detail)
	}
	<-left
	if x := r.Exchanges[0]; x.Target != "somewhere" || x.URL != "http://shown/{id}" {
		t.Errorf("the exchange is told as %s of %s", x.URL, x.Target)
	}
	a, _ = askWith(t, client, patience, Request{URL: url + "/short", Abandon: 5, Want: Codes(404)})
	if a.Expected || a.Broken() {
		t.Errorf("expected %t, broken %t; want neither", a.Expected, a.Broken())
	}
	if a.Reason != probe.OK || string(a.Body) != "ab" || a.StatusText != "200 OK" {
		t.Errorf("a body that ends before: %s with %q, %q", a.Reason, a.Body, a.StatusText)
	}
	if conns.Load() != 2 {
		t.Errorf("%d connections, want another one after hanging up", conns.Load())
	}
}

// TestAbandon_bodies tells a body that ends from one that is cut off, and never shows a part of a coded one.
func TestAbandon_bodies(t *testing.T) {
	zipped := string(gzipped([]byte(strings.Repeat("secret ", 100))))
	for name, c := range map[string]struct {
		answer string
		why    probe.Reason
		body   string
	}{
		"longer":                {"Content-Length: 9\r\n\r\nfirst half", probe.Cancelled, "first"},
		"exactly":               {"Content-Length: 5\r\n\r\nfirst", probe.Cancelled, "first"}, // there may be more
		"shorter":               {"Content-Length: 2\r\n\r\nab", probe.OK, "ab"},
		"empty":                 {"Content-Length: 0\r\n\r\n", probe.OK, ""},
		"until the end":         {"\r\nab", probe.OK, "ab"},
		"in chunks":             {"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n", probe.OK, "ab"},
		"cut off":               {"Content-Length: 9\r\n\r\nab", probe.Truncated, "ab"},
		"cut off before it":     {"Content-Length: 9\r\n\r\n", probe.Truncated, ""},
		"cut off between two":   {"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n", probe.Truncated, "a"},
		"cut off within one":    {"Transfer-Encoding: chunked\r\n\r\n4\r\nab", probe.Truncated, "ab"},
		"gzip":                  {"Content-Encoding: gzip\r\n\r\n" + zipped, probe.Cancelled, ""},
		"gzip on a second line": {"Content-Encoding: identity\r\nContent-Encoding: gzip\r\n\r\n" + zipped, probe.Cancelled, ""},
		"identity":              {"Content-Encoding: identity\r\n\r\nfirst half", probe.Cancelled, "first"},
		"unknown":               {"Content-Encoding: br\r\n\r\nfirst half", probe.Protocol, ""},
		"unknown on a second":   {"Content-Encoding: gzip\r\nContent-Encoding: br\r\n\r\nfirst half", probe.Protocol, ""},
	} {
		t.Run(name, func(t *testing.T) {
			z := serve(t, says("HTTP/1.1 200 OK\r\n"+c.answer))
			a, _ := ask(t, &Settings{}, patience, Request{URL: z.url(), Abandon: 5, Want: Codes(200)})
			if a.Reason != c.why || string(a.Body) != c.body {
				t.Errorf("got %s with %q: %s; expected %s with %q", a.Reason, a.Body, a.Detail, c.why, c.body)
			}
		})
	}
}

// TestAnswersWithoutABodyAtTheSameTime give their connection back before they are looked at; the race detector sees
// whoever looks at what is then another's.
func TestAnswersWithoutABodyAtTheSameTime(t *testing.T) {
	url, _, _ := listen(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	client, err := (&Settings{Connection: reuse}).Client(url)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				r := probe.NewResult(probe.ID{})
				if a := client.Do(t.Context(), r, Request{Method: "DELETE", URL: url}); a.Reason != probe.OK || a.Status != 204 {
					t.Errorf("got %d, %s", a.Status, a.Detail)
				}
			}
		})
	}
	all.Wait()
}
