package health

import (
	"net"
	"net/http"
	"net/netip"
	"prober/internal/httpx"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
	"prober/probes/internal/replicas"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func TestHealthAsksEveryReplicaBehindAName(t *testing.T) {
	var mu sync.Mutex
	hosts := map[string]int{}
	port := testenv.Listen(t, func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		hosts[q.Host]++
		mu.Unlock()
		w.Header().Set("X-Instance", q.Context().Value(http.LocalAddrContextKey).(net.Addr).String())
		if q.URL.Path != "/health" && q.URL.Path != "/ready" {
			w.WriteHeader(404)
		}
	}, "127.0.0.2", "127.0.0.3")
	z := &testenv.Zone{
		// The IPv6 address is that of the same pods: it is not a third replica.
		Addresses: map[string][]string{"proxy.test": {"127.0.0.2", "127.0.0.3", "::1"}, "node.test": {"127.0.0.3"}, "none.test": {}},
		Services:  map[string]dnsmessage.SRVResource{"_http._tcp.proxy.test": {Target: dnsmessage.MustNewName("node.test."), Port: portNumber(t, port)}},
	}
	resolver := z.Start(t)
	for name, c := range map[string]struct {
		replicas replicas.Replicas
		want     string
	}{
		"an address record":            {replicas.Replicas{DNS: "proxy.test:" + port, Want: 2}, "replicas pass(ok): wanted 2 replicas, found 2, of which 2 live"},
		"fewer than are wanted":        {replicas.Replicas{DNS: "proxy.test:" + port, Want: 3}, "replicas fail(replicas): wanted 3 replicas, found 2, of which 2 live"},
		"a service record":             {replicas.Replicas{SRV: "_http._tcp.proxy.test", Want: 1}, "replicas pass(ok): wanted 1 replica, found 1, of which 1 live"},
		"a name that does not exist":   {replicas.Replicas{DNS: "gone.test:" + port, Want: 1}, "replicas fail(dns_nxdomain): wanted 1 replica: "},
		"a name without an address":    {replicas.Replicas{DNS: "none.test:" + port, Want: 1}, "replicas fail(dns_nxdomain): wanted 1 replica: "},
		"a record that does not exist": {replicas.Replicas{SRV: "_gone._tcp.proxy.test", Want: 1}, "replicas fail(dns_nxdomain): wanted 1 replica: "},
	} {
		t.Run(name, func(t *testing.T) {
			h := New()
			h.Service = "http://proxy.example"
			h.Resolver = resolver
			h.Replicas = c.replicas
			h.Instance = &httpx.Source{Header: "X-Instance"}
			if got := probetest.Lines(probetest.Run(t, Kind(), h)); !strings.Contains(got, c.want) {
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
