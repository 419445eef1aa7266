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

// TestDenied_forms looks at the guard alone: nothing is dialled. Every form in which a gateway carries an IPv4 address is
// denied for every address of a cloud's metadata, and allowed for one of a private network.
func TestDenied_forms(t *testing.T) {
	forms := map[string]func(a [4]byte) [16]byte{
		"IPv4-mapped":     func(a [4]byte) [16]byte { return [16]byte{10: 0xff, 0xff, a[0], a[1], a[2], a[3]} },
		"IPv4-compatible": func(a [4]byte) [16]byte { return [16]byte{12: a[0], a[1], a[2], a[3]} },
		"IPv4-translated": func(a [4]byte) [16]byte { return [16]byte{8: 0xff, 0xff, 0, 0, a[0], a[1], a[2], a[3]} },
		"NAT64":           func(a [4]byte) [16]byte { return [16]byte{0, 0x64, 0xff, 0x9b, 12: a[0], a[1], a[2], a[3]} },
		"local NAT64, 48 bits": func(a [4]byte) [16]byte {
			return [16]byte{0, 0x64, 0xff, 0x9b, 0, 1, a[0], a[1], 0, a[2], a[3]}
		},
		"local NAT64, 48 bits, a suffix": func(a [4]byte) [16]byte {
			return [16]byte{0, 0x64, 0xff, 0x9b, 0, 1, a[0], a[1], 0, a[2], a[3], 0, 0, 0, 0, 1}
		},
		"local NAT64, 56 bits": func(a [4]byte) [16]byte {
			return [16]byte{0, 0x64, 0xff, 0x9b, 0, 1, 0, a[0], 0, a[1], a[2], a[3]}
		},
		"local NAT64, 64 bits": func(a [4]byte) [16]byte {
			return [16]byte{0, 0x64, 0xff, 0x9b, 0, 1, 0, 0, 0, a[0], a[1], a[2], a[3]}
		},
		"local NAT64, 96 bits": func(a [4]byte) [16]byte {
			return [16]byte{0, 0x64, 0xff, 0x9b, 0, 1, 0, 7, 0, 0, 0, 0, a[0], a[1], a[2], a[3]}
		},
		"6to4": func(a [4]byte) [16]byte { return [16]byte{0x20, 2, a[0], a[1], a[2], a[3], 15: 1} },
		"Teredo, client": func(a [4]byte) [16]byte {
			return [16]byte{0x20, 1, 4: 10, 1, 1, 1, 12: ^a[0], ^a[1], ^a[2], ^a[3]}
		},
		"Teredo, server": func(a [4]byte) [16]byte {
			return [16]byte{0x20, 1, 4: a[0], a[1], a[2], a[3], 12: 0xf5, 0xfe, 0xfe, 0xfe}
		},
		"ISATAP": func(a [4]byte) [16]byte {
			return [16]byte{0x20, 1, 0x0d, 0xb8, 10: 0x5e, 0xfe, a[0], a[1], a[2], a[3]}
		},
		"ISATAP, unique": func(a [4]byte) [16]byte {
			return [16]byte{0x20, 1, 0x0d, 0xb8, 8: 2, 0, 0x5e, 0xfe, a[0], a[1], a[2], a[3]}
		},
	}
	for form, write := range forms {
		for addr, want := range map[string]string{
			"169.254.169.254": "metadata", "169.254.170.2": "metadata", "169.254.170.23": "metadata", "169.254.42.42": "metadata",
			"168.63.129.16": "metadata", "100.100.100.200": "metadata", "192.0.0.192": "metadata",
			"169.254.1.1": "link_local", "224.0.0.1": "multicast", "255.255.255.255": "multicast",
			"10.1.2.3": "", "192.168.0.1": "", "168.63.129.17": "", "203.0.113.1": "",
		} {
			ip := netip.AddrFrom16(write(netip.MustParseAddr(addr).As4()))
			if got := denied(ip); got != want {
				t.Errorf("%s of %s, %s: got %q, expected %q", form, addr, ip, got, want)
			}
			if err := CheckAddr(ip); (err != nil) != (want != "") {
				t.Errorf("%s: got %v", ip, err)
			}
		}
	}
	for addr, want := range map[string]string{
		"fd00:ec2::23": "metadata", "fd00:42::42": "metadata", "fd00:a9fe:a9fe::1": "metadata", "fd00:100::100:200": "metadata", "fd00:c1::a9fe:a9fe": "metadata", "168.63.129.16": "metadata",
		"fd00:ec2::254%eth0": "metadata", "64:ff9b::0.0.0.0": "unspecified", "2002:0:1::": "unspecified",
		"fe80::5efe:10.0.0.1": "link_local", "fd00:ec2::24": "", "fd00:42::43": "", "64:ff9b:1::1": "", "2001:db8:5efe::1": "",
	} {
		if got := denied(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: got %q, expected %q", addr, got, want)
		}
	}
}

// TestCheckName judges hosts that a proxy would look up.
func TestCheckName(t *testing.T) {
	for host, refused := range map[string]bool{
		"shop.example": false, "localhost": false, "127.0.0.1": false, "::1": false, "10.0.0.1": false, "fe80.example": false, "a1.b2": false,
		"metadata-service.example": false, "0xfe.example": false,
		"169.254.169.254": true, "::ffff:169.254.169.254": true, "fd00:ec2::254": true, "224.0.0.1": true, "0.0.0.0": true,
		"2852039166": true, "0xA9FEA9FE": true, "169.254.43518": true, "0251.0376.0251.0376": true, "169.254.169.0xfe": true, "169.254.169.254.": true,
		"0177.0.0.1": true, "99999999999999999999": true, "１６９.254.169.254": true,
		"metadata.google.internal": true, "METADATA.google.internal.": true, "metadata": true, "instance-data": true,
		"api.metadata.cloud.ibm.com": true, "metadata.exoscale.com": true, "metadata.azure.internal": true,
	} {
		if err := CheckName(host); (err != nil) != refused {
			t.Errorf("%s: got %v, refused %t expected", host, err, refused)
		}
	}
}
