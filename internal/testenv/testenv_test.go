package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// abandoned is the argument with which the test's binary starts a process, prints its number and panics.
const abandoned = "abandoned"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == abandoned {
		cmd := exec.Command("sleep", "600")
		KillWithParent(cmd)
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		fmt.Println(cmd.Process.Pid)
		panic(abandoned)
	}
	goleak.VerifyTestMain(m)
}

// A fake stands in for the test that a helper is given, and tells how it went.
type fake struct {
	testing.TB
	ctx      context.Context
	said     string
	failed   bool
	skipped  bool
	cleanups []func()
}

func (f *fake) Helper()                  {}
func (f *fake) Name() string             { return "TestFake" }
func (f *fake) Context() context.Context { return f.ctx }
func (f *fake) Failed() bool             { return f.failed }
func (f *fake) Cleanup(c func())         { f.cleanups = append(f.cleanups, c) }
func (f *fake) Logf(format string, a ...any) {
	f.said += fmt.Sprintf(format, a...)
}
func (f *fake) Errorf(format string, a ...any) { f.failed = true; f.Logf(format, a...) }
func (f *fake) Fatal(a ...any)                 { f.Fatalf("%s", fmt.Sprint(a...)) }
func (f *fake) Fatalf(format string, a ...any) { f.Errorf(format, a...); runtime.Goexit() }
func (f *fake) Skipf(format string, a ...any) {
	f.skipped = true
	f.Logf(format, a...)
	runtime.Goexit()
}

// try runs what may end the fake test, and then its cleanups.
func try(t *testing.T, run func(f *fake)) *fake {
	f := &fake{ctx: t.Context()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(f)
	}()
	<-done
	for _, c := range f.cleanups {
		c()
	}
	return f
}

func TestNeed_missingFails(t *testing.T) {
	Slow(t, "Need skips")
	t.Setenv(short, "")
	f := try(t, func(f *fake) { Need(f, "no-such-program") })
	if !f.failed || !strings.Contains(f.said, "no-such-program") {
		t.Errorf("failed=%v, said %q; expected a failure that names the program", f.failed, f.said)
	}
}

func TestNeed_missingIsCounted(t *testing.T) {
	Slow(t, "Need skips")
	counted := filepath.Join(t.TempDir(), "skips")
	t.Setenv(short, "1")
	t.Setenv(skips, counted)
	for range 2 {
		if f := try(t, func(f *fake) { Need(f, "no-such-program") }); !f.skipped || f.failed {
			t.Fatalf("skipped=%v failed=%v, said %q; expected a skip", f.skipped, f.failed, f.said)
		}
	}
	b, err := os.ReadFile(counted)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(b), "TestFake wants no-such-program\n"); got != 2 {
		t.Errorf("counted %d skips, expected 2:\n%s", got, b)
	}
}

func TestNeed_outsidePath(t *testing.T) {
	Slow(t, "Need skips")
	t.Setenv("PATH", "")
	f := try(t, func(f *fake) {
		if path := Need(f, "nologin"); path != "/usr/sbin/nologin" && path != "/sbin/nologin" {
			t.Errorf("got %q", path)
		}
	})
	if f.failed {
		t.Error(f.said)
	}
}

func TestFreePort(t *testing.T) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(FreePort(t))))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

func TestEventually(t *testing.T) {
	t.Run("waits for success", func(t *testing.T) {
		asked := 0
		Eventually(t, time.Minute, func(context.Context) error {
			if asked++; asked < 3 {
				return errors.New("not yet")
			}
			return nil
		})
		if asked != 3 {
			t.Errorf("asked %d times, expected 3", asked)
		}
	})
	t.Run("gives up", func(t *testing.T) {
		f := try(t, func(f *fake) {
			Eventually(f, time.Nanosecond, func(context.Context) error { return errors.New("never") })
		})
		if !f.failed {
			t.Error("did not fail the test")
		}
	})
}

func TestStart_endsWithTest(t *testing.T) {
	Slow(t, "it waits until an unwilling process is killed")
	for name, script := range map[string]string{
		"willing":   "echo here; exec sleep 600",
		"unwilling": "trap '' TERM; echo here; while :; do sleep 0.1; done",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var p *Process
			f := try(t, func(f *fake) {
				p = Start(f, "sh", "-c", script)
				Eventually(t, time.Minute, func(context.Context) error {
					if p.Output() != "here\n" {
						return errors.New("it wrote " + strconv.Quote(p.Output()))
					}
					return nil
				})
				f.failed = true
			})
			if err := syscall.Kill(p.PID(), 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("process %d is still there: %v", p.PID(), err)
			}
			if !strings.Contains(f.said, "here") {
				t.Errorf("the failed test's log lacks the output: %q", f.said)
			}
		})
	}
}

// A panic, like the timeout of go test, ends the process without any cleanup: what it started must end all the same.
func TestStart_endsWithParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can do this")
	}
	cmd := exec.Command(os.Args[0], abandoned)
	var stdout strings.Builder
	cmd.Stdout = &stdout
	said, err := Run(t, cmd)
	pid, numberErr := strconv.Atoi(strings.TrimSpace(stdout.String()))
	if err == nil || !strings.Contains(said, "panic: "+abandoned) || numberErr != nil {
		t.Fatalf("expected a panic after a number, got %v, %q and\n%s", err, stdout.String(), said)
	}
	Eventually(t, time.Minute, func(context.Context) error { return gone(pid) })
}

// gone says whether a process is there no more, or only waits for its parent to see that it ended.
func gone(pid int) error {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil || strings.Contains(string(stat), ") Z ") {
		return nil
	}
	return fmt.Errorf("process %d lives on: %s", pid, stat)
}

// What a process leaves in its group ends with it.
func TestStart_killsChildren(t *testing.T) {
	var stdout strings.Builder
	cmd := exec.Command("sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!")
	cmd.Stdout = &stdout
	if said, err := Run(t, cmd); err != nil {
		t.Fatal(err, said)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(stdout.String()))
	if err != nil {
		t.Fatal(err)
	}
	Eventually(t, time.Minute, func(context.Context) error { return gone(pid) })
}

func TestProcess_exitStatus(t *testing.T) {
	p := Start(t, Need(t, "sh"), "-c", "exit 3")
	Slow(t, "Need skips")
	if status, err := p.Wait(t.Context()); status != 3 || err != nil {
		t.Errorf("got %d, %v; expected 3", status, err)
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("got %v; expected that it has ended", err)
	}
}

func TestProcess_outputBounded(t *testing.T) {
	var o output
	for range 3 {
		o.Write([]byte(strings.Repeat("x", maxOutput/2+1)))
	}
	o.Write([]byte("end"))
	if got := o.String(); len(got) != maxOutput || !strings.HasSuffix(got, "xend") {
		t.Errorf("kept %d bytes ending in %q, expected %d ending in xend", len(got), got[len(got)-4:], maxOutput)
	}
}
