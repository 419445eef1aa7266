package sandbox

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// While a socket is bound to the port, the kernel does not give it to a program that asks for any port, nor to one that
// asks for this port without reuse.
func TestLockPort_keepsOthersOut(t *testing.T) {
	s := start(t, Options{})
	if err := s.Inject("replica-down"); err != nil {
		t.Fatal(err)
	}
	exclusive := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			if err := syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 0); err != nil {
				t.Error(err)
			}
		})
	}}
	listener, err := exclusive.Listen(t.Context(), "tcp", s.address(proxy2))
	if err == nil {
		listener.Close()
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("expected the port taken, got %v", err)
	}
}

func TestClear_portTaken(t *testing.T) {
	s := start(t, Options{})
	if err := s.Inject("proxy-down"); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("tcp", s.address(proxy3)) // with reuse, and for this port
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s.ClearAll()
	if err := s.Clear("proxy-down"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("expected the port taken, got %v", err)
	}
	if active := s.Active(); len(active) != 1 {
		t.Errorf("expected proxy-down still active, got %v", active)
	}
	if _, err := net.Dial("tcp", s.address(proxy1)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("partly cleared: expected proxy-1 to refuse, got %v", err)
	}
	other.Close()
	if err := s.Clear("proxy-down"); err != nil {
		t.Fatal(err)
	}
	s.mustDo(t, request{host: proxy3, method: "GET", path: "/health"})
}
