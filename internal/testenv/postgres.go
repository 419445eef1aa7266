package testenv

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A Postgres is a PostgreSQL server of a test.
type Postgres struct {
	dir  string // of its own
	port int    // of 127.0.0.1
}

// StartPostgres starts an empty PostgreSQL server that ends with the test.
func StartPostgres(t testing.TB) Postgres {
	t.Helper()
	initdb, postgres := Need(t, "initdb"), Need(t, "postgres")
	Need(t, "psql")
	// Not below t.TempDir, which only this user may enter: PostgreSQL refuses to run as root.
	dir, err := os.MkdirTemp("", "prober-postgres")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := Postgres{dir, FreePort(t)}
	data := filepath.Join(dir, "data")
	if out, err := Run(t, p.command(t, initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	StartCmd(t, p.command(t, postgres, "-D", data, "-k", dir, "-h", "127.0.0.1", "-p", strconv.Itoa(p.port), "-c", "fsync=off"))
	Eventually(t, time.Minute, func(context.Context) error {
		_, err := p.psql(t, "select 1")
		return err
	})
	return p
}

// command makes a command that does not run as root.
func (p Postgres) command(t testing.TB, path string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Dir = p.dir
	if os.Getuid() != 0 {
		return cmd
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	if err := os.Chown(p.dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return cmd
}

// URL returns what programs connect to.
func (p Postgres) URL() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres", p.port)
}

// SQL runs statements as the administrator. An error ends the test.
func (p Postgres) SQL(t testing.TB, statements string) {
	t.Helper()
	if out, err := p.psql(t, statements); err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
}

func (p Postgres) psql(t testing.TB, statements string) (string, error) {
	t.Helper()
	cmd := exec.Command(Need(t, "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", p.URL())
	cmd.Stdin = strings.NewReader(statements)
	return Run(t, cmd)
}
