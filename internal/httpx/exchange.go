package httpx

import (
	"cmp"
	"context"
	"crypto/tls"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"prober/internal/dial"
	"prober/internal/probe"
)

// maxConns bounds the connections of one exchange. net/http dials again and again for a server that answers each
// connection with GOAWAY.
const maxConns = 2

// An exchange is one request and its answer as they go over the network. It travels in the request's context: the
// transport calls it back for its connections and reports what happens on them, from goroutines of its own, some of
// which may still run when the exchange is over.
type exchange struct {
	*dial.Exchange
	cancel context.CancelCauseFunc
	client *Client

	host      string // of the URL, to be verified in TLS
	address   string // host:port or, where the request names one, IP:port
	anonymous bool
	private   bool // it sends a secret that is not encrypted
	maxConns  int
	sendsLeft int // times that the request may still be written
	safe      bool

	trace httptrace.ClientTrace

	mu      sync.Mutex
	over    bool
	raw     *dial.Conn // the one that carries the request
	conn    *conn      // the same where it speaks HTTP/1, else nil
	release func()     // unbinds raw from the exchange
	turn    uint32
	head    *head // of the answer
}

type exchangeKey struct{}

// bind makes the context that carries the exchange.
func (x *exchange) bind(ctx context.Context) context.Context {
	x.cancel = func(error) {}
	if x.client.reuses || x.client.http2 {
		// With these a dial may outlive its exchange, and a request may be sent again.
		ctx, x.cancel = context.WithCancelCause(ctx)
	}
	x.Exchange = dial.Begin(ctx, x.maxConns)
	x.trace.GotConn = x.gotConn
	x.trace.GotFirstResponseByte = func() { x.Enter(dial.PhaseTransfer) }
	if x.client.reuses {
		x.trace.PutIdleConn = x.putIdle
	}
	return httptrace.WithClientTrace(context.WithValue(x.Context(), exchangeKey{}, x), &x.trace)
}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// dial opens a connection for the exchange, by its own deadline: net/http would continue a dial after the request was
// cancelled.
func (x *exchange) dial(secure bool) (net.Conn, error) {
	if x.private && !secure {
		x.OnlyLoopback()
	}
	nc, err := x.client.dialer.DialContext(x.Context(), "tcp", x.address)
	if err != nil {
		return nil, err
	}
	raw := dial.Underlying(nc)
	if secure {
		tc, err := x.handshake(nc)
		if err != nil {
			nc.Close()
			return nil, err
		}
		nc = tc
	}
	if x.client.reuses {
		raw.Release() // another exchange may use it
	}
	if tc, ok := nc.(*tls.Conn); ok && tc.ConnectionState().NegotiatedProtocol == "h2" {
		return tc, nil // net/http recognizes HTTP/2 only by a bare *tls.Conn
	}
	raw.SetReadLimit(math.MaxInt64) // the conn above counts
	c := &conn{Conn: nc}
	c.left.Store(x.client.bound)
	return c, nil
}

func (x *exchange) handshake(nc net.Conn) (*tls.Conn, error) {
	cfg := x.client.dialer.TLSConfig(x.host)
	cfg.NextProtos = []string{"http/1.1"}
	if x.client.http2 {
		cfg.NextProtos = []string{"h2", "http/1.1"}
	}
	if x.anonymous {
		cfg.GetClientCertificate = nil
	}
	return dial.Handshake(x.Context(), nc, cfg)
}

// gotConn is called each time that the request is about to be written, with the connection.
func (x *exchange) gotConn(info httptrace.GotConnInfo) {
	x.Enter(dial.PhaseProcessing)
	raw, c := dial.Underlying(info.Conn), http1(info.Conn)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sendsLeft--
	// With HTTP/1 net/http repeats a request only if it was not written, or may be repeated, and the connection turned out
	// to be closed. With HTTP/2 it also does so whenever the server demands it, but checks the context before it writes.
	again := x.raw != nil
	if x.sendsLeft < 0 || (again && !x.safe && c == nil) {
		x.cancel(errResent)
	}
	if x.over {
		return
	}
	x.raw, x.conn = raw, c
	x.Use(raw)
	if c == nil {
		raw.SetReadLimit(x.client.bound)
		return
	}
	if x.client.reuses {
		x.release = raw.Bind(x.Context())
	}
	x.turn, x.head = c.begin(x.client.bound)
}

// putIdle is called when the connection waits for the next exchange.
func (x *exchange) putIdle(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err == nil && x.conn != nil {
		x.release()
		x.conn.endTurn(x.turn)
	}
}

// finish ends the exchange: pending dials are cancelled, and connections that cannot be reused are closed.
func (x *exchange) finish(end time.Time, why probe.Reason) {
	x.mu.Lock()
	x.over = true
	raw, plain := x.raw, x.conn != nil
	x.mu.Unlock()
	x.End(end)
	x.cancel(nil)
	switch {
	case !x.client.reuses && why == probe.OK:
		x.CloseAllBut(raw) // net/http closes that one
	case !x.client.reuses:
		x.Close()
	case why == probe.Timeout && raw != nil && !plain:
		// HTTP/2 would keep using a dead connection until TCP gives up. It takes net/http a while to notice that it is
		// closed; the next exchange must not get it.
		x.client.generation.Add(1)
		raw.Close()
	}
}

// inspect rejects answers that net/http accepts: another version of HTTP than the connection has, invalid statuses, two
// lengths in one answer. It returns the name of the protocol.
func (x *exchange) inspect(resp *http.Response) (proto string, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	plain := x.conn != nil
	switch {
	case plain && resp.ProtoMajor != 1:
		return "", errVersion
	case plain && x.head.ambiguous():
		return "", errAmbiguous
	case resp.StatusCode < 200 || resp.StatusCode > 599:
		return "", errStatus
	case !plain:
		return "HTTP/2.0", nil
	case resp.ProtoMinor == 0:
		return "HTTP/1.0", nil
	}
	return "HTTP/1.1", nil
}

// hostOf returns the host of a URL as DNS and TLS know it.
func hostOf(u *url.URL) string {
	host := u.Hostname()
	for i := range len(host) {
		if host[i] >= utf8.RuneSelf {
			if ascii, err := httpguts.PunycodeHostPort(host); err == nil {
				return ascii
			}
			break
		}
	}
	return host
}

func portOf(u *url.URL) string {
	if u.Scheme == "https" {
		return cmp.Or(u.Port(), "443")
	}
	return cmp.Or(u.Port(), "80")
}
