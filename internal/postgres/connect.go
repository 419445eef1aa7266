package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"prober/internal/dial"
	"prober/internal/memory"
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
	cfg, err := c.config(conn, address)
	if err != nil {
		return nil, conn.abandon(err)
	}
	conn.pg, err = login(conn.work, cfg)
	if err != nil {
		return nil, conn.abandon(conn.explain(err))
	}
	return conn, nil
}

// login connects. What the library cannot read must not end the prober.
func login(ctx context.Context, cfg *pgconn.Config) (pg *pgconn.PgConn, err error) {
	defer func() {
		if recover() != nil {
			pg, err = nil, errUnreadable
		}
	}()
	return pgconn.ConnectConfig(ctx, cfg)
}

// errUnreadable is the error of a message that made the library panic.
var errUnreadable = errors.New("a message cannot be read")

// isolated sets every key that the library would otherwise take from the environment or from a file below the user's home.
const isolated = "host=- port=5432 user=- password=- dbname=- passfile=/dev/null servicefile=/dev/null sslmode=disable " +
	"sslcert='' sslkey='' sslcertmode=allow sslrootcert='' sslpassword='' sslsni=1 sslnegotiation=postgres connect_timeout=0 " +
	"target_session_attrs=any channel_binding=prefer require_auth=scram-sha-256 min_protocol_version=3.0 max_protocol_version=3.0 " +
	"application_name='' options='' timezone=''"

// config is what the library connects with.
func (c *Client) config(conn *Conn, address string) (*pgconn.Config, error) {
	cfg, err := pgconn.ParseConfig(isolated)
	if err != nil {
		return nil, &Error{Outcome: probe.Outcomef(probe.Credential, "expected no PGSERVICE in the prober's environment: it names a file of connections, which are never used")}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, conn.explain(err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, conn.explain(err)
	}
	cfg.Host, cfg.Port, cfg.Database, cfg.User = host, uint16(n), c.settings.Database, c.settings.User
	// PgBouncer refuses any other parameter than this one.
	cfg.RuntimeParams = map[string]string{"application_name": "prober"}
	cfg.Password, cfg.RequireAuth = "", "none"
	if !c.settings.Password.IsZero() {
		if cfg.Password, err = c.settings.Password.Reveal(); err != nil {
			return nil, &Error{Outcome: probe.Outcomef(probe.Credential, "%s", err)}
		}
		cfg.RequireAuth = "scram-sha-256"
	}
	cfg.MaxProtocolMessageBodyLen = maxMessage
	cfg.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil } // the dialer looks it up
	d := &opener{dialer: c.dialer, exchange: conn.exchange}
	if c.settings.encrypts(host) {
		if d.tls, err = c.dialer.TLSConfig(host, false); err != nil {
			return nil, conn.explain(err)
		}
	}
	cfg.DialFunc = d.open
	return cfg, nil
}

// An opener opens the connection of an exchange and, later, those that cancel its queries.
type opener struct {
	dialer   *dial.Dialer
	exchange *dial.Exchange
	tls      *tls.Config // nil: not encrypted
	opened   bool
}

// open dials an address and, unless the server is on this machine, agrees on TLS. The library knows nothing of TLS but that
// it is there.
func (o *opener) open(ctx context.Context, network, address string) (net.Conn, error) {
	x := o.exchange
	if o.opened {
		// What is left of the exchange is too short to cancel a query in, or over.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cancelTime)
		context.AfterFunc(ctx, cancel)
		x = dial.Begin(ctx, 1)
		ctx = x.Context()
	}
	o.opened = true
	if o.tls == nil {
		x.OnlyLoopback()
	}
	nc, err := o.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	dial.Underlying(nc).SetReadLimit(maxLogin)
	if o.tls != nil {
		tc, err := o.encrypt(ctx, nc)
		if err != nil {
			nc.Close()
			return nil, err
		}
		nc = tc
	}
	x.Enter(dial.PhaseProcessing)
	return nc, nil
}

// encrypt asks the server for TLS (section "SSL Session Encryption" of the protocol) and verifies it.
func (o *opener) encrypt(ctx context.Context, nc net.Conn) (net.Conn, error) {
	o.exchange.Enter(dial.PhaseTLS)
	if _, err := nc.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil {
		return nil, err
	}
	var answer [1]byte // and no more: what follows in clear is not part of TLS
	if _, err := io.ReadFull(nc, answer[:]); err != nil {
		return nil, err
	}
	switch answer[0] {
	case 'S':
		return dial.Handshake(ctx, nc, o.tls)
	case 'N':
		return nil, errNoTLS
	case 'E':
		return nil, errNoStart
	}
	return nil, errUnreadable
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
