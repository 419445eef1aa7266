package dns

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"prober/config"
	"prober/internal/probe"
)

// A reply answers a message with others, as bytes. Over TCP the length is put before each.
type reply func(q dnsmessage.Message, network string) [][]byte

// serve runs a name server over UDP and TCP until the test ends, and returns its address.
func serve(t testing.TB, r reply) string {
	t.Helper()
	var pc net.PacketConn
	var l net.Listener
	for range 20 { // the port of one may be taken for the other
		var err error
		if pc, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if l, err = net.Listen("tcp", pc.LocalAddr().String()); err == nil {
			break
		}
		pc.Close()
	}
	if l == nil {
		t.Fatal("expected a port that is free over UDP and TCP")
	}
	var all sync.WaitGroup
	all.Go(func() { serveUDP(pc, r) })
	all.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { defer nc.Close(); serveStream(nc, r) })
		}
	})
	t.Cleanup(func() { pc.Close(); l.Close(); all.Wait() })
	return pc.LocalAddr().String()
}

func serveUDP(pc net.PacketConn, r reply) {
	for buffer := make([]byte, 1500); ; {
		n, from, err := pc.ReadFrom(buffer)
		if err != nil {
			return
		}
		var q dnsmessage.Message
		if q.Unpack(buffer[:n]) != nil {
			continue
		}
		for _, m := range r(q, "udp") {
			_, _ = pc.WriteTo(m, from)
		}
	}
}

func serveStream(nc net.Conn, r reply) {
	var length [2]byte
	if _, err := io.ReadFull(nc, length[:]); err != nil {
		return
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(nc, message); err != nil {
		return
	}
	var q dnsmessage.Message
	if q.Unpack(message) != nil {
		return
	}
	for _, m := range r(q, "tcp") {
		_, _ = nc.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
	}
	_, _ = io.Copy(io.Discard, nc)
}

// A zone has records by name and type, such as "www.shop.example. A".
type zone map[string][]dnsmessage.ResourceBody

func (z zone) knows(name string) bool {
	for key := range z {
		if known, _, _ := strings.Cut(key, " "); known == name {
			return true
		}
	}
	return false
}

// answer is the answer of a sound server with authority.
func (z zone) answer(q dnsmessage.Message) dnsmessage.Message {
	m := dnsmessage.Message{Header: q.Header, Questions: slices.Clone(q.Questions)}
	m.Response, m.Authoritative = true, true
	asked := q.Questions[0]
	name := strings.ToLower(asked.Name.String())
	for range 5 {
		bodies := z[name+" "+typeName(asked.Type)]
		alias := z[name+" CNAME"]
		if len(bodies) == 0 && len(alias) == 0 {
			break
		}
		if len(bodies) == 0 {
			bodies = alias
		}
		for _, body := range bodies {
			m.Answers = append(m.Answers, resource(name, body))
		}
		next, ok := bodies[0].(*dnsmessage.CNAMEResource)
		if !ok || asked.Type == dnsmessage.TypeCNAME {
			break
		}
		name = next.CNAME.String()
	}
	if len(m.Answers) == 0 {
		m.Authorities = append(m.Authorities, resource("shop.example.", soa(7)))
		if !z.knows(name) {
			m.RCode = dnsmessage.RCodeNameError
		}
	}
	for _, one := range q.Additionals {
		if one.Header.Type == dnsmessage.TypeOPT {
			m.Additionals = append(m.Additionals, one)
		}
	}
	return m
}

func resource(name string, body dnsmessage.ResourceBody) dnsmessage.Resource {
	r := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: 300}, Body: body}
	switch body := body.(type) {
	case *dnsmessage.UnknownResource:
		r.Header.Type = body.Type
	case *dnsmessage.AResource:
		r.Header.Type = dnsmessage.TypeA
	}
	return r
}

func a(ip string) dnsmessage.ResourceBody {
	return &dnsmessage.AResource{A: netip.MustParseAddr(ip).As4()}
}

func cname(to string) dnsmessage.ResourceBody {
	return &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(to)}
}

func soa(serial uint32) dnsmessage.ResourceBody {
	return &dnsmessage.SOAResource{
		NS: dnsmessage.MustNewName("ns1.shop.example."), MBox: dnsmessage.MustNewName("hostmaster.shop.example."),
		Serial: serial, Refresh: 3600, Retry: 600, Expire: 86400, MinTTL: 60,
	}
}

func ns(host string) dnsmessage.ResourceBody {
	return &dnsmessage.NSResource{NS: dnsmessage.MustNewName(host)}
}

// shop is the zone of most tests.
func shop() zone {
	return zone{
		"shop.example. SOA":       {soa(7)},
		"shop.example. NS":        {ns("ns1.shop.example."), ns("ns2.shop.example.")},
		"shop.example. MX":        {&dnsmessage.MXResource{Pref: 10, MX: dnsmessage.MustNewName("mail.shop.example.")}},
		"shop.example. TXT":       {&dnsmessage.TXTResource{TXT: []string{"v=spf1 ", "-all"}}},
		"shop.example. CAA":       {&dnsmessage.UnknownResource{Type: typeCAA, Data: []byte("\x00\x05issueletsencrypt.org")}},
		"www.shop.example. A":     {a("192.0.2.1"), a("192.0.2.2")},
		"ftp.shop.example. CNAME": {cname("www.shop.example.")},
	}
}

// pack writes a message. One that cannot be packed is a mistake of the test.
func pack(m dnsmessage.Message) []byte {
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// sound answers as a server with authority for a zone.
func sound(z zone) reply {
	return func(q dnsmessage.Message, _ string) [][]byte { return [][]byte{pack(z.answer(q))} }
}

// changed answers as a sound server, but for a change.
func changed(change func(q dnsmessage.Message, m *dnsmessage.Message)) reply {
	return func(q dnsmessage.Message, _ string) [][]byte {
		m := shop().answer(q)
		change(q, &m)
		return [][]byte{pack(m)}
	}
}

// load reads the settings of a probe as YAML.
func load(t testing.TB, settings string) *Probe {
	t.Helper()
	path := filepath.Join(t.TempDir(), "prober.yaml")
	text := "system: test\nprobes:\n  - name: p\n    type: dns\n    " + strings.ReplaceAll(settings, "\n", "\n    ") + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(probe.Kinds{"dns": Kind()}, path)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return cfg.Jobs[0].Probe.(*Probe)
}

// wantPattern compares lines with those expected, in which * stands for anything.
func wantPattern(t *testing.T, got, want string) {
	t.Helper()
	quoted := strings.ReplaceAll(regexp.QuoteMeta(want), `\*`, ".*")
	if !regexp.MustCompile("^" + quoted + "$").MatchString(strings.TrimSpace(got)) {
		t.Errorf("got\n%s\nexpected\n%s", got, want)
	}
}
