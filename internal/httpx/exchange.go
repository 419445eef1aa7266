package httpx

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"prober/internal/dial"
	"prober/internal/probe"
)

// An exchange is one request and its answer as they go over the network. It holds the connection that carries them.
type exchange struct {
	*dial.Exchange
	client  *Client
	gateway *gateway // nil without a proxy
	meter   meter    // takes the memory for the answer

	secure    bool
	host      string // of the URL, to be verified in TLS
	address   string // host:port or, where the request names one, IP:port
	unix      string // the path of a socket that is dialled in place of the address
	anonymous bool   // without the client certificate
	private   bool   // it sends a secret that is not encrypted
	onlyHTTP2 bool   // HTTP/1 will not do
	reuses    bool   // takes a kept connection, and keeps its own
	upgrades  bool   // asks for another protocol
	status    int    // one that is not valid

	tls   *tls.Config // with the files as they are now; nil for http://
	conn  *conn
	http1 *http1 // nil if the connection speaks HTTP/2

	opening *opening // of a connection that must speak HTTP/2

	mu      sync.Mutex
	interim []http.Header // of the 1xx answers before the answer
}

// begin begins an exchange that opens at most maxConns connections.
func (c *Client) begin(ctx context.Context, maxConns int) *exchange {
	return &exchange{
		client: c, gateway: c.gateway, meter: meter{ctx: ctx}, Exchange: dial.Begin(ctx, maxConns), onlyHTTP2: c.settings.OnlyHTTP2, reuses: c.reuses,
	}
}

// to says where the request goes.
func (x *exchange) to(u *url.URL) {
	x.secure, x.host = u.Scheme == "https", hostOf(u)
	x.address = net.JoinHostPort(x.host, portOf(u))
	x.unix = x.client.settings.Route.Unix
}

// key is the same for exchanges that may use the same connection.
func (x *exchange) key() string {
	switch _, err := netip.ParseAddr(x.host); {
	case x.secure:
		return x.host + " " + x.address
	case err != nil && x.private:
		return "loopback " + x.address // that of another exchange may lead elsewhere
	}
	return x.address
}

// roundTrip sends a request, once, and returns the answer, whose body is still to be read from the connection.
func (x *exchange) roundTrip(req *http.Request) (*http.Response, error) {
	c, err := x.connect()
	if err != nil {
		return nil, err
	}
	x.conn = c
	c.raw.SetReadLimit(x.client.bound)
	x.Enter(dial.PhaseProcessing)
	if c.http2 != nil {
		return x.roundTrip2(req)
	}
	req.Close = !x.reuses && !x.upgrades
	x.http1 = &http1{nc: c.Conn, exchange: x}
	return x.http1.roundTrip(req)
}

// connect returns a connection that carries nothing else, a kept one if there is one.
func (x *exchange) connect() (*conn, error) {
	if x.secure {
		var err error
		if x.tls, err = x.client.dialer.TLSConfig(x.host, x.anonymous); err != nil {
			return nil, err
		}
	}
	if x.reuses {
		c, err := x.reused(x.Context())
		if err != nil {
			return nil, err
		}
		if c != nil {
			c.raw.Bind(x.Context())
			x.Use(c.raw)
			return c, nil
		}
	}
	return x.open()
}

// open opens a connection.
func (x *exchange) open() (*conn, error) {
	nc, err := x.dial()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	c := &conn{Conn: nc, raw: dial.Underlying(nc), key: x.key(), opened: now, named: now}
	if !x.secure && x.onlyHTTP2 {
		c.http2, err = x.speakHTTP2(nc)
		return c, err
	}
	if !x.secure {
		if pending, _ := c.raw.Pending(); pending {
			return nil, errUnsolicited
		}
		return c, nil
	}
	tc, unasked, err := x.handshake(nc)
	if err != nil {
		return nil, err
	}
	c.Conn, c.tls, c.unasked = tc, x.tls, unasked
	switch {
	case tc.ConnectionState().NegotiatedProtocol == "h2":
		c.http2, err = x.speakHTTP2(tc)
	case x.onlyHTTP2:
		return nil, errOnlyHTTP1
	}
	return c, err
}

// dial opens a connection to the server.
func (x *exchange) dial() (net.Conn, error) {
	switch {
	case x.unix != "":
		return x.client.dialer.DialContext(x.Context(), "unix", x.unix)
	case x.gateway != nil:
		return x.throughProxy()
	}
	if x.private && !x.secure {
		x.OnlyLoopback()
	}
	return x.client.dialer.DialContext(x.Context(), "tcp", x.address)
}

// handshake speaks TLS. It also says whether there is a client certificate for which the server did not ask.
func (x *exchange) handshake(nc net.Conn) (tc *tls.Conn, unasked bool, err error) {
	cfg := x.tls.Clone()
	cfg.NextProtos = []string{"http/1.1"}
	switch {
	case x.onlyHTTP2:
		cfg.NextProtos = []string{"h2"}
	case x.client.http2 != nil:
		cfg.NextProtos = []string{"h2", "http/1.1"}
	}
	if show := cfg.GetClientCertificate; show != nil {
		unasked = true
		cfg.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			unasked = false
			return show(info)
		}
	}
	tc, err = dial.Handshake(x.Context(), nc, cfg)
	return tc, unasked, err
}

// finish ends the exchange. Its connection is kept for the next one or closed.
func (x *exchange) finish(end time.Time, why probe.Reason) {
	x.End(end)
	var kept *dial.Conn
	if why == probe.OK && x.mayKeep() {
		raw := x.conn.raw
		if x.client.kept.put(x.conn) {
			x.conn, kept = nil, raw
		}
	}
	x.drop(why == probe.OK && (x.http1 == nil || x.http1.sent()))
	x.CloseAllBut(kept)
}

// noteInterim notes the headers of an interim answer.
func (x *exchange) noteInterim(h http.Header) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.interim = append(x.interim, h)
}

// interims returns the headers of the interim answers so far.
func (x *exchange) interims() []http.Header {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.interim
}

// answering reports whether anything of an answer has come, if only an interim one.
func (x *exchange) answering() bool {
	return x.Phase() >= dial.PhaseTransfer || x.http1 != nil && x.http1.begun || len(x.interims()) > 0
}

// gaveUp reports whether an answer is that of a server that gave up waiting for a request on a kept connection (RFC 9110, section
// 15.5.9), and closes it.
func (x *exchange) gaveUp(status int) bool {
	return status == http.StatusRequestTimeout && x.conn != nil && x.conn.kept && x.http1 != nil && x.http1.last
}

// mayKeep reports whether the connection can carry another exchange, and unbinds it from this one if so.
func (x *exchange) mayKeep() bool {
	if !x.reuses || (x.http1 != nil && !x.http1.end()) {
		return false
	}
	return x.conn.drained() && x.conn.raw.Release()
}

// drop closes the connection.
func (x *exchange) drop(farewell bool) {
	if x.conn != nil {
		x.conn.close(farewell)
		x.conn = nil
	}
	if x.http1 != nil {
		x.http1.release()
		x.http1 = nil
	}
}

// inspect rejects answers that net/http accepts: another version of HTTP than the connection has, invalid statuses, two
// lengths in one answer. It returns the name of the protocol.
func (x *exchange) inspect(resp *http.Response) (proto string, err error) {
	switch {
	case x.http1 != nil && resp.ProtoMajor != 1:
		return "", errVersion
	case x.http1 != nil && x.http1.head.ambiguous():
		return "", errAmbiguous
	case x.http1 == nil && malformed2(resp.Header):
		return "", errMalformed
	case x.upgrades && resp.StatusCode == http.StatusSwitchingProtocols:
	case resp.StatusCode < 200 || resp.StatusCode > 599:
		x.status = resp.StatusCode
		return "", errStatus
	}
	switch {
	case x.http1 == nil:
		return "HTTP/2.0", nil
	case resp.ProtoMinor == 0:
		return "HTTP/1.0", nil
	}
	return "HTTP/1.1", nil
}

// hostOf returns the host of a URL as DNS and TLS know it.
func hostOf(u *url.URL) string { return dial.HostName(u.Hostname()) }

// SameOrigin reports whether two URLs have the same scheme, host and port.
func SameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && hostOf(a) == hostOf(b) && portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	if u.Scheme == "https" {
		return cmp.Or(u.Port(), "443")
	}
	return cmp.Or(u.Port(), "80")
}
