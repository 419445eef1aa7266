package dns

import (
	"errors"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"prober/probes/internal/probetest"
)

// FuzzRead finds what makes the reader crash, and records that are believed though nobody asked for them.
func FuzzRead(f *testing.F) {
	asked := dnsmessage.Question{Name: dnsmessage.MustNewName("www.shop.example."), Type: dnsmessage.TypeALL, Class: dnsmessage.ClassINET}
	q, err := newQuery(asked, flags{recursion: true, size: 1232})
	if err != nil {
		f.Fatal(err)
	}
	var m dnsmessage.Message
	if err := m.Unpack(q.packed); err != nil {
		f.Fatal(err)
	}
	for name, bodies := range shop() {
		one := shop().answer(m)
		for _, body := range bodies {
			owner, _, _ := strings.Cut(name, " ")
			one.Answers = append(one.Answers, resource(owner, body))
			one.Authorities = append(one.Authorities, resource(owner, body))
		}
		f.Add(pack(one)[2:])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := q.read(append([]byte{byte(q.id >> 8), byte(q.id)}, data...))
		if err != nil {
			if !errors.Is(err, errOther) && !errors.Is(err, errBroken) {
				t.Fatal(err)
			}
			return
		}
		b := believe(r, asked)
		if len(b.chain) > maxAliases {
			t.Fatalf("got %d aliases", len(b.chain))
		}
		if len(b.chain) == 0 {
			for _, one := range b.found {
				if !sameName(one.name, "www.shop.example.") {
					t.Fatalf("believed a record of %q", one.name)
				}
			}
		}
		for _, one := range b.all() {
			if line := one.String(); strings.ContainsAny(line, "\n\r\x00") || strings.Count(line, "\t") != 4 {
				t.Fatalf("got the line %q", line)
			}
		}
		dataOf(b.answer())
	})
}

// TestDNS_anotherAddress shows that an answer from elsewhere is not heard, though it knows all that is in the question.
func TestDNS_anotherAddress(t *testing.T) {
	t.Parallel()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { server.Close(); other.Close(); <-done })
	go func() {
		defer close(done)
		buffer := make([]byte, 1500)
		n, from, err := server.ReadFrom(buffer)
		var q dnsmessage.Message
		if err != nil || q.Unpack(buffer[:n]) != nil {
			return
		}
		forged := shop().answer(q)
		forged.Answers = []dnsmessage.Resource{resource("www.shop.example.", a("192.0.2.66"))}
		_, _ = other.WriteTo(pack(forged), from)
		_, _ = server.WriteTo(pack(shop().answer(q)), from)
	}()
	r := probetest.Run(t, Kind(), load(t, "servers: [\""+server.LocalAddr().String()+"\"]\n"+www))
	if got := probetest.Lines(r); !strings.HasPrefix(got, "pass\n") || strings.Contains(got, "192.0.2.66") {
		t.Error(got)
	}
}

// TestDNS_nobodyListens shows that a port that is closed is told as that.
func TestDNS_nobodyListens(t *testing.T) {
	t.Parallel()
	const address = "127.0.0.1:1"
	got := probetest.Lines(probetest.Run(t, Kind(), load(t, "servers: [\""+address+"\"]\n"+www)))
	wantPattern(t, got, "fail\nquery@"+address+" fail(refused): connection refused by "+address)
}
