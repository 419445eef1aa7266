// Package dialogue speaks the protocols in which each side sends lines, and in which a connection may change to TLS in the
// middle (STARTTLS).
//
// It promises, against any server: lines and their number are bounded; what a server sends before the change to TLS counts no
// more after it (RFC 3207, section 4.2: an attacker may have put it there); a server that does not offer the change is told
// from one that fails at it; errors hold no byte of the server's but the three digits of a reply code.
package dialogue

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/expect"
)

// A Step is one line to wait for, one to send, the change to TLS, or several of these, in this order.
type Step struct {
	Expect   *expect.Pattern `yaml:"expect" doc:"a regular expression (RE2) that a line must match; lines that do not are passed over"`
	Until    *expect.Pattern `yaml:"until" doc:"matches the last line of a reply: the reply is read to its end, and no line beyond it may be the one expected"`
	Send     httpx.Value     `yaml:"send" mask:"true" doc:"a line to send: a text, {file: PATH} or {env: NAME}; ${1} in a text is what the first group of the last expect matched"`
	StartTLS bool            `yaml:"starttls" doc:"speak TLS from here on; what the server sent before no longer counts"`

	name   string       // of a ready step, in place of its number
	absent probe.Reason // if no line matches; zero: StepFailed
	coded  bool         // a reply begins with a code, or it is one of another protocol, which may say nothing more
	answer *reflex      // to lines that come in between
}

// A reflex answers some lines while another one is waited for.
type reflex struct {
	line *regexp.Regexp
	send string
}

// Reasons of a dialogue, beside those of package probe.
var (
	StepFailed = probe.Reason{Word: "unexpected_reply", Verdict: probe.Fail, Text: "the server replies otherwise", Action: "Ask the server by hand, by `nc` or `openssl s_client`, and compare its reply with the step that the message names."}
	Stripped   = probe.Reason{Word: "starttls_not_offered", Verdict: probe.Fail, Text: "the server does not offer STARTTLS", Action: "Check the server's certificate and TLS settings; if the server itself offers it on its own machine, something on the way takes it out."}
	Injected   = probe.Reason{Word: "plaintext_injected", Verdict: probe.Fail, Text: "plain text behind the change to TLS", Action: "Find what stands between the prober and the server: it adds plain text that a careless client would take for the server's."}
)

// Reasons lists them, for the descriptors of kinds.
func Reasons() []probe.Reason { return []probe.Reason{StepFailed, Stripped, Injected} }

// MaxSteps bounds a configured dialogue.
const MaxSteps = 50

// maxSent bounds a line that is sent.
const maxSent = 4096

// Validate reports everything wrong with the steps of a setting. The argument says whether the connection speaks TLS from its
// first byte on.
func Validate(steps []Step, encrypted bool) error {
	var wrong []error
	if len(steps) > MaxSteps {
		wrong = append(wrong, probe.Settingf("", "expected at most %d steps, got %d", MaxSteps, len(steps)))
	}
	captured := false
	for i, s := range steps {
		at := func(key string) string { return fmt.Sprintf("[%d]%s", i, key) }
		if s.Expect == nil && s.Send.IsZero() && !s.StartTLS {
			wrong = append(wrong, probe.Settingf(at(""), "expected expect, send or starttls"))
		}
		if s.Until != nil && s.Expect == nil {
			wrong = append(wrong, probe.Settingf(at(".until"), "expected expect beside it"))
		}
		captured = captured || s.Expect != nil
		if len(s.Send.Text) > maxSent || strings.ContainsAny(s.Send.Text, "\r\n\x00") {
			wrong = append(wrong, probe.Settingf(at(".send"), "expected one line of at most %d bytes", maxSent))
		}
		if group.MatchString(s.Send.Text) && !captured {
			wrong = append(wrong, probe.Settingf(at(".send"), "${1} is what an expect before it matched, and there is none"))
		}
		if s.StartTLS && encrypted {
			wrong = append(wrong, probe.Settingf(at(".starttls"), "the connection speaks TLS by then"))
		}
		encrypted = encrypted || s.StartTLS
	}
	return errors.Join(wrong...)
}

// StartsTLS reports whether one of the steps is the change to TLS.
func StartsTLS(steps []Step) bool {
	for _, s := range steps {
		if s.StartTLS {
			return true
		}
	}
	return false
}

// SendsSecret reports whether a secret is sent before the change to TLS.
func SendsSecret(steps []Step) bool {
	for _, s := range steps {
		if !s.Send.Secret.IsZero() {
			return true
		}
		if s.StartTLS {
			return false
		}
	}
	return false
}

// An Error says at which step a dialogue ended, and why.
type Error struct {
	Step string // "dialogue[2]", or what a ready step is called, and what came in its place

	// One of these is set: what is wrong with the server's lines, or the error of the connection or of the handshake.
	Outcome   probe.Outcome
	Err       error
	Handshake bool // Err is that of the handshake
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Step + ": " + e.Err.Error()
	}
	return e.Step + ": " + e.Outcome.Detail
}

// Run goes through the steps on a connection. At a change to TLS it calls secure, which returns the connection to use from
// there on. Run returns the connection used last, and an *[Error] if a step did not succeed.
func Run(nc net.Conn, steps []Step, secure func(net.Conn) (net.Conn, error)) (net.Conn, error) {
	d := &dialogue{conn: nc, lines: newLines(nc)}
	for i, s := range steps {
		if s.name == "" {
			s.name = fmt.Sprintf("dialogue[%d]", i)
		}
		if err := d.take(s, secure); err != nil {
			return d.conn, err
		}
	}
	return d.conn, nil
}

type dialogue struct {
	conn   net.Conn
	lines  *lines
	groups []string // of the last match
}

func (d *dialogue) take(s Step, secure func(net.Conn) (net.Conn, error)) error {
	if s.Expect != nil {
		if err := d.expect(s); err != nil {
			return err
		}
	}
	if !s.Send.IsZero() {
		if err := d.send(s); err != nil {
			return err
		}
	}
	if !s.StartTLS {
		return nil
	}
	if n := d.lines.buffered(); n > 0 {
		return &Error{Step: s.name, Outcome: probe.Outcomef(Injected, "expected nothing between the reply to STARTTLS and the TLS handshake, got %s in plain text", text.Count(n, "byte"))}
	}
	secured, err := secure(d.conn)
	if err != nil {
		return &Error{Step: s.name, Err: err, Handshake: true}
	}
	d.conn, d.lines = secured, newLines(secured)
	return nil
}

// expect reads the lines of a reply, up to the one that matches or, if the step says how a reply ends, to the end of the reply.
func (d *dialogue) expect(s Step) error {
	matched, read, code := false, 0, ""
	for ; read < maxLines; read++ {
		line, err := d.lines.next()
		if err != nil {
			return d.broken(s, err, read)
		}
		if s.answer != nil {
			if found := s.answer.line.FindStringSubmatch(line); found != nil {
				if err := d.write(s, replaced(s.answer.send, found)); err != nil {
					return err
				}
				continue
			}
		}
		if found := s.Expect.FindStringSubmatch(line); found != nil && !matched {
			matched, d.groups = true, found
		}
		code = replyCode(line)
		if s.Until == nil && matched || s.Until != nil && s.Until.MatchString(line) || s.coded && read == 0 && code == "" {
			read++
			break
		}
	}
	if matched && (s.Until == nil || read < maxLines) {
		return nil
	}
	return &Error{Step: s.name, Outcome: s.unmatched(read, code)}
}

// unmatched says what was expected of a reply, and as much of what was got as is the prober's to repeat.
func (s Step) unmatched(read int, code string) probe.Outcome {
	why := s.absent
	if why == (probe.Reason{}) {
		why = StepFailed
	}
	got := text.Plural(read, "line that does not", "lines that do not")
	if code != "" {
		got += ", the last with the code " + code
	}
	if s.absent == Stripped {
		return probe.Outcomef(why, "expected the server to offer STARTTLS, got a reply without it (%s)", got)
	}
	return probe.Outcomef(why, "expected a line that matches %s, got %s (%s)", s.Expect, got, s.name)
}

func (d *dialogue) broken(s Step, err error, read int) error {
	switch {
	case errors.Is(err, errLineTooLong):
		return &Error{Step: s.name, Outcome: probe.Outcomef(probe.Protocol, "expected lines of at most %d bytes, got a longer one (%s)", maxLine, s.name)}
	case errors.Is(err, errLineCut):
		return &Error{Step: s.name, Outcome: probe.Outcomef(probe.Truncated, "the server ended the connection within a line (%s)", s.name)}
	case read > 0 && s.absent != (probe.Reason{}):
		return &Error{Step: s.name, Outcome: s.unmatched(read, "")}
	}
	if read > 0 {
		s.name += ", after " + text.Plural(read, "line that does not match", "lines that do not match")
	}
	return &Error{Step: s.name, Err: err}
}

func (d *dialogue) send(s Step) error {
	line, err := s.Send.Reveal()
	if err != nil {
		return &Error{Step: s.name, Outcome: probe.Outcomef(probe.Credential, "%s", err)}
	}
	if s.Send.Secret.IsZero() {
		line = replaced(line, d.groups)
	}
	return d.write(s, line)
}

func (d *dialogue) write(s Step, line string) error {
	if _, err := d.conn.Write([]byte(line + "\r\n")); err != nil {
		return &Error{Step: s.name, Err: err}
	}
	return nil
}

// group is a group of the last match, in a text to send.
var group = regexp.MustCompile(`\$\{([0-9])\}`)

// replaced puts the groups of a match into a text. A group that there is none of is empty.
func replaced(line string, groups []string) string {
	return group.ReplaceAllStringFunc(line, func(name string) string {
		if n, _ := strconv.Atoi(name[2 : len(name)-1]); n < len(groups) {
			return groups[n]
		}
		return ""
	})
}

// replyCode returns the three digits that a line begins with, as those of SMTP and FTP do; empty if it does not.
func replyCode(line string) string {
	if len(line) < 3 || strings.Trim(line[:3], "0123456789") != "" || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return ""
	}
	return line[:3]
}
