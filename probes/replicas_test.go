package probes

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/httpx"
)

// zone is a name server for a test: by name, the addresses or, of a service, the target and port.
type zone struct {
	mu        sync.Mutex
	addresses map[string][]string
	services  map[string]dnsmessage.SRVResource
}

func (z *zone) start(t *testing.T) string {
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

func (z *zone) answer(m *dnsmessage.Message) {
	z.mu.Lock()
	defer z.mu.Unlock()
	q := m.Questions[0]
	name := strings.TrimSuffix(q.Name.String(), ".")
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	_, isName := z.addresses[name]
	service, isService := z.services[name]
	if !isName && !isService {
		m.RCode = dnsmessage.RCodeNameError
	}
	add := func(body dnsmessage.ResourceBody) {
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: body})
	}
	if q.Type == dnsmessage.TypeSRV && isService {
		add(&service)
	}
	for _, a := range z.addresses[name] {
		switch ip := netip.MustParseAddr(a); {
		case q.Type == dnsmessage.TypeA && ip.Is4():
			add(&dnsmessage.AResource{A: ip.As4()})
		case q.Type == dnsmessage.TypeAAAA && ip.Is6():
			add(&dnsmessage.AAAAResource{AAAA: ip.As16()})
		}
	}
}

// listen serves one handler on the same port of several loopback addresses, as the pods behind a headless name do.
func listen(t *testing.T, handler http.HandlerFunc, hosts ...string) (port string) {
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

func TestHealthAsksEveryReplicaBehindAName(t *testing.T) {
	var mu sync.Mutex
	hosts := map[string]int{}
	port := listen(t, func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		hosts[q.Host]++
		mu.Unlock()
		w.Header().Set("X-Instance", q.Context().Value(http.LocalAddrContextKey).(net.Addr).String())
		if q.URL.Path != "/health" && q.URL.Path != "/ready" {
			w.WriteHeader(404)
		}
	}, "127.0.0.2", "127.0.0.3")
	z := &zone{
		// The IPv6 address is that of the same pods: it is not a third replica.
		addresses: map[string][]string{"proxy.test": {"127.0.0.2", "127.0.0.3", "::1"}, "node.test": {"127.0.0.3"}, "none.test": {}},
		services:  map[string]dnsmessage.SRVResource{"_http._tcp.proxy.test": {Target: dnsmessage.MustNewName("node.test."), Port: portNumber(t, port)}},
	}
	resolver := z.start(t)
	for name, c := range map[string]struct {
		replicas Replicas
		want     string
	}{
		"an address record":            {Replicas{DNS: "proxy.test:" + port, Want: 2}, "replicas pass(ok): wanted 2 replicas, found 2, of which 2 live"},
		"fewer than are wanted":        {Replicas{DNS: "proxy.test:" + port, Want: 3}, "replicas fail(replicas): wanted 3 replicas, found 2, of which 2 live"},
		"a service record":             {Replicas{SRV: "_http._tcp.proxy.test", Want: 1}, "replicas pass(ok): wanted 1 replica, found 1, of which 1 live"},
		"a name that does not exist":   {Replicas{DNS: "gone.test:" + port, Want: 1}, "replicas fail(dns_nxdomain): wanted 1 replica: "},
		"a name without an address":    {Replicas{DNS: "none.test:" + port, Want: 1}, "replicas fail(dns_nxdomain): wanted 1 replica: "},
		"a record that does not exist": {Replicas{SRV: "_gone._tcp.proxy.test", Want: 1}, "replicas fail(dns_nxdomain): wanted 1 replica: "},
	} {
		t.Run(name, func(t *testing.T) {
			h := NewHealth()
			h.Service = "http://proxy.example"
			h.Resolver = resolver
			h.Replicas = c.replicas
			h.Instance = &httpx.Source{Header: "X-Instance"}
			if got := told(run(t, h)); !strings.Contains(got, c.want) {
				t.Errorf("got\n%swant %s", got, c.want)
			}
		})
	}
	if len(hosts) != 1 || hosts["proxy.example"] == 0 {
		t.Errorf("the replicas were asked as %v, want the service's own name", hosts)
	}
}

func portNumber(t *testing.T, port string) uint16 {
	t.Helper()
	a, err := netip.ParseAddrPort("127.0.0.1:" + port)
	if err != nil {
		t.Fatal(err)
	}
	return a.Port()
}
