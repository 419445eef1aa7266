package jsonpath

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Limits of a document. They bound its memory, and every recursion at a few dozen frames.
const (
	maxDepth  = 64
	maxNodes  = 100_000 // values and keys
	maxNumber = 1_000   // bytes of one number

	lookEvery = 1024 // nodes, between two looks at the clock
)

// A scanner checks that a body is JSON within the limits and counts its nodes. It takes no memory.
type scanner struct {
	ctx   context.Context
	body  []byte
	nodes int
}

// errSyntax is of a body that is not JSON; where is said by the standard library.
var errSyntax = errors.New("a syntax error")

// document checks the whole body. A body that is over a limit may still be no JSON at all, which is worse.
func (s *scanner) document() error {
	at, err := s.value(0, 1)
	if err == nil {
		if at = blanks(s.body, at); at != len(s.body) {
			err = fmt.Errorf("something follows the JSON, at byte %d", at+1)
		}
		return err
	}
	if timeUp(s.ctx) != nil {
		return err
	}
	for _, mark := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} {
		if strings.HasPrefix(string(s.body[:min(len(s.body), len(mark))]), mark) {
			return errors.New("it begins with a byte order mark")
		}
	}
	var skipped skip
	wrong, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(s.body, &skipped))
	switch {
	case ok && strings.HasSuffix(wrong.Error(), "exceeded max depth") && s.closed(): // it reads no deeper than 10,000 levels
		return err
	case ok:
		return fmt.Errorf("a syntax error at byte %d", wrong.Offset)
	}
	return err
}

// closed reports whether as many arrays and objects end as begin.
func (s *scanner) closed() bool {
	open := 0
	for at := 0; at < len(s.body); at++ {
		switch s.body[at] {
		case '[', '{':
			open++
		case ']', '}':
			open--
		case '"':
			end, err := s.string(at)
			if err != nil {
				return false
			}
			at = end - 1
		}
	}
	return open == 0
}

// skip accepts any JSON and keeps nothing of it.
type skip struct{}

func (*skip) UnmarshalJSON([]byte) error { return nil }

// value checks the value at a place and returns where it ends. Its recursion ends at maxDepth.
func (s *scanner) value(at, depth int) (end int, err error) {
	if err := s.count(); err != nil {
		return 0, err
	}
	if at = blanks(s.body, at); at >= len(s.body) {
		return 0, errSyntax
	}
	switch c := s.body[at]; c {
	case '[', '{':
		if depth > maxDepth {
			return 0, limitf("the JSON is nested deeper than %d levels", maxDepth)
		}
		return s.list(at+1, depth, c == '{')
	case '"':
		return s.string(at)
	}
	end = scalarEnd(s.body, at)
	switch word := s.body[at:end]; {
	case string(word) == "true" || string(word) == "false" || string(word) == "null":
		return end, nil
	case len(word) > maxNumber:
		return 0, limitf("a number in the JSON is longer than %d digits", maxNumber)
	case !jsonNumber.Match(word):
		return 0, errSyntax
	}
	if _, ok := parseFloat(string(s.body[at:end])); !ok {
		return 0, limitf("a number in the JSON is too large for a float64")
	}
	return end, nil
}

// list checks the rest of an array or an object.
func (s *scanner) list(at, depth int, isObject bool) (end int, err error) {
	closing := byte(']')
	if isObject {
		closing = '}'
	}
	if at = blanks(s.body, at); at < len(s.body) && s.body[at] == closing {
		return at + 1, nil
	}
	for {
		if isObject {
			if at, err = s.key(at); err != nil {
				return 0, err
			}
		}
		if at, err = s.value(at, depth+1); err != nil {
			return 0, err
		}
		at = blanks(s.body, at)
		switch {
		case at < len(s.body) && s.body[at] == closing:
			return at + 1, nil
		case at >= len(s.body) || s.body[at] != ',':
			return 0, errSyntax
		}
		at++
	}
}

// key checks a key and its colon.
func (s *scanner) key(at int) (end int, err error) {
	if err := s.count(); err != nil {
		return 0, err
	}
	if at = blanks(s.body, at); at >= len(s.body) || s.body[at] != '"' {
		return 0, errSyntax
	}
	if at, err = s.string(at); err != nil {
		return 0, err
	}
	if at = blanks(s.body, at); at >= len(s.body) || s.body[at] != ':' {
		return 0, errSyntax
	}
	return at + 1, nil
}

// string checks a string.
func (s *scanner) string(at int) (end int, err error) {
	for i := at + 1; i < len(s.body); i++ {
		switch c := s.body[i]; {
		case c == '"':
			return i + 1, nil
		case c < ' ':
			return 0, errSyntax
		case c != '\\':
		case i+1 < len(s.body) && strings.IndexByte(`"\/bfnrt`, s.body[i+1]) >= 0:
			i++
		default:
			if _, ok := codeUnit(s.body[i:]); !ok {
				return 0, errSyntax
			}
			i += 5
		}
	}
	return 0, errSyntax
}

func (s *scanner) count() error {
	if s.nodes++; s.nodes > maxNodes {
		return limitf("the JSON holds more than %d values", maxNodes)
	}
	if s.nodes%lookEvery == 0 {
		return timeUp(s.ctx)
	}
	return nil
}

// timeUp is the error of a run whose time is up. One that was cancelled ends by itself, and an answer may outlive it.
func timeUp(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return limitf("the run was over before the JSON was read")
	}
	return nil
}

// blanks returns the first place from at on that is no blank.
//
//go:noinline
func blanks(body []byte, at int) int {
	for at < len(body) && (body[at] == ' ' || body[at] == '\t' || body[at] == '\n' || body[at] == '\r') {
		at++
	}
	return at
}

// scalarEnd returns where the scalar at a place ends. A string must have been checked.
func scalarEnd(body []byte, at int) int {
	if body[at] == '"' {
		for at++; body[at] != '"'; at++ {
			if body[at] == '\\' {
				at++
			}
		}
		return at + 1
	}
	for at < len(body) && strings.IndexByte(",:]} \t\r\n", body[at]) < 0 {
		at++
	}
	return at
}
