package web

import (
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// A state is a probe in the tests of explain.
type state struct {
	name, severity string
	verdict        probe.Verdict
	why            probe.Reason
	dependsOn      []string
	asked          []probe.Exchange
	overdue        bool
	since          int // minutes
}

func refused(url string) probe.Exchange { return probe.Exchange{URL: url, Reason: probe.Refused} }

func answered(url string, status int) probe.Exchange {
	return probe.Exchange{URL: url, Status: status, Reason: probe.OK, Expected: status < 300}
}

func TestExplain(t *testing.T) {
	const auth, proxy = "http://auth", "http://proxy"
	waits := probe.Reason{Word: "degraded_by_dependency", Verdict: probe.Fail, Dependency: true}
	down := state{name: "auth", severity: "P2", verdict: probe.Fail, why: probe.Refused, asked: []probe.Exchange{refused(auth + "/health")}}
	unhealthy := state{name: "auth", verdict: probe.Fail, why: probe.Status, asked: []probe.Exchange{answered(auth+"/health", 503)}}
	for name, c := range map[string]struct {
		states []state
		want   map[string]string
	}{
		"a service is down that others ask too": {
			[]state{
				{name: "proxy", severity: "P1", verdict: probe.Fail, why: waits, asked: []probe.Exchange{refused(auth + "/health"), answered(proxy+"/health", 200), answered(proxy+"/ready", 503)}},
				{name: "keys", verdict: probe.Fail, why: probe.Refused, asked: []probe.Exchange{refused(auth + "/jwks"), refused(auth + "/token"), answered(proxy+"/jwks", 200)}},
				{name: "clock", verdict: probe.Inconclusive, why: probe.Refused, asked: []probe.Exchange{refused(auth + "/time"), answered(proxy+"/time", 200)}},
				down,
				{name: "other", verdict: probe.Pass, asked: []probe.Exchange{answered(proxy+"/", 200)}},
			},
			map[string]string{"proxy": "auth", "keys": "auth", "clock": "auth"},
		},
		"a dependency answers that it is not well": {
			[]state{
				unhealthy,
				{name: "proxy", verdict: probe.Fail, why: waits, asked: []probe.Exchange{answered(auth+"/health", 503), answered(proxy+"/ready", 503)}},
				{name: "login", verdict: probe.Fail, why: probe.Status, asked: []probe.Exchange{answered(auth+"/login", 500)}},
			},
			map[string]string{"proxy": "auth"},
		},
		"something else went wrong too": {
			[]state{down, {name: "keys", verdict: probe.Fail, why: probe.Refused, asked: []probe.Exchange{refused(auth + "/jwks"), answered(proxy+"/jwks", 500)}}},
			map[string]string{},
		},
		"a breach has no excuse": {
			[]state{down, {name: "forged", verdict: probe.Fail, why: probe.AuthBypass, dependsOn: []string{"auth"}, asked: []probe.Exchange{refused(auth + "/token")}}},
			map[string]string{},
		},
		"what it depends on failed, and that in turn": {
			[]state{
				{name: "page", verdict: probe.Fail, why: probe.Body, dependsOn: []string{"api"}},
				{name: "api", verdict: probe.Fail, why: probe.Status, dependsOn: []string{"store", "auth"}},
				{name: "store", verdict: probe.Inconclusive, why: probe.Timeout},
				down,
			},
			map[string]string{"page": "auth", "api": "auth"},
		},
		"what is inconclusive explains nothing": {
			[]state{
				{name: "auth", verdict: probe.Inconclusive, why: probe.Refused, asked: []probe.Exchange{refused(auth)}},
				{name: "api", verdict: probe.Fail, why: probe.Refused, dependsOn: []string{"auth"}, asked: []probe.Exchange{refused(auth), answered(proxy, 200)}},
			},
			map[string]string{"auth": "api"},
		},
		"the more urgent of two that ask the same is the cause": {
			[]state{
				{name: "up", severity: "P3", verdict: probe.Fail, why: probe.Refused, asked: []probe.Exchange{refused(auth + "/up")}},
				{name: "login", severity: "P1", verdict: probe.Fail, why: probe.Refused, asked: []probe.Exchange{refused(auth + "/login")}},
			},
			map[string]string{"up": "login"},
		},
		"of equally urgent ones the earlier": {
			[]state{
				{name: "late", verdict: probe.Fail, why: probe.Refused, asked: []probe.Exchange{refused(auth)}, since: 5},
				{name: "early", verdict: probe.Fail, why: probe.Refused, asked: []probe.Exchange{refused(auth)}, since: 3},
			},
			map[string]string{"late": "early"},
		},
		"two that depend on each other": {
			[]state{{name: "a", verdict: probe.Fail, dependsOn: []string{"b"}}, {name: "b", verdict: probe.Fail, dependsOn: []string{"a"}}},
			map[string]string{},
		},
		"what is out of date": {
			[]state{down, {name: "old", verdict: probe.Inconclusive, why: probe.StaleOrCached, overdue: true, dependsOn: []string{"auth"}, asked: []probe.Exchange{refused(auth)}}},
			map[string]string{},
		},
		"what lies with the prober itself": {
			[]state{down, {name: "slow", verdict: probe.Inconclusive, why: probe.SelfDelay, asked: []probe.Exchange{refused(auth)}}},
			map[string]string{},
		},
		"a probe that has not run": {
			[]state{down, {name: "new", verdict: probe.Inconclusive}},
			map[string]string{},
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			var rows []ProbeStatus
			var jobs []*probe.Job
			var runs []*RunDetail
			for _, s := range c.states {
				row := ProbeStatus{ID: probe.ID{System: "shop", Name: s.name, Severity: s.severity}, Verdict: s.verdict, Reason: s.why, Overdue: s.overdue,
					Since: time.Unix(int64(60*s.since), 0), Failing: []probe.Check{{Reason: s.why}}}
				rows, jobs = append(rows, row), append(jobs, &probe.Job{ID: row.ID, DependsOn: s.dependsOn})
				var run *RunDetail
				if s.asked != nil {
					run = &RunDetail{Exchanges: s.asked}
				}
				runs = append(runs, run)
			}
			explain(rows, jobs, runs)
			for _, row := range rows {
				if got := row.Cause.Name; got != c.want[row.Name] {
					t.Errorf("%s is explained by %q, expected %q", row.Name, got, c.want[row.Name])
				}
			}
		})
	}
}

// TestPages_missing leads people on from an address that is wrong, and tells programs in a line.
func TestPages_missing(t *testing.T) {
	o := full()
	o.Status = func() []ProbeStatus {
		return []ProbeStatus{{ID: probe.ID{System: "shop", Name: "login"}}, {ID: probe.ID{System: "pay", Name: "login"}}}
	}
	o.Probe = func(string, string) (Detail, bool) { return Detail{}, false }
	h := New(o)
	for path, want := range map[string][]string{
		"/probes/logn":              {"No probe is named logn.", `<a href="../probes/shop/login">shop/login</a>`, `<a href="../probes/pay/login">`, `<a href="../">All probes</a>`},
		"/probes/shop/logn":         {"No probe is named logn.", `<a href="../../probes/shop/login">shop/login</a>`},
		"/probes/shop/%3Cscript%3E": {"&lt;script&gt;"},
		"/nowhere":                  {"There is nothing at this address.", `<a href="./">All probes</a>`},
		"/a/b/":                     {`<a href="../../">All probes</a>`},
	} {
		w := ask(h, "GET", path, "Accept", "text/html,*/*")
		for _, part := range want {
			if page := w.Body.String(); w.Code != 404 || !strings.Contains(page, part) || strings.Contains(page, "<script>") {
				t.Errorf("%s: got %d, expected %q in %s", path, w.Code, part, page)
			}
		}
		if w := ask(h, "GET", path); w.Code != 404 || !strings.HasPrefix(w.Body.String(), "no such p") || strings.Count(w.Body.String(), "\n") != 1 {
			t.Errorf("%s: a program got %d %s", path, w.Code, w.Body)
		}
	}
}

// TestOutcome says how an exchange ended, also of a protocol without statuses.
func TestOutcome(t *testing.T) {
	for want, x := range map[string]probe.Exchange{
		"answered 503 in 5.0 ms":                                      {Status: 503, Reason: probe.OK},
		"answered 200 in 5.0 ms, as expected":                         {Status: 200, Reason: probe.OK, Expected: true},
		"answered in 5.0 ms, as expected":                             {Reason: probe.OK, Expected: true},
		"no response after 5.0 ms: connection refused":                {Reason: probe.Refused},
		"answered 200, not completely, in 5.0 ms: too large":          {Status: 200, Reason: probe.Reason{Word: "too_large"}},
		"answered 200, closed by the probe after 5.0 ms, as expected": {Status: 200, Reason: probe.Cancelled, Expected: true},
		"not dialled, a link-local address":                           {Denied: "link_local"},
	} {
		x.Took = 5 * time.Millisecond
		if got := outcome(x); got != want {
			t.Errorf("got %q, expected %q", got, want)
		}
	}
}

// TestPages_titles shows what people call things in place of their names, and what a failure means to customers.
func TestPages_titles(t *testing.T) {
	row := ProbeStatus{
		ID: probe.ID{System: "shop", Name: "login", Runbook: "login-down", Severity: "P1"}, Verdict: probe.Fail, Detail: "got 500",
		About: About{"Log in", "Logs a test customer in.", "customers cannot log in", "The shop", "Nobody can log in"},
	}
	passed := ProbeStatus{ID: probe.ID{System: "shop", Name: "keys"}, Verdict: probe.Pass, About: About{Title: "Keys", Impact: "none sees this", SystemTitle: "The shop"}}
	o := full()
	o.Status = func() []ProbeStatus { return []ProbeStatus{row, passed} }
	o.Probe = func(string, string) (Detail, bool) { return Detail{ProbeStatus: row, Job: &probe.Job{}}, true }
	h := New(o)
	page, detail := visible(ask(h, "GET", "/").Body.String()), visible(ask(h, "GET", "/probes/shop/login").Body.String())
	for _, want := range []string{"The shop: 1 P1 failed", "Impact: customers cannot log in", "Log in", "login", "Nobody can log in", "Keys"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "none sees this") {
		t.Error("the impact of a failure is shown for a probe that passed")
	}
	for _, want := range []string{"Log in (shop/login)", "Logs a test customer in.", "Impact: customers cannot log in", "Nobody can log in"} {
		if !strings.Contains(detail, want) {
			t.Errorf("the probe's page lacks %q", want)
		}
	}
	o.Probe = func(string, string) (Detail, bool) { return Detail{ProbeStatus: passed, Job: &probe.Job{}}, true }
	if detail := visible(ask(New(o), "GET", "/probes/shop/keys").Body.String()); strings.Contains(detail, "none sees this") || !strings.Contains(detail, "Keys (shop/keys)") {
		t.Errorf("the page of a probe that passed says %s", detail)
	}
}

func TestHeadline(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	row := func(verdict probe.Verdict, severity string, minutes int) *ProbeStatus {
		return &ProbeStatus{ID: probe.ID{Severity: severity}, Verdict: verdict, Since: now.Add(-time.Duration(minutes) * time.Minute), SinceExact: true}
	}
	for _, c := range []struct {
		rows []*ProbeStatus
		want string
	}{
		{nil, "no probes"},
		{[]*ProbeStatus{row(probe.Pass, "", 90), row(probe.Pass, "P1", 9)}, "2 passed since 2027-01-15 07:51:00 UTC (9 min)"},
		{[]*ProbeStatus{row(probe.Fail, "P2", 90), row(probe.Fail, "P1", 39), row(probe.Fail, "P2", 3), row(probe.Pass, "P1", 3)},
			"1 P1, 2 P2 failed since 2027-01-15 07:21:00 UTC (39 min)"},
		{[]*ProbeStatus{{Verdict: probe.Pass, Since: now.Add(-time.Minute)}}, "1 passed at least since 2027-01-15 07:59:00 UTC (1 min)"},
		{[]*ProbeStatus{row(probe.Fail, "", 2), row(probe.Fail, "", 1)}, "2 failed since 2027-01-15 07:58:00 UTC (2 min)"},
		{[]*ProbeStatus{row(probe.Fail, "", 2), row(probe.Fail, "critical", 1)}, "1 critical, 1 without a severity failed since 2027-01-15 07:59:00 UTC (1 min)"},
		{[]*ProbeStatus{row(probe.Inconclusive, "P3", 7), row(probe.Pass, "", 1)}, "1 inconclusive, 1 passed since 2027-01-15 07:53:00 UTC (7 min)"},
		{[]*ProbeStatus{{Verdict: probe.Inconclusive}, row(probe.Pass, "", 1)}, "1 inconclusive, 1 passed (not all have run yet)"},
		{[]*ProbeStatus{{Verdict: probe.Inconclusive, ID: probe.ID{Severity: "P1"}}, row(probe.Inconclusive, "P3", 7)}, "2 inconclusive since 2027-01-15 07:53:00 UTC (7 min)"},
	} {
		if got := headline(c.rows, now); got != c.want {
			t.Errorf("got %q, expected %q", got, c.want)
		}
	}
}

// TestIndex_search finds probes by what people remember of them, and offers what there is to choose from.
func TestIndex_search(t *testing.T) {
	rows := []ProbeStatus{
		{ID: probe.ID{System: "shop", Name: "login", Type: "http", Severity: "P1"}, Verdict: probe.Fail, Reason: probe.Refused, Detail: "connection refused by 10.0.0.1:80"},
		{ID: probe.ID{System: "shop", Name: "keys", Type: "jwks", Severity: "P2", Runbook: "rotation"}, Verdict: probe.Pass, Labels: map[string]string{"env": "Prod"}},
		{ID: probe.ID{System: "pay", Name: "drift", Type: "clock"}, Verdict: probe.Inconclusive, Reason: probe.Timeout},
	}
	o := full()
	o.Status = func() []ProbeStatus { return rows }
	h := New(o)
	for query, want := range map[string]string{
		"?q=LOGIN": "shop/login", "?q=10.0.0.1": "shop/login", "?q=refused": "shop/login", "?q=rotat": "shop/keys", "?q=env%3Dprod": "shop/keys", "?q=clock": "pay/drift",
		"?q=shop/": "shop/login shop/keys", "?severity=p2": "shop/keys", "?type=jwks": "shop/keys", "?verdict=inconclusive": "pay/drift", "?q=shop&verdict=pass": "shop/keys",
		"?q=nowhere": "", "?q=%22%3E%3Cscript%3E": "",
	} {
		page := ask(h, "GET", "/"+query).Body.String()
		if got := strings.Join(names(page), " "); got != want {
			t.Errorf("%s: got %q, expected %q", query, got, want)
		}
		if strings.Contains(page, "<script>") {
			t.Error("what was searched for is not escaped")
		}
	}
	page := ask(h, "GET", "/?q=x&system=shop&refresh=30&type=jwks").Body.String()
	for _, want := range []string{
		`<option value="P1">P1</option>`, `<option value="jwks" selected>jwks</option>`, `name="q" value="x"`,
		`<input type="hidden" name="system" value="shop">`, `<input type="hidden" name="refresh" value="30">`, `<a href="./?refresh=30&amp;system=shop">Show all</a>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// TestDependency_isNamed has a probe that is not ready because its dependency is down: the page names the probe that failed at the
// dependency, or else its address, in the list and on the probe's own page.
func TestDependency_isNamed(t *testing.T) {
	waits := probe.Reason{Word: "degraded_by_dependency", Verdict: probe.Fail, Text: "not ready because its dependency is down", Dependency: true}
	for name, c := range map[string]struct {
		authFails    bool
		front, alone string
	}{
		"a probe failed at it":    {true, `<strong>not ready because its dependency <a href="./probes/ibex/auth">auth</a> is down</strong>: live`, `<strong>not ready because its dependency <a href="../../probes/ibex/auth">auth</a> is down</strong>: live`},
		"no probe is asked of it": {false, `<strong>not ready because its dependency http://auth/health is down</strong>: live`, `<strong>not ready because its dependency http://auth/health is down</strong>: live`},
	} {
		board, jobs := NewStatusStore(), []probe.Job{job("proxy"), job("auth")}
		board.SetJobs(jobs)
		r := probe.NewResult(jobs[0].ID)
		r.Started = time.Now()
		r.Exchanged(probe.Exchange{Check: "dependency", URL: "http://auth/health", Reason: probe.Refused})
		ready := answered("http://proxy/ready", 503)
		ready.Check, ready.TraceID = "ready", "1"
		r.Exchanged(ready)
		r.Report("serving", waits, "live")
		r.LinkExchange("serving", "1")
		board.Observe(*r)
		if c.authFails {
			r := probe.NewResult(jobs[1].ID)
			r.Started = time.Now()
			r.Exchanged(probe.Exchange{Check: "status", URL: "http://auth/health", Reason: probe.Refused})
			r.Report("status", probe.Refused, "refused")
			board.Observe(*r)
		}
		h := New(optionsFor(board, false))
		if page := ask(h, "GET", "/").Body.String(); !strings.Contains(page, c.front) {
			t.Errorf("%s: the front page lacks %s:\n%s", name, c.front, page)
		}
		if page := ask(h, "GET", "/probes/ibex/proxy").Body.String(); !strings.Contains(page, c.alone) || strings.Contains(page, "Explained by") != c.authFails {
			t.Errorf("%s: the page of the probe lacks %s:\n%s", name, c.alone, page)
		}
	}
}
