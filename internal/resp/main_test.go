package resp

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"prober/internal/probe"
	"prober/internal/secret"
)

// marker is planted wherever a server may put text; no text of ours may repeat it.
const marker = "hunter2-7f3a9c51d2"

// password is that of the user that tests log in as.
const password = "correct-horse-battery"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func settings(t *testing.T) *Settings {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	return &Settings{User: "prober", Password: secret.File(path)}
}

func client(t *testing.T, s *Settings) *Client {
	t.Helper()
	c, err := s.Client(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// attempt connects, does something and returns the first error as "reason: sentence", "ok: " if there is none.
func attempt(t *testing.T, c *Client, address string, within time.Duration, do func(*Conn) error) (outcome string, all []probe.Exchange) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	r := probe.NewResult(probe.ID{})
	began := time.Now()
	conn, err := c.Connect(ctx, r, "ping", At(address))
	if err == nil {
		err = do(conn)
		conn.Close()
	}
	if took := time.Since(began); took > within+2*time.Second {
		t.Errorf("it took %s, expected about %s", took, within)
	}
	outcome = "ok: "
	if err != nil {
		o := Explain(err)
		outcome = fmt.Sprintf("%s: %s", o.Reason, o.Detail)
	}
	for _, text := range []string{outcome, fmt.Sprintf("%+v", r.Exchanges), fmt.Sprint(err)} {
		if strings.Contains(text, marker) || strings.Contains(text, password) {
			t.Errorf("a text of the server's, or the password, is shown: %s", text)
		}
	}
	return outcome, r.Exchanges
}

func wantPrefix(t *testing.T, got, want string) {
	t.Helper()
	if !strings.HasPrefix(got, want) {
		t.Errorf("\n got  %s\n want %s", got, want)
	}
}

// A fake answers commands by their first word. A command that it has no answer to is one that it does not know.
type fake struct {
	address string

	mu   sync.Mutex
	sent []string // commands, with their arguments
}

// serve starts a server that ends with the test. Answers are as they go over the wire; one that is empty never comes.
func serve(t *testing.T, answers map[string]string) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{address: l.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer nc.Close()
				f.answer(nc, answers)
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return f
}

func (f *fake) answer(nc net.Conn, answers map[string]string) {
	in := &Reader{in: bufio.NewReader(nc)}
	for {
		v, err := in.Read()
		if err != nil {
			return
		}
		var words []string
		for _, item := range v.Items {
			words = append(words, item.Text)
		}
		f.mu.Lock()
		f.sent = append(f.sent, strings.Join(words, " "))
		f.mu.Unlock()
		answer, ok := answers[words[0]]
		if !ok {
			answer = "-ERR unknown command '" + marker + "', with args beginning with: " + strings.Join(words, " ") + "\r\n"
		}
		answer, closes := strings.CutSuffix(answer, "#close")
		if _, err := nc.Write([]byte(answer)); err != nil {
			return
		}
		if closes {
			return
		}
	}
}

func (f *fake) commands() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.sent...)
}
