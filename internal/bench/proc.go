package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cpu is what a process and all its threads have used so far, to the nanosecond. Threads that ended would be missing;
// Go's do not end.
func (s *subject) cpu() (time.Duration, error) {
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.cmd.Process.Pid))
	if err != nil || len(paths) == 0 {
		return 0, fmt.Errorf("%s: no CPU times under /proc: %v", s.name, err)
	}
	var sum time.Duration
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		first, _, _ := bytes.Cut(b, []byte(" "))
		n, err := strconv.ParseInt(string(first), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		sum += time.Duration(n)
	}
	return sum, nil
}

// rss is the memory in bytes that the process has resident now.
func (s *subject) rss() (float64, error) { return s.status("VmRSS:") }

// peak is the maximum of rss since the process started.
func (s *subject) peak() (float64, error) { return s.status("VmHWM:") }

// status reads a size in bytes from /proc.
func (s *subject) status(name string) (float64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("%s: no %s", s.name, name)
}

// others is the CPU time that all processes but this one and its ended children have used since the machine started.
// What others take from the cores shows in every figure, so the report says it.
func others() time.Duration {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	var used time.Duration
	for i, field := range strings.Fields(line) {
		n, err := strconv.ParseInt(field, 10, 64)
		if idle := i == 4 || i == 5; err == nil && !idle { // the first field is the word cpu
			used += time.Duration(n) * time.Second / hertz
		}
	}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var r syscall.Rusage
		if syscall.Getrusage(who, &r) == nil {
			used -= time.Duration(r.Utime.Nano() + r.Stime.Nano())
		}
	}
	return used
}

// hertz is the unit of /proc/stat on every Linux that Go runs on.
const hertz = 100
