package resp

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"net"
	"slices"

	"prober/internal/dial"
	"prober/internal/probe"
)

// Connect opens a connection to a server and logs in. It lives until Close, or until shortly before ctx ends. The exchange is
// recorded in r as one of a check, by Close or, if there is an error, at once. The error is an *Error.
func (c *Client) Connect(ctx context.Context, r *probe.Result, check string, server Server) (*Conn, error) {
	conn := newConn(ctx, c, r, check, server)
	if err := conn.dial(); err != nil {
		return nil, conn.abandon(err)
	}
	conn.reader = NewReader(conn.nc)
	conn.reader.take = conn.charge
	if err := conn.login(); err != nil {
		return nil, conn.abandon(err)
	}
	return conn, nil
}

// errOurMachine is the error of a server on another machine that names this one.
var errOurMachine = &Error{Outcome: probe.Outcomef(probe.Schema, "the server is on another machine and names an address of this one, where its clients would look for it on their own (cluster-announce-ip, replica-announce-ip)")}

func (c *Conn) dial() error {
	address := c.server.address
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if c.server.found && !c.server.local && dial.IsLocal(host) {
		return errOurMachine
	}
	var cfg *tls.Config
	if c.client.encrypts(c.server) {
		if cfg, err = c.client.dialer.TLSConfig(host, false); err != nil {
			return err
		}
		c.certAsked = dial.NoticeRequest(cfg)
	} else if !c.client.settings.AllowPlaintext {
		c.exchange.OnlyLoopback()
	}
	if c.nc, err = c.client.dialer.DialContext(c.exchange.Context(), "tcp", address); err != nil {
		return err
	}
	if c.server.found && !c.server.local {
		if peer, _, _ := net.SplitHostPort(c.Peer()); dial.IsLocal(peer) { // by its name
			return errOurMachine
		}
	}
	if cfg != nil {
		tc, err := dial.Handshake(c.exchange.Context(), c.nc, cfg)
		if err != nil {
			return err
		}
		c.nc = tc
	}
	c.exchange.Enter(dial.PhaseProcessing)
	return nil
}

// login asks as nobody first, if there is a password: a server that answers does not need it. Then it logs in, by HELLO or, at
// a server that does not know that, by AUTH.
func (c *Conn) login() error {
	s := c.client.settings
	hello := []string{"HELLO", "3"}
	var auth []string
	if !s.Password.IsZero() {
		password, err := s.Password.Reveal()
		if err != nil {
			return &Error{Outcome: probe.Outcomef(probe.Credential, "%s", err)}
		}
		if err := c.askAsNobody(); err != nil {
			return err
		}
		user := s.User
		if user == "" {
			user = "default"
			auth = []string{"AUTH", password}
		} else {
			auth = []string{"AUTH", user, password}
		}
		hello = append(hello, "AUTH", user, password)
	}
	v, err := c.ask(append(hello, "SETNAME", "prober"))
	if err == nil {
		c.greeted(v)
		return nil
	}
	e := asError(err)
	if !e.unknown && e.Code != "NOPROTO" && e.Code != "NOPERM" {
		return err
	}
	if auth == nil {
		return nil // what is asked next will tell
	}
	_, err = c.ask(auth)
	return err
}

// askAsNobody asks how many keys there are, which somebody who has not logged in must not learn.
func (c *Conn) askAsNobody() error {
	v, err := c.ask([]string{"DBSIZE"})
	switch code := Code(err); {
	case err == nil && v.Kind == Integer:
		c.open = Open
	case err == nil: // the answer to something else
		return c.fail(errMalformed)
	case code == "NOAUTH":
		c.open = Locked
	case code == "NOPERM":
		return c.tryAsNobody()
	case c.broken != nil:
		return c.broken
	case err != nil && asError(err).Reason == probe.Refused: // and the connection is closed now
		return err
	}
	return nil
}

// tryAsNobody asks more where nobody may count the keys: nobody is a user there who needs no password, and may have other
// rights. Nothing is changed, since there is no such key.
func (c *Conn) tryAsNobody() error {
	key := "prober-" + rand.Text()
	tries := [][]string{{"GET", key}, {"HGETALL", key}, {"DEL", key}, {"SCAN", "0", "COUNT", "1"}, {"CONFIG", "GET", "maxmemory"}}
	locked, open := 0, false
	err := c.Batch(tries, func(_ int, _ Value, err error) {
		e := asError(err)
		switch {
		case err == nil, e.otherKeys, slices.Contains([]string{"READONLY", "MOVED", "ASK", "OOM", "MISCONF", "NOREPLICAS"}, e.Code): // rights come first
			open = true
		case e.Code == "NOPERM", e.Code == "NOAUTH":
			locked++
		}
	})
	switch {
	case open:
		c.open = Open
	case locked == len(tries):
		c.open = Locked
	}
	return err
}

// greeted keeps what HELLO says of the server.
func (c *Conn) greeted(v Value) {
	for i := 0; i+1 < len(v.Items); i += 2 {
		said := v.Items[i+1].Text
		switch v.Items[i].Text {
		case "version":
			c.record.Version = plainVersion.FindString(said)
		case "mode":
			c.mode = said
		}
	}
}
