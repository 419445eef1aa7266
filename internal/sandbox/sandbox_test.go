package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"io"
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

// patience is how long a test waits for an answer that must come, on a machine as loaded as may be.
const patience = time.Minute

func start(t *testing.T, o Options) *Sandbox {
	t.Helper()
	o.Ephemeral = true
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// An ask is one request to a service.
type ask struct {
	host, method, path, token, body string
	header                          http.Header
	who                             string // asks, for the label; found out from the token if empty
}

// A reply as a caller sees it.
type got struct {
	status int
	header http.Header
	body   string
}

// do asks on a connection of its own.
func (s *Sandbox) do(ctx context.Context, a ask) (got, error) {
	request, err := http.NewRequestWithContext(ctx, a.method, s.host(a.host).url()+a.path, strings.NewReader(a.body))
	if err != nil {
		return got{}, err
	}
	for name, values := range a.header {
		request.Header[name] = values
	}
	if a.token != "" {
		request.Header.Set("Authorization", "Bearer "+a.token)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return got{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && len(body) == 1<<20 {
		err = errTooLarge
	}
	return got{response.StatusCode, response.Header, string(body)}, err
}

var errTooLarge = errors.New("over 1 MiB")

// must asks for an answer that has to come.
func (s *Sandbox) must(t *testing.T, a ask) got {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answer, err := s.do(ctx, a)
	if err != nil {
		t.Fatalf("%s %s %s: %v", a.host, a.method, a.path, err)
	}
	return answer
}

func (g got) json(t *testing.T) object {
	t.Helper()
	var o object
	if err := json.Unmarshal([]byte(g.body), &o); err != nil {
		t.Fatalf("not a JSON object: %q", g.body)
	}
	return o
}

func TestAnswersCarryTheMarksOfTheirService(t *testing.T) {
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
		answer := s.must(t, ask{host: c.host, method: "GET", path: c.path, header: c.header})
		for name, want := range c.want {
			if got := answer.header.Get(name); got != want {
				t.Errorf("%s %s: wanted %s %q, got %q", c.host, c.path, name, want, got)
			}
		}
	}
	if id := s.must(t, ask{host: onepass, method: "GET", path: "/up"}).header.Get("X-Request-Id"); len(id) < 16 {
		t.Errorf("wanted a request id without a trace too, got %q", id)
	}
}

func TestTheDefaultAddressesAreThoseOfTheDemo(t *testing.T) {
	yaml, err := os.ReadFile(filepath.Join("..", "..", "config", "demo.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, address := range defaults() {
		if !strings.Contains(string(yaml), address) {
			t.Errorf("demo.yaml never asks %s at %s", name, address)
		}
	}
	s := start(t, Options{})
	local := string(s.RewriteAddresses(yaml))
	if left := regexp.MustCompile(`127\.0\.0\.1:19\d\d\d\b`).FindString(local); left != "" {
		t.Errorf("%s is left as it was", left)
	}
	for _, h := range s.hosts {
		if !strings.Contains(local, h.address) {
			t.Errorf("the address of %s does not occur", h.name)
		}
	}
	for _, name := range regexp.MustCompile(`PROBER_DEMO_\w+`).FindAllString(local, -1) {
		if s.Env()[name] == "" {
			t.Errorf("demo.yaml names %s, which Env does not give", name)
		}
	}
	if strings.Count(local, "\n") != strings.Count(string(yaml), "\n") {
		t.Error("the lines of the configuration moved")
	}
}

func TestTwoSandboxesRunBesideEachOther(t *testing.T) {
	// Whether the default ports are free here or not, the second sandbox finds them taken: also those that a fault of
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
		s.must(t, ask{host: auth, method: "GET", path: "/health"})
	}
	for name, value := range both[0].Env() {
		if random := !strings.HasSuffix(name, "KID"); random && (len(value) < 20 || value == both[1].Env()[name]) {
			t.Errorf("%s is not random", name)
		}
	}
}

func TestAPortIsKeptWhileItsServiceIsBroken(t *testing.T) {
	s := start(t, Options{})
	address := s.address(proxy2)
	for range 3 {
		if err := s.Inject("replica-down"); err != nil {
			t.Fatal(err)
		}
		if _, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("wanted a refused connection, got %v", err)
		}
		if err := s.Clear("replica-down"); err != nil {
			t.Fatal(err)
		}
		s.must(t, ask{host: proxy2, method: "GET", path: "/health"})
	}
	if s.address(proxy2) != address {
		t.Errorf("proxy-2 moved from %s to %s", address, s.address(proxy2))
	}
}

func TestBreakingEndsOpenConnections(t *testing.T) {
	s := start(t, Options{})
	conn, err := net.Dial("tcp", s.address(proxy2))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := s.Inject("replica-down"); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("wanted the connection cut, got %v", err)
	}
}

func TestCloseEndsWhateverIsUnderWay(t *testing.T) {
	s := start(t, Options{Delay: time.Hour})
	for _, name := range []string{"health-hangs", "keys-slow", "auth-down"} {
		if err := s.Inject(name); err != nil {
			t.Fatal(err)
		}
	}
	var callers sync.WaitGroup
	for _, a := range []ask{{host: proxy1, method: "GET", path: "/health"}, {host: onepass, method: "GET", path: "/up"}} {
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

// Requests and switches from many goroutines at once; the race detector judges, and in the end all is well.
func TestManyAtOnce(t *testing.T) {
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
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, a := range battery(s) {
		all.Go(func() {
			for range 5 {
				_, _ = s.do(ctx, a) // any outcome will do
			}
		})
	}
	all.Wait()
	if broken := s.Active(); len(broken) > 0 {
		t.Fatalf("wanted nothing broken, got %v", broken)
	}
	for _, a := range []ask{{host: proxy2, method: "GET", path: "/ready"}, {host: onepass, method: "GET", path: "/up"}} {
		if answer := s.must(t, a); answer.status != 200 {
			t.Errorf("%s %s: wanted 200, got %d", a.host, a.path, answer.status)
		}
	}
}
