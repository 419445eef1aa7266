package timesync

import (
	"context"
	"encoding/binary"
	"net"
	"os"
	"time"
)

// A fake is a connection to a server that answers each request with packets.
type fake struct {
	net.Conn // nil: the methods that are not overridden are not called
	answer   func(question []byte) [][]byte
	waiting  [][]byte
}

func (f *fake) Write(p []byte) (int, error) {
	f.waiting = f.answer(p)
	return len(p), nil
}

// Read returns the next packet; without one it fails as if the time were up.
func (f *fake) Read(p []byte) (int, error) {
	if len(f.waiting) == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(p, f.waiting[0])
	f.waiting = f.waiting[1:]
	return n, nil
}

func (f *fake) Close() error                { return nil }
func (f *fake) SetDeadline(time.Time) error { return nil }

// answering returns an client whose servers all answer so.
func answering(answer func(question []byte) [][]byte) *Client {
	return &Client{open: func(context.Context, string, string) (net.Conn, error) { return &fake{answer: answer}, nil }}
}

// honest is the reply of a good server of stratum 2 whose clock is ahead by that much.
func honest(question []byte, ahead time.Duration) []byte {
	now := time.Now().Add(ahead)
	b := make([]byte, headerLength)
	b[0], b[1], b[2], b[3] = 4<<3|4, 2, 6, 0xec
	binary.BigEndian.PutUint32(b[4:], 1<<16/100) // root delay: 10 ms
	binary.BigEndian.PutUint32(b[8:], 1<<16/200) // root dispersion: 5 ms
	binary.BigEndian.PutUint64(b[16:], stamp(now.Add(-time.Minute)))
	copy(b[24:32], question[40:48])
	binary.BigEndian.PutUint64(b[32:], stamp(now))
	binary.BigEndian.PutUint64(b[40:], stamp(now))
	return b
}

// tampered answers as an honest server would, with a change.
func tampered(change func(b []byte)) func([]byte) [][]byte {
	return func(question []byte) [][]byte {
		b := honest(question, 0)
		change(b)
		return [][]byte{b}
	}
}
