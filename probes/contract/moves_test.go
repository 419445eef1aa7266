package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
	"prober/probes/internal/replicas"
)

// A counter is a service whose one counter a test sets.
type counter struct {
	value, start atomic.Int64 // no series while the value is below 0, no start while that is 0
	step         atomic.Int64 // by which a request raises the value
	late         atomic.Int64 // how many scrapes later that shows
	status       atomic.Int64 // of the answer to a request
	nan          atomic.Bool  // it is not a number
	age          atomic.Int64 // of that answer, in a cache

	shown atomic.Int64
}

func (c *counter) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.URL.Path != "/metrics" {
		c.value.Add(c.step.Load())
		if age := c.age.Load(); age > 0 {
			w.Header().Set("Age", fmt.Sprint(age))
		}
		w.WriteHeader(int(c.status.Load()))
		return
	}
	value := c.value.Load()
	if c.late.Load() > 0 {
		c.late.Add(-1)
		value = c.shown.Load()
	}
	c.shown.Store(value)
	text := "other 1\n"
	if c.start.Load() > 0 {
		text += fmt.Sprintf("process_start_time_seconds %d\n", c.start.Load())
	}
	if c.nan.Load() {
		text += "# TYPE calls_total counter\ncalls_total{code=\"200\"} NaN\n"
	} else if value >= 0 {
		text += fmt.Sprintf("# TYPE calls_total counter\ncalls_total{code=\"200\"} %d\ncalls_total{code=\"500\"} 0\n", value)
	}
	probetest.Respond(200, textFormat, text)(w, q)
}

func newCounter(value, start int64) *counter {
	c := &counter{}
	c.value.Store(value)
	c.start.Store(start)
	c.step.Store(1)
	c.status.Store(401)
	return c
}

// runs makes one run of a job after the other in a bubble, and returns the line of the check moves.
func runs(t *testing.T, p *Probe, f func(run func() string)) {
	t.Helper()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	testenv.Bubble(t, func(ctx context.Context, open testenv.Open) {
		job := probe.Job{ID: probe.ID{System: "test", Name: "it"}, Kind: Kind(), Probe: p, Interval: time.Minute, Timeout: 10 * time.Second}
		f(func() string {
			r := job.Do(dial.WithOpen(ctx, open))
			if err := errors.Join(Kind().Undeclared(r), r.Repeats()); err != nil {
				t.Error(err)
			}
			var lines []string
			for _, c := range r.Checks {
				if c.Name == "moves" {
					lines = append(lines, fmt.Sprintf("%s(%s): %s", c.Verdict, c.Reason, c.Detail))
					_, to, rose := strings.Cut(strings.TrimSuffix(c.Detail, " with the request"), " to ")
					shows := func(s probe.Sample) bool { return s.Measure == movesGauge && fmt.Sprint(s.Value) == to }
					if rose && c.Verdict == probe.Pass && !strings.Contains(to, " ") && !slices.ContainsFunc(r.Samples, shows) {
						t.Errorf("%s, but in no series: %v", c.Detail, r.Samples)
					}
				}
			}
			return strings.Join(lines, "\n")
		})
	})
}

func TestMoves_fromRunToRun(t *testing.T) {
	const from = 1_700_000_000
	for name, steps := range map[string][]struct {
		value, start int64 // of the process
		after        time.Duration
		want         string
	}{
		"it rises, rests and sticks": {
			{10, from, 0, "inconclusive(settling): calls_total is 10, which was not read before: whether it rises shows in the next run"},
			{10, from, time.Minute, "inconclusive(settling): calls_total has been 10 for 1m, and may take 5m to rise"},
			{11, from, time.Minute, "pass(ok): calls_total rose from 10 to 11"},
			{11, from, 4 * time.Minute, "pass(ok): calls_total rose to 11 4m ago"},
			{11, from, time.Minute, "fail(does_not_move): expected calls_total to rise within 5m, got 11 for 5m"},
			{12, from + 1, time.Minute, "pass(ok): calls_total rose from 11 to 12"}, // the start is calculated, and varies
		},
		"it never rises": {
			{0, from, 0, "inconclusive(settling): calls_total is 0, *"},
			{0, from, 6 * time.Minute, "fail(does_not_move): expected calls_total to rise within 5m, got 0 for 6m"},
		},
		"a restart is no decrease": {
			{10, from, 0, "inconclusive(settling): *"},
			{3, from + 100, time.Minute, "pass(ok): calls_total rose to 3 since the process restarted"},
			{0, from + 200, time.Minute, "pass(ok): calls_total rose to 0 1m ago"},
			{0, from + 200, 4 * time.Minute, "fail(does_not_move): *"},
		},
		"the start varies by two seconds, and not by three": {
			{10, from, 0, "inconclusive(settling): *"},
			{9, from + 2, time.Minute, "fail(decreased): *"},
			{8, from, time.Minute, "fail(decreased): *"},
			{7, from + 3, time.Minute, "pass(ok): calls_total rose to 7 since the process restarted"},
			{8, from, time.Minute, "inconclusive(several_processes): *"},
			{1, from + 900, 5 * time.Minute, "pass(ok): calls_total rose to 1 since the process restarted"},
		},
		"a decrease is no restart": {
			{10, from, 0, "inconclusive(settling): *"},
			{9, from, time.Minute, "fail(decreased): expected calls_total to rise, got 9 after 10 in a process that did not restart: increase() takes that for a restart, and counts too much"},
			{10, from, time.Minute, "pass(ok): calls_total rose from 9 to 10"},
		},
		"nothing tells a restart": {
			{10, 0, 0, "inconclusive(settling): *"},
			{2, 0, time.Minute, "inconclusive(settling): calls_total fell from 10 to 2, and without process_start_time_seconds nothing tells whether the process restarted"},
			{2, 0, time.Minute, "inconclusive(settling): calls_total has been 2 for 1m, and may take 5m to rise"},
			{3, 0, time.Minute, "pass(ok): calls_total rose from 2 to 3"},
			{2, from, time.Minute, "inconclusive(settling): calls_total fell from 3 to 2, *"},
		},
		"two processes behind one address": {
			{10, from + 100, 0, "inconclusive(settling): *"},
			{50, from, time.Minute, "inconclusive(several_processes): the processes that answer started at different times, one before the one that answered earlier: list the replicas, each has counters of its own"},
			{11, from + 100, time.Minute, "inconclusive(several_processes): *"}, // not a restart
			{51, from, time.Minute, "inconclusive(several_processes): *"},
			{51, from, time.Minute, "inconclusive(settling): calls_total has been 51 for 1m, *"},
			{52, from, time.Minute, "pass(ok): calls_total rose from 51 to 52"},
			{1, from + 900, 10 * time.Minute, "pass(ok): calls_total rose to 1 since the process restarted"},
		},
		"the series goes": {
			{10, from, 0, "inconclusive(settling): *"},
			{-1, from, time.Minute, "fail(series_missing): expected calls_total to rise, got no series"},
			{11, from, time.Minute, "pass(ok): calls_total rose from 10 to 11"},
		},
	} {
		c := newCounter(0, 0)
		p := &Probe{URL: testenv.ServeInMemory(t, c) + "/metrics", Moves: map[string]Move{"calls": {Series: "calls_total", Within: probe.Duration(5 * time.Minute)}}}
		runs(t, p, func(run func() string) {
			for i, step := range steps {
				pause(context.Background(), step.after)
				c.value.Store(step.value)
				c.start.Store(step.start)
				got := run()
				if prefix, ok := strings.CutSuffix(step.want, "*"); got != step.want && !(ok && strings.HasPrefix(got, prefix)) {
					t.Errorf("%s, run %d:\n got  %s\n want %s", name, i+1, got, step.want)
				}
			}
		})
	}
}

func TestMoves_withARequest(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*counter)
		want   string
	}{
		"it counts":                             {func(*counter) {}, "pass(ok): calls_total{code=\"200\"} rose from 5 to 6 with the request"},
		"it counts too much":                    {func(c *counter) { c.step.Store(7) }, "pass(ok): calls_total{code=\"200\"} rose from 5 to 12 with the request"},
		"it shows late":                         {func(c *counter) { c.late.Store(4); c.shown.Store(5) }, "pass(ok): calls_total{code=\"200\"} rose from 5 to 6 with the request"},
		"it shows too late":                     {func(c *counter) { c.late.Store(100); c.shown.Store(5) }, "fail(does_not_move): expected calls_total{code=\"200\"} to rise by 1 at least with the request, within 2s, got 5 after 5"},
		"it does not count":                     {func(c *counter) { c.step.Store(0) }, "fail(does_not_move): *"},
		"it counts backwards":                   {func(c *counter) { c.step.Store(-2) }, "fail(decreased): expected calls_total{code=\"200\"} to rise, got 3 after 5 in a process that did not restart"},
		"it falls, and nothing tells a restart": {func(c *counter) { c.step.Store(-2); c.start.Store(0) }, "inconclusive(settling): calls_total{code=\"200\"} fell from 5 to 3, and without process_start_time_seconds nothing tells whether the process restarted"},
		"it is no number":                       {func(c *counter) { c.nan.Store(true) }, "fail(not_a_number): expected calls_total{code=\"200\"} to rise, got NaN"},
		"it rests, and nothing tells a restart": {func(c *counter) { c.step.Store(0); c.start.Store(0) }, "fail(does_not_move): *"},
		"another answer":                        {func(c *counter) { c.status.Store(200) }, "inconclusive(control_failed): the request that must be counted did not succeed: expected 401, got 200"},
		"out of a cache":                        {func(c *counter) { c.step.Store(0); c.age.Store(60) }, "inconclusive(control_failed): the request that must be counted did not succeed: the answer may come out of a cache (Age: 60), which proves nothing about the origin"},
		"rate limited":                          {func(c *counter) { c.status.Store(429) }, "inconclusive(control_failed): the request that must be counted did not succeed: expected 401, got 429*"},
		"it is not there yet":                   {func(c *counter) { c.value.Store(-1); c.step.Store(2) }, "fail(series_missing): expected calls_total{code=\"200\"} to rise, got no series: its first event would go unseen, since increase() needs a series that begins at 0"},
	} {
		server := newCounter(5, 1_700_000_000)
		c.change(server)
		url := testenv.ServeInMemory(t, server)
		p := &Probe{URL: url + "/metrics", Moves: map[string]Move{"calls": {Series: `calls_total{code="200"}`, Request: &Request{URL: url + "/call", Status: httpx.Codes(401)}}}}
		runs(t, p, func(run func() string) {
			got := run()
			if prefix, ok := strings.CutSuffix(c.want, "*"); got != c.want && !(ok && strings.HasPrefix(got, prefix)) {
				t.Errorf("%s:\n got  %s\n want %s", name, got, c.want)
			}
		})
	}
}

// What does not change has not risen, however large it is.
func TestMoves_numbersOfAllSizes(t *testing.T) {
	for _, c := range []struct{ before, after, want string }{
		{"1e17", "1e17", "fail(does_not_move): expected calls_total to rise by 1 at least with the request, within 2s, got 1e+17 after 1e+17"},
		{"1e17", "2e17", "pass(ok): calls_total rose from 1e+17 to 2e+17 with the request"},
		{"1.3", "2.3", "pass(ok): calls_total rose from 1.3 to 2.3 with the request"},
		{"1.3", "2.2", "fail(does_not_move): *"},
		{"+Inf", "+Inf", "fail(not_a_number): expected calls_total to rise, got +Inf"},
		{"5", "+Inf", "fail(not_a_number): expected calls_total to rise, got +Inf"},
		{"-Inf", "-Inf", "fail(not_a_number): expected calls_total to rise, got -Inf"},
		{"5", "NaN", "fail(not_a_number): expected calls_total to rise, got NaN"},
	} {
		var called atomic.Bool
		url := testenv.ServeInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			value := c.before
			if called.Load() {
				value = c.after
			}
			if q.URL.Path == "/call" {
				called.Store(true)
			}
			probetest.Respond(200, textFormat, "process_start_time_seconds 1e9\ncalls_total "+value+"\n")(w, q)
		}))
		p := &Probe{URL: url + "/metrics", Moves: map[string]Move{"calls": {Series: "calls_total", Request: &Request{URL: url + "/call", Status: httpx.Codes(200)}}}}
		runs(t, p, func(run func() string) {
			got := run()
			if prefix, ok := strings.CutSuffix(c.want, "*"); got != c.want && !(ok && strings.HasPrefix(got, prefix)) {
				t.Errorf("%s, then %s:\n got  %s\n want %s", c.before, c.after, got, c.want)
			}
		})
	}
}

// A request is counted by one of several replicas, whichever it meets. What a replica that cannot be read might have counted
// is unknown.
func TestMoves_atAnyReplica(t *testing.T) {
	one, two := newCounter(5, 1_700_000_000), newCounter(50, 1_700_000_000)
	urls := []string{testenv.ServeInMemory(t, one), testenv.ServeInMemory(t, two)}
	at := func(i int) string { return strings.TrimPrefix(urls[i], "http://") }
	p := &Probe{
		URL: "http://service.example/metrics", Replicas: replicas.Replicas{Static: []string{at(0), at(1)}, Want: 2},
		Moves: map[string]Move{
			"calls": {Series: `calls_total{code="200"}`, Request: &Request{URL: urls[1] + "/call", Status: httpx.Codes(401)}},
			"all":   {Series: "calls_total", Within: probe.Duration(5 * time.Minute)},
		},
	}
	runs(t, p, func(run func() string) {
		got := run()
		if want := "pass(ok): calls_total{code=\"200\"} rose from 55 to 56 with the request"; !strings.HasSuffix(got, want) || strings.Count(got, "settling") != 2 {
			t.Errorf("got %s", got)
		}
		if got, want := run(), "fail(does_not_move)"; strings.Contains(got, want) {
			t.Errorf("got %s", got)
		}
		two.step.Store(0)
		if got := run(); !strings.HasSuffix(got, "got 56 after 56") && !strings.HasSuffix(got, "got 57 after 57") {
			t.Errorf("nothing counts, but: %s", got)
		}
	})
	dead := &Probe{
		URL: "http://service.example/metrics", Replicas: replicas.Replicas{Static: []string{at(0), "127.0.0.1:65000"}, Want: 2},
		Moves: map[string]Move{"calls": {Series: `calls_total{code="200"}`, Request: &Request{URL: urls[1] + "/call", Status: httpx.Codes(401)}}},
	}
	runs(t, dead, func(run func() string) {
		if got, want := run(), "inconclusive(control_failed): expected calls_total{code=\"200\"} to rise by 1 at least with the request, within 2s, got 5 after 5; but not every replica could be read"; got != want {
			t.Errorf("got %s", got)
		}
	})
}

// One check says the worst of several counters.
func TestMoves_theWorst(t *testing.T) {
	c := newCounter(5, 1_700_000_000)
	url := testenv.ServeInMemory(t, c)
	p := &Probe{URL: url + "/metrics", Moves: map[string]Move{
		"a": {Series: `calls_total{code="200"}`, Request: &Request{URL: url + "/call", Status: httpx.Codes(401)}},
		"b": {Series: `calls_total{code="500"}`, Request: &Request{URL: url + "/call", Status: httpx.Codes(401)}, Within: probe.Duration(time.Second)},
		"c": {Series: "other"},
		"d": {Series: "nothing_total"},
	}}
	runs(t, p, func(run func() string) {
		want := "fail(series_missing): expected nothing_total to rise, got no series; expected calls_total{code=\"500\"} to rise by 1 at least with the request, within 1s, got 0 after 0"
		if got := run(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// Deploys replace the replicas one after the other, until more addresses have come and gone than are remembered. Those that
// still answer are known, however long they take to answer one after the other, and told if they stick.
func TestHistory_isOfThoseThatAnswer(t *testing.T) {
	h, m, now := history{}, &mover{within: time.Hour}, time.Now()
	for run := range 3 * maxRemembered {
		now = now.Add(time.Minute)
		for i := run; i < run+replicas.MaxReplicas; i++ {
			now = now.Add(time.Millisecond)
			o := h.update(fmt.Sprint(i), "a", m, 1, 0, now)
			h.forget()
			fresh := run == 0 || i == run+replicas.MaxReplicas-1
			if got := strings.Contains(o.Detail, "was not read before"); got != fresh || i == run && run > 90 && o.Reason != reasonStuck {
				t.Fatalf("run %d, replica %d: %s", run, i, o.Detail)
			}
		}
	}
	if len(h.of) != maxRemembered {
		t.Errorf("%d addresses are remembered", len(h.of))
	}
}
