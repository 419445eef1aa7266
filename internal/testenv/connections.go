package testenv

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// ServeCounted serves until the test ends. It returns the URL and what counts the connections that are open.
func ServeCounted(t testing.TB, handle http.HandlerFunc) (url string, open func() int) {
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	server := httptest.NewUnstartedServer(handle)
	server.Config.ConnState = func(c net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		if conns[c] = true; state == http.StateClosed {
			delete(conns, c)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(conns)
	}
}

// WantClosed closes what keeps so many connections, and waits until none of them is left open.
func WantClosed(t testing.TB, closer interface{ Close() }, kept int, open func() int) {
	t.Helper()
	if n := open(); n != kept {
		t.Fatalf("%d connections are kept, expected %d", n, kept)
	}
	closer.Close()
	Eventually(t, 10*time.Second, func(context.Context) error {
		if n := open(); n > 0 {
			return fmt.Errorf("%d connections are left open", n)
		}
		return nil
	})
}
