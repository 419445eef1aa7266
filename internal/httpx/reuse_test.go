package httpx

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"prober/internal/dial"
	"prober/internal/probe"
)

// TestReplica dials one address and keeps Host; connections to one replica never serve another.
func TestReplica(t *testing.T) {
	for _, connection := range []string{fresh, reuse} {
		var urls, addrs []string
		for _, name := range []string{"one", "two"} {
			url, _, _ := listen(t, func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintf(w, "%s %s", name, r.Host)
			})
			urls, addrs = append(urls, url), append(addrs, strings.TrimPrefix(url, "http://"))
		}
		client, err := (&Settings{Connection: connection}).Client("http://service.test/")
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		for range 2 {
			for i, want := range []string{"one service.test", "two service.test"} {
				a, _ := askWith(t, client, patience, Request{URL: "http://service.test/", Addr: addrs[i]})
				if string(a.Body) != want || a.Addr != addrs[i] || a.URL != "http://service.test/" {
					t.Errorf("%s: got %q from %s of %s, want %s: %s", connection, a.Body, a.Addr, urls[i], want, a.Detail)
				}
			}
		}
		for addr, want := range map[string]string{"127.0.0.1": "expected IP:port", "one.test:80": "expected IP:port", "169.254.169.254:80": "never dialled"} {
			if a, _ := askWith(t, client, patience, Request{URL: "http://service.test/", Addr: addr}); a.Reason != probe.Protocol || !strings.Contains(a.Detail, want) {
				t.Errorf("%s: got %s: %s", addr, a.Reason, a.Detail)
			}
		}
	}
}

// TestReuse keeps connections if it was told to, and replaces one that the server has closed.
func TestReuse(t *testing.T) {
	url, requests, conns := listen(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	client, err := (&Settings{Connection: reuse}).Client(url)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i := range 3 {
		a, _ := askWith(t, client, patience, Request{URL: url})
		want, opened := "processing transfer", 0
		if i == 0 {
			want, opened = "connect processing transfer", 1
		}
		if phases(a) != want || a.Connections != opened || a.Addr != strings.TrimPrefix(url, "http://") {
			t.Errorf("exchange %d: %+v", i, a.Exchange)
		}
	}
	if requests.Load() != 3 || conns.Load() != 1 {
		t.Errorf("%d requests over %d connections", requests.Load(), conns.Load())
	}
}

// TestReuseOverTLS keeps one connection for longer than the bound of one exchange, also where HTTP/2 was offered in
// vain.
func TestReuseOverTLS(t *testing.T) {
	p := newPKI(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{p.server(-day, day)}, NextProtos: []string{"http/1.1"}}
	body := strings.Repeat("x", 1000)
	z := serveTLS(t, cfg, func(z *zoo, c net.Conn) {
		br := bufio.NewReader(c)
		for z.request(br) != nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"+body)
		}
	})
	for _, two := range []bool{false, true} {
		if opened := z.connectionsFor(t, &Settings{Connection: reuse, HTTP2: two, MaxBody: 1000, TLS: &dial.TLS{CAFile: p.file}}, len(body)); opened != 1 {
			t.Errorf("opened %d connections, expected 1", opened)
		}
	}
}

// connectionsFor returns how many connections were opened for requests that together exceed the bound of one.
func (z *zoo) connectionsFor(t *testing.T, s *Settings, length int) int64 {
	client, err := s.Client(z.https())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	z.conns.Store(0)
	for range int(client.bound)/length + 1 {
		a := client.Do(t.Context(), probe.NewResult(probe.ID{}), Request{URL: z.https()})
		if a.Reason != probe.OK || len(a.Body) != length || a.CertExpiry.IsZero() || a.Proto != "HTTP/1.1" {
			t.Fatalf("got %s: %s, %d bytes of %s", a.Reason, a.Detail, len(a.Body), a.Proto)
		}
	}
	return z.conns.Load()
}

// TestStaleConnection lets the server close a kept connection when it has read the next request, which is not sent again.
func TestStaleConnection(t *testing.T) {
	z := serve(t, func(z *zoo, c net.Conn) {
		br := bufio.NewReader(c)
		if z.request(br) != nil {
			io.WriteString(c, okAnswer)
			z.request(br) // read, and not answered
		}
	})
	for _, c := range []struct {
		method string
		why    probe.Reason
		sent   int64
	}{
		{"GET", probe.Reset, 2},
		{"POST", probe.Reset, 2},
	} {
		z.requests.Store(0)
		client, err := (&Settings{Connection: reuse}).Client(z.url())
		if err != nil {
			t.Fatal(err)
		}
		askWith(t, client, patience, Request{URL: z.url()})
		a, _ := askWith(t, client, patience, Request{Method: c.method, URL: z.url(), Header: http.Header{"Idempotency-Key": {"1"}}})
		client.Close()
		if a.Reason != c.why || z.requests.Load() != c.sent {
			t.Errorf("%s: got %s: %s, %d requests", c.method, a.Reason, a.Detail, z.requests.Load())
		}
	}
}

// TestUnsolicited sends more than was asked for on a kept connection. What arrives while nothing is asked ends the
// connection; the next exchange has one of its own.
func TestUnsolicited(t *testing.T) {
	answered, closed := make(chan struct{}), make(chan struct{}, 2)
	z := serve(t, func(z *zoo, c net.Conn) {
		br := bufio.NewReader(c)
		if z.request(br) == nil {
			return
		}
		io.WriteString(c, okAnswer)
		if z.conns.Load() == 1 {
			<-answered
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n"+marker)
		}
		hold(nil, c)
		closed <- struct{}{}
	})
	client, err := (&Settings{Connection: reuse}).Client(z.url())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	askWith(t, client, patience, Request{URL: z.url()})
	close(answered)
	client.kept.untilNotSilent(t)
	a, _ := askWith(t, client, patience, Request{URL: z.url()})
	if a.Reason != probe.OK || string(a.Body) != "ok" || a.Connections != 1 {
		t.Errorf("got %s %q over %d new connections: %s", a.Reason, a.Body, a.Connections, a.Detail)
	}
	<-closed
}
