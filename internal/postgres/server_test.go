package postgres

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/testenv"
)

// An authority signs certificates for one test, in PEM.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.pem, _ = a.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) issue(t *testing.T, template *x509.Certificate) (cert, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert == nil {
		a.cert, _ = x509.ParseCertificate(der)
		a.key = key
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// A real is PostgreSQL as Debian has it, with TLS, a role for each way to log in, and a pool before it.
type real struct {
	testenv.Postgres
	authority *authority
	pool      string
}

func startReal(t *testing.T) *real {
	s := &real{Postgres: testenv.StartPostgres(t), authority: newAuthority(t)}
	cert, key := s.authority.issue(t, &x509.Certificate{DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	s.EnableTLS(t, cert, key, s.authority.pem)
	s.SQL(t, `
		CREATE ROLE app LOGIN PASSWORD '`+password+`';
		CREATE ROLE certified LOGIN;
		CREATE ROLE foreign_letters LOGIN PASSWORD '`+letters+`';
		CREATE ROLE one LOGIN PASSWORD '`+password+`' CONNECTION LIMIT 0;
		CREATE ROLE boss SUPERUSER LOGIN PASSWORD '`+password+`';
		SET password_encryption = md5;
		CREATE ROLE old LOGIN PASSWORD '`+password+`';
		CREATE TABLE notes (id int, text text);
		INSERT INTO notes SELECT n, '`+marker+`' FROM generate_series(1, 1000) n;
		GRANT SELECT, INSERT ON notes TO app;
		CREATE TABLE secrets (text text);
		INSERT INTO secrets VALUES ('`+marker+`');
		CREATE SEQUENCE numbers;
		GRANT USAGE ON SEQUENCE numbers TO app`)
	s.Authenticate(t, "hostssl all certified all cert", "host all clear all password", "host all old all md5", "host all nobody all reject", "host all all all scram-sha-256")
	s.pool = s.StartPgBouncer(t, map[string]string{"app": password, "gone": password}, "default_pool_size = 1", "query_wait_timeout = 1", "max_client_conn = 20", "server_tls_sslmode = prefer")
	return s
}

// letters is a password outside of ASCII.
const letters = "Grüße, Łódź, пароль, 密码, 비밀번호, パスワード, 🙂"

// TestServer asks Debian's PostgreSQL and PgBouncer.
func TestServer(t *testing.T) {
	t.Parallel()
	s := startReal(t)
	t.Run("login", s.testLogin)
	t.Run("TLS", s.testTLS)
	t.Run("rotation", s.testRotation)
	t.Run("states", s.testStates)
	t.Run("values", s.testValues)
	t.Run("read only", s.testReadOnly)
	t.Run("limits of time", s.testTime)
	t.Run("locks", s.testLocks)
	t.Run("pool", s.testPool)
	t.Run("superuser", s.testSuperuser)
}

// as returns settings for a role with the password.
func (s *real) as(t *testing.T, user string) *Settings {
	c := settings(t)
	c.User = user
	return c
}

func (s *real) testLogin(t *testing.T) {
	wrong := settings(t)
	wrong.Password = secret.File(file(t, "password", []byte(marker)))
	gone := settings(t)
	gone.Database = "gone"
	foreign := s.as(t, "foreign_letters")
	foreign.Password = secret.File(file(t, "password", []byte(letters)))
	missing := settings(t)
	missing.Password = secret.File("/nowhere/password")
	for name, test := range map[string]struct {
		settings *Settings
		want     string
	}{
		"SCRAM":                      {settings(t), "ok: "},
		"letters of many scripts":    {foreign, "ok: "},
		"a wrong password":           {wrong, "credential: the server rejects the password (SQLSTATE 28P01)"},
		"an unknown role":            {s.as(t, "stranger"), "credential: the server rejects the password (SQLSTATE 28P01)"},
		"a rejected role":            {s.as(t, "nobody"), "credential: the server rejects the role, or the way it logs in from here (SQLSTATE 28000)"},
		"an unknown database":        {gone, "schema: the database does not exist (SQLSTATE 3D000)"},
		"no password":                {anonymous(), "weak_auth: the server asks for a password, and none is configured"},
		"a password in clear":        {s.as(t, "clear"), "weak_auth: expected SCRAM, but the server asks for the password in clear; it was not sent"},
		"MD5":                        {s.as(t, "old"), "weak_auth: expected SCRAM, but the server asks for an MD5 hash of the password; it was not sent"},
		"no connection left":         {s.as(t, "one"), "refused: the server has no connection left (SQLSTATE 53300)"},
		"a password that is missing": {missing, "credential: secret from file /nowhere/password: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := connect(t, client(t, test.settings), s.Address(), 5*time.Second)
			wantPrefix(t, got, test.want)
		})
	}
}

func (s *real) testTLS(t *testing.T) {
	ca := file(t, "ca.pem", s.authority.pem)
	other := file(t, "ca.pem", newAuthority(t).pem)
	cert, key := s.authority.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "certified"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	pair := dial.TLS{CAFile: ca, CertFile: file(t, "cert.pem", cert), KeyFile: file(t, "key.pem", key)}
	for name, test := range map[string]struct {
		user string
		tls  dial.TLS
		want string
	}{
		"a verified certificate": {"app", dial.TLS{CAFile: ca}, "ok: "},
		"another authority":      {"app", dial.TLS{CAFile: other}, "cert: "},
		"another name":           {"app", dial.TLS{CAFile: ca, ServerName: "db.example"}, "cert: the certificate is not for db.example"},
		"a client certificate":   {"certified", pair, "ok: "},
		"no client certificate":  {"certified", dial.TLS{CAFile: ca}, "credential: the server rejects the role, or the way it logs in from here (SQLSTATE 28000)"},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.as(t, test.user)
			if test.user == "certified" {
				c.Password = secret.Secret{}
			}
			c.TLS = &test.tls
			encrypted := "?"
			got, x := attempt(t, client(t, c), s.Address(), 5*time.Second, func(c *Conn) error {
				rows, err := query(c, Query{SQL: "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", MaxRows: 1})
				if err == nil {
					encrypted = rows.Values[0][0].Text
				}
				return err
			})
			wantPrefix(t, got, test.want)
			if got == "ok: " && (encrypted != "t" || x.CertExpiry.IsZero() || x.Version == "") {
				t.Errorf("encrypted %s; the exchange is recorded as %+v", encrypted, x)
			}
		})
	}
}

// A password is read for each connection: one that was changed needs no reload.
func (s *real) testRotation(t *testing.T) {
	c := settings(t)
	path := file(t, "password", []byte("not-yet-known"))
	c.Password = secret.File(path)
	asker := client(t, c)
	got, _ := connect(t, asker, s.Address(), 5*time.Second)
	wantPrefix(t, got, "credential: ")
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, _ = connect(t, asker, s.Address(), 5*time.Second)
	wantPrefix(t, got, "ok: ")
}

// do connects as the application and does something.
func (s *real) do(t *testing.T, address string, within time.Duration, do func(*Conn) error) string {
	t.Helper()
	got, _ := attempt(t, client(t, settings(t)), address, within, do)
	return got
}

func (s *real) testStates(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1 FROM missing":                    "schema: a table of the query does not exist, or not in the role's search path (SQLSTATE 42P01)",
		"SELECT missing FROM notes":                "schema: a column of the query does not exist (SQLSTATE 42703)",
		"SELECT missing()":                         "schema: a function or an operator of the query does not exist (SQLSTATE 42883)",
		"SELECT current_setting('app.missing')":    "schema: a name in the query is not known (SQLSTATE 42704)",
		"SELEKT":                                   "schema: the query is not one valid statement (SQLSTATE 42601)",
		"SELECT 1; SELECT 2":                       "schema: the query is not one valid statement (SQLSTATE 42601)",
		"SELECT text FROM secrets":                 "credential: the role lacks a right that the query needs (SQLSTATE 42501)",
		"SELECT text::uuid FROM notes":             "query_failed: a text is not valid for the type that it is compared with (SQLSTATE 22P02)",
		"SELECT 1 / (id - id) FROM notes":          "query_failed: the server could not run the query",
		"INSERT INTO notes VALUES (1, '')":         "read_only_violated: the query tries to write in a read-only transaction (SQLSTATE 25006)",
		"SELECT nextval('numbers')":                "read_only_violated: ",
		"COMMIT":                                   "read_only_violated: the statement ended the transaction that bounds it",
		"SELECT n, n, n FROM generate_series(1,9)": "too_many_rows: expected at most 5 rows, got more",
		"SELECT repeat('x', 70000)":                "too_large: the server announced a message of more than 64 KiB",
		"COPY notes TO STDOUT":                     "schema: expected a query, got a statement that copies",
		"SELECT":                                   "ok: ",
		"":                                         "ok: ",
	} {
		sql = strings.Replace(sql, "SELECT n, n, n FROM generate_series(1,9)", "SELECT n, n, n FROM generate_series(1,9) n", 1)
		got := s.do(t, s.Address(), 5*time.Second, func(c *Conn) error {
			_, err := query(c, Query{SQL: sql, MaxRows: 5})
			return err
		})
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s:\n got  %s\n want %s", sql, got, want)
		}
	}
}

func (s *real) testValues(t *testing.T) {
	got := s.do(t, s.Address(), 5*time.Second, func(c *Conn) error {
		rows, err := query(c, Query{SQL: "SELECT $1::int + 1 AS n, NULL AS nothing, '' AS empty, $2 AS text", Args: []string{"41", "'; DROP TABLE notes; --"}, MaxRows: 1})
		if err != nil {
			return err
		}
		if want := []Value{{"42", true}, {"", false}, {"", true}, {"'; DROP TABLE notes; --", true}}; !slices.Equal(rows.Values[0], want) {
			t.Errorf("got %v, expected %v", rows.Values[0], want)
		}
		if i, err := rows.Column("empty"); i != 2 || err != nil {
			t.Errorf("column %d, %v", i, err)
		}
		if _, err := rows.Column("missing"); Explain(err).Detail != "expected a column missing in the answer, got 4 others" {
			t.Error(err)
		}
		rows, err = query(c, Query{SQL: "SELECT id FROM notes WHERE false", MaxRows: 1})
		if len(rows.Values) != 0 || !slices.Equal(rows.Columns, []string{"id"}) {
			t.Errorf("got %v, expected no row", rows)
		}
		return err
	})
	wantPrefix(t, got, "ok: ")
}

// Nothing that a query of the configuration writes stays, and an expected refusal leaves the connection usable.
func (s *real) testReadOnly(t *testing.T) {
	got := s.do(t, s.Address(), 5*time.Second, func(c *Conn) error {
		tx, err := c.Begin(ReadWrite)
		if err != nil {
			return err
		}
		if _, err := tx.Query(Query{SQL: "INSERT INTO notes VALUES (-1, '')"}); err != nil {
			return err
		}
		if err := tx.Rollback(); err != nil {
			return err
		}
		if tx, err = c.Begin(ReadOnly); err != nil {
			return err
		}
		if _, err := tx.Query(Query{SQL: "SELECT text FROM secrets", MaxRows: 1}); Code(err) != "42501" {
			t.Errorf("expected a refusal, got %v", err)
		}
		if err := tx.Rollback(); err != nil {
			return err
		}
		rows, err := query(c, Query{SQL: "SELECT count(*) FROM notes WHERE id < 0", MaxRows: 1})
		if err == nil && rows.Values[0][0].Text != "0" {
			t.Error("the row stayed")
		}
		return err
	})
	wantPrefix(t, got, "ok: ")
}

// waitUntilIdle waits until the server runs no query of the role.
func (s *real) waitUntilIdle(t *testing.T) {
	t.Helper()
	watcher := client(t, s.as(t, "boss"))
	testenv.Eventually(t, 10*time.Second, func(ctx context.Context) error {
		conn, err := watcher.Connect(ctx, probe.NewResult(probe.ID{}), "watch", s.Address())
		if err != nil {
			return err
		}
		defer conn.Close()
		rows, err := query(conn, Query{SQL: "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state = 'active'", MaxRows: 1})
		if err == nil && rows.Values[0][0].Text != "0" {
			err = errors.New("the server still runs a query")
		}
		return err
	})
}

// A query that takes too long ends at the server, by its own limit in a transaction, or else by a cancel request.
func (s *real) testTime(t *testing.T) {
	for name, address := range map[string]string{"server": s.Address(), "pool": s.pool} {
		got := s.do(t, address, 500*time.Millisecond, func(c *Conn) error {
			_, err := query(c, Query{SQL: "SELECT pg_sleep(60)", MaxRows: 1})
			return err
		})
		if !strings.HasPrefix(got, "timeout: ") {
			t.Errorf("%s: got %s", name, got)
		}
		s.waitUntilIdle(t)
		got = s.do(t, address, 500*time.Millisecond, func(c *Conn) error {
			_, err := c.Query(Query{SQL: "SELECT pg_sleep(60)", MaxRows: 1})
			return err
		})
		if !strings.HasPrefix(got, "timeout: ") {
			t.Errorf("%s: got %s", name, got)
		}
		s.waitUntilIdle(t)
	}
	// Over TLS the request to cancel goes over TLS too.
	encrypted := settings(t)
	encrypted.TLS = &dial.TLS{CAFile: file(t, "ca.pem", s.authority.pem)}
	got, _ := attempt(t, client(t, encrypted), s.Address(), time.Second, func(c *Conn) error {
		_, err := c.Query(Query{SQL: "SELECT pg_sleep(60)", MaxRows: 1})
		return err
	})
	wantPrefix(t, got, "timeout: ")
	s.waitUntilIdle(t)
	// So is one whose answer is not read to its end.
	got = s.do(t, s.Address(), 5*time.Second, func(c *Conn) error {
		_, err := c.Query(Query{SQL: "SELECT generate_series(1, 100000000), repeat('x', 1000)", MaxRows: 1})
		return err
	})
	wantPrefix(t, got, "too_many_rows: ")
	s.waitUntilIdle(t)
	// A run that is cancelled cancels its query too.
	ctx, cancel := context.WithCancel(t.Context())
	conn, err := client(t, settings(t)).Connect(ctx, probe.NewResult(probe.ID{}), "connect", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := conn.Query(Query{SQL: "SELECT pg_sleep(60)", MaxRows: 1}); Explain(err).Reason != probe.Cancelled {
		t.Error(err)
	}
	conn.Close()
	s.waitUntilIdle(t)
}

func (s *real) testLocks(t *testing.T) {
	holder := s.as(t, "boss")
	got, _ := attempt(t, client(t, holder), s.Address(), 10*time.Second, func(c *Conn) error {
		tx, err := c.Begin(ReadWrite)
		if err != nil {
			return err
		}
		if _, err := tx.Query(Query{SQL: "LOCK TABLE notes"}); err != nil {
			return err
		}
		got := s.do(t, s.Address(), time.Second, func(c *Conn) error {
			_, err := query(c, Query{SQL: "SELECT id FROM notes", MaxRows: 2000})
			return err
		})
		wantPrefix(t, got, "locked: a table of the query was locked for too long (SQLSTATE 55P03)")
		return tx.Rollback()
	})
	wantPrefix(t, got, "ok: ")
}

// The limits of a transaction end with it, and nothing of a run is left for the next client of the pool.
func (s *real) testPool(t *testing.T) {
	got := s.do(t, s.pool, 5*time.Second, func(c *Conn) error {
		var seen []string
		show := func(q func(Query) (Rows, error)) error {
			rows, err := q(Query{SQL: "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('transaction_read_only')", MaxRows: 1})
			if err == nil {
				seen = append(seen, fmt.Sprint(rows.Values[0]))
			}
			return err
		}
		tx, err := c.Begin(ReadOnly)
		if err != nil {
			return err
		}
		if err := errors.Join(show(tx.Query), tx.Rollback(), show(c.Query)); err != nil {
			return err
		}
		if strings.Contains(seen[0], "{0 true}") || !strings.HasSuffix(seen[0], "{on true}]") || seen[1] != "[{0 true} {0 true} {off true}]" {
			t.Errorf("in and after the transaction: %v", seen)
		}
		return nil
	})
	wantPrefix(t, got, "ok: ")

	wrong := settings(t)
	wrong.Password = secret.File(file(t, "password", []byte(marker)))
	got, _ = connect(t, client(t, wrong), s.pool, 5*time.Second)
	wantPrefix(t, got, "credential: the pool rejects the password (SQLSTATE 08P01)")
	got, _ = connect(t, client(t, s.as(t, "stranger")), s.pool, 5*time.Second)
	wantPrefix(t, got, "credential: ")
	elsewhere := settings(t)
	elsewhere.Database = "gone"
	got, _ = connect(t, client(t, elsewhere), s.pool, 5*time.Second)
	wantPrefix(t, got, "schema: the pool does not know the database")

	// Without transactions there are no limits, so nothing is asked.
	statements := s.StartPgBouncer(t, map[string]string{"app": password}, "pool_mode = statement")
	got = s.do(t, statements, 5*time.Second, func(c *Conn) error {
		_, err := c.Begin(ReadOnly)
		return err
	})
	wantPrefix(t, got, "control_failed: the pool is in statement mode, in which no transaction bounds a query (SQLSTATE 08P01)")

	// The pool's only connection is taken.
	got = s.do(t, s.pool, 8*time.Second, func(c *Conn) error {
		tx, err := c.Begin(ReadOnly)
		if err != nil {
			return err
		}
		got := s.do(t, s.pool, 6*time.Second, func(c *Conn) error {
			_, err := c.Begin(ReadOnly)
			return err
		})
		wantPrefix(t, got, "timeout: the pool had no connection to a server in time (SQLSTATE 08P01)")
		return tx.Rollback()
	})
	wantPrefix(t, got, "ok: ")
}

func (s *real) testSuperuser(t *testing.T) {
	for user, want := range map[string]bool{"app": false, "boss": true} {
		got, _ := attempt(t, client(t, s.as(t, user)), s.Address(), 5*time.Second, func(c *Conn) error {
			if got := c.Superuser(); got != want {
				t.Errorf("%s is a superuser: %t", user, got)
			}
			return nil
		})
		wantPrefix(t, got, "ok: ")
	}
}
