package command

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"prober/internal/testenv"
)

func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(text), ") ")
	return err == nil && !strings.HasPrefix(state, "Z")
}

// TestRun_noZombies leaves no descriptor, and where orphans become children of the prober, as in a container, none of these either.
func TestRun_noZombies(t *testing.T) {
	const setChildSubreaper = 36
	if _, _, no := syscall.RawSyscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0); no != 0 {
		t.Fatal(no)
	}
	defer syscall.RawSyscall(syscall.SYS_PRCTL, setChildSubreaper, 0, 0)
	before := descriptors(t)
	for _, script := range []string{"true", "sleep 600 & sleep 600 >/dev/null 2>&1 & true", "sleep 600 & exec yes", "kill -KILL $$", "exit 2"} {
		_, _ = NewRunner(1).Run(within(t, patient), shell(script))
		testenv.Eventually(t, 30*time.Second, func(context.Context) error {
			if !childless() {
				return fmt.Errorf("%s: a child is left", script)
			}
			return nil
		})
	}
	_, _ = NewRunner(1).Run(within(t, patient), Command{Path: "/nowhere", Dir: "/"})
	if after := descriptors(t); after != before {
		t.Errorf("there were %d open files, and are %d", before, after)
	}
}

// childless reports whether the process has no child, not even one that has ended. It waits for none.
func childless() bool {
	const (
		all    = 0
		nowait = 0x01000000
		exited = 4
	)
	_, _, no := syscall.RawSyscall6(syscall.SYS_WAITID, all, 0, 0, syscall.WNOHANG|nowait|exited, 0, 0)
	return no == syscall.ECHILD
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
