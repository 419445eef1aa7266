package httpx

import (
	"errors"
	"net"
	"sync/atomic"

	"prober/internal/dial"
)

var errUnsolicited = errors.New("the server sent data before it was asked")

// A conn is an HTTP/1 connection. It bounds the bytes read for one exchange, below every layer that might loop over them.
// Bytes that arrive before a request was written are not an answer: net/http would print them to the standard logger.
type conn struct {
	net.Conn
	left atomic.Int64  // bytes that may still be read
	turn atomic.Uint32 // odd once the exchange of this turn has written; each exchange raises it by two

	// head is the head of the answer in this turn. Each exchange has its own: an answer without a body returns the
	// connection to the pool, for the next exchange, before its own exchange has looked at the head.
	head atomic.Pointer[head]
}

// begin prepares the connection for an exchange and returns the exchange's turn and the head of its answer, to be
// filled in.
func (c *conn) begin(bound int64) (turn uint32, h *head) {
	c.left.Store(bound)
	h = &head{}
	c.head.Store(h)
	turn = (c.turn.Load() | 1) + 1
	c.turn.Store(turn)
	return turn, h
}

// endTurn ends an exchange, unless the next one has begun already.
func (c *conn) endTurn(turn uint32) { c.turn.CompareAndSwap(turn|1, turn) }

// Read reads until the bound is reached.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		if c.left.Add(int64(-n)) < 0 {
			return 0, dial.ErrFlood
		}
		if c.turn.Load()&1 == 0 {
			return 0, errUnsolicited
		}
		c.head.Load().scan(p[:n])
	}
	return n, err
}

// Write notes that a request was written.
func (c *conn) Write(p []byte) (int, error) {
	if c.turn.Load()&1 == 0 {
		c.turn.Or(1)
	}
	return c.Conn.Write(p)
}

// NetConn returns the connection beneath.
func (c *conn) NetConn() net.Conn { return c.Conn }

// http1 returns a connection of the transport as one that speaks HTTP/1; nil if it speaks HTTP/2.
func http1(nc net.Conn) *conn {
	c, _ := nc.(*conn)
	return c
}

// A head scans the head of an HTTP/1 answer for what net/http corrects silently: a message with both a length and a
// transfer coding, which two readers may understand differently (RFC 9112, section 6.3).
type head struct {
	done    bool
	first   bool // the status line is over
	interim bool // it is a 1xx
	column  int
	line    [18]byte // the beginning of the current line, in lower case
	length  bool     // Content-Length was seen
	coding  bool     // Transfer-Encoding was seen
}

const (
	lengthName = "content-length"
	codingName = "transfer-encoding"
)

func (h *head) scan(p []byte) {
	if h.done {
		return
	}
	for _, b := range p {
		switch {
		case b == '\r':
		case b != '\n':
			if b == ':' && h.first && h.column < len(h.line) {
				name := string(h.line[:h.column])
				h.length = h.length || name == lengthName
				h.coding = h.coding || name == codingName
			}
			if h.column < len(h.line) {
				if 'A' <= b && b <= 'Z' {
					b += 'a' - 'A'
				}
				h.line[h.column] = b
				h.column++
			}
		case !h.first:
			h.first = true
			h.interim = h.column > 9 && h.line[9] == '1'
			h.column = 0
		case h.column > 0:
			h.column = 0
		case h.interim:
			*h = head{}
		default:
			h.done = true
			return
		}
	}
}

// ambiguous reports whether the answer has two lengths.
func (h *head) ambiguous() bool { return h.length && h.coding }
