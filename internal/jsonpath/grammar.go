package jsonpath

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a path. Together with the limits of a document they bound what one evaluation costs.
const (
	maxPath    = 1_000 // bytes
	maxWays    = 16    // ways in which one value can be selected, as in ['a','a']['b','b']
	maxFilters = 4     // levels of filters within filters
	maxPattern = 256   // instructions of a compiled regular expression
	maxIndex   = 1<<53 - 1
)

// rewrite checks a path against the grammar of RFC 9535 and writes it in the form that the engine understands as
// the RFC means it: names quoted (the engine takes .count and .value for functions), escapes resolved, each
// negation in parentheses of its own (the engine lets "!" reach over "&&"), and match guarded by the existence of
// what is matched (the engine takes a missing value for a match).
func rewrite(expr string) (canonical string, err error) {
	if len(expr) > maxPath {
		return "", fmt.Errorf("a JSON path may have %d bytes, this one has %d", maxPath, len(expr))
	}
	if !utf8.ValidString(expr) {
		return "", fmt.Errorf("a JSON path is valid UTF-8")
	}
	s := &scanner{in: expr, ways: 1}
	defer func() {
		if p := recover(); p != nil {
			e, ours := p.(mistake)
			if !ours {
				panic(p)
			}
			canonical, err = "", e
		}
	}()
	if s.next() != '$' {
		s.fail("a JSON path starts with $")
	}
	s.at++
	segments, _ := s.segments(0)
	if s.at < len(s.in) {
		s.fail("wanted a dot or a bracket")
	}
	return "$" + segments, nil
}

// A mistake ends the scan wherever it was found.
type mistake struct {
	column int
	text   string
}

func (m mistake) Error() string { return fmt.Sprintf("JSON path, column %d: %s", m.column, m.text) }

type scanner struct {
	in      string
	at      int
	descent bool // a ".." was seen
	ways    int
}

func (s *scanner) fail(format string, args ...any) {
	panic(mistake{utf8.RuneCountInString(s.in[:min(s.at, len(s.in))]) + 1, fmt.Sprintf(format, args...)})
}

// next returns the byte at hand, 0 at the end.
func (s *scanner) next() byte {
	if s.at < len(s.in) {
		return s.in[s.at]
	}
	return 0
}

// has skips text if it comes next.
func (s *scanner) has(text string) bool {
	if !strings.HasPrefix(s.in[s.at:], text) {
		return false
	}
	s.at += len(text)
	return true
}

func (s *scanner) want(text string) {
	if !s.has(text) {
		s.fail("wanted %s", text)
	}
}

func (s *scanner) blanks() {
	for s.at < len(s.in) && strings.IndexByte(" \t\r\n", s.in[s.at]) >= 0 {
		s.at++
	}
}

// segments reads what follows $ or @. Singular tells that it selects one value at most. Filter is the number of
// filters around it.
func (s *scanner) segments(filter int) (out string, singular bool) {
	singular = true
	var b strings.Builder
	for {
		start := s.at
		s.blanks()
		switch {
		case s.has(".."):
			if filter > 0 {
				s.fail(".. is not allowed in a filter: it would search the document once for each of its values")
			}
			if s.descent {
				s.fail("only one .. is allowed: two would search the document once for each of its values")
			}
			s.descent, singular = true, false
			b.WriteString("..")
			if s.next() == '[' {
				selection, _ := s.selection(filter)
				b.WriteString(selection)
			} else {
				b.WriteString(s.shorthand())
			}
		case s.has("."):
			name := s.shorthand()
			singular = singular && name != "[*]"
			b.WriteString(name)
		case s.next() == '[':
			selection, one := s.selection(filter)
			singular = singular && one
			b.WriteString(selection)
		default:
			s.at = start // blanks at the end belong to what follows
			return b.String(), singular
		}
	}
}

// shorthand reads the name or the * behind a dot.
func (s *scanner) shorthand() string {
	if s.has("*") {
		return "[*]"
	}
	name := s.word()
	if name == "" {
		s.fail("wanted a name or *; a name with other characters is written as ['name']")
	}
	return "[" + quote(name) + "]"
}

// word reads a name that needs no quotes.
func (s *scanner) word() string {
	start := s.at
	for s.at < len(s.in) {
		c := s.in[s.at]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= utf8.RuneSelf
		if !letter && (s.at == start || c < '0' || c > '9') {
			break
		}
		s.at++
	}
	return s.in[start:s.at]
}

// selection reads selectors in brackets.
func (s *scanner) selection(filter int) (out string, singular bool) {
	s.want("[")
	var all []string
	singular = true
	for {
		s.blanks()
		selector, one := s.selector(filter)
		all = append(all, selector)
		singular = singular && one
		s.blanks()
		if s.has("]") {
			break
		}
		if s.next() != ',' {
			s.fail("wanted ] or a comma")
		}
		if strings.Contains(selector, ":") && selector[0] != '\'' && selector[0] != '?' {
			s.fail("a slice stands last in its brackets") // the engine's limit
		}
		s.want(",")
	}
	if s.ways *= len(all); s.ways > maxWays {
		s.fail("the path selects in more than %d ways", maxWays)
	}
	return "[" + strings.Join(all, ",") + "]", singular && len(all) == 1
}

func (s *scanner) selector(filter int) (out string, singular bool) {
	switch c := s.next(); {
	case c == '\'' || c == '"':
		return quote(s.text()), true
	case s.has("*"):
		return "*", false
	case s.has("?"):
		if filter == maxFilters {
			s.fail("more than %d filters within filters", maxFilters)
		}
		s.blanks()
		return "?" + s.or(filter+1), false
	case c == ':' || c == '-' || '0' <= c && c <= '9':
		return s.slice()
	}
	s.fail("wanted a quoted name, an index, a slice, * or a filter")
	return "", false
}

// slice reads an index or start:end:step.
func (s *scanner) slice() (out string, singular bool) {
	var b strings.Builder
	for colons := 0; ; colons++ {
		if c := s.next(); c == '-' || '0' <= c && c <= '9' {
			b.WriteString(s.integer())
		}
		before := s.at
		s.blanks()
		if colons == 2 || !s.has(":") {
			s.at = before
			return b.String(), colons == 0
		}
		b.WriteByte(':')
		s.blanks()
	}
}

func (s *scanner) integer() string {
	start := s.at
	s.has("-")
	digits := s.at
	for c := s.next(); '0' <= c && c <= '9'; c = s.next() {
		s.at++
	}
	text := s.in[start:s.at]
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > maxIndex || n < -maxIndex || (s.in[digits] == '0' && text != "0") {
		s.at = start
		s.fail("wanted an integer without leading zeros, between -(2^53-1) and 2^53-1")
	}
	return text
}
