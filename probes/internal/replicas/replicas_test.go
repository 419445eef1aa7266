package replicas

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// resolver asks a name server that answers over a stream, as large answers do.
func resolver(t *testing.T, services, addresses map[string][]string) *net.Resolver {
	answer := func(q dnsmessage.Question) (dnsmessage.RCode, []dnsmessage.ResourceBody) {
		name := strings.TrimSuffix(q.Name.String(), ".")
		if q.Type == dnsmessage.TypeSRV {
			var all []dnsmessage.ResourceBody
			for _, target := range services[name] {
				all = append(all, &dnsmessage.SRVResource{Target: dnsmessage.MustNewName(target + "."), Port: 80})
			}
			return dnsmessage.RCodeSuccess, all
		}
		if _, there := addresses[name]; !there {
			return dnsmessage.RCodeNameError, nil
		}
		return dnsmessage.RCodeSuccess, testenv.AddressRecords(q.Type, addresses[name]...)
	}
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		t.Cleanup(func() { server.Close() })
		go serve(server, answer)
		return client, nil
	}}
}

func serve(c net.Conn, answer func(dnsmessage.Question) (dnsmessage.RCode, []dnsmessage.ResourceBody)) {
	defer c.Close()
	for {
		var length [2]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		asked := make([]byte, binary.BigEndian.Uint16(length[:]))
		var m dnsmessage.Message
		if _, err := io.ReadFull(c, asked); err != nil || m.Unpack(asked) != nil {
			return
		}
		code, bodies := answer(m.Questions[0])
		m.Response, m.RecursionAvailable, m.Additionals, m.RCode = true, true, nil, code
		for _, body := range bodies {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 1}, Body: body})
		}
		packed, err := m.Pack()
		if err != nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)); err != nil {
			return
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	many := func(format string, n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf(format, i))
		}
		return all
	}
	addresses := map[string][]string{
		"two.test": {"127.0.0.3", "127.0.0.2"}, "six.test": {"::2", "::1"}, "both.test": {"::1", "127.0.0.2"},
		"all.test": many("127.0.1.%d", MaxReplicas), "more.test": many("127.0.1.%d", MaxReplicas+1),
	}
	for i := range MaxReplicas + 1 {
		addresses[fmt.Sprintf("node%d.test", i)] = []string{fmt.Sprintf("127.0.2.%d", i)}
	}
	resolver := resolver(t, map[string][]string{
		"_a._tcp.two.test": {"two.test", "both.test"}, "_a._tcp.half.test": {"two.test", "gone.test"},
		"_a._tcp.all.test": many("node%d.test", MaxReplicas), "_a._tcp.more.test": many("node%d.test", MaxReplicas+1),
		"_a._tcp.wide.test": {"all.test", "node0.test"},
	}, addresses)
	for name, c := range map[string]struct {
		replicas Replicas
		want     string // what is to be dialled, or how many, and what is reported
	}{
		"none":                                      {Replicas{Want: 1}, `[""]`},
		"listed":                                    {Replicas{Static: []string{"127.0.0.3:1", "127.0.0.2:1"}, Want: 2}, `["127.0.0.3:1" "127.0.0.2:1"]`},
		"addresses":                                 {Replicas{DNS: "two.test:1", Want: 2}, `["127.0.0.2:1" "127.0.0.3:1"]`},
		"addresses of the newer family":             {Replicas{DNS: "six.test:1", Want: 2}, `["[::1]:1" "[::2]:1"]`},
		"addresses of both families":                {Replicas{DNS: "both.test:1", Want: 1}, `["127.0.0.2:1"]`},
		"as many addresses as are asked":            {Replicas{DNS: "all.test:1", Want: 1}, fmt.Sprint(MaxReplicas)},
		"more addresses than are asked":             {Replicas{DNS: "more.test:1", Want: 1}, "[] inconclusive too_large: found 101 replicas; more than 100 cannot be asked at once"},
		"service records that share an address":     {Replicas{SRV: "_a._tcp.two.test", Want: 2}, `["127.0.0.2:80" "127.0.0.3:80"]`},
		"a service record of a name that is not":    {Replicas{SRV: "_a._tcp.half.test", Want: 2}, "[] fail dns_nxdomain: expected 2 replicas: "},
		"as many service records as are asked":      {Replicas{SRV: "_a._tcp.all.test", Want: 1}, fmt.Sprint(MaxReplicas)},
		"more service records than are asked":       {Replicas{SRV: "_a._tcp.more.test", Want: 1}, "[] inconclusive too_large: found 101 replicas; more than 100 cannot be asked at once"},
		"service records of more than are asked":    {Replicas{SRV: "_a._tcp.wide.test", Want: 1}, "[] inconclusive too_large: found 101 replicas; more than 100 cannot be asked at once"},
		"a service without records":                 {Replicas{SRV: "_a._tcp.none.test", Want: 1}, "[] fail dns_nxdomain: expected 1 replica: "},
		"a name that the name server does not know": {Replicas{DNS: "gone.test:1", Want: 1}, "[] fail dns_nxdomain: expected 1 replica: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := probe.NewResult(probe.ID{})
			found, ok := c.replicas.Find(t.Context(), r, resolver)
			got := fmt.Sprintf("%q", found)
			if len(found) > 2 {
				got = fmt.Sprint(len(found))
			}
			for _, check := range r.Checks {
				got += fmt.Sprintf(" %s %s: %s", check.Verdict, check.Reason, check.Detail)
			}
			if !strings.HasPrefix(got, c.want) || ok != (len(r.Checks) == 0) {
				t.Errorf("got %s, %t, expected %s", got, ok, c.want)
			}
		})
	}
}
