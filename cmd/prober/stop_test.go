package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"prober/config"
	"prober/internal/sandbox"
	"prober/internal/testenv"
)

// TestStop_deletesCanaries stops the prober in the middle of a run that has created canaries, like a deployment and a
// person at a terminal do: it ends in time, and the test orgs have no canaries left.
func TestStop_deletesCanaries(t *testing.T) {
	testenv.Slow(t, "it stops runs halfway")
	for name, c := range map[string]struct {
		signal os.Signal
		start  func(t *testing.T, env []string, file string) *testenv.Process
		status int
	}{
		"SIGTERM while it serves": {syscall.SIGTERM, func(t *testing.T, env []string, file string) *testenv.Process {
			return start(t, env, "--config.file="+file).Process
		}, exitPass},
		"SIGINT while it asks once": {syscall.SIGINT, startOnce, exitInconclusive},
		"SIGHUP while it asks once": {syscall.SIGHUP, startOnce, exitInconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			heedHangup(t)
			// Created memories become visible late, so the run waits in the middle, long enough to be stopped there.
			sample, err := sandbox.Start(sandbox.Options{Ephemeral: true, VisibilityDelay: 4 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(sample.Close)
			if err := sample.Inject("tenant-eventual"); err != nil {
				t.Fatal(err)
			}
			untouched := sample.Memories()
			var env []string
			for name, value := range sample.Env() {
				env = append(env, name+"="+value)
			}
			p := c.start(t, env, writeFile(t, t.TempDir(), "prober.yaml", string(sample.RewriteAddresses(config.Demo))))
			testenv.Eventually(t, time.Minute, func(context.Context) error {
				if maps.Equal(sample.Memories(), untouched) {
					return fmt.Errorf("no canary is planted")
				}
				return nil
			})
			if err := p.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if status, err := p.Wait(ctx); err != nil || status != c.status {
				t.Errorf("got status %d, %v; want %d within 10 s", status, err, c.status)
			}
			if left := sample.Memories(); !maps.Equal(left, untouched) {
				t.Errorf("the orgs keep %v, want %v as before", left, untouched)
			}
		})
	}
}

// startOnce starts one run of the probe tenants.
func startOnce(t *testing.T, env []string, file string) *testenv.Process {
	cmd := exec.Command(os.Args[0], "--once", "--probe=tenants", "--config.file="+file)
	cmd.Env = append(append(os.Environ(), asProber+"=1"), env...)
	return testenv.StartCmd(t, cmd)
}

// TestHangup_whileStarting sends SIGHUP as soon as the prober has read its files, which it takes a while to parse: it
// starts all the same, and loads them again.
func TestHangup_whileStarting(t *testing.T) {
	testenv.Slow(t, "it parses a large configuration twice")
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("p%d", i))
	}
	file := writeFile(t, t.TempDir(), "prober.yaml", strings.ReplaceAll(httpConfig("http://127.0.0.1:1", names...), "interval: 1s", "interval: 1h"))
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "--config.file="+file, "--web.listen-address=127.0.0.1:0")
	cmd.Env = append(os.Environ(), asProber+"=1")
	p := testenv.StartCmd(t, cmd)
	testenv.Eventually(t, time.Minute, func(context.Context) error {
		stats, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", cmd.Process.Pid))
		var read int64
		if _, err := fmt.Sscanf(string(stats), "rchar: %d", &read); err != nil || read < info.Size() {
			return fmt.Errorf("it has read %d bytes: %v", read, err)
		}
		return err
	})
	if err := p.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, time.Minute, func(context.Context) error {
		select {
		case <-p.Ended():
			t.Fatal("the signal has ended it")
		default:
		}
		if n := strings.Count(p.Output(), `msg="Configuration reloaded"`); n < 1 {
			return fmt.Errorf("it has loaded the configuration again %d times, expected once after SIGHUP", n)
		}
		return nil
	})
}

// TestStop_deletesWhatRunsLeft stops the prober between two runs, of which the first left canaries for the next one to
// look at, and has it run several times.
func TestStop_deletesWhatRunsLeft(t *testing.T) {
	testenv.Slow(t, "it waits until a run of a process has ended")
	sample := startSandbox(t, sandbox.Options{})
	untouched := sample.Memories()
	var env []string
	for name, value := range sample.Env() {
		env = append(env, name+"="+value)
	}
	file := writeFile(t, t.TempDir(), "prober.yaml", string(sample.RewriteAddresses(config.Demo)))
	p := start(t, env, "--probe=tenants", "--config.file="+file).Process
	testenv.Eventually(t, time.Minute, func(context.Context) error {
		for org, n := range sample.Memories() {
			if n != untouched[org]+2 {
				return fmt.Errorf("%s has %d memories, expected 2 more than %d", org, n, untouched[org])
			}
		}
		return nil
	})
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if status, err := p.Wait(ctx); err != nil || status != exitPass {
		t.Errorf("got status %d, %v; want %d within 10 s", status, err, exitPass)
	}
	if left := sample.Memories(); !maps.Equal(left, untouched) {
		t.Errorf("the orgs keep %v, want %v as before", left, untouched)
	}
	cmd := exec.Command(os.Args[0], "--once", "--repeat=3", "--probe=tenants", "--config.file="+file)
	cmd.Env = append(append(os.Environ(), asProber+"=1"), env...)
	if status, err := testenv.StartCmd(t, cmd).Wait(t.Context()); err != nil || status != exitPass {
		t.Errorf("got status %d, %v; want %d", status, err, exitPass)
	}
	if left := sample.Memories(); !maps.Equal(left, untouched) {
		t.Errorf("the orgs keep %v after several runs, want %v as before", left, untouched)
	}
}

// TestStop_keepsWhatIsProven stops the prober in the middle of a run that has seen a breach, or another failure that no
// stop explains: it fails, and the incident note keeps the breach.
func TestStop_keepsWhatIsProven(t *testing.T) {
	for name, c := range map[string]struct{ probe, says, breach string }{
		"a published private key": {
			"type: jwks, kids: [a], urls: [URL/private-key, URL/hang]", "private_key_published", "private_key_published",
		},
		"a caller without authorization": {
			"type: protected, url: URL/open, callers: {valid: {status: 501, bearer: {env: PROBER_TEST_TOKEN}}, anonymous: {status: 401}, other: {status: 401, headers: {X-Hang: yes}}}",
			"auth_bypass", "auth_bypass",
		},
		"a wrong status": {
			"type: health, service: URL, live: /broken, ready: /hang", "expected 200 from /broken, got 500", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testenv.Slow(t, "it stops runs halfway")
			hanging, says := make(chan struct{}, 100), c.says
			x := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				switch {
				case q.URL.Path == "/private-key":
					w.Header().Set("Content-Type", "application/json")
					fmt.Fprint(w, `{"keys":[{"kid":"a","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}]}`)
				case q.URL.Path == "/broken":
					w.WriteHeader(500)
				case q.URL.Path == "/hang" || q.Header.Get("X-Hang") != "":
					hanging <- struct{}{}
					<-q.Context().Done()
				case q.URL.Path == "/open":
					w.WriteHeader(501)
				default:
					w.WriteHeader(404)
				}
			}))
			t.Cleanup(x.Close)
			file := writeFile(t, t.TempDir(), "prober.yaml", "system: test\ninterval: 3s\ntimeout: 2s\nprobes:\n"+
				"  - {name: it, "+strings.ReplaceAll(c.probe, "URL", x.URL)+"}\n")
			notes := filepath.Join(t.TempDir(), "incidents.json")
			env := []string{"PROBER_TEST_TOKEN=a-valid-token-0123456789"}

			once := exec.Command(os.Args[0], "--once", "--config.file="+file)
			once.Env = append(append(os.Environ(), asProber+"=1"), env...)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			for what, c := range map[string]struct {
				start  func() *testenv.Process
				status int
			}{
				"once": {func() *testenv.Process { return testenv.StartCmd(t, once) }, exitFail},
				"serves": {func() *testenv.Process {
					return start(t, env, "--config.file="+file, "--storage.path="+notes, "--schedule.offset=0").Process
				}, exitPass},
			} {
				p := c.start()
				select {
				case <-hanging:
				case <-ctx.Done():
					t.Fatal("it never asks the target that hangs")
				}
				<-time.After(200 * time.Millisecond) // requests that were sent at the same time are answered
				if err := p.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				if status, err := p.Wait(ctx); err != nil || status != c.status || !strings.Contains(p.Output(), says) {
					t.Errorf("%s: got status %d, %v; want %d and %q in\n%s", what, status, err, c.status, says, p.Output())
				}
			}
			if kept, err := os.ReadFile(notes); err != nil || !strings.Contains(string(kept), `"symptoms"`) || !strings.Contains(string(kept), c.breach) {
				t.Errorf("%v; no %q in\n%s", err, c.breach, kept)
			}
		})
	}
}
