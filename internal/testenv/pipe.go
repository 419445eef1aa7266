package testenv

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// buffered is how many bytes a stream holds before writes wait, about as many as the buffers of a socket.
const buffered = 256 << 10

// A stream is one direction of a connection in memory.
type stream struct {
	mu       sync.Mutex
	changed  *sync.Cond
	data     []byte
	ended    bool // nothing more is written
	unread   bool // nothing more is read
	from, to deadline
}

// A deadline is that of the reads from a stream, or of the writes to it.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func newStream() *stream {
	s := &stream{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// set changes one of the deadlines of a stream.
func (s *stream) set(d *deadline, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.at = at; !at.IsZero() && !d.passed() {
		d.timer = time.AfterFunc(time.Until(at), s.changed.Broadcast)
	}
	s.changed.Broadcast()
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.unread:
			return 0, net.ErrClosed
		case s.from.passed():
			return 0, os.ErrDeadlineExceeded
		case len(s.data) > 0 || len(p) == 0:
			n := copy(p, s.data)
			if s.data = s.data[n:]; len(s.data) == 0 {
				s.data = nil
			}
			s.changed.Broadcast()
			return n, nil
		case s.ended:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

func (s *stream) write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.ended:
			return n, net.ErrClosed
		case s.unread:
			return n, io.ErrClosedPipe
		case s.to.passed():
			return n, os.ErrDeadlineExceeded
		case len(p) == 0:
			return n, nil
		}
		if room := min(len(p), buffered-len(s.data)); room > 0 {
			s.data = append(s.data, p[:room]...)
			p, n = p[room:], n+room
			s.changed.Broadcast()
			continue
		}
		s.changed.Wait()
	}
}

// end ends a stream from the side that writes it or from the side that reads it.
func (s *stream) end(side *bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*side = true
	s.changed.Broadcast()
}

// An end is one end of a connection in memory.
type end struct {
	in, out       *stream
	local, remote net.Addr
}

// connect returns the two ends of a connection.
func connect(client, server net.Addr) (ours, theirs *end) {
	a, b := newStream(), newStream()
	return &end{a, b, client, server}, &end{b, a, server, client}
}

func (e *end) Read(p []byte) (int, error)         { return e.in.read(p) }
func (e *end) Write(p []byte) (int, error)        { return e.out.write(p) }
func (e *end) LocalAddr() net.Addr                { return e.local }
func (e *end) RemoteAddr() net.Addr               { return e.remote }
func (e *end) SetReadDeadline(at time.Time) error { e.in.set(&e.in.from, at); return nil }

func (e *end) SetWriteDeadline(at time.Time) error { e.out.set(&e.out.to, at); return nil }

func (e *end) SetDeadline(at time.Time) error {
	e.in.set(&e.in.from, at)
	e.out.set(&e.out.to, at)
	return nil
}

func (e *end) Close() error {
	e.out.end(&e.out.ended)
	e.in.end(&e.in.unread)
	return nil
}

// OpenTo opens connections in memory, to a function whatever the address. It is told how many came before, and its end ends the
// connection.
func OpenTo(serve func(n int, nc net.Conn)) Open {
	var opened atomic.Int64
	at := net.TCPAddrFromAddrPort(netip.AddrPortFrom(loopback, 1))
	return func(context.Context, string, string) (net.Conn, error) {
		client, server := connect(at, at)
		n := int(opened.Add(1)) - 1
		go func() {
			defer server.Close()
			serve(n, server)
		}()
		return client, nil
	}
}
