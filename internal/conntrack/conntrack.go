// Package conntrack stands in for github.com/mwitkow/go-conntrack, which the configuration package of
// github.com/prometheus/common imports for HTTP clients that the prober does not have. The original brings
// golang.org/x/net/trace, which registers pages at /debug/requests in every process and keeps text/template, and with it
// every method of every type, in the binary: 1.8 MB. docs/decisions/no-templates.md has the figures.
package conntrack

import (
	"context"
	"net"
)

// A DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// An Option changes the DialFunc that NewDialContextFunc returns.
type Option func(*DialFunc)

// NewDialContextFunc returns the dial function that the options name, or that of net.Dialer. It counts no connections.
func NewDialContextFunc(options ...Option) DialFunc {
	dial := DialFunc(new(net.Dialer).DialContext)
	for _, option := range options {
		option(&dial)
	}
	return dial
}

// DialWithDialContextFunc dials with the given function.
func DialWithDialContextFunc(dial DialFunc) Option { return func(d *DialFunc) { *d = dial } }

// DialWithName does nothing: connections are not counted.
func DialWithName(string) Option { return func(*DialFunc) {} }

// DialWithTracing does nothing: connections are not traced.
func DialWithTracing() Option { return func(*DialFunc) {} }
