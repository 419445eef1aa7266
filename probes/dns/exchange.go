package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/text"
)

const (
	maxMessage = 1<<16 - 1
	minBuffer  = 4096    // for datagrams; longer ones are more than was offered
	maxRead    = 1 << 20 // what a server may send to one question

	// maxStrangers is how many datagrams that answer something else are passed over. Anybody can send one.
	maxStrangers = 100
)

// margin is what is left of a run for what follows from an answer that did not come.
const margin = 100 * time.Millisecond

// A server is one that is asked.
type server struct {
	probe   *Probe
	result  *probe.Result
	address string
}

// An answer is what came of one question.
type answer struct {
	believed
	record  probe.Exchange
	outcome probe.Outcome // why there is no answer; OK if there is one
	over    string        // UDP, TCP or TLS
	trusted bool          // nobody on the way can have changed it
}

// answered reports whether there is an answer.
func (a *answer) answered() bool { return a.outcome.Reason == probe.OK }

// ask asks one question, once. An answer that is truncated over UDP is asked for over TCP, at the same address.
func (s *server) ask(ctx context.Context, check string, asked dnsmessage.Question, f flags) *answer {
	x := dial.Begin(ctx, 2)
	scheme := "dns://"
	if s.probe.Transport == transportTLS {
		scheme = "tls://"
	}
	a := &answer{record: probe.Exchange{Check: check, Target: s.result.Target(), URL: scheme + s.address, Reason: probe.OK, Started: x.Start()}}
	watch := probe.LatenessOf(ctx)
	late := watch.Total()
	c := conversation{server: s, exchange: x}
	r, err := c.converse(asked, f)
	x.Close()
	a.record.Took, a.record.Late = time.Since(a.record.Started), watch.Total()-late
	a.outcome, a.over = probe.Outcome{Reason: probe.OK}, c.over
	if err != nil {
		a.outcome = c.explain(err)
	} else {
		a.believed = believe(r, asked)
	}
	a.record.Reason, a.record.Expected = a.outcome.Reason, a.answered()
	x.Fill(&a.record, err)
	peer, _ := netip.ParseAddrPort(a.record.Addr)
	a.trusted = peer.Addr().Unmap().IsLoopback() || s.probe.Transport == transportTLS && (s.probe.TLS == nil || !s.probe.TLS.InsecureSkipVerify)
	s.result.Exchanged(a.record)
	return a
}

// A conversation is one question on its way.
type conversation struct {
	server    *server
	exchange  *dial.Exchange
	query     *query
	strangers int
	over      string
	cut       bool // over UDP
}

func (c *conversation) converse(asked dnsmessage.Question, f flags) (*response, error) {
	var err error
	if c.query, err = newQuery(asked, f); err != nil {
		return nil, err
	}
	address := c.server.address
	if c.server.probe.Transport == transportUDP {
		r, err := c.overUDP(address)
		if err != nil || !r.header.Truncated {
			return r, err
		}
		address, c.cut = c.exchange.Peer(), true
	}
	return c.overStream(address)
}

func (c *conversation) overUDP(address string) (*response, error) {
	c.over = "UDP"
	nc, err := c.server.probe.dialer.DialContext(c.exchange.Context(), "udp", address)
	if err != nil {
		return nil, err
	}
	c.exchange.Enter(dial.PhaseProcessing)
	if _, err := nc.Write(c.query.packed); err != nil {
		return nil, err
	}
	for buffer := make([]byte, max(minBuffer, c.server.probe.EDNS.Size)); c.strangers < maxStrangers; {
		n, err := nc.Read(buffer)
		if err != nil {
			return nil, err
		}
		r, err := c.query.read(buffer[:n])
		if !errors.Is(err, errOther) {
			return r, err
		}
		c.strangers++
	}
	return nil, errOther
}

// overStream asks over TCP or TLS, where each message has its length before it.
func (c *conversation) overStream(address string) (*response, error) {
	c.over = "TCP"
	dialer, ctx := c.server.probe.dialer, c.exchange.Context()
	open := dialer.DialContext
	if c.server.probe.Transport == transportTLS {
		c.over, open = "TLS", dialer.DialTLSContext
	}
	nc, err := open(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c.exchange.Enter(dial.PhaseProcessing)
	if _, err := nc.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(c.query.packed))), c.query.packed...)); err != nil {
		return nil, err
	}
	var r *response
	message, err := c.readMessage(nc)
	if err == nil {
		r, err = c.query.read(message)
	}
	switch {
	case errors.Is(err, errOther):
		c.strangers++
	case err == nil && r.header.Truncated:
		return nil, errCut
	}
	return r, err
}

// errCut is the error of an answer that is truncated where answers of any length are possible.
var errCut = errors.New("the answer is truncated over TCP")

func (c *conversation) readMessage(nc net.Conn) ([]byte, error) {
	var length, id [2]byte
	if n, err := io.ReadFull(nc, length[:]); err != nil {
		if n > 0 {
			c.exchange.Enter(dial.PhaseTransfer)
		}
		return nil, err
	}
	c.exchange.Enter(dial.PhaseTransfer)
	n := int(binary.BigEndian.Uint16(length[:]))
	if n < len(id) {
		return nil, errOther
	}
	if _, err := io.ReadFull(nc, id[:]); err != nil {
		return nil, cutOff(err)
	}
	if binary.BigEndian.Uint16(id[:]) != c.query.id { // another protocol, whose bytes are no length: as many may never come
		return nil, errOther
	}
	message := append(make([]byte, 0, n), id[:]...)[:n]
	if _, err := io.ReadFull(nc, message[len(id):]); err != nil {
		return nil, cutOff(err)
	}
	return message, nil
}

// cutOff returns the error of a read within a message.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// explain says why there is no answer.
func (c *conversation) explain(err error) (o probe.Outcome) {
	switch {
	case errors.Is(err, errCut):
		o = probe.Outcomef(probe.Truncated, "expected a complete answer over %s, got one that says it is truncated", c.over)
	case errors.Is(err, errBroken):
		o = probe.Outcomef(probe.Protocol, "expected a DNS message, got one whose records cannot be read")
	case errors.Is(err, errOther):
		o = probe.Outcomef(probe.Protocol, "expected an answer to the question")
	default:
		o = c.exchange.Explain(err)
	}
	if c.strangers > 0 {
		if o.Reason == probe.Timeout {
			o.Reason = probe.Protocol
		}
		o.Detail += ", got " + text.Count(c.strangers, "message") + " with another id, name or type"
	}
	if c.cut {
		o.Detail += " (the answer over UDP is truncated, so TCP is needed)"
	}
	return o
}
