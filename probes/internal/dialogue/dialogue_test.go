package dialogue

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"prober/internal/httpx"
	"prober/internal/secret"
	"prober/internal/testenv"
)

// speak goes through steps with a server that says all that it has to say at once, and then reads to the end or hangs up.
func speak(t *testing.T, says string, hangsUp bool, steps []Step, secure func(net.Conn) (net.Conn, error)) (heard string, err error) {
	t.Helper()
	all := make(chan string, 1)
	nc, err := testenv.OpenTo(func(_ int, nc net.Conn) {
		_, _ = io.WriteString(nc, says)
		if !hangsUp {
			got, _ := io.ReadAll(nc)
			all <- string(got)
		}
		close(all)
	})(t.Context(), "tcp", "127.0.0.1:25")
	if err != nil {
		t.Fatal(err)
	}
	last, err := Run(nc, steps, secure)
	last.Close()
	return <-all, err
}

func expects(line, until string) Step {
	s := Step{Expect: pattern(line)}
	if until != "" {
		s.Until = pattern(until)
	}
	return s
}

// TestRun_replies shows which replies are as expected, and how those are described that are not.
func TestRun_replies(t *testing.T) {
	named := func(s Step, name string) Step { s.name = name; return s }
	for name, test := range map[string]struct {
		says string
		step Step
		want string // what is wrong; empty: nothing
	}{
		"a line of the greatest length":             {strings.Repeat("a", maxLine) + "\r\n", expects("^a+$", ""), ""},
		"a line that is longer":                     {strings.Repeat("a", maxLine+1) + "\r\n", expects("^a+$", ""), "dialogue[0]: expected lines of at most 4096 bytes, got a longer one (dialogue[0])"},
		"as many lines as may come":                 {strings.Repeat("x\n", maxLines-1) + "a\n", expects("a", ""), ""},
		"one more":                                  {strings.Repeat("x\n", maxLines) + "a\n", expects("a", ""), "dialogue[0]: expected a line that matches a, got 500 lines that do not (dialogue[0])"},
		"a reply that begins well and does not end": {"a\n" + strings.Repeat("x\n", maxLines), expects("a", "^end$"), "dialogue[0]: expected a line that matches a, got 500 lines that do not (dialogue[0])"},
		"a code alone":                              {"554\r\n", expects("^220", `^\d{3}( |$)`), "dialogue[0]: expected a line that matches ^220, got 1 line that does not, the last with the code 554 (dialogue[0])"},
		"a code and a hyphen":                       {"554-a\r\nend\r\n", expects("^220", "^end$"), "dialogue[0]: expected a line that matches ^220, got 2 lines that do not (dialogue[0])"},
		"a code with a text":                        {"554 no\r\n", expects("^220", "^"), "dialogue[0]: expected a line that matches ^220, got 1 line that does not, the last with the code 554 (dialogue[0])"},
		"a longer number":                           {"5540 no\r\n", expects("^220", "^"), "dialogue[0]: expected a line that matches ^220, got 1 line that does not (dialogue[0])"},
		"a short number":                            {"55\r\n", expects("^220", "^"), "dialogue[0]: expected a line that matches ^220, got 1 line that does not (dialogue[0])"},
		"an offer that breaks off":                  {"250-mail\r\n", named(offer("", "^250-STARTTLS", "^250 "), "the reply"), "the reply: expected the server to offer STARTTLS, got a reply without it (1 line that does not)"},
		"no reply to the question for an offer":     {"", named(offer("", "^250-STARTTLS", "^250 "), "the reply"), "the reply: EOF"},
		"a reply that breaks off":                   {"x\ny\n", expects("a", ""), "dialogue[0], after 2 lines that do not match: EOF"},
		"a line without an end":                     {"a", expects("a", ""), "dialogue[0]: the server ended the connection within a line (dialogue[0])"},
		"a reply of another protocol":               {"SSH-2.0-a\r\n", reply("the greeting", "^220( |$)", code), "the greeting: expected a line that matches ^220( |$), got 1 line that does not (the greeting)"},
		"a greeting of FTP of another protocol":     {"SSH-2.0-a\r\n", reply("the greeting", "^220( |$)", greeted), "the greeting: expected a line that matches ^220( |$), got 1 line that does not (the greeting)"},
		"a greeting of FTP of several lines":        {"220-a\r\nb\r\n220 c\r\n", reply("the greeting", "^220( |$)", greeted), ""},
	} {
		if _, err := speak(t, test.says, true, []Step{test.step}, nil); test.want != said(err) {
			t.Errorf("%s: expected %q, got %q", name, test.want, said(err))
		}
	}
}

func said(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestRun_sends shows what a server is sent: groups of the last match in a text, and a secret as it is.
func TestRun_sends(t *testing.T) {
	t.Setenv("DIALOGUE_TEST", "a${1}b")
	text := func(line string) Step { return Step{Send: httpx.Value{Text: line}} }
	steps := []Step{
		expects(`^(\w+) (\w+)$`, ""), text("${1} ${2} [${0}] [${3}] ${x}"), {Send: httpx.Value{Secret: secret.Env("DIALOGUE_TEST")}},
		expects(`^(\w+)$`, ""), text("${1}${2}"),
	}
	heard, err := speak(t, "one two\nthree\n", false, steps, nil)
	if want := "one two [one two] [] ${x}\r\na${1}b\r\nthree\r\n"; heard != want || err != nil {
		t.Errorf("expected %q, got %q and %v", want, heard, err)
	}
}

// TestRun_startTLS speaks TLS in the step that has sent for it, unless there is so much as a byte in plain text behind the reply, and
// names the step if that fails.
func TestRun_startTLS(t *testing.T) {
	step := expects("^go$", "")
	step.Send, step.StartTLS = httpx.Value{Text: "now"}, true
	for name, test := range map[string]struct {
		says, heard, want string
		err               error
		handshakes        int
	}{
		"TLS":           {"go\n", "now\r\n", "", nil, 1},
		"plain text":    {"go\n!", "now\r\n", "dialogue[0]: expected nothing between the reply to STARTTLS and the TLS handshake, got 1 byte in plain text", nil, 0},
		"not succeeded": {"go\n", "now\r\n", "dialogue[0]: no", errors.New("no"), 1},
	} {
		handshakes := 0
		heard, err := speak(t, test.says, false, []Step{step}, func(nc net.Conn) (net.Conn, error) { handshakes++; return nc, test.err })
		if heard != test.heard || said(err) != test.want || handshakes != test.handshakes {
			t.Errorf("%s: got %q, %v and %d handshakes", name, heard, err, handshakes)
		}
		if failed, ok := errors.AsType[*Error](err); ok && failed.Handshake != (test.err != nil) {
			t.Errorf("%s: expected the error to be one of the handshake or not, got %+v", name, failed)
		}
	}
}

// TestRun_reflex answers what comes in between, and goes on.
func TestRun_reflex(t *testing.T) {
	ping := Ready("irc", false)[2]
	heard, err := speak(t, "PING :a b\nPING c\n:server 001 you\n", false, []Step{ping, send("QUIT")}, nil)
	if want := "PONG :a b\r\nPONG :c\r\nQUIT\r\n"; heard != want || err != nil {
		t.Errorf("expected %q, got %q and %v", want, heard, err)
	}
}

// TestSendsSecret: what is sent behind TLS is no secret in plain text.
func TestSendsSecret(t *testing.T) {
	password, upgrade := Step{Send: httpx.Value{Secret: secret.Env("DIALOGUE_TEST")}}, Step{StartTLS: true}
	for _, test := range []struct {
		steps []Step
		want  bool
	}{{[]Step{send("a")}, false}, {[]Step{send("a"), password}, true}, {[]Step{upgrade, password}, false}, {[]Step{password, upgrade}, true}} {
		if got := SendsSecret(test.steps); got != test.want {
			t.Errorf("%+v: expected %t", test.steps, test.want)
		}
	}
}

// TestValidate_bounds accepts as much as is promised.
func TestValidate_bounds(t *testing.T) {
	long := send(strings.Repeat("a", maxSent))
	all := make([]Step, MaxSteps)
	for i := range all {
		all[i] = long
	}
	if err := Validate(all, false); err != nil {
		t.Error(err)
	}
	if Validate(append(all, long), false) == nil || Validate([]Step{send(long.Send.Text + "a")}, false) == nil {
		t.Error("expected more to be refused")
	}
}

// TestFarewell ends a dialogue of each protocol that has a word for it, and says nothing in others.
func TestFarewell(t *testing.T) {
	for name, want := range map[string]string{"smtp": "QUIT\r\n", "imap": "p4 LOGOUT\r\n", "ssh": "SSH-2.0-prober\r\n", "": ""} {
		heard := make(chan string, 1)
		nc, err := testenv.OpenTo(func(_ int, nc net.Conn) { got, _ := io.ReadAll(nc); heard <- string(got) })(t.Context(), "tcp", "127.0.0.1:25")
		if err != nil {
			t.Fatal(err)
		}
		Farewell(nc, name)
		nc.Close()
		if got := <-heard; got != want {
			t.Errorf("%s: expected %q, got %q", name, want, got)
		}
	}
}
