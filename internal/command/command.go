// Package command is the only way to start another program. Whatever a probe runs, it runs here.
//
// It promises, whatever the program does:
//
//   - there is no shell, the environment is the one that was given, and the standard input is empty;
//   - its output is read up to a bound, and beyond it the program is killed;
//   - it has a process group of its own, and none of the group outlives the run. A process that leaves the group, as by setsid,
//     is not found;
//   - Run returns soon after its context ends, even if the kernel cannot end the program, and a bounded number of programs runs at
//     a time;
//   - no descriptor stays open, and no process of the group stays a zombie.
package command

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// MaxOutput is how many bytes are read of what a program writes, of its standard output and of its standard error each.
const MaxOutput = 64 << 10

// Times that a run takes beyond that of the program.
const (
	pipeDelay = 200 * time.Millisecond // for what still holds the output of a program that has ended
	killDelay = 500 * time.Millisecond // for a program to end that was killed
	reapDelay = 100 * time.Millisecond // for what it left in its group; what takes longer to end is seen to after the run
)

// A Command is a program with its arguments.
type Command struct {
	Path string   // of the program, absolute
	Args []string // without the program's name
	Env  []string // NAME=VALUE, all that the program gets
	Dir  string   // where it runs
}

// A Result is what a program that ran came to.
type Result struct {
	Code   int            // the exit status; -1 if a signal ended it
	Signal syscall.Signal // that ended it; 0 if it exited
	Stdout []byte
	Stderr []byte
	Took   time.Duration

	// Held reports that the program ended and left a process that held its output open, so that there may be more of it.
	Held bool
}

// Errors of a program that did not come to a result.
var (
	ErrBusy   = errors.New("too many programs are running") // and none of them ended in time
	ErrOutput = errors.New("the program writes too much")   // and was killed for it
	ErrStuck  = errors.New("the program cannot be ended")   // though it was killed: the kernel waits for something
	ErrKilled = errors.New("the program took too long")     // and was killed at the end of the context
)

// A StartError says why a program was not started.
type StartError struct{ err error }

// Unwrap returns the error of the operating system.
func (e *StartError) Unwrap() error { return e.err }

func (e *StartError) Error() string {
	switch {
	case errors.Is(e.err, errDir):
		return "its working directory does not exist or may not be entered"
	case errors.Is(e.err, errIrregular):
		return "it is no regular file"
	case errors.Is(e.err, fs.ErrNotExist):
		return "there is no such program, or not the interpreter that its first line names"
	case errors.Is(e.err, fs.ErrPermission):
		return "it may not be executed by this user"
	case errors.Is(e.err, syscall.ENOEXEC):
		return "it is no program for this machine"
	}
	var no syscall.Errno
	if errors.As(e.err, &no) {
		return no.Error()
	}
	return "it cannot be started"
}

var (
	errDir       = errors.New("no working directory")
	errIrregular = errors.New("not a regular file")
)

// A Runner runs a bounded number of programs at a time.
type Runner struct{ slots chan struct{} }

// NewRunner returns a runner of at most n programs at a time.
func NewRunner(n int) *Runner { return &Runner{make(chan struct{}, n)} }

// Run runs a program until it ends, or until the context does. It waits for its turn first, which is no part of the time that the
// program took. The error is a *StartError or one of those above.
func (r *Runner) Run(ctx context.Context, c Command) (Result, error) {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return Result{}, ErrBusy
	}
	if ctx.Err() != nil {
		<-r.slots
		return Result{}, ErrBusy
	}
	p, err := start(ctx, c)
	if err != nil {
		<-r.slots
		return Result{}, err
	}
	ended := make(chan struct{})
	var result Result
	go func() { // a program that the kernel does not end keeps its turn
		defer func() { <-r.slots }()
		defer close(ended)
		result, err = p.wait()
	}()
	select {
	case <-ended:
		return result, err
	case <-ctx.Done():
	}
	timer := time.NewTimer(killDelay)
	defer timer.Stop()
	select {
	case <-ended:
		return result, err
	case <-timer.C:
		return Result{}, ErrStuck
	}
}

// A process is a program that runs.
type process struct {
	cmd            *exec.Cmd
	ctx            context.Context
	began          time.Time
	stdout, stderr *output
	stop           context.CancelCauseFunc
}

func start(ctx context.Context, c Command) (*process, error) {
	if err := check(c); err != nil {
		return nil, &StartError{err}
	}
	keepDescriptors()
	p := &process{began: time.Now()}
	p.ctx, p.stop = context.WithCancelCause(ctx)
	p.stdout, p.stderr = &output{stop: p.stop}, &output{stop: p.stop}
	p.cmd = exec.CommandContext(p.ctx, c.Path, c.Args...)
	p.cmd.Env = append([]string{}, c.Env...) // of nil it would take those of the prober
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = c.Dir, p.stdout, p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Cancel = func() error { return syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }
	p.cmd.WaitDelay = pipeDelay
	if err := p.cmd.Start(); err != nil {
		p.stop(nil)
		return nil, &StartError{err}
	}
	return p, nil
}

// check looks for what the operating system reports as an error that could be about anything.
func check(c Command) error {
	if at, err := os.Stat(c.Dir); err != nil || !at.IsDir() || syscall.Access(c.Dir, 1) != nil {
		return errDir
	}
	if at, err := os.Stat(c.Path); err == nil && !at.Mode().IsRegular() {
		return errIrregular
	}
	return nil
}

// keepDescriptors keeps the program from getting those that the prober itself was given by whoever started it. Those that it opened
// are kept anyway.
func keepDescriptors() {
	open, _ := os.ReadDir("/dev/fd")
	for _, entry := range open {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// wait waits for the end of the program, and ends what it left in its group.
func (p *process) wait() (Result, error) {
	defer p.stop(nil)
	_ = p.cmd.Wait() // what it says is in the state, in the outputs and in the context
	took := time.Since(p.began)
	endGroup(p.cmd.Process.Pid)
	state, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch cause := context.Cause(p.ctx); {
	case errors.Is(cause, ErrOutput):
		return Result{}, ErrOutput
	case !ok || cause != nil && state.Signaled() && state.Signal() == syscall.SIGKILL:
		return Result{}, ErrKilled
	}
	r := Result{Code: state.ExitStatus(), Stdout: p.stdout.text, Stderr: p.stderr.text, Took: took, Held: !p.stdout.ended || !p.stderr.ended}
	if state.Signaled() {
		r.Signal = state.Signal()
	}
	return r, nil
}

// endGroup kills what is left in a process group, and buries those of it that became children of the prober, as they do where it
// is the first process of a container.
func endGroup(group int) {
	if syscall.Kill(-group, syscall.SIGKILL) == nil && !bury(group, reapDelay) {
		go bury(group, time.Minute)
	}
}

// bury waits for the children in a process group, whose number is nobody else's while one of them is there. It reports whether none
// is left.
func bury(group int, patience time.Duration) bool {
	for until, pause := time.Now().Add(patience), time.Millisecond; time.Now().Before(until); pause = min(2*pause, 100*time.Millisecond) {
		for {
			pid, err := syscall.Wait4(-group, nil, syscall.WNOHANG, nil)
			if err != nil && !errors.Is(err, syscall.EINTR) {
				return true
			}
			if pid == 0 {
				break // it is about to end
			}
		}
		time.Sleep(pause)
	}
	return false
}
