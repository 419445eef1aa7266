//go:build !linux

package dial

import (
	"net"
	"net/netip"
)

// openPing opens a socket for echo requests. Only Linux has them here.
func openPing(netip.Addr, Ping) (net.Conn, error) { return nil, ErrPing }
