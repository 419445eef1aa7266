package dial

import (
	"net/netip"
	"testing"
)

func TestDenied(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1": "", "::1": "", "10.0.0.1": "", "192.168.1.1": "", "172.16.0.1": "", "fd00::1": "", "8.8.8.8": "",
		"2001:db8::1": "", "100.100.100.201": "", "::ffff:10.0.0.1": "",
		"169.254.169.254": "metadata", "::ffff:169.254.169.254": "metadata", "64:ff9b::169.254.169.254": "metadata",
		"fd00:ec2::254": "metadata", "fd20:ce::254": "metadata", "100.100.100.200": "metadata", "192.0.0.192": "metadata",
		"169.254.1.1": "link_local", "fe80::1": "link_local", "fe80::1%eth0": "link_local", "febf::1": "link_local",
		"0.0.0.0": "unspecified", "::": "unspecified", "0.1.2.3": "unspecified", "::ffff:0.0.0.0": "unspecified",
		"224.0.0.1": "multicast", "239.255.255.255": "multicast", "ff02::1": "multicast", "255.255.255.255": "multicast",
	} {
		if got := denied(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: got %q, want %q", addr, got, want)
		}
	}
}
