package dial

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// maxTries is how many addresses are tried for one connection. A name may have any number of them.
const maxTries = 16

// maxShares is into how many parts the time is divided at most. What is refused at once leaves its part to the others.
const maxShares = 6

// lateFamily is which part of the time that is left may be spent waiting for the addresses of one family, once those of the
// other have failed.
const lateFamily = 2

// connect tries the addresses of a host one after the other, without racing them.
func (d *Dialer) connect(ctx context.Context, x *Exchange, network, host, port string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx) // ends a look-up that nobody waits for any more
	defer cancel()
	found, n, err := d.search(ctx, x, network, host, port)
	if err != nil {
		return nil, err
	}
	t := attempts{dialer: d, exchange: x, network: network, port: n}
	addrs := found.first()
	if len(addrs) == 0 {
		return nil, found.err()
	}
	x.Enter(PhaseConnect)
	for len(addrs) > 0 && t.made < maxTries && !t.over {
		n := maxTries - t.made
		if found.pending > 0 {
			n = min(n, maxTries/2) // the rest is also for the other family, whichever comes first
		}
		n = min(n, len(addrs))
		if nc := t.try(ctx, addrs[:n], found.pending); nc != nil {
			return nc, nil
		}
		if addrs = addrs[n:]; found.pending > 0 && !t.over {
			addrs = inTurn(found.rest(lateness(ctx)), addrs)
		}
	}
	x.toward(t.peer)
	return nil, t.last
}

// lateness is how long to wait for a late answer.
func lateness(ctx context.Context) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return time.Until(end) / lateFamily
	}
	return time.Second
}

// attempts are the tries to connect to the addresses of one host.
type attempts struct {
	dialer   *Dialer
	exchange *Exchange
	network  string
	port     uint16

	made int
	over bool   // no further address is to be tried
	last error  // that says most
	peer string // of the last error
}

// try dials the addresses until one answers. Some time is left for others that are not known yet.
func (t *attempts) try(ctx context.Context, ips []netip.Addr, pending int) net.Conn {
	var addrs []netip.AddrPort
	for _, ip := range ips {
		addrs = append(addrs, netip.AddrPortFrom(ip, t.port))
	}
	reachable, err := t.exchange.mayReach(addrs)
	if err != nil && t.last == nil {
		t.last = err
	}
	for i, addr := range reachable {
		t.made++
		peer := addr.String()
		if t.network == networkICMP {
			peer = addr.Addr().String()
		}
		t.exchange.toward(peer)
		nc, err := t.dialer.connectTo(ctx, t.network, addr, len(reachable)-i+pending)
		if err == nil {
			return nc
		}
		// A refusal says more than the error of an address family that this machine does not have.
		if t.peer == "" || !local(err) {
			t.last, t.peer = err, peer
		}
		if ctx.Err() != nil || errors.As(err, new(*DeniedError)) {
			t.over = true
			return nil
		}
	}
	return nil
}
