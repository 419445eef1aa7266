package httpx

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/testenv"
)

// answers answers each request on a connection.
func answers(z *zoo, c net.Conn) {
	for br := bufio.NewReader(c); z.request(br) != nil; {
		io.WriteString(c, okAnswer)
	}
}

// change lets f change the kept connections of a client.
func (k *kept) change(f func(*conn)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, all := range k.conns {
		for _, c := range all {
			f(c)
		}
	}
}

// untilNotSilent waits until something has arrived on the kept connections.
func (k *kept) untilNotSilent(t *testing.T) {
	testenv.Eventually(t, patience, func(context.Context) (err error) {
		k.change(func(c *conn) {
			if c.silent() {
				err = errors.New("nothing has arrived on a kept connection")
			}
		})
		return err
	})
}

// TestKept_worn opens a new connection in place of one that is too old, or has waited for too long.
func TestKept_worn(t *testing.T) {
	for _, c := range []struct {
		name  string
		wear  func(*conn)
		conns int
	}{
		{"new", func(*conn) {}, 0},
		{"old", func(c *conn) { c.opened = c.opened.Add(-maxAge) }, 1},
		{"almost old", func(c *conn) { c.opened = c.opened.Add(time.Minute - maxAge) }, 0},
		{"waited", func(c *conn) { c.idle = c.idle.Add(-idleFor) }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			z := serve(t, answers)
			client, err := (&Settings{Connection: reuse}).Client(z.url())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			askWith(t, client, patience, Request{URL: z.url()})
			client.kept.change(c.wear)
			a, _ := askWith(t, client, patience, Request{Method: "POST", URL: z.url()})
			if a.Reason != probe.OK || a.Connections != c.conns || z.requests.Load() != 2 {
				t.Errorf("got %s: %s over %d new connections, want %d", a.Reason, a.Detail, a.Connections, c.conns)
			}
		})
	}
}

// TestKept_certificate does not use a connection for longer than the certificate that it has shown.
func TestKept_certificate(t *testing.T) {
	p := newPKI(t)
	z := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{p.server(-day, time.Minute)}}, answers)
	client, err := (&Settings{Connection: reuse, TLS: &dial.TLS{CAFile: p.file}}).Client(z.https())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	a, _ := askWith(t, client, patience, Request{URL: z.https()})
	client.kept.change(func(c *conn) {
		if c.worn(a.CertExpiry) || !c.worn(a.CertExpiry.Add(1)) {
			t.Errorf("not given up at %s", a.CertExpiry)
		}
	})
}

// TestKept_moved follows a name that gets another address, or none, and leaves no connection to the old one open.
func TestKept_moved(t *testing.T) {
	ended := make(chan struct{}, 2)
	z := serve(t, func(z *zoo, c net.Conn) { answers(z, c); ended <- struct{}{} })
	var addr atomic.Value
	addr.Store("127.0.0.1")
	var asked atomic.Int64
	resolver := nameserver(t, func(int, bool) (dnsmessage.RCode, []string, bool) {
		asked.Add(1)
		if addr.Load() == "" {
			return dnsmessage.RCodeNameError, nil, true
		}
		return dnsmessage.RCodeSuccess, []string{addr.Load().(string)}, true
	})
	url := "http://target.test:" + port(z.Addr().String()) + "/"
	client, err := (&Settings{Resolver: resolver, Connection: reuse}).Client(url)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	later := func(c *conn) { c.named = c.named.Add(-nameAge) }
	for _, c := range []struct {
		name, addr string
		later      bool
		why        probe.Reason
		conns      int
		phases     string
	}{
		{"first", "127.0.0.1", false, probe.OK, 1, "resolve connect processing transfer"},
		{"at once", "127.0.0.2", false, probe.OK, 0, "processing transfer"},
		{"later, in place", "127.0.0.1", true, probe.OK, 0, "resolve processing transfer"},
		{"later, moved to where nobody listens", "127.0.0.2", true, probe.Refused, 0, "resolve connect"},
		{"back again", "127.0.0.1", false, probe.OK, 1, "resolve connect processing transfer"},
		{"later, gone", "", true, probe.NXDomain, 0, "resolve"},
	} {
		addr.Store(c.addr)
		if c.later {
			client.kept.change(later)
		}
		a, _ := askWith(t, client, patience, Request{URL: url})
		if a.Reason != c.why || a.Connections != c.conns || phases(a) != c.phases {
			t.Errorf("%s: got %s: %s, %d new connections, phases %s", c.name, a.Reason, a.Detail, a.Connections, phases(a))
		}
	}
	<-ended
	<-ended
	if asked.Load() == 0 || z.requests.Load() != 4 {
		t.Errorf("%d requests, want 4", z.requests.Load())
	}
}

// TestKept_closedMeanwhile notices before it sends that the server has closed a kept connection.
func TestKept_closedMeanwhile(t *testing.T) {
	p := newPKI(t)
	for _, secure := range []bool{false, true} {
		once := func(z *zoo, c net.Conn) {
			if z.request(bufio.NewReader(c)) != nil {
				io.WriteString(c, okAnswer)
			}
		}
		z := serve(t, once)
		url := z.url()
		if secure {
			z = serveTLS(t, &tls.Config{Certificates: []tls.Certificate{p.server(-day, day)}}, once)
			url = z.https()
		}
		client, err := (&Settings{Connection: reuse, TLS: &dial.TLS{CAFile: p.file}}).Client(url)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			a, _ := askWith(t, client, patience, Request{Method: "POST", URL: url})
			if a.Reason != probe.OK || a.Connections != 1 {
				t.Errorf("got %s: %s over %d new connections", a.Reason, a.Detail, a.Connections)
			}
			client.kept.untilNotSilent(t)
		}
		client.Close()
		if z.requests.Load() != 3 {
			t.Errorf("%d requests, want 3", z.requests.Load())
		}
	}
}

// TestKept_moreThanAnAnswer keeps no connection on which more came than the answer, also where TLS has read it already.
func TestKept_moreThanAnAnswer(t *testing.T) {
	p := newPKI(t)
	more := func(z *zoo, c net.Conn) {
		for br := bufio.NewReader(c); z.request(br) != nil; {
			io.WriteString(c, okAnswer+"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n"+marker)
		}
	}
	// Two records in one packet: TLS may read both, and hands out the first.
	records := func(z *zoo, c net.Conn) {
		raw := c.(*tls.Conn).NetConn().(*joinedConn)
		for br := bufio.NewReader(c); z.request(br) != nil; {
			raw.join = true
			io.WriteString(c, okAnswer)
			raw.join = false
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n"+marker)
		}
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{p.server(-day, day)}}
	for name, z := range map[string]*zoo{"plain": serve(t, more), "TLS": serveTLS(t, cfg, more), "TLS, two records": serve(t, func(z *zoo, c net.Conn) { records(z, tls.Server(&joinedConn{Conn: c}, cfg)) })} {
		url := z.url()
		if strings.HasPrefix(name, "TLS") {
			url = z.https()
		}
		client, err := (&Settings{Connection: reuse, TLS: &dial.TLS{CAFile: p.file}}).Client(url)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if a, _ := askWith(t, client, patience, Request{URL: url}); a.Reason != probe.OK || string(a.Body) != "ok" {
				t.Errorf("%s: got %s %q: %s", name, a.Reason, a.Body, a.Detail)
			}
		}
		client.Close()
	}
}

// A joinedConn holds back what is written while join is set, and sends it together with what comes next.
type joinedConn struct {
	net.Conn
	join bool
	held []byte
}

func (c *joinedConn) Write(p []byte) (int, error) {
	c.held = append(c.held, p...)
	if c.join {
		return len(p), nil
	}
	_, err := c.Conn.Write(c.held)
	c.held = nil
	return len(p), err
}

// TestKept_pruned closes what has waited for too long, though nobody asks again.
func TestKept_pruned(t *testing.T) {
	ended := make(chan struct{})
	z := serve(t, func(z *zoo, c net.Conn) { answers(z, c); close(ended) })
	client, err := (&Settings{Connection: reuse}).Client(z.url())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	askWith(t, client, patience, Request{URL: z.url()})
	client.kept.prune()
	select {
	case <-ended:
		t.Fatal("closed at once")
	default:
	}
	client.kept.change(func(c *conn) { c.idle = c.idle.Add(-idleFor) })
	client.kept.prune()
	<-ended
	if n := len(client.kept.conns); n != 0 || client.kept.timer != nil {
		t.Errorf("%d are left", n)
	}
}

// TestKept_closesHTTP2 leaves no connection of HTTP/2 open.
func TestKept_closesHTTP2(t *testing.T) {
	p := newPKI(t)
	z := serveH2(t, p, func(h *h2, s uint32) { h.headers(s, true, ":status", "200") })
	client, err := (&Settings{Connection: reuse, HTTP2: true, TLS: &dial.TLS{CAFile: p.file}}).Client(z.https())
	if err != nil {
		t.Fatal(err)
	}
	askWith(t, client, patience, Request{URL: z.https()})
	var kept []*conn
	client.kept.change(func(c *conn) { kept = append(kept, c) })
	client.Close()
	if len(kept) != 1 {
		t.Fatalf("%d connections were kept, expected 1", len(kept))
	}
	if err := kept[0].raw.SetReadDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection is still open: %v", err)
	}
}

// TestKept_changedFiles gives up kept connections once the files by which they were verified have changed, also those that
// clients share.
func TestKept_changedFiles(t *testing.T) {
	p, stranger := newPKI(t), newPKI(t)
	z := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{p.server(-day, day)}}, answers)
	for _, two := range []bool{false, true} {
		if two {
			z = serveH2(t, p, func(h *h2, s uint32) { h.headers(s, true, ":status", "200") })
		}
		s := &Settings{Connection: reuse, HTTP2: two, TLS: &dial.TLS{CAFile: p.file}}
		client, err := s.Client(z.https())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		sharing, err := s.SharingConnections(client, nil)
		if err != nil {
			t.Fatal(err)
		}
		good, err := os.ReadFile(p.file)
		if err != nil {
			t.Fatal(err)
		}
		other, err := os.ReadFile(stranger.file)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			name   string
			client *Client
			file   []byte
			why    probe.Reason
			conns  int
		}{
			{"first", client, good, probe.OK, 1},
			{"kept", client, good, probe.OK, 0},
			{"shared", sharing, good, probe.OK, 0},
			{"another authority", client, other, probe.Cert, 1},
			{"the first again", client, good, probe.OK, 1},
			{"damaged", client, good[:len(good)/2], probe.Credential, 0},
		} {
			if err := os.WriteFile(p.file, step.file, 0o600); err != nil {
				t.Fatal(err)
			}
			if a, _ := askWith(t, step.client, patience, Request{URL: z.https()}); a.Reason != step.why || a.Connections != step.conns {
				t.Errorf("HTTP/2 %t, %s: got %s: %s over %d new connections, expected %s over %d", two, step.name, a.Reason, a.Detail, a.Connections, step.why, step.conns)
			}
		}
		if err := os.WriteFile(p.file, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
