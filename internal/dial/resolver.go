package dial

import (
	"cmp"
	"context"
	"net"
)

// system asks the name servers of this machine.
var system = newResolver("")

// Resolver returns a resolver that asks the name server at addr, host:port, and no other; the machine's own if addr is
// empty. A question that is no longer waited for ends at once: left to itself net would wait on for five seconds, with a
// socket and a goroutine each.
func Resolver(addr string) *net.Resolver {
	if addr == "" {
		return system
	}
	return newResolver(addr)
}

func newResolver(addr string) *net.Resolver {
	return &net.Resolver{PreferGo: addr != "", Dial: func(ctx context.Context, network, at string) (net.Conn, error) {
		var d net.Dialer
		nc, err := d.DialContext(ctx, network, cmp.Or(addr, at))
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(ctx, func() { nc.Close() })
		if udp, ok := nc.(*net.UDPConn); ok {
			return &datagrams{udp, stop}, nil // which net asks for what it can do, to know how to frame questions
		}
		return &stream{nc, stop}, nil
	}}
}

type datagrams struct {
	*net.UDPConn
	stop func() bool
}

// Close ends the wait for the context too.
func (d *datagrams) Close() error {
	d.stop()
	return d.UDPConn.Close()
}

type stream struct {
	net.Conn
	stop func() bool
}

// Close ends the wait for the context too.
func (s *stream) Close() error {
	s.stop()
	return s.Conn.Close()
}
