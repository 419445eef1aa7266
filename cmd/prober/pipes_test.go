package main

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"prober/internal/testenv"
)

// TestPipes: what is no regular file is waited for by no start. A named pipe has no writer, a terminal types nothing, and /dev/zero has no end.
func TestPipes(t *testing.T) {
	t.Parallel()
	pipe := mkfifo(t)
	file := writeFile(t, t.TempDir(), "prober.yaml", httpConfig("http://127.0.0.1:1", "up"))
	for flag, others := range map[string][]string{
		"--webhook.body-file":   {"--webhook.url=http://127.0.0.1:1/"},
		"--web.config.file":     nil,
		"--inbound.config.file": {"--inbound.listen-address=127.0.0.1:0"},
		"--webhook.url-file":    nil,
		"--watchdog.url-file":   nil,
		"--config.file":         nil,
	} {
		for _, path := range []string{pipe, "/dev/zero", "/dev/ptmx"} {
			args := append([]string{"--config.file=" + file, "--web.listen-address=127.0.0.1:0", flag + "=" + path}, others...)
			if status, out := runFor(t, 30*time.Second, args...); status != exitUsage || !strings.Contains(out, "regular file") {
				t.Errorf("%s=%s: got status %d, %s", flag, path, status, out)
			}
		}
	}
	if status, out := runFor(t, 30*time.Second, "--config.file="+file, "--once", "--output=json="+pipe); status != exitUsage || !strings.Contains(out, "--output: open "+pipe+": no such device or address") {
		t.Errorf("--output: got status %d, %s", status, out)
	}
}

// TestPipes_read: somebody who reads a named pipe is written the results there.
func TestPipes_read(t *testing.T) {
	t.Parallel()
	pipe := mkfifo(t)
	file := writeFile(t, t.TempDir(), "prober.yaml", httpConfig("http://127.0.0.1:1", "up"))
	cmd := exec.Command("cat", pipe)
	reader := testenv.StartCmd(t, cmd)
	for status := exitUsage; status != exitFail; { // until it reads
		status, _ = runFor(t, 30*time.Second, "--config.file="+file, "--once", "--output=tap="+pipe)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := reader.Wait(ctx); err != nil || !strings.Contains(reader.Output(), "not ok 1") {
		t.Errorf("it read %q, %v", reader.Output(), err)
	}
}

// TestSignals_atOnce: a command that leaves nothing at a target ends at the first signal, whatever it waits for, with the status that shells give.
func TestSignals_atOnce(t *testing.T) {
	t.Parallel()
	heedHangup(t)
	pipe := mkfifo(t)
	file := writeFile(t, t.TempDir(), "prober.yaml", httpConfig("http://127.0.0.1:1", "up"))
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		cmd := exec.Command(os.Args[0], "check", "--rules="+pipe, file)
		cmd.Env = append(os.Environ(), asProber+"=1")
		p := testenv.StartCmd(t, cmd)
		testenv.Eventually(t, 30*time.Second, func(context.Context) error {
			if !strings.Contains(p.Output(), "1 probe in 1 system") {
				return os.ErrNotExist
			}
			return nil
		})
		if err := p.Signal(s); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := p.Wait(ctx); ctx.Err() != nil {
			t.Fatalf("%s: it has not ended after 10 s, %v", s, err)
		}
		if w, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || w.Signal() != s {
			t.Errorf("%s: it ended with %v", s, cmd.ProcessState)
		}
	}
}

// heedHangup has the programs that a test starts heed SIGHUP also where the test itself runs under nohup.
func heedHangup(t *testing.T) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(hangups) })
}

// TestSignals_demo: the demo has no files to read again, and ends when its terminal is closed.
func TestSignals_demo(t *testing.T) {
	t.Parallel()
	heedHangup(t)
	p := start(t, nil, "demo")
	if err := p.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if status, err := p.Wait(ctx); err != nil || status != exitPass {
		t.Errorf("got status %d, %v", status, err)
	}
}

func mkfifo(t *testing.T) string {
	t.Helper()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	return pipe
}

// runFor runs the prober and kills it after a time.
func runFor(t *testing.T, limit time.Duration, args ...string) (status int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProber+"=1")
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}
