package httpx

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"sync"
	"time"

	"prober/internal/probe"
)

// A stage is the part of an exchange that is under way, in the order of probe.PhaseNames.
type stage int

const (
	stageNone stage = iota - 1
	stageResolve
	stageConnect
	stageTLS
	stageProcessing
	stageTransfer
)

func (s stage) String() string {
	if s == stageNone {
		return "start"
	}
	return probe.PhaseNames[s]
}

// A wire is one exchange as it goes over the network. It travels in the request's context: the transport calls it
// back for its connections and tells it what happens on them, from goroutines of its own, some of which may still
// run when the exchange is over.
type wire struct {
	ctx    context.Context // the request's; the transport detaches the one that it dials with
	cancel context.CancelCauseFunc
	client *Client

	host, port string         // of the URL
	name       string         // to ask for and verify in TLS
	addr       netip.AddrPort // dial this and nothing else; invalid: the addresses of host
	anonymous  bool
	started    time.Time
	dialsLeft  int // connections that may still be opened
	sendsLeft  int // times that the request may still be written
	safe       bool

	trace httptrace.ClientTrace

	mu       sync.Mutex
	over     bool
	stage    stage
	since    time.Time
	took     [len(probe.PhaseNames)]time.Duration
	happened [len(probe.PhaseNames)]bool
	peer     string
	expiry   time.Time
	opens    []net.Conn
	conn     *conn // the one that carries the request
	turn     uint32
	head     *head // of the answer
}

type wireKey struct{}

// bind makes the context that carries the wire.
func (w *wire) bind(ctx context.Context) context.Context {
	w.stage = stageNone
	w.ctx, w.cancel = ctx, func(error) {}
	if w.client.reuses || w.client.http2 {
		// Here a dial may outlive the exchange that began it, and a request may be sent again.
		w.ctx, w.cancel = context.WithCancelCause(ctx)
	}
	w.trace.GotConn = w.gotConn
	w.trace.GotFirstResponseByte = func() { w.enter(stageTransfer) }
	if w.client.reuses {
		w.trace.PutIdleConn = w.putIdle
	}
	return httptrace.WithClientTrace(context.WithValue(w.ctx, wireKey{}, w), &w.trace)
}

func wireOf(ctx context.Context) *wire {
	w, _ := ctx.Value(wireKey{}).(*wire)
	return w
}

// enter ends the stage under way and begins another. There is no way back: a connection that was dialled while
// another one came free must not rewrite what happened.
func (w *wire) enter(s stage) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || s <= w.stage {
		return
	}
	w.leave(now)
	w.stage, w.since = s, now
	w.happened[s] = true
}

func (w *wire) leave(now time.Time) {
	if w.stage != stageNone {
		w.took[w.stage] += now.Sub(w.since)
	}
}

// mayDial counts a connection that is about to be opened.
func (w *wire) mayDial() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dialsLeft--
	return w.dialsLeft >= 0 && !w.over
}

// toward says which address is dialled.
func (w *wire) toward(peer string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.peer = peer
}

// opened counts a connection. It returns false if the exchange is over and nobody wants it any more.
func (w *wire) opened(nc net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.opens = append(w.opens, nc)
	}
	return !w.over
}

func (w *wire) certified(expiry time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expiry = expiry
}

func (w *wire) peerNow() (string, time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.peer, w.expiry
}

// gotConn is told each time that the request is about to be written, and on which connection.
func (w *wire) gotConn(info httptrace.GotConnInfo) {
	w.enter(stageProcessing)
	c := own(info.Conn)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sendsLeft--
	// Over HTTP/1 net/http sends again only what it could not write, or may, on a connection that turns out to be
	// closed. Over HTTP/2 it also does whenever the server says so, but looks at the context before it writes.
	again := w.conn != nil
	if w.sendsLeft < 0 || (again && !w.safe && c != nil && !c.plain) {
		w.cancel(errResent)
	}
	if c == nil || w.over {
		return
	}
	w.conn = c
	w.turn, w.head = c.begin(w.client.bound)
	w.peer, w.expiry = c.peer, c.expiry
}

// putIdle is told that the connection waits for the next exchange.
func (w *wire) putIdle(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil && w.conn != nil && w.conn.plain {
		w.conn.rest(w.turn)
	}
}

// finish ends the exchange: what is still being dialled for it is given up, and what cannot be used again is closed.
func (w *wire) finish(end time.Time, why probe.Reason) {
	w.mu.Lock()
	w.leave(end)
	w.over = true
	opens, used := w.opens, w.conn
	w.mu.Unlock()
	w.cancel(nil)
	switch {
	case !w.client.reuses:
		for _, nc := range opens {
			if why != probe.OK || used == nil || beneath(used) != nc {
				nc.Close()
			}
		}
	case why == probe.Timeout && used != nil && !used.plain:
		// HTTP/2 would go on using a connection on which nothing comes any more, for as long as TCP has hope. It
		// takes net/http a while to see that it is closed; the next exchange must not meet it.
		w.client.given.Add(1)
		used.Close()
	}
}

// beneath is the socket below a connection.
func beneath(nc net.Conn) net.Conn {
	for {
		switch c := nc.(type) {
		case *conn:
			nc = c.Conn
		case *tls.Conn:
			nc = c.NetConn()
		default:
			return nc
		}
	}
}

// inspect refuses answers that net/http lets pass: versions that were not spoken, statuses that no answer can have,
// two lengths in one answer. It returns the name of the protocol.
func (w *wire) inspect(resp *http.Response) (proto string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	plain := w.conn != nil && w.conn.plain
	switch {
	case plain && resp.ProtoMajor != 1:
		return "", errVersion
	case plain && w.head.ambiguous():
		return "", errAmbiguous
	case resp.StatusCode < 200 || resp.StatusCode > 599:
		return "", errStatus
	case !plain:
		return "HTTP/2.0", nil
	case resp.ProtoMinor == 0:
		return "HTTP/1.0", nil
	}
	return "HTTP/1.1", nil
}

// tell writes on the exchange what happened. It is called after finish.
func (w *wire) tell(x *probe.Exchange, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if bad, ok := errors.AsType[*deniedError](err); ok {
		x.Denied = bad.class
	}
	if x.Denied == "" {
		x.Addr = w.peer
	}
	x.CertExpiry, x.Connections = w.expiry, len(w.opens)
	n := 0
	for _, h := range w.happened {
		if h {
			n++
		}
	}
	if n == 0 {
		return
	}
	x.Phases = make([]probe.Phase, 0, n)
	for i, h := range w.happened {
		if h {
			x.Phases = append(x.Phases, probe.Phase{Name: probe.PhaseNames[i], Took: w.took[i]})
		}
	}
}

// now returns the stage under way and the address dialled last.
func (w *wire) now() (stage, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stage, w.peer
}
