package dial

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"prober/internal/probe"
)

// CheckHostPort refuses what is not host:port, and an address that is never dialled, so that a configuration with such an
// address can be rejected.
func CheckHostPort(address string) error {
	host, _, err := net.SplitHostPort(address)
	switch {
	case IsHostPort(address):
	case err == nil && host != "" && !strings.ContainsAny(host, "/\\ @?#"):
		return errNoHost
	default:
		return errors.New("expected host:port")
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return CheckAddr(ip)
	}
	return nil
}

var errNoHost = errors.New("expected a name, or an address in its usual form")

// IsHostPort reports whether an address has the form host:port.
func IsHostPort(address string) bool {
	host, port, err := net.SplitHostPort(address)
	n, perr := strconv.ParseUint(port, 10, 16)
	return err == nil && perr == nil && n > 0 && IsHost(host)
}

// label is a part of a name: 1 to 63 characters (RFC 1035, section 2.3.4), of which neither the first nor the last is a hyphen.
var label = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// IsHost reports whether a host is an address, or a name that can be looked up, in whatever script. What ends in a number is an address in
// a form that some read and others do not (URL Standard, section 3.5), and no name.
func IsHost(host string) bool {
	name := HostName(host)
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	name = strings.TrimSuffix(name, ".")
	labels := strings.Split(name, ".")
	return len(name) <= 253 && !isNumber(labels[len(labels)-1]) && !slices.ContainsFunc(labels, func(l string) bool { return !label.MatchString(l) })
}

// isNumber reports whether a label is a number in decimal, octal or hexadecimal digits.
func isNumber(label string) bool {
	_, err := strconv.ParseUint(label, 0, 64)
	return err == nil || strings.Trim(label, "0123456789") == ""
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
