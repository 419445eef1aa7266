package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"prober/config"
	"prober/internal/testenv"
	"prober/probes"
)

// startLimited starts the prober under a shell's limits.
func startLimited(t *testing.T, limits string, env []string, args ...string) *running {
	t.Helper()
	shell := testenv.Need(t, "bash")
	script := limits + `; exec "$0" "$@"`
	cmd := exec.Command(shell, append([]string{"-c", script, os.Args[0]}, append(args, "--web.listen-address=127.0.0.1:0")...)...)
	cmd.Env = append(append(os.Environ(), asProber+"=1"), env...)
	return startCommand(t, cmd)
}

// TestLimits_fewFileDescriptors starts the prober with so few file descriptors that its probes cannot open connections:
// it attributes that to itself, keeps answering scrapes, and recovers.
func TestLimits_fewFileDescriptors(t *testing.T) {
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		select {
		case <-release:
		case <-q.Context().Done():
		}
	}))
	t.Cleanup(slow.Close)
	var names []string
	for i := range 80 {
		names = append(names, fmt.Sprintf("p%d", i))
	}
	config := strings.ReplaceAll(httpConfig(slow.URL, names...), "interval: 1s\ntimeout: 800ms", "interval: 2s\ntimeout: 1900ms")
	p := startLimited(t, "ulimit -n 64", nil, "--config.file="+writeFile(t, t.TempDir(), "prober.yaml", config))
	testenv.Eventually(t, time.Minute, func(context.Context) error {
		_, body, err := p.get("/metrics")
		if err == nil && !strings.Contains(body, `reason="self_network"`) {
			err = errors.New("no run blames the prober's own network")
		}
		return err
	})
	close(release)
	testenv.Eventually(t, time.Minute, func(context.Context) error {
		_, body, err := p.get("/metrics")
		if passing := passing(body); err == nil && passing < len(names) {
			err = fmt.Errorf("only %d of %d pass", passing, len(names))
		}
		return err
	})
}

// passing counts the probes that pass.
func passing(exposition string) int {
	n := 0
	for line := range strings.Lines(exposition) {
		if strings.HasPrefix(line, "probe_success{") && strings.HasSuffix(line, " 1\n") {
			n++
		}
	}
	return n
}

// TestLimits_endlessBodies has ten targets send endless bodies at the same time to a prober with little memory.
func TestLimits_endlessBodies(t *testing.T) {
	chunk := make([]byte, 1<<20)
	flood := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 10 << 10 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	t.Cleanup(flood.Close)
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprintf("p%d", i))
	}
	p := start(t, []string{"GOMEMLIMIT=48MiB"}, "--config.file="+writeFile(t, t.TempDir(), "prober.yaml", httpConfig(flood.URL, names...)))
	for _, name := range names {
		p.waitForMetric(t, fmt.Sprintf(`probe_failures_total{probe=%q,system="test",type="http",check="status",reason="too_large"} `, name))
	}
	if peak := peakMemory(t, p.PID()); peak > 256<<20 { // the race detector takes several times what the prober does
		t.Errorf("the prober took %d MiB", peak>>20)
	}
}

// peakMemory is the peak resident memory of a process, in bytes.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kib), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// TestLimits_readOnlyWithoutHome starts the prober without HOME, in a directory that it cannot write to.
func TestLimits_readOnlyWithoutHome(t *testing.T) {
	x := startTarget(t)
	config := writeFile(t, t.TempDir(), "prober.yaml", httpConfig(x.URL, "up"))
	p := startLimited(t, "cd /proc; unset HOME TMPDIR; ulimit -f 0", nil, "--config.file="+config)
	p.waitForMetric(t, `probe_success{probe="up",system="test",type="http"} 1`)
}

// TestRun_repeatedly starts and stops the whole prober in one process: nothing is registered twice, nothing leaks.
func TestRun_repeatedly(t *testing.T) {
	x := startTarget(t)
	config := writeFile(t, t.TempDir(), "prober.yaml", httpConfig(x.URL, "up"))
	before := goleak.IgnoreCurrent()
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		ready := &writeNotifier{text: "Listening on", seen: cancel}
		if got := run(ctx, []string{"--config.file=" + config, "--web.listen-address=127.0.0.1:0"}, io.Discard, ready); got != exitPass {
			t.Fatalf("exit status %d", got)
		}
		cancel()
	}
	goleak.VerifyNone(t, before)
}

// TestLimits_hostileAnswers probes a server that misbehaves in every way ten thousand times. The prober's memory and
// goroutines must not grow with the number of runs.
func TestLimits_hostileAnswers(t *testing.T) {
	testenv.Slow(t, "it reads endless answers")
	target, _ := echoServer(t)
	var text strings.Builder
	fmt.Fprintf(&text, "system: zoo\nprobes:\n")
	for _, path := range []string{"200", "401", "404", "429", "500", "503", "redirect", "cut", "garbage", "status", "length", "json"} {
		for _, connection := range []string{"fresh", "reuse"} {
			fmt.Fprintf(&text, "  - {name: %[2]s-%[1]s, type: http, url: \"%[3]s/%[1]s\", connection: %[2]s, catch_all_check: true, expect: {json: {\"$.status\": up}}}\n", path, connection, target)
		}
	}
	cfg, err := config.Parse(probes.Kinds(), config.File{Name: "zoo.yaml", Data: []byte(text.String())})
	if err != nil {
		t.Fatal(err)
	}
	a := newOnceRunner(16)
	runs := func(often int) (goroutines, files int) {
		for range often {
			if got := len(a.run(t.Context(), cfg.Jobs)); got != len(cfg.Jobs) {
				t.Fatalf("got %d results of %d", got, len(cfg.Jobs))
			}
		}
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return runtime.NumGoroutine(), len(open)
	}
	goroutines, files := runs(20)
	// Closing connections come and go; a leak in each run would be ten thousand.
	if g, f := runs(10_000 / len(cfg.Jobs)); g > goroutines+50 || f > files+50 {
		t.Errorf("after 10,000 more runs %d goroutines and %d files, before %d and %d", g, f, goroutines, files)
	}
	closeProbes(cfg.Jobs)
}

// A writeNotifier calls a function once a text was written.
type writeNotifier struct {
	text string
	seen func()
}

func (n *writeNotifier) Write(b []byte) (int, error) {
	if strings.Contains(string(b), n.text) {
		n.seen()
	}
	return len(b), nil
}
