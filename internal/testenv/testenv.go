// Package testenv runs real servers for tests: it finds the programs, runs them for the duration of a test and waits for
// conditions. install.sh in this directory installs them. Only tests import it.
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

// short is the variable that allows programs to be missing. skips names a file with a line for each test that was skipped
// because of it, so that `make test` can report their number.
const (
	short = "PROBER_TEST_SHORT"
	skips = "PROBER_TEST_SKIPS"
)

// Need returns the path of a program that the test runs. Without it the test fails, unless PROBER_TEST_SHORT=1: then
// the test is skipped, and the skip is counted in the file that PROBER_TEST_SKIPS names. With -short it is always skipped.
func Need(t testing.TB, program string) string {
	t.Helper()
	Slow(t, "it runs "+program)
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	// Servers are often in directories that are not in the PATH of ordinary users, and some are only unpacked.
	dirs := []string{"/usr/local/sbin", "/usr/sbin", "/sbin"}
	if postgres, err := filepath.Glob("/usr/lib/postgresql/*/bin"); err == nil {
		dirs = append(dirs, postgres...)
	}
	if cache, err := os.UserCacheDir(); err == nil {
		dirs = append(dirs, filepath.Join(cache, "prober-test", "chrony", "usr", "sbin"))
	}
	for _, dir := range dirs {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path
		}
	}
	missing(t, program)
	return ""
}

// Slow skips a test with -short. The reason says what takes it so long.
func Slow(t testing.TB, reason string) {
	t.Helper()
	if testing.Short() {
		t.Skipf("skipped with -short: %s", reason)
	}
}

// missing fails or skips a test because a program is missing.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv(short) != "1" {
		t.Fatalf("%s is not installed; `make deps` installs it, %s=1 goes without", what, short)
	}
	countSkip(t, what)
	t.Skipf("SKIPPED for want of %s, as %s=1 allows", what, short)
}

func countSkip(t testing.TB, program string) {
	t.Helper()
	path := os.Getenv(skips)
	if path == "" {
		return
	}
	// One short line per write, so that the appends of several test processes do not mix.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(filepath.Base(os.Args[0]) + " " + t.Name() + " wants " + program + "\n")
		err = cmp.Or(err, f.Close())
	}
	if err != nil {
		t.Fatalf("a skipped test could not be counted: %v", err)
	}
}

// FreePort returns a TCP port of 127.0.0.1 that was free a moment ago, for a server that cannot choose one itself. Another
// program may take it in the meantime; that is unlikely, since the kernel hands out other ports first.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("no free port: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Eventually calls poll until it returns nil: at once, then every few milliseconds, and less often the longer it lasts,
// since polling takes time from what it waits for. If that does not happen in time, it fails the test with poll's last
// error before the end. The context of poll ends at the same time.
func Eventually(t testing.TB, within time.Duration, poll func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	const shortest = 20 * time.Millisecond
	longest := max(shortest, within/200)
	var last error
	for pause := shortest; ; pause = min(pause*5/4, longest) {
		err := poll(ctx)
		if err == nil {
			return
		}
		if last == nil || ctx.Err() == nil { // an error caused by the end of ctx says nothing about the condition
			last = err
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %v", within, last)
		case <-time.After(pause):
		}
	}
}
