package jsonpath

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

// or reads a filter's expression up to where it ends.
func (s *scanner) or(filter int) string {
	out := s.and(filter)
	for s.blanks(); s.has("||"); s.blanks() {
		s.blanks()
		out += "||" + s.and(filter)
	}
	return out
}

func (s *scanner) and(filter int) string {
	out := s.basic(filter)
	for {
		start := s.at
		s.blanks()
		if !s.has("&&") {
			s.at = start
			return out
		}
		s.blanks()
		out += "&&" + s.basic(filter)
	}
}

func (s *scanner) basic(filter int) string {
	if s.next() == '!' && !strings.HasPrefix(s.in[s.at:], "!=") {
		s.at++
		s.blanks()
		start := s.at
		if s.next() == '(' {
			return "(!" + s.group(filter) + ")"
		}
		x := s.operand(filter)
		if !x.test {
			s.at = start
			s.fail("wanted a query, match() or search() behind !, or parentheses")
		}
		return "(!" + x.out + ")"
	}
	if s.next() == '(' {
		return s.group(filter)
	}
	left := s.operand(filter)
	end := s.at
	s.blanks()
	for _, op := range []string{"==", "!=", "<=", ">=", "<", ">"} {
		if !s.has(op) {
			continue
		}
		s.blanks()
		right := s.operand(filter)
		if !left.value || !right.value {
			s.fail("a comparison takes values: literals, queries of one value, length(), count() or value()")
		}
		return left.out + op + right.out
	}
	s.at = end
	if !left.test {
		s.fail("wanted a comparison")
	}
	return left.out
}

func (s *scanner) group(filter int) string {
	s.want("(")
	s.blanks()
	out := s.or(filter)
	s.blanks()
	s.want(")")
	return "(" + out + ")"
}

// An operand is one side of a comparison, or a test by itself.
type operand struct {
	out   string
	value bool // can be compared
	test  bool // says yes or no by itself
	query bool // selects nodes
}

func (s *scanner) operand(filter int) operand {
	switch c := s.next(); {
	case c == '@':
		s.at++
		segments, singular := s.segments(filter)
		return operand{out: "@" + segments, value: singular, test: true, query: true}
	case c == '$':
		s.fail("$ is not allowed in a filter: it would be searched once for each value")
	case c == '\'' || c == '"':
		return operand{out: quote(s.text()), value: true}
	case c == '-' || '0' <= c && c <= '9':
		return operand{out: s.number(), value: true}
	}
	start := s.at
	word := s.word()
	if s.has("(") {
		return s.function(word, filter)
	}
	switch word {
	case "true", "false", "null":
		return operand{out: word, value: true}
	}
	s.at = start
	s.fail("wanted @, a literal or a function")
	return operand{}
}

// function reads the arguments behind the opening parenthesis.
func (s *scanner) function(name string, filter int) operand {
	s.blanks()
	arg := s.operand(filter)
	s.blanks()
	switch {
	case name == "length" && arg.value, (name == "count" || name == "value") && arg.query:
		s.want(")")
		return operand{out: name + "(" + arg.out + ")", value: true}
	case (name == "match" || name == "search") && arg.value && arg.query:
		s.want(",")
		s.blanks()
		pattern := s.pattern()
		s.blanks()
		s.want(")")
		return operand{out: "(" + arg.out + "&&" + name + "(" + arg.out + "," + quote(pattern) + "))", test: true}
	}
	s.fail("wanted length(value), count(query), value(query), match(@.value, 'pattern') or search(@.value, 'pattern')")
	return operand{}
}

// pattern reads a regular expression. It is always a literal: one from the document would be the stranger's.
func (s *scanner) pattern() string {
	start := s.at
	if c := s.next(); c != '\'' && c != '"' {
		s.fail("wanted a pattern in quotes")
	}
	text := s.text()
	_, err := regexp.Compile(text)
	if err == nil {
		var tree *syntax.Regexp
		if tree, err = syntax.Parse(text, syntax.Perl); err == nil {
			var prog *syntax.Prog
			if prog, err = syntax.Compile(tree.Simplify()); err == nil && len(prog.Inst) > maxPattern {
				s.at = start
				s.fail("the pattern is too large: it is compiled anew for each value")
			}
		}
	}
	if err != nil {
		s.at = start
		s.fail("the pattern is not a regular expression")
	}
	return text
}
