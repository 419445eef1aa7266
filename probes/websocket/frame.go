package websocket

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"unicode/utf8"
)

// An opcode is what a frame is (RFC 6455, section 5.2).
type opcode byte

const (
	opContinuation opcode = 0
	opText         opcode = 1
	opBinary       opcode = 2
	opClose        opcode = 8
	opPing         opcode = 9
	opPong         opcode = 10
)

func (o opcode) control() bool { return o >= opClose }

// Bounds of what a server may send.
const (
	maxMessage  = 256 << 10 // bytes in a message, all of its frames together
	maxControl  = 125       // bytes in a control frame, by the protocol
	maxFrames   = 10_000    // on one connection
	noCode      = 1005      // stands for a close frame without a code
	bitFinal    = 0x80
	bitsReserve = 0x70
	bitMask     = 0x80
)

// A violation is what a server must not do. It repeats nothing that the server sent but numbers.
type violation string

func (v violation) Error() string { return string(v) }

// errTooLarge is that of a message beyond the bound.
type errTooLarge struct{ size uint64 }

func (e errTooLarge) Error() string {
	return fmt.Sprintf("expected messages of at most %d KiB, got one of %d bytes or more", maxMessage>>10, e.size)
}

// A message is a whole one, or a control frame.
type message struct {
	op   opcode
	data []byte
}

// wire reads and writes the frames of a client.
type wire struct {
	out    io.Writer
	in     *bufio.Reader
	frames int
	begun  *message // a message of which more frames are to come
}

func newWire(nc net.Conn) *wire { return &wire{out: nc, in: bufio.NewReaderSize(nc, 4096)} }

// next reads the next whole message, or a control frame, which may come in the middle of one. The error is a violation, an
// errTooLarge or that of the connection.
func (w *wire) next() (message, error) {
	for {
		if w.frames++; w.frames > maxFrames {
			return message{}, violation(fmt.Sprintf("more than %d frames on one connection", maxFrames))
		}
		final, m, err := w.frame()
		switch {
		case err != nil:
			return message{}, err
		case m.op.control():
			return m, nil
		case m.op == opContinuation && w.begun == nil:
			return message{}, violation("a frame that continues no message")
		case m.op != opContinuation && w.begun != nil:
			return message{}, violation("a new message within another one")
		case m.op == opContinuation:
			w.begun.data = append(w.begun.data, m.data...)
		default:
			w.begun = &m
		}
		if !final {
			continue
		}
		whole := *w.begun
		w.begun = nil
		if whole.op == opText && !utf8.Valid(whole.data) {
			return message{}, violation("a text that is not UTF-8")
		}
		return whole, nil
	}
}

// frame reads one frame.
func (w *wire) frame() (final bool, m message, err error) {
	var head [2]byte
	if _, err := io.ReadFull(w.in, head[:]); err != nil {
		return false, m, err
	}
	final, m.op = head[0]&bitFinal != 0, opcode(head[0]&0x0f)
	size := uint64(head[1] & 0x7f)
	switch {
	case head[0]&bitsReserve != 0:
		return false, m, violation("reserved bits, which only an extension that was agreed on may set")
	case m.op > opBinary && m.op < opClose || m.op > opPong:
		return false, m, violation(fmt.Sprintf("a frame with the unknown opcode %d", m.op))
	case head[1]&bitMask != 0:
		return false, m, violation("a masked frame, which only clients send")
	case m.op.control() && (!final || size > maxControl):
		return false, m, violation(fmt.Sprintf("a control frame in parts, or of more than %d bytes", maxControl))
	}
	if size, err = w.size(size); err != nil {
		return false, m, err
	}
	if begun := w.begun; !m.op.control() && (size > maxMessage || begun != nil && size+uint64(len(begun.data)) > maxMessage) {
		return false, m, errTooLarge{size}
	}
	m.data = make([]byte, size)
	_, err = io.ReadFull(w.in, m.data)
	return final, m, err
}

// size reads the longer forms of a length, which may not be longer than they need be.
func (w *wire) size(short uint64) (uint64, error) {
	var bytes [8]byte
	least := uint64(126)
	part := bytes[6:]
	switch short {
	case 126:
	case 127:
		part, least = bytes[:], 1<<16
	default:
		return short, nil
	}
	if _, err := io.ReadFull(w.in, part); err != nil {
		return 0, err
	}
	size := binary.BigEndian.Uint64(bytes[:])
	if size < least || size >= 1<<63 {
		return 0, violation("a length that is not written as the protocol has it")
	}
	return size, nil
}

// send writes a message or a control frame in one masked frame.
func (w *wire) send(op opcode, data []byte) error {
	frame := make([]byte, 0, len(data)+14)
	frame = append(frame, bitFinal|byte(op))
	switch n := len(data); {
	case n <= maxControl:
		frame = append(frame, bitMask|byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, bitMask|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, bitMask|127), uint64(n))
	}
	var mask [4]byte
	rand.Read(mask[:]) // never returns an error
	frame = append(frame, mask[:]...)
	for i, b := range data {
		frame = append(frame, b^mask[i%4])
	}
	_, err := w.out.Write(frame)
	return err
}

// sendClose begins or answers the closing handshake.
func (w *wire) sendClose(code int) error {
	if code == noCode {
		return w.send(opClose, nil)
	}
	return w.send(opClose, binary.BigEndian.AppendUint16(nil, uint16(code)))
}

// readClose returns the code of a close frame, noCode if it has none.
func readClose(data []byte) (int, error) {
	if len(data) == 0 {
		return noCode, nil
	}
	if len(data) == 1 || !utf8.Valid(data[2:]) {
		return 0, violation("a close frame with half a code, or a text that is not UTF-8")
	}
	code := int(binary.BigEndian.Uint16(data))
	if code < 1000 || code >= 1004 && code <= 1006 || code >= 1015 && code < 3000 || code >= 5000 {
		return 0, violation(fmt.Sprintf("a close frame with the code %d, which nobody may send", code))
	}
	return code, nil
}
