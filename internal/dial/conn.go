package dial

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// ErrFlood is the error of reads from a connection that delivered more bytes than its limit.
var ErrFlood = errors.New("the target sent more bytes than any answer needs")

// A Conn is a connection to a target that is not trusted. It limits the bytes read. Its reads and writes end with the
// context that it is bound to, whatever deadlines are set on it and whichever protocol uses it.
type Conn struct {
	net.Conn
	peer  string
	left  atomic.Int64  // bytes that may still be read
	wrote atomic.Uint64 // bytes, so far
	acked atomic.Uint64 // of a released connection, when it was closed: bytes acknowledged, and one

	mu       sync.Mutex
	expiry   time.Time // of the certificates; zero without TLS
	turn     int       // raised each time that it is bound
	stop     func() bool
	ended    error // the bound context is over
	released bool  // it has outlived an exchange
}

// Bind binds the connection to another context. The returned function undoes that, unless the connection has been bound
// again in the meantime, to the context of its next user.
func (c *Conn) Bind(ctx context.Context) (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unbind()
	turn := c.turn
	c.stop = context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.turn == turn {
			c.ended = ctx.Err()
			c.Conn.SetDeadline(time.Unix(1, 0))
		}
	})
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.turn == turn {
			c.unbind()
		}
	}
}

// Release unbinds the connection, so that it may outlive the exchange that it was opened for. It has to be bound again for
// each exchange that uses it. It is of no more use if its context ended first; Release reports whether it is.
func (c *Conn) Release() (usable bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unbind()
	c.released = true
	return c.ended == nil
}

func (c *Conn) unbind() {
	if c.stop != nil {
		c.stop()
	}
	c.turn++
	c.stop = nil
}

// SetReadLimit sets how many bytes may be read from now on.
func (c *Conn) SetReadLimit(n int64) { c.left.Store(n) }

// Written returns how many bytes were written so far.
func (c *Conn) Written() uint64 { return c.wrote.Load() }

// Acknowledged returns how many of the bytes written the other side's kernel has accepted so far or, if the connection is closed,
// until then; ok is false if that is not known.
func (c *Conn) Acknowledged() (n uint64, ok bool) {
	if n, ok := c.acknowledged(); ok {
		return n, true
	}
	acked := c.acked.Load()
	return max(acked, 1) - 1, acked > 0
}

// Peer returns the address that was dialled, IP:port.
func (c *Conn) Peer() string { return c.peer }

// CertExpiry returns when the server's certificates expire; zero without TLS.
func (c *Conn) CertExpiry() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.expiry
}

func (c *Conn) certified(expiry time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expiry = expiry
}

// Read reads until the limit or the end of the context.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.left.Add(int64(-n)) < 0 {
		return 0, ErrFlood
	}
	return n, c.cause(err)
}

// Write writes until the end of the context.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.wrote.Add(uint64(n))
	return n, c.cause(err)
}

// cause returns the error of the context if that has ended, else err.
func (c *Conn) cause(err error) error {
	if err == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return c.ended
	}
	return err
}

// SetDeadline sets a deadline, unless the context has ended.
func (c *Conn) SetDeadline(t time.Time) error { return c.set(c.Conn.SetDeadline, t) }

// SetReadDeadline sets a deadline for reads, unless the context has ended.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.set(c.Conn.SetReadDeadline, t) }

// SetWriteDeadline sets a deadline for writes, unless the context has ended.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.set(c.Conn.SetWriteDeadline, t) }

func (c *Conn) set(deadline func(time.Time) error, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return c.ended
	}
	return deadline(t)
}

// Close closes the connection.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.unbind()
	released := c.released
	c.mu.Unlock()
	if released {
		if n, ok := c.acknowledged(); ok {
			c.acked.Store(n + 1)
		}
	}
	return c.Conn.Close()
}

// Underlying returns the Conn beneath a connection, such as a *tls.Conn; nil if there is none.
//
//go:noinline
func Underlying(nc net.Conn) *Conn {
	for {
		switch c := nc.(type) {
		case *Conn:
			return c
		case interface{ NetConn() net.Conn }:
			nc = c.NetConn()
		default:
			return nil
		}
	}
}
