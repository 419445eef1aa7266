package dial

import (
	"bufio"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// patience is how long what can succeed may take, on a loaded machine.
const patience = time.Minute

// listen returns the address of a server on loopback that does to each connection what it is told.
func listen(t *testing.T, do func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); do(c) }()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.Addr().String()
}

func echo(c net.Conn) { io.Copy(c, c) }

// nameserver answers every question for addresses with one address until the test ends, and returns its own.
func nameserver(t *testing.T, addr string) string {
	t.Helper()
	return testenv.ServeDNS(t, func(q dnsmessage.Question) (dnsmessage.RCode, []dnsmessage.ResourceBody, bool) {
		return dnsmessage.RCodeSuccess, testenv.AddressRecords(q.Type, addr), true
	})
}

// TestDeniedBeforeTheDial asks for addresses that are never dialled, in every form, and counts what gets to the
// network: nothing. An address that is allowed gets there, so the count can be trusted.
func TestDeniedBeforeTheDial(t *testing.T) {
	opened := errors.New("opened")
	for _, test := range []struct {
		address, class string
	}{
		{"169.254.169.254:80", "metadata"},
		{"[::ffff:169.254.169.254]:80", "metadata"},
		{"[::ffff:a9fe:a9fe]:80", "metadata"},
		{"[::169.254.169.254]:80", "metadata"},
		{"[64:ff9b::169.254.169.254]:80", "metadata"},
		{"[64:ff9b:1::a9fe:a9fe]:80", "metadata"},
		{"[64:ff9b:1:a9fe:a9:fe00::]:80", "metadata"},
		{"[64:ff9b:1:a00:0:100::]:80", ""},
		{"[2002:a9fe:a9fe::1]:80", "metadata"},
		{"[fd00:ec2::254]:80", "metadata"},
		{"100.100.100.200:80", "metadata"},
		{"169.254.1.1:80", "link_local"},
		{"[fe80::1%eth0]:80", "link_local"},
		{"224.0.0.1:80", "multicast"},
		{"[ff02::1]:80", "multicast"},
		{"255.255.255.255:80", "multicast"},
		{"0.0.0.0:80", "unspecified"},
		{"[::]:80", "unspecified"},
		{"by-name.test:80", "metadata"},
		{"127.0.0.1:80", ""},
		{"[::1]:80", ""},
		{"10.0.0.1:80", ""},
	} {
		for _, network := range []string{"tcp", "udp"} {
			dials := 0
			d := &Dialer{Resolver: Resolver(nameserver(t, "169.254.169.254")), Open: func(context.Context, string, string) (net.Conn, error) {
				dials++
				return nil, opened
			}}
			for _, dial := range []func(context.Context, string, string) (net.Conn, error){d.DialContext, d.DialTLSContext} {
				dials = 0
				x := Begin(t.Context(), 1)
				_, err := dial(x.Context(), network, test.address)
				denied, ok := errors.AsType[*DeniedError](err)
				switch {
				case test.class == "":
					if dials != 1 || err != opened {
						t.Errorf("%s over %s: dialled %d times, got %v, expected one dial", test.address, network, dials, err)
					}
					continue
				case dials != 0 || !ok || denied.class != test.class:
					t.Errorf("%s over %s: dialled %d times, got %v, expected no dial because it is %s", test.address, network, dials, err, test.class)
				}
				var record probe.Exchange
				x.Close()
				x.Fill(&record, err)
				if got := x.Explain(err); got.Reason != probe.Protocol || !strings.Contains(got.Detail, "never dialled") {
					t.Errorf("%s: got %s: %s", test.address, got.Reason, got.Detail)
				}
				if record.Denied != test.class || record.Addr != "" || record.Connections != 0 {
					t.Errorf("%s: recorded %+v", test.address, record)
				}
			}
		}
	}
}

// TestAllowLinkLocal lets pass what time servers of clouds need, and never an address at which many would answer.
func TestAllowLinkLocal(t *testing.T) {
	for address, want := range map[string]int{"169.254.169.123:123": 1, "169.254.169.254:123": 1, "[fe80::1]:123": 1, "224.0.1.1:123": 0, "[ff02::101]:123": 0, "0.0.0.0:123": 0, "255.255.255.255:123": 0} {
		dials := 0
		d := &Dialer{AllowLinkLocal: true, Open: func(context.Context, string, string) (net.Conn, error) {
			dials++
			return nil, errors.New("opened")
		}}
		d.DialContext(t.Context(), "udp", address)
		if dials != want {
			t.Errorf("%s: dialled %d times, expected %d", address, dials, want)
		}
	}
}

func TestDialContext(t *testing.T) {
	addr := listen(t, echo)
	d := &Dialer{Resolver: Resolver(nameserver(t, "127.0.0.1"))}
	_, port, _ := net.SplitHostPort(addr)
	for address, phases := range map[string]string{addr: "connect processing", "target.test:" + port: "resolve connect processing"} {
		x := Begin(t.Context(), 1)
		c, err := d.DialContext(x.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		x.Enter(PhaseProcessing)
		got := make([]byte, 2)
		if _, err := io.WriteString(c, "hi"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "hi" {
			t.Errorf("got %q, %v", got, err)
		}
		if _, err := d.DialContext(x.Context(), "tcp", address); !errors.Is(err, ErrConns) {
			t.Errorf("got %v, expected no second connection", err)
		}
		x.Close()
		if _, err := c.Read(got); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, expected the connection to be closed with its exchange", err)
		}
		var record probe.Exchange
		x.Fill(&record, nil)
		var names []string
		for _, p := range record.Phases {
			names = append(names, p.Name)
		}
		if strings.Join(names, " ") != phases || record.Addr != addr || record.Connections != 1 {
			t.Errorf("recorded %+v", record)
		}
	}
	for _, address := range []string{"127.0.0.1", "127.0.0.1:99999", "127.0.0.1:"} {
		if _, err := d.DialContext(t.Context(), "tcp", address); err == nil {
			t.Errorf("dialled %s", address)
		}
	}
	if _, err := d.DialContext(t.Context(), "unix", "a:1"); err == nil {
		t.Error("dialled a unix socket")
	}
}

// TestConnEndsWithTheContext hands a raw connection to code that waits for ever, as after a switch of protocols, and
// that takes back every deadline. It ends with the exchange's context all the same.
// TestConn_noDeadlineBehindTheEnd: whoever holds a connection gives it no more time than its context has.
func TestConn_noDeadlineBehindTheEnd(t *testing.T) {
	t.Parallel()
	addr := listen(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	ctx, cancel := context.WithCancel(t.Context())
	x := Begin(ctx, 1)
	defer x.Close()
	c, err := new(Dialer).DialContext(x.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]func(time.Time) error{"all": c.SetDeadline, "reads": c.SetReadDeadline, "writes": c.SetWriteDeadline} {
		if err := set(time.Now().Add(time.Hour)); err != nil {
			t.Errorf("%s: got %v while the context lasts", name, err)
		}
	}
	cancel()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	for name, set := range map[string]func(time.Time) error{"all": c.SetDeadline, "reads": c.SetReadDeadline, "writes": c.SetWriteDeadline} {
		if err := set(time.Now().Add(time.Hour)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v after the context has ended", name, err)
		}
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("a write: got %v", err)
	}
}

// TestConnect_private: a credential that may go to this machine only is sent nowhere else, and the reason says so, also where the
// addresses of the other family come later.
func TestConnect_private(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		four, six []string
		tried     string
		want      probe.Reason
	}{
		"elsewhere":                           {[]string{"192.0.2.1"}, []string{"2001:db8::1"}, "[]", probe.Credential},
		"this machine":                        {[]string{"127.0.0.9"}, nil, "[127.0.0.9:80]", probe.Refused},
		"elsewhere first":                     {[]string{"127.0.0.9"}, []string{"2001:db8::1"}, "[127.0.0.9:80]", probe.Refused},
		"elsewhere, and nothing answers here": {[]string{"127.0.0.9", "192.0.2.1"}, nil, "[127.0.0.9:80]", probe.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tried := []string{}
			d := &Dialer{Open: func(_ context.Context, _, address string) (net.Conn, error) {
				tried = append(tried, address)
				return nil, syscall.ECONNREFUSED
			}}
			x := Begin(t.Context(), 1)
			defer x.Close()
			x.private = true
			a := attempts{dialer: d, exchange: x, network: "tcp", port: 80}
			for pending, addrs := range [][]string{c.four, c.six} {
				var ips []netip.Addr
				for _, ip := range addrs {
					ips = append(ips, netip.MustParseAddr(ip))
				}
				a.try(x.Context(), ips, 1-pending)
			}
			x.toward(a.peer)
			if got := x.Explain(a.last); got.Reason != c.want || fmt.Sprint(tried) != c.tried {
				t.Errorf("got %s: %s, tried %v", got.Reason, got.Detail, tried)
			}
		})
	}
}

func TestConnEndsWithTheContext(t *testing.T) {
	done := make(chan struct{})
	defer close(done)
	addr := listen(t, func(net.Conn) { <-done }) // neither reads nor writes
	for name, wait := range map[string]func(net.Conn) error{
		"reads":  func(c net.Conn) error { _, err := c.Read(make([]byte, 1)); return err },
		"writes": func(c net.Conn) error { return fill(c) },
		"takes its deadline back": func(c net.Conn) error {
			for {
				c.SetDeadline(time.Time{})
				if _, err := c.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
					return err
				}
				c.SetReadDeadline(time.Now().Add(time.Hour))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, how := range []error{context.Canceled, context.DeadlineExceeded} {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				if how == context.DeadlineExceeded {
					ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
				} else {
					time.AfterFunc(50*time.Millisecond, cancel)
				}
				x := Begin(ctx, 1)
				// The client that dials bounds its dial by a context that ends with it.
				dialing, dialled := context.WithCancel(x.Context())
				c, err := new(Dialer).DialContext(dialing, "tcp", addr)
				dialled()
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				if err := wait(c); !errors.Is(err, how) {
					t.Errorf("got %v, expected %v", err, how)
				}
				if took := time.Since(began); took > patience/2 {
					t.Errorf("ended after %s", took)
				}
				x.Close()
				cancel()
			}
		})
	}
}

// fill writes until that fails.
func fill(c net.Conn) error {
	for {
		if _, err := c.Write(make([]byte, 1<<20)); err != nil {
			return err
		}
	}
}

// TestBind keeps a connection from one exchange to the next. The end of the first, and its release when the second has
// begun already, leave the connection alone.
func TestBind(t *testing.T) {
	nc, err := new(Dialer).DialContext(t.Context(), "tcp", listen(t, echo))
	if err != nil {
		t.Fatal(err)
	}
	c := Underlying(nc)
	defer c.Close()
	alive := func() {
		t.Helper()
		if _, err := io.WriteString(c, "a"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	first, cancelFirst := context.WithCancel(t.Context())
	releaseFirst := c.Bind(first)
	alive()
	second, cancelSecond := context.WithCancel(t.Context())
	c.Bind(second)
	cancelFirst()
	releaseFirst()
	alive()
	cancelSecond()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, expected the end of the second", err)
	}
}

func TestReadLimit(t *testing.T) {
	addr := listen(t, func(c net.Conn) { c.Write(make([]byte, 100)) })
	x := Begin(t.Context(), 1)
	defer x.Close()
	c, err := (&Dialer{MaxRead: 99}).DialContext(x.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, c)
	if got := x.Explain(err); n > 99 || got != probe.Outcomef(probe.Protocol, "the server at %s sent more than any answer needs", addr) {
		t.Errorf("read %d bytes: %s: %s", n, got.Reason, got.Detail)
	}
}

func TestDialTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := listen(t, func(c net.Conn) {
		bufio.NewReader(c).ReadByte()
		io.WriteString(c, "-ERR "+marker+"\r\n")
	})
	addr := server.Listener.Addr().String()
	for name, test := range map[string]struct {
		tls  TLS
		addr string
		why  probe.Reason
		want string
	}{
		"trusted":         {TLS{CAFile: ca}, addr, probe.OK, ""},
		"by another name": {TLS{CAFile: ca, ServerName: "example.com"}, addr, probe.OK, ""},
		"not its name":    {TLS{CAFile: ca, ServerName: "a.example"}, addr, probe.Cert, "the certificate is not for a.example"},
		"not trusted":     {TLS{}, addr, probe.Cert, "the certificate "},
		"no TLS":          {TLS{CAFile: ca}, plain, probe.TLS, "the server at " + plain + " does not speak TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			d := New("", &test.tls)
			x := Begin(t.Context(), 1)
			c, err := d.DialTLSContext(x.Context(), "tcp", test.addr)
			if test.why == probe.OK {
				if err != nil {
					t.Fatal(err)
				}
				if raw := Underlying(c); raw == nil || !raw.CertExpiry().Equal(server.Certificate().NotAfter) || raw.Peer() != addr {
					t.Errorf("beneath is %+v", raw)
				}
			} else if got := x.Explain(err); got.Reason != test.why || !strings.HasPrefix(got.Detail, test.want) || strings.Contains(got.Detail, marker) {
				t.Errorf("got %s: %s, expected %s: %s", got.Reason, got.Detail, test.why, test.want)
			}
			x.Close()
			var record probe.Exchange
			x.Fill(&record, err)
			if record.Connections != 1 || len(record.Phases) != 2 || record.Phases[1].Name != "tls" || record.CertExpiry.IsZero() != (test.addr == plain) {
				t.Errorf("recorded %+v", record)
			}
		})
	}
}

// TestOwnDialContext ends a dial by a context of the client's own, which says nothing about the target.
func TestOwnDialContext(t *testing.T) {
	for want, says := range map[probe.Reason]string{
		probe.Cancelled: "the prober gave up on 127.0.0.1:1 before there was an answer, and the run went on",
		probe.Timeout:   "no connection to 127.0.0.1:1 in time",
	} {
		x := Begin(t.Context(), 1)
		ctx, cancel := context.WithCancel(x.Context())
		if want == probe.Timeout {
			ctx, cancel = context.WithDeadline(x.Context(), time.Now())
		}
		d := &Dialer{Open: func(ctx context.Context, _, _ string) (net.Conn, error) {
			cancel()
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		_, err := d.DialContext(ctx, "tcp", "127.0.0.1:1")
		if got := x.Explain(err); got.Reason != want || got.Detail != says {
			t.Errorf("got %s: %s, expected %s: %s", got.Reason, got.Detail, want, says)
		}
		x.Close()
	}
	// The run itself, cancelled during a dial.
	run, stop := context.WithCancel(t.Context())
	x := Begin(run, 1)
	defer x.Close()
	d := &Dialer{Open: func(ctx context.Context, _, _ string) (net.Conn, error) {
		stop()
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	_, err := d.DialContext(x.Context(), "tcp", "127.0.0.1:1")
	if got := x.Explain(err); got.Reason != probe.Cancelled || got.Detail != "the run was cancelled" {
		t.Errorf("got %s: %s, expected that the run was cancelled", got.Reason, got.Detail)
	}
}
