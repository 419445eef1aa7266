package websocket

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"

	"prober/internal/probe"
	"prober/internal/text"
)

// A session is an open WebSocket.
type session struct {
	probe   *Probe
	result  *probe.Result
	wire    *wire
	explain func(error) probe.Outcome
}

// converse notes the checks up to the closing handshake, and returns the outcome of the last.
func (s *session) converse(head http.Header, key string) probe.Outcome {
	o := s.note(checkUpgrade, s.probe.accepted(head, key))
	if !o.Passed() {
		return o
	}
	if len(s.probe.Dialogue) > 0 {
		o = s.note(checkDialogue, s.dialogue())
	}
	if o.Passed() && s.probe.Ping {
		o = s.note(checkPing, s.ping())
	}
	if !o.Passed() {
		_ = s.wire.sendClose(1000) // whoever reads the server's log need not wonder
		return o
	}
	return s.note(checkClose, s.close())
}

func (s *session) note(check string, o probe.Outcome) probe.Outcome {
	s.result.Note(check, o)
	return o
}

// dialogue takes the steps.
func (s *session) dialogue() probe.Outcome {
	for i := range s.probe.Dialogue {
		step, name := &s.probe.Dialogue[i], fmt.Sprintf("dialogue[%d]", i)
		if step.waits() {
			if o := s.await(step, name); !o.Passed() {
				return o
			}
		}
		if o := s.send(step, name); !o.Passed() {
			return o
		}
	}
	return probe.Outcomef(probe.OK, "%s as expected", text.Count(len(s.probe.Dialogue), "step"))
}

// await reads messages up to the one that a step waits for.
func (s *session) await(step *Step, name string) probe.Outcome {
	passed := 0
	_, o := s.read(name, &passed, step.matches)
	if o.Reason == probe.Timeout && passed > 0 {
		return probe.Outcomef(reasonMessage, "expected %s, got %s until the end of the run (%s)", step, text.Plural(passed, "message that does not match", "messages that do not match"), name)
	}
	return o
}

func (s *session) send(step *Step, name string) probe.Outcome {
	op, data := opBinary, step.sent
	if !step.Send.IsZero() {
		value, err := step.Send.Reveal()
		if err != nil {
			return probe.Outcomef(probe.Credential, "%s", err)
		}
		op, data = opText, []byte(value)
	} else if step.SendBinary == "" {
		return probe.Outcome{Reason: probe.OK}
	}
	if err := s.wire.send(op, data); err != nil {
		return s.broken(err, name)
	}
	return probe.Outcome{Reason: probe.OK}
}

// ping sends a ping and waits for its pong. Pongs that nobody asked for are allowed.
func (s *session) ping() probe.Outcome {
	payload := []byte(rand.Text()[:8])
	if err := s.wire.send(opPing, payload); err != nil {
		return s.broken(err, "the ping")
	}
	passed, others := 0, 0
	_, o := s.read("the pong", &passed, func(m message) bool {
		if m.op == opPong && !bytes.Equal(m.data, payload) {
			others++
		}
		return m.op == opPong && bytes.Equal(m.data, payload)
	})
	switch {
	case o.Passed():
		return probe.Outcomef(probe.OK, "the pong matches the ping")
	case o.Reason == probe.Timeout && others > 0:
		return probe.Outcomef(reasonPong, "expected a pong that repeats the ping, got %s that did not", text.Count(others, "pong"))
	}
	return o
}

// close closes the WebSocket, and waits for the close frame of the server.
func (s *session) close() probe.Outcome {
	if err := s.wire.sendClose(1000); err != nil {
		return s.broken(err, "the close frame")
	}
	passed := 0
	m, o := s.read("the close frame", &passed, func(m message) bool { return m.op == opClose })
	if !o.Passed() {
		return o
	}
	code, err := readClose(m.data)
	switch want := s.probe.CloseCode; {
	case err != nil:
		return s.broken(err, "the close frame")
	case code == want, want == 0 && (code == 1000 || code == noCode):
		return probe.Outcomef(probe.OK, "closed with %s", codeText(code))
	case want == 0:
		want = 1000
		fallthrough
	default:
		return probe.Outcomef(reasonCloseCode, "expected the server to close with %s, got %s", codeText(want), codeText(code))
	}
}

// read reads up to the message that is wanted, and answers pings on the way. It counts the messages that are not.
func (s *session) read(what string, passed *int, wanted func(message) bool) (message, probe.Outcome) {
	for {
		m, err := s.wire.next()
		if err == nil && m.op == opPing {
			err = s.wire.send(opPong, m.data)
		}
		switch {
		case err != nil:
			return message{}, s.broken(err, s.waiting(what, *passed))
		case wanted(m):
			return m, probe.Outcome{Reason: probe.OK}
		case m.op == opClose:
			return message{}, s.closed(m, s.waiting(what, *passed))
		case !m.op.control():
			*passed++
		}
	}
}

func (s *session) waiting(what string, passed int) string {
	if passed == 0 {
		return what
	}
	return what + ", after " + text.Plural(passed, "message that does not match", "messages that do not match")
}

// closed says that the server closed the WebSocket by itself.
func (s *session) closed(m message, what string) probe.Outcome {
	code, err := readClose(m.data)
	if err != nil {
		return s.broken(err, what)
	}
	return probe.Outcomef(reasonClosed, "the server closed the WebSocket with %s (waiting for %s)", codeText(code), what)
}

// broken says what an error is.
func (s *session) broken(err error, what string) probe.Outcome {
	var o probe.Outcome
	bad, large := violation(""), errTooLarge{}
	switch {
	case errors.As(err, &bad):
		o = probe.Outcomef(reasonFrame, "the server sent %s", bad)
	case errors.As(err, &large):
		o = probe.Outcomef(probe.SelfLimit, "%s", large)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		o = probe.Outcomef(reasonCut, "the server ended the connection without a close frame")
	default:
		o = s.explain(err)
	}
	o.Detail += " (waiting for " + what + ")"
	return o
}

// codeText is a close code with its meaning, for people (RFC 6455, section 7.4.1).
func codeText(code int) string {
	meaning := map[int]string{
		1000: "normal closure", 1001: "going away", 1002: "protocol error", 1003: "unsupported data", 1007: "invalid data",
		1008: "policy violation", 1009: "message too big", 1010: "extension expected", 1011: "internal error", 1012: "service restart",
		1013: "try again later", 1014: "bad gateway",
	}[code]
	switch {
	case code == noCode:
		return "no code"
	case meaning == "":
		return fmt.Sprint(code)
	}
	return fmt.Sprintf("%d (%s)", code, meaning)
}
