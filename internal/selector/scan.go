package selector

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A kind of token.
type kind int

const (
	end    kind = iota
	ident       // a name or a keyword
	number      // or a duration
	quoted
	symbol // an operator, a comma or a bracket
)

// A token is one word of an expression.
type token struct {
	kind kind
	text string // of a quoted one, what it means
	at   int    // where it begins
}

// An Error says where an expression cannot be read. It repeats nothing of it.
type Error struct {
	Text         string
	Line, Column int
}

// Error returns "line:column: text".
func (e *Error) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Text) }

func errorAt(source string, at int, format string, args ...any) *Error {
	before := source[:at]
	return &Error{
		Text:   fmt.Sprintf(format, args...),
		Line:   1 + strings.Count(before, "\n"),
		Column: 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]),
	}
}

// scan takes an expression apart. Blanks and comments are left out.
func scan(source string) ([]token, error) {
	var all []token
	for at := 0; at < len(source); {
		rest := source[at:]
		switch c := rest[0]; {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			at++
		case c == '#':
			at += len(rest)
			if i := strings.IndexByte(rest, '\n'); i >= 0 {
				at += i - len(rest)
			}
		case c == '"' || c == '\'' || c == '`':
			n, text, ok := unquote(rest)
			if !ok {
				return nil, errorAt(source, at, "expected a text in quotes")
			}
			all = append(all, token{quoted, text, at})
			at += n
		case isNameByte(c, true) && c != ':':
			n := 1
			for n < len(rest) && isNameByte(rest[n], false) {
				n++
			}
			all = append(all, token{ident, rest[:n], at})
			at += n
		case '0' <= c && c <= '9' || c == '.' && len(rest) > 1 && '0' <= rest[1] && rest[1] <= '9':
			n := numberLength(rest)
			all = append(all, token{number, rest[:n], at})
			at += n
		default:
			n := symbolLength(rest)
			if n == 0 {
				return nil, errorAt(source, at, "expected PromQL, got a character that it does not have")
			}
			all = append(all, token{symbol, rest[:n], at})
			at += n
		}
	}
	return append(all, token{kind: end, at: len(source)}), nil
}

// numberLength is how long a number or a duration is: 1, 0x1f, 1e-3, 1h30m.
func numberLength(text string) int {
	n, hex := 0, strings.EqualFold(text[:min(2, len(text))], "0x")
	for n < len(text) {
		c := text[n]
		exponent := n > 0 && (c == '+' || c == '-') && (text[n-1] == 'e' || text[n-1] == 'E') && !hex
		if c != '.' && !exponent && (c == ':' || !isNameByte(c, false)) {
			break
		}
		n++
	}
	return n
}

// symbolLength is how long an operator or a bracket is; 0 if there is none.
func symbolLength(text string) int {
	for _, s := range []string{"==", "!=", ">=", "<=", "=~", "!~"} {
		if strings.HasPrefix(text, s) {
			return len(s)
		}
	}
	if strings.IndexByte("+-*/%^><=(){}[],@:", text[0]) >= 0 {
		return 1
	}
	return 0
}

// unquote reads the text in quotes at the beginning, as Go would, and tells how long it is with its quotes.
func unquote(source string) (length int, text string, ok bool) {
	quote := source[0]
	for i := 1; i < len(source); i++ {
		switch c := source[i]; {
		case c == '\\' && quote != '`':
			i++
		case c == '\n' && quote != '`':
			return 0, "", false
		case c == quote:
			text, err := unescape(source[1:i], quote)
			return i + 1, text, err == nil
		}
	}
	return 0, "", false
}

func unescape(inner string, quote byte) (string, error) {
	if quote == '`' || strings.IndexByte(inner, '\\') < 0 {
		return inner, nil
	}
	var b strings.Builder
	for inner != "" {
		c, multibyte, rest, err := strconv.UnquoteChar(inner, quote)
		if err != nil {
			return "", err
		}
		if c < utf8.RuneSelf || !multibyte {
			b.WriteByte(byte(c))
		} else {
			b.WriteRune(c)
		}
		inner = rest
	}
	return b.String(), nil
}
