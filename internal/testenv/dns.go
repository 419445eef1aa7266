package testenv

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// Zone is a name server for a test: by name, the addresses or, of a service, the target and port.
type Zone struct {
	mu        sync.Mutex
	Addresses map[string][]string
	Services  map[string]dnsmessage.SRVResource
}

// Start serves the zone on loopback until the test ends, and returns its address.
func (z *Zone) Start(t testing.TB) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			z.answer(&m)
			if packed, err := m.Pack(); err == nil {
				pc.WriteTo(packed, from)
			}
		}
	})
	t.Cleanup(func() { pc.Close(); done.Wait() })
	return pc.LocalAddr().String()
}

func (z *Zone) answer(m *dnsmessage.Message) {
	z.mu.Lock()
	defer z.mu.Unlock()
	q := m.Questions[0]
	name := strings.TrimSuffix(q.Name.String(), ".")
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	_, isName := z.Addresses[name]
	service, isService := z.Services[name]
	if !isName && !isService {
		m.RCode = dnsmessage.RCodeNameError
	}
	add := func(body dnsmessage.ResourceBody) {
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: body})
	}
	if q.Type == dnsmessage.TypeSRV && isService {
		add(&service)
	}
	for _, a := range z.Addresses[name] {
		switch ip := netip.MustParseAddr(a); {
		case q.Type == dnsmessage.TypeA && ip.Is4():
			add(&dnsmessage.AResource{A: ip.As4()})
		case q.Type == dnsmessage.TypeAAAA && ip.Is6():
			add(&dnsmessage.AAAAResource{AAAA: ip.As16()})
		}
	}
}

// Listen serves one handler on the same port of several loopback addresses, as the pods behind a headless name do.
func Listen(t testing.TB, handler http.HandlerFunc, hosts ...string) (port string) {
	t.Helper()
	port = "0"
	for _, host := range hosts {
		l, err := net.Listen("tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(l.Addr().String())
		server := httptest.NewUnstartedServer(handler)
		server.Listener.Close()
		server.Listener = l
		server.Start()
		t.Cleanup(server.Close)
	}
	return port
}
