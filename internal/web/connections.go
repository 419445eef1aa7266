package web

import (
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
)

// socketBuffer bounds what the kernel keeps for a reader that does not read, in bytes: it counts as the prober's memory, twice.
const socketBuffer = 16 << 10

// A connectionLimit bounds the connections of a server: they cost memory, and each takes a descriptor that a probe may need.
// When there are too many, the one makes room that has waited the longest for a request; if all are being answered, the new
// one is closed. No other is accepted before the goroutine of the closed one has ended: in a storm of connections there would be
// thousands of them.
type connectionLimit struct {
	max int

	mu      sync.Mutex
	fewer   sync.Cond // open is less than before; its lock is mu
	open    int
	waiting []net.Conn // for a request; the longest first
}

func newConnectionLimit(max int) *connectionLimit {
	c := &connectionLimit{max: max}
	c.fewer.L = &c.mu
	return c
}

// changed is the http.Server's ConnState. The server accepts no other connection before it returns for a new one.
func (c *connectionLimit) changed(conn net.Conn, state http.ConnState) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn() // to close a tls.Conn takes a while
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.waiting, conn); i >= 0 {
		c.waiting = slices.Delete(c.waiting, i, i+1)
	}
	switch state {
	case http.StateNew:
		c.admit(conn)
	case http.StateIdle:
		c.waiting = append(c.waiting, conn)
	case http.StateClosed, http.StateHijacked:
		c.open--
		c.fewer.Signal()
	}
}

func (c *connectionLimit) admit(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(socketBuffer)
		_ = tcp.SetWriteBuffer(socketBuffer)
	}
	for c.open > c.max {
		c.fewer.Wait()
	}
	c.open++
	c.waiting = append(c.waiting, conn)
	if c.open > c.max { // the server reports each that is closed here
		c.waiting[0].Close()
		c.waiting = slices.Delete(c.waiting, 0, 1)
	}
}
