package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"prober/internal/drop"
	"prober/internal/probe"
)

// A Phase is a part of an exchange, in the order of probe.PhaseNames.
type Phase int

// The phases. Resolve, connect and TLS are entered by this package, the others by whoever speaks to the target.
const (
	PhaseNone Phase = iota - 1
	PhaseResolve
	PhaseConnect
	PhaseTLS
	PhaseProcessing // the question is sent and the answer waited for
	PhaseTransfer   // the answer is read
)

// String returns the phase's name in probe.PhaseNames, "start" for PhaseNone.
func (p Phase) String() string {
	if p == PhaseNone {
		return "start"
	}
	return probe.PhaseNames[p]
}

// An Exchange is one question to a target and its answer as seen by the network: phases, connections and errors. It is
// carried by a context. Its methods may be called from several goroutines, even after it has ended.
type Exchange struct {
	ctx      context.Context
	maxConns int

	mu       sync.Mutex
	over     bool
	started  time.Time
	phase    Phase
	since    time.Time
	took     [len(probe.PhaseNames)]time.Duration
	happened [len(probe.PhaseNames)]bool
	host     string // looked up last
	family   string // that was looked up alone, "IPv4 " or "IPv6 "
	name     string // verified last in TLS
	peer     string // dialled last, or that of the connection used
	through  string // who is spoken to over that connection, if another; for a sentence
	expiry   time.Time
	conns    []*Conn
	dials    int
	private  bool // only loopback may be dialled
}

type exchangeKey struct{}

// Begin begins an exchange that ends by ctx's deadline and opens at most maxConns connections.
//
//go:noinline
func Begin(ctx context.Context, maxConns int) *Exchange {
	x := &Exchange{maxConns: maxConns, phase: PhaseNone}
	x.ctx = context.WithValue(ctx, exchangeKey{}, x)
	return x
}

// Context returns the context that carries the exchange to whatever dials for it.
func (x *Exchange) Context() context.Context { return x.ctx }

func exchangeOf(ctx context.Context) *Exchange {
	x, _ := ctx.Value(exchangeKey{}).(*Exchange)
	return x
}

// bound returns ctx, also bounded by the exchange's own context. A client may dial with a shorter one, and net/http dials
// with one that does not end with the request.
func (x *Exchange) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx == x.ctx {
		return ctx, func() {}
	}
	var cancel context.CancelFunc
	if end, ok := x.ctx.Deadline(); ok { // a time to share among addresses
		ctx, cancel = context.WithDeadline(ctx, end)
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	stop := context.AfterFunc(x.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// Start starts the clock of the exchange, for messages that say how long it took, and returns the time.
func (x *Exchange) Start() time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.started = time.Now()
	return x.started
}

// Enter ends the current phase and begins another. Phases never go back: a connection that was dialled while another one
// became free must not change what was recorded.
func (x *Exchange) Enter(p Phase) {
	now := time.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over || p <= x.phase {
		return
	}
	x.leave(now)
	x.phase, x.since = p, now
	x.happened[p] = true
}

func (x *Exchange) leave(now time.Time) {
	if x.phase != PhaseNone {
		x.took[x.phase] += now.Sub(x.since)
	}
}

// Pause leaves a time out of the current phase: the prober waited for something of its own.
func (x *Exchange) Pause(d time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.since = x.since.Add(d)
}

// Phase returns the current phase.
func (x *Exchange) Phase() Phase { return x.progress().phase }

// Peer returns the address dialled last, that of the connection used, or who is behind it; empty if there is none.
//
//go:noinline
func (x *Exchange) Peer() string { return x.progress().peer }

// Use notes which connection the exchange uses. Another exchange may have opened it.
func (x *Exchange) Use(c *Conn) {
	end := c.CertExpiry()
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.over {
		x.peer, x.expiry = c.peer, end
	}
}

// Through notes that whoever is spoken to from now on is behind the address that was dialled, such as a server behind a proxy.
// Messages name it, and the certificate of the proxy is not taken for its own.
func (x *Exchange) Through(who string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.through, x.expiry = who, time.Time{}
}

// mayOpen counts a connection that is about to be opened.
func (x *Exchange) mayOpen() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.dials++
	return x.dials <= x.maxConns && !x.over
}

// opened registers a connection and binds it to the exchange. It closes the connection if the exchange has ended.
func (x *Exchange) opened(nc net.Conn, maxRead int64) (*Conn, error) {
	c := &Conn{Conn: nc}
	c.left.Store(maxRead)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		nc.Close()
		return nil, context.Canceled
	}
	c.peer = x.peer
	c.Bind(x.ctx)
	x.conns = append(x.conns, c)
	return c, nil
}

// OnlyLoopback lets the exchange dial nothing but this machine from now on: what it sends is secret and not encrypted. A name
// is judged by the addresses that it has when it is dialled.
func (x *Exchange) OnlyLoopback() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.private = true
}

// mayReach returns those of the addresses that the exchange may dial. The error says why there is none.
func (x *Exchange) mayReach(addrs []netip.AddrPort) ([]netip.AddrPort, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.private || len(addrs) == 0 {
		return addrs, nil
	}
	local := drop.If(slices.Clone(addrs), func(a netip.AddrPort) bool { return !a.Addr().Unmap().IsLoopback() })
	if len(local) == 0 {
		return nil, &credentialError{fmt.Errorf("the credential is not sent: %s is not this machine, and nothing is encrypted on the way there", addrs[0].Addr())}
	}
	return local, nil
}

// toward notes which address is dialled.
func (x *Exchange) toward(peer string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.peer = peer
}

func (x *Exchange) resolves(host, family string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.host, x.family = host, family
}

func (x *Exchange) verifies(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.name = name
}

func (x *Exchange) certified(expiry time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.expiry = expiry
}

// End ends the exchange at a time and with it the current phase. Connections that are opened later are closed at once; the
// others stay open.
func (x *Exchange) End(at time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return
	}
	x.leave(at)
	x.over = true
}

// Close ends the exchange and closes every connection that was opened for it.
//
//go:noinline
func (x *Exchange) Close() { x.CloseAllBut(nil) }

// CloseAllBut ends the exchange and closes every connection that was opened for it but one.
func (x *Exchange) CloseAllBut(kept *Conn) {
	x.End(time.Now())
	x.mu.Lock()
	conns := x.conns
	x.mu.Unlock()
	for _, c := range conns {
		if c != kept {
			c.Close()
		}
	}
}

// Fill adds what happened on the network to a record. The error is the one that ended the exchange, or nil. It is called
// after the exchange has ended.
func (x *Exchange) Fill(record *probe.Exchange, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if bad, ok := errors.AsType[*DeniedError](err); ok {
		record.Denied = bad.class
	}
	if record.Denied == "" {
		record.Addr = x.peer
	}
	record.CertExpiry, record.Connections = x.expiry, len(x.conns)
	n := 0
	for _, h := range x.happened {
		if h {
			n++
		}
	}
	if n == 0 {
		return
	}
	record.Phases = make([]probe.Phase, 0, n)
	for i, h := range x.happened {
		if h {
			record.Phases = append(record.Phases, probe.Phase{Name: probe.PhaseNames[i], Took: x.took[i]})
		}
	}
}
