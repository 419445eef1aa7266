package httpx

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"prober/internal/dial"
	"prober/internal/probe"
)

// TestSentOnce lets servers take a request and not answer it, in every way in which net/http alone would send it again. What
// the server received is counted, and no such exchange passes.
func TestSentOnce(t *testing.T) {
	p := newPKI(t)
	dropped := func(end func(net.Conn)) func(z *zoo, c net.Conn) {
		return func(z *zoo, c net.Conn) {
			for br := bufio.NewReader(c); z.request(br) != nil; {
				if z.requests.Load()%2 == 0 {
					end(c)
					return
				}
				io.WriteString(c, okAnswer)
			}
		}
	}
	every2nd := func(refuse func(h *h2, s uint32)) func(h *h2, s uint32) {
		return func(h *h2, s uint32) {
			if h.zoo.requests.Load()%2 == 0 {
				refuse(h, s)
				return
			}
			h.headers(s, true, ":status", "200")
		}
	}
	closes := func(c net.Conn) { c.Close() }
	for _, c := range []struct {
		name  string
		serve func(t *testing.T) *zoo
		kept  probe.Reason // of each second exchange, over a kept connection
		fresh probe.Reason
	}{
		{"closed after reading", func(t *testing.T) *zoo { return serve(t, dropped(closes)) }, probe.Reset, probe.Reset},
		{"reset after reading", func(t *testing.T) *zoo { return serve(t, dropped(resets)) }, probe.IdleClosed, probe.Reset},
		{"HTTP/2, REFUSED_STREAM", func(t *testing.T) *zoo {
			return serveH2(t, p, every2nd(func(h *h2, s uint32) { h.WriteRSTStream(s, http2.ErrCodeRefusedStream) }))
		}, probe.IdleClosed, probe.Protocol},
		{"HTTP/2, GOAWAY", func(t *testing.T) *zoo {
			return serveH2(t, p, every2nd(func(h *h2, s uint32) { h.WriteGoAway(0, http2.ErrCodeNo, nil) }))
		}, probe.IdleClosed, probe.Protocol},
		{"HTTP/2, closed after reading", func(t *testing.T) *zoo {
			return serveH2(t, p, every2nd(func(h *h2, s uint32) { h.conn.Close() }))
		}, probe.Reset, probe.Reset},
	} {
		for _, connection := range []string{fresh, reuse} {
			for _, method := range []string{"GET", "POST"} {
				t.Run(c.name+"/"+connection+"/"+method, func(t *testing.T) {
					t.Parallel()
					z := c.serve(t)
					url, two := z.url(), strings.HasPrefix(c.name, "HTTP/2")
					if two {
						url = z.https()
					}
					client, err := (&Settings{Connection: connection, HTTP2: two, TLS: &dial.TLS{CAFile: p.file}}).Client(url)
					if err != nil {
						t.Fatal(err)
					}
					defer client.Close()
					for i := range int64(4) {
						want := probe.OK
						if i%2 == 1 {
							if want = c.fresh; connection == reuse {
								want = c.kept
							}
						}
						a, _ := askWith(t, client, patience, Request{Method: method, URL: url, Header: map[string][]string{"Idempotency-Key": {"1"}}})
						if a.Reason != want {
							t.Errorf("request %d: got %s: %s, want %s", i+1, a.Reason, a.Detail, want)
						}
						if got := z.requests.Load(); got != i+1 {
							t.Fatalf("the server received %d requests, want %d", got, i+1)
						}
					}
				})
			}
		}
	}
}

// TestEarlyAnswer answers in the middle of a body and reads no more of it.
func TestEarlyAnswer(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*testing.T, net.Conn)
	}{
		{"closed", func(_ *testing.T, c net.Conn) { c.Close() }},
		{"left open", func(t *testing.T, _ net.Conn) { <-t.Context().Done() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			told := make(chan struct{})
			z := serve(t, func(z *zoo, nc net.Conn) {
				if _, err := bufio.NewReaderSize(nc, 16).ReadString('\n'); err != nil {
					return
				}
				io.WriteString(nc, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
				<-told
				c.end(t, nc)
			})
			a, _ := ask(t, &Settings{Connection: reuse}, patience, Request{Method: "POST", URL: z.url(), Body: make([]byte, 32<<20), Learn: func(*Answer) { close(told) }})
			if a.Reason != probe.OK || a.Status != 413 || string(a.Body) != "no" {
				t.Errorf("got %d %q, %s: %s", a.Status, a.Body, a.Reason, a.Detail)
			}
		})
	}
}

// TestIdleClosed lets the server close a kept connection without having read the request that is under way.
func TestIdleClosed(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		answered, closed := make(chan struct{}), make(chan struct{})
		z := serve(t, func(z *zoo, c net.Conn) {
			if z.request(bufio.NewReader(c)) != nil {
				io.WriteString(c, okAnswer)
			}
			if z.conns.Load() == 1 {
				<-answered
				c.Close()
				close(closed)
			}
		})
		client, err := (&Settings{Connection: reuse}).Client(z.url())
		if err != nil {
			t.Fatal(err)
		}
		if a, _ := askWith(t, client, patience, Request{Method: method, URL: z.url()}); a.Reason != probe.OK {
			t.Fatalf("got %s: %s", a.Reason, a.Detail)
		}
		// The exchange looks at the connection before the server closes it, and sends after.
		c := client.kept.pop(z.Addr().String())
		late := &lateConn{Conn: c.Conn, before: func() { close(answered); <-closed }}
		c.Conn = late
		client.kept.put(c)
		a, r := askWith(t, client, patience, Request{Method: method, URL: z.url()})
		if a.Reason != probe.IdleClosed || r.Verdict() != probe.Inconclusive || z.requests.Load() != 1 || a.Connections != 0 {
			t.Errorf("%s: got %s, %s: %s, %d requests", method, r.Verdict(), a.Reason, a.Detail, z.requests.Load())
		}
		if a, _ := askWith(t, client, patience, Request{Method: method, URL: z.url()}); a.Reason != probe.OK || a.Connections != 1 {
			t.Errorf("%s: got %s: %s over %d new connections", method, a.Reason, a.Detail, a.Connections)
		}
		client.Close()
	}
}

// A lateConn does something before its first write.
type lateConn struct {
	net.Conn
	before func()
}

func (c *lateConn) Write(p []byte) (int, error) {
	if c.before != nil {
		c.before()
		c.before = nil
	}
	return c.Conn.Write(p)
}

// TestGaveUp lets a server give up waiting for a request on a kept connection, with 408, as the request is under way. The same answer
// on a new connection is the server's, and so is one that is expected.
func TestGaveUp(t *testing.T) {
	const gaveUp = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
	z := serve(t, func(z *zoo, c net.Conn) {
		for br := bufio.NewReader(c); z.request(br) != nil; {
			if z.requests.Load() != 1 {
				io.WriteString(c, gaveUp)
				return
			}
			io.WriteString(c, okAnswer)
		}
	})
	client, err := (&Settings{Connection: reuse}).Client(z.url())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i, want := range []probe.Reason{probe.OK, probe.IdleClosed, probe.OK} {
		a, _ := askWith(t, client, patience, Request{Method: "POST", URL: z.url(), Body: []byte("x")})
		if a.Reason != want || z.requests.Load() != int64(i+1) {
			t.Errorf("request %d: got %s: %s, want %s; %d requests", i+1, a.Reason, a.Detail, want, z.requests.Load())
		}
	}
	stays := serve(t, func(z *zoo, c net.Conn) {
		for br := bufio.NewReader(c); z.request(br) != nil; {
			io.WriteString(c, okAnswer[:len("HTTP/1.1 ")]+"408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
		}
	})
	for _, q := range []Request{{URL: stays.url()}, {URL: stays.url()}, {URL: stays.url(), Want: Codes(408)}} {
		if a, _ := askWith(t, client, patience, q); a.Reason != probe.OK || a.Status != 408 {
			t.Errorf("got %d, %s: %s", a.Status, a.Reason, a.Detail)
		}
	}
}

// TestInterim lets servers end in the middle of an exchange over a kept connection, after an interim answer: they had the request.
func TestInterim(t *testing.T) {
	for name, end := range map[string]func(net.Conn){"closed": func(c net.Conn) { c.Close() }, "reset": resets} {
		got := make(chan struct{})
		z := serve(t, func(z *zoo, c net.Conn) {
			for br := bufio.NewReader(c); z.request(br) != nil; {
				if z.requests.Load() == 2 {
					io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\n")
					<-got
					end(c)
					return
				}
				io.WriteString(c, okAnswer)
			}
		})
		client, err := (&Settings{Connection: reuse}).Client(z.url())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		askWith(t, client, patience, Request{URL: z.url()})
		c := client.kept.pop(z.Addr().String())
		c.Conn = &tap{Conn: c.Conn, first: func() { close(got) }}
		client.kept.put(c)
		a, _ := askWith(t, client, patience, Request{URL: z.url()})
		if a.Reason != probe.Reset || len(a.Interim) != 1 {
			t.Errorf("%s: got %s: %s, after %d interim answers", name, a.Reason, a.Detail, len(a.Interim))
		}
	}
}
