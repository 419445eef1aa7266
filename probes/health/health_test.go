package health

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
	"prober/probes/internal/replicas"
)

// TestStates checks the state table: liveness, readiness, dependency before and after.
func TestStates(t *testing.T) {
	a := func(k response) answer { return answer{response: k} }
	for _, c := range []struct {
		live, ready   response
		before, after dependency
		want          string
	}{
		{respOK, respOK, depUp, depUp, "serving"},
		{respOK, respOK, depUnknown, depUnknown, "serving_unverified"},
		{respOK, respOK, depUp, depUnknown, "serving_unverified"},
		{respOK, respOK, depUnknown, depUp, "serving_unverified"},
		{respOK, respOK, depBroken, depUnknown, "serving_unverified"},
		{respOK, respUnavailable, depUnknown, depBroken, "not_ready"},
		{respUnexpected, respOK, depUp, depUp, "unexpected_status"},
		{respOK, respUnexpected, depUp, depUp, "unexpected_status"},
		{respNone, respUnexpected, depUp, depUp, "down"},
		{respError, respUnexpected, depBroken, depBroken, "liveness_coupled"},
		{respOK, respUnavailable, depUnreachable, depUnreachable, "degraded_by_dependency"},
		{respOK, respUnavailable, depBroken, depUnreachable, "degraded_by_dependency"},
		{respOK, respUnavailable, depUp, depUp, "not_ready"},
		{respOK, respUnavailable, depUnknown, depUnknown, "not_ready"},
		{respOK, respOK, depBroken, depBroken, "ready_despite_dependency_down"},
		{respOK, respError, depUp, depUp, "ready_error"},
		{respOK, respNone, depUp, depUp, "ready_error"},
		{respError, respUnavailable, depBroken, depBroken, "liveness_coupled"},
		{respNone, respUnavailable, depUnreachable, depUnreachable, "liveness_coupled"},
		{respUnavailable, respUnavailable, depUnreachable, depUnreachable, "liveness_coupled"},
		{respError, respError, depUnreachable, depUnreachable, "liveness_coupled"},
		{respError, respOK, depUp, depUp, "inverted"},
		{respNone, respOK, depBroken, depBroken, "inverted"},
		{respError, respError, depUp, depUp, "down"},
		{respNone, respNone, depUp, depUp, "down"},
		{respNone, respNone, depUnknown, depUnknown, "down"},
		{respNone, respNone, depUnreachable, depUnreachable, "region_down"},
		{respForeign, respOK, depUp, depUp, "wrong_route"},
		{respOK, respForeign, depUp, depUp, "wrong_route"},
		{respCached, respOK, depUp, depUp, "cached"},
		{respOK, respCached, depUnreachable, depUnreachable, "cached"},
		{respUnknown, respOK, depUp, depUp, "unknown"},
		{respOK, respOK, depUp, depBroken, "race"},
		{respOK, respUnavailable, depUnreachable, depUp, "race"},
		{respOK, respUnavailable, depUnknown, depUp, "not_ready"},
	} {
		if got := evaluate(a(c.live), a(c.ready), c.before, c.after); got.Name != c.want {
			t.Errorf("live %d, ready %d, dependency %d then %d: got %s, want %s", c.live, c.ready, c.before, c.after, got.Name, c.want)
		}
	}
	if got := evaluate(answer{response: respOK, slow: true}, a(respOK), depUp, depUp); got.Name != "slow" {
		t.Errorf("slow: got %s", got.Name)
	}
}

// TestStates_passOnlyWhenServing checks that no state passes every check except a serving one.
func TestStates_passOnlyWhenServing(t *testing.T) {
	names := map[string]bool{}
	for _, s := range states {
		if names[s.Name] {
			t.Errorf("%s is listed twice", s.Name)
		}
		names[s.Name] = true
		passes := (s.Serving == holds || s.Serving == notApplicable) && (s.Split == holds || s.Split == notApplicable)
		if passes != (s.Name == "serving" || s.Name == "slow") {
			t.Errorf("%s: passes is %t", s.Name, passes)
		}
		if !passes && s.Reason.Word == "" {
			t.Errorf("%s does not say why", s.Name)
		}
	}
}

// world is a service with a dependency, both of which a test can break.
type world struct {
	live, ready, dependency int
	other                   int // the status of every other path; 404 if zero
	html                    bool
	instance                string
	age                     string        // that a cache says the pages have
	breaks                  bool          // the dependency, once it has answered
	bearer                  secret.Secret // that the service asks for
}

func (w *world) start(t *testing.T) (address, dependency string) {
	t.Helper()
	service := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, q *http.Request) {
		out.Header().Set("X-Instance", w.instance)
		if w.age != "" {
			out.Header().Set("Age", w.age)
		}
		out.Header().Set("Content-Type", "application/json")
		body := ""
		if w.html {
			body = "<!DOCTYPE html><title>Welcome</title>"
			out.Header().Set("Content-Type", "text/html; charset=utf-8")
		}
		switch q.URL.Path {
		case "/health":
			out.WriteHeader(w.live)
			fmt.Fprint(out, body)
		case "/ready":
			out.WriteHeader(w.ready)
			fmt.Fprint(out, body)
		default:
			out.WriteHeader(cmp.Or(w.other, 404))
		}
	}))
	t.Cleanup(service.Close)
	var asked atomic.Bool
	dep := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		if asked.Swap(true) && w.breaks {
			out.WriteHeader(500)
			return
		}
		out.WriteHeader(w.dependency)
	}))
	t.Cleanup(dep.Close)
	return strings.TrimPrefix(service.URL, "http://"), dep.URL
}

// probe starts the service and returns a probe of it.
func (w *world) probe(t *testing.T) *Probe {
	t.Helper()
	address, dependency := w.start(t)
	h := New()
	h.Replicas = replicas.Replicas{Static: []string{address}, Want: 1}
	h.Dependency.URL = dependency + "/health"
	return h
}

func TestHealth_split(t *testing.T) {
	for name, c := range map[string]struct {
		world world
		want  []string // after "@ADDR" is put for the replica
	}{
		"healthy": {world{live: 200, ready: 200, dependency: 200}, []string{
			"pass",
			"live@ADDR pass(ok): /health answers 200",
			"split@ADDR pass(ok): live and ready",
			"serving@ADDR pass(ok): live and ready",
			"catch_all@ADDR pass(ok): a nonexistent path is answered differently (404)",
			"replicas pass(ok): expected 1 replica, found 1, of which 1 live",
		}},
		"the dependency is down and the split is right": {world{live: 200, ready: 503, dependency: 500}, []string{
			"fail",
			"live@ADDR pass(ok): /health answers 200",
			"split@ADDR pass(ok): live and correctly not ready, because its dependency is down; restarting it will not help (/health: got 200; /ready: got 503)",
			"serving@ADDR fail(degraded_by_dependency): live and correctly not ready, because its dependency is down; restarting it will not help (/health: got 200; /ready: got 503)",
			"catch_all@ADDR pass(ok): a nonexistent path is answered differently (404)",
			"replicas pass(ok): expected 1 replica, found 1, of which 1 live",
		}},
		"liveness hangs on the dependency": {world{live: 503, ready: 503, dependency: 500}, []string{
			"fail",
			"live@ADDR fail(status): expected 200 from /health, got 503",
			"split@ADDR fail(liveness_coupled): not live because its dependency is down*",
			"serving@ADDR fail(liveness_coupled): *",
			"replicas fail(replicas): expected 1 replica, found 1, of which 0 live",
		}},
		"an ingress's page": {world{live: 200, ready: 200, dependency: 200, html: true}, []string{
			"fail",
			"live@ADDR fail(body): expected 200 from /health, got 200, not from the service itself: it is an HTML page, and neither marker nor expect says otherwise",
			"serving@ADDR fail(wrong_route): *",
			"replicas fail(replicas): expected 1 replica, found 1, of which 0 live",
		}},
		"the answers come out of a cache": {world{live: 200, ready: 200, dependency: 200, age: "30"}, []string{
			"inconclusive",
			"live@ADDR inconclusive(stale_or_cached): /health: the answer may come out of a cache (Age: 30), which proves nothing about the origin",
			"split@ADDR inconclusive(stale_or_cached): the answers may come out of a cache, which says nothing about the process *",
			"serving@ADDR inconclusive(stale_or_cached): *",
			"replicas inconclusive(control_failed): expected 1 replica, found 1, of which 0 live; 1 inconclusive",
		}},
		"the dependency breaks during the run": {world{live: 200, ready: 200, dependency: 200, breaks: true}, []string{
			"inconclusive",
			"live@ADDR pass(ok): /health answers 200",
			"split@ADDR inconclusive(race): its dependency changed during the run (/health: got 200; /ready: got 200)",
			"serving@ADDR inconclusive(race): *",
			"catch_all@ADDR pass(ok): *",
			"replicas pass(ok): *",
		}},
		"the prober has no credential to ask with": {world{live: 200, ready: 200, dependency: 200, bearer: secret.Env("TEST_HEALTH_UNSET")}, []string{
			"inconclusive",
			"live@ADDR inconclusive(credential): *",
			"split@ADDR inconclusive(control_failed): could not be asked (/health: *",
			"serving@ADDR inconclusive(control_failed): could not be asked *",
			"replicas inconclusive(control_failed): expected 1 replica, found 1, of which 0 live; 1 inconclusive",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			address, dependency := c.world.start(t)
			h := New()
			h.Replicas = replicas.Replicas{Static: []string{address}, Want: 1}
			h.Dependency.URL = dependency + "/health"
			h.Bearer = c.world.bearer
			var want []string
			for _, line := range c.want {
				want = append(want, strings.ReplaceAll(line, "@ADDR", "@"+address))
			}
			probetest.WantLines(t, probetest.Run(t, Kind(), h), want...)
		})
	}
}

// TestHealth_decidingExchange checks that each check names the request that its verdict rests on.
func TestHealth_decidingExchange(t *testing.T) {
	for live, decides := range map[int]string{200: "/ready", 503: "/health"} {
		var mu sync.Mutex
		sent := map[string]string{} // the path of each trace
		server := serve(t, http.HandlerFunc(func(out http.ResponseWriter, q *http.Request) {
			mu.Lock()
			sent[strings.Split(q.Header.Get("Traceparent"), "-")[1]] = q.URL.Path
			mu.Unlock()
			out.WriteHeader(cmp.Or(map[string]int{"/health": live, "/ready": 503, "/up": 500}[q.URL.Path], 404))
		}))
		h := New()
		h.Service = server
		h.Replicas = replicas.Replicas{Static: []string{strings.TrimPrefix(server, "http://")}, Want: 1}
		h.Dependency.URL = server + "/up"
		r := probetest.Run(t, Kind(), h)
		for _, c := range r.Checks {
			want, known := map[string]string{"live": "/health", "split": decides, "serving": decides}[c.Name]
			if got := sent[c.TraceID]; known && got != want {
				t.Errorf("/health answers %d: %s rests on %q, expected %s", live, c.Name, got, want)
			}
		}
	}
}

// TestClassify_statuses checks what a status means that the settings do not mention.
func TestClassify_statuses(t *testing.T) {
	h := New()
	for status, want := range map[int]response{
		201: respUnexpected, 299: respUnexpected, 300: respForeign, 399: respForeign, 400: respForeign, 401: respForeign, 404: respForeign,
		428: respForeign, 503: respUnavailable, 429: respUnexpected, 430: respForeign, 499: respForeign, 500: respError, 599: respError,
	} {
		var a httpx.Answer
		a.Reason, a.Status = probe.OK, status
		if got := h.classify(&a, h.Live.page()); got.response != want {
			t.Errorf("%d: got class %d, expected %d", status, got.response, want)
		}
	}
	for why, want := range map[probe.Reason]response{probe.Refused: respNone, probe.Reset: respNone, probe.SelfLimit: respUnknown, probe.Cancelled: respUnknown} {
		for _, status := range []int{0, 200, 503} { // of an answer that was cut short
			var a httpx.Answer
			a.Reason, a.Status = why, status
			if got := h.classify(&a, h.Live.page()); got.response != want {
				t.Errorf("%s after %d: got class %d, expected %d", why, status, got.response, want)
			}
		}
	}
}

// TestClassify_slow checks that an answer is slow only beyond the expected latency.
func TestClassify_slow(t *testing.T) {
	h := New()
	h.Latency = new(probe.Duration)
	*h.Latency = probe.Duration(time.Second)
	for took, want := range map[time.Duration]bool{time.Second - 1: false, time.Second: false, time.Second + 1: true} {
		var a httpx.Answer
		a.Reason, a.Status, a.Took = probe.OK, 200, took
		if got := h.classify(&a, h.Live.page()); got.response != respOK || got.slow != want {
			t.Errorf("%s: slow is %t, expected %t", took, got.slow, want)
		}
	}
}

// TestStateReasons checks that the kind declares the reasons of its states, and no common one for its own.
func TestStateReasons(t *testing.T) {
	var got []string
	for _, why := range stateReasons() {
		got = append(got, why.Word)
	}
	want := []string{"degraded_by_dependency", "not_ready", "ready_error", "ready_despite_dependency_down", "liveness_coupled", "inverted",
		"down", "region_down", "wrong_route", "unexpected_status", "race"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, expected %v", got, want)
	}
}

// TestNotReady_dependencyUnknown checks that nothing is said of a dependency of which nothing is known, or that there is none of.
func TestNotReady_dependencyUnknown(t *testing.T) {
	for status, want := range map[int]string{
		200: "split@ADDR pass(ok): live and not ready, and its dependency is not the reason: *",
		404: "split@ADDR inconclusive(control_failed): live and not ready, and whether its dependency is the reason is unknown: *",
		429: "split@ADDR inconclusive(control_failed): live and not ready, and whether its dependency is the reason is unknown: *",
		0:   "",
	} {
		h := (&world{live: 200, ready: 503, dependency: status}).probe(t)
		if status == 0 {
			h.Dependency.URL = ""
		}
		r := probetest.Run(t, Kind(), h)
		at := "@" + h.Replicas.Static[0]
		_, why, _ := strings.Cut(want, ": ")
		lines := []string{"fail", "live" + at + " pass(ok): *", strings.Replace(want, "@ADDR", at, 1),
			"serving" + at + " fail(not_ready): " + cmp.Or(why, "live and not ready, and whether its dependency is the reason is unknown: *"),
			"catch_all" + at + " pass(ok): *", "replicas pass(ok): *"}
		probetest.WantLines(t, r, slices.DeleteFunc(lines, func(line string) bool { return line == "" })...)
	}
}

// TestDependency_ownHost checks that the dependency is not asked under the Host of the service.
func TestDependency_ownHost(t *testing.T) {
	var host, authorization string
	dep := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		host, authorization = q.Host, q.Header.Get("Authorization")
	}))
	defer dep.Close()
	w := &world{live: 200, ready: 200}
	address, _ := w.start(t)
	t.Setenv("TEST_HEALTH_TOKEN", "token-of-the-service")
	h := New()
	h.Replicas = replicas.Replicas{Static: []string{address}, Want: 1}
	h.Dependency.URL = dep.URL
	h.Headers = map[string]httpx.Value{"Host": {Text: "service.example"}}
	h.Bearer = secret.Env("TEST_HEALTH_TOKEN")
	if got := probetest.Run(t, Kind(), h).Verdict(); got != probe.Pass || host != strings.TrimPrefix(dep.URL, "http://") || authorization != "" {
		t.Errorf("got %s; the dependency was asked as %q with %q", got, host, authorization)
	}
}

// TestHealth_rateLimited checks that a 429 is inconclusive only where it may be due to the prober's own rate or credential.
func TestHealth_rateLimited(t *testing.T) {
	t.Setenv("TEST_HEALTH_TOKEN", "token-of-the-service")
	for name, c := range map[string]struct {
		after      string
		credential bool
		want       string
	}{
		"a bare 429":       {"", false, "live@ADDR fail(status): expected 200 from /health, got 429"},
		"with Retry-After": {"30", false, "live@ADDR inconclusive(rate_limited): "},
		"for a credential": {"", true, "live@ADDR inconclusive(rate_limited): "},
		"with garbage":     {"tomorrow", false, "live@ADDR fail(status): "},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if c.after != "" {
					w.Header().Set("Retry-After", c.after)
				}
				w.WriteHeader(429)
			}))
			h := New()
			h.Service = server
			h.Replicas = replicas.Replicas{Static: []string{strings.TrimPrefix(server, "http://")}, Want: 1}
			if c.credential {
				h.Bearer = secret.Env("TEST_HEALTH_TOKEN")
			}
			want := strings.ReplaceAll(c.want, "@ADDR", "@"+h.Replicas.Static[0])
			if got := probetest.Lines(probetest.Run(t, Kind(), h)); !strings.Contains(got, want) {
				t.Errorf("got\n%swant %s", got, want)
			}
		})
	}
}

func TestReplicas_count(t *testing.T) {
	up := func(instance string) string {
		w := &world{live: 200, ready: 200, instance: instance}
		address, _ := w.start(t)
		return address
	}
	const gone = "127.0.0.1:1" // a port just closed might be somebody else's by now
	one, two, twin, nameless := up("one"), up("two"), up("one"), up("")
	for name, c := range map[string]struct {
		addresses []string
		want      string
		distinct  float64
	}{
		"all there":              {[]string{one, two}, "replicas pass(ok): expected 2 replicas, found 2, of which 2 live", 2},
		"one is dead":            {[]string{one, gone}, "replicas fail(replicas): expected 2 replicas, found 2, of which 1 live", 1},
		"one is seen twice":      {[]string{one, twin}, "replicas fail(replicas): expected 2 replicas, found 2, of which 2 live, but only 1 different instance among them", 1},
		"one does not say which": {[]string{one, nameless}, "replicas fail(replicas): expected 2 replicas, found 2, of which 2 live, but not all of them say which instance they are", 2},
	} {
		t.Run(name, func(t *testing.T) {
			h := New()
			h.Replicas = replicas.Replicas{Static: c.addresses, Want: 2}
			h.Instance = &httpx.Source{Header: "X-Instance"}
			r := probetest.Run(t, Kind(), h)
			if got := probetest.Lines(r); !strings.Contains(got, c.want+"\n") {
				t.Errorf("got\n%swant the line\n%s", got, c.want)
			}
			live := 2.0
			if slices.Contains(c.addresses, gone) {
				live = 1
			}
			wantSample(t, r, replicasHealthy, live)
			wantSample(t, r, replicasDistinct, c.distinct)
			h.Instance = nil
			wantSample(t, probetest.Run(t, Kind(), h), replicasDistinct, -1)
		})
	}
}

// wantSample compares the value of a measure of the whole; -1 for one that is absent.
func wantSample(t *testing.T, r probe.Result, m *probe.Measure, want float64) {
	t.Helper()
	got := -1.0
	for _, s := range r.Samples {
		if s.Measure == m {
			got = s.Value
		}
	}
	if got != want {
		t.Errorf("%s is %v, expected %v", m.Name, got, want)
	}
}

// No connection is left open. The 404 of the catch-all check is no error of the target.
func TestClose(t *testing.T) {
	answer := func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path != "/health" && q.URL.Path != "/ready" {
			http.NotFound(w, q)
		}
	}
	service, open := testenv.ServeCounted(t, answer)
	h := New()
	h.Service, h.Connection = service, "reuse"
	r := probetest.Run(t, Kind(), h)
	if r.Verdict() != probe.Pass {
		t.Fatalf("got\n%s", probetest.Lines(r))
	}
	for _, x := range r.Exchanges {
		if !x.Expected {
			t.Errorf("the answer %d for %s counts as an error", x.Status, x.Check)
		}
	}
	testenv.WantClosed(t, h, 1, open)
}

// What is no mistake: no grace, and a page without a body of which none is expected. No dependency is asked if there is none.
func TestValidate_accepts(t *testing.T) {
	h := New()
	h.Service = serve(t, http.NotFoundHandler())
	h.UnreadyGrace, h.Live.Status = 0, httpx.Codes(204)
	for _, x := range probetest.Run(t, Kind(), h).Exchanges {
		if x.Check == "dependency" {
			t.Errorf("asked %s", x.URL)
		}
	}
}

func TestValidate_replicasWant(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Probe)
		want   string
	}{
		"expected service or replicas": {func(*Probe) {}, "expected service or replicas"},
		"no number":                    {func(h *Probe) { h.Replicas.Static = []string{"127.0.0.1:1"} }, "replicas.want: expected 1 to 100, got 0"},
		"more than are listed":         {func(h *Probe) { h.Replicas = replicas.Replicas{Static: []string{"127.0.0.1:1"}, Want: 2} }, "replicas.want: expected at most the 1 listed"},
		"listed twice": {func(h *Probe) {
			h.Replicas = replicas.Replicas{Static: []string{"127.0.0.1:1", "127.0.0.1:1"}, Want: 2}
		}, "listed twice"},
		"a name as address": {func(h *Probe) { h.Replicas = replicas.Replicas{Static: []string{"localhost:1"}, Want: 1} }, "replicas.static[0]: expected IP:port"},
		"two ways":          {func(h *Probe) { h.Replicas = replicas.Replicas{DNS: "a:1", SRV: "b", Want: 1} }, "replicas: expected one of static, dns and srv"},
		"one address, written twice": {func(h *Probe) {
			h.Replicas = replicas.Replicas{Static: []string{"127.0.0.1:80", "[::ffff:127.0.0.1]:80"}, Want: 2}
		}, "listed twice"},
		"a service with a query": {func(h *Probe) { h.Service = "https://a.example/?x=1" }, "service: expected scheme and host only"},
		"a path with a secret":   {func(h *Probe) { h.Service = "https://a.example"; h.Live.Path = "/health?token=x" }, "live.path: https://a.example/health: the query holds a credential"},
		"a port by name":         {func(h *Probe) { h.Replicas = replicas.Replicas{DNS: "a.example:http", Want: 1} }, "replicas.dns: expected name:port"},
		"not found means live":   {func(h *Probe) { h.Service = "https://a.example"; h.Live.Status = httpx.Codes(404) }, "live.status: 404 is also the answer"},
		"not found means ready":  {func(h *Probe) { h.Service = "https://a.example"; h.Ready.Status = httpx.Codes(404) }, "ready.status: 404 is also the answer"},
		"one path for both":      {func(h *Probe) { h.Service = "https://a.example"; h.Ready.Path = "/health" }, "the split cannot be seen"},
	} {
		t.Run(name, func(t *testing.T) {
			h := New()
			c.change(h)
			if err := h.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// TestHistory_unreadySince checks that a replica that was healthy may be unready for one run or for the settle time, but never down.
func TestHistory_unreadySince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m history
		const settle = 15 * time.Second
		at := func(s state) bool { return m.unreadySince("a", s, settle) > 0 }
		if at(stateNotReady) {
			t.Error("a replica that was never healthy settles")
		}
		at(stateServing)
		time.Sleep(5 * time.Second)
		if !at(stateNotReady) {
			t.Error("the first unready run after a good one does not settle")
		}
		time.Sleep(5 * time.Second)
		if at(stateNotReady) {
			t.Error("the second unready run still settles")
		}
		at(stateServing)
		time.Sleep(5 * time.Second)
		if at(stateDown) {
			t.Error("down settles")
		}
		at(stateServing)
		time.Sleep(settle)
		if at(stateNotReady) {
			t.Error("settles after the settle time")
		}
		at(stateServing)
		if at(stateNotReady) {
			t.Error("a replica that was unready just now settles once more")
		}
		for range calmRuns {
			at(stateServing)
		}
		time.Sleep(5 * time.Second)
		if !at(stateReadyDespiteDependencyDown) || at(stateReadyDespiteDependencyDown) {
			t.Error("a dependency that went down just now must settle for one run, and for one only")
		}
		for range 5 { // it starts, which takes its time
			m.unreadySince("new", stateNotReady, settle)
			time.Sleep(settle)
		}
		m.unreadySince("new", stateServing, settle)
		time.Sleep(time.Second)
		if m.unreadySince("new", stateNotReady, settle) == 0 {
			t.Error("a replica that had to start first has no grace")
		}
		m.unreadySince("calm", stateServing, settle)
		time.Sleep(settle)
		if m.unreadySince("calm", stateNotReady, settle) != 0 {
			t.Error("a replica settles that was last healthy a whole settle time ago")
		}
		m.forget([]string{"b"})
		if len(m.seen) != 0 {
			t.Error("a replica that is gone is remembered")
		}
	})
}

// TestHistory_flapping checks that a replica which is unready again and again fails in the end, however short or long the
// interval is, and that it has its grace again once it was healthy for long enough.
func TestHistory_flapping(t *testing.T) {
	const settle = 15 * time.Second
	for _, interval := range []time.Duration{time.Second, 4 * time.Second, 10 * time.Second, 14 * time.Second} {
		for healthyRuns := 1; healthyRuns < calmRuns; healthyRuns++ {
			synctest.Test(t, func(t *testing.T) {
				var m history
				settles := func(s state) bool {
					time.Sleep(interval)
					return m.unreadySince("a", s, settle) > 0
				}
				settles(stateServing)
				began, last := time.Now(), true
				for time.Since(began) < 5*time.Minute {
					last = settles(stateNotReady)
					for range healthyRuns {
						settles(stateServing)
					}
				}
				if last {
					t.Errorf("every %s, unready once in %d runs: still settles after %s", interval, healthyRuns+1, time.Since(began))
				}
				for range calmRuns {
					settles(stateServing)
				}
				if !settles(stateNotReady) {
					t.Errorf("every %s: does not settle after %d healthy runs", interval, calmRuns)
				}
			})
		}
	}
}

func TestHistory_settlingInconclusive(t *testing.T) {
	w := &world{live: 200, ready: 200, dependency: 200}
	address, dependency := w.start(t)
	h := New()
	h.Replicas = replicas.Replicas{Static: []string{address}, Want: 1}
	h.Dependency.URL = dependency
	if got := probetest.Run(t, Kind(), h).Verdict(); got != probe.Pass {
		t.Fatalf("got %s, want pass", got)
	}
	w.dependency = 500 // the service has not noticed yet
	if got, want := probetest.Lines(probetest.Run(t, Kind(), h)), fmt.Sprintf("split@%s inconclusive(settling)", address); !strings.Contains(got, want) {
		t.Errorf("got\n%swant %s", got, want)
	}
	w.dependency = 200
	if got := probetest.Run(t, Kind(), h).Verdict(); got != probe.Pass {
		t.Fatalf("got %s, want pass", got)
	}
	w.ready = 503
	for i, want := range []string{"serving@%s inconclusive(settling)", "serving@%s fail(not_ready)"} {
		if got := probetest.Lines(probetest.Run(t, Kind(), h)); !strings.Contains(got, fmt.Sprintf(want, address)) {
			t.Errorf("run %d: got\n%swant %s", i+1, got, want)
		}
	}
	h.Replicas.Static = []string{"127.0.0.1:1"}
	probetest.Run(t, Kind(), h)
	if _, known := h.history.seen[address]; known || len(h.history.seen) != 1 {
		t.Errorf("a replica that is gone is not forgotten: %v", h.history.seen)
	}
}

// TestCatchAll_unanswered: a server that hangs up on a nonexistent path may do so on any: that its health page is its own is not proven.
func TestCatchAll_unanswered(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/health" || q.URL.Path == "/ready" {
			return
		}
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			conn.Close()
		}
	}))
	t.Cleanup(server.Close)
	address := strings.TrimPrefix(server.URL, "http://")
	h := New()
	h.Replicas = replicas.Replicas{Static: []string{address}, Want: 1}
	r := probetest.Run(t, Kind(), h)
	if got, want := probetest.Lines(r), "serving@"+address+" inconclusive(control_failed): "; r.Verdict() != probe.Inconclusive || !strings.Contains(got, want) || !strings.Contains(got, "the request for a nonexistent path failed: ") {
		t.Errorf("got\n%s", got)
	}
}

// TestCatchAll_nothingPasses checks that no check passes, and that no replica counts as live, unless a nonexistent path
// is answered differently. What fails still fails.
func TestCatchAll_nothingPasses(t *testing.T) {
	for name, c := range map[string]struct {
		ready, other int
		want         []string
	}{
		"every path answers 200": {200, 200, []string{
			"inconclusive",
			"live@ADDR inconclusive(control_failed): /health answers 200, which proves nothing without the catch-all check",
			"split@ADDR inconclusive(control_failed): live and ready, which proves nothing without the catch-all check",
			"serving@ADDR inconclusive(control_failed): live and ready, which proves nothing without the catch-all check",
			"catch_all@ADDR inconclusive(control_failed): a nonexistent path is answered like /health (200), so /health proves nothing",
			"replicas inconclusive(control_failed): expected 1 replica, found 1, of which 0 live; 1 inconclusive",
		}},
		"a nonexistent path is broken": {200, 502, []string{
			"inconclusive",
			"live@ADDR inconclusive(control_failed): *",
			"split@ADDR inconclusive(control_failed): *",
			"serving@ADDR inconclusive(control_failed): *",
			"catch_all@ADDR inconclusive(control_failed): a nonexistent path is answered 502, which proves nothing",
			"replicas inconclusive(control_failed): *",
		}},
		"a nonexistent path is broken, by a bare 500": {200, 500, []string{
			"inconclusive",
			"live@ADDR inconclusive(control_failed): *",
			"split@ADDR inconclusive(control_failed): *",
			"serving@ADDR inconclusive(control_failed): *",
			"catch_all@ADDR inconclusive(control_failed): a nonexistent path is answered 500, which proves nothing",
			"replicas inconclusive(control_failed): *",
		}},
		"there are too many requests for a nonexistent path": {200, 429, []string{
			"inconclusive",
			"live@ADDR inconclusive(control_failed): *",
			"split@ADDR inconclusive(control_failed): *",
			"serving@ADDR inconclusive(control_failed): *",
			"catch_all@ADDR inconclusive(control_failed): a nonexistent path is answered 429, which proves nothing",
			"replicas inconclusive(control_failed): *",
		}},
		"every path but that of readiness answers 200": {503, 200, []string{
			"fail",
			"live@ADDR inconclusive(control_failed): *",
			"split@ADDR inconclusive(control_failed): live and not ready*",
			"serving@ADDR fail(not_ready): *",
			"catch_all@ADDR inconclusive(control_failed): *",
			"replicas inconclusive(control_failed): *",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{live: 200, ready: c.ready, other: c.other, dependency: 200}
			h := w.probe(t)
			r := probetest.Run(t, Kind(), h)
			var want []string
			for _, line := range c.want {
				want = append(want, strings.ReplaceAll(line, "@ADDR", "@"+h.Replicas.Static[0]))
			}
			probetest.WantLines(t, r, want...)
			for _, s := range r.Samples {
				serving := s.Name == "probe_health_state" && strings.HasPrefix(s.Values[1], "serving")
				if (serving || s.Name == "probe_replicas_healthy") && s.Value != 0 {
					t.Errorf("%s %v is %g, expected 0", s.Name, s.Values, s.Value)
				}
			}
		})
	}
}
