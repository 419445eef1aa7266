package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// A cage is a memory cgroup. Without the rights to make one, the peak of the resident memory has to do.
type cage struct {
	dir     string // empty: there is none
	limit   int64
	maximum string // the file of the peak
	sockets string // the file of the peak of what sockets hold, where that is counted apart
}

func newCage(limit int64) *cage {
	name := "prober-endure-" + strconv.Itoa(os.Getpid())
	for _, c := range []struct{ root, sign, limit, peak, socketLimit, sockets string }{
		{"/sys/fs/cgroup", "cgroup.controllers", "memory.max", "memory.peak", "", ""},
		{"/sys/fs/cgroup/memory", "cgroup.procs", "memory.limit_in_bytes", "memory.max_usage_in_bytes",
			"memory.kmem.tcp.limit_in_bytes", "memory.kmem.tcp.max_usage_in_bytes"}, // counted only with a limit
	} {
		if _, err := os.Stat(filepath.Join(c.root, c.sign)); err != nil {
			continue
		}
		dir := filepath.Join(c.root, name)
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		if os.WriteFile(filepath.Join(dir, c.limit), []byte(strconv.FormatInt(limit, 10)), 0o644) == nil {
			made := &cage{dir: dir, limit: limit, maximum: filepath.Join(dir, c.peak)}
			if c.sockets != "" && os.WriteFile(filepath.Join(dir, c.socketLimit), []byte(strconv.FormatInt(limit, 10)), 0o644) == nil {
				made.sockets = filepath.Join(dir, c.sockets)
			}
			return made
		}
		_ = os.Remove(dir)
	}
	return &cage{limit: limit}
}

// command returns a command that runs in the cage from its first instruction on.
func (c *cage) command(path string, args ...string) *exec.Cmd {
	if c.dir == "" {
		return exec.Command(path, args...)
	}
	enter := `echo $$ > "$0/cgroup.procs" && exec "$@"`
	return exec.Command("/bin/sh", append([]string{"-c", enter, c.dir, path}, args...)...)
}

// String says what the cage is.
func (c *cage) String() string {
	if c.dir == "" {
		return fmt.Sprintf("without a cgroup, %d MiB by resident memory", c.limit>>20)
	}
	return fmt.Sprintf("in a cgroup of %d MiB", c.limit>>20)
}

// peak says how much memory a process used at most.
func (c *cage) peak(pid int) string {
	var parts []string
	if n, ok := number(c.maximum); ok {
		parts = append(parts, fmt.Sprintf("%d MiB in the cgroup", n>>20))
	}
	if n, ok := number(c.sockets); ok {
		parts = append(parts, fmt.Sprintf("%d MiB in sockets beside it", n>>20))
	}
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
		for line := range strings.Lines(string(status)) {
			if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
				parts = append(parts, strings.TrimSpace(rest)+" resident")
			}
		}
	}
	return strings.Join(parts, ", ")
}

// number reads a file that holds a number.
func number(file string) (int64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

func (c *cage) remove() {
	if c.dir != "" {
		_ = os.Remove(c.dir)
	}
}
