package probe

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"prober/internal/testenv"
)

// suspendedChild is the argument with which the test binary runs one job and prints what came of it.
const suspendedChild = "suspended-child"

// child runs a job whose probe says when it began and then waits for its deadline, or for a line on standard input.
func child(what string) {
	j := job(func(ctx context.Context, r *Result) {
		if what == "breach" {
			r.Fail("it", AuthBypass, "got 501")
		}
		fmt.Println("began")
		if what == "answer" {
			bufio.NewReader(os.Stdin).ReadString('\n')
			r.Fail("it", Slow, "answered, much too late")
			return
		}
		<-ctx.Done()
		r.Fail("it", Timeout, "no answer")
	})
	if j.Timeout = 400 * time.Millisecond; what == "answer" {
		j.Timeout = time.Minute
	}
	fmt.Println(strings.ReplaceAll(lines(j.Do(context.Background())), "\n", ", "))
}

func TestSuspendedProcessIsInconclusive(t *testing.T) {
	testenv.Slow(t, "it stops a process for 3 s")
	const suspended = "it inconclusive(suspended), run inconclusive(suspended)"
	for what, want := range map[string]string{
		"deadline": suspended,
		"answer":   suspended,
		"breach":   "it fail(auth_bypass), " + suspended,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], suspendedChild, what)
			testenv.KillWithParent(cmd)
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			out := bufio.NewScanner(stdout)
			if !out.Scan() || out.Text() != "began" {
				t.Fatalf("the child said %q, want that it began", out.Text())
			}
			if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			<-time.After(3 * time.Second) // longer than any run may take, and than a pulse may be late
			stdin.Write([]byte("\n"))
			if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			out.Scan()
			if out.Text() != want {
				t.Errorf("got %s, want %s", out.Text(), want)
			}
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}
