package dialogue

import (
	"bytes"
	"errors"
	"net"
	"regexp"
	"strings"
	"testing"

	"prober/internal/httpx"
)

// A script is a connection to a server that says what it has to say whatever it hears.
type script struct {
	net.Conn
	says *strings.Reader
	hear bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)  { return s.says.Read(p) }
func (s *script) Write(p []byte) (int, error) { return s.hear.Write(p) }

// FuzzRun has a server say any bytes: a dialogue ends, sends a bounded number of whole lines, never goes on to TLS that was not offered, and
// its error repeats none of the server's words.
func FuzzRun(f *testing.F) {
	const marker = "zqxj"
	for _, says := range []string{
		"220 mail\r\n250-" + marker + "\r\n250-STARTTLS\r\n250 ok\r\n220 go\r\n", "220 mail\n250-STARTTLS\n250 ok\n220 go\ninjected\n",
		"PING a\r\nPING b\r\n220 x\r\n554 " + marker + "\r\n", "220 " + strings.Repeat("a", maxLine+1), strings.Repeat("x\n", maxLines+1), "220", "\n\r\n\x00\n220 \xff\n", "",
	} {
		f.Add([]byte(says))
	}
	steps := []Step{
		{Expect: pattern(`^220 (.*)`), Send: httpx.Value{Text: "HELLO ${1}${2}"}, answer: &reflex{line: regexp.MustCompile("^PING (.*)"), send: "PONG ${1}"}},
		offer("the reply to HELLO", `^250-STARTTLS`, `^250 `),
		{Expect: pattern(`^220`), StartTLS: true},
	}
	f.Fuzz(func(t *testing.T, says []byte) {
		nc := &script{says: strings.NewReader(string(says))}
		stop := errors.New("no TLS")
		_, err := Run(nc, steps, func(net.Conn) (net.Conn, error) { return nil, stop })
		var wrong *Error
		if !errors.As(err, &wrong) {
			t.Fatalf("a dialogue without TLS ends with %v", err)
		}
		if strings.Contains(err.Error(), marker) {
			t.Errorf("the error repeats the server: %v", err)
		}
		if n := strings.Count(nc.hear.String(), "\r\n"); n > maxLines+1 || n != strings.Count(nc.hear.String(), "\n") {
			t.Errorf("%d lines were sent: %q", n, nc.hear.String())
		}
		if wrong.Handshake && !bytes.Contains(says, []byte("STARTTLS")) {
			t.Error("went on to TLS, which was not offered")
		}
	})
}
