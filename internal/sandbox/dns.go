package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// A nameServer is one of the name servers of the zone demo.test, or a resolver that knows nothing else. It is reached over UDP and TCP.
type nameServer struct {
	sandbox *Sandbox
	name    string
	udp     net.PacketConn
	running sync.WaitGroup
	endTCP  func()
}

func newNameServer(s *Sandbox, name string, ephemeral bool) (*nameServer, error) {
	d := &nameServer{sandbox: s, name: name}
	want := defaults()[name]
	if ephemeral {
		want = anyPort
	}
	var listener net.Listener
	var err error
	for range 20 { // a port that is free over UDP may be taken over TCP
		if d.udp, err = net.ListenPacket("udp", want); err == nil {
			if listener, err = net.Listen("tcp", d.udp.LocalAddr().String()); err == nil {
				break
			}
			d.udp.Close()
		}
		want = anyPort
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	d.running.Go(d.serveUDP)
	d.endTCP = serveConnections(listener, d.serveTCP)
	return d, nil
}

func (d *nameServer) address() string { return d.udp.LocalAddr().String() }

func (d *nameServer) close() {
	d.udp.Close()
	d.endTCP()
	d.running.Wait()
}

func (d *nameServer) serveUDP() {
	buffer := make([]byte, 1500)
	for {
		n, from, err := d.udp.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		for _, message := range d.reply(buffer[:n], "udp") {
			_, _ = d.udp.WriteTo(message, from)
		}
	}
}

func (d *nameServer) serveTCP(conn net.Conn) {
	for {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		messages := d.reply(query, "tcp")
		if len(messages) == 0 {
			return
		}
		for _, message := range messages {
			if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)); err != nil {
				return
			}
		}
	}
}

// A dnsReply is what a name server is about to answer.
type dnsReply struct {
	network string
	query   dnsmessage.Message
	dnsmessage.Message
	silent bool
	before []dnsmessage.Message // sent before the answer
}

// reply answers a query, if it is one.
func (d *nameServer) reply(packed []byte, network string) (messages [][]byte) {
	r := dnsReply{network: network}
	if r.query.Unpack(packed) != nil || r.query.Response || len(r.query.Questions) != 1 {
		return nil
	}
	d.answer(&r)
	for _, f := range *d.sandbox.active.Load() {
		for _, e := range f.effects {
			if e.alterDNS != nil && e.on(d.name) {
				e.alterDNS(&r)
			}
		}
	}
	if r.silent {
		return nil
	}
	for _, m := range append(r.before, r.Message) {
		message, err := m.Pack()
		if size := r.size(); err == nil && network == "udp" && len(message) > size {
			m.Truncated, m.Answers = true, nil
			message, err = m.Pack()
		}
		if err == nil {
			messages = append(messages, message)
		}
	}
	return messages
}

// size is the largest answer over UDP that the client takes.
func (r *dnsReply) size() int {
	for _, one := range r.query.Additionals {
		if one.Header.Type == dnsmessage.TypeOPT {
			return max(512, int(one.Header.Class))
		}
	}
	return 512
}

// Names in the zone.
const (
	zoneName    = "demo.test."
	wwwName     = "www.demo.test."
	formerName  = "old.demo.test." // no longer in the zone
	longName    = "long.demo.test."
	signedName  = "signed.demo.test."
	zoneSerial  = 2026110107
	wwwAddress  = "10.1.0.80"
	wwwAddress2 = "10.1.0.81"
)

// zoneRecords are the records of a name in the zone; false if it is not in the zone.
func zoneRecords(name string) ([]dnsmessage.Resource, bool) {
	switch name {
	case zoneName:
		host := func(h string) dnsmessage.Name { return dnsmessage.MustNewName(h + zoneName) }
		return []dnsmessage.Resource{
			record(name, dnsmessage.TypeSOA, soa(zoneSerial)),
			record(name, dnsmessage.TypeNS, &dnsmessage.NSResource{NS: host("ns-1.")}),
			record(name, dnsmessage.TypeNS, &dnsmessage.NSResource{NS: host("ns-2.")}),
		}, true
	case wwwName:
		return []dnsmessage.Resource{addressRecord(name, wwwAddress), addressRecord(name, wwwAddress2)}, true
	case signedName:
		return []dnsmessage.Resource{addressRecord(name, wwwAddress)}, true
	case longName:
		var all []dnsmessage.Resource
		for i := range 40 { // 2.7 kB, more than fits over UDP
			all = append(all, record(name, dnsmessage.TypeTXT, &dnsmessage.TXTResource{TXT: []string{fmt.Sprintf("%02d %s", i, strings.Repeat("x", 40))}}))
		}
		return all, true
	}
	return nil, false
}

//go:noinline
func record(name string, t dnsmessage.Type, body dnsmessage.ResourceBody) dnsmessage.Resource {
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Type: t, Class: dnsmessage.ClassINET, TTL: 300}, Body: body}
}

func addressRecord(name, ip string) dnsmessage.Resource {
	return record(name, dnsmessage.TypeA, &dnsmessage.AResource{A: netip.MustParseAddr(ip).As4()})
}

func soa(serial uint32) dnsmessage.ResourceBody {
	return &dnsmessage.SOAResource{
		NS: dnsmessage.MustNewName("ns-1." + zoneName), MBox: dnsmessage.MustNewName("hostmaster." + zoneName),
		Serial: serial, Refresh: 3600, Retry: 600, Expire: 86400, MinTTL: 60,
	}
}

// answer answers as a server that works: with authority, or as a resolver that has validated what it says.
func (d *nameServer) answer(r *dnsReply) {
	q := r.query.Questions[0]
	resolves := d.name == resolver
	r.Message = dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: r.query.ID, Response: true, RecursionDesired: r.query.RecursionDesired, CheckingDisabled: r.query.CheckingDisabled,
			Authoritative: !resolves, RecursionAvailable: resolves, AuthenticData: resolves && !r.query.CheckingDisabled,
		},
		Questions: []dnsmessage.Question{q},
	}
	for _, one := range r.query.Additionals {
		if one.Header.Type == dnsmessage.TypeOPT {
			r.Additionals = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("."), Type: dnsmessage.TypeOPT, Class: 1232}, Body: &dnsmessage.OPTResource{}}}
		}
	}
	name := strings.ToLower(q.Name.String())
	if name != zoneName && !strings.HasSuffix(name, "."+zoneName) {
		r.RCode, r.Authoritative, r.AuthenticData = dnsmessage.RCodeRefused, false, false
		return
	}
	records, known := zoneRecords(name)
	for _, one := range records {
		if one.Header.Type == q.Type {
			r.Answers = append(r.Answers, one)
		}
	}
	if !known {
		r.RCode = dnsmessage.RCodeNameError
	}
	if len(r.Answers) == 0 {
		r.Authorities = []dnsmessage.Resource{record(zoneName, dnsmessage.TypeSOA, soa(zoneSerial))}
	}
}
