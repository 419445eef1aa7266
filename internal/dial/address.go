package dial

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
)

// CheckHostPort refuses what is not host:port, and an address that is never dialled, so that a configuration with such an
// address can be rejected.
func CheckHostPort(address string) error {
	if !IsHostPort(address) {
		return errors.New("expected host:port")
	}
	host, _, _ := net.SplitHostPort(address)
	if ip, err := netip.ParseAddr(host); err == nil {
		return CheckAddr(ip)
	}
	return nil
}

// IsHostPort reports whether an address has the form host:port.
func IsHostPort(address string) bool {
	host, port, err := net.SplitHostPort(address)
	n, perr := strconv.ParseUint(port, 10, 16)
	return err == nil && perr == nil && n > 0 && host != "" && len(host) <= 255 && !strings.ContainsAny(host, "/\\ @?#")
}

// IsLocal reports whether a host is said to be this machine. A name is judged again when it is dialled, by its address.
func IsLocal(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// UnixScheme begins an address that is the path of a Unix socket: unix:/run/app.sock.
const UnixScheme = "unix:"

// maxSocketPath is how long the path of a socket can be on Linux (unix(7)): 108 bytes with its NUL.
const maxSocketPath = 107

// CheckUnix refuses what is not the absolute path of a Unix socket.
func CheckUnix(path string) error {
	if !filepath.IsAbs(path) || len(path) > maxSocketPath || strings.ContainsRune(path, 0) {
		return errors.New("expected unix: and the absolute path of a socket, of at most 107 bytes")
	}
	return nil
}

// connectUnix opens a connection to a socket of this machine.
func (d *Dialer) connectUnix(ctx context.Context, x *Exchange, path string) (net.Conn, error) {
	if err := CheckUnix(path); err != nil {
		return nil, err
	}
	x.Enter(PhaseConnect)
	x.toward(path)
	var nd net.Dialer
	return nd.DialContext(ctx, "unix", path)
}
