package dial

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"prober/internal/probe"
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

// queueRetry is how long to wait for room in the queue of a socket before the next try.
const queueRetry = 20 * time.Millisecond

// connectUnix opens a connection to a socket of this machine. As for a port, a server that is busy is waited for.
func (d *Dialer) connectUnix(ctx context.Context, x *Exchange, path string) (net.Conn, error) {
	if err := CheckUnix(path); err != nil {
		return nil, err
	}
	x.Enter(PhaseConnect)
	x.toward(path)
	retry := time.NewTicker(queueRetry)
	defer retry.Stop()
	for {
		nc, err := new(net.Dialer).DialContext(ctx, "unix", path)
		errno, ok := errors.AsType[syscall.Errno](err)
		switch {
		case !ok:
			return nc, err
		case errno != syscall.EAGAIN:
			return nil, &socketError{path, errno}
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// A socketError says why there is no connection to a socket of this machine. Its causes are not those of a network.
type socketError struct {
	path  string
	errno syscall.Errno
}

func (e *socketError) Error() string { return e.outcome().Detail }

func (e *socketError) outcome() probe.Outcome {
	switch e.errno {
	case syscall.ENOENT, syscall.ENOTDIR, syscall.ELOOP:
		return probe.Outcomef(probe.Refused, "nobody listens at %s: there is no such file", e.path)
	case syscall.ECONNREFUSED:
		return probe.Outcomef(probe.Refused, "nobody listens at %s: its server is gone, or it is no socket", e.path)
	case syscall.EPROTOTYPE:
		return probe.Outcomef(probe.Protocol, "%s is a socket of another type: it takes messages, not connections", e.path)
	case syscall.EACCES, syscall.EPERM:
		return probe.Outcomef(probe.Credential, "the user of this process may not connect to %s", e.path)
	}
	if said := selfNetwork[e.errno]; said != "" {
		return probe.Outcomef(probe.SelfNetwork, "%s", said)
	}
	return probe.Outcomef(probe.Refused, "no connection to %s: this machine's kernel answers %q", e.path, e.errno.Error())
}
