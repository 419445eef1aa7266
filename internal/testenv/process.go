package testenv

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A Process is a program that runs for a test. Its methods may be called from several goroutines.
type Process struct {
	cmd  *exec.Cmd
	out  output
	done chan struct{} // closed once the process has ended and err is set
	err  error
}

// termWait is how long a process may take to end after SIGTERM before it is killed.
const termWait = 5 * time.Second

// Start runs a program in the test's environment. When the test ends, the process gets a SIGTERM and, if it does not end,
// a SIGKILL; the rest of its process group is killed too. If the test process itself ends first, by a panic or a timeout,
// the kernel kills the program. Its output is logged if the test failed.
func Start(t testing.TB, path string, args ...string) *Process {
	t.Helper()
	return StartCmd(t, exec.Command(path, args...))
}

// StartCmd is like Start for a command with its own directory, environment or input. Output returns what it wrote to
// outputs that are not set.
func StartCmd(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{cmd: cmd, done: make(chan struct{})}
	for _, w := range []*io.Writer{&cmd.Stdout, &cmd.Stderr} {
		if *w == nil {
			*w = &p.out
		}
	}
	// Wait must not wait for a child of the process that inherited its output.
	cmd.WaitDelay = time.Second
	KillWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatalf("cannot start %s: %v", cmd.Path, err)
	}
	go func() {
		p.err = cmd.Wait()
		killGroup(cmd)
		close(p.done)
	}()
	t.Cleanup(func() {
		p.end(t)
		if t.Failed() {
			t.Logf("%s wrote:\n%s", cmd.Path, p.Output())
		}
	})
	return p
}

// Run runs a command to its end and returns its output, as Output does, and the error of its exit. If the test ends first,
// the command and its process group are killed.
func Run(t testing.TB, cmd *exec.Cmd) (output string, err error) {
	t.Helper()
	p := StartCmd(t, cmd)
	select {
	case <-p.done:
		return p.Output(), p.err
	case <-t.Context().Done():
		return p.Output(), t.Context().Err()
	}
}

func (p *Process) end(t testing.TB) {
	for _, s := range []os.Signal{syscall.SIGTERM, os.Kill} {
		if err := p.cmd.Process.Signal(s); errors.Is(err, os.ErrProcessDone) {
			break
		}
		select {
		case <-p.done:
			return
		case <-time.After(termWait):
		}
	}
	select {
	case <-p.done:
	case <-time.After(termWait):
		t.Errorf("%s, process %d, does not end", p.cmd.Path, p.PID())
	}
}

// PID returns the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal. It returns an error if the process has ended.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Output returns the last mebibyte of what the process has written to standard output and error.
func (p *Process) Output() string { return p.out.String() }

// Ended is closed once the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.done }

// Wait waits for the end of the process and returns its exit status, -1 if a signal ended it. It returns an error if ctx
// ends first.
func (p *Process) Wait(ctx context.Context) (status int, err error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// output keeps the end of what was written to it.
type output struct {
	sync.Mutex
	text []byte
}

// maxOutput is how much of the output of a process is kept.
const maxOutput = 1 << 20

func (o *output) Write(b []byte) (int, error) {
	o.Lock()
	defer o.Unlock()
	o.text = append(o.text, b...)
	if n := len(o.text); n > maxOutput {
		o.text = append(o.text[:0], o.text[n-maxOutput:]...)
	}
	return len(b), nil
}

func (o *output) String() string {
	o.Lock()
	defer o.Unlock()
	return strings.ToValidUTF8(string(o.text), "\uFFFD")
}

// ProcessorTime returns for how long f runs, without what it starts and without the time in which a busy machine runs something
// else; on systems other than Linux that counts too.
func ProcessorTime(f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadTime()
	f()
	return threadTime() - before
}
