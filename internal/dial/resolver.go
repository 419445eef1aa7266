package dial

import (
	"cmp"
	"context"
	"net"
)

// system asks the name servers of this machine.
var system = newResolver("")

// Resolver returns a resolver that asks only the name server at addr, host:port, or the machine's own if addr is empty. A
// query ends with its context: package net alone would keep waiting for five seconds, with a socket and a goroutine.
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
			return &datagrams{udp, stop}, nil // net checks for the methods of a packet connection to decide how to frame queries
		}
		return &stream{nc, stop}, nil
	}}
}

type datagrams struct {
	*net.UDPConn
	stop func() bool
}

// Close also stops waiting for the context.
func (d *datagrams) Close() error {
	d.stop()
	return d.UDPConn.Close()
}

type stream struct {
	net.Conn
	stop func() bool
}

// Close also stops waiting for the context.
func (s *stream) Close() error {
	s.stop()
	return s.Conn.Close()
}
