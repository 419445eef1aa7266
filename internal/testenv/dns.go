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
	return ServeDNS(t, func(q dnsmessage.Question) (code dnsmessage.RCode, records []dnsmessage.ResourceBody, ok bool) {
		z.mu.Lock()
		defer z.mu.Unlock()
		name := strings.TrimSuffix(q.Name.String(), ".")
		addresses, isName := z.Addresses[name]
		service, isService := z.Services[name]
		if !isName && !isService {
			return dnsmessage.RCodeNameError, nil, true
		}
		records = AddressRecords(q.Type, addresses...)
		if q.Type == dnsmessage.TypeSRV && isService {
			records = append(records, &service)
		}
		return dnsmessage.RCodeSuccess, records, true
	})
}

// maxDatagram is how long an answer over UDP may be (EDNS, as package net asks for).
const maxDatagram = 1232

// ServeDNS runs a name server on UDP on loopback until the test ends, and returns its address. It answers each question
// with what reply returns, one at a time; a question that is not ok gets no answer, and one whose answer is too long for a datagram a part
// of it.
func ServeDNS(t testing.TB, reply func(q dnsmessage.Question) (code dnsmessage.RCode, records []dnsmessage.ResourceBody, ok bool)) string {
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
			q := m.Questions[0]
			code, records, ok := reply(q)
			if !ok {
				continue
			}
			m.Response, m.RecursionAvailable, m.Additionals, m.RCode = true, true, nil, code
			for _, body := range records {
				h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: body})
			}
			packed, err := m.Pack()
			if err == nil && len(packed) > maxDatagram {
				m.Truncated, m.Answers = true, m.Answers[:1]
				packed, err = m.Pack()
			}
			if err == nil {
				pc.WriteTo(packed, from)
			}
		}
	})
	t.Cleanup(func() { pc.Close(); done.Wait() })
	return pc.LocalAddr().String()
}

// AddressRecords returns the records for a question of a type: the addresses of IPv4 or those of IPv6.
func AddressRecords(question dnsmessage.Type, addresses ...string) (records []dnsmessage.ResourceBody) {
	for _, a := range addresses {
		switch ip := netip.MustParseAddr(a); {
		case question == dnsmessage.TypeA && ip.Is4():
			records = append(records, &dnsmessage.AResource{A: ip.As4()})
		case question == dnsmessage.TypeAAAA && ip.Is6():
			records = append(records, &dnsmessage.AAAAResource{AAAA: ip.As16()})
		}
	}
	return records
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
