package dial

import (
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// Pending reports whether bytes wait to be read, without waiting for any. The error is io.EOF if the other side has closed
// the connection and nothing waits. What is not a socket has nothing pending.
func (c *Conn) Pending() (pending bool, err error) {
	control(c, func(fd int) {
		var one [1]byte
		switch n, _, e := syscall.Recvfrom(fd, one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT); {
		case e == syscall.EAGAIN || e == syscall.EINTR:
		case e != nil:
			err = e
		case n == 0:
			err = io.EOF
		default:
			pending = true
		}
	})
	return pending, err
}

func (c *Conn) acknowledged() (n uint64, ok bool) {
	control(c, func(fd int) {
		if info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n, ok = max(info.Bytes_acked, 1)-1, true // the SYN is the first of them
		}
	})
	return n, ok
}

// control calls f with the socket of a connection, if it has one. Reads may go on at the same time.
func control(c *Conn, f func(fd int)) {
	socket, ok := c.Conn.(syscall.Conn)
	if !ok {
		return
	}
	if rc, err := socket.SyscallConn(); err == nil {
		rc.Control(func(fd uintptr) { f(int(fd)) })
	}
}
