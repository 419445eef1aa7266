package httpx

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"
)

// Bounds of what one exchange may open. net/http dials again and again for a server that answers each connection
// with GOAWAY; a name may have any number of addresses.
const (
	maxDials = 2 // connections
	maxTries = 4 // addresses tried for one connection
)

var errBudget = errors.New("more than 2 connections for one request")

// dialer connects to addresses only, never to names. A prober's connections are short: keep-alive packets would
// only cost system calls.
var dialer = net.Dialer{KeepAlive: -1, ControlContext: guard}

// dial opens a connection for the exchange, by its own deadline: net/http would let a dial go on after the request
// was given up.
func (w *wire) dial(secure bool) (net.Conn, error) {
	if !w.mayDial() {
		return nil, errBudget
	}
	nc, err := w.connect()
	if err != nil {
		return nil, err
	}
	if !w.opened(nc) {
		nc.Close()
		return nil, context.Canceled
	}
	if !secure {
		return w.tracked(nc, true), nil
	}
	w.enter(stageTLS)
	out, err := w.handshake(nc)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return out, nil
}

// tracked returns the connection as one that is not trusted.
func (w *wire) tracked(nc net.Conn, plain bool) *conn {
	c := &conn{Conn: nc, plain: plain}
	c.peer, c.expiry = w.peerNow()
	c.left.Store(w.client.bound)
	return c
}

// connect tries the addresses of the exchange's host one after the other, as a client without tricks would.
func (w *wire) connect() (net.Conn, error) {
	addrs, err := w.addresses()
	if err != nil {
		return nil, err
	}
	w.enter(stageConnect)
	addrs = addrs[:min(len(addrs), maxTries)]
	last, peer := error(&net.DNSError{IsNotFound: true}), ""
	for i, addr := range addrs {
		w.toward(addr.String())
		nc, err := w.connectTo(addr, len(addrs)-i)
		if err == nil {
			return nc, nil
		}
		// An address family that this machine does not have says less than a refusal at another address.
		if peer == "" || !local(err) {
			last, peer = err, addr.String()
		}
		if w.ctx.Err() != nil || errors.As(err, new(*deniedError)) {
			break
		}
	}
	w.toward(peer)
	return nil, last
}

// connectTo dials one address, and leaves time for the others that are left.
func (w *wire) connectTo(addr netip.AddrPort, left int) (net.Conn, error) {
	ctx := w.ctx
	if end, ok := ctx.Deadline(); ok && left > 1 {
		share, cancel := context.WithTimeout(ctx, time.Until(end)/time.Duration(left))
		defer cancel()
		ctx = share
	}
	// DialTCP would bind a port first, one of 28,000 that no other connection of this machine then has; as it is the
	// kernel only wants the four numbers of a connection to be its own.
	return dialer.DialContext(ctx, "tcp", addr.String())
}

// addresses are the one that the exchange is bound to, or those of its host.
func (w *wire) addresses() ([]netip.AddrPort, error) {
	if w.addr.IsValid() {
		return []netip.AddrPort{w.addr}, nil
	}
	port, err := strconv.ParseUint(w.port, 10, 16)
	if err != nil {
		return nil, err
	}
	if ip, err := netip.ParseAddr(w.host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip, uint16(port))}, nil
	}
	w.enter(stageResolve)
	ips, err := w.client.Resolver().LookupNetIP(w.ctx, "ip", w.host)
	if err != nil {
		return nil, err
	}
	out := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		out[i] = netip.AddrPortFrom(ip.Unmap(), uint16(port))
	}
	return out, nil
}

// local reports whether an error lies with this machine.
func local(err error) bool {
	for errno := range selfNetwork {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// hostOf returns the host of a URL as DNS and TLS know it.
func hostOf(u *url.URL) string {
	host := u.Hostname()
	for i := range len(host) {
		if host[i] >= utf8.RuneSelf {
			if ascii, err := httpguts.PunycodeHostPort(host); err == nil {
				return ascii
			}
			break
		}
	}
	return host
}

func portOf(u *url.URL) string {
	if u.Scheme == "https" {
		return cmp.Or(u.Port(), "443")
	}
	return cmp.Or(u.Port(), "80")
}
