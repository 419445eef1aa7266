package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"prober/config"
	"prober/internal/probe"
)

// How often the engine is tested: again soon after a failure, which may be due to a moment without descriptors.
const (
	engineInterval = time.Hour
	engineRetry    = 15 * time.Second
	engineTimeout  = 10 * time.Second // of one test: no verdict counts before the first
	engineGrace    = 3 * time.Second  // of the first test, when the prober is stopped meanwhile
)

// engineTargets are what the self-test asks, by path: one good target and three bad ones.
const engineTargets = `
system: self
timeout: 5s
probes:
  - {name: good, type: http, url: "%[1]s/good", expect: {status: 200, json: {"$.status": ok}}}
  - {name: wrong-status, type: http, url: "%[1]s/status", expect: {status: 200, json: {"$.status": ok}}}
  - {name: wrong-content, type: http, url: "%[1]s/content", expect: {status: 200, json: {"$.status": ok}}}
  - {name: cut-short, type: http, url: "%[1]s/cut", expect: {status: 200, json: {"$.status": ok}}}
`

// engineVerdicts are what each of them must come to.
var engineVerdicts = map[string]struct {
	verdict probe.Verdict
	reason  probe.Reason
}{
	"good":          {probe.Pass, probe.OK},
	"wrong-status":  {probe.Fail, probe.Status},
	"wrong-content": {probe.Fail, probe.Body},
	"cut-short":     {probe.Fail, probe.Truncated},
}

// An engine tests that the prober tells good targets from bad ones, from the configuration to the verdict, by targets of its
// own on loopback. While it does not, no verdict counts.
type engine struct {
	kinds  map[string]probe.Kind
	do     func(probe.Job, context.Context) probe.Result // Job.Do
	report func(check string, ok bool)

	tested chan struct{} // closed after the first test
	mu     sync.Mutex
	err    error // of the last test
}

func newEngine(kinds map[string]probe.Kind, report func(string, bool)) *engine {
	return &engine{kinds: kinds, do: probe.Job.Do, report: report, tested: make(chan struct{})}
}

// run tests the engine at once and from time to time until ctx ends. The first test is completed all the same: what a run has
// proven by then counts only after it.
func (e *engine) run(ctx context.Context) {
	firstCtx, cancel := outlast(ctx, engineGrace)
	defer cancel()
	for testCtx, first := firstCtx, true; ; testCtx, first = ctx, false {
		err := e.test(testCtx)
		cancelled := err != nil && ctx.Err() != nil // which says nothing of the engine
		e.mu.Lock()
		if first || !cancelled {
			e.err = err
		}
		e.mu.Unlock()
		if first {
			close(e.tested)
		}
		if cancelled {
			return
		}
		e.report("engine", err == nil)
		pause := engineInterval
		if err != nil {
			pause = engineRetry
		}
		if !sleep(ctx, pause) {
			return
		}
	}
}

// outlast returns a context that ends some time after another.
func outlast(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(by, cancel) })
	return longer, func() { stop(); cancel() }
}

// withEngine makes the jobs ask whether the engine works before their verdicts count.
func (e *engine) withEngine(jobs []probe.Job) []probe.Job {
	for i := range jobs {
		jobs[i].Engine = e.works
	}
	return jobs
}

// works returns nil if the last test passed. It waits for the first one.
func (e *engine) works() error {
	<-e.tested
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

// tests is works without waiting: before the first test nothing is known to work.
func (e *engine) tests() error {
	select {
	case <-e.tested:
		return e.works()
	default:
		return errors.New("the self-test has not run yet")
	}
}

// test asks the targets once. The error says which of them was not told.
func (e *engine) test(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	listener, err := loopback()
	if err != nil {
		return errors.New("there is no loopback address to listen on")
	}
	server := &http.Server{Handler: http.HandlerFunc(engineTarget), ReadTimeout: 10 * time.Second}
	go server.Serve(listener)
	defer server.Close()
	file := config.File{Name: "self.yaml", Data: fmt.Appendf(nil, engineTargets, "http://"+listener.Addr().String())}
	cfg, err := config.Parse(e.kinds, file)
	if err != nil {
		return errors.New("its configuration is not understood")
	}
	defer closeProbes(cfg.Jobs)
	told := 0
	for _, job := range cfg.Jobs {
		want, known := engineVerdicts[job.Name]
		r := e.do(job, ctx)
		if got := r.Decisive().Reason; !known || r.Verdict() != want.verdict || got != want.reason {
			return fmt.Errorf("%s: expected %s (%s), got %s (%s)", job.Name, want.verdict, want.reason, r.Verdict(), got)
		}
		told++
	}
	if told != len(engineVerdicts) {
		return errors.New("not all of its targets were asked")
	}
	return nil
}

// loopback listens on a free port of this machine.
func loopback() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l, err = net.Listen("tcp", "[::1]:0")
	}
	return l, err
}

// engineTarget answers as the path says.
func engineTarget(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	body := `{"status":"ok"}`
	switch r.URL.Path {
	case "/status":
		w.WriteHeader(http.StatusInternalServerError)
	case "/content":
		body = `{"status":"down"}`
	case "/cut":
		w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	}
	io.WriteString(w, body)
}
