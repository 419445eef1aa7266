package sandbox

import (
	"net/netip"
	"syscall"
)

// lockPort binds a socket to an address and never listens on it. While the service is down, connections are refused and
// no other program gets the port. Linux lets the service listen on the same address, since both sockets allow reuse.
// The returned address has the port that the kernel chose for port 0.
func lockPort(address string) (held string, release func(), err error) {
	want, err := netip.ParseAddrPort(address)
	if err != nil {
		return "", nil, err
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, err
	}
	release = func() { syscall.Close(fd) }
	port, err := bind(fd, want)
	if err != nil {
		release()
		return "", nil, err
	}
	return netip.AddrPortFrom(want.Addr(), port).String(), release, nil
}

func bind(fd int, want netip.AddrPort) (port uint16, err error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: want.Addr().As4(), Port: int(want.Port())}); err != nil {
		return 0, err
	}
	got, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	return uint16(got.(*syscall.SockaddrInet4).Port), nil
}
