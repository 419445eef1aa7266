package web

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener within one process, whose connections live in the fake time of a synctest bubble.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.done) }); return nil }

func (p *pipes) Addr() net.Addr { return &net.IPAddr{} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

func TestNewServer_slowClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, listener := NewServer(New(full()), 100), &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		var all sync.WaitGroup
		all.Go(func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("the server ended with %v", err)
			}
		})
		begin := time.Now()
		var clients sync.WaitGroup
		for range 200 {
			conn := listener.dial()
			clients.Go(func() {
				io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: prober\r\nX-Slow: ")
				for {
					if _, err := io.WriteString(conn, "x"); err != nil {
						break
					}
					<-time.After(time.Second)
				}
				if open := time.Since(begin); open > 7*time.Second {
					t.Errorf("a slow client was served for %s", open)
				}
				conn.Close()
			})
		}
		synctest.Wait()
		conn := listener.dial()
		io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: prober\r\nConnection: close\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || response.StatusCode != 200 {
			t.Errorf("a normal client got %v, %v", response, err)
		} else if body, err := io.ReadAll(response.Body); err != nil || string(body) != "probe_success 1\n" {
			t.Errorf("a normal client got %q, %v", body, err)
		}
		conn.Close()
		if waited := time.Since(begin); waited > time.Second {
			t.Errorf("a normal client waited %s behind the slow ones", waited)
		}
		clients.Wait()
		server.Close()
		all.Wait()
	})
}

func TestNewServer_largeHeaders(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewServer(New(full()), 100)
	server.Start()
	defer server.Close()
	client := server.Client()
	defer client.CloseIdleConnections()
	for size, want := range map[int]int{1 << 10: 200, 200 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		request, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Large", strings.Repeat("x", size))
		response, err := client.Do(request)
		if err != nil {
			if want == 200 {
				t.Error(err)
			}
			continue // closed before the client had written it all
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("headers of %d bytes: got %d, wanted %d", size, response.StatusCode, want)
		}
	}
}

// What the kernel holds for a reader that does not read counts as the prober's memory.
func TestNewServer_holdsLittleForSlowReaders(t *testing.T) {
	written := make(chan int, 1)
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		sum, part := 0, make([]byte, 1<<10)
		for {
			n, err := w.Write(part)
			if sum += n; err != nil {
				written <- sum
				return
			}
		}
	}), 10)
	server.Start()
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: prober\r\n\r\n")
	if sum := <-written; sum > 64<<10 {
		t.Errorf("%d KiB were written to a reader that does not read, expected at most 64 KiB", sum>>10)
	} else {
		t.Logf("%d KiB were written", sum>>10)
	}
}

// TestNewServer_slowBodies has clients that never send the end of a body, which a route reads or does not. Each holds a connection that
// the health of the prober may be asked over.
func TestNewServer_slowBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, listener := NewServer(New(full()), 100), &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		var all, clients sync.WaitGroup
		all.Go(func() { server.Serve(listener) })
		for _, request := range []string{"POST /theme", "POST /probes/ibex/proxy/acknowledge", "POST /-/reload", "GET /", "GET /-/healthy", "GET /nowhere"} {
			conn, begin := listener.dial(), time.Now()
			clients.Go(func() { io.Copy(io.Discard, conn) })
			clients.Go(func() {
				io.WriteString(conn, request+" HTTP/1.1\r\nHost: prober\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n")
				for {
					if _, err := io.WriteString(conn, "x"); err != nil {
						break
					}
					<-time.After(time.Second / 10)
				}
				if open := time.Since(begin); open > 3*time.Second {
					t.Errorf("%s: a slow client was served for %s", request, open)
				}
				conn.Close()
			})
		}
		clients.Wait()
		server.Close()
		all.Wait()
		time.Sleep(time.Minute) // the right to render is given back
	})
}
