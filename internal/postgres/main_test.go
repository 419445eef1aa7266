package postgres

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"prober/internal/probe"
	"prober/internal/secret"
)

// marker is planted wherever a server may put text; no text of ours may repeat it.
const marker = "hunter2-7f3a9c51d2"

// password is that of the role that tests connect as.
const password = "correct-horse-battery"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// file writes a file of the test and returns its path.
func file(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// settings are those of a role with a password.
func settings(t *testing.T) *Settings {
	return &Settings{Database: "postgres", User: "app", Password: secret.File(file(t, "password", []byte(password)))}
}

func client(t *testing.T, s *Settings) *Client {
	t.Helper()
	c, err := s.Client(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// connect connects within a time and returns the error, if there is one, as "reason: sentence". It closes what it opened.
func connect(t *testing.T, c *Client, address string, within time.Duration) (outcome string, x probe.Exchange) {
	t.Helper()
	return attempt(t, c, address, within, func(*Conn) error { return nil })
}

// attempt connects, does something and returns the first error as "reason: sentence", "ok: " if there is none.
func attempt(t *testing.T, c *Client, address string, within time.Duration, do func(*Conn) error) (outcome string, x probe.Exchange) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	r := probe.NewResult(probe.ID{})
	began := time.Now()
	conn, err := c.Connect(ctx, r, "connect", address)
	if err == nil {
		err = do(conn)
		conn.Close()
	}
	if took := time.Since(began); took > within+2*time.Second {
		t.Errorf("it took %s, expected about %s", took, within)
	}
	if len(r.Exchanges) != 1 {
		t.Fatalf("%d exchanges were recorded", len(r.Exchanges))
	}
	if err != nil {
		o := Explain(err)
		outcome = fmt.Sprintf("%s: %s", o.Reason, o.Detail)
	} else {
		outcome = "ok: "
	}
	for _, text := range []string{outcome, fmt.Sprintf("%+v", r.Exchanges), fmt.Sprint(err)} {
		if strings.Contains(text, marker) || strings.Contains(text, password) {
			t.Errorf("a text of the server's, or the password, is shown: %s", text)
		}
	}
	return outcome, r.Exchanges[0]
}

// query runs one statement in a transaction and returns its rows as text.
func query(conn *Conn, q Query) (rows Rows, err error) {
	tx, err := conn.Begin(ReadOnly)
	if err != nil {
		return Rows{}, err
	}
	if rows, err = tx.Query(q); err != nil {
		return Rows{}, err
	}
	return rows, tx.Rollback()
}

func wantPrefix(t *testing.T, got, want string) {
	t.Helper()
	if !strings.HasPrefix(got, want) {
		t.Errorf("\n got  %s\n want %s", got, want)
	}
}
