package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"time"

	"prober/internal/dial"
	"prober/internal/memory"
	"prober/internal/pgwire"
	"prober/internal/probe"
)

// A Conn is a connection to a server or its pool. It is for one goroutine. After an error that left the connection
// unusable, every further call returns that error.
type Conn struct {
	ctx      context.Context // of the run
	work     context.Context // ends before that
	cancel   context.CancelFunc
	margin   time.Duration // between the two
	exchange *dial.Exchange
	opener   *opener
	net      net.Conn
	stop     func() bool // does not end its reads and writes with work any more
	in       *pgwire.Reader
	out      pgwire.Writer
	result   *probe.Result
	taken    int64 // of memory, for what is being read
	record   probe.Exchange
	broken   *Error // what made the connection unusable

	busy      bool   // the server has been asked something, and was not ready for more since
	status    byte   // of the transaction when the server was ready last: I none, T, E failed
	process   int    // of the server, which the request to cancel names
	key       []byte // for that request
	version   string // as the server says it
	superuser bool
}

func newConn(ctx context.Context, r *probe.Result, check, address, database string) *Conn {
	x := dial.Begin(ctx, 1)
	end, margin := budgetOf(ctx, time.Now())
	work, cancel := context.WithDeadline(x.Context(), end)
	return &Conn{
		ctx: ctx, work: work, cancel: cancel, margin: margin, exchange: x, result: r,
		record: probe.Exchange{Check: check, Target: r.Target(), URL: url(address, database), Reason: probe.OK, Expected: true, Started: x.Start()},
	}
}

// abandon ends a connection that could not be opened and returns why.
func (c *Conn) abandon(err *Error) error {
	c.fail(err)
	c.end()
	return err
}

// fail notes what made the connection unusable.
func (c *Conn) fail(err *Error) {
	if c.broken == nil {
		c.broken = err
		c.record.Reason, c.record.Expected = err.Reason, false
	}
}

// Close ends the connection. A query that the server still runs is cancelled first, as long as that takes a short time.
func (c *Conn) Close() {
	c.exchange.End(time.Now())
	c.stop() // the time is up for queries, not for this
	end := time.Now().Add(cancelTime)
	_ = c.net.SetDeadline(end)
	if c.busy && c.key != nil {
		c.cancelQuery(end)
	}
	// A server may ignore the goodbye. What it still sends of a cancelled query is read: to close before would look like a
	// fault to it.
	if c.out.Begin('X').Flush(c.net) == nil && c.busy {
		_, _ = io.Copy(io.Discard, c.net)
	}
	c.end()
}

// cancelQuery asks the server, over a connection of its own, to cancel what it does. The server answers by closing it.
func (c *Conn) cancelQuery(end time.Time) {
	// What is left of the exchange is too short for it, or over.
	ctx, done := context.WithDeadline(context.WithoutCancel(c.ctx), end)
	defer done()
	x := dial.Begin(ctx, 1)
	defer x.Close()
	nc, err := c.opener.open(x.Context(), x, c.exchange.Peer())
	if err != nil {
		return
	}
	var out pgwire.Writer
	if out.Begin(0).Int32(pgwire.CancelRequest).Int32(c.process).Bytes(c.key).Flush(nc) == nil {
		_, _ = nc.Read(make([]byte, 1))
	}
}

func (c *Conn) end() {
	if c.stop != nil {
		c.stop()
	}
	c.cancel()
	c.record.Version = version(c.version)
	c.exchange.Close()
	memory.Give(c.ctx, c.taken)
	c.record.Took = time.Since(c.record.Started)
	var err error
	if c.broken != nil {
		err = c.broken
	}
	c.exchange.Fill(&c.record, err)
	c.result.Exchanged(c.record)
}

// version returns what the server says of its version if that is a plain number, such as 15.18; nothing else of it is repeated.
func version(said string) string { return plainVersion.FindString(said) }

var plainVersion = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,4}){0,2}\b`)

// Superuser reports whether the server says that the role is a superuser: nothing binds such a role, no policy and no
// transaction that is read-only.
func (c *Conn) Superuser() bool { return c.superuser }

// Peer returns the address that was dialled, IP:port.
func (c *Conn) Peer() string { return c.exchange.Peer() }

// An Access is what a transaction may do.
type Access string

// The values of Access.
const (
	ReadOnly   Access = "READ ONLY"
	Unchanging Access = "ISOLATION LEVEL REPEATABLE READ, READ ONLY" // all of its queries see the same
	ReadWrite  Access = "READ WRITE"                                 // it is rolled back all the same
)

// maxLockWait is how long a query waits for a lock. Whoever holds one for longer has a reason, and a queue behind it.
const maxLockWait = time.Second

// noCompilation turns the compiler of queries off, where the server has one: to compile a query takes a hundred times longer than
// to run it, for all but the longest.
const noCompilation = "SELECT pg_catalog.set_config('jit', 'off', true) WHERE pg_catalog.current_setting('jit', true) IS NOT NULL"

// A Tx is a transaction. It is never committed.
type Tx struct{ conn *Conn }

// Begin begins a transaction in which no statement takes longer than the run. The limits are those of the transaction and
// end with it, also behind a pool.
func (c *Conn) Begin(a Access) (*Tx, error) {
	end, _ := c.work.Deadline()
	limit := max(time.Until(end)-c.margin, time.Millisecond).Milliseconds()
	limit = max(limit, 1) // 0 would be no limit
	lock := min(max(limit/2, 1), maxLockWait.Milliseconds())
	err := c.command(fmt.Sprintf("BEGIN TRANSACTION %s; SET LOCAL statement_timeout = %d; SET LOCAL lock_timeout = %d; SET LOCAL idle_in_transaction_session_timeout = %d; %s",
		a, limit, lock, limit+2*c.margin.Milliseconds(), noCompilation))
	if err == nil && c.status != 'T' {
		none := &Error{Outcome: probe.Outcomef(probe.ControlFailed, "expected a transaction that bounds the query, but the server began none")}
		c.fail(none)
		return nil, none
	}
	if err != nil {
		return nil, err
	}
	return &Tx{c}, nil
}

// Rollback ends the transaction and undoes it. What no rollback undoes: sequences, notifications by functions of
// extensions, and what triggers do elsewhere.
func (t *Tx) Rollback() error { return t.conn.command("ROLLBACK") }

// Query runs a statement in the transaction. A statement that ends the transaction is an error, and nothing can be asked
// after it.
func (t *Tx) Query(q Query) (Rows, error) {
	rows, err := t.conn.Query(q)
	if err == nil && t.conn.status == 'I' {
		ended := &Error{Outcome: probe.Outcomef(ReadOnlyViolated, "the statement ended the transaction that bounds it")}
		t.conn.fail(ended)
		return Rows{}, ended
	}
	return rows, err
}

// command runs statements of this package, whose results do not matter.
func (c *Conn) command(sql string) error {
	return c.guard(func() error {
		c.out.Begin('Q').Text(sql)
		return c.ask(func(m pgwire.Message) error {
			if !strings.ContainsRune("TDCI", rune(m.Kind)) {
				return pgwire.ErrMalformed
			}
			return nil
		})
	})
}

// guard asks the server something, if the connection is usable. It explains the error, and keeps what made the connection
// unusable.
func (c *Conn) guard(ask func() error) error {
	if c.broken != nil {
		return c.broken
	}
	dial.Underlying(c.net).SetReadLimit(maxAnswer)
	err := ask()
	if err == nil {
		return nil
	}
	ours := c.explain(err)
	if ours.Code == "" || c.busy {
		c.fail(ours)
	}
	return ours
}

// ask sends what was collected and hands each message of the answer on until the server is ready again. What the server
// refuses is its first error, after which it becomes ready too.
func (c *Conn) ask(each func(pgwire.Message) error) (refused error) {
	if !strings.ContainsRune("\x00AENS", rune(c.in.Ahead())) { // an answer to nothing would be taken for that to this question
		return pgwire.ErrMalformed
	}
	c.busy = true
	if err := c.out.Flush(c.net); err != nil {
		return c.ended(err)
	}
	for {
		m, err := c.next()
		switch {
		case errors.As(err, new(*Error)):
			if refused == nil {
				refused = err
			}
			continue
		case err != nil && refused != nil:
			return refused
		case err != nil:
			return err
		}
		switch m.Kind {
		case 'A': // a notification for all who listen
		case 'Z':
			c.busy = false
			if c.status = m.Byte(); !m.Complete() || !strings.ContainsRune("ITE", rune(c.status)) || c.status == 'E' && refused == nil { // failed, without an error
				return pgwire.ErrMalformed
			}
			return refused
		default:
			if err := each(m); err != nil {
				return err
			}
		}
	}
}

// next reads a message of the server's. An error that the server reports is an *Error. Notices, and parameters that
// nobody asks for, are passed over: how many there are is bounded by the limit of the connection.
func (c *Conn) next() (pgwire.Message, error) {
	for {
		m, err := c.in.Next()
		if err != nil {
			return m, c.ended(err)
		}
		switch m.Kind {
		case 'E':
			return m, refusalOf(m)
		case 'N':
		case 'S':
			switch name, value := m.Text(), m.Text(); name {
			case "server_version":
				c.version = value
			case "is_superuser":
				c.superuser = value == "on"
			}
			if !m.Complete() {
				return m, pgwire.ErrMalformed
			}
		default:
			return m, nil
		}
	}
}

// ended returns why nothing can be read or written any more. The time for it may have ended before that of the exchange.
func (c *Conn) ended(err error) error {
	switch ended := c.work.Err(); {
	case ended != nil:
		return ended
	case err == io.EOF: // a server has no reason to end a session
		return io.ErrUnexpectedEOF
	case err == io.ErrUnexpectedEOF: // within a message
		c.exchange.Enter(dial.PhaseTransfer)
	}
	return err
}
