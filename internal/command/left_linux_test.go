package command

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
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
		if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
			t.Errorf("%s: a child is left: %d, %v", script, pid, err)
		}
	}
	_, _ = NewRunner(1).Run(within(t, patient), Command{Path: "/nowhere", Dir: "/"})
	if after := descriptors(t); after != before {
		t.Errorf("there were %d open files, and are %d", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
