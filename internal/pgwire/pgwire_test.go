package pgwire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/jackc/pgx/v5/pgproto3"
)

// What is written is what the other implementation writes.
func TestWriter(t *testing.T) {
	var w Writer
	w.Begin(0).Int32(Version).Text("user").Text("app").Byte(0)
	w.Begin('P').Text("").Text("SELECT $1").Int16(0)
	w.Begin('B').Text("").Text("").Int16(0).Int16(2).Value([]byte("a")).Value(nil).Int16(0)
	w.Begin('S')
	var got bytes.Buffer
	if err := w.Flush(&got); err != nil {
		t.Fatal(err)
	}
	var want []byte
	for _, m := range []pgproto3.FrontendMessage{
		&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "app"}},
		&pgproto3.Parse{Query: "SELECT $1"}, &pgproto3.Bind{Parameters: [][]byte{[]byte("a"), nil}}, &pgproto3.Sync{},
	} {
		want, _ = m.Encode(want)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("got  %q\nwant %q", got.Bytes(), want)
	}
	got.Reset()
	if err := w.Begin('X').Flush(&got); err != nil || got.String() != "X\x00\x00\x00\x04" {
		t.Errorf("after a flush: %q, %v", got.String(), err)
	}
	if err := w.Begin('X').Flush(failing{}); err == nil {
		t.Error("the error of the connection is lost")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// What the other implementation writes is read, however it arrives.
func TestReader(t *testing.T) {
	var sent []byte
	for _, m := range []pgproto3.BackendMessage{
		&pgproto3.ParameterStatus{Name: "a", Value: ""}, &pgproto3.DataRow{Values: [][]byte{[]byte("7"), nil, {}}}, &pgproto3.NoData{},
	} {
		sent, _ = m.Encode(sent)
	}
	r := NewReader(iotest.OneByteReader(bytes.NewReader(sent)), 100)
	m, err := r.Next()
	if name, value := m.Text(), m.Text(); err != nil || m.Kind != 'S' || name != "a" || value != "" || !m.Complete() {
		t.Errorf("got %c %q %q, %v", m.Kind, name, value, err)
	}
	m, err = r.Next()
	n, first, value, null, empty := m.Int16(), m.Int32(), string(m.Bytes(1)), m.Int32(), m.Int32()
	if err != nil || m.Kind != 'D' || n != 3 || first != 1 || value != "7" || null != -1 || empty != 0 || !m.Complete() {
		t.Errorf("got %c %d %d %q %d %d, %v", m.Kind, n, first, value, null, empty, err)
	}
	if m, err = r.Next(); err != nil || m.Kind != 'n' || !m.Complete() || m.Byte() != 0 || !m.Short() {
		t.Errorf("got %+v, %v", m, err)
	}
	if _, err = r.Next(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestReader_bounds(t *testing.T) {
	for input, want := range map[string]error{
		"":                           io.EOF,
		"R":                          io.ErrUnexpectedEOF,
		"R\x00\x00":                  io.ErrUnexpectedEOF,
		"R\x00\x00\x00\x03":          ErrMalformed,
		"R\xff\xff\xff\xff":          ErrMalformed,
		"R\x7f\xff\xff\xff":          ErrTooLong,
		"R\x00\x00\x00\x09abcde":     ErrTooLong,
		"R\x00\x00\x00\x08abc":       io.ErrUnexpectedEOF,
		"R\x00\x00\x00\x08abcd":      nil,
		"HTTP/1.1 400 Bad Request\r": ErrTooLong,
	} {
		r := NewReader(strings.NewReader(input), 4)
		if _, err := r.Next(); !errors.Is(err, want) {
			t.Errorf("%q: got %v, expected %v", input, err, want)
		}
		if cap(r.body) > 4 {
			t.Errorf("%q: %d bytes are allocated", input, cap(r.body))
		}
	}
	broken := errors.New("broken")
	r := NewReader(io.MultiReader(strings.NewReader("R\x00\x00\x00\x08ab"), iotest.ErrReader(broken)), 4)
	if _, err := r.Next(); err != broken {
		t.Errorf("within a message: %v", err)
	}
}

// Fields that are not there are zero, and nothing reads beyond a message.
func FuzzMessage(f *testing.F) {
	f.Add([]byte("\x00\x01\x00\x00\x00\x01"), "sidbt")
	f.Add([]byte("abc"), "tb")
	f.Fuzz(func(t *testing.T, body []byte, fields string) {
		m := Message{rest: bytes.Clone(body)}
		for _, field := range fields {
			left := m.Len()
			switch field {
			case 's':
				m.Int16()
			case 'i':
				m.Bytes(m.Int32())
			case 'd':
				m.Byte()
			case 't':
				if text := m.Text(); len(text) >= left && left > 0 {
					t.Fatalf("a text of %d bytes out of %d", len(text), left)
				}
			case 'r':
				m.Rest()
			}
			if m.Len() > left || m.Short() && m.Len() != 0 {
				t.Fatalf("%d bytes are left of %d, short %t", m.Len(), left, m.Short())
			}
		}
		if m.Complete() && m.Short() {
			t.Fatal("complete, and a field was missing")
		}
	})
}
