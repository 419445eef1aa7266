package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"prober/internal/testenv"
)

// shell is a program that runs a script.
func shell(script string) Command {
	return Command{Path: "/bin/sh", Args: []string{"-c", script}, Dir: "/"}
}

// within returns a context that ends after a time.
func within(t *testing.T, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

const patient = 20 * time.Second // for a busy machine

func TestRun(t *testing.T) {
	t.Setenv("COMMAND_TEST_SECRET", "tr0ub4dor")
	for name, c := range map[string]struct {
		command Command
		want    string // status, signal, standard output, standard error
	}{
		"success":             {shell("echo fine; echo odd >&2"), `0 "" "fine\n" "odd\n"`},
		"a status":            {shell("exit 3"), `3 "" "" ""`},
		"a signal":            {shell("kill -TERM $$"), `-1 "terminated" "" ""`},
		"its own kill":        {shell("kill -KILL $$"), `-1 "killed" "" ""`},
		"no environment":      {Command{Path: "/usr/bin/env", Dir: "/"}, `0 "" "" ""`},
		"an environment":      {Command{Path: "/usr/bin/env", Dir: "/", Env: []string{"A=b c"}}, `0 "" "A=b c\n" ""`},
		"no input":            {Command{Path: "/bin/cat", Dir: "/"}, `0 "" "" ""`},
		"no shell":            {Command{Path: "/bin/echo", Args: []string{"$HOME;", "`id`", "*"}, Dir: "/"}, "0 \"\" \"$HOME; `id` *\\n\" \"\""},
		"a working directory": {Command{Path: "/bin/pwd", Dir: "/usr"}, `0 "" "/usr\n" ""`},
		"no open files":       {Command{Path: "/bin/ls", Args: []string{"/proc/self/fd"}, Dir: "/"}, `0 "" "0\n1\n2\n3\n" ""`},
		"its own group":       {shell(`test "$(ps -o pgid= -p $$ | tr -d ' ')" = $$`), `0 "" "" ""`},
	} {
		r, err := NewRunner(1).Run(within(t, patient), c.command)
		signal := ""
		if r.Signal != 0 {
			signal = r.Signal.String()
		}
		if got := fmt.Sprintf("%d %q %q %q", r.Code, signal, r.Stdout, r.Stderr); got != c.want || err != nil || r.Held || r.Took <= 0 {
			t.Errorf("%s: expected %s, got %s, %v, held=%t, %s", name, c.want, got, err, r.Held, r.Took)
		}
	}
}

func TestRun_notStarted(t *testing.T) {
	dir := t.TempDir()
	plain, odd, alien := filepath.Join(dir, "plain"), filepath.Join(dir, "odd"), filepath.Join(dir, "alien")
	for path, mode := range map[string]os.FileMode{plain: 0o600, odd: 0o700, alien: 0o700} {
		text := map[string]string{odd: "#!/nowhere/sh\n", alien: "\x7fELFnot\n"}[path]
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		command Command
		want    string
	}{
		"no file":        {Command{Path: "/nowhere/check", Dir: "/"}, "there is no such program, or not the interpreter that its first line names"},
		"no interpreter": {Command{Path: odd, Dir: "/"}, "there is no such program, or not the interpreter that its first line names"},
		"no permission":  {Command{Path: plain, Dir: "/"}, "it may not be executed by this user"},
		"no program":     {Command{Path: alien, Dir: "/"}, "it is no program for this machine"},
		"a directory":    {Command{Path: "/usr", Dir: "/"}, "it is no regular file"},
		"a device":       {Command{Path: "/dev/null", Dir: "/"}, "it is no regular file"},
		"no directory":   {Command{Path: "/bin/true", Dir: "/nowhere"}, "its working directory does not exist or may not be entered"},
		"a file for one": {Command{Path: "/bin/true", Dir: plain}, "its working directory does not exist or may not be entered"},
		"long arguments": {Command{Path: "/bin/true", Args: []string{strings.Repeat("x", 1<<18)}, Dir: "/"}, "argument list too long"},
	} {
		_, err := NewRunner(1).Run(within(t, patient), c.command)
		if bad, ok := errors.AsType[*StartError](err); !ok || bad.Error() != c.want {
			t.Errorf("%s: expected %q, got %v", name, c.want, err)
		}
	}
}

// TestRun_output reads a bounded number of bytes, and ends a program that writes more.
func TestRun_output(t *testing.T) {
	for _, to := range []string{"", ">&2"} {
		r, err := NewRunner(1).Run(within(t, patient), shell(fmt.Sprintf("head -c %d /dev/zero %s", MaxOutput, to)))
		if n := len(r.Stdout) + len(r.Stderr); err != nil || n != MaxOutput || r.Held {
			t.Errorf("expected %d bytes, got %d, %v", MaxOutput, n, err)
		}
		began := time.Now()
		if r, err := NewRunner(1).Run(within(t, 2*patient), shell("trap '' PIPE; yes "+to)); !errors.Is(err, ErrOutput) || len(r.Stdout) > 0 {
			t.Errorf("expected the program to be killed, got %v", err)
		}
		if took := time.Since(began); took > patient {
			t.Errorf("a program without an end took %s", took)
		}
	}
}

// TestRun_timeLimit kills the program and all of its group at the end of the context.
func TestRun_timeLimit(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		awaitPIDs(t, pids, 2)
		cancel()
	}()
	began := time.Now()
	_, err := NewRunner(1).Run(ctx, shell("trap '' TERM INT; sh -c 'echo $$ >>"+pids+"; exec sleep 600' & echo $$ >>"+pids+"; wait; wait"))
	if !errors.Is(err, ErrKilled) || time.Since(began) > patient {
		t.Errorf("expected the program to be killed in time, got %v after %s", err, time.Since(began))
	}
	wantGone(t, readPIDs(pids)...)
}

// TestRun_left ends what a program leaves in its group, whether it holds the output open or not.
func TestRun_left(t *testing.T) {
	for script, held := range map[string]bool{
		"sleep 600 & echo $!":                        true,
		"sleep 600 & echo $!; exit 2":                true,
		"sleep 600 >/dev/null & echo $!":             true, // its standard error
		"sleep 600 >/dev/null 2>&1 & echo $!":        false,
		"trap '' TERM HUP; sleep 600 2>&- & echo $!": true,
	} {
		r, err := NewRunner(1).Run(within(t, patient), shell(script))
		if err != nil || r.Held != held || r.Took > patient/2 || r.Code != 0 != strings.Contains(script, "exit 2") {
			t.Errorf("%s: expected held=%t, got %t, status %d, %v after %s", script, held, r.Held, r.Code, err, r.Took)
		}
		pid, _ := strconv.Atoi(strings.TrimSpace(string(r.Stdout)))
		wantGone(t, pid)
	}
}

// TestRun_escaped returns in time although a process left the group. It is not found; the documentation says so.
func TestRun_escaped(t *testing.T) {
	r, err := NewRunner(1).Run(within(t, patient), shell("setsid sleep 600 & echo $!"))
	if err != nil || !r.Held || r.Took > patient/2 {
		t.Errorf("expected the output to be held, got %t, %v after %s", r.Held, err, r.Took)
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(r.Stdout)))
	if pid <= 0 || syscall.Kill(pid, syscall.SIGKILL) != nil {
		t.Error("expected a process in a session of its own to be alive; if it is not, the documentation may promise more")
	}
}

// TestRun_limit runs no more programs at a time than it may.
func TestRun_limit(t *testing.T) {
	runner, pids := NewRunner(1), filepath.Join(t.TempDir(), "pids")
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := runner.Run(ctx, shell("echo $$ >>"+pids+"; exec sleep 600"))
		first <- err
	}()
	awaitPIDs(t, pids, 1)
	if _, err := runner.Run(within(t, 10*time.Millisecond), shell("echo $$ >>"+pids)); !errors.Is(err, ErrBusy) {
		t.Errorf("expected no turn, got %v", err)
	}
	cancel()
	if err := <-first; !errors.Is(err, ErrKilled) && !errors.Is(err, ErrStuck) { // a busy machine may end it later
		t.Errorf("expected the first to be killed, got %v", err)
	}
	if r, err := runner.Run(within(t, patient), shell("echo $$ >>"+pids)); err != nil || r.Code != 0 {
		t.Errorf("expected the turn to be given back, got %v", err)
	}
	if n := len(readPIDs(pids)); n != 2 {
		t.Errorf("expected 2 programs to have run, got %d", n)
	}
}

// awaitPIDs waits for programs to have written their process ids.
func awaitPIDs(t *testing.T, path string, n int) {
	t.Helper()
	eventually(t, func() bool { return len(readPIDs(path)) == n }, "the programs to run")
}

func eventually(t *testing.T, holds func() bool, what string) {
	t.Helper()
	testenv.Eventually(t, patient, func(context.Context) error {
		if holds() {
			return nil
		}
		return errors.New("expected " + what)
	})
}

func readPIDs(path string) (pids []int) {
	text, _ := os.ReadFile(path)
	for _, word := range strings.Fields(string(text)) {
		pid, _ := strconv.Atoi(word)
		pids = append(pids, pid)
	}
	return pids
}

// wantGone waits for processes to end. One that is dead and that nobody has buried yet has ended.
func wantGone(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if pid <= 1 {
			t.Errorf("expected a process, got %d", pid)
			continue
		}
		eventually(t, func() bool { return !alive(pid) }, fmt.Sprintf("process %d to end", pid))
	}
}
