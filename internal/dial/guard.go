package dial

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"prober/internal/drop"
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

// metadata are the addresses at which clouds hand out the credentials of the machine, or of what runs on it.
var metadata = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"),    // most clouds
	netip.MustParseAddr("fd00:ec2::254"),      // AWS over IPv6
	netip.MustParseAddr("169.254.170.2"),      // AWS, tasks of ECS
	netip.MustParseAddr("169.254.170.23"),     // AWS, pods of EKS
	netip.MustParseAddr("fd00:ec2::23"),       // the same over IPv6
	netip.MustParseAddr("fd20:ce::254"),       // Google over IPv6
	netip.MustParseAddr("168.63.129.16"),      // Azure: certificates and settings of extensions
	netip.MustParseAddr("100.100.100.200"),    // Alibaba
	netip.MustParseAddr("fd00:100::100:200"),  // the same over IPv6
	netip.MustParseAddr("192.0.0.192"),        // Oracle
	netip.MustParseAddr("fd00:c1::a9fe:a9fe"), // Oracle over IPv6
	netip.MustParseAddr("169.254.42.42"),      // Scaleway
	netip.MustParseAddr("fd00:42::42"),        // the same over IPv6
	netip.MustParseAddr("fd00:a9fe:a9fe::1"),  // Akamai over IPv6
}

var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96")    // RFC 6052: an IPv4 address in its last four bytes
	localNAT64 = netip.MustParsePrefix("64:ff9b:1::/48")  // RFC 8215: in any of the forms of RFC 6052
	sixToFour  = netip.MustParsePrefix("2002::/16")       // RFC 3056: one in bytes 2 to 5
	teredo     = netip.MustParsePrefix("2001::/32")       // RFC 4380: that of a server, and the complement of the client's
	compatible = netip.MustParsePrefix("::/96")           // RFC 4291, section 2.5.5.1: one in the last four bytes
	translated = netip.MustParsePrefix("::ffff:0:0:0/96") // RFC 2765: the same
	broadcast  = netip.MustParseAddr("255.255.255.255")
	thisNet    = netip.MustParsePrefix("0.0.0.0/8")
)

// embedded returns the IPv4 addresses that a gateway may find in an IPv6 address. Where the length of a prefix is not
// known, these are all that it can be.
func embedded(ip netip.Addr) []netip.Addr {
	b := ip.As16()
	v4 := func(at ...int) netip.Addr { return netip.AddrFrom4([4]byte{b[at[0]], b[at[1]], b[at[2]], b[at[3]]}) }
	last := v4(12, 13, 14, 15)
	switch {
	case ip.Is4(), ip.IsLoopback(), ip.IsUnspecified():
		return nil
	case nat64.Contains(ip), compatible.Contains(ip), translated.Contains(ip):
		return []netip.Addr{last}
	case sixToFour.Contains(ip):
		return []netip.Addr{v4(2, 3, 4, 5)}
	case teredo.Contains(ip):
		client := [4]byte{^b[12], ^b[13], ^b[14], ^b[15]}
		return []netip.Addr{v4(4, 5, 6, 7), netip.AddrFrom4(client)}
	case localNAT64.Contains(ip): // prefixes of 48, 56, 64 and 96 bits; byte 8 is always zero
		forms := []netip.Addr{v4(6, 7, 9, 10), v4(7, 9, 10, 11), v4(9, 10, 11, 12), last}
		return drop.If(forms, thisNet.Contains)
	case b[8]&^2 == 0 && [3]byte(b[9:12]) == [3]byte{0, 0x5e, 0xfe}: // ISATAP, RFC 5214
		return []netip.Addr{last}
	}
	return nil
}

// denied returns the class of an address that is never dialled; empty if it may be dialled.
func denied(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	for _, ip := range append(embedded(ip), ip) {
		if class := classOf(ip); class != "" {
			return class
		}
	}
	return ""
}

func classOf(ip netip.Addr) string {
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

// metadataNames are the names by which clouds offer the same, in their own networks.
var metadataNames = []string{
	"metadata", "metadata.goog", "metadata.google.internal", "instance-data", "instance-data.ec2.internal", "metadata.tencentyun.com",
	"metadata.platformequinix.com", "metadata.packet.net",
	"api.metadata.cloud.ibm.com", "metadata.exoscale.com", "metadata.azure.internal",
}

// CheckName refuses a host that somebody else looks up, such as a proxy, as far as its name says where it leads: an address that is
// never dialled, in digits that only some resolvers read, or a name under which clouds hand out credentials.
func CheckName(host string) error {
	host = strings.TrimSuffix(HostName(host), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		return CheckAddr(ip)
	}
	if slices.Contains(metadataNames, host) {
		return errors.New(host + " is where clouds hand out credentials: it is never asked")
	}
	if !IsHost(host) {
		return errNoHost
	}
	return nil
}
