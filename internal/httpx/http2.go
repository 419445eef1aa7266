package httpx

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"

	"prober/internal/dial"
)

// newHTTP2 returns a transport that makes client connections of connections that negotiated HTTP/2. It has no pool and
// does not dial.
func newHTTP2() *http.Transport {
	t := &http.Transport{
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return ctx.Value(negotiatedKey{}).(*tls.Conn), nil
		},
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		Protocols:              new(http.Protocols),
		HTTP2:                  &http.HTTP2Config{MaxReceiveBufferPerStream: 256 << 10, MaxReceiveBufferPerConnection: 1 << 20},
	}
	t.Protocols.SetHTTP2(true)
	return t
}

type negotiatedKey struct{}

// negotiated makes a client connection of one that negotiated HTTP/2.
func negotiated(ctx context.Context, t *http.Transport, tc *tls.Conn, address string) (*http.ClientConn, error) {
	return t.NewClientConn(context.WithValue(ctx, negotiatedKey{}, tc), "https", address)
}

// roundTrip2 sends a request over an HTTP/2 connection, as its only stream at the time.
func (x *exchange) roundTrip2(req *http.Request) (*http.Response, error) {
	left := maxHeader
	trace := &httptrace.ClientTrace{
		GotFirstResponseByte: func() { x.Enter(dial.PhaseTransfer) },
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
	for _, head := range append(x.interims(), resp.Header) {
		if err := x.meter.take(headBytes(sizeOf(head))); err != nil {
			return nil, err
		}
	}
	return resp, nil
}
