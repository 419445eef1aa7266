package redis

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"prober/internal/resp"
)

// A fake is a server that says what a test wants, and what a sound primary with one planted key says to all else.
type fake struct {
	mu      sync.Mutex
	answers map[string]string // as they go over the wire, by the beginning of a command; the longest counts
	values  map[string]string
	delays  map[string]time.Duration // by the whole command
	sent    []string
}

// serve starts a fake that ends with the test, and returns its address.
func serve(t *testing.T, answers map[string]string) (*fake, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{answers: answers, values: map[string]string{}, delays: map[string]time.Duration{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer nc.Close()
				f.converse(nc)
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return f, l.Addr().String()
}

func (f *fake) converse(nc net.Conn) {
	in := resp.NewReader(nc)
	for {
		question, err := in.Read()
		if err != nil {
			return
		}
		var words []string
		for _, item := range question.Items {
			words = append(words, item.Text)
		}
		answer := f.answer(words)
		f.mu.Lock()
		wait := f.delays[strings.Join(words, " ")]
		f.mu.Unlock()
		<-time.After(wait)
		if _, err := nc.Write([]byte(answer)); err != nil {
			return
		}
	}
}

// say changes an answer.
func (f *fake) say(begin, answer string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[begin] = answer
}

// delay has a command answered later.
func (f *fake) delay(command string, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delays[command] = d
}

func (f *fake) answer(words []string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := strings.Join(words, " ")
	f.sent = append(f.sent, line)
	best := ""
	for begin := range f.answers {
		if strings.HasPrefix(line, begin) && len(begin) > len(best) {
			best = begin
		}
	}
	if best != "" {
		return f.answers[best]
	}
	switch words[0] {
	case "PING":
		return "+PONG\r\n"
	case "HELLO":
		return "%1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n"
	case "ROLE":
		return list("master")
	case "INFO":
		return info("primary-1")
	case "DBSIZE":
		return ":1\r\n"
	case "SCAN":
		return page("0", "org:a:planted")
	case "SET":
		f.values[words[1]] = words[2]
		return "+OK\r\n"
	case "GET":
		return bulk(f.values[words[1]])
	}
	return "-ERR unknown command\r\n"
}

func bulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

func list(items ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(items))
	for _, s := range items {
		b.WriteString(bulk(s))
	}
	return b.String()
}

// page is an answer to SCAN.
func page(cursor string, names ...string) string { return "*2\r\n" + bulk(cursor) + list(names...) }

// info is what a primary says of itself, with lines that overrule it.
func info(run string, lines ...string) string {
	return bulk(strings.Join(append([]string{"run_id:" + run, "role:master", "master_replid:history-1", "master_repl_offset:100", "db0:keys=1"}, lines...), "\r\n"))
}

// scanned is a probe of the keys of one server.
func scanned(address string) *Probe {
	p := New()
	p.Address = address
	p.Keys = &Keys{Allowed: []string{"org:"}, Planted: []string{"org:a:planted"}}
	return p
}
