package dial

import (
	"errors"
	"net/netip"
)

// An IPVersion says which addresses of a host are dialled: those of version "4" or "6" only, or those first ("prefer-4",
// "prefer-6"). Empty is "prefer-6", as browsers have it (RFC 8305).
type IPVersion string

// The versions.
const (
	only4   IPVersion = "4"
	only6   IPVersion = "6"
	prefer4 IPVersion = "prefer-4"
	prefer6 IPVersion = "prefer-6"
)

// Check refuses any other word, and one that excludes a host that is an IP address.
func (v IPVersion) Check(host string) error {
	switch v {
	case "", prefer4, prefer6:
		return nil
	case only4, only6:
	default:
		return errors.New("expected 4, 6, prefer-4 or prefer-6")
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().Is4() != (v == only4) {
		return errors.New("the host is an address of the other version")
	}
	return nil
}

// families lists the families that are looked up for a network, the preferred one first; nil for an unknown network.
func (v IPVersion) families(network string) []string {
	switch network {
	case "tcp4", "udp4":
		return []string{"ip4"}
	case "tcp6", "udp6":
		return []string{"ip6"}
	case "tcp", "udp", networkICMP:
	default:
		return nil
	}
	switch v {
	case only4:
		return []string{"ip4"}
	case only6:
		return []string{"ip6"}
	case prefer4:
		return []string{"ip4", "ip6"}
	}
	return []string{"ip6", "ip4"}
}

// familyName names the only family of a look-up, for a sentence; empty if both are looked up.
func familyName(families []string) string {
	switch {
	case len(families) > 1:
		return ""
	case families[0] == "ip4":
		return "IPv4 "
	}
	return "IPv6 "
}
