package dial

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// A reply is what a name server says to the question for one family.
type reply struct {
	code   dnsmessage.RCode
	addrs  []string
	silent bool
}

var (
	nothing  = reply{}
	absent   = reply{code: dnsmessage.RCodeNameError}
	servfail = reply{code: dnsmessage.RCodeServerFailure}
	refusal  = reply{code: dnsmessage.RCodeRefused}
	silence  = reply{silent: true}
)

func has(addrs ...string) reply { return reply{addrs: addrs} }

// serveFamilies runs a name server that answers the question for each family by itself, one of them after a delay.
func serveFamilies(t *testing.T, four, six reply, slow dnsmessage.Type, delay time.Duration) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	respond := func(m dnsmessage.Message, to net.Addr) {
		q := m.Questions[0]
		r := four
		if q.Type == dnsmessage.TypeAAAA {
			r = six
		}
		if r.silent {
			return
		}
		if q.Type == slow {
			<-time.After(delay)
		}
		m.Response, m.RecursionAvailable, m.Additionals, m.RCode = true, true, nil, r.code
		for _, body := range testenv.AddressRecords(q.Type, r.addrs...) {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: body})
		}
		if packed, err := m.Pack(); err == nil {
			pc.WriteTo(packed, to)
		}
	}
	serving.Go(func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) == nil {
				serving.Go(func() { respond(m, from) })
			}
		}
	})
	t.Cleanup(func() { pc.Close(); serving.Wait() })
	return pc.LocalAddr().String()
}

// TestDial_families lets the answers for the two families be half, late, contradictory, or about another family. The verdict
// is the same whichever of them comes last. Only 127.0.0.9 and fd00::9 take connections, and nothing is sent there.
func TestDial_families(t *testing.T) {
	t.Parallel()
	good4, good6 := "127.0.0.9", "fd00::9"
	dead4 := []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"}
	dead6 := []string{"fd00::1", "fd00::2", "fd00::3", "fd00::4", "fd00::5"}
	for name, c := range map[string]struct {
		four, six reply
		want      probe.Reason
	}{
		"IPv4 only":                      {has(good4), nothing, probe.OK},
		"IPv6 only":                      {nothing, has(good6), probe.OK},
		"both":                           {has(good4), has(good6), probe.OK},
		"the answer for IPv6 is lost":    {has(good4), silence, probe.OK},
		"the answer for IPv4 is lost":    {silence, has(good6), probe.OK},
		"IPv6 fails":                     {has(good4), servfail, probe.OK},
		"IPv4 fails":                     {servfail, has(good6), probe.OK},
		"IPv6 is denied":                 {has(good4), absent, probe.OK},
		"IPv4 is denied":                 {absent, has(good6), probe.OK},
		"IPv6 is dead":                   {has(good4), has(dead6...), probe.OK},
		"IPv4 is dead":                   {has(dead4...), has(good6), probe.OK},
		"the third of each is good":      {has(dead4[0], dead4[1], good4), has(dead6...), probe.OK},
		"all are dead":                   {has(dead4...), has(dead6...), probe.Refused},
		"IPv4 is dead and IPv6 fails":    {has(dead4...), servfail, probe.Refused},
		"IPv4 is dead and IPv6 is lost":  {has(dead4...), silence, probe.Refused},
		"IPv6 is dead and IPv4 is lost":  {silence, has(dead6...), probe.Refused},
		"no address":                     {nothing, nothing, probe.NoAddress},
		"no IPv4 address, IPv6 denied":   {nothing, absent, probe.NoAddress},
		"no IPv6 address, IPv4 denied":   {absent, nothing, probe.NoAddress},
		"no name":                        {absent, absent, probe.NXDomain},
		"IPv4 fails, IPv6 denied":        {servfail, absent, probe.DNSServfail},
		"IPv6 fails, IPv4 denied":        {absent, servfail, probe.DNSServfail},
		"IPv4 fails, no IPv6 address":    {servfail, nothing, probe.DNSServfail},
		"IPv6 fails, no IPv4 address":    {nothing, servfail, probe.DNSServfail},
		"IPv4 refused, IPv6 denied":      {refusal, absent, probe.DNSServfail},
		"both fail":                      {servfail, servfail, probe.DNSServfail},
		"IPv4 fails, IPv6 is lost":       {servfail, silence, probe.DNSServfail},
		"IPv6 fails, IPv4 is lost":       {silence, servfail, probe.DNSServfail},
		"IPv4 is lost, IPv6 denied":      {silence, absent, probe.DNSTimeout},
		"IPv6 is lost, IPv4 denied":      {absent, silence, probe.DNSTimeout},
		"IPv4 is lost, no IPv6 address":  {silence, nothing, probe.DNSTimeout},
		"both are lost":                  {silence, silence, probe.DNSTimeout},
		"IPv4 within IPv6":               {nothing, has("::ffff:" + good4), probe.OK},
		"an address never dialled first": {has(good4), has("fd00:ec2::254"), probe.Protocol},
	} {
		for order, slow := range map[string]dnsmessage.Type{"IPv4 last": dnsmessage.TypeA, "IPv6 last": dnsmessage.TypeAAAA} {
			if c.want == probe.Protocol && slow == dnsmessage.TypeAAAA {
				continue // the other one is dialled before that is known
			}
			t.Run(name+", "+order, func(t *testing.T) {
				t.Parallel()
				timeout := patience
				if c.four.silent || c.six.silent {
					timeout = 2 * time.Second // what is lost is waited for
				}
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				d := &Dialer{Resolver: Resolver(serveFamilies(t, c.four, c.six, slow, 3*resolutionDelay)), Open: func(_ context.Context, _, address string) (net.Conn, error) {
					if host, _, _ := net.SplitHostPort(address); host == good4 || host == good6 {
						here, there := net.Pipe()
						t.Cleanup(func() { here.Close(); there.Close() })
						return here, nil
					}
					return nil, syscall.ECONNREFUSED
				}}
				x := Begin(ctx, 1)
				defer x.Close()
				nc, err := d.DialContext(x.Context(), "tcp", "target.test:80")
				got := probe.Outcome{Reason: probe.OK}
				if err != nil {
					got = x.Explain(err)
				} else {
					nc.Close()
				}
				if got.Reason != c.want {
					t.Errorf("got %s: %s, expected %s", got.Reason, got.Detail, c.want)
				}
			})
		}
	}
}

// TestLookup_searchDomains has the name server fail for the name as it is meant in a cluster, and deny it elsewhere, in
// either order. A name server that fails, and another that answers the same question, are one that answers.
func TestLookup_searchDomains(t *testing.T) {
	t.Parallel()
	asked := map[string]int{}
	server := testenv.ServeDNS(t, func(q dnsmessage.Question) (dnsmessage.RCode, []dnsmessage.ResourceBody, bool) {
		name := q.Name.String()
		asked[name]++
		if name == "api.shop.svc.cluster.local." || name == "api.twice." && asked[name] == 1 {
			return dnsmessage.RCodeServerFailure, nil, true
		}
		return dnsmessage.RCodeNameError, nil, true
	})
	for want, names := range map[probe.Reason][]string{
		probe.NXDomain:    {"api.shop.svc.", "api.twice."},
		probe.DNSServfail: {"api.shop.svc.cluster.local.", "api.shop.svc."},
	} {
		for range 2 {
			own, said := observed(Resolver(server))
			var err error
			for _, name := range names {
				_, err = own.LookupNetIP(t.Context(), "ip4", name)
			}
			if got := said.why(err); got.reason != want {
				t.Errorf("%v: got %s, expected %s", names, got.reason, want)
			}
			names[0], names[1] = names[1], names[0]
		}
	}
}

// TestLookup_outOfDescriptors lets this machine fail to ask at times: the name server's answers to the other questions prove
// nothing.
func TestLookup_outOfDescriptors(t *testing.T) {
	t.Parallel()
	working := Resolver(serveFamilies(t, absent, absent, 0, 0))
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS} {
		var dials atomic.Int32
		r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if dials.Add(1) == 1 {
				return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("socket", errno)}
			}
			return working.Dial(ctx, network, address)
		}}
		x := Begin(t.Context(), 1)
		_, err := (&Dialer{Resolver: r}).DialContext(x.Context(), "tcp", "target.test:80")
		if got := x.Explain(err); got.Reason != probe.SelfNetwork {
			t.Errorf("%v: got %s: %s", errno, got.Reason, got.Detail)
		}
		x.Close()
	}
}

func TestLookup_cancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	d := &Dialer{Resolver: Resolver(serveFamilies(t, silence, silence, 0, 0))}
	time.AfterFunc(50*time.Millisecond, cancel)
	x := Begin(ctx, 1)
	defer x.Close()
	if _, err := d.DialContext(x.Context(), "tcp", "target.test:80"); !errors.Is(err, context.Canceled) || x.Explain(err).Reason != probe.Cancelled {
		t.Errorf("got %v", err)
	}
}

func TestHostName(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"api.example": "api.example", "API.Example": "api.example", "bücher.example": "xn--bcher-kva.example",
		"BU\u0308CHER.example": "xn--bcher-kva.example", "api\u3002example": "api.example", "api\uff0eexample": "api.example",
		"ａｐｉ.example": "api.example", "faß.example": "xn--fa-hia.example", "my_service": "my_service", "r3---sn.example": "r3---sn.example",
		"api.example.": "api.example.", "127.0.0.1": "127.0.0.1", "::1": "::1", "fe80::1%eth0": "fe80::1%eth0", "１２７.0.0.1": "127.0.0.1",
		"": "", "xn--bcher-kva.example": "xn--bcher-kva.example",
	} {
		if got := HostName(host); got != want {
			t.Errorf("%q: got %q, expected %q", host, got, want)
		}
	}
}

// TestIsHost: what nobody can be asked for is refused when it is read, and not told as a name that does not exist.
func TestIsHost(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	for host, want := range map[string]bool{
		"api.example": true, "API.Example.": true, "bücher.example": true, "my_service": true, "_a._tcp.example": true, "r3---sn.example": true,
		"127.0.0.1": true, "::1": true, "fe80::1%eth0": true, "１２７.0.0.1": true, "1.2.3.4.example": true, "3com": true, "0x7f.example": true,
		long + ".example": true,
		"":                false, ".": false, ".example": false, "a..example": false, "-a.example": false, "a-.example": false, "a b": false,
		"a/b": false, "a@b": false, "1.1": false, "127.0.0.1.": false, "2130706433": false, "0x7f.1": false, "0x7f000001": false,
		"010.0.0.1": false, "1.2.3.4.5": false, "256.1.1.1": false, long + "a.example": false, strings.Repeat(long+".", 4) + "a": false,
	} {
		if got := IsHost(host); got != want {
			t.Errorf("%q: got %t, expected %t", host, got, want)
		}
	}
}

// TestHostName_guard writes a metadata address in other digits: what it becomes is not dialled.
func TestHostName_guard(t *testing.T) {
	t.Parallel()
	dials := 0
	d := &Dialer{Open: func(context.Context, string, string) (net.Conn, error) { dials++; return nil, errors.New("opened") }}
	_, err := d.DialContext(t.Context(), "tcp", "１６９.２５４.169.254:80")
	if _, ok := errors.AsType[*DeniedError](err); !ok || dials != 0 {
		t.Errorf("got %v after %d dials", err, dials)
	}
}

// TestQueryReader_stream reads a response that arrives byte by byte.
func TestQueryReader_stream(t *testing.T) {
	t.Parallel()
	q := dnsmessage.Question{Name: dnsmessage.MustNewName("target.test."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 7}, Questions: []dnsmessage.Question{q}}
	query, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	m.Response, m.RecursionAvailable, m.RCode = true, true, dnsmessage.RCodeNameError
	response, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	log := &queryLog{questions: map[dnsmessage.Question]status{}}
	r := queryReader{log: log}
	r.sent(query)
	var buffer []byte
	for _, b := range append([]byte{0, byte(len(response))}, response...) {
		if log.questions[q] != unanswered {
			t.Fatal("read a response before its end")
		}
		buffer = r.stream(buffer, []byte{b})
	}
	if log.questions[q] != nonexistent || len(buffer) != 0 {
		t.Errorf("got %v, and %d bytes are left", log.questions, len(buffer))
	}
}
