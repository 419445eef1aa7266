package testenv

import (
	"context"
	"fmt"
	"net"
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

// StartPostgres starts an empty PostgreSQL server that ends with the test. Settings are name=value.
func StartPostgres(t testing.TB, settings ...string) Postgres {
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
	p.start(t, postgres, settings...)
	return p
}

// StartStandby starts a server that follows this one and ends with the test.
func (p Postgres) StartStandby(t testing.TB) Postgres {
	t.Helper()
	dir, err := os.MkdirTemp("", "prober-postgres")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := Postgres{dir, FreePort(t)}
	// The settings that are written for the standby lead to the address that was connected to.
	backup := s.command(t, Need(t, "pg_basebackup"), "-h", "127.0.0.1", "-p", strconv.Itoa(p.port), "-U", "postgres", "-D", filepath.Join(dir, "data"),
		"-R", "-X", "stream", "-c", "fast", "--no-sync")
	if out, err := Run(t, backup); err != nil {
		t.Fatalf("pg_basebackup: %v\n%s", err, out)
	}
	s.start(t, Need(t, "postgres"))
	return s
}

func (p Postgres) start(t testing.TB, postgres string, settings ...string) {
	t.Helper()
	args := []string{"-D", filepath.Join(p.dir, "data"), "-k", p.dir, "-h", "127.0.0.1", "-p", strconv.Itoa(p.port), "-c", "fsync=off"}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	StartCmd(t, p.command(t, postgres, args...))
	Eventually(t, time.Minute, func(context.Context) error {
		_, err := p.psql(t, "select 1")
		return err
	})
}

// command makes a command that does not run as root.
func (p Postgres) command(t testing.TB, path string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Dir = p.dir
	if os.Getuid() != 0 {
		return cmd
	}
	uid, gid := p.owner(t)
	if err := os.Chown(p.dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return cmd
}

// owner returns whom the server runs as where the tests run as root.
func (p Postgres) owner(t testing.TB) (uid, gid int) {
	t.Helper()
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ = strconv.Atoi(nobody.Uid)
	gid, _ = strconv.Atoi(nobody.Gid)
	return uid, gid
}

// Address returns host:port of the server.
func (p Postgres) Address() string { return fmt.Sprintf("127.0.0.1:%d", p.port) }

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

// Query runs statements as the administrator and returns what they print: a line for each row, with | between its fields. It may be
// called while the test waits for something else.
func (p Postgres) Query(t testing.TB, statements string) (string, error) {
	return p.psql(t, statements)
}

// Authenticate sets who may come by TCP, and how, in lines of pg_hba.conf.
func (p Postgres) Authenticate(t testing.TB, lines ...string) {
	t.Helper()
	p.write(t, "data/pg_hba.conf", "local all all trust\nlocal replication all trust\nhost replication all 127.0.0.1/32 trust\n"+strings.Join(lines, "\n")+"\n")
	p.SQL(t, "select pg_reload_conf()")
}

// EnableTLS lets clients use TLS, with a certificate and its key in PEM. Clients may show certificates of the authority ca.
func (p Postgres) EnableTLS(t testing.TB, cert, key, ca []byte) {
	t.Helper()
	p.write(t, "data/server.crt", string(cert))
	p.write(t, "data/server.key", string(key))
	p.write(t, "data/ca.crt", string(ca))
	p.SQL(t, "alter system set ssl = on; alter system set ssl_ca_file = 'ca.crt'")
	p.SQL(t, "select pg_reload_conf()")
}

// write writes a file that only the server may read.
func (p Postgres) write(t testing.TB, name, content string) {
	t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		return
	}
	uid, gid := p.owner(t)
	if err := os.Chown(path, uid, gid); err != nil {
		t.Fatal(err)
	}
}

// StartPgBouncer starts a pool before the server, in transaction mode, that ends with the test, and returns host:port. Users
// are names and passwords. Further settings are lines of pgbouncer.ini.
func (p Postgres) StartPgBouncer(t testing.TB, users map[string]string, settings ...string) (address string) {
	t.Helper()
	port := FreePort(t)
	name := fmt.Sprintf("pgbouncer-%d", port)
	var list strings.Builder
	for user, password := range users {
		fmt.Fprintf(&list, "%q %q\n", user, password)
	}
	p.write(t, name+".txt", list.String())
	lines := append([]string{
		"[databases]", fmt.Sprintf("postgres = host=127.0.0.1 port=%d", p.port),
		"[pgbouncer]", "listen_addr = 127.0.0.1", fmt.Sprintf("listen_port = %d", port), "unix_socket_dir =",
		"auth_type = scram-sha-256", "auth_file = " + filepath.Join(p.dir, name+".txt"), "pool_mode = transaction",
	}, settings...)
	p.write(t, name+".ini", strings.Join(lines, "\n")+"\n")
	StartCmd(t, p.command(t, Need(t, "pgbouncer"), filepath.Join(p.dir, name+".ini")))
	address = fmt.Sprintf("127.0.0.1:%d", port)
	Eventually(t, time.Minute, func(context.Context) error {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err
	})
	return address
}

func (p Postgres) psql(t testing.TB, statements string) (string, error) {
	t.Helper()
	// By the socket, since tests change who may come by TCP, and how.
	cmd := exec.Command(Need(t, "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", p.dir, "-p", strconv.Itoa(p.port), "-U", "postgres", "postgres")
	cmd.Stdin = strings.NewReader(statements)
	return Run(t, cmd)
}
