package dns

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// A network has servers in memory by their address, IP:port. Each gets what comes in over one connection.
type network map[string]func(nc net.Conn, network string)

// talks serves one connection as serve does.
func talks(r reply) func(net.Conn, string) {
	return func(nc net.Conn, network string) {
		if network == "tcp" {
			serveStream(nc, r)
			return
		}
		buffer := make([]byte, 1500)
		for {
			n, err := nc.Read(buffer)
			if err != nil {
				return
			}
			var q dnsmessage.Message
			if q.Unpack(buffer[:n]) != nil {
				return
			}
			for _, m := range r(q, network) {
				if _, err := nc.Write(m); err != nil {
					return
				}
			}
		}
	}
}

// silent takes what comes and answers nothing.
func silent(nc net.Conn, _ string) { _, _ = io.Copy(io.Discard, nc) }

// run runs a probe in fake time, as often as there are waits after it.
func (n network) run(t *testing.T, p *Probe, waits ...time.Duration) (all []probe.Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var busy sync.WaitGroup
		ctx := dial.WithOpen(t.Context(), func(_ context.Context, network, address string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			handle := n[address]
			busy.Go(func() {
				defer theirs.Close()
				if handle == nil {
					handle = silent
				}
				handle(theirs, network)
			})
			return ours, nil
		})
		job := probe.Job{ID: probe.ID{System: "test", Name: "it"}, Kind: Kind(), Probe: p, Interval: time.Minute, Timeout: 5 * time.Second}
		for _, wait := range append(waits, 0) {
			r := job.Do(ctx)
			if err := job.Kind.Undeclared(r); err != nil {
				t.Error(err)
			}
			all = append(all, r)
			time.Sleep(wait)
		}
		busy.Wait()
	})
	return all
}

// TestDNS_hostile shows that an answer counts only if it is one to the question, and that nothing takes longer than the run.
func TestDNS_hostile(t *testing.T) {
	t.Parallel()
	// forge returns an answer with another address, changed.
	forge := func(q dnsmessage.Message, change func(m *dnsmessage.Message)) []byte {
		m := shop().answer(q)
		m.Answers = []dnsmessage.Resource{resource("www.shop.example.", a("192.0.2.66"))}
		if change != nil {
			change(&m)
		}
		return pack(m)
	}
	right := func(q dnsmessage.Message) []byte { return pack(shop().answer(q)) }
	name := func(m *dnsmessage.Message, name string) {
		m.Questions = []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: m.Questions[0].Type, Class: m.Questions[0].Class}}
	}
	otherID := func(m *dnsmessage.Message) { m.ID ^= 1 }
	otherName := func(m *dnsmessage.Message) { name(m, "www.shop.test.") }
	first := func(change func(m *dnsmessage.Message)) reply {
		return func(q dnsmessage.Message, _ string) [][]byte { return [][]byte{forge(q, change), right(q)} }
	}
	only := func(change func(m *dnsmessage.Message)) reply {
		return func(q dnsmessage.Message, _ string) [][]byte { return [][]byte{forge(q, change)} }
	}
	raw := func(change func(b []byte) []byte) reply {
		return func(q dnsmessage.Message, _ string) [][]byte { return [][]byte{change(right(q))} }
	}
	answers := func(records ...dnsmessage.Resource) reply {
		return changed(func(_ dnsmessage.Message, m *dnsmessage.Message) { m.Answers = records })
	}
	const (
		good   = "pass\n*\n*\nanswer pass(ok): 192.0.2.1 and 192.0.2.2"
		broken = "fail\nquery fail(protocol): expected a DNS message, got one whose records cannot be read"
		tcp    = "transport: tcp\n"
	)
	header := func(m *dnsmessage.Message) { m.Answers, m.Questions, m.Authoritative = nil, nil, false }
	for title, test := range map[string]struct {
		handle   func(net.Conn, string)
		settings string
		want     string
	}{
		"another id, then the answer":    {talks(first(otherID)), "", good},
		"another name, then the answer":  {talks(first(otherName)), "", good},
		"another type, then the answer":  {talks(first(func(m *dnsmessage.Message) { m.Questions[0].Type = dnsmessage.TypeMX })), "", good},
		"a query, then the answer":       {talks(first(func(m *dnsmessage.Message) { m.Response = false })), "", good},
		"an update, then the answer":     {talks(first(func(m *dnsmessage.Message) { m.OpCode = 5 })), "", good},
		"two questions, then the answer": {talks(first(func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) })), "", good},
		"no question, then the answer":   {talks(first(func(m *dnsmessage.Message) { m.Questions = nil })), "", good},
		"NXDOMAIN without a question":    {talks(first(func(m *dnsmessage.Message) { header(m); m.RCode = 3 })), "", good},
		"noise, then the answer":         {talks(func(q dnsmessage.Message, _ string) [][]byte { return [][]byte{{}, {1}, right(q)} }), "", good},
		"the answer, then a wrong one":   {talks(func(q dnsmessage.Message, _ string) [][]byte { return [][]byte{right(q), forge(q, nil)} }), "", good},
		"the name in another case":       {talks(changed(func(_ dnsmessage.Message, m *dnsmessage.Message) { name(m, "WWW.shop.EXAMPLE.") })), "", good},
		"a name that looks like another": {talks(first(func(m *dnsmessage.Message) { name(m, "www.shop.exampl\xe5.") })), "", good},
		"only another id":                {talks(only(otherID)), "", "fail\nquery fail(protocol): no complete answer within *, got 1 message with another id, name or type"},
		"only other names": {talks(func(q dnsmessage.Message, _ string) [][]byte {
			return [][]byte{forge(q, otherName), forge(q, otherName)}
		}), "", "fail\nquery fail(protocol): *, got 2 messages with another id, name or type"},
		"other answers without end":         {flood, "", "fail\nquery fail(protocol): expected an answer to the question, got 100 messages with another id, name or type"},
		"another id over TCP":               {talks(only(otherID)), tcp, "fail\nquery fail(protocol): expected an answer to the question, got 1 message with another id, name or type"},
		"SERVFAIL without a question":       {talks(changed(func(_ dnsmessage.Message, m *dnsmessage.Message) { header(m); m.RCode = 2 })), "", "fail\n*\nrcode fail(servfail): *"},
		"no answer":                         {silent, "", "fail\nquery fail(timeout): no complete answer within * (waited in processing)"},
		"no answer over TCP":                {silent, tcp, "fail\nquery fail(timeout): no complete answer within * (waited in processing)"},
		"a connection that closes":          {func(nc net.Conn, _ string) { _, _ = nc.Read(make([]byte, 100)) }, tcp, "fail\nquery fail(reset): *"},
		"a length that does not come":       {breaksOff(11), tcp, "fail\nquery fail(truncated): the answer of 192.0.2.53:53 is shorter than announced"},
		"half an id":                        {breaksOff(1), tcp, "fail\nquery fail(truncated): the answer of 192.0.2.53:53 is shorter than announced"},
		"half a length":                     {streams([]byte{0}, 0), tcp, "fail\nquery fail(truncated): the answer of 192.0.2.53:53 is shorter than announced"},
		"HTTP":                              {streams([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), 0), tcp, "fail\nquery fail(protocol): expected an answer to the question, got 1 message with another id, name or type"},
		"a greeting, and then no more":      {says("SSH-2.0-OpenSSH_9.6\r\n"), tcp, "fail\nquery fail(protocol): expected an answer to the question, *"},
		"a length without an answer":        {streams([]byte{0xff, 0xff}, 0), tcp, "fail\nquery fail(truncated): *"},
		"a length of nothing":               {streams([]byte{0, 0}, 0), tcp, "fail\nquery fail(protocol): *"},
		"an answer in drops":                {streams(bytes.Repeat([]byte{255}, 1<<16), 2*time.Second), tcp, "fail\nquery fail(timeout): no complete answer within * (waited in *)"},
		"a header only":                     {talks(raw(func(b []byte) []byte { return b[:12] })), tcp, "fail\nquery fail(protocol): expected an answer to the question, *"},
		"records cut short":                 {talks(raw(func(b []byte) []byte { return b[:len(b)-15] })), "", broken},
		"65,535 records that are not there": {talks(raw(func(b []byte) []byte { b[6], b[7] = 255, 255; return b })), "", broken},
		"a loop of pointers":                {talks(raw(func(b []byte) []byte { return append(b[:12:12], loop(b)...) })), "", broken},
		"an address of five bytes": {talks(changed(func(_ dnsmessage.Message, m *dnsmessage.Message) {
			m.Answers[0] = resource("www.shop.example.", &dnsmessage.UnknownResource{Type: dnsmessage.TypeA, Data: make([]byte, 5)})
		})), "", broken},
		"two OPT": {talks(changed(func(_ dnsmessage.Message, m *dnsmessage.Message) {
			m.Additionals = append(m.Additionals, m.Additionals[0])
		})), "", broken},
		"OPT among the answers": {talks(changed(func(_ dnsmessage.Message, m *dnsmessage.Message) {
			m.Answers, m.Additionals = append(m.Answers, m.Additionals[0]), nil
		})), "", broken},
		"truncated, then over TCP": {talks(truncatedOverUDP(false)), "", "pass\nquery pass(ok): answered over TCP\n*\n*"},
		"truncated over TCP too":   {talks(truncatedOverUDP(true)), "", "fail\nquery fail(truncated): expected a complete answer over TCP, got one that says it is truncated (the answer over UDP is truncated, so TCP is needed)"},
		"a record of another name": {talks(answers(resource("evil.example.", a("192.0.2.66")))), "", "fail\n*\n*\nanswer fail(records): expected a record of the name, got only 1 record of other names or types"},
		"a record of the name and of another": {talks(answers(resource("www.shop.example.", a("192.0.2.1")), resource("evil.example.", a("192.0.2.66")))), "",
			"pass\n*\n*\nanswer pass(ok): 192.0.2.1"},
		"a record of another class": {talks(changed(func(_ dnsmessage.Message, m *dnsmessage.Message) {
			m.Answers = m.Answers[:1]
			m.Answers[0].Header.Class = dnsmessage.ClassCHAOS
		})), "", "fail\n*\n*\nanswer fail(records): *"},
		"an alias to another name than the record's": {talks(answers(resource("www.shop.example.", cname("a.example.")), resource("b.example.", a("192.0.2.66")))), "",
			"fail\n*\n*\nanswer fail(no_record): expected a record, got 1 alias that the server does not follow"},
		"aliases in a circle": {talks(answers(resource("www.shop.example.", cname("a.example.")), resource("a.example.", cname("www.shop.example.")))), "",
			"fail\n*\n*\nanswer fail(no_record): expected a record, got aliases that lead in a circle, or are more than 16"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			p := load(t, "servers: [\"192.0.2.53:53\"]\n"+www+test.settings)
			got := network{"192.0.2.53:53": test.handle}.run(t, p)[0]
			wantPattern(t, strings.ReplaceAll(probetest.Lines(got), "@192.0.2.53:53", ""), test.want)
		})
	}
}

// flood answers other questions without end.
func flood(nc net.Conn, _ string) {
	_, _ = nc.Read(make([]byte, 1500))
	for {
		if _, err := nc.Write(make([]byte, 12)); err != nil {
			return
		}
	}
}

// streams sends bytes, with a pause before each, and closes the connection.
func streams(b []byte, pause time.Duration) func(net.Conn, string) {
	return func(nc net.Conn, _ string) {
		_, _ = nc.Read(make([]byte, 1500))
		for i := range b {
			time.Sleep(pause)
			if _, err := nc.Write(b[i : i+1]); err != nil {
				return
			}
		}
	}
}

// says writes a text and then nothing more.
func says(text string) func(net.Conn, string) {
	return func(nc net.Conn, network string) {
		_, _ = nc.Read(make([]byte, 1500))
		_, _ = io.WriteString(nc, text)
		silent(nc, network)
	}
}

// breaksOff announces an answer and closes the connection after so many bytes of it.
func breaksOff(after int) func(net.Conn, string) {
	return func(nc net.Conn, _ string) {
		query := make([]byte, 1500)
		n, _ := nc.Read(query)
		_, _ = nc.Write([]byte{1, 0})
		_, _ = nc.Write(query[2:n][:after])
	}
}

// loop is a question and an answer whose name points to itself.
func loop(b []byte) []byte {
	question := b[12 : 12+len("\x03www\x04shop\x07example\x00")+4]
	self := 12 + len(question)
	return append(append([]byte{}, question...), 0xC0|byte(self>>8), byte(self), 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 192, 0, 2, 66)
}

// truncatedOverUDP answers over TCP only.
func truncatedOverUDP(overTCP bool) reply {
	return func(q dnsmessage.Message, network string) [][]byte {
		m := shop().answer(q)
		if network == "udp" || overTCP {
			m.Truncated, m.Answers = true, []dnsmessage.Resource{resource("www.shop.example.", a("192.0.2.66"))}
		}
		return [][]byte{pack(m)}
	}
}
