package sandbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answerTimeout is how long a test waits for an answer that must come, on a heavily loaded machine.
const answerTimeout = time.Minute

func start(t *testing.T, o Options) *Sandbox {
	t.Helper()
	o.Ephemeral = true
	o.DependencyTimeout = cmp.Or(o.DependencyTimeout, answerTimeout) // a busy machine makes nothing unready
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// A request is one request to a service.
type request struct {
	host, method, path, token, body string
	header                          http.Header
	who                             string // the caller, for the label; derived from the token if empty
}

// A response is one as the caller sees it.
type response struct {
	status int
	header http.Header
	body   string
}

// do sends a request on a connection of its own.
func (s *Sandbox) do(ctx context.Context, a request) (response, error) {
	req, err := http.NewRequestWithContext(ctx, a.method, s.host(a.host).url()+a.path, strings.NewReader(a.body))
	if err != nil {
		return response{}, err
	}
	maps.Copy(req.Header, a.header)
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && len(body) == 1<<20 {
		err = errTooLarge
	}
	return response{resp.StatusCode, resp.Header, string(body)}, err
}

var errTooLarge = errors.New("over 1 MiB")

// mustDo sends a request that must be answered.
func (s *Sandbox) mustDo(t *testing.T, a request) response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), answerTimeout)
	defer cancel()
	answer, err := s.do(ctx, a)
	if err != nil {
		t.Fatalf("%s %s %s: %v", a.host, a.method, a.path, err)
	}
	return answer
}

func (g response) json(t *testing.T) object {
	t.Helper()
	var o object
	if err := json.Unmarshal([]byte(g.body), &o); err != nil {
		t.Fatalf("not a JSON object: %q", g.body)
	}
	return o
}

func TestHost_headers(t *testing.T) {
	s := start(t, Options{})
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	traced := http.Header{"Traceparent": {"00-" + trace + "-00f067aa0ba902b7-01"}}
	for _, c := range []struct {
		host, path string
		header     http.Header
		want       map[string]string // "" means absent
	}{
		{proxy2, "/health", traced, map[string]string{"X-Instance": "proxy-2", "X-Version": release, "X-Trace-Id": trace}},
		{proxy3, "/nothing", traced, map[string]string{"X-Instance": "proxy-3", "X-Trace-Id": trace}},
		{proxy1, "/health", nil, map[string]string{"X-Instance": "proxy-1", "X-Trace-Id": ""}},
		{proxy1, "/health", http.Header{"Traceparent": {"00-not-a-trace"}}, map[string]string{"X-Trace-Id": ""}},
		{onepass, "/up", traced, map[string]string{"X-Request-Id": trace, "X-Version": release, "X-Instance": ""}},
		{auth, "/health", traced, map[string]string{"X-Version": release, "X-Trace-Id": trace, "X-Instance": ""}},
	} {
		answer := s.mustDo(t, request{host: c.host, method: "GET", path: c.path, header: c.header})
		for name, want := range c.want {
			if got := answer.header.Get(name); got != want {
				t.Errorf("%s %s: expected %s %q, got %q", c.host, c.path, name, want, got)
			}
		}
	}
	if id := s.mustDo(t, request{host: onepass, method: "GET", path: "/up"}).header.Get("X-Request-Id"); len(id) < 16 {
		t.Errorf("expected a request id even without a trace, got %q", id)
	}
}

func TestRewriteAddresses_demo(t *testing.T) {
	yaml, err := os.ReadFile(filepath.Join("..", "..", "config", "demo.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, address := range defaults() {
		if !strings.Contains(string(yaml), address) {
			t.Errorf("demo.yaml does not name the address of %s, %s", name, address)
		}
	}
	s := start(t, Options{})
	local := string(s.RewriteAddresses(yaml))
	if left := regexp.MustCompile(`127\.0\.0\.1:19\d\d\d\b`).FindString(local); left != "" {
		t.Errorf("%s was not rewritten", left)
	}
	for _, h := range s.hosts {
		if !strings.Contains(local, h.address) {
			t.Errorf("the address of %s does not occur", h.name)
		}
	}
	for _, name := range regexp.MustCompile(`PROBER_DEMO_\w+`).FindAllString(local, -1) {
		if s.Env()[name] == "" {
			t.Errorf("demo.yaml names %s, which Env does not return", name)
		}
	}
	if strings.Count(local, "\n") != strings.Count(string(yaml), "\n") {
		t.Error("the lines of the configuration moved")
	}
}

func TestStart_twice(t *testing.T) {
	// Whether or not the default ports are free here, the second sandbox finds them taken, even those that a fault of
	// the first has closed.
	var both [2]*Sandbox
	for i := range both {
		s, err := Start(Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		if err := s.Inject("proxy-down"); err != nil {
			t.Fatal(err)
		}
		both[i] = s
	}
	for name := range defaults() {
		if both[0].address(name) == both[1].address(name) {
			t.Errorf("%s listens twice on %s", name, both[0].address(name))
		}
	}
	for _, s := range both {
		if err := s.Clear("proxy-down"); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range both {
		s.mustDo(t, request{host: auth, method: "GET", path: "/health"})
	}
	for name, value := range both[0].Env() {
		if random := !strings.HasSuffix(name, "KID"); random && (len(value) < 20 || value == both[1].Env()[name]) {
			t.Errorf("%s is not random", name)
		}
	}
}

func TestInject_keepsThePort(t *testing.T) {
	s := start(t, Options{})
	address := s.address(proxy2)
	for range 3 {
		if err := s.Inject("replica-down"); err != nil {
			t.Fatal(err)
		}
		if _, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("expected a refused connection, got %v", err)
		}
		if err := s.Clear("replica-down"); err != nil {
			t.Fatal(err)
		}
		s.mustDo(t, request{host: proxy2, method: "GET", path: "/health"})
	}
	if s.address(proxy2) != address {
		t.Errorf("proxy-2 moved from %s to %s", address, s.address(proxy2))
	}
}

func TestInject_closesConnections(t *testing.T) {
	s := start(t, Options{})
	conn, err := net.Dial("tcp", s.address(proxy2))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := s.Inject("replica-down"); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("expected the connection cut, got %v", err)
	}
}

func TestClose_endsRequests(t *testing.T) {
	s := start(t, Options{Delay: time.Hour})
	for _, name := range []string{"health-hangs", "keys-slow", "auth-down"} {
		if err := s.Inject(name); err != nil {
			t.Fatal(err)
		}
	}
	var callers sync.WaitGroup
	for _, a := range []request{{host: proxy1, method: "GET", path: "/health"}, {host: onepass, method: "GET", path: "/up"}} {
		callers.Go(func() { _, _ = s.do(t.Context(), a) })
	}
	idle, err := net.Dial("tcp", s.address(memories))
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	s.Close()
	callers.Wait()
	s.Close()
	if err := s.Inject("up-500"); err == nil {
		t.Error("a stopped system could be broken")
	}
	if _, err := net.Dial("tcp", s.address(render)); err == nil {
		t.Error("a stopped system still listens")
	}
}

// Requests and fault injection from many goroutines: the race detector finds nothing, and no fault is left.
func TestSandbox_concurrent(t *testing.T) {
	s := start(t, Options{Delay: time.Millisecond})
	names := []string{"replica-down", "auth-down", "liveness-coupled", "up-refused", "up-500", "health-slow", "outbox-schema"}
	var all sync.WaitGroup
	for _, name := range names {
		all.Go(func() {
			for range 5 {
				if err := s.Inject(name); err != nil {
					t.Error(err)
				}
				s.Active()
				if err := s.Clear(name); err != nil {
					t.Error(err)
				}
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), answerTimeout)
	defer cancel()
	for _, a := range allRequests(t, s) {
		all.Go(func() {
			for range 5 {
				_, _ = s.do(ctx, a) // any outcome will do
			}
		})
	}
	all.Wait()
	if broken := s.Active(); len(broken) > 0 {
		t.Fatalf("expected no active faults, got %v", broken)
	}
	for _, a := range []request{{host: proxy2, method: "GET", path: "/ready"}, {host: onepass, method: "GET", path: "/up"}} {
		if answer := s.mustDo(t, a); answer.status != 200 {
			t.Errorf("%s %s: expected 200, got %d", a.host, a.path, answer.status)
		}
	}
}
