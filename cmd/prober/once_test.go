package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
	httpprobe "prober/probes/http"
)

// statusServer is a target that answers with the statuses in turn, and then always with the last.
func statusServer(t *testing.T, codes ...int) (string, *atomic.Int64) {
	t.Helper()
	asked := new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := int(asked.Add(1))
		w.Header().Set("Retry-After", "1") // means something with 429 only
		w.WriteHeader(codes[min(n, len(codes))-1])
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

func TestOnce_rounds(t *testing.T) {
	for name, c := range map[string]struct {
		codes  []int
		args   []string
		status int
		asked  int64 // 0: at least twice, and no more often than time allows
		says   string
	}{
		"once, passing":                {[]int{200}, nil, exitPass, 1, "1 of 1 passed"},
		"once, and failing":            {[]int{500, 200}, nil, exitFail, 1, "Not healthy."},
		"waits until it passes":        {[]int{500, 429, 200}, []string{"--wait=1m"}, exitPass, 3, "ran 3 times"},
		"waits without success":        {[]int{500}, []string{"--wait=8s"}, exitFail, 0, "Not fixed"},
		"holds":                        {[]int{200}, []string{"--hold=1s"}, exitPass, 2, "held for"},
		"does not hold":                {[]int{200, 500}, []string{"--hold=1m"}, exitFail, 2, "expected 2xx, got 500"},
		"falls back while it holds":    {[]int{200, 500, 200}, []string{"--hold=1s", "--wait=1m"}, exitPass, 4, "held for"},
		"every run is clean":           {[]int{200}, []string{"--repeat=60"}, exitPass, 60, "60 of 60 runs clean"},
		"the first failed run ends it": {[]int{200, 200, 500, 200}, []string{"--repeat=300"}, exitFail, 3, "expected 2xx, got 500"},
		"inconclusive is not a pass":   {[]int{429}, nil, exitInconclusive, 1, "Not proven"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, asked := statusServer(t, c.codes...)
			file := writeFile(t, t.TempDir(), "prober.yaml", httpConfig(url, "up"))
			var out, errs strings.Builder
			if got := run(t.Context(), append([]string{"--once", "--config.file=" + file}, c.args...), &out, &errs); got != c.status {
				t.Errorf("exit status: got %d, want %d\n%s%s", got, c.status, out.String(), errs.String())
			}
			if got := asked.Load(); c.asked == 0 {
				if most := int64(8*time.Second/retryPause) + 1; got < 2 || got > most {
					t.Errorf("the target was asked %d times, want 2 to %d", got, most)
				}
			} else if got != c.asked {
				t.Errorf("the target was asked %d times, want %d", got, c.asked)
			}
			if !strings.Contains(out.String(), c.says) {
				t.Errorf("no %q in\n%s", c.says, out.String())
			}
		})
	}
}

// TestOnce_retryAfter asks a target again when it wants to be asked again, or ends if that is later than --wait allows.
func TestOnce_retryAfter(t *testing.T) {
	for name, c := range map[string]struct {
		after  string
		wait   string
		status int
		asked  int
		says   string
	}{
		"within --wait":       {"2", "1m", exitPass, 2, "ran 2 times"},
		"longer than --wait":  {"300", "20s", exitInconclusive, 1, "ended early: up asks to be left alone for 5m0s, and"},
		"not waited for":      {"300", "0s", exitInconclusive, 1, "0 of 1 passed, 1 inconclusive: up. Not proven."},
		"shorter than usual":  {"0", "1m", exitPass, 2, "ran 2 times"},
		"longer than anybody": {"2000000000", "59m", exitInconclusive, 1, "asks to be left alone for 1h0m0s or longer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var times []time.Time
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				times = append(times, time.Now())
				if len(times) == 1 {
					w.Header().Set("Retry-After", c.after)
					w.WriteHeader(http.StatusTooManyRequests)
				}
			}))
			t.Cleanup(server.Close)
			file := writeFile(t, t.TempDir(), "prober.yaml", httpConfig(server.URL, "up"))
			var out, errs strings.Builder
			if got := run(t.Context(), []string{"--once", "--config.file=" + file, "--wait=" + c.wait}, &out, &errs); got != c.status {
				t.Errorf("exit status: got %d, want %d", got, c.status)
			}
			if !strings.Contains(out.String(), c.says) {
				t.Errorf("no %q in\n%s%s", c.says, out.String(), errs.String())
			}
			if len(times) != c.asked {
				t.Fatalf("the target was asked %d times, want %d", len(times), c.asked)
			}
			if seconds, _ := time.ParseDuration(c.after + "s"); c.asked == 2 && times[1].Sub(times[0]) < seconds {
				t.Errorf("asked again after %s, want %s at least", times[1].Sub(times[0]), seconds)
			}
		})
	}
}

func TestOnce_interrupted(t *testing.T) {
	x := startTarget(t)
	x.hang.Store(true)
	config := strings.ReplaceAll(httpConfig(x.URL, "up"), "interval: 1s\ntimeout: 800ms", "interval: 1m\ntimeout: 50s")
	cmd := exec.Command(os.Args[0], "--once", "--config.file="+writeFile(t, t.TempDir(), "prober.yaml", config))
	cmd.Env = append(os.Environ(), asProber+"=1")
	p := testenv.StartCmd(t, cmd)
	<-x.inside
	if err := p.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if status, err := p.Wait(ctx); err != nil || status != exitInconclusive {
		t.Errorf("got status %d, %v; want %d", status, err, exitInconclusive)
	}
	if !strings.Contains(p.Output(), "interrupted") || strings.Contains(p.Output(), "FAIL") {
		t.Errorf("got\n%s", p.Output())
	}
}

// Interrupted while it asks again, it still says what failed before.
func TestOnce_interruptedWhileItWaits(t *testing.T) {
	asked, hanging := make(chan struct{}), make(chan struct{})
	x := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		select {
		case <-asked:
			close(hanging)
			<-q.Context().Done()
		default:
			w.WriteHeader(500)
			close(asked)
		}
	}))
	t.Cleanup(x.Close)
	config := strings.ReplaceAll(httpConfig(x.URL, "up"), "interval: 1s\ntimeout: 800ms", "interval: 1m\ntimeout: 50s")
	file := writeFile(t, t.TempDir(), "prober.yaml", config)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go func() {
		<-hanging
		cancel()
	}()
	var out, errs strings.Builder
	if got := run(ctx, []string{"--once", "--wait=1m", "--config.file=" + file}, &out, &errs); got != exitFail {
		t.Errorf("exit status: got %d, want %d\n%s%s", got, exitFail, out.String(), errs.String())
	}
	if got := out.String(); !strings.Contains(got, "expected 2xx, got 500") || !strings.Contains(got, "interrupted") {
		t.Errorf("got\n%s", got)
	}
}

// runInTime runs a prober whose target hangs until one run was not late itself: what a late one says of a target that hangs is
// self_delay, as it should be.
func runInTime(t *testing.T, command func() *exec.Cmd) (out string, status int) {
	t.Helper()
	for range 20 {
		cmd := command()
		out, _ = testenv.Run(t, cmd)
		if status = cmd.ProcessState.ExitCode(); !strings.Contains(out, "self_delay") {
			break
		}
	}
	return out, status
}

// TestOnce_withoutNetwork: while the reference cannot be reached either, a timeout is inconclusive.
func TestOnce_withoutNetwork(t *testing.T) {
	t.Parallel()
	x := startTarget(t)
	x.hang.Store(true)
	// The time is long beside that by which a busy machine makes the process late.
	config := strings.ReplaceAll(httpConfig(x.URL, "up"), "interval: 1s\ntimeout: 800ms", "interval: 5s\ntimeout: 3s")
	file := writeFile(t, t.TempDir(), "prober.yaml", config)
	for name, c := range map[string]struct {
		reference string
		status    int
		says      string
	}{
		"cut off":          {"127.0.0.1:1", exitInconclusive, "the prober's own network seems cut off"},
		"the target alone": {strings.TrimPrefix(x.URL, "http://"), exitFail, "no complete answer within"},
	} {
		t.Run(name, func(t *testing.T) {
			// In a process of its own, which is not late because of other tests.
			out, status := runInTime(t, func() *exec.Cmd {
				cmd := exec.Command(os.Args[0], "--once", "--config.file="+file, "--network.reference="+c.reference)
				cmd.Env = append(os.Environ(), asProber+"=1")
				return cmd
			})
			if status != c.status {
				t.Errorf("exit status: got %d, want %d", status, c.status)
			}
			if !strings.Contains(string(out), c.says) {
				t.Errorf("no %q in\n%s", c.says, out)
			}
		})
	}
}

// TestOnce_terminal runs the prober on a terminal: progress while a target hangs, lines as wide as the terminal, and color
// unless NO_COLOR is set.
func TestOnce_terminal(t *testing.T) {
	script := testenv.Need(t, "script")
	x := startTarget(t)
	x.hang.Store(true)
	config := strings.ReplaceAll(httpConfig(x.URL, "up"), "interval: 1s\ntimeout: 800ms", "interval: 4s\ntimeout: 2500ms")
	file := writeFile(t, t.TempDir(), "prober.yaml", config)
	for name, c := range map[string]struct {
		env    []string
		colour bool
	}{
		"a terminal":               {nil, true},
		"a terminal with NO_COLOR": {[]string{"NO_COLOR=1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, _ := runInTime(t, func() *exec.Cmd {
				cmd := exec.Command(script, "-qec", "stty cols 50; "+os.Args[0]+" --once --config.file="+file, "/dev/null")
				cmd.Env = append(append(os.Environ(), asProber+"=1", "TERM=xterm", "NO_COLOR="), c.env...)
				return cmd
			})
			if !strings.Contains(out, "0 of 1 have finished; left: up") || !strings.Contains(out, "Not healthy") {
				t.Errorf("no progress in %q", out)
			}
			for line := range strings.SplitSeq(regexp.MustCompile(`\x1b\[[0-9]*[mK]`).ReplaceAllString(out, ""), "\n") {
				line = line[strings.LastIndexByte(strings.TrimRight(line, "\r"), '\r')+1:] // what overwrote the progress
				if n := len(strings.TrimRight(line, "\r")); n > 50 {
					t.Errorf("a line of %d columns: %q", n, line)
				}
			}
			if got := strings.Contains(out, "\x1b[31m"); got != c.colour {
				t.Errorf("colour is %t, want %t, in %q", got, c.colour, out)
			}
		})
	}
}

// The table of check fits the terminal too; piped, it has its columns side by side.
func TestCheck_terminal(t *testing.T) {
	script := testenv.Need(t, "script")
	file := writeFile(t, t.TempDir(), "prober.yaml", httpConfig("https://shop.example", "up"))
	for command, side := range map[string]bool{"": false, " | cat": true} {
		cmd := exec.Command(script, "-qec", "stty cols 50; "+os.Args[0]+" check "+file+command, "/dev/null")
		cmd.Env = append(os.Environ(), asProber+"=1")
		out, err := testenv.Run(t, cmd)
		if err != nil || strings.Contains(out, "DEPENDS ON  ASKS") != side || strings.Contains(out, "\n      asks https://shop.example/up") == side {
			t.Errorf("%q: %v\n%s", command, err, out)
		}
	}
}

func TestClockSteady(t *testing.T) {
	for _, c := range []struct {
		wall, monotonic time.Duration
		want            bool
	}{
		{10 * time.Second, 10 * time.Second, true},
		{10*time.Second + 400*time.Millisecond, 10 * time.Second, true}, // slewed
		{time.Hour, 10 * time.Second, false},
		{-time.Hour, 10 * time.Second, false},
		{11 * time.Second, 10 * time.Second, false}, // a leap second, or a step
	} {
		if got := clockSteady(c.wall, c.monotonic); got != c.want {
			t.Errorf("wall %s, monotonic %s: got %t", c.wall, c.monotonic, got)
		}
	}
}

// All probes of --once are due at the same instant. Run at the same time they would measure how they wait for each other.
func TestOnce_runsFewAtATime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		max  int64
	}{{nil, 8}, {[]string{"--schedule.max-concurrency=3"}, 3}} {
		var running, most atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			for now := running.Add(1); now > most.Load(); {
				most.Store(now)
			}
			<-time.After(10 * time.Millisecond)
			running.Add(-1)
		}))
		t.Cleanup(server.Close)
		config := "system: test\nprobes:\n"
		for i := range 60 {
			config += fmt.Sprintf("  - {name: p%d, type: http, url: %s/%d}\n", i, server.URL, i)
		}
		var out, errs strings.Builder
		args := append([]string{"--once", "--config.file=" + writeFile(t, t.TempDir(), "prober.yaml", config)}, c.args...)
		if got := run(t.Context(), args, &out, &errs); got != exitPass {
			t.Fatalf("exit status: got %d, want 0\n%s%s", got, out.String(), errs.String())
		}
		if got := most.Load(); got > c.max || got < 2 {
			t.Errorf("%v: %d requests at the same time, want 2 to %d", c.args, got, c.max)
		}
		if first, last := strings.Index(out.String(), "p0 "), strings.Index(out.String(), "p59 "); first < 0 || first > last {
			t.Errorf("the results do not stand in the order of the file:\n%s", out.String())
		}
	}
}

func TestSpread(t *testing.T) {
	var jobs []probe.Job
	for _, address := range []string{"http://a/1", "http://a/2", "http://a/3", "http://b/1", "https://c:1/", "http://b/2"} {
		p := httpprobe.New()
		p.URL = address
		jobs = append(jobs, probe.Job{ID: probe.ID{Name: address}, Probe: p})
	}
	var got []string
	for _, j := range spread(jobs) {
		got = append(got, j.Name)
	}
	if want := "http://a/1 http://b/1 https://c:1/ http://a/2 http://b/2 http://a/3"; strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, " "), want)
	}
}
