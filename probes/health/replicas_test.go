package health

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
	"prober/probes/internal/replicas"
)

func TestReplicas_discovered(t *testing.T) {
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
		"an address record":            {replicas.Replicas{DNS: "proxy.test:" + port, Want: 2}, "replicas pass(ok): expected 2 replicas, found 2, of which 2 live"},
		"fewer than are expected":      {replicas.Replicas{DNS: "proxy.test:" + port, Want: 3}, "replicas fail(replicas): expected 3 replicas, found 2, of which 2 live"},
		"a service record":             {replicas.Replicas{SRV: "_http._tcp.proxy.test", Want: 1}, "replicas pass(ok): expected 1 replica, found 1, of which 1 live"},
		"a name that does not exist":   {replicas.Replicas{DNS: "gone.test:" + port, Want: 1}, "replicas fail(dns_nxdomain): expected 1 replica: "},
		"a name without an address":    {replicas.Replicas{DNS: "none.test:" + port, Want: 1}, "replicas fail(no_address): expected 1 replica: "},
		"a record that does not exist": {replicas.Replicas{SRV: "_gone._tcp.proxy.test", Want: 1}, "replicas fail(dns_nxdomain): expected 1 replica: "},
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

// Without replicas the gauges must not vanish: an alert that compares them would be silent.
func TestHealth_replicaGaugesWithoutReplicas(t *testing.T) {
	resolver := (&testenv.Zone{Addresses: map[string][]string{"none.test": {}}}).Start(t)
	for _, c := range []struct{ name, dns, resolver, want string }{
		{"a name that does not exist", "gone.test:80", resolver, "wanted 3 found 0 healthy 0"},
		{"a name without an address", "none.test:80", resolver, "wanted 3 found 0 healthy 0"},
		{"a name server that cannot be reached", "proxy.test:80", "127.0.0.1:1", "wanted 3"},
	} {
		h := New()
		h.Service, h.Resolver, h.Replicas = "http://proxy.example", c.resolver, replicas.Replicas{DNS: c.dns, Want: 3}
		var got []string
		r := probetest.Run(t, Kind(), h)
		for _, s := range r.Samples {
			got = append(got, fmt.Sprint(strings.TrimPrefix(s.Name, "probe_replicas_"), " ", s.Value))
		}
		if strings.Join(got, " ") != c.want || r.Verdict() == probe.Pass {
			t.Errorf("%s: got %s and %s, expected %s", c.name, got, r.Verdict(), c.want)
		}
		if initial := h.InitialSamples(); len(initial) != 1 || initial[0].Measure != replicasWanted || initial[0].Value != 3 {
			t.Errorf("before the first run: got %v", initial)
		}
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
