// Package pgwire reads and writes the messages of PostgreSQL's protocol, version 3.0 (chapter "Frontend/Backend Protocol" of its
// manual), for either side. It knows how a message is framed and how its fields are encoded, and nothing of what they mean.
package pgwire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// What a client says in place of a version when its first message asks for something else than a session.
const (
	Version       = 3 << 16 // 3.0
	CancelRequest = 1234<<16 | 5678
	SSLRequest    = 1234<<16 | 5679
)

// Errors of a Reader, beside those of what it reads from.
var (
	ErrTooLong   = errors.New("the message is announced to be longer than the limit")
	ErrMalformed = errors.New("the message is not valid for the protocol")
)

// A Reader reads messages. What it takes in memory is bounded by the limit of a message and a buffer of 4 KiB.
type Reader struct {
	from *bufio.Reader
	max  int
	body []byte
}

// NewReader returns a Reader of messages with bodies of at most max bytes.
func NewReader(from io.Reader, max int) *Reader {
	return &Reader{from: bufio.NewReader(from), max: max}
}

// Next reads a message. It is valid until the next call. The end of the input within a message is io.ErrUnexpectedEOF, that before
// one is io.EOF.
func (r *Reader) Next() (Message, error) {
	kind, err := r.from.ReadByte()
	if err == io.ErrUnexpectedEOF { // of TLS, which says so of an end between messages too
		err = io.EOF
	}
	if err != nil {
		return Message{}, err
	}
	m, err := r.Startup()
	m.Kind = kind
	return m, within(err)
}

// Ahead returns the kind of a message that has arrived and was not read; 0 if none has.
func (r *Reader) Ahead() byte {
	if b, _ := r.from.Peek(min(r.from.Buffered(), 1)); len(b) > 0 {
		return b[0]
	}
	return 0
}

// Startup reads the first message of a client, which has no kind.
func (r *Reader) Startup() (Message, error) {
	var head [4]byte
	if _, err := io.ReadFull(r.from, head[:]); err != nil {
		return Message{}, err
	}
	n := int(int32(binary.BigEndian.Uint32(head[:]))) - len(head)
	switch {
	case n < 0:
		return Message{}, ErrMalformed
	case n > r.max:
		return Message{}, ErrTooLong
	case n > cap(r.body):
		r.body = make([]byte, n)
	}
	r.body = r.body[:n]
	if _, err := io.ReadFull(r.from, r.body); err != nil {
		return Message{}, within(err)
	}
	return Message{rest: r.body}, nil
}

// within returns the error of a read within a message.
func within(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// A Message is one that was read. Its methods take one field after the other. They return a zero value for a field that is not
// there, and Complete reports that.
type Message struct {
	Kind  byte // 0 for the first of a client
	rest  []byte
	short bool
}

// Bytes takes n bytes, which belong to the Reader.
func (m *Message) Bytes(n int) []byte {
	if n < 0 || n > len(m.rest) {
		m.short, m.rest = true, nil
		return nil
	}
	b := m.rest[:n:n]
	m.rest = m.rest[n:]
	return b
}

// Rest takes all that is left.
func (m *Message) Rest() []byte { return m.Bytes(len(m.rest)) }

// Byte takes an Int8 or a Byte1.
func (m *Message) Byte() byte {
	if b := m.Bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// Int16 takes an Int16 that is a number of things: 0 to 65535.
func (m *Message) Int16() int {
	if b := m.Bytes(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

// Int32 takes an Int32.
func (m *Message) Int32() int {
	if b := m.Bytes(4); b != nil {
		return int(int32(binary.BigEndian.Uint32(b)))
	}
	return 0
}

// Text takes a String, which ends with a zero byte.
func (m *Message) Text() string {
	text := string(m.Bytes(bytes.IndexByte(m.rest, 0)))
	m.Bytes(1)
	return text
}

// Complete reports whether every field that was taken was there, and nothing is left.
func (m *Message) Complete() bool { return !m.short && len(m.rest) == 0 }

// Len returns how many bytes are left.
func (m *Message) Len() int { return len(m.rest) }

// Short reports whether a field that was taken was not there.
func (m *Message) Short() bool { return m.short }

// A Writer collects messages until they are sent. Its zero value is ready.
type Writer struct {
	buf  []byte
	size int // where the length of the last message is
}

// Begin begins a message, and ends the last one. The kind is 0 for the first message of a client.
func (w *Writer) Begin(kind byte) *Writer {
	w.end()
	if kind != 0 {
		w.buf = append(w.buf, kind)
	}
	w.size = len(w.buf)
	return w.Int32(0)
}

func (w *Writer) end() {
	if len(w.buf) > 0 {
		binary.BigEndian.PutUint32(w.buf[w.size:], uint32(len(w.buf)-w.size))
	}
}

// Byte adds an Int8 or a Byte1.
func (w *Writer) Byte(b byte) *Writer {
	w.buf = append(w.buf, b)
	return w
}

// Int16 adds an Int16.
//
//go:noinline
func (w *Writer) Int16(n int) *Writer {
	w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(n))
	return w
}

// Int32 adds an Int32.
//
//go:noinline
func (w *Writer) Int32(n int) *Writer {
	w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(n))
	return w
}

// Text adds a String: the text and a zero byte.
//
//go:noinline
func (w *Writer) Text(text string) *Writer {
	w.buf = append(append(w.buf, text...), 0)
	return w
}

// Bytes adds bytes as they are.
//
//go:noinline
func (w *Writer) Bytes(b []byte) *Writer {
	w.buf = append(w.buf, b...)
	return w
}

// Value adds a value with its length before it, -1 for nil: a parameter or a column.
func (w *Writer) Value(b []byte) *Writer {
	if b == nil {
		return w.Int32(-1)
	}
	return w.Int32(len(b)).Bytes(b)
}

// Flush sends what was collected.
func (w *Writer) Flush(to io.Writer) error {
	w.end()
	_, err := to.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}
