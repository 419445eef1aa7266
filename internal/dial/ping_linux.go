package dial

import (
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// openPing opens a socket for echo requests to one address. A ping socket (icmp(7)) takes a group that the machine allows it to,
// a raw one CAP_NET_RAW. What is read and written are messages of ICMP, without the header of IP; the identifier of their echo
// requests is the port of the local address. The kernel writes the checksum of all but those of IPv4 over a raw socket.
func openPing(ip netip.Addr, settings Ping) (net.Conn, error) {
	family, protocol := syscall.AF_INET, syscall.IPPROTO_ICMP
	if ip.Is6() {
		family, protocol = syscall.AF_INET6, syscall.IPPROTO_ICMPV6
	}
	const flags = syscall.SOCK_CLOEXEC | syscall.SOCK_NONBLOCK
	p := &pingSocket{peer: ip}
	fd, err := syscall.Socket(family, syscall.SOCK_DGRAM|flags, protocol)
	if err == syscall.EACCES || err == syscall.EPERM || err == syscall.EPROTONOSUPPORT {
		p.raw = true
		fd, err = syscall.Socket(family, syscall.SOCK_RAW|flags, protocol)
	}
	switch {
	case err == syscall.EACCES || err == syscall.EPERM:
		return nil, ErrPing
	case err != nil:
		return nil, err
	}
	p.file = os.NewFile(uintptr(fd), "ping") // which closes fd
	if err = p.prepare(fd, settings); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// A pingSocket is connected to one address.
type pingSocket struct {
	file *os.File
	peer netip.Addr
	id   int
	raw  bool
}

// prepare sets the options of the socket and connects it, which sends nothing.
func (p *pingSocket) prepare(fd int, settings Ping) error {
	ttl := cmp.Or(settings.TTL, -1) // that of this machine
	var to syscall.Sockaddr
	level, fragments := syscall.IPPROTO_IP, syscall.IP_PMTUDISC_DONT
	options := [][2]int{{syscall.IP_RECVERR, 1}, {syscall.IP_TTL, ttl}, {syscall.IP_MTU_DISCOVER, syscall.IP_PMTUDISC_DO}}
	if p.peer.Is4() {
		to = &syscall.SockaddrInet4{Addr: p.peer.As4()}
	} else {
		to, level, fragments = &syscall.SockaddrInet6{Addr: p.peer.As16()}, syscall.IPPROTO_IPV6, syscall.IPV6_PMTUDISC_WANT
		options = [][2]int{{syscall.IPV6_RECVERR, 1}, {syscall.IPV6_UNICAST_HOPS, ttl}, {syscall.IPV6_MTU_DISCOVER, syscall.IPV6_PMTUDISC_DO}}
	}
	if !settings.DontFragment {
		options[2][1] = fragments
	}
	for _, o := range options {
		if err := syscall.SetsockoptInt(fd, level, o[0], o[1]); err != nil {
			return err
		}
	}
	if err := syscall.Connect(fd, to); err != nil {
		return err
	}
	if p.raw {
		p.id = rand.IntN(1 << 16)
		return nil
	}
	local, err := syscall.Getsockname(fd)
	switch local := local.(type) {
	case *syscall.SockaddrInet4:
		p.id = local.Port
	case *syscall.SockaddrInet6:
		p.id = local.Port
	}
	return err
}

func (p *pingSocket) LocalAddr() net.Addr                 { return &net.UDPAddr{Port: p.id} }
func (p *pingSocket) RemoteAddr() net.Addr                { return &net.UDPAddr{IP: p.peer.AsSlice()} }
func (p *pingSocket) SetDeadline(at time.Time) error      { return p.file.SetDeadline(at) }
func (p *pingSocket) SetReadDeadline(at time.Time) error  { return p.file.SetReadDeadline(at) }
func (p *pingSocket) SetWriteDeadline(at time.Time) error { return p.file.SetWriteDeadline(at) }
func (p *pingSocket) Close() error                        { return p.file.Close() }

// pendingErrors is how many errors of earlier requests a call is repeated for: each is returned once, by whichever call is next,
// and its details are in the queue of errors.
const pendingErrors = 8

// Write sends one request. It is sent once: a call that returns the error of an earlier request sends nothing.
func (p *pingSocket) Write(b []byte) (n int, err error) {
	rc, err := p.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var mtu int
	waited := rc.Write(func(fd uintptr) bool {
		for range pendingErrors {
			if n, err = syscall.Write(int(fd), b); err == nil || err == syscall.EAGAIN {
				break
			}
		}
		if err == syscall.EMSGSIZE && p.peer.Is6() {
			mtu, _ = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_MTU)
		} else if err == syscall.EMSGSIZE {
			mtu, _ = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_MTU)
		}
		return err != syscall.EAGAIN
	})
	switch {
	case waited != nil:
		return 0, waited
	case err == syscall.EMSGSIZE && p.peer.Is6():
		return 0, &EchoError{Type: 2, MTU: uint32(mtu)}
	case err == syscall.EMSGSIZE:
		return 0, &EchoError{Type: 3, Code: 4, MTU: uint32(mtu)}
	}
	return n, err
}

// Read reads one message, or returns the EchoError of a request. It reads nothing, without an error, of a message that comes from
// another address.
func (p *pingSocket) Read(b []byte) (n int, err error) {
	rc, err := p.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var about *EchoError
	var from syscall.Sockaddr
	waited := rc.Read(func(fd uintptr) bool {
		for range pendingErrors {
			if about = queuedError(int(fd)); about != nil {
				return true
			}
			if n, from, err = syscall.Recvfrom(int(fd), b, syscall.MSG_DONTWAIT); err == nil || err == syscall.EAGAIN {
				break
			}
		}
		return err != syscall.EAGAIN
	})
	switch {
	case waited != nil:
		return 0, waited
	case about != nil:
		return 0, about
	case err != nil:
		return 0, err
	case addressOf(from) != p.peer.WithZone(""):
		return 0, nil
	case p.raw && p.peer.Is4():
		return copy(b, withoutIP(b[:n])), nil
	}
	return n, nil
}

// withoutIP returns what follows the header of IPv4 in a packet; nothing of what is none.
func withoutIP(packet []byte) []byte {
	if len(packet) < 20 || packet[0]>>4 != 4 || packet[0]&15 < 5 || len(packet) < 4*int(packet[0]&15) {
		return nil
	}
	return packet[4*int(packet[0]&15):]
}

func addressOf(from syscall.Sockaddr) netip.Addr {
	switch from := from.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrFrom4(from.Addr)
	case *syscall.SockaddrInet6:
		return netip.AddrFrom16(from.Addr)
	}
	return netip.Addr{}
}

// queuedError takes one error of ICMP from the queue of errors (IP_RECVERR in ip(7)); nil if there is none. Those that this
// machine puts there by itself are the errors of calls too.
func queuedError(fd int) *EchoError {
	for range pendingErrors {
		var request [64]byte
		var control [256]byte
		n, length, _, _, err := syscall.Recvmsg(fd, request[:], control[:], syscall.MSG_ERRQUEUE|syscall.MSG_DONTWAIT)
		if err != nil {
			return nil
		}
		messages, _ := syscall.ParseSocketControlMessage(control[:length])
		for _, m := range messages {
			v4 := m.Header.Level == syscall.IPPROTO_IP && m.Header.Type == syscall.IP_RECVERR
			v6 := m.Header.Level == syscall.IPPROTO_IPV6 && m.Header.Type == syscall.IPV6_RECVERR
			if v4 || v6 {
				if e := readExtendedError(m.Data); e != nil {
					e.Request = request[:n]
					return e
				}
			}
		}
	}
	return nil
}

// readExtendedError reads a struct sock_extended_err and the address behind it: who reports the error. It returns nil of an
// error that is not one of ICMP.
func readExtendedError(data []byte) *EchoError {
	const icmp, icmp6 = 2, 3 // SO_EE_ORIGIN_ICMP and _ICMP6
	if len(data) < 16 || data[4] != icmp && data[4] != icmp6 {
		return nil
	}
	e := &EchoError{Type: data[5], Code: data[6], MTU: binary.NativeEndian.Uint32(data[8:])}
	switch from := data[16:]; {
	case len(from) >= 8 && binary.NativeEndian.Uint16(from) == syscall.AF_INET:
		e.From, _ = netip.AddrFromSlice(from[4:8])
	case len(from) >= 24 && binary.NativeEndian.Uint16(from) == syscall.AF_INET6:
		e.From, _ = netip.AddrFromSlice(from[8:24])
	}
	return e
}
