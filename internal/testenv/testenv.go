// Package testenv gives tests real servers: it finds their programs, runs them for as long as a test lasts and waits
// for what they do. install.sh beside it installs them. Only tests import it.
package testenv

import (
	"cmp"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// short is the variable that lets a machine go without the programs; skips names a file that gathers a line for each
// test that was skipped for it, so that `make test` can say how many those were.
const (
	short = "PROBER_TEST_SHORT"
	skips = "PROBER_TEST_SKIPS"
)

// Need returns the path of a program that the test runs. Without it the test fails, unless PROBER_TEST_SHORT=1: then
// the test is skipped, and the skip is counted in the file that PROBER_TEST_SKIPS names.
func Need(t testing.TB, program string) string {
	t.Helper()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	// Servers live where an ordinary user's PATH does not look, and some were only unpacked.
	dirs := []string{"/usr/local/sbin", "/usr/sbin", "/sbin"}
	if cache, err := os.UserCacheDir(); err == nil {
		dirs = append(dirs, filepath.Join(cache, "prober-test", "chrony", "usr", "sbin"))
	}
	for _, dir := range dirs {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path
		}
	}
	lack(t, program)
	return ""
}

// lack ends a test for want of something that it runs.
func lack(t testing.TB, what string) {
	t.Helper()
	if os.Getenv(short) != "1" {
		t.Fatalf("%s is not installed; `make deps` installs it, %s=1 goes without", what, short)
	}
	count(t, what)
	t.Skipf("SKIPPED for want of %s, as %s=1 allows", what, short)
}

func count(t testing.TB, program string) {
	t.Helper()
	path := os.Getenv(skips)
	if path == "" {
		return
	}
	// One short line per write: appends of several test processes do not mix.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(filepath.Base(os.Args[0]) + " " + t.Name() + " wants " + program + "\n")
		err = cmp.Or(err, f.Close())
	}
	if err != nil {
		t.Fatalf("a skipped test could not be counted: %v", err)
	}
}

// FreePort returns a TCP port of 127.0.0.1 on which nobody listened a moment ago, for a server that cannot be told to
// choose one itself. Somebody else may take it meanwhile; the kernel makes that unlikely by giving out others first.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("no free port: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Eventually asks again and again, at once and then every few milliseconds, until poll returns nil. It fails the test
// with poll's last error of before then when that has not happened within the time given; poll's context ends then too.
func Eventually(t testing.TB, within time.Duration, poll func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := poll(ctx)
		if err == nil {
			return
		}
		if last == nil || ctx.Err() == nil { // that the time is up says nothing of what was waited for
			last = err
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %v", within, last)
		case <-tick.C:
		}
	}
}
