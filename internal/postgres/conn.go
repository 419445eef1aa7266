package postgres

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"prober/internal/dial"
	"prober/internal/memory"
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
	pg       *pgconn.PgConn
	result   *probe.Result
	taken    int64 // of memory, for what is being read
	record   probe.Exchange
	broken   *Error // what made the connection unusable
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
func (c *Conn) abandon(err error) error {
	c.fail(err)
	c.end()
	return err
}

// fail notes what made the connection unusable.
func (c *Conn) fail(err error) {
	if c.broken == nil {
		c.broken = asError(err)
		c.record.Reason, c.record.Expected = c.broken.Reason, false
	}
}

// Close ends the connection. It waits for a cancelled query to be cancelled at the server too, as long as the run lasts.
func (c *Conn) Close() {
	if c.pg != nil {
		if c.broken == nil {
			_ = c.pg.Close(c.work) // says goodbye, which a server may ignore
		} else if c.pg.IsClosed() {
			wait := time.NewTimer(cancelTime)
			select {
			case <-c.pg.CleanupDone():
			case <-wait.C:
			}
			wait.Stop()
		}
		c.record.Version = version(c.pg.ParameterStatus("server_version"))
	}
	c.end()
}

func (c *Conn) end() {
	c.cancel()
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
func (c *Conn) Superuser() bool { return c.pg.ParameterStatus("is_superuser") == "on" }

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
	if err == nil && t.conn.pg.TxStatus() == 'I' {
		err = &Error{Outcome: probe.Outcomef(ReadOnlyViolated, "the statement ended the transaction that bounds it")}
		t.conn.fail(err)
		return Rows{}, err
	}
	return rows, err
}

// command runs statements of this package, without a result.
func (c *Conn) command(sql string) error {
	return c.guard(func() error {
		return c.pg.Exec(c.work, sql).Close()
	})
}

// guard makes a call of the library on a connection that is usable. It explains its error, and keeps what made the
// connection unusable.
func (c *Conn) guard(call func() error) (err error) {
	if c.broken != nil {
		return c.broken
	}
	defer func() {
		if recover() != nil {
			err = c.explain(errUnreadable)
			c.fail(err)
		}
	}()
	dial.Underlying(c.pg.Conn()).SetReadLimit(maxAnswer)
	if err = call(); err == nil {
		return nil
	}
	ours, ok := errors.AsType[*Error](err)
	if !ok {
		ours = asError(c.explain(err))
	}
	if ok || ours.Code == "" || c.pg.IsClosed() {
		c.fail(ours)
	}
	return ours
}
