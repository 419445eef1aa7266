package sandbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// battery is one request to everything that the services serve, and some to what they do not.
func battery(s *Sandbox) []ask {
	e := s.Env()
	var asks []ask
	add := func(host, method, path, token string) {
		asks = append(asks, ask{host: host, method: method, path: path, token: token})
	}
	add(auth, "GET", "/health", "")
	add(auth, "GET", "/.well-known/jwks.json", "")
	add(auth, "GET", "/.well-known/openid-configuration", "")
	add(auth, "POST", "/oauth/token", "")
	add(auth, "GET", "/nothing", "")
	for _, proxy := range []string{proxy1, proxy2, proxy3} {
		add(proxy, "GET", "/health", "")
		add(proxy, "GET", "/ready", "")
		add(proxy, "GET", "/login", "")
		add(proxy, "GET", "/health-nothing", "")
		add(proxy, "POST", "/v1/chat/completions", e["PROBER_DEMO_ORG_A"])
		add(proxy, "POST", "/v1/chat/completions", "")
	}
	add(memories, "GET", "/v1/whoami", e["PROBER_DEMO_ORG_A"])
	add(memories, "GET", "/v1/whoami", e["PROBER_DEMO_ORG_B"])
	add(memories, "GET", "/v1/whoami", "")
	add(memories, "GET", "/v1/memories", e["PROBER_DEMO_ORG_A"])
	add(onepass, "GET", "/up", "")
	add(onepass, "GET", "/up-nothing", "")
	add(onepass, "GET", "/maintenance", "")
	add(onepass, "GET", "/.well-known/jwks.json", "")
	add(onepass, "GET", "/.well-known/openid-configuration", "")
	add(onepass, "GET", "/api/v1/me", e["PROBER_DEMO_ADMIN"])
	add(onepass, "GET", "/api/v1/me", "")
	add(onepass, "GET", "/api/v1/admin/webhook_outbox?status=dead", e["PROBER_DEMO_ADMIN"])
	add(onepass, "GET", "/api/v1/admin/webhook_outbox?status=dead", "")
	add(onepass, "GET", "/api/v1/admin/webhook_outbox?status=dead", "anybodys-token")
	add(render, "GET", "/v1/services/srv-demo", e["PROBER_DEMO_RENDER_KEY"])
	add(render, "GET", "/v1/services/srv-demo", "")
	add(render, "GET", "/v1/services/srv-other", e["PROBER_DEMO_RENDER_KEY"])
	add(render, "GET", "/v1/services/srv-demo/deploys?limit=5", e["PROBER_DEMO_RENDER_KEY"])
	return asks
}

// label names a request of the battery.
func (s *Sandbox) label(a ask) string {
	who := "nobody"
	if a.token != "" {
		who = "anybody"
	}
	for name, value := range s.Env() {
		if value == a.token {
			who = strings.ToLower(strings.TrimPrefix(name, "PROBER_DEMO_"))
		}
	}
	return fmt.Sprintf("%s %s %s as %s", a.host, a.method, a.path, who)
}

// outcomes asks the battery and tells what came of each request. What waits is given little time; the others have
// as much as they need.
func outcomes(t *testing.T, s *Sandbox, waits func(ask) bool) map[string]string {
	t.Helper()
	var mu sync.Mutex
	out := map[string]string{}
	var all sync.WaitGroup
	for _, a := range battery(s) {
		all.Go(func() {
			limit := patience
			if waits(a) {
				limit = 50 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			answer, err := s.do(ctx, a)
			mu.Lock()
			defer mu.Unlock()
			out[s.label(a)] = s.describe(answer, err)
		})
	}
	all.Wait()
	return out
}

// unsettled matches what differs from one start to the next.
var unsettled = regexp.MustCompile(`"(x|y|n|kid|id|cursor|createdAt|dlq_at)":"[^"]{15,}"`)

// describe tells what a caller sees, without what differs from one start to the next.
func (s *Sandbox) describe(answer got, err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer"
	case errors.Is(err, errTooLarge):
		return fmt.Sprintf("%d, too large", answer.status)
	case err != nil && answer.status != 0:
		return fmt.Sprintf("%d, cut off", answer.status)
	case err != nil:
		return "not HTTP"
	}
	words := []string{fmt.Sprint(answer.status)}
	for _, name := range []string{"X-Instance", "X-Version", "Age", "X-Cache", "Location", "Retry-After", "Www-Authenticate"} {
		if value := answer.header.Get(name); value != "" {
			words = append(words, name+"="+value)
		}
	}
	kind, _, _ := strings.Cut(answer.header.Get("Content-Type"), ";")
	body := unsettled.ReplaceAllString(strings.TrimSpace(answer.body), `"$1":"…"`)
	for name := range defaults() {
		body = strings.ReplaceAll(body, s.address(name), name)
	}
	return strings.Join(append(words, kind, body), " ")
}

// waits tells which requests a fault leaves without an answer.
func waits(fault string) func(ask) bool {
	path := map[string]string{"health-hangs": "/health", "health-slow": "/health", "up-hangs": "/up", "keys-slow": "/.well-known/jwks.json", "api-slow": "/api/v1/me"}[fault]
	return func(a ask) bool { return a.path == path && a.host != auth }
}

func nothingWaits(ask) bool { return false }

// changes lists what differs from how things are when nothing is broken, a line for each; a host that refuses every
// connection is one line.
func changes(whole, broken map[string]string) []string {
	refusing := map[string]bool{}
	for label, outcome := range broken {
		host, _, _ := strings.Cut(label, " ")
		if was, seen := refusing[host]; !seen || was {
			refusing[host] = outcome == "refused"
		}
	}
	var lines []string
	for _, label := range slices.Sorted(maps.Keys(whole)) {
		host, _, _ := strings.Cut(label, " ")
		switch {
		case refusing[host]:
			lines = append(lines, host+" refuses connections")
		case whole[label] != broken[label]:
			lines = append(lines, label+"\n      "+broken[label])
		}
	}
	return slices.Compact(lines)
}

// Every fault does what it says and nothing beside, and mending it leaves no trace. The golden file shows every
// request as it is answered by a whole system, and below each fault those that are then answered otherwise.
func TestFaults(t *testing.T) {
	s := start(t, Options{SlowBy: time.Hour})
	whole := outcomes(t, s, nothingWaits)
	var b strings.Builder
	fmt.Fprintln(&b, "nothing broken")
	for _, label := range slices.Sorted(maps.Keys(whole)) {
		fmt.Fprintf(&b, "   %s\n      %s\n", label, whole[label])
	}
	for _, f := range s.Faults() {
		if ofTenants(f) {
			continue // TestTenantFaults tells their stories
		}
		if err := s.Break(f.Name); err != nil {
			t.Fatal(err)
		}
		changed := changes(whole, outcomes(t, s, waits(f.Name)))
		if err := s.Mend(f.Name); err != nil {
			t.Fatal(err)
		}
		if len(changed) == 0 {
			t.Errorf("%s: nobody can see it", f.Name)
		}
		if left := changes(whole, outcomes(t, s, nothingWaits)); left != nil {
			t.Errorf("%s: mended, and still\n%s", f.Name, strings.Join(left, "\n"))
		}
		fmt.Fprintf(&b, "\n%s: %s\n", f.Name, f.Summary)
		for _, line := range changed {
			fmt.Fprintf(&b, "   %s\n", line)
		}
	}
	golden(t, "testdata/faults.golden", b.String())
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wanted, lines := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range max(len(wanted), len(lines)) {
		w, g := "(end)", "(end)"
		if i < len(wanted) {
			w = wanted[i]
		}
		if i < len(lines) {
			g = lines[i]
		}
		if w != g {
			t.Fatalf("%s:%d: (run with -update to accept)\nwanted %s\ngot    %s", path, i+1, w, g)
		}
	}
}

func TestFaultsOfDifferentPartsAddUp(t *testing.T) {
	s := start(t, Options{SlowBy: time.Hour})
	whole := outcomes(t, s, nothingWaits)
	for _, together := range [][]string{
		{"replica-down", "up-500", "deploy-failed"},
		{"auth-down", "outbox-schema", "me-500", "health-cached"},
		{"proxy-down", "endpoint-500", "up-garbage", "render-suspended", "deploys-empty"},
	} {
		var want []string
		for _, name := range together {
			s.MendAll()
			if err := s.Break(name); err != nil {
				t.Fatal(err)
			}
			want = append(want, changes(whole, outcomes(t, s, nothingWaits))...)
		}
		for _, name := range together {
			if err := s.Break(name); err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(want)
		if got := changes(whole, outcomes(t, s, nothingWaits)); !slices.Equal(got, want) {
			t.Errorf("%v: wanted\n%s\ngot\n%s", together, strings.Join(want, "\n"), strings.Join(got, "\n"))
		}
		s.MendAll()
		if left := changes(whole, outcomes(t, s, nothingWaits)); left != nil {
			t.Errorf("%v: all mended, and still\n%s", together, strings.Join(left, "\n"))
		}
	}
}

func TestAHostRefusesUntilTheLastFaultThatClosesItIsMended(t *testing.T) {
	s := start(t, Options{})
	for _, name := range []string{"proxy-down", "replica-down"} {
		if err := s.Break(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Mend("proxy-down"); err != nil {
		t.Fatal(err)
	}
	s.must(t, ask{host: proxy1, method: "GET", path: "/health"})
	if _, err := s.do(t.Context(), ask{host: proxy2, method: "GET", path: "/health"}); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("wanted proxy-2 still refusing, got %v", err)
	}
}

func TestTwoFaultsOfOneRoute(t *testing.T) {
	s := start(t, Options{SlowBy: time.Millisecond})
	for _, name := range []string{"me-500", "api-slow"} {
		if err := s.Break(name); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	if answer := s.must(t, ask{host: onepass, method: "GET", path: "/api/v1/me"}); answer.status != 500 {
		t.Errorf("wanted a slow 500, got %d", answer.status)
	}
	if took := time.Since(began); took < time.Millisecond {
		t.Errorf("wanted a slow 500, it took %s", took)
	}
}

func TestSlowAnswersAreRightAnswers(t *testing.T) {
	const slow = 30 * time.Millisecond
	s := start(t, Options{SlowBy: slow})
	admin := s.Env()["PROBER_DEMO_ADMIN"]
	for name, a := range map[string]ask{
		"health-slow": {host: proxy1, method: "GET", path: "/health"},
		"keys-slow":   {host: onepass, method: "GET", path: "/.well-known/jwks.json"},
		"api-slow":    {host: onepass, method: "GET", path: "/api/v1/me", token: admin},
	} {
		before := s.must(t, a)
		if err := s.Break(name); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		after := s.must(t, a)
		if took := time.Since(began); took < slow {
			t.Errorf("%s: took %s, less than %s", name, took, slow)
		}
		if after.status != before.status || after.body != before.body {
			t.Errorf("%s: wanted %d %s, got %d %s", name, before.status, before.body, after.status, after.body)
		}
	}
}

// A misspelt host or route in the table would make an effect that never works.
func TestTheTableNamesWhatThereIs(t *testing.T) {
	s := start(t, Options{})
	seen := map[string]bool{}
	for _, f := range s.Faults() {
		if seen[f.Name] {
			t.Errorf("%s is listed twice", f.Name)
		}
		seen[f.Name] = true
		if f.Summary == "" || f.Signal == "" || len(f.effects) == 0 {
			t.Errorf("%s lacks a summary, a signal or an effect", f.Name)
		}
		for _, e := range f.effects {
			for _, name := range e.hosts {
				if s.host(name).routes[e.route] == nil && e.route != "" {
					t.Errorf("%s: %s has no route %q", f.Name, name, e.route)
				}
			}
		}
	}
}

func TestBreakingWhatIsBrokenAndMendingWhatIsWhole(t *testing.T) {
	s := start(t, Options{})
	for _, turn := range []struct {
		turn func(string) error
		name string
		want []string
	}{
		{s.Break, "up-500", []string{"up-500"}},
		{s.Break, "proxy-down", []string{"proxy-down", "up-500"}}, // in the order of the table
		{s.Break, "proxy-down", []string{"proxy-down", "up-500"}},
		{s.Mend, "replica-down", []string{"proxy-down", "up-500"}},
		{s.Mend, "up-500", []string{"proxy-down"}},
		{s.Mend, "proxy-down", []string{}},
		{s.Mend, "proxy-down", []string{}},
	} {
		if err := turn.turn(turn.name); err != nil {
			t.Fatal(err)
		}
		if got := s.Broken(); !slices.Equal(got, turn.want) {
			t.Errorf("after %s: wanted %v, got %v", turn.name, turn.want, got)
		}
	}
}

func TestUnknownFaults(t *testing.T) {
	s := start(t, Options{})
	for name, want := range map[string]string{
		"proxy-donw":              `no fault is called "proxy-donw"; did you mean proxy-down?`,
		"up500":                   `no fault is called "up500"; did you mean up-500?`,
		"":                        `no fault is called ""`,
		"zzzzzzzzzzz":             `no fault is called "zzzzzzzzzzz"`,
		strings.Repeat("q", 1000): `no fault is called "` + strings.Repeat("q", 64) + `"`,
	} {
		for _, turn := range []func(string) error{s.Break, s.Mend} {
			if err := turn(name); err == nil || err.Error() != want {
				t.Errorf("wanted %s, got %v", want, err)
			}
		}
	}
}
