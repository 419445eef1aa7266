package dial

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// TestDial_ipVersion dials a name by each setting: which addresses are tried, and the message if none of them takes the
// connection, or if there are none of the only version that is allowed. The answers for the two families race, so that only
// TestSearch_preferred holds their order.
func TestDial_ipVersion(t *testing.T) {
	t.Parallel()
	const refused = "connection refused by " // and the last that was tried
	both, four, six := []string{"127.0.0.9", "127.0.0.8", "fd00::9", "fd00::8"}, []string{"127.0.0.9"}, []string{"fd00::9"}
	for _, c := range []struct {
		version IPVersion
		has     []string
		network string
		tried   []string
		want    string
	}{
		{"", both, "tcp", []string{"[fd00::9]:80", "127.0.0.9:80", "[fd00::8]:80", "127.0.0.8:80"}, refused},
		{prefer6, both, "tcp", []string{"[fd00::9]:80", "127.0.0.9:80", "[fd00::8]:80", "127.0.0.8:80"}, refused},
		{prefer4, both, "tcp", []string{"127.0.0.9:80", "[fd00::9]:80", "127.0.0.8:80", "[fd00::8]:80"}, refused},
		{only4, both, "tcp", []string{"127.0.0.9:80", "127.0.0.8:80"}, refused},
		{only6, both, "tcp", []string{"[fd00::9]:80", "[fd00::8]:80"}, refused},
		{only6, both, "udp", []string{"[fd00::9]:80", "[fd00::8]:80"}, refused},
		{prefer4, six, "tcp", []string{"[fd00::9]:80"}, refused},
		{prefer6, four, "tcp", []string{"127.0.0.9:80"}, refused},
		{only4, six, "tcp", nil, "the name target.test exists and has no IPv4 address"},
		{only6, four, "tcp", nil, "the name target.test exists and has no IPv6 address"},
		{"", nil, "tcp", nil, "the name target.test exists and has no address"},
	} {
		t.Run(string(c.version), func(t *testing.T) {
			t.Parallel()
			server := testenv.ServeDNS(t, func(q dnsmessage.Question) (dnsmessage.RCode, []dnsmessage.ResourceBody, bool) {
				return dnsmessage.RCodeSuccess, testenv.AddressRecords(q.Type, c.has...), true
			})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			var tried []string
			d := &Dialer{Resolver: Resolver(server), IPVersion: c.version, Open: func(_ context.Context, _, address string) (net.Conn, error) {
				tried = append(tried, address)
				return nil, syscall.ECONNREFUSED
			}}
			x := Begin(ctx, 1)
			defer x.Close()
			_, err := d.DialContext(x.Context(), c.network, "target.test:80")
			want := c.want
			if want == refused && len(tried) > 0 {
				want += tried[len(tried)-1]
			}
			if got := x.Explain(err); got.Detail != want || got.Reason == probe.OK {
				t.Errorf("got %s, expected %s", got.Detail, want)
			}
			slices.Sort(tried)
			if want := slices.Sorted(slices.Values(c.tried)); !slices.Equal(tried, want) {
				t.Errorf("tried %v, expected %v", tried, want)
			}
		})
	}
}

// TestSearch_preferred has the addresses of the other family come first: those of the preferred one are waited for, and tried
// first.
func TestSearch_preferred(t *testing.T) {
	t.Parallel()
	for version, want := range map[IPVersion]string{"": "fd00::9", prefer6: "fd00::9", prefer4: "127.0.0.9"} {
		families := version.families("tcp")
		s := &search{ctx: t.Context(), prefers: families[0], answers: make(chan answer, 2), pending: 2}
		for _, family := range slices.Backward(families) {
			ip := netip.MustParseAddr("fd00::9")
			if family == "ip4" {
				ip = netip.MustParseAddr("127.0.0.9")
			}
			s.answers <- answer{family: family, addrs: []netip.Addr{ip}}
		}
		if got := s.first(); len(got) != 2 || got[0].String() != want {
			t.Errorf("%q: got %v, expected %s first", version, got, want)
		}
	}
}
