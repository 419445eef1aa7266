package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"prober/internal/testenv"
)

// A prober is stopped for a time too short to count as suspended while it waits for a response: what it took to go on is not
// the target's latency.
func TestOnce_ownDelayIsNotTheTargets(t *testing.T) {
	testenv.Slow(t, "it stops processes")
	for name, settings := range map[string]string{
		"slow":    "timeout: 20s, expect: {latency: 300ms}",
		"timeout": "timeout: 600ms",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var process atomic.Pointer[os.Process]
			started := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
				<-started
				stop(process.Load())
				time.AfterFunc(900*time.Millisecond, func() { process.Load().Signal(syscall.SIGCONT) })
				if name == "timeout" { // else the response and the deadline would come at the same instant
					<-q.Context().Done()
				}
			}))
			t.Cleanup(server.Close)
			file := writeFile(t, t.TempDir(), "prober.yaml", fmt.Sprintf("system: test\nprobes:\n  - {name: up, type: http, url: %s, %s}\n", server.URL, settings))
			cmd := exec.Command(os.Args[0], "--once", "--config.file="+file)
			cmd.Env = append(os.Environ(), asProber+"=1")
			testenv.KillWithParent(cmd)
			var out strings.Builder
			cmd.Stdout = &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			process.Store(cmd.Process)
			close(started)
			cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != exitInconclusive || !strings.Contains(out.String(), "[self_delay]") {
				t.Errorf("exit status %d, want %d\n%s", got, exitInconclusive, out.String())
			}
		})
	}
}

// stop stops a process and returns when it has stopped: on a busy machine it goes on for a while.
func stop(p *os.Process) {
	p.Signal(syscall.SIGSTOP)
	for range 10_000 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
		if err != nil || strings.Contains(string(stat), ") T ") {
			return
		}
		<-time.After(time.Millisecond)
	}
}
