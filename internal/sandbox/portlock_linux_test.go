package sandbox

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// The kernel gives no port to a program that asks for any, nor to one that asks for this one without reuse, while a
// socket is bound to it.
func TestNoOtherProgramIsGivenThePortOfABrokenService(t *testing.T) {
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
		t.Errorf("wanted the port taken, got %v", err)
	}
}

func TestMendingFailsWhileAnotherProgramListensThere(t *testing.T) {
	s := start(t, Options{})
	if err := s.Inject("proxy-down"); err != nil {
		t.Fatal(err)
	}
	thief, err := net.Listen("tcp", s.address(proxy3)) // with reuse, and for this very port
	if err != nil {
		t.Fatal(err)
	}
	defer thief.Close()
	s.ClearAll()
	if err := s.Clear("proxy-down"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("wanted the port taken, got %v", err)
	}
	if broken := s.Active(); len(broken) != 1 {
		t.Errorf("wanted proxy-down still broken, got %v", broken)
	}
	if _, err := net.Dial("tcp", s.address(proxy1)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("half mended: wanted proxy-1 to refuse, got %v", err)
	}
	thief.Close()
	if err := s.Clear("proxy-down"); err != nil {
		t.Fatal(err)
	}
	s.must(t, ask{host: proxy3, method: "GET", path: "/health"})
}
