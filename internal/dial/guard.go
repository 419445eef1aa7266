package dial

import (
	"net/netip"
	"slices"
	"strings"
)

// Classes of addresses that are never dialled, whatever a name server says. Loopback and private networks are allowed:
// a prober is made for them.
const (
	classLinkLocal   = "link_local"
	classMetadata    = "metadata"
	classUnspecified = "unspecified"
	classMulticast   = "multicast"
)

// className returns the name of a class for a message.
func className(class string) string {
	if class == classMetadata {
		return "where clouds hand out credentials"
	}
	return strings.ReplaceAll(class, "_", "-")
}

// metadata are the addresses at which clouds hand out the credentials of the machine.
var metadata = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), // most clouds
	netip.MustParseAddr("fd00:ec2::254"),   // AWS over IPv6
	netip.MustParseAddr("fd20:ce::254"),    // Google over IPv6
	netip.MustParseAddr("100.100.100.200"), // Alibaba
	netip.MustParseAddr("192.0.0.192"),     // Oracle
}

var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052: an IPv4 address in its last four bytes
	localNAT64 = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215: the same, within one network, or in the form for 48 bits
	sixToFour  = netip.MustParsePrefix("2002::/16")      // RFC 3056: one in bytes 2 to 5
	compatible = netip.MustParsePrefix("::/96")          // RFC 4291, section 2.5.5.1: one in the last four bytes
	broadcast  = netip.MustParseAddr("255.255.255.255")
	thisNet    = netip.MustParsePrefix("0.0.0.0/8")
)

// embedded returns the IPv4 address that is embedded in an IPv6 address, or the address itself.
func embedded(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	b := ip.As16()
	switch {
	case sixToFour.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6]))
	case ip.IsLoopback(), ip.IsUnspecified():
		return ip
	case localNAT64.Contains(ip) && [4]byte(b[12:]) == [4]byte{}: // the form of RFC 6052 for a prefix of 48 bits
		return netip.AddrFrom4([4]byte{b[6], b[7], b[9], b[10]})
	case nat64.Contains(ip), localNAT64.Contains(ip), compatible.Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return ip
}

// denied returns the class of an address that is never dialled; empty if it may be dialled.
func denied(ip netip.Addr) string {
	ip = embedded(ip)
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

// A DeniedError says that an address was not dialled because of its class.
type DeniedError struct {
	addr  netip.Addr
	class string
}

func (e *DeniedError) Error() string {
	return e.addr.String() + " is " + className(e.class) + ": such an address is never dialled"
}

// CheckAddr returns a DeniedError for an address that is never dialled, so that a configuration with such an address can
// be rejected.
func CheckAddr(ip netip.Addr) error {
	if class := denied(ip); class != "" {
		return &DeniedError{ip, class}
	}
	return nil
}
