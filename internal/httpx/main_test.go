package httpx

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"prober/internal/probe"
	"prober/internal/secret"
)

// marker is planted wherever a server may put text; no text of ours may repeat eight bytes of it.
const marker = "hunter2-7f3a9c51d2"

// printed is what net/http wrote to the standard logger.
var printed lockedBuffer

type lockedBuffer struct {
	sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.Lock()
	defer b.Unlock()
	return b.Buffer.Write(p)
}

func TestMain(m *testing.M) {
	log.SetOutput(&printed)
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if text := printed.String(); strings.Contains(text, marker[:8]) {
			fmt.Fprintln(os.Stderr, "the standard logger was told what a server said:", text)
			code = 1
		}
		os.Exit(code)
	}))
}

// patience is the timeout of an exchange that ends by itself. No test waits for it, however busy the machine is.
const patience = time.Hour

// impatience is the timeout of an exchange that nobody will answer.
const impatience = 400 * time.Millisecond

// lateness is how much longer than its timeout an exchange may take on a busy machine.
const lateness = 10 * time.Second

// inVain makes an exchange that nobody will answer. On a busy machine the time may be up before the exchange gets to
// where it is expected to wait, or the server to what has come: then it is made again, with twice the time. An exchange returns nil
// to say that the server has not got there.
func inVain(detail string, exchange func(timeout time.Duration) *Answer) *Answer {
	for timeout := impatience; ; timeout *= 2 {
		a := exchange(timeout)
		if a != nil && (a.Reason != probe.Timeout || strings.Contains(a.Detail, detail)) || timeout > time.Minute {
			return a
		}
	}
}

// ask makes one exchange, and checks what every exchange keeps: that it ends, tells, and repeats nothing.
func ask(t testing.TB, s *Settings, timeout time.Duration, q Request) (*Answer, probe.Result) {
	t.Helper()
	client, err := s.Client(q.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	return askWith(t, client, timeout, q)
}

func askWith(t testing.TB, client *Client, timeout time.Duration, q Request) (*Answer, probe.Result) {
	t.Helper()
	var a *Answer
	// The run has more time than the exchange, so that a busy machine does not make it count as hung.
	job := probe.Job{ID: probe.ID{System: "test", Name: "test"}, Timeout: timeout + lateness, Probe: asker(func(ctx context.Context, r *probe.Result) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		a = client.Do(ctx, r, q)
		if !a.Incomplete(r, "answer") {
			r.Pass("answer", "got %d", a.Status)
		}
	})}
	r := job.Do(context.Background())
	if r.Abandoned != nil {
		t.Fatalf("expected the end by the deadline of %s, got none %s later", timeout, lateness)
	}
	if a == nil {
		t.Fatalf("no answer: %+v", r.Checks)
	}
	innocent(t, a, r)
	return a, r
}

// starved reports whether the run says of itself that a busy machine gave it no time: whatever it saw, it concludes nothing then.
func starved(r probe.Result) bool {
	return slices.ContainsFunc(r.Checks, func(c probe.Check) bool {
		return c.Reason == probe.SelfDelay || c.Reason == probe.Suspended || c.Reason == probe.Hung
	})
}

// asker makes a probe of a function.
type asker func(context.Context, *probe.Result)

func (asker) Validate() error                            { return nil }
func (asker) Checks() []string                           { return []string{"answer"} }
func (f asker) Ask(ctx context.Context, r *probe.Result) { f(ctx, r) }

// innocent holds that no text repeats the marker and every reason is of the closed set.
func innocent(t testing.TB, a *Answer, r probe.Result) {
	t.Helper()
	texts := []string{a.Detail, a.Cached, fmt.Sprintf("%+v", a.Exchange)}
	for _, c := range r.Checks {
		texts = append(texts, c.Detail)
	}
	for _, x := range r.Exchanges {
		texts = append(texts, fmt.Sprintf("%+v", x))
	}
	for _, text := range texts {
		for i := 0; i+8 <= len(marker); i++ {
			if strings.Contains(text, marker[i:i+8]) {
				t.Errorf("repeats the marker: %s", text)
				break
			}
		}
		if strings.ContainsAny(text, "\r\n\x00\x1b") {
			t.Errorf("control characters in %q", text)
		}
	}
	if !reasons[a.Reason] {
		t.Errorf("reason %q cannot be that of an exchange", a.Reason)
	}
	if (a.Reason == probe.OK) != (a.Detail == "") {
		t.Errorf("reason %s with detail %q", a.Reason, a.Detail)
	}
	if a.Took < 0 {
		t.Errorf("took %s", a.Took)
	}
}

// reasons are those that an exchange can end with.
var reasons = map[probe.Reason]bool{
	probe.OK: true, probe.Cert: true, probe.TLS: true, probe.Refused: true, probe.Timeout: true, probe.Reset: true,
	probe.Truncated: true, probe.TooLarge: true, probe.Protocol: true, probe.NXDomain: true, probe.NoAddress: true, probe.DNSTimeout: true,
	probe.DNSServfail: true, probe.Unreachable: true, probe.SelfNetwork: true, probe.Cancelled: true, probe.Credential: true,
	probe.RateLimited: true, probe.IdleClosed: true,
}

// A zoo is a server that does to each connection what it was told.
type zoo struct {
	net.Listener
	conns    atomic.Int64
	requests atomic.Int64
}

// serve listens on loopback until the test ends. Connections are closed when do returns, and at the latest then.
func serve(t testing.TB, do func(*zoo, net.Conn)) *zoo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	z := &zoo{Listener: l}
	var all sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			z.conns.Add(1)
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			all.Go(func() {
				defer c.Close()
				do(z, c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return z
}

func (z *zoo) url() string { return "http://" + z.Addr().String() + "/path?who=" + marker }

// request reads one request, and returns nil at the end of the connection.
func (z *zoo) request(br *bufio.Reader) *http.Request {
	req, err := http.ReadRequest(br)
	if err != nil {
		return nil
	}
	io.Copy(io.Discard, req.Body)
	z.requests.Add(1)
	return req
}

// says answers each request with the same bytes.
func says(text string) func(*zoo, net.Conn) {
	return func(z *zoo, c net.Conn) {
		br := bufio.NewReader(c)
		if z.request(br) != nil {
			io.WriteString(c, text)
		}
	}
}

// repeats answers with a beginning and then one part for ever.
func repeats(begin, part string, written *atomic.Int64) func(*zoo, net.Conn) {
	part = strings.Repeat(part, 1+4096/len(part))
	return func(z *zoo, c net.Conn) {
		if z.request(bufio.NewReader(c)) == nil {
			return
		}
		io.WriteString(c, begin)
		for {
			n, err := io.WriteString(c, part)
			if written != nil {
				written.Add(int64(n))
			}
			if err != nil {
				return
			}
		}
	}
}

// drips answers with a beginning and then one part at a time, for ever.
func drips(begin, part string) func(*zoo, net.Conn) {
	return func(z *zoo, c net.Conn) {
		if z.request(bufio.NewReader(c)) == nil {
			return
		}
		io.WriteString(c, begin)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := io.WriteString(c, part); err != nil {
				return
			}
		}
	}
}

// resets ends a connection with RST in place of FIN.
func resets(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// hold keeps a connection open until the other side closes it.
func hold(_ *zoo, c net.Conn) { io.Copy(io.Discard, c) }

// known makes a value known to the redactor, as a revealed secret is.
func known(t testing.TB, value string) {
	t.Helper()
	secret.Learn(t.Name(), value)
}
