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

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/testenv"
)

// resolver asks a name server that answers over a stream, as large answers do.
func resolver(t *testing.T, services, addresses map[string][]string) *net.Resolver {
	answer := func(q dnsmessage.Question) (dnsmessage.RCode, []dnsmessage.ResourceBody) {
		name := strings.TrimSuffix(q.Name.String(), ".")
		if name == "broken.test" {
			return dnsmessage.RCodeServerFailure, nil
		}
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
		"_a._tcp.cut.test": {"two.test", "broken.test"}, "_a._tcp.wide.test": {"all.test", "node0.test"},
	}, addresses)
	for name, c := range map[string]struct {
		replicas Replicas
		want     string // what is to be dialled, or how many, and what is reported
	}{
		"none":                                                 {Replicas{Want: 1}, `[""]`},
		"listed":                                               {Replicas{Static: []string{"127.0.0.3:1", "127.0.0.2:1"}, Want: 2}, `["127.0.0.3:1" "127.0.0.2:1"]`},
		"one listed":                                           {Replicas{Static: []string{"127.0.0.2:1"}, Want: 1}, `["127.0.0.2:1"]`},
		"addresses":                                            {Replicas{DNS: "two.test:1", Want: 2}, `["127.0.0.2:1" "127.0.0.3:1"]`},
		"addresses of the newer family":                        {Replicas{DNS: "six.test:1", Want: 2}, `["[::1]:1" "[::2]:1"]`},
		"addresses of both families":                           {Replicas{DNS: "both.test:1", Want: 1}, `["127.0.0.2:1"]`},
		"as many addresses as are asked":                       {Replicas{DNS: "all.test:1", Want: 1}, fmt.Sprint(MaxReplicas)},
		"more addresses than are asked":                        {Replicas{DNS: "more.test:1", Want: 1}, "unknown inconclusive too_large: found 101 replicas; more than 100 cannot be asked at once"},
		"service records that share an address":                {Replicas{SRV: "_a._tcp.two.test", Want: 2}, `["127.0.0.2:80" "127.0.0.3:80"]`},
		"a service record of a name that is not":               {Replicas{SRV: "_a._tcp.half.test", Want: 2}, "[] fail dns_nxdomain: expected 2 replicas: "},
		"as many service records as are asked":                 {Replicas{SRV: "_a._tcp.all.test", Want: 1}, fmt.Sprint(MaxReplicas)},
		"more service records than are asked":                  {Replicas{SRV: "_a._tcp.more.test", Want: 1}, "unknown inconclusive too_large: found 101 replicas; more than 100 cannot be asked at once"},
		"service records of more than are asked":               {Replicas{SRV: "_a._tcp.wide.test", Want: 1}, "unknown inconclusive too_large: found 101 replicas; more than 100 cannot be asked at once"},
		"a service without records":                            {Replicas{SRV: "_a._tcp.none.test", Want: 1}, "[] fail dns_nxdomain: expected 1 replica: "},
		"a name server that is broken":                         {Replicas{DNS: "broken.test:1", Want: 1}, "unknown fail dns_servfail: expected 1 replica: "},
		"a name server that does not know one of the services": {Replicas{SRV: "_a._tcp.cut.test", Want: 1}, "unknown fail dns_servfail: expected 1 replica: "},
		"a name that the name server does not know":            {Replicas{DNS: "gone.test:1", Want: 1}, "[] fail dns_nxdomain: expected 1 replica: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := probe.NewResult(probe.ID{})
			found, ok := c.replicas.Find(t.Context(), r, resolver)
			got := fmt.Sprintf("%q", found)
			switch {
			case len(found) > 2:
				got = fmt.Sprint(len(found))
			case found == nil:
				got = "unknown"
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

func TestValidate(t *testing.T) {
	t.Parallel()
	listed := func(n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf("127.0.1.%d:80", i))
		}
		return all
	}
	for name, c := range map[string]struct {
		replicas Replicas
		want     string // what is wrong, a line each
	}{
		"none, which is one":              {Replicas{}, ""},
		"no place for one":                {Replicas{Want: 1}, ""},
		"no place for two":                {Replicas{Want: 2}, "want: is above 1, but static, dns and srv are missing"},
		"fewer than none":                 {Replicas{Want: -1}, "want: expected 1 to 100, got -1"},
		"listed":                          {Replicas{Static: listed(2), Want: 2}, ""},
		"fewer needed than listed":        {Replicas{Static: listed(2), Want: 1}, ""},
		"more needed than listed":         {Replicas{Static: listed(2), Want: 3}, "want: expected at most the 2 listed, got 3"},
		"two needed of one listed":        {Replicas{Static: listed(1), Want: 2}, "want: expected at most the 1 listed, got 2"},
		"how many is not said, of listed": {Replicas{Static: listed(1)}, "want: expected 1 to 100, got 0"},
		"how many is not said, of a name": {Replicas{DNS: "a.test:80"}, "want: expected 1 to 100, got 0"},
		"as many as there may be":         {Replicas{Static: listed(100), Want: 100}, ""},
		"more listed than there may be":   {Replicas{Static: listed(101), Want: 100}, "static: expected at most 100, got 101"},
		"more needed than there may be":   {Replicas{SRV: "_a._tcp.test", Want: 101}, "want: expected 1 to 100, got 101"},
		"listed by name":                  {Replicas{Static: []string{"a.test:80", "127.0.0.1:80"}, Want: 1}, "static[0]: expected IP:port"},
		"listed twice, in two ways": {Replicas{Static: []string{"127.0.0.1:80", "[::ffff:127.0.0.1]:80"}, Want: 1},
			"static[1]: 127.0.0.1:80 is listed twice"},
		"a name":                     {Replicas{DNS: "a.test:80", Want: 2}, ""},
		"a name with the last port":  {Replicas{DNS: "a.test:65535", Want: 2}, ""},
		"a name without a port":      {Replicas{DNS: "a.test", Want: 2}, "dns: expected name:port"},
		"a name and a port too high": {Replicas{DNS: "a.test:65536", Want: 2}, "dns: expected name:port"},
		"a name and port 0":          {Replicas{DNS: "a.test:0", Want: 2}, "dns: expected name:port"},
		"a name and a port in words": {Replicas{DNS: "a.test:http", Want: 2}, "dns: expected name:port"},
		"a name and a service":       {Replicas{DNS: "a.test:80", SRV: "_a._tcp.test", Want: 1}, "expected one of static, dns and srv"},
		"listed and a service":       {Replicas{Static: listed(1), SRV: "_a._tcp.test", Want: 1}, "expected one of static, dns and srv"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := c.replicas.Validate(); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %s, expected %s", got, c.want)
			}
		})
	}
	var none Replicas
	if err := none.Validate(); err != nil || none.Want != 1 || !none.None() {
		t.Errorf("expected one where nothing is said: %v, %v", none, err)
	}
}

// Where replicas are is what a probe shows of itself, as it is configured.
func TestPlaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		replicas        Replicas
		host, addresses string
	}{
		{Replicas{}, "", "[]"},
		{Replicas{Static: []string{"127.0.0.3:1"}}, "127.0.0.3:1", "[127.0.0.3:1]"},
		{Replicas{Static: []string{"127.0.0.3:1", "127.0.0.2:1"}}, "127.0.0.3:1", "[127.0.0.3:1 127.0.0.2:1]"},
		{Replicas{DNS: "a.test:80"}, "a.test:80", "[a.test:80]"},
		{Replicas{SRV: "_a._tcp.test"}, "_a._tcp.test", "[_a._tcp.test]"},
	} {
		if got := c.replicas.Host(); got != c.host {
			t.Errorf("%v: host %q, expected %q", c.replicas, got, c.host)
		}
		if got := fmt.Sprint(c.replicas.Addresses()); got != c.addresses {
			t.Errorf("%v: addresses %s, expected %s", c.replicas, got, c.addresses)
		}
	}
}

func TestValidateIPVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version  dial.IPVersion
		host     string
		replicas Replicas
		want     string
	}{
		{"", "a.test", Replicas{}, ""},
		{"", "a.test", Replicas{DNS: "a.test:80"}, ""},
		{"4", "a.test", Replicas{}, ""},
		{"4", "a.test", Replicas{SRV: "_a._tcp.test"}, "ip_version: has no effect beside replicas: each has its own address"},
		{"4", "::1", Replicas{}, "ip_version: the host is an address of the other version"},
	} {
		got := ""
		if err := c.replicas.ValidateIPVersion(c.version, c.host); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s for %s beside %v: got %s, expected %s", c.version, c.host, c.replicas, got, c.want)
		}
	}
}

func TestNote(t *testing.T) {
	t.Parallel()
	two := Replicas{DNS: "a.test:80", Want: 2}
	for _, c := range []struct {
		replicas Replicas
		found    []string
		want     string
	}{
		{Replicas{Want: 1}, []string{""}, "[]"},
		{two, []string{"a"}, "[fail replicas: expected 2 replicas, got 1]"},
		{two, []string{"a", "b"}, "[pass ok: expected 2 replicas, got 2]"},
		{two, []string{"a", "b", "c"}, "[pass ok: expected 2 replicas, got 3]"},
	} {
		r := probe.NewResult(probe.ID{})
		c.replicas.Note(r, "count", c.found)
		got := []string{}
		for _, check := range r.Checks {
			got = append(got, fmt.Sprintf("%s %s: %s", check.Verdict, check.Reason, check.Detail))
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%v of %v: got %s, expected %s", c.found, c.replicas, got, c.want)
		}
	}
}

// A name that exists without an address has no replica, whatever is configured.
func TestFind_noAddress(t *testing.T) {
	t.Parallel()
	server := testenv.ServeDNS(t, func(dnsmessage.Question) (dnsmessage.RCode, []dnsmessage.ResourceBody, bool) {
		return dnsmessage.RCodeSuccess, nil, true
	})
	r := probe.NewResult(probe.ID{})
	found, ok := Replicas{DNS: "empty.test:1", Want: 1}.Find(t.Context(), r, dial.Resolver(server))
	if found == nil || len(found) > 0 || ok || len(r.Checks) != 1 || r.Checks[0].Reason != probe.NoAddress {
		t.Errorf("got %v, %t, %v", found, ok, r.Checks)
	}
}
