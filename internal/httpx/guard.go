package httpx

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// Classes of addresses that are never dialled, whatever a name server says. Loopback and private networks are what
// a prober is for.
const (
	classLinkLocal   = "link_local"
	classMetadata    = "metadata"
	classUnspecified = "unspecified"
	classMulticast   = "multicast"
)

// spoken is how a class is called in a sentence.
func spoken(class string) string {
	if class == classMetadata {
		return "where clouds hand out credentials"
	}
	return strings.ReplaceAll(class, "_", "-")
}

// metadata are the addresses at which clouds hand out the credentials of the machine.
var metadata = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), // nearly all
	netip.MustParseAddr("fd00:ec2::254"),   // AWS over IPv6
	netip.MustParseAddr("fd20:ce::254"),    // Google over IPv6
	netip.MustParseAddr("100.100.100.200"), // Alibaba
	netip.MustParseAddr("192.0.0.192"),     // Oracle
}

var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: an IPv4 address in its last four bytes
	broadcast = netip.MustParseAddr("255.255.255.255")
	thisNet   = netip.MustParsePrefix("0.0.0.0/8")
)

// denied returns the class for which an address is never dialled; empty if it may be.
func denied(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	if nat64.Contains(ip) {
		b := ip.As16()
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	switch {
	case slices.Contains(metadata, ip):
		return classMetadata
	case ip.IsLinkLocalUnicast():
		return classLinkLocal
	case ip.IsMulticast(), ip == broadcast:
		return classMulticast
	case ip.IsUnspecified(), thisNet.Contains(ip):
		return classUnspecified
	}
	return ""
}

// A deniedError says that an address was not dialled.
type deniedError struct {
	addr  netip.Addr
	class string
}

func (e *deniedError) Error() string {
	return e.addr.String() + " is " + spoken(e.class) + ": such an address is never dialled"
}

// guard is asked by the dialer for each socket, with the address that it is about to connect: behind every name, and
// too late for a name server to change its mind.
func guard(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return &deniedError{class: classUnspecified}
	}
	if class := denied(to.Addr()); class != "" {
		return &deniedError{to.Addr(), class}
	}
	return nil
}
