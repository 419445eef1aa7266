package resp

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
)

// Bounds of one answer. They are far above what the questions of this program are answered with, and what a server announces
// beyond them is not allocated.
const (
	maxLine   = 4 << 10
	maxBulk   = 64 << 10
	maxAnswer = 1 << 20 // of all texts
	maxItems  = 10_000  // of all lists
	maxDepth  = 4       // of lists in lists
)

// A Kind says what a Value is.
type Kind int

// The kinds of values. Those of RESP3 that say no more than one of RESP2 are read as that: a map as the list of its keys and
// values in turn, a set as a list, a number as a text, a boolean as 1 or 0.
const (
	Null Kind = iota
	Text
	Integer
	List
	Failure // the error that the server answers with
)

// A Value is what a server answers. It comes from the target and must not reach a message or a label.
type Value struct {
	Kind  Kind
	Text  string  // of Text, Integer and Failure
	Items []Value // of List
}

// Int returns the number that a value is; ok is false if it is none.
func (v Value) Int() (n int64, ok bool) {
	n, err := strconv.ParseInt(v.Text, 10, 64)
	return n, err == nil && (v.Kind == Integer || v.Kind == Text)
}

// Errors of the reader.
var (
	errMalformed = errors.New("resp: malformed answer")
	errTooLarge  = errors.New("resp: answer beyond the limits")
)

// A Reader reads values that nobody vouches for, in bounded time and memory.
type Reader struct {
	in   *bufio.Reader
	take func(bytes int64) error // asked before memory is used; nil: not asked

	bytes, items int64 // that the current answer may still have
}

// NewReader returns a Reader.
func NewReader(r io.Reader) *Reader { return &Reader{in: bufio.NewReaderSize(r, maxLine)} }

// Read reads one value. After an error nothing more can be read.
func (r *Reader) Read() (Value, error) {
	r.bytes, r.items = maxAnswer, maxItems
	for {
		v, skip, err := r.value(1)
		if err != nil || !skip {
			return v, err
		}
	}
}

// value reads one value of a depth. What the server says without being asked, and what it says about an answer, is skipped.
func (r *Reader) value(depth int) (v Value, skip bool, err error) {
	line, err := r.line()
	if err != nil {
		return Value{}, false, err
	}
	rest := line[1:]
	switch line[0] {
	case '+', ',':
		return Value{Kind: Text, Text: rest}, false, nil
	case '-':
		return Value{Kind: Failure, Text: rest}, false, nil
	case ':', '(':
		if !isNumber(rest) {
			return Value{}, false, errMalformed
		}
		return Value{Kind: Integer, Text: rest}, false, nil
	case '#':
		n, ok := map[string]string{"t": "1", "f": "0"}[rest]
		if !ok {
			return Value{}, false, errMalformed
		}
		return Value{Kind: Integer, Text: n}, false, nil
	case '_':
		if rest != "" {
			return Value{}, false, errMalformed
		}
		return Value{}, false, nil
	case '$', '!', '=':
		v, err = r.bulk(line[0], rest)
		return v, false, err
	case '*', '~', '%', '>', '|':
		v, err = r.list(line[0], rest, depth)
		return v, line[0] == '>' || line[0] == '|', err
	}
	return Value{}, false, errMalformed
}

func (r *Reader) bulk(kind byte, announced string) (Value, error) {
	n, err := length(announced, maxBulk)
	if err != nil || n < 0 {
		return Value{}, err
	}
	if err := r.spend(n, 0); err != nil {
		return Value{}, err
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(r.in, b); err != nil {
		return Value{}, unexpected(err)
	}
	text, ok := strings.CutSuffix(string(b), "\r\n")
	if !ok {
		return Value{}, errMalformed
	}
	switch kind {
	case '!':
		return Value{Kind: Failure, Text: text}, nil
	case '=': // a text behind its format, as in txt:
		if len(text) < 4 || text[3] != ':' {
			return Value{}, errMalformed
		}
		text = text[4:]
	}
	return Value{Kind: Text, Text: text}, nil
}

func (r *Reader) list(kind byte, announced string, depth int) (Value, error) {
	n, err := length(announced, maxItems)
	if err != nil || n < 0 {
		return Value{}, err
	}
	if kind == '%' || kind == '|' {
		n *= 2
	}
	if depth > maxDepth {
		return Value{}, errTooLarge
	}
	if err := r.spend(0, n+1); err != nil { // an empty list costs too, or there would be no end of them
		return Value{}, err
	}
	v := Value{Kind: List}
	for int64(len(v.Items)) < n {
		item, skip, err := r.value(depth + 1)
		if err != nil {
			return Value{}, unexpected(err)
		}
		if !skip {
			v.Items = append(v.Items, item)
		}
	}
	return v, nil
}

// itemSize is what a value takes in memory beside its text.
const itemSize = 64

// spend takes bytes and items from what the answer may still have.
func (r *Reader) spend(bytes, items int64) error {
	r.bytes -= bytes
	r.items -= items
	if r.bytes < 0 || r.items < 0 {
		return errTooLarge
	}
	if r.take == nil {
		return nil
	}
	return r.take(bytes + items*itemSize)
}

// kinds are the bytes that answers begin with.
const kinds = "+-:$*_#,(!=%~>|"

// line reads a line without its end. It counts as a part of the answer. Its first byte says at once whether it is one of Redis: what
// speaks another protocol may send no end of a line, or nothing more.
func (r *Reader) line() (string, error) {
	first, err := r.in.Peek(1)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF): // of TLS, which says so of an end between answers too
		return "", io.EOF
	case err != nil:
		return "", err
	case !strings.Contains(kinds, string(first)):
		return "", errMalformed
	}
	b, err := r.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", errTooLarge
	case err != nil:
		return "", unexpected(err)
	case len(b) < 2 || b[len(b)-2] != '\r':
		return "", errMalformed
	}
	if err := r.spend(int64(len(b)), 0); err != nil {
		return "", err
	}
	return string(b[:len(b)-2]), nil
}

// unexpected says that the end came within an answer.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// length reads how long something is said to be; -1 is what RESP2 says in place of nothing.
func length(announced string, limit int64) (int64, error) {
	if announced == "-1" {
		return -1, nil
	}
	if !isNumber(announced) || announced[0] == '-' || announced[0] == '+' {
		return 0, errMalformed
	}
	n, err := strconv.ParseInt(announced, 10, 64)
	if err != nil || n > limit {
		return 0, errTooLarge
	}
	return n, nil
}

func isNumber(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	return digits != "" && len(digits) <= 40 && strings.Trim(digits, "0123456789") == ""
}

// AppendCommand appends a command with its arguments to b, as a client sends them.
func AppendCommand(b []byte, args ...string) []byte {
	b = append(b, '*')
	b = strconv.AppendInt(b, int64(len(args)), 10)
	b = append(b, "\r\n"...)
	for _, a := range args {
		b = append(b, '$')
		b = strconv.AppendInt(b, int64(len(a)), 10)
		b = append(b, "\r\n"...)
		b = append(b, a...)
		b = append(b, "\r\n"...)
	}
	return b
}
