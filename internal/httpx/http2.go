package httpx

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"

	"prober/internal/dial"
)

// newHTTP2 returns a transport that makes client connections of connections that speak HTTP/2. It has no pool and does not
// dial.
func newHTTP2() *http.Transport {
	dialled := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return ctx.Value(dialledKey{}).(net.Conn), nil
	}
	t := &http.Transport{
		DialContext: dialled, DialTLSContext: dialled,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		Protocols:              new(http.Protocols),
		HTTP2:                  &http.HTTP2Config{MaxReceiveBufferPerStream: 256 << 10, MaxReceiveBufferPerConnection: 1 << 20},
	}
	t.Protocols.SetHTTP2(true)
	t.Protocols.SetUnencryptedHTTP2(true)
	return t
}

type dialledKey struct{}

// speakHTTP2 makes a client connection of one that negotiated HTTP/2 or, without TLS, is known to speak it.
func (x *exchange) speakHTTP2(nc net.Conn) (*http.ClientConn, error) {
	scheme := "https"
	if x.onlyHTTP2 { // whatever the URL has: net/http knows a negotiated protocol by the type of the connection
		x.opening = &opening{Conn: nc}
		scheme, nc = "http", x.opening
	}
	return x.client.http2.NewClientConn(context.WithValue(x.Context(), dialledKey{}, nc), scheme, x.address)
}

// An opening is a connection that notes how the server begins, and why reading ended: net/http may say only that it did.
type opening struct {
	net.Conn

	reading sync.Mutex // held until what is read is noted

	mu     sync.Mutex
	begins []byte
	err    error
}

const beginsHTTP1 = "HTTP/1."

// Read notes what it reads.
func (o *opening) Read(p []byte) (int, error) {
	o.reading.Lock()
	defer o.reading.Unlock()
	n, err := o.Conn.Read(p)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.begins = append(o.begins, p[:min(n, len(beginsHTTP1)-len(o.begins))]...)
	o.err = cmp.Or(o.err, err)
	return n, err
}

// Write reads, if the connection was reset, what came before that, such as an alert.
func (o *opening) Write(p []byte) (int, error) {
	n, err := o.Conn.Write(p)
	if err != nil {
		_, _ = o.Read(make([]byte, len(beginsHTTP1)))
	}
	return n, err
}

// answers says what the server began to answer: whether HTTP/1, or nothing of HTTP/2 either, which begins with a frame of settings, or
// with the one that ends a connection (RFC 9113, sections 3.4 and 6.8).
func (o *opening) answers() (http1, another bool) {
	if o == nil {
		return false, false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	const settings, goAway, kind = 4, 7, 3 // kind: where in a frame it is
	return string(o.begins) == beginsHTTP1, len(o.begins) > kind && o.begins[kind] != settings && o.begins[kind] != goAway
}

// ended returns the error with which reading ended; nil if it did not.
func (o *opening) ended() error {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// malformed2 reports whether clients must reject an answer over HTTP/2: for two lengths, or for a header that is about a connection
// of HTTP/1 (RFC 9113, sections 8.1.1 and 8.2.2).
func malformed2(h http.Header) bool {
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"} {
		if len(h[name]) > 0 {
			return true
		}
	}
	lengths := slices.Compact(slices.Clone(h["Content-Length"]))
	return len(lengths) > 1 || len(lengths) == 1 && (lengths[0] == "" || strings.Trim(lengths[0], "0123456789") != "")
}

// roundTrip2 sends a request over an HTTP/2 connection, as its only stream at the time.
func (x *exchange) roundTrip2(req *http.Request) (*http.Response, error) {
	left := maxHeader
	trace := &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, header textproto.MIMEHeader) error {
			text, _ := sizeOf(http.Header(header))
			if left -= text + len(":status: 103"); left < 0 {
				return errHead
			}
			x.noteInterim(http.Header(header))
			return nil
		},
	}
	resp, err := x.conn.http2.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil {
		return nil, err
	}
	x.Enter(dial.PhaseTransfer)
	for _, head := range append(x.interims(), resp.Header) {
		if err := x.meter.take(headBytes(sizeOf(head))); err != nil {
			return nil, err
		}
	}
	return resp, nil
}
