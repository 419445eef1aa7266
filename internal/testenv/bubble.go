package testenv

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// loopback is the address of the servers in memory.
var loopback = netip.MustParseAddr("127.0.0.1")

var (
	handlers sync.Map // http.Handler by IP:port
	ports    atomic.Uint32
	clocks   sync.Map // by the name of a test: what time it was at the end of its last bubble
)

// ServeInMemory returns the URL of a server that is reached only by what an Open of a Bubble opens.
func ServeInMemory(t testing.TB, handler http.Handler) string {
	t.Helper()
	address := netip.AddrPortFrom(loopback, uint16(ports.Add(1))).String()
	handlers.Store(address, handler)
	t.Cleanup(func() { handlers.Delete(address) })
	return "http://" + address
}

// An Open opens a connection to an IP:port.
type Open = func(ctx context.Context, network, address string) (net.Conn, error)

// Bubble calls f in a bubble of package synctest: what waits takes no time, and what happens does so at an exact time. Open
// reaches the servers in memory, whose handlers run in the bubble too. Connections end with it. The clock goes on from one
// bubble of a test to the next; it begins at the time of the machine.
func Bubble(t *testing.T, f func(ctx context.Context, open Open)) {
	t.Helper()
	name, now := t.Name(), time.Now()
	if last, ok := clocks.Load(name); ok && last.(time.Time).After(now) {
		now = last.(time.Time)
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(now))
		n := &network{servers: map[string]*listener{}}
		defer n.close()
		f(t.Context(), n.open)
		clocks.Store(name, time.Now())
	})
}

// A network has the connections of one bubble.
type network struct {
	mu      sync.Mutex
	servers map[string]*listener
	busy    sync.WaitGroup // connections; each is counted before anybody can wait
}

func (n *network) open(_ context.Context, _, address string) (net.Conn, error) {
	handler, ok := handlers.Load(address)
	if !ok {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.servers[address]
	if l == nil {
		l = serve(address, handler.(http.Handler), n.busy.Done)
		n.servers[address] = l
	}
	client := net.TCPAddrFromAddrPort(netip.AddrPortFrom(loopback, 1))
	ours, theirs := connect(client, l.Addr())
	n.busy.Add(1)
	l.conns <- theirs
	return ours, nil
}

func (n *network) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.servers {
		l.server.Close()
		<-l.done
		l.refuse(n.busy.Done)
	}
	n.busy.Wait()
}

// A listener is that of a server in memory.
type listener struct {
	server *http.Server
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	done   chan struct{} // the server has ended
}

// serve starts a server. It calls ended for each connection that it has served.
func serve(address string, handler http.Handler, ended func()) *listener {
	l := &listener{
		server: &http.Server{Handler: handler}, addr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address)),
		conns: make(chan net.Conn, 1), closed: make(chan struct{}), done: make(chan struct{}),
	}
	l.server.ConnState = func(c net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			if l.ended() {
				c.Close() // accepted too late for server.Close to know of it
			}
		case http.StateClosed, http.StateHijacked:
			ended()
		}
	}
	go func() {
		defer close(l.done)
		_ = l.server.Serve(l)
	}()
	return l
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, errors.New("closed")
	}
}

// refuse closes the connections that were not accepted, once the server has ended.
func (l *listener) refuse(ended func()) {
	for {
		select {
		case c := <-l.conns:
			c.Close()
			ended()
		default:
			return
		}
	}
}

func (l *listener) ended() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }
