package jsonpath

import (
	"encoding/json"
	"strconv"
	"strings"
)

// number reads a number as JSON writes it.
func (s *scanner) number() string {
	start := s.at
	for s.at < len(s.in) && strings.IndexByte("+-.0123456789eE", s.in[s.at]) >= 0 {
		s.at++
	}
	text := s.in[start:s.at]
	if _, ok := parseFloat(text); !ok || !json.Valid([]byte(text)) {
		s.at = start
		s.fail("wanted a number as JSON writes it")
	}
	if _, err := strconv.Atoi(text); err != nil && strings.Trim(text, "-0123456789") == "" {
		return text + ".0" // the engine refuses an integer that does not fit
	}
	return text
}

// text reads a quoted string and resolves its escapes.
func (s *scanner) text() string {
	start := s.at
	mark := s.next()
	s.at++
	// Turned into a JSON string, which has the same escapes but for the quotes.
	var b strings.Builder
	b.WriteByte('"')
	for {
		switch c := s.next(); {
		case c == 0:
			s.at = start
			s.fail("the quote is not closed")
		case c == mark:
			s.at++
			b.WriteByte('"')
			if halfSurrogate([]byte(b.String())) {
				s.at = start
				s.fail("half a surrogate pair")
			}
			var out string
			if json.Unmarshal([]byte(b.String()), &out) != nil {
				s.at = start
				s.fail("an escape that JSON does not know, or a control character")
			}
			return out
		case c == '\\' && s.at+1 < len(s.in) && s.in[s.at+1] == mark:
			s.at += 2
			if mark == '"' {
				b.WriteByte('\\')
			}
			b.WriteByte(mark)
		case c == '\\' && s.at+1 < len(s.in) && s.in[s.at+1] != '"':
			b.WriteString(s.in[s.at : s.at+2])
			s.at += 2
		case c == '"':
			b.WriteString(`\"`)
			s.at++
		default:
			b.WriteByte(c)
			s.at++
		}
	}
}

// quote writes a name or text for the engine, which knows these two escapes in single quotes and takes everything
// else as it stands.
func quote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}
