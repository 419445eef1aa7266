package inbound

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"prober/internal/memory"
	"prober/internal/probe"
	"prober/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Tokens of tests.
const (
	tokenA = "k7Qz0vB2mXw9rT4yLp6sNd"
	tokenB = "0f3a9c51d2e84b76a1c05d9e7b32f846"
)

// A receiving probe notes what came.
type receiving struct {
	token  secret.Secret
	answer func(probe.Delivery) probe.Answer

	mu  sync.Mutex
	got []probe.Delivery
}

func (*receiving) Validate() error                    { return nil }
func (*receiving) Checks() []string                   { return []string{"came"} }
func (*receiving) Ask(context.Context, *probe.Result) {}
func (p *receiving) InboundToken() secret.Secret      { return p.token }

func (p *receiving) Receive(in probe.Inbox, d probe.Delivery) probe.Answer {
	p.mu.Lock()
	p.got = append(p.got, d)
	p.mu.Unlock()
	in.Update(func(s *probe.InboxState) { s.Document = append(append([]byte{}, s.Document...), d.Method...) })
	if p.answer != nil {
		return p.answer(d)
	}
	return probe.Answer{}
}

// An ignoring probe has no use for bodies.
type ignoring struct{ *receiving }

func (ignoring) IgnoresBodies() {}

func (p *receiving) received() []probe.Delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got
}

// jobOf returns the job of a probe whose token is in a variable of that name.
func jobOf(name string, p *receiving) probe.Job {
	p.token = secret.Env("INBOUND_TEST_" + name)
	return probe.Job{ID: probe.ID{System: "s", Name: name, Type: "receiving"}, Probe: p, Settings: "same", Timeout: time.Second}
}

// A world is a listener in memory, in the time of a bubble.
type world struct {
	t         *testing.T
	receivers *Receivers
	conns     chan net.Conn
	mu        sync.Mutex
	outcomes  map[string]int
	done      chan struct{}
	once      sync.Once
	began     time.Time
	jobs      []probe.Job
}

func (w *world) job(i int) probe.Job { return w.jobs[i] }

func (w *world) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.done:
		return nil, net.ErrClosed
	}
}

func (w *world) Close() error   { w.once.Do(func() { close(w.done) }); return nil }
func (w *world) Addr() net.Addr { return &net.IPAddr{} }

// inWorld serves the probes, and plays a story.
func inWorld(t *testing.T, o Options, story func(w *world), probes ...*receiving) {
	t.Helper()
	t.Setenv("INBOUND_TEST_a", tokenA)
	t.Setenv("INBOUND_TEST_b", tokenB)
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, conns: make(chan net.Conn), done: make(chan struct{}), outcomes: map[string]int{}}
		o.Memory = memory.NewBudget(1 << 20)
		o.Counted = func(outcome string) {
			w.mu.Lock()
			w.outcomes[outcome]++
			w.mu.Unlock()
		}
		w.receivers = New(o, nil)
		var jobs []probe.Job
		for i, p := range probes {
			jobs = append(jobs, jobOf(string(rune('a'+i)), p))
		}
		w.jobs, w.began = w.receivers.SetJobs(jobs), time.Now()
		server := w.receivers.Restrict(&http.Server{Handler: w.receivers}, 20)
		var all sync.WaitGroup
		all.Go(func() {
			if err := server.Serve(w); !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("the server ended with %v", err)
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		all.Go(func() { w.receivers.Run(ctx) })
		story(w)
		server.Close()
		cancel()
		all.Wait()
	})
}

func (w *world) dial() net.Conn {
	ours, theirs := net.Pipe()
	w.conns <- theirs
	return ours
}

// ask sends a text and returns the status, the body, and whether the connection was closed behind it.
func (w *world) ask(text string) (status int, body string, header http.Header) {
	w.t.Helper()
	conn := w.dial()
	defer conn.Close()
	go io.WriteString(conn, text)
	in := bufio.NewReader(conn)
	method, _, _ := strings.Cut(text, " ")
	response, err := http.ReadResponse(in, &http.Request{Method: method})
	if err != nil {
		return 0, "", nil
	}
	b, _ := io.ReadAll(response.Body)
	if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil {
		w.t.Errorf("expected the connection to be closed, got %q, %v", rest, err)
	}
	return response.StatusCode, string(b), response.Header
}

func (w *world) count(outcome string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.outcomes[outcome]
}

// inbox is that of the probe at an index.
func (w *world) inbox(i int) *inbox { return w.receivers.all[i].inbox }

func post(path string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
}
