// Package probetest holds what the tests of several kinds share.
package probetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"prober/internal/jsonpath"
	"prober/internal/probe"
)

// Run validates a probe, runs it once and returns its result, which may hold only what the kind declares and checks that the
// probe announces.
func Run(t *testing.T, kind probe.Kind, p probe.Probe) probe.Result {
	t.Helper()
	return RunWithin(t, 10*time.Second, kind, p)
}

// RunWithin is Run with another timeout than ten seconds, for a run that is much work.
func RunWithin(t *testing.T, timeout time.Duration, kind probe.Kind, p probe.Probe) probe.Result {
	t.Helper()
	if err := p.Validate(); err != nil {
		t.Fatalf("the settings are refused: %v", err)
	}
	job := probe.Job{ID: probe.ID{System: "test", Name: "it"}, Kind: kind, Probe: p, Interval: time.Minute, Timeout: timeout}
	late := &probe.Lateness{Tick: -time.Hour}
	late.Watch()
	late.Rest() // an hour late, before the run
	r := Do(probe.WithLateness(t.Context(), late), job)
	for _, x := range r.Exchanges {
		if x.Late != 0 {
			t.Errorf("an exchange of %s was late by %s, expected only what the prober was late by meanwhile", x.Check, x.Late)
		}
	}
	if err := errors.Join(kind.Undeclared(r), r.Repeats()); err != nil {
		t.Error(err)
	}
	announced := slices.Concat(p.Checks(), probe.TargetChecks(p), []string{probe.RunCheck})
	for _, c := range r.Checks {
		if !slices.Contains(announced, c.Name) {
			t.Errorf("the check %s is not announced", c.Name)
		}
	}
	return r
}

// Do runs a job. A run that says of itself that the machine gave it no time concludes nothing, and is made again: twice at most.
func Do(ctx context.Context, job probe.Job) (r probe.Result) {
	for range 3 {
		if r = job.Do(ctx); !slices.ContainsFunc(r.Checks, ofBusyMachine) {
			break
		}
		if r.Abandoned != nil {
			<-r.Abandoned
		}
	}
	return r
}

func ofBusyMachine(c probe.Check) bool {
	return c.Name == probe.RunCheck && slices.Contains([]probe.Reason{probe.SelfDelay, probe.Suspended, probe.Hung}, c.Reason)
}

// Lines writes a result as lines, the verdict first: what a test compares.
func Lines(r probe.Result) string {
	var b strings.Builder
	fmt.Fprintln(&b, r.Verdict())
	for _, c := range r.Checks {
		name := c.Name
		if c.Target != "" {
			name += "@" + c.Target
		}
		fmt.Fprintf(&b, "%s %s(%s): %s\n", name, c.Verdict, c.Reason, c.Detail)
	}
	return b.String()
}

// Serve starts a server that answers each path with a handler of its own, 404 elsewhere.
func Serve(t *testing.T, paths map[string]http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if handle, ok := paths[q.URL.Path]; ok {
			handle(w, q)
			return
		}
		http.NotFound(w, q)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// WantClosed runs a probe of a server, which must be left with a connection that is kept, and with none once the probe is closed.
func WantClosed(t *testing.T, kind probe.Kind, handler http.Handler, of func(url string) probe.Probe) {
	t.Helper()
	var opened atomic.Int32
	closed := make(chan bool, 100)
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			opened.Add(1)
		case http.StateClosed:
			closed <- true
		}
	}
	server.Start()
	defer server.Close()
	p := of(server.URL)
	if r := Run(t, kind, p); opened.Load() != 1 || len(closed) > 0 {
		t.Fatalf("%d connections were opened, and %d closed, after %s", opened.Load(), len(closed), Lines(r))
	}
	p.(probe.Closer).Close()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("the connection is kept")
	}
}

// Respond writes a status, a content type and a body.
func Respond(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// WantLines compares the lines of a result with those expected. An expected line that ends with * is a prefix.
func WantLines(t *testing.T, r probe.Result, want ...string) {
	t.Helper()
	got := strings.Split(strings.TrimSpace(Lines(r)), "\n")
	for i := range max(len(got), len(want)) {
		g, w := "", ""
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if pattern, ok := strings.CutSuffix(w, "*"); ok && strings.HasPrefix(g, pattern) {
			continue
		}
		if g != w {
			t.Errorf("line %d:\n got  %s\n want %s", i+1, g, w)
		}
	}
}

// NotPassed returns the lines of a result that do not say "pass", and its verdict.
func NotPassed(r probe.Result) string {
	var out []string
	for _, line := range strings.Split(strings.TrimSpace(Lines(r)), "\n") {
		if !strings.Contains(line, " pass(ok): ") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// Path parses a JSONPath expression.
func Path(t *testing.T, expr string) jsonpath.Path {
	t.Helper()
	p, err := jsonpath.Parse(expr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
