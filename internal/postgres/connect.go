package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"prober/internal/dial"
	"prober/internal/memory"
	"prober/internal/pgwire"
	"prober/internal/probe"
)

// Bounds of what a server may send.
const (
	maxMessage = 64 << 10  // of one message, which is a row for most
	maxLogin   = 128 << 10 // until the server is ready for the first query
	maxAnswer  = 1 << 20   // to one query
)

// cancelTime bounds the request that cancels a query.
const cancelTime = 500 * time.Millisecond

// Connect opens a connection to address, host:port, and logs in. It lives until Close, or until shortly before ctx ends: the
// rest of the time is for cancelling what the server still does. The exchange is recorded in r as one of a check, by Close
// or, if there is an error, at once. The error is an *Error.
func (c *Client) Connect(ctx context.Context, r *probe.Result, check, address string) (*Conn, error) {
	conn := newConn(ctx, r, check, address, c.settings.Database)
	if err := memory.Take(ctx, maxMessage); err != nil {
		memory.Exceeded(ctx, "", err)
		return nil, conn.abandon(&Error{Outcome: probe.Outcomef(probe.SelfLimit, "%s", err)})
	}
	conn.taken = maxMessage
	if err := c.login(conn, address); err != nil {
		return nil, conn.abandon(conn.explain(err))
	}
	return conn, nil
}

// login opens the connection and logs in.
func (c *Client) login(conn *Conn, address string) error {
	password := ""
	var err error
	if !c.settings.Password.IsZero() {
		if password, err = c.settings.Password.Reveal(); err != nil {
			return &Error{Outcome: probe.Outcomef(probe.Credential, "%s", err)}
		}
		if !prepared(password) {
			return errNotPrepared
		}
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	conn.opener = &opener{dialer: c.dialer}
	if c.settings.encrypts(host) {
		if conn.opener.tls, err = c.dialer.TLSConfig(host, false); err != nil {
			return err
		}
	}
	if conn.net, err = conn.opener.open(conn.work, conn.exchange, address); err != nil {
		return err
	}
	conn.stop = context.AfterFunc(conn.work, func() { _ = conn.net.SetDeadline(time.Unix(1, 0)) })
	conn.in = pgwire.NewReader(conn.net, maxMessage)
	// PgBouncer refuses any other parameter than these.
	conn.out.Begin(0).Int32(pgwire.Version).Text("user").Text(c.settings.User).Text("database").Text(c.settings.Database).
		Text("application_name").Text("prober").Byte(0)
	if err = conn.authenticate(password, !c.settings.Password.IsZero()); errors.Is(err, pgwire.ErrTooLong) {
		return pgwire.ErrMalformed // no server says as much there: these are bytes of another protocol
	}
	return err
}

// An opener opens the connection of a client and, later, the one that cancels its query.
type opener struct {
	dialer *dial.Dialer
	tls    *tls.Config // nil: not encrypted
}

// open dials an address and, unless the server is on this machine, agrees on TLS.
func (o *opener) open(ctx context.Context, x *dial.Exchange, address string) (net.Conn, error) {
	if o.tls == nil {
		x.OnlyLoopback()
	}
	nc, err := o.dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	dial.Underlying(nc).SetReadLimit(maxLogin)
	if o.tls != nil {
		x.Enter(dial.PhaseTLS)
		if nc, err = encrypt(ctx, nc, o.tls); err != nil {
			return nil, err
		}
	}
	x.Enter(dial.PhaseProcessing)
	return nc, nil
}

// encrypt asks the server for TLS (section "SSL Session Encryption" of the protocol) and verifies it.
func encrypt(ctx context.Context, nc net.Conn, cfg *tls.Config) (net.Conn, error) {
	var out pgwire.Writer
	if err := out.Begin(0).Int32(pgwire.SSLRequest).Flush(nc); err != nil {
		return nil, err
	}
	var answer [1]byte // and no more: what follows in clear is not part of TLS
	if _, err := io.ReadFull(nc, answer[:]); err != nil {
		return nil, err
	}
	switch answer[0] {
	case 'S':
		return dial.Handshake(ctx, nc, cfg)
	case 'N':
		return nil, errNoTLS
	case 'E':
		return nil, errNoStart
	}
	return nil, pgwire.ErrMalformed
}

var (
	errNoTLS   = errors.New("the server offers no TLS")
	errNoStart = errors.New("the server refuses the connection before it agrees on TLS")
)

// budgetOf splits the time of a run: until when queries may be waited for, and how long the server may take for one.
func budgetOf(ctx context.Context, now time.Time) (work time.Time, margin time.Duration) {
	const withoutDeadline = 10 * time.Second
	end, ok := ctx.Deadline()
	if !ok {
		end = now.Add(withoutDeadline)
	}
	margin = min(max(end.Sub(now)/10, 20*time.Millisecond), cancelTime)
	return end.Add(-margin), margin
}

// url is how a report names what was asked.
func url(address, database string) string { return fmt.Sprintf("postgres://%s/%s", address, database) }
