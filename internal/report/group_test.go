package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

const (
	one   = "10.0.0.1:80"
	two   = "10.0.0.2:80"
	three = "[fd00::3]:80"
)

func failed(target, detail string) probe.Check {
	return probe.Check{Name: "live", Target: target, Verdict: probe.Fail, Reason: probe.Refused, Detail: detail}
}

func evidenceOf(r probe.Result) []string {
	return Report{Results: []probe.Result{r}}.entries()[0].failureLines()
}

func TestFailureLines_groupsReplicas(t *testing.T) {
	with := func(c probe.Check, change func(*probe.Check)) probe.Check {
		change(&c)
		return c
	}
	for _, c := range []struct {
		name   string
		checks []probe.Check
		want   []string
	}{
		{"equal", []probe.Check{failed(one, "nobody listens"), failed(two, "nobody listens")},
			[]string{"live at 2 targets [refused]: nobody listens", "  10.0.0.1:80, 10.0.0.2:80"}},
		{"a single target", []probe.Check{failed(one, "refused by "+one)},
			[]string{"live 10.0.0.1:80 [refused]: refused by 10.0.0.1:80"}},
		{"no target", []probe.Check{failed("", "nobody listens"), failed("", "nobody listens")},
			[]string{"live [refused]: nobody listens", "live [refused]: nobody listens"}},
		{"one with and one without a target", []probe.Check{failed("", "nobody listens"), failed(one, "nobody listens")},
			[]string{"live [refused]: nobody listens", "live 10.0.0.1:80 [refused]: nobody listens"}},
		{"the same target twice", []probe.Check{failed(one, "nobody listens"), failed(one, "nobody listens")},
			[]string{"live 10.0.0.1:80 [refused]: nobody listens"}},
		{"another detail", []probe.Check{failed(one, "got 500"), failed(two, "got 502")},
			[]string{"live 10.0.0.1:80 [refused]: got 500", "live 10.0.0.2:80 [refused]: got 502"}},
		{"another reason", []probe.Check{failed(one, "no answer"),
			with(failed(two, "no answer"), func(c *probe.Check) { c.Reason = probe.Reset })},
			[]string{"live 10.0.0.1:80 [refused]: no answer", "live 10.0.0.2:80 [reset]: no answer"}},
		{"another verdict", []probe.Check{failed(one, "no answer"),
			with(failed(two, "no answer"), func(c *probe.Check) { c.Verdict = probe.Inconclusive })},
			[]string{"live 10.0.0.1:80 [refused]: no answer", "live 10.0.0.2:80 [refused, inconclusive]: no answer"}},
		{"another check", []probe.Check{failed(one, "no answer"),
			with(failed(two, "no answer"), func(c *probe.Check) { c.Name = "serving" })},
			[]string{"live 10.0.0.1:80 [refused]: no answer", "serving 10.0.0.2:80 [refused]: no answer"}},
		{"one that passed", []probe.Check{failed(one, "no answer"), {Name: "live", Target: two, Verdict: probe.Pass, Reason: probe.OK, Detail: "no answer"}},
			[]string{"live 10.0.0.1:80 [refused]: no answer"}},
		{"its own address in the text", []probe.Check{
			failed(one, "down (/health: refused by "+one+"; /ready: refused by "+one+")"),
			failed(three, "down (/health: refused by "+three+"; /ready: refused by "+three+")")},
			[]string{"live at 2 targets [refused]: down (/health: refused by it; /ready: refused by it)", "  10.0.0.1:80, [fd00::3]:80"}},
		{"its own address within its name", []probe.Check{failed("proxy/"+one, "refused by "+one), failed("proxy/"+two, "refused by "+two)},
			[]string{"live at 2 targets [refused]: refused by it", "  proxy/10.0.0.1:80, proxy/10.0.0.2:80"}},
		{"a word of its name in the text", []probe.Check{failed("notes/read", "cannot read"), failed("notes/list", "cannot list")},
			[]string{"live notes/read [refused]: cannot read", "live notes/list [refused]: cannot list"}},
		{"another's address in the text", []probe.Check{failed(one, "sent on to "+two), failed(two, "sent on to "+one)},
			[]string{"live 10.0.0.1:80 [refused]: sent on to 10.0.0.2:80", "live 10.0.0.2:80 [refused]: sent on to 10.0.0.1:80"}},
		{"its own address as a part of another", []probe.Check{failed(one, "sent on to 10.0.0.1:8080"), failed(two, "sent on to 10.0.0.2:8080")},
			[]string{"live 10.0.0.1:80 [refused]: sent on to 10.0.0.1:8080", "live 10.0.0.2:80 [refused]: sent on to 10.0.0.2:8080"}},
		{"with another in between", []probe.Check{failed(one, "no answer"), failed(two, "got 500"), failed(three, "no answer")},
			[]string{"live at 2 targets [refused]: no answer", "  10.0.0.1:80, [fd00::3]:80", "live 10.0.0.2:80 [refused]: got 500"}},
	} {
		got := evidenceOf(result(proxy, time.Second, func(r *probe.Result) { r.Checks = c.checks }))
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestFailureLines_groupsExchanges(t *testing.T) {
	const page = "http://proxy.example/ready"
	answer := func(target string, status int, took time.Duration, trace string) probe.Exchange {
		return get("live", target, page, target, status, took, trace, "")
	}
	wants := []string{"live at 3 targets [refused]: not ready", "  10.0.0.1:80, 10.0.0.2:80, [fd00::3]:80"}
	for _, c := range []struct {
		name      string
		exchanges []probe.Exchange
		want      []string
	}{
		{"alike", []probe.Exchange{answer(one, 503, 9*time.Millisecond, "a"), answer(two, 503, 20*time.Millisecond, "b"), answer(three, 503, time.Millisecond, "c")},
			[]string{"  GET http://proxy.example/ready: answered 503 in up to 20 ms", "  trace ids a, b, c"}},
		{"not alike", []probe.Exchange{answer(one, 503, 9*time.Millisecond, "a"), answer(two, 500, 20*time.Millisecond, "b"), answer(three, 503, time.Millisecond, "c")},
			[]string{"  GET http://proxy.example/ready at 10.0.0.1:80, [fd00::3]:80: answered 503 in up to 9.0 ms", "  trace ids a, c",
				"  GET http://proxy.example/ready at 10.0.0.2:80: answered 500 in 20 ms", "  trace id b"}},
		{"one is missing", []probe.Exchange{answer(one, 503, 9*time.Millisecond, "a"), answer(two, 503, 20*time.Millisecond, "b")},
			[]string{"  GET http://proxy.example/ready at 10.0.0.1:80, 10.0.0.2:80: answered 503 in up to 20 ms", "  trace ids a, b"}},
		{"a protocol without statuses", []probe.Exchange{answer(one, 0, 9*time.Millisecond, ""), answer(two, 0, 20*time.Millisecond, ""), answer(three, 0, time.Millisecond, "")},
			[]string{"  GET http://proxy.example/ready: answered in up to 20 ms"}},
		{"none", nil, nil},
	} {
		got := evidenceOf(result(proxy, time.Second, func(r *probe.Result) {
			r.Checks = []probe.Check{failed(one, "not ready"), failed(two, "not ready"), failed(three, "not ready")}
			r.Exchanges = c.exchanges
		}))
		if want := slices.Concat(wants, c.want); !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, want)
		}
	}
}

func TestFailureLines_namesSomeOfManyReplicas(t *testing.T) {
	got := evidenceOf(result(proxy, time.Second, func(r *probe.Result) {
		for i := range 12 {
			target := fmt.Sprintf("10.0.0.%d:80", i)
			r.Checks = append(r.Checks, failed(target, "refused by "+target))
			x := get("live", target, "http://proxy.example/health", target, 0, time.Millisecond, fmt.Sprint("trace", i), fmt.Sprint("other", i))
			x.Reason = probe.Refused
			r.Exchanged(x)
		}
	}))
	want := []string{
		"live at 12 targets [refused]: refused by it",
		"  10.0.0.0:80, 10.0.0.1:80, 10.0.0.2:80, 10.0.0.3:80, 10.0.0.4:80, 10.0.0.5:80, 10.0.0.6:80, 10.0.0.7:80, 10.0.0.8:80, 10.0.0.9:80 and 2 more",
		"  GET http://proxy.example/health: no response (refused) after up to 1.0 ms",
		"  trace ids trace0, trace1, trace2 and 9 more sent, other0, other1, other2 and 9 more returned",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestFailureLines_sharesExchanges(t *testing.T) {
	got := evidenceOf(result(proxy, time.Second, func(r *probe.Result) {
		for _, target := range []string{one, two} {
			for _, name := range []string{"split", "serving"} {
				r.Checks = append(r.Checks, probe.Check{Name: name, Target: target, Verdict: probe.Fail, Reason: probe.Status, Detail: "got 500"})
			}
			r.Exchanged(get("serving", target, "http://proxy.example/ready", target, 500, time.Millisecond, "", ""))
		}
	}))
	want := []string{"split at 2 targets [status]: got 500", "serving at 2 targets [status]: got 500", "  10.0.0.1:80, 10.0.0.2:80",
		"  GET http://proxy.example/ready: answered 500 in up to 1.0 ms"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestFailureLines_boundsGroups(t *testing.T) {
	r := result(proxy, time.Second, func(r *probe.Result) {
		for i := range maxGroups + 5 {
			r.Checks = append(r.Checks, failed(one, fmt.Sprint("trouble ", i)), failed(two, fmt.Sprint("trouble ", i)))
		}
	})
	text := strings.Join(evidenceOf(r), "\n")
	if n := strings.Count(text, "live at 2 targets"); n != maxGroups || !strings.HasSuffix(text, "and 10 more checks did not pass") {
		t.Errorf("%d groups are told of:\n%s", n, text)
	}
	if n := strings.Count(write(t, "json", Report{Results: []probe.Result{r}}), `"name": "live"`); n != 2*(maxGroups+5) {
		t.Errorf("JSON has %d of %d checks", n, 2*(maxGroups+5))
	}
}
