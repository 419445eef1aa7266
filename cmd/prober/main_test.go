package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"prober/config"
	"prober/internal/testenv"
)

// asProber makes this test binary run as the prober itself.
const asProber = "PROBER_TEST_AS_PROBER"

func TestMain(m *testing.M) {
	patient := func() {
		if slices.Contains(os.Args, "--once") {
			config.Demo = demoTimeouts.ReplaceAll(config.Demo, []byte("${1}0s"))
		}
		main()
	}
	if os.Getenv(asProber) != "" {
		patient()
	}
	testscript.Main(m, map[string]func(){"prober": patient})
}

// demoTimeouts match the timeouts of the demo, and the intervals that they must not exceed. What a test shows of a single run of the
// sample system is not how fast this machine is: the run has ten times as long, and takes no longer where nothing hangs.
var demoTimeouts = regexp.MustCompile(`(?m)^( *(?:timeout|interval): \d+)s`)

// TestStories runs the scripts of testdata/script: commands as a person types them, and the prober's output. In addition
// to the usual commands there is "status N prober …", which requires that exit status.
func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       testenv.Updating(),
		RequireExplicitExec: false,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"status": func(ts *testscript.TestScript, neg bool, args []string) {
				want, err := strconv.Atoi(args[0])
				ts.Check(err)
				got := 0
				if err := ts.Exec(args[1], args[2:]...); err != nil {
					var exit *exec.ExitError
					if !errors.As(err, &exit) {
						ts.Fatalf("%s: %v", args[1], err)
					}
					got = exit.ExitCode()
				}
				if got != want || neg {
					ts.Fatalf("exit status: got %d, want %d", got, want)
				}
			},
		},
	})
}

// A running prober, started as users start it.
type running struct {
	*testenv.Process
	url string
}

var listening = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

// start runs the prober with the arguments on a port of its own and waits until it listens.
func start(t *testing.T, env []string, args ...string) *running {
	t.Helper()
	cmd := exec.Command(os.Args[0], append(args, "--web.listen-address=127.0.0.1:0")...)
	cmd.Env = append(append(os.Environ(), asProber+"=1"), env...)
	cmd.Dir = t.TempDir()
	return startCommand(t, cmd)
}

// startCommand starts a command that runs the prober and waits until it listens.
func startCommand(t *testing.T, cmd *exec.Cmd) *running {
	t.Helper()
	p := &running{Process: testenv.StartCmd(t, cmd)}
	testenv.Eventually(t, 30*time.Second, func(context.Context) error {
		found := listening.FindStringSubmatch(p.Output())
		if found == nil {
			select {
			case <-p.Ended():
				t.Fatal("the prober ended at once")
			default:
			}
			return errors.New("it does not listen yet")
		}
		p.url = "http://" + found[1]
		return nil
	})
	return p
}

// get fetches a page of the prober.
func (p *running) get(path string) (int, string, error) {
	resp, err := http.Get(p.url + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

func (p *running) post(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := http.Post(p.url+path, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// waitForMetric waits until the metrics have a line that begins with line.
func (p *running) waitForMetric(t *testing.T, line string) {
	t.Helper()
	testenv.Eventually(t, 60*time.Second, func(context.Context) error {
		_, body, err := p.get("/metrics")
		if err != nil {
			return err
		}
		if !strings.Contains("\n"+body, "\n"+line) {
			return fmt.Errorf("no line %s", line)
		}
		return nil
	})
}

// waitForRuns waits until a probe has run at least that often.
func (p *running) waitForRuns(t *testing.T, name string, often int) {
	t.Helper()
	testenv.Eventually(t, 60*time.Second, func(context.Context) error {
		_, body, err := p.get("/metrics")
		if runs := countRuns(body, name); err == nil && runs < often {
			err = fmt.Errorf("%s ran %d times, want %d", name, runs, often)
		}
		return err
	})
}

// countRuns returns how often a probe ran, with any verdict.
func countRuns(exposition, name string) int {
	runs := 0
	for line := range strings.Lines(exposition) {
		if strings.HasPrefix(line, "probe_runs_total{") && strings.Contains(line, fmt.Sprintf("probe=%q", name)) {
			n, _ := strconv.Atoi(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]))
			runs += n
		}
	}
	return runs
}

// writeFile writes a file in a directory of the test and returns its path.
func writeFile(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
