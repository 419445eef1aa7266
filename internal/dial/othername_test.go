package dial

import (
	"context"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// serveRecords runs a name server that answers each question for IPv4 with a code and the same records, whatever it is about: lines
// such as "target.test A 127.0.0.9".
func serveRecords(t *testing.T, code dnsmessage.RCode, lines ...string) string {
	t.Helper()
	var records []dnsmessage.Resource
	for _, line := range lines {
		f := strings.Fields(line)
		one := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(f[0] + "."), Class: dnsmessage.ClassINET}}
		switch f[1] {
		case "CNAME":
			one.Body = &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(f[2] + ".")}
		case "CH":
			one.Header.Class = dnsmessage.ClassCHAOS
			fallthrough
		default:
			one.Body = testenv.AddressRecords(dnsmessage.TypeA, f[2])[0]
		}
		records = append(records, one)
	}
	return serveMessages(t, func(m *dnsmessage.Message) {
		m.RCode = code
		if m.Questions[0].Type == dnsmessage.TypeA {
			m.Answers = records
		}
	})
}

// serveMessages runs a name server that answers as fill says.
func serveMessages(t *testing.T, fill func(*dnsmessage.Message)) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			var m dnsmessage.Message
			if err != nil {
				return
			}
			if m.Unpack(buf[:n]) != nil {
				continue
			}
			m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
			fill(&m)
			if packed, err := m.Pack(); err == nil {
				pc.WriteTo(packed, from)
			}
		}
	})
	t.Cleanup(func() { pc.Close(); serving.Wait() })
	return pc.LocalAddr().String()
}

// TestDial_otherNames lets a name server answer about other names. Only the addresses of the name that was asked for, and of those
// that it is an alias of, are its addresses.
func TestDial_otherNames(t *testing.T) {
	t.Parallel()
	const ok = dnsmessage.RCodeSuccess
	const another = "the name target.test could not be looked up: the name server answers about another name"
	loop := []string{"target.test CNAME a.test", "a.test CNAME target.test"}
	var long []string
	for i, name := 0, "target.test"; i < 20; i++ {
		next := name + "x"
		long = append(long, name+" CNAME "+next)
		name = next
	}
	for name, c := range map[string]struct {
		code    dnsmessage.RCode
		records []string
		why     probe.Reason
		want    string
	}{
		"its own":                  {ok, []string{"target.test A 127.0.0.9"}, probe.OK, ""},
		"in other letters":         {ok, []string{"TARGET.Test A 127.0.0.9"}, probe.OK, ""},
		"another name's":           {ok, []string{"other.test A 127.0.0.9"}, probe.DNSServfail, another},
		"a longer name's":          {ok, []string{"x.target.test A 127.0.0.9"}, probe.DNSServfail, another},
		"of another class":         {ok, []string{"target.test CH 127.0.0.9"}, probe.DNSServfail, another},
		"its own is dead":          {ok, []string{"target.test A 127.0.0.1", "other.test A 127.0.0.9"}, probe.Refused, "connection refused by 127.0.0.1:80"},
		"the other is dead":        {ok, []string{"other.test A 127.0.0.1", "target.test A 127.0.0.9"}, probe.OK, ""},
		"both have it":             {ok, []string{"other.test A 127.0.0.9", "target.test A 127.0.0.9"}, probe.OK, ""},
		"an alias":                 {ok, []string{"target.test CNAME a.test", "a.test CNAME b.test", "b.test A 127.0.0.9"}, probe.OK, ""},
		"an alias, from the end":   {ok, []string{"b.test A 127.0.0.9", "a.test CNAME b.test", "target.test CNAME a.test"}, probe.OK, ""},
		"another name is an alias": {ok, []string{"other.test CNAME b.test", "b.test A 127.0.0.9"}, probe.DNSServfail, another},
		"an alias of another":      {ok, []string{"target.test CNAME a.test", "b.test A 127.0.0.9"}, probe.DNSServfail, another},
		"a loop":                   {ok, loop, probe.NoAddress, "the name target.test exists and has no address"},
		"a loop with an address":   {ok, append(loop, "a.test A 127.0.0.9"), probe.OK, ""},
		"aliases without end":      {ok, append(long, "target.test"+strings.Repeat("x", 20)+" A 127.0.0.9"), probe.DNSServfail, another},
		"an alias of nothing":      {dnsmessage.RCodeNameError, loop[:1], probe.NXDomain, "the name target.test is an alias of one that does not exist"},
		"nothing":                  {dnsmessage.RCodeNameError, nil, probe.NXDomain, "the name target.test does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &Dialer{Resolver: Resolver(serveRecords(t, c.code, c.records...)), Open: onlyNine(t)}
			x := Begin(t.Context(), 1)
			defer x.Close()
			_, err := d.DialContext(x.Context(), "tcp", "target.test:80")
			got := probe.Outcome{Reason: probe.OK}
			if err != nil {
				got = x.Explain(err)
			}
			if got != (probe.Outcome{Reason: c.why, Detail: c.want}) {
				t.Errorf("got %s: %q, expected %s: %q", got.Reason, got.Detail, c.why, c.want)
			}
		})
	}
}

// onlyNine opens connections to 127.0.0.9 alone.
func onlyNine(t *testing.T) func(context.Context, string, string) (net.Conn, error) {
	return func(_ context.Context, _, address string) (net.Conn, error) {
		if !strings.HasPrefix(address, "127.0.0.9:") {
			return nil, syscall.ECONNREFUSED
		}
		here, there := net.Pipe()
		t.Cleanup(func() { here.Close(); there.Close() })
		return here, nil
	}
}

// TestDial_manyAddresses has one good address among dead ones, at each place, whether the other family has been denied by then or not.
func TestDial_manyAddresses(t *testing.T) {
	t.Parallel()
	t.Run("in time", func(t *testing.T) { dialMany(t, 0) })
	t.Run("IPv6 late", func(t *testing.T) { dialMany(t, 3*resolutionDelay) })
}

func dialMany(t *testing.T, delay time.Duration) {
	t.Parallel()
	for good := range maxTries + 1 {
		addrs := make([]string, maxTries+1)
		for i := range addrs {
			addrs[i] = "127.0.1.1"
		}
		addrs[good] = "127.0.0.9"
		x := Begin(t.Context(), 1)
		d := &Dialer{Resolver: Resolver(serveFamilies(t, has(addrs...), nothing, dnsmessage.TypeAAAA, delay)), Open: onlyNine(t)}
		_, err := d.DialContext(x.Context(), "tcp", "target.test:80")
		if (err == nil) != (good < maxTries) {
			t.Errorf("the good one is number %d of %d: got %v", good+1, len(addrs), err)
		}
		x.Close()
	}
}

// TestQueryLog_refused has a name server refuse connections. What another one has answered counts.
func TestQueryLog_refused(t *testing.T) {
	t.Parallel()
	q := dnsmessage.Question{Name: dnsmessage.MustNewName("target.test."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	missing := &net.DNSError{IsNotFound: true}
	for name, c := range map[string]struct {
		questions map[dnsmessage.Question]status
		want      probe.Reason
	}{
		"nothing was asked":          {nil, probe.DNSServfail},
		"cut off, and refused then":  {map[dnsmessage.Question]status{q: unanswered}, probe.DNSServfail},
		"another one has no such":    {map[dnsmessage.Question]status{q: nonexistent}, probe.NXDomain},
		"another one has no address": {map[dnsmessage.Question]status{q: exists}, probe.NoAddress},
	} {
		l := &queryLog{failed: true, questions: c.questions}
		if got := l.why(missing); got.reason != c.want {
			t.Errorf("%s: got %s, expected %s", name, got.reason, c.want)
		}
	}
}

// TestReceived_truncated reads answers over TCP that say they are cut off.
func TestReceived_truncated(t *testing.T) {
	t.Parallel()
	q := dnsmessage.Question{Name: dnsmessage.MustNewName("target.test."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	for records, want := range map[int]status{0: failed, 1: exists} {
		m := dnsmessage.Message{Header: dnsmessage.Header{Response: true, RecursionAvailable: true, Truncated: true}, Questions: []dnsmessage.Question{q}}
		for range records {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: &dnsmessage.AResource{}})
		}
		packed, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		_, log := observed(system)
		r := queryReader{log: log, question: &q}
		r.received(packed, false)
		if got := log.questions[q]; got != want {
			t.Errorf("%d records: got %d, expected %d", records, got, want)
		}
	}
}

// FuzzReceived reads responses of any form: what is learned is bounded, and of each address it is known whose it is.
func FuzzReceived(f *testing.F) {
	q := dnsmessage.Question{Name: dnsmessage.MustNewName("target.test."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	m := dnsmessage.Message{Header: dnsmessage.Header{Response: true}, Questions: []dnsmessage.Question{q}}
	for _, body := range []dnsmessage.ResourceBody{&dnsmessage.CNAMEResource{CNAME: q.Name}, &dnsmessage.AResource{}, &dnsmessage.AAAAResource{}} {
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: body})
	}
	if packed, err := m.Pack(); err == nil {
		f.Add(packed)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		_, log := observed(system)
		(&queryReader{log: log, question: &q}).received(message, false)
		if len(log.mapped) > maxTries || len(log.addrs) > len(message) {
			t.Errorf("learned %d addresses and %d within IPv6", len(log.addrs), len(log.mapped))
		}
	})
}

// TestServices_otherNames lets a name server answer questions for services and name servers about other names.
func TestServices_otherNames(t *testing.T) {
	t.Parallel()
	for owner, want := range map[string]probe.Reason{"target.test.": probe.OK, "TARGET.test.": probe.OK, "other.test.": probe.DNSServfail} {
		name := dnsmessage.MustNewName(owner)
		server := serveMessages(t, func(m *dnsmessage.Message) {
			h := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET}
			var body dnsmessage.ResourceBody = &dnsmessage.SRVResource{Target: name, Port: 80}
			if m.Questions[0].Type == dnsmessage.TypeNS {
				body = &dnsmessage.NSResource{NS: name}
			}
			m.Answers = []dnsmessage.Resource{{Header: h, Body: body}}
		})
		ask := map[string]func(*net.Resolver) error{
			"SRV": func(r *net.Resolver) error { _, err := Services(t.Context(), r, "target.test"); return err },
			"NS":  func(r *net.Resolver) error { _, err := NameServers(t.Context(), r, "target.test"); return err },
		}
		for kind, ask := range ask {
			got := probe.Outcome{Reason: probe.OK}
			if err := ask(Resolver(server)); err != nil {
				got = Explain(t.Context(), err)
			}
			if got.Reason != want {
				t.Errorf("%s of %s: got %s: %s, expected %s", kind, owner, got.Reason, got.Detail, want)
			}
		}
	}
}
