package resp

import (
	"context"
	"net"
	"regexp"
	"time"

	"prober/internal/dial"
	"prober/internal/memory"
	"prober/internal/probe"
)

// A Conn is a connection to a server. It is for one goroutine. After an error that left the connection unusable, every
// further question returns that error.
type Conn struct {
	ctx      context.Context // of the run
	cancel   context.CancelFunc
	client   *Client
	server   Server
	exchange *dial.Exchange
	nc       net.Conn
	reader   *Reader
	result   *probe.Result
	record   probe.Exchange
	broken   *Error // what made the connection unusable

	taken, owed int64 // of memory, for the last answer; owed is not taken yet

	others map[string]*Conn // to which servers of the cluster this one has sent the client

	open      Opened
	mode      string
	certAsked *bool // whether the server asked for a client certificate, and got one or learned that there is none
	answered  bool  // it has answered anything
}

// Opened says whether a server answers somebody who has not logged in.
type Opened int

// The values of Opened. The zero value says nothing.
const (
	NotKnown Opened = iota // it was not asked, since the settings have no password, or gave no answer that says so
	Locked                 // it refuses, in its own words
	Open                   // it answers
)

func newConn(ctx context.Context, c *Client, r *probe.Result, check string, server Server) *Conn {
	work, cancel := context.WithDeadline(ctx, endOf(ctx, time.Now()))
	x := dial.Begin(work, 1)
	return &Conn{
		ctx: ctx, cancel: cancel, client: c, server: server, exchange: x, result: r, others: map[string]*Conn{},
		record: probe.Exchange{Check: check, Target: r.Target(), URL: url(server), Reason: probe.OK, Expected: true, Started: x.Start()},
	}
}

// endOf is until when answers are waited for: what is left of the run is for what follows from their absence.
func endOf(ctx context.Context, now time.Time) time.Time {
	const withoutDeadline, margin = 10 * time.Second, 500 * time.Millisecond
	end, ok := ctx.Deadline()
	if !ok {
		end = now.Add(withoutDeadline)
	}
	return end.Add(-min(max(end.Sub(now)/10, 20*time.Millisecond), margin))
}

// abandon ends a connection that could not be opened and returns why.
func (c *Conn) abandon(err error) error {
	err = c.fail(err)
	c.end()
	return err
}

// fail notes what made the connection unusable, and explains it.
func (c *Conn) fail(err error) error {
	err = c.explain(err)
	if c.broken == nil {
		c.broken = asError(err)
		c.record.Reason, c.record.Expected = c.broken.Reason, false
	}
	return err
}

// Close ends the connection, and those to servers that it was sent on to.
func (c *Conn) Close() {
	for _, other := range c.others {
		other.Close()
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

// Peer returns the address that was dialled, IP:port.
func (c *Conn) Peer() string { return c.exchange.Peer() }

// Opened says whether the server answers somebody who has not logged in.
func (c *Conn) Opened() Opened { return c.open }

// InCluster reports whether the server says that it is one of a cluster, and so has a part of the keys only.
func (c *Conn) InCluster() bool { return c.mode == "cluster" }

// Broken reports whether the connection is of no more use.
func (c *Conn) Broken() bool { return c.broken != nil }

// maxRedirects is how often the servers of a cluster may send one question on. A cluster that is sound does it once, or
// twice while a slot is moved.
const maxRedirects = 4

// Do asks one question and returns its answer. A cluster's server that has not the key sends the question on; that is followed
// a few times. The error is an *Error, also for an answer that is one. The answer counts in the memory of the run until the
// next question.
func (c *Conn) Do(args ...string) (Value, error) {
	v, err := c.ask(args)
	at := c
	for range maxRedirects {
		moved := asError(err)
		if err == nil || moved.Code != "MOVED" && moved.Code != "ASK" {
			return v, err
		}
		if at, err = c.other(at, moved.moved); err != nil {
			return Value{}, err
		}
		if moved.Code == "ASK" {
			if _, err := at.ask([]string{"ASKING"}); err != nil {
				return Value{}, err
			}
		}
		v, err = at.ask(args)
	}
	if code := Code(err); code == "MOVED" || code == "ASK" {
		return Value{}, &Error{Outcome: probe.Outcomef(RedirectLoop, "expected a server that has the slot of the key, but the servers of the cluster sent the question on %d times: they do not agree on who has it", maxRedirects)}
	}
	return v, err
}

// other returns a connection to the server that another one names.
func (c *Conn) other(from *Conn, to move) (*Conn, error) {
	server, err := from.foundAt(to.host, to.port)
	if err != nil {
		return nil, err
	}
	if server.address == c.server.address {
		return c, nil
	}
	if known := c.others[server.address]; known != nil {
		return known, nil
	}
	if len(c.others) >= maxShards {
		return nil, &Error{Outcome: probe.Outcomef(RedirectLoop, "expected a cluster of at most %d primaries, but the server has sent the client to more", maxShards)}
	}
	opened, err := c.client.Connect(c.ctx, c.result, c.record.Check, server)
	if err != nil {
		return nil, err
	}
	c.others[server.address] = opened
	return opened, nil
}

// ask asks this server one question.
func (c *Conn) ask(args []string) (v Value, err error) {
	broken := c.Batch([][]string{args}, func(_ int, answer Value, refused error) { v, err = answer, refused })
	if broken != nil {
		return Value{}, broken
	}
	return v, err
}

// maxBatch is how many questions are sent before the first answer is read: what they are answered with fits into the buffers
// of a socket.
const maxBatch = 100

// Batch asks several questions at once and hands on each answer, or the *Error that it is, in their order. It returns the
// *Error that left the connection unusable, after which no more answers are handed on. Nothing is followed to other servers.
func (c *Conn) Batch(questions [][]string, each func(i int, answer Value, refused error)) error {
	for first := 0; first < len(questions); first += maxBatch {
		some := questions[first:min(first+maxBatch, len(questions))]
		if c.broken != nil {
			return c.broken
		}
		// An answer to nothing would be taken for the one to the next question, and each answer for another's.
		if first, _ := c.reader.in.Peek(min(c.reader.in.Buffered(), 1)); len(first) > 0 && first[0] != '>' {
			return c.fail(errMalformed)
		}
		var b []byte
		for _, args := range some {
			b = AppendCommand(b, args...)
		}
		if _, err := c.nc.Write(b); err != nil {
			return c.fail(err)
		}
		for i := range some {
			v, err := c.read()
			if err != nil {
				return c.fail(err)
			}
			if v.Kind == Failure {
				each(first+i, Value{}, refused(v.Text))
				continue
			}
			each(first+i, v, nil)
		}
	}
	return nil
}

// read reads one answer. What the last one took of the memory is given back.
func (c *Conn) read() (Value, error) {
	memory.Give(c.ctx, c.taken)
	c.taken, c.owed = 0, 0
	dial.Underlying(c.nc).SetReadLimit(4 * maxAnswer) // with what each item is written with
	v, err := c.reader.Read()
	c.answered = c.answered || err == nil
	return v, err
}

// charge takes memory for an answer, in a few steps.
func (c *Conn) charge(bytes int64) error {
	const step = 16 << 10
	if c.owed += bytes; c.owed < step {
		return nil
	}
	if err := memory.Take(c.ctx, c.owed); err != nil {
		return err
	}
	c.taken, c.owed = c.taken+c.owed, 0
	return nil
}

// plainVersion matches a version that is a plain number, such as 7.0.15; nothing else of what a server says of it is repeated.
var plainVersion = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,4}){0,2}$`)
