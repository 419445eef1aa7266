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
		queries := queryReader{log: queryLogOf(ctx)}
		if udp, ok := nc.(*net.UDPConn); ok {
			return &datagrams{udp, stop, queries}, nil // net checks for the methods of a packet connection to decide how to frame queries
		}
		return &stream{nc, stop, queries, nil}, nil
	}}
}

type datagrams struct {
	*net.UDPConn
	stop    func() bool
	queries queryReader
}

// Read notes the response that it reads.
func (d *datagrams) Read(p []byte) (int, error) {
	n, err := d.UDPConn.Read(p)
	d.queries.received(p[:n], true)
	d.queries.ended(err)
	return n, err
}

// Write notes the query that it writes.
func (d *datagrams) Write(p []byte) (int, error) {
	d.queries.sent(p)
	n, err := d.UDPConn.Write(p)
	d.queries.ended(err)
	return n, err
}

// Close also stops waiting for the context.
func (d *datagrams) Close() error {
	d.stop()
	return d.UDPConn.Close()
}

type stream struct {
	net.Conn
	stop    func() bool
	queries queryReader
	read    []byte // the beginning of a response
}

// Read notes the response that it reads.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	s.read = s.queries.stream(s.read, p[:n])
	s.queries.ended(err)
	return n, err
}

// Write notes the query that it writes, after its length.
func (s *stream) Write(p []byte) (int, error) {
	s.queries.sent(p[min(2, len(p)):])
	n, err := s.Conn.Write(p)
	s.queries.ended(err)
	return n, err
}

// Close also stops waiting for the context.
func (s *stream) Close() error {
	s.stop()
	return s.Conn.Close()
}
