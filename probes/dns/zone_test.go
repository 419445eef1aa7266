package dns

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// TestDNS_zone shows how the name servers of a zone are compared, in several runs with an hour between them.
func TestDNS_zone(t *testing.T) {
	t.Parallel()
	const one, two = "192.0.2.53:53", "192.0.2.54:53"
	version := func(serial uint32, addresses ...string) reply {
		z := shop()
		z["shop.example. SOA"] = []dnsmessage.ResourceBody{soa(serial)}
		z["www.shop.example. A"] = nil
		for _, ip := range addresses {
			z["www.shop.example. A"] = append(z["www.shop.example. A"], a(ip))
		}
		return sound(z)
	}
	lame := func(code dnsmessage.RCode, authoritative bool) reply {
		return changed(func(_ dnsmessage.Message, m *dnsmessage.Message) {
			m.RCode, m.Authoritative, m.Answers = code, authoritative, nil
		})
	}
	noSOA := changed(func(q dnsmessage.Message, m *dnsmessage.Message) {
		if q.Questions[0].Type == dnsmessage.TypeSOA {
			m.Answers = nil
		}
	})
	delegates := changed(func(_ dnsmessage.Message, m *dnsmessage.Message) {
		m.Authoritative, m.Answers = false, nil
		m.Authorities = []dnsmessage.Resource{resource("www.shop.example.", ns("ns1.www.shop.example."))}
	})
	silentSOA := reply(func(q dnsmessage.Message, network string) [][]byte {
		if q.Questions[0].Type == dnsmessage.TypeSOA {
			return nil
		}
		return sound(shop())(q, network)
	})
	// A contact such as john.doe@shop.example has a dot in its first label.
	dotted := func(serial uint32) reply {
		z := shop()
		z["shop.example. SOA"] = []dnsmessage.ResourceBody{&dnsmessage.UnknownResource{Type: dnsmessage.TypeSOA,
			Data: append([]byte("\x03ns1\x00\x08john.doe\x00"), binary.BigEndian.AppendUint32(nil, serial)...)}}
		soa := z["shop.example. SOA"][0].(*dnsmessage.UnknownResource)
		for _, n := range []uint32{3600, 600, 86400, 60} {
			soa.Data = binary.BigEndian.AppendUint32(soa.Data, n)
		}
		return sound(z)
	}
	same := version(7, "192.0.2.1", "192.0.2.2")
	for title, test := range map[string]struct {
		one, two reply
		settings string
		want     []string // what does not pass
	}{
		"the same":                              {same, version(7, "192.0.2.2", "192.0.2.1"), "", []string{"pass"}},
		"another answer":                        {same, version(7, "192.0.2.2", "192.0.2.9"), "", []string{"fail\nagreement fail(answers_differ): expected the same answer of all servers with serial 7, got other records from 1 of 2"}},
		"another answer than expected":          {same, version(7, "192.0.2.9"), "expect: {answer: {equals: [192.0.2.1, 192.0.2.2]}}\n", []string{"fail\nanswer@192.0.2.54:53 fail(records): *\nagreement fail(answers_differ): *"}},
		"an old serial":                         {same, version(6, "192.0.2.9"), "", []string{"inconclusive\nagreement inconclusive(settling): expected serial 7, got 6 from 192.0.2.54:53 for 0s, which is allowed for 1h", "fail\nagreement fail(serial_behind): expected serial 7, got 6 from 192.0.2.54:53 for 1h, and the limit is 1h"}},
		"an old serial of the first":            {version(6, "192.0.2.1"), same, "", []string{"inconclusive\nagreement inconclusive(settling): expected serial 7, got 6 from 192.0.2.53:53 *"}},
		"an old serial with a limit":            {same, version(6, "192.0.2.1"), "max_lag: 90m\n", []string{"inconclusive\nagreement inconclusive(settling): *", "inconclusive\nagreement inconclusive(settling): *", "fail\nagreement fail(serial_behind): *"}},
		"an old serial, and no lag allowed":     {same, version(6, "192.0.2.1"), "max_lag: 0s\n", []string{"fail\nagreement fail(serial_behind): *"}},
		"a serial that wraps around":            {version(1<<32-1, "192.0.2.1"), version(1, "192.0.2.1"), "max_lag: 0s\n", []string{"fail\nagreement fail(serial_behind): expected serial 1, got 4294967295 from 192.0.2.53:53 for *"}},
		"refused":                               {same, lame(dnsmessage.RCodeRefused, false), "", []string{"fail\nauthoritative@192.0.2.54:53 fail(lame): expected an answer with authority, got REFUSED\nagreement inconclusive(control_failed): only 1 of 2 servers could be compared"}},
		"a zone that is not loaded":             {same, lame(dnsmessage.RCodeServerFailure, false), "", []string{"fail\nauthoritative@192.0.2.54:53 fail(servfail): *\nagreement inconclusive(control_failed): *"}},
		"no authority":                          {same, lame(dnsmessage.RCodeSuccess, false), "", []string{"fail\nauthoritative@192.0.2.54:53 fail(lame): *\nagreement *"}},
		"delegated":                             {same, delegates, "", []string{"fail\nauthoritative@192.0.2.54:53 fail(lame): expected an answer with authority, got a referral to other name servers\nagreement *"}},
		"no SOA":                                {same, noSOA, "", []string{"fail\nserial@192.0.2.54:53 fail(lame): expected the SOA of the zone, got none: *\nagreement *"}},
		"silent of the SOA":                     {same, silentSOA, "", []string{"fail\nserial@192.0.2.54:53 fail(timeout): *\nagreement inconclusive(control_failed): *"}},
		"an old serial beside a dotted contact": {dotted(7), dotted(6), "", []string{"inconclusive\nagreement inconclusive(settling): expected serial 7, got 6 from *", "fail\nagreement fail(serial_behind): *, and the limit is 1h"}},
		"one is silent":                         {same, nil, "", []string{"fail\nquery@192.0.2.54:53 fail(timeout): *\nagreement inconclusive(control_failed): *"}},
		"none answers":                          {nil, nil, "", []string{"fail\nquery@192.0.2.53:53 fail(timeout): *\nquery@192.0.2.54:53 fail(timeout): *\nagreement inconclusive(control_failed): only 0 of 2 servers could be compared"}},
		"the SOA itself":                        {same, same, "query_type: SOA\n", []string{"pass"}},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			n := network{one: silent, two: silent}
			if test.one != nil {
				n[one] = talks(test.one)
			}
			if test.two != nil {
				n[two] = talks(test.two)
			}
			lag, others, ok := strings.Cut(test.settings, "\n")
			if !strings.HasPrefix(lag, "max_lag") || !ok {
				lag, others = "", test.settings
			}
			name := www
			if strings.Contains(others, "SOA") {
				name = "query_name: shop.example\n"
			}
			p := load(t, "servers: [\""+one+"\", \""+two+"\"]\nzone:\n  name: shop.example\n  "+lag+"\n"+name+others)
			if got := p.Addresses(); !slices.Equal(got, []string{one, two}) {
				t.Errorf("the probe says that it asks %q, expected both servers", got)
			}
			waits := []time.Duration{time.Hour, time.Hour}
			for i, r := range n.run(t, p, waits[:len(test.want)-1]...) {
				wantPattern(t, probetest.NotPassed(r), test.want[i])
				for _, c := range r.Checks { // the series of each serial that is known
					serial, ok := strings.CutPrefix(c.Detail, "serial ")
					is := func(s probe.Sample) bool {
						return s.Name == "probe_dns_serial" && slices.Equal(s.Values, []string{c.Target}) && fmt.Sprint(uint32(s.Value)) == serial
					}
					if ok && !slices.ContainsFunc(r.Samples, is) {
						t.Errorf("serial %s of %s is in no series: %v", serial, c.Target, r.Samples)
					}
				}
			}
		})
	}
}

// TestDNS_catchesUp shows that a server that has caught up may be behind again for as long.
func TestDNS_catchesUp(t *testing.T) {
	t.Parallel()
	const one, two = "192.0.2.53:53", "192.0.2.54:53"
	serials := []uint32{6, 7, 6} // of the second, in each run
	asked := 0
	second := func(q dnsmessage.Message, _ string) [][]byte {
		z := shop()
		if q.Questions[0].Type == dnsmessage.TypeSOA {
			z["shop.example. SOA"] = []dnsmessage.ResourceBody{soa(serials[asked])}
			asked++
		}
		return [][]byte{pack(z.answer(q))}
	}
	p := load(t, "servers: [\""+one+"\", \""+two+"\"]\nzone: {name: shop.example}\n"+www)
	got := ""
	for _, r := range (network{one: talks(sound(shop())), two: talks(second)}).run(t, p, time.Hour, time.Hour) {
		got += r.Verdict().String() + " "
	}
	if want := "inconclusive pass inconclusive "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestLaggard names the server that has been behind for longest, and of several the first by name.
func TestLaggard(t *testing.T) {
	now := time.Now()
	for range 20 { // the order of a map is another each time
		p := &Probe{behind: map[string]laggard{"c": {since: now.Add(-time.Hour)}, "d": {since: now.Add(-time.Hour)}}}
		if worst, lasted := p.laggard(map[string]uint32{"a": 1, "b": 1, "c": 1, "d": 1}, nil, now); worst != "c" || lasted.D() != time.Hour {
			t.Fatalf("got %s for %s, expected c for 1h", worst, lasted)
		}
	}
}

// TestDNS_behindAndSilent shows that a server which answers now and then is told when it still has the same old version: nobody
// knows whether it caught up meanwhile if it has another one.
func TestDNS_behindAndSilent(t *testing.T) {
	t.Parallel()
	const one, two = "192.0.2.53:53", "192.0.2.54:53"
	for then, want := range map[uint32]string{
		6: "inconclusive inconclusive fail ", // and silence between them
		5: "inconclusive inconclusive inconclusive ",
	} {
		serials := []uint32{6, 0, then} // of the second, in each run
		var asked atomic.Int32
		second := func(q dnsmessage.Message, _ string) [][]byte {
			if q.Questions[0].Type != dnsmessage.TypeSOA {
				return [][]byte{pack(shop().answer(q))}
			}
			serial := serials[asked.Add(1)-1]
			if serial == 0 {
				return nil
			}
			z := shop()
			z["shop.example. SOA"] = []dnsmessage.ResourceBody{soa(serial)}
			return [][]byte{pack(z.answer(q))}
		}
		p := load(t, "servers: [\""+one+"\", \""+two+"\"]\nzone: {name: shop.example}\n"+www)
		got := ""
		for _, r := range (network{one: talks(sound(shop())), two: talks(second)}).run(t, p, time.Hour, time.Hour) {
			for _, c := range r.Checks {
				if c.Name == checkAgreement {
					got += c.Verdict.String() + " "
				}
			}
		}
		if got != want {
			t.Errorf("serial %d: got %s, want %s", then, got, want)
		}
	}
}

// TestAgreement_ofThree says of how many servers the answer is another.
func TestAgreement_ofThree(t *testing.T) {
	copyOf := func(serial uint32, answer string) zoneCopy {
		return zoneCopy{known: true, soa: record{serial: serial, refresh: 3600}, answer: []string{answer}}
	}
	p := &Probe{Zone: &Zone{}}
	got := p.agreement([]string{"a", "b", "c"}, []zoneCopy{copyOf(7, "x"), copyOf(7, "x"), copyOf(7, "y")})
	if want := "expected the same answer of all servers with serial 7, got other records from 1 of 3"; got.Detail != want {
		t.Errorf("got %s", got.Detail)
	}
}

// TestDNS_nameServersOverTLS shows that those of a zone are asked at the port of DNS over TLS.
func TestDNS_nameServersOverTLS(t *testing.T) {
	t.Parallel()
	z := zone{"shop.example. NS": {ns("ns1.shop.example.")}, "ns1.shop.example. A": {a("127.77.0.1")}}
	r := probetest.Run(t, Kind(), load(t, "zone: {name: shop.example, want: 1}\ntransport: tls\nresolver: \""+serve(t, sound(z))+"\"\n"+www))
	if lines := probetest.Lines(r); !strings.Contains(lines, "query@127.77.0.1:853 ") || len(r.Exchanges) == 0 || r.Exchanges[0].URL != "tls://127.77.0.1:853" {
		t.Errorf("got %s\n%v", lines, r.Exchanges)
	}
}

// TestDNS_nameServers shows how the name servers of a zone are found: by a name server, each by all of its addresses.
func TestDNS_nameServers(t *testing.T) {
	t.Parallel()
	// The addresses lead nowhere: only what is found is shown here.
	resolver := func(z zone) string { return serve(t, sound(z)) }
	two := zone{
		"shop.example. NS":     {ns("ns1.shop.example."), ns("ns2.shop.example.")},
		"ns1.shop.example. A":  {a("127.77.0.1")},
		"ns2.shop.example. A":  {a("127.77.0.1")},
		"ns1.shop.example. NS": nil,
	}
	three := zone{
		"shop.example. NS":    {ns("ns1.shop.example."), ns("ns2.shop.example."), ns("ns3.shop.example.")},
		"ns1.shop.example. A": {a("127.77.0.2")},
		"ns2.shop.example. A": {a("127.77.0.1")},
		"ns3.shop.example. A": {a("127.77.0.2")},
	}
	gone := zone{"shop.example. NS": {ns("ns1.shop.example."), ns("gone.shop.example.")}, "ns1.shop.example. A": {a("127.77.0.1")}}
	six := zone{"shop.example. NS": {ns("ns1.shop.example.")}, "ns1.shop.example. AAAA": {&dnsmessage.AAAAResource{AAAA: [16]byte{0xfd, 15: 1}}}}
	many := zone{}
	for i := range maxNameServers + 1 {
		many["shop.example. NS"] = append(many["shop.example. NS"], ns(fmt.Sprintf("ns%d.shop.example.", i)))
	}
	for title, test := range map[string]struct {
		zone       zone
		want, says string
	}{
		"over the other protocol":  {six, "1, ip_protocol: ip4", "name_servers fail(no_address): expected the addresses of 1 name server, got none over ip4"},
		"over the right protocol":  {six, "1, ip_protocol: ip6", "name_servers pass(ok): 1 name server with 1 address"},
		"as many as there must be": {two, "2", "name_servers pass(ok): 2 name servers with 1 address"},
		"each address once":        {three, "3", "name_servers pass(ok): 3 name servers with 2 addresses"},
		"too few":                  {two, "3", "name_servers fail(replicas): expected 3 name servers, got 2"},
		"one without an address":   {gone, "2", "name_servers fail(dns_nxdomain): expected the addresses of 2 name servers, got none of 1: the name does not exist"},
		"more than can be asked":   {many, "2", "name_servers inconclusive(too_large): found 27 name servers; more than 26 cannot be asked at once"},
		"no zone":                  {zone{}, "2", "name_servers fail(dns_nxdomain): expected 2 name servers: *"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			p := load(t, "zone: {name: shop.example, want: "+test.want+"}\nresolver: \""+resolver(test.zone)+"\"\n"+www)
			if got := p.Addresses(); !slices.Equal(got, []string{"shop.example."}) {
				t.Errorf("the probe says that it asks %q, expected the zone", got)
			}
			lines := strings.Split(probetest.Lines(probetest.Run(t, Kind(), p)), "\n")
			wantPattern(t, lines[1], test.says)
		})
	}
}
