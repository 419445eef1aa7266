package httpx

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"prober/internal/dial"
)

// A conn is a connection to a server. One exchange holds it at a time, and nothing reads from it in between.
type conn struct {
	net.Conn // what is written to and read from: TLS or raw
	raw      *dial.Conn
	http2    *http.ClientConn // nil: it speaks HTTP/1
	tls      *tls.Config      // of the handshake; nil for http://

	key    string    // exchanges with the same one may follow each other
	opened time.Time // so that it does not get too old
	named  time.Time // when its host was last known to have its address
	idle   time.Time // since when it is kept
	wrote  uint64    // bytes that were written before this exchange
	kept   bool      // it carried an exchange before this one

	unasked bool // the client has a certificate, and the server did not ask for it in the handshake
}

// silent reports whether nothing has come unasked, and the server has not closed the connection.
func (c *conn) silent() bool {
	pending, err := c.raw.Pending()
	if c.http2 != nil { // frames of the connection may come at any time
		return err == nil && c.http2.Err() == nil && c.http2.Available() > 0
	}
	return err == nil && !pending
}

// verifiedBy reports whether a handshake with the configuration would trust the same authorities and show the same
// certificate.
func (c *conn) verifiedBy(cfg *tls.Config) bool {
	if c.tls == nil || cfg == nil {
		return c.tls == cfg
	}
	return c.tls.RootCAs == cfg.RootCAs && clientCertificate(c.tls) == clientCertificate(cfg)
}

func clientCertificate(cfg *tls.Config) *tls.Certificate {
	if cfg.GetClientCertificate == nil {
		return nil
	}
	cert, _ := cfg.GetClientCertificate(nil) // it was read when the configuration was made
	return cert
}

// drained reports whether TLS holds no data beyond the answer. It does not wait for any.
func (c *conn) drained() bool {
	tc, ok := c.Conn.(*tls.Conn)
	if !ok || c.http2 != nil {
		return true
	}
	if c.raw.SetReadDeadline(time.Unix(1, 0)) != nil {
		return false
	}
	n, err := tc.Read(make([]byte, 1))
	timeout, ok := err.(net.Error)
	return n == 0 && ok && timeout.Timeout() && c.raw.SetReadDeadline(time.Time{}) == nil
}

// lost reports whether a kept connection that ended with an error, before a byte of the answer came, may have been closed
// before the server got the request: it was reset, or closed before anything of the request was acknowledged.
func (c *conn) lost(closed bool) bool {
	if !c.kept {
		return false
	}
	n, ok := c.raw.Acknowledged()
	return !closed || !ok || n <= c.wrote
}

// close closes the connection. With a farewell a TLS server is told that nothing was cut off.
func (c *conn) close(farewell bool) {
	if !farewell {
		c.raw.Close()
	}
	if c.http2 != nil {
		c.http2.Close()
		return
	}
	c.Conn.Close()
}
