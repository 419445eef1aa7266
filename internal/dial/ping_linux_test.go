package dial

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
)

// extended is what the kernel says of an error: origin, type, code, MTU and the address of who reports it.
func extended(origin, kind, code byte, mtu uint32, from string) []byte {
	data := binary.NativeEndian.AppendUint32(nil, 113)
	data = append(data, origin, kind, code, 0)
	data = binary.NativeEndian.AppendUint32(data, mtu)
	data = binary.NativeEndian.AppendUint32(data, 0)
	switch ip, err := netip.ParseAddr(from); {
	case err != nil:
		data = append(data, 0, 0, 0, 0, 0, 0, 0, 0)
	case ip.Is4():
		data = append(append(binary.NativeEndian.AppendUint16(data, 2), 0, 0), ip.AsSlice()...)
		data = append(data, 0, 0, 0, 0, 0, 0, 0, 0)
	default:
		data = append(append(binary.NativeEndian.AppendUint16(data, 10), 0, 0, 0, 0, 0, 0), ip.AsSlice()...)
		data = append(data, 0, 0, 0, 0)
	}
	return data
}

func TestReadExtendedError(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want *EchoError
	}{
		"a router":     {extended(2, 11, 0, 0, "192.0.2.7"), &EchoError{Type: 11, From: netip.MustParseAddr("192.0.2.7")}},
		"a router, 6":  {extended(3, 2, 0, 1400, "fd00::7"), &EchoError{Type: 2, MTU: 1400, From: netip.MustParseAddr("fd00::7")}},
		"nobody":       {extended(2, 3, 1, 0, ""), &EchoError{Type: 3, Code: 1}},
		"this machine": {extended(1, 0, 0, 1500, ""), nil},
		"cut":          {extended(2, 3, 1, 0, "192.0.2.7")[:15], nil},
		"cut address":  {extended(2, 3, 1, 0, "192.0.2.7")[:20], &EchoError{Type: 3, Code: 1}},
		"nothing":      {nil, nil},
	} {
		got := readExtendedError(c.data)
		if (got == nil) != (c.want == nil) || got != nil && (got.Type != c.want.Type || got.Code != c.want.Code || got.From != c.want.From || got.MTU != c.want.MTU) {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestWithoutIP(t *testing.T) {
	header := make([]byte, 24)
	for name, c := range map[string]struct {
		packet []byte
		want   string
	}{
		"plain":             {append(append([]byte{0x45}, header[:19]...), "echo"...), "echo"},
		"with an option":    {append(append([]byte{0x46}, header[:23]...), "echo"...), "echo"},
		"no payload":        {append([]byte{0x45}, header[:19]...), ""},
		"longer than it is": {append([]byte{0x4f}, header...), ""},
		"a short header":    {append([]byte{0x44}, header...), ""},
		"another version":   {append([]byte{0x65}, header...), ""},
		"cut":               {[]byte{0x45, 0}, ""},
		"nothing":           {nil, ""},
	} {
		if got := string(withoutIP(c.packet)); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// FuzzPing: what a socket says is read within its bounds.
func FuzzPing(f *testing.F) {
	f.Add(extended(2, 11, 0, 0, "192.0.2.7"))
	f.Add(append([]byte{0x46}, make([]byte, 30)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if e := readExtendedError(data); e != nil && e.From.IsValid() && len(data) < 24 {
			t.Errorf("%x: %+v", data, e)
		}
		if rest := withoutIP(data); len(rest) > max(0, len(data)-20) {
			t.Errorf("%x: %x", data, rest)
		}
	})
}

// TestPing_denied: no socket is opened toward an address that is never dialled.
func TestPing_denied(t *testing.T) {
	for _, address := range []string{"169.254.169.254", "fd00:ec2::254", "224.0.0.1", "255.255.255.255"} {
		d := Dialer{Open: func(context.Context, string, string) (net.Conn, error) {
			t.Errorf("%s: opened", address)
			return nil, ErrPing
		}}
		nc, err := d.DialContext(t.Context(), "icmp", address)
		if !errors.As(err, new(*DeniedError)) || nc != nil {
			t.Errorf("%s: got %v", address, err)
		}
	}
}
