package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// TestPull scrapes one probe, whose interval is a minute, in all the states that it can be in.
func TestPull(t *testing.T) {
	const timeout = "X-Prometheus-Scrape-Timeout-Seconds"
	busy := errors.New("a run is in progress")
	for _, c := range []struct {
		name    string
		path    string
		age     time.Duration // of the last run; 0: it has not run
		run     error         // of a run on request
		off     bool          // runs on request are not enabled
		ends    time.Duration // when a run in progress ends; 0: never
		headers []string

		status int
		body   string
		runs   int
		waits  time.Duration
	}{
		{name: "it ran within its interval", path: "?probe=ibex/proxy", age: 59 * time.Second, status: 200, body: "series of ibex/proxy"},
		{name: "a name that one system has", path: "?probe=proxy", age: 59 * time.Second, status: 200, body: "series of ibex/proxy"},
		{name: "its last run is older", path: "?probe=ibex/proxy", age: time.Minute, status: 200, body: "series of ibex/proxy", runs: 1},
		{name: "it has not run", path: "?probe=ibex/proxy", status: 200, body: "series of ibex/proxy", runs: 1},
		{name: "a run is in progress and ends", path: "?probe=ibex/proxy", age: time.Minute, run: busy, ends: 3 * time.Second, status: 200, body: "series of ibex/proxy", runs: -1, waits: 3 * time.Second},
		{name: "a run is in progress and does not end", path: "?probe=ibex/proxy", age: time.Minute, run: busy, status: 503, runs: -1, waits: pullWait,
			body: "expected a run within 1m, got none in time: a run is in progress\n"},
		{name: "the run takes longer than the scrape", path: "?probe=ibex/proxy", run: context.DeadlineExceeded, headers: []string{timeout, "4.5"}, status: 503, runs: 1, waits: 4 * time.Second,
			body: "expected a run within 1m, got none in time: the run has not ended yet\n"},
		{name: "an invalid timeout", path: "?probe=ibex/proxy", run: context.DeadlineExceeded, headers: []string{timeout, "NaN"}, status: 503, runs: 1, waits: pullWait},
		{name: "an endless timeout", path: "?probe=ibex/proxy", run: context.DeadlineExceeded, headers: []string{timeout, "1e300"}, status: 503, runs: 1, waits: pullMost - pullAnswer},
		{name: "runs on request are off, and the next one comes", path: "?probe=ibex/proxy", age: time.Minute, off: true, ends: 2 * time.Second, status: 200, waits: 2 * time.Second},
		{name: "runs on request are off", path: "?probe=ibex/proxy", age: time.Minute, off: true, status: 503, waits: pullWait,
			body: "expected a run within 1m, got none in time: running a probe on request is not enabled\n"},
		{name: "an unknown probe", path: "?probe=ibex/prox", status: 404, body: "no probe is named ibex/prox\n"},
		{name: "a name that two systems have", path: "?probe=auth", status: 400, body: "2 systems have a probe auth: expected SYSTEM/NAME\n"},
		{name: "no probe", path: "", status: 400, body: "expected the parameter probe once, got it 0 times\n"},
		{name: "two probes", path: "?probe=proxy&probe=auth", status: 400, body: "expected the parameter probe once, got it 2 times\n"},
		{name: "a target", path: "?probe=ibex/proxy&target=http://169.254.169.254/", status: 400,
			body: "expected the parameter probe alone, got target: what a probe asks is said by the configuration\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, runs := time.Now(), 0
				row := ProbeStatus{ID: probe.ID{System: "ibex", Name: "proxy", Type: "health"}, Interval: time.Minute}
				if c.age > 0 {
					row.LastRun = began.Add(-c.age)
				}
				current := func() ProbeStatus {
					if row := row; c.ends > 0 && time.Since(began) >= c.ends {
						row.LastRun = time.Now()
						return row
					}
					return row
				}
				o := full()
				o.Status = func() []ProbeStatus {
					return []ProbeStatus{current(), {ID: probe.ID{System: "ibex", Name: "auth"}}, {ID: probe.ID{System: "shop", Name: "auth"}}}
				}
				o.Probe = func(string, string) (Detail, bool) { return Detail{ProbeStatus: current()}, true }
				o.ProbeMetrics = func(id probe.ID) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "series of %s\n", id.Key()) })
				}
				if !c.off {
					o.Run = func(ctx context.Context, id probe.ID) error {
						runs++
						if c.run == context.DeadlineExceeded {
							<-ctx.Done()
							return ctx.Err()
						}
						return c.run
					}
				}
				w := ask(New(o), "GET", "/probe"+c.path, c.headers...)
				if waited := time.Since(began); waited != c.waits {
					t.Errorf("waited %s, expected %s", waited, c.waits)
				}
				if w.Code != c.status || !strings.HasPrefix(w.Body.String(), c.body) {
					t.Errorf("got %d %q, expected %d %q", w.Code, w.Body.String(), c.status, c.body)
				}
				if runs != c.runs && (c.runs >= 0 || runs == 0) {
					t.Errorf("ran %d times, expected %d", runs, c.runs)
				}
				<-time.After(time.Minute) // the right to render is given back
			})
		})
	}
}

// TestPull_atOnce has many pull a probe at once. It runs once, whenever each of them looked at its last run.
func TestPull_atOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		running := make(chan struct{}, 1)
		runs, row := 0, ProbeStatus{ID: probe.ID{System: "ibex", Name: "proxy", Type: "health"}, Interval: time.Minute}
		o := full()
		o.Probe = func(string, string) (Detail, bool) {
			mu.Lock()
			defer mu.Unlock()
			return Detail{ProbeStatus: row}, true
		}
		o.Status = func() []ProbeStatus { return []ProbeStatus{{ID: row.ID}} }
		o.ProbeMetrics = func(probe.ID) http.Handler { return http.NotFoundHandler() }
		o.Run = func(context.Context, probe.ID) error {
			running <- struct{}{}
			defer func() { <-running }()
			time.Sleep(time.Second)
			mu.Lock()
			defer mu.Unlock()
			row.LastRun = time.Now()
			runs++
			return nil
		}
		h := New(o)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { ask(h, "GET", "/probe?probe=ibex/proxy") })
		}
		time.Sleep(time.Millisecond)
		if w := ask(h, "GET", "/probe?probe=ibex/proxy", "X-Prometheus-Scrape-Timeout-Seconds", "0.9"); w.Code != 503 || !strings.HasSuffix(w.Body.String(), "the run has not ended yet\n") {
			t.Errorf("got %d %q", w.Code, w.Body.String())
		}
		all.Wait()
		if runs != 1 {
			t.Errorf("ran %d times, expected 1", runs)
		}
		time.Sleep(time.Minute) // the right to render is given back
	})
}

// TestPull_waitersLeaveRoom has more readers pull a probe whose run does not end than the server may have connections. The prober's own
// health, a probe that has just run and a page are answered all the same: it must not look dead because a target is.
func TestPull_waitersLeaveRoom(t *testing.T) {
	o := full()
	rows := map[string]ProbeStatus{
		"hangs": {ID: probe.ID{System: "ibex", Name: "hangs"}, Interval: time.Minute},
		"ran":   {ID: probe.ID{System: "ibex", Name: "ran"}, Interval: time.Minute, LastRun: time.Now()},
	}
	o.Status = func() []ProbeStatus { return []ProbeStatus{rows["hangs"], rows["ran"]} }
	o.Probe = func(_, name string) (Detail, bool) { return Detail{ProbeStatus: rows[name]}, true }
	o.ProbeMetrics = func(id probe.ID) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "series of %s\n", id.Key()) })
	}
	o.Run = func(ctx context.Context, _ probe.ID) error {
		<-ctx.Done()
		return ctx.Err()
	}
	const connections = 8
	server := NewServer(New(o), connections)
	address := serve(t, server)
	pull := func() (status int, body string) {
		resp, err := http.Get("http://" + address + "/probe?probe=hangs")
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer server.Close()
	for range connections / 2 {
		waiting.Go(func() { pull() })
	}
	testenv.Eventually(t, time.Minute, func(context.Context) error {
		if got := waitingIn(server); got != connections/2 {
			return fmt.Errorf("%d wait", got)
		}
		return nil
	})
	for range connections {
		if status, body := pull(); status != 503 || body != "expected a run within 1m, got none: too many wait for one already\n" {
			t.Fatalf("with %d that wait, one more got %d %q", connections/2, status, body)
		}
	}
	for path, want := range map[string]string{"/-/healthy": "prober is healthy\n", "/probe?probe=ran": "series of ibex/ran\n"} {
		if _, body := get(t, "http://"+address+path, ""); string(body) != want {
			t.Errorf("%s: got %q", path, body)
		}
	}
}

// waitingIn is how many readers of a server wait for a run.
func waitingIn(server *http.Server) int {
	l := server.Handler.(*site).waits
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}
