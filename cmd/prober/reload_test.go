package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"prober/config"
	"prober/internal/history"
	"prober/internal/incident"
	"prober/internal/metrics"
	"prober/internal/probe"
	"prober/internal/sandbox"
	"prober/internal/schedule"
	"prober/internal/web"
	"prober/probes"
)

// bareServer returns a server that neither listens nor runs anything.
func bareServer() *server {
	log := slog.New(slog.DiscardHandler)
	s := &server{
		log: log, jobSets: make(chan []probe.Job, 1), metrics: metrics.New(metrics.Build{}), board: web.NewStatusStore(),
		incidents: incident.New(), history: history.NewInMemory(history.Options{}), verdicts: &verdictLogger{log: log}, targets: newTargetLists(),
	}
	s.disk = &diskReporter{server: s}
	s.self = newSelfChecks(s.metrics.SelfCheck)
	s.scheduler = schedule.New(probe.Sinks{}, schedule.Options{})
	return s
}

// written is a probe with a setting.
type written struct {
	URL string `yaml:"url"`
}

func (p *written) Validate() error                    { return nil }
func (p *written) Checks() []string                   { return nil }
func (p *written) Ask(context.Context, *probe.Result) {}

// TestConfigPage shows the configuration while every kind of the demo runs. A probe that runs changes what is beside its
// settings; that the page reads nothing of it, the race detector tells.
func TestConfigPage(t *testing.T) {
	t.Parallel()
	s := bareServer()
	jobs := demoJobs(t, startSandbox(t, sandbox.Options{}))
	s.apply(&config.Config{Jobs: slices.Clone(jobs)}, slices.Clone(jobs), true)
	pages := s.handler(&options{}, &reloader{}, demoHooks{})
	var running sync.WaitGroup
	for _, j := range jobs {
		running.Go(func() { j.Do(t.Context()) })
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		running.Wait()
	}()
	for shown := 0; ; shown++ {
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost/config", nil))
		for _, j := range jobs {
			if w.Code != 200 || !strings.Contains(w.Body.String(), "name: "+j.Name+"\n") {
				t.Fatalf("expected %s, got %d: %s", j.Name, w.Code, w.Body)
			}
		}
		select {
		case <-done:
			if shown == 0 {
				t.Error("the page was not shown while probes ran")
			}
			return
		default:
		}
	}
}

// TestApply_forgetsRemovedProbes reloads again and again with new names: the log of verdicts does not grow.
func TestApply_forgetsRemovedProbes(t *testing.T) {
	t.Parallel()
	s := bareServer()
	for reload := range 5 {
		var jobs []probe.Job
		for i := range 10 {
			id := probe.ID{System: "shop", Name: fmt.Sprintf("p%d-%d", reload, i), Type: "http"}
			jobs = append(jobs, probe.Job{ID: id, Probe: &written{}, Interval: time.Minute, Timeout: time.Second})
		}
		s.apply(&config.Config{Jobs: jobs}, jobs, true)
		for _, j := range jobs {
			s.verdicts.Observe(*probe.NewResult(j.ID))
		}
	}
	if n := len(s.verdicts.last); n != 10 {
		t.Errorf("the log of verdicts remembers %d probes, expected the 10 that are configured", n)
	}
}

// TestReload_halfWritten looks at files that are being written: they are taken when they have stood still for two looks, or at
// once if somebody asks for it.
func TestReload_halfWritten(t *testing.T) {
	t.Parallel()
	s, dir := bareServer(), t.TempDir()
	s.memory, s.engine = newBudget(), &engine{}
	path := writeFile(t, dir, "prober.yaml", httpConfig("http://127.0.0.1:1/", "a"))
	from := func() []config.File { return config.Read(path) }
	cfg, err := config.Parse(probes.Kinds(), from()...)
	if err != nil {
		t.Fatal(err)
	}
	s.apply(cfg, cfg.Jobs, true)
	r := newReloader(probes.Kinds(), from, cfg, s, time.Minute, nil)
	whole := httpConfig("http://127.0.0.1:1/", "a", "b", "c")
	half := whole[:strings.LastIndex(whole, "  - ")]
	at := time.Now()
	write := func(content string) func() {
		return func() {
			at = at.Add(time.Second)
			writeFile(t, dir, "prober.yaml", content)
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	nothing := func() {}
	for i, step := range []struct {
		change    func()
		requested bool
		want      int // probes after the look
	}{
		{nothing, false, 1},
		{write(half), false, 1},
		{write(whole), false, 1}, // more has come
		{write(whole), false, 1}, // the same, written once more
		{nothing, false, 3},
		{nothing, false, 3},
		{write(half), true, 2}, // by SIGHUP
		{write("system: broken"), false, 2},
		{nothing, false, 2}, // refused
		{write(whole), false, 2},
		{nothing, false, 3},
		{write(half), false, 3},
		{write(whole), false, 3},
		{nothing, false, 3},
	} {
		step.change()
		r.once(step.requested)
		if got := len(s.config.Load().Jobs); got != step.want {
			t.Errorf("look %d: %d probes are configured, expected %d", i+1, got, step.want)
		}
		if failed := r.failed() != nil; failed != (i == 8 || i == 9) {
			t.Errorf("look %d: the last load failed: %v", i+1, r.failed())
		}
	}
}

// TestReload_exec allows no programs that the prober was not started with, and bounds those of all loads together.
func TestReload_exec(t *testing.T) {
	t.Parallel()
	const program = "system: shop\nprobes:\n  - {name: a, type: exec, command: [/bin/true]}\n"
	for allowed, want := range map[bool]int{false: 1, true: 2} {
		s, dir, o := bareServer(), t.TempDir(), options{allowExec: allowed}
		s.memory, s.engine = newBudget(), &engine{}
		path := writeFile(t, dir, "prober.yaml", httpConfig("http://127.0.0.1:1/", "b"))
		kinds, from := o.kinds(), func() []config.File { return config.Read(path) }
		cfg, err := config.Parse(kinds, from()...)
		if err != nil {
			t.Fatal(err)
		}
		s.apply(cfg, cfg.Jobs, true)
		r := newReloader(kinds, from, cfg, s, time.Minute, nil)
		writeFile(t, dir, "prober.yaml", program+"  - {name: c, type: exec, command: [/bin/false]}\n")
		if err := r.once(true); (err == nil) != allowed || len(s.config.Load().Jobs) != want {
			t.Errorf("allowed=%t: got %d probes and %v", allowed, len(s.config.Load().Jobs), err)
		}
		if err := r.failed(); !allowed && (err == nil || !strings.Contains(err.Error(), "prober.yaml:3: a: type exec: it starts programs")) {
			t.Errorf("got %v", err)
		}
	}
}

// TestReload_whileProbesRun reloads while every kind of the demo runs: probes whose entries did not change stay, and nothing of them is
// written, which the race detector tells.
func TestReload_whileProbesRun(t *testing.T) {
	s, sample := bareServer(), startSandbox(t, sandbox.Options{})
	s.memory, s.engine = newBudget(), &engine{}
	for name, value := range sample.Env() {
		t.Setenv(name, value)
	}
	text, dir := string(sample.RewriteAddresses(config.Demo)), t.TempDir()
	path := writeFile(t, dir, "demo.yaml", text)
	from := func() []config.File { return config.Read(path) }
	cfg, err := config.Parse(probes.Kinds(), from()...)
	if err != nil {
		t.Fatal(err)
	}
	jobs := slices.Clone(cfg.Jobs)
	s.apply(cfg, cfg.Jobs, true)
	r := newReloader(probes.Kinds(), from, cfg, s, time.Minute, nil)
	var running sync.WaitGroup
	for _, j := range jobs {
		running.Go(func() { j.Do(t.Context()) })
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		running.Wait()
	}()
	for n := 0; n < 2 || !closed(done); n++ {
		writeFile(t, dir, "demo.yaml", strings.Replace(text, "interval: 5s", fmt.Sprintf("interval: %ds\nlabels: {n: n%d}", 6+n%3, n), 1))
		if err := r.once(true); err != nil {
			t.Fatal(err)
		}
	}
	now := s.config.Load().Jobs
	var again []string
	for _, j := range newIn(now, jobs) {
		again = append(again, j.Name)
	}
	if len(now) != len(jobs) || now[0].Interval < 6*time.Second || now[0].Labels["n"] == "" {
		t.Errorf("the header did not change %+v, or there are %d probes of %d", now[0].Labels, len(now), len(jobs))
	}
	if fmt.Sprint(again) != "[proxy-baseline]" { // which has an alias
		t.Errorf("made again: %s", again)
	}
}

// closed reports whether a channel is closed.
func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestReload_readsListsAgain has the same configuration loaded again while a list in a file is another: what stays on the list stays,
// and the rest is made and closed.
func TestReload_readsListsAgain(t *testing.T) {
	t.Parallel()
	s, dir := bareServer(), t.TempDir()
	s.memory, s.engine = newBudget(), &engine{}
	path := writeFile(t, dir, "prober.yaml", "system: shop\nprobes:\n  - {name: pods, type: targets, file: [targets.json], want: 1}\n"+
		"  - {for_each: pods, name: 'pod-{host}', type: tcp, address: '{target}'}\n")
	from := func() []config.File { return config.Read(path) }
	list := func(targets string) { writeFile(t, dir, "targets.json", `[{"targets": [`+targets+`]}]`) }
	list(`"127.0.0.1:1", "127.0.0.2:1"`)
	cfg, err := config.Parse(probes.Kinds(), from()...)
	if err != nil {
		t.Fatal(err)
	}
	s.apply(cfg, cfg.Jobs, true)
	r := newReloader(probes.Kinds(), from, cfg, s, time.Minute, nil)
	for i, c := range []struct{ targets, want, again string }{
		{`"127.0.0.1:1", "127.0.0.2:1"`, "pods pod-127.0.0.1 pod-127.0.0.2", "pod-127.0.0.1 pod-127.0.0.2"},
		{`"127.0.0.1:1", "127.0.0.2:1"`, "pods pod-127.0.0.1 pod-127.0.0.2", ""},
		{`"127.0.0.2:1", "127.0.0.3:1"`, "pods pod-127.0.0.2 pod-127.0.0.3", "pod-127.0.0.3"},
		{`"127.0.0.1:1", "127.0.0.2:1"`, "pods pod-127.0.0.1 pod-127.0.0.2", "pod-127.0.0.1"}, // the first one was closed
		{`"127.0.0.2:2"`, "pods pod-127.0.0.2", "pod-127.0.0.2"},
	} {
		before := s.config.Load().Jobs
		list(c.targets)
		if err := r.once(true); err != nil {
			t.Fatal(err)
		}
		names := func(jobs []probe.Job) (all []string) {
			for _, j := range jobs {
				all = append(all, j.Name)
			}
			return all
		}
		now := s.config.Load().Jobs
		if got, again := strings.Join(names(now), " "), strings.Join(names(newIn(now, before)), " "); got != c.want || again != c.again {
			t.Errorf("load %d: got %s, made again %s; expected %s and %s", i+1, got, again, c.want, c.again)
		}
	}
}
