package importer

import (
	"regexp"
	"strings"
)

// readTCP translates the settings of the probers tcp and unix.
func (m *module) readTCP(s *source) {
	c := m.common
	encrypted := s.flag("tls", false)
	if m.prober == "tcp" {
		s.readVersion(c)
	}
	var steps []*mapping
	secret, startsTLS, complete, asked := false, false, true, ""
	for _, q := range s.list("query_response") {
		if q.take("expect") != nil {
			asked = q.text("expect")
		}
		step, ok := q.step(c, asked)
		complete = complete && ok
		if len(step.entries) == 0 {
			continue
		}
		if step.has("starttls") {
			startsTLS = true
			if encrypted {
				encrypted = false
				q.without(c, "tls", "the change to TLS is the step starttls")
			}
		}
		secret = secret || isSource(step.get("send"))
		steps = append(steps, step)
	}
	t := s.inner("tls_config")
	if tls := t.readTLS(c, secret); encrypted || startsTLS && len(tls.entries) > 0 {
		c.set("tls", tls)
	}
	switch {
	case !complete:
		s.ask(c, "dialogue", "lacks what the comments above say")
	case len(steps) > 0:
		c.set("dialogue", steps)
	}
	if complete && secret && !encrypted {
		s.ask(c, "allow_plaintext", "true sends the secret in clear, as there")
	}
}

// isSource reports whether a value names where a secret comes from.
func isSource(v any) bool {
	p, ok := v.(plain)
	inner, _ := v.(*mapping)
	return ok && strings.HasPrefix(string(p), "{env") || inner != nil && inner.has("file")
}

var asksPassword = regexp.MustCompile(`(?i)(passw|pass phrase|passphrase|secret|token|pin\b)`)

// step translates one step of a dialogue, and says whether it is whole. What the server is asked for last, before something
// is sent, tells whether that is a password.
func (s *source) step(m *mapping, asked string) (step *mapping, whole bool) {
	step, whole = &mapping{}, true
	if v := s.text("expect"); v != "" {
		re, err := regexp.Compile(v)
		switch {
		case err != nil:
			s.wrong("expect", "a regular expression")
		case re.MatchString(""):
			s.without(m, s.at("expect"), "the pattern matches the empty text too")
			whole = false
		default:
			step.set("expect", v)
		}
	}
	for _, key := range []string{"expect_bytes", "labels"} {
		if s.take(key) != nil {
			s.without(m, s.at(key), noEquivalent)
			whole = whole && key == "labels"
		}
	}
	switch v := strings.TrimRight(s.text("send"), "\r\n"); {
	case strings.HasPrefix(v, binaryMark) || strings.ContainsAny(v, "\r\n\x00"):
		s.without(m, s.at("send"), "one line of text is sent")
		whole = false
	case v == "":
	case !strings.HasPrefix(v, "SSH-2.0-") && looksSecret(v) || asksPassword.MatchString(asked):
		step.set("send", s.variable(s, "send"))
	default:
		step.set("send", v)
	}
	if s.flag("starttls", false) {
		step.set("starttls", true)
	}
	s.rest(m, noEquivalent)
	return step, whole
}
