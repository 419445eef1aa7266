package web

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
)

// visible is what a page says, without its elements.
func visible(page string) string {
	var b strings.Builder
	for rest := page; rest != ""; {
		before, after, _ := strings.Cut(rest, "<")
		b.WriteString(before + " ")
		_, rest, _ = strings.Cut(after, ">")
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func TestDetail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board, jobs := storeWithRuns(3, true)
		h := New(optionsFor(board, true))
		path := "/probes/ibex/" + jobs[1].Name
		page := visible(ask(h, "GET", path).Body.String())
		for _, want := range []string{
			"FAIL ibex/health-001", "wrong status : wanted 200, got 503", "failed since", "last 40 runs: 11 failed, 29 passed",
			"Run now", "one every 30s", "Timeout 5s", "Severity P1", "Runbook runbook-0", "Depends on http-000 ok",
			"env=&#34;prod&#34;", "status: ibex_process_up{service=&#34;proxy&#34;}",
			"ok certificate wanted 14 days left, got 48", "FAIL body wrong body : wanted $.status",
			"GET https://proxy.ibex.example/v1/health/health-001 for status answered 503 in 66 ms",
			"resolve 5.5 ms, connect 11 ms, tls 28 ms, processing 28 ms, transfer 11 ms",
			"Address dialled 10.0.0.79:443", "Protocol HTTP/1.1", "Connections opened 1", "Body 591 bytes",
			"Trace id sent 00000000000000004bf92f3577b34df5", "Trace id returned req-00000079", "Version 1.4.7", "Certificate 41 days left, until",
			"Sent 1.0 ms after the start of the run", "It still fails: see the last run.", "ibex is in maintenance until",
		} {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		for _, wrong := range []string{"0 more", "not stored"} {
			if strings.Contains(page, wrong) {
				t.Errorf("the page has %q", wrong)
			}
		}
		if t.Failed() {
			t.Log(page)
		}
		o := optionsFor(board, true)
		o.NearOnset = func(system string) []string { return []string{"deploy near onset of " + system, "<last good>"} }
		h = New(o)
		if page := ask(h, "GET", path).Body.String(); !strings.Contains(page, "<p>deploy near onset of ibex</p><p>&lt;last good&gt;</p>") {
			t.Errorf("the page lacks the deploys: %s", page)
		}
		j := &jobs[1]
		board.Observe(ordinaryResult(j, time.Now(), 5, probe.OK))
		page = visible(ask(h, "GET", path).Body.String())
		if strings.Contains(page, "near onset") {
			t.Errorf("a probe that passes has deploys: %s", page)
		}
		_, failure, _ := strings.Cut(page, "Last failure")
		if !strings.Contains(page, "ok ibex/health-001") || !strings.Contains(failure, "wanted 200, got 503") || !strings.Contains(failure, "req-00000079") {
			t.Errorf("after it recovered the last failure is not told: %s", page)
		}
	})
}

// The page of a probe that did not pass says what to do; that of one that passes, or has not run, has nothing to say.
func TestDetail_whatToDo(t *testing.T) {
	board, jobs := NewStatusStore(), []probe.Job{job("down"), job("up"), job("new")}
	board.SetJobs(jobs)
	for i, why := range []probe.Reason{probe.Refused, probe.OK} {
		r := ordinaryResult(&jobs[i], time.Now(), 1, why)
		board.Observe(r)
	}
	h := New(optionsFor(board, false))
	for name, want := range map[string]string{"down": "What to do: " + probe.Refused.Action, "up": "", "new": ""} {
		page := visible(ask(h, "GET", "/probes/ibex/"+name).Body.String())
		if strings.Contains(page, "What to do") != (want != "") || !strings.Contains(page, want) {
			t.Errorf("%s: expected %q on the page", name, want)
		}
	}
}

// addresser is a probe that knows whom it asks.
type addresser struct {
	probe.Probe
	addresses []string
}

func (a addresser) Addresses() []string { return a.addresses }

func TestDetail_asks(t *testing.T) {
	board, jobs := NewStatusStore(), []probe.Job{job("proxy"), job("none")}
	jobs[0].Probe = addresser{nil, []string{"https://u:secret@proxy.example/health?key=secret", "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"}}
	board.SetJobs(jobs)
	for i := range jobs {
		board.Observe(ordinaryResult(&jobs[i], time.Now(), 1, probe.OK))
	}
	o := optionsFor(board, false)
	many := make([]probe.Setting, maxSettings)
	o.Settings = func(k probe.Key) []probe.Setting {
		if k.Name == "none" {
			return many
		}
		return []probe.Setting{{Name: "method", Value: "GET"}, {Name: "expect", Parts: []probe.Setting{{Name: "status", Value: "<200>"}}}}
	}
	h := New(o)
	page := ask(h, "GET", "/probes/ibex/proxy").Body.String()
	for _, want := range []string{"Asks https://proxy.example/health, 10.0.0.1:80, 10.0.0.2:80 and 1 more", "4 addresses", "<code>10.0.0.3:80</code>",
		`<span class="soft">method</span> <code>GET</code>`, `<span class="soft">expect</span><ul class="settings"><li><span class="soft">status</span> <code>&lt;200&gt;</code>`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	front := ask(h, "GET", "/").Body.String()
	if !strings.Contains(front, "Asks https://proxy.example/health") || strings.Count(front, "Asks ") != 2 { // and as a tooltip, where the line is cut off
		t.Error("the row of a passing probe does not say what it asks")
	}
	if strings.Contains(page+front, "secret") {
		t.Error("a credential in a URL is shown")
	}
	if strings.Contains(visible(ask(h, "GET", "/probes/ibex/none").Body.String()), "more in /config") {
		t.Error("as many settings as fit are cut off")
	}
	many = append(many, probe.Setting{Parts: make([]probe.Setting, 2)})
	if page := visible(ask(h, "GET", "/probes/ibex/none").Body.String()); !strings.Contains(page, "and 3 more in /config") {
		t.Errorf("the rest is not counted: %s", page)
	}
}

func TestProbeByName(t *testing.T) {
	board := NewStatusStore()
	other := job("proxy")
	other.System = "1pass"
	board.SetJobs([]probe.Job{job("proxy"), other, job("alone")})
	h := New(optionsFor(board, false))
	for _, c := range []struct {
		path   string
		status int
		says   string
	}{
		{"/probes/alone", 302, ""},
		{"/probes/proxy", 300, `<a href="../probes/1pass/proxy">1pass/proxy</a>`},
		{"/probes/nobody", 404, "no such probe"},
		{"/probes/ibex/proxy", 200, "ibex/proxy"},
		{"/probes/ibex/nobody", 404, "no such probe"},
		{"/probes/", 404, ""},
		{"/probes/ibex/proxy/", 404, ""},
		{"/badge/alone.svg", 200, "not run yet"},
		{"/badge/1pass/proxy.svg", 200, "not run yet"},
		{"/badge/proxy.svg", 404, "several of that name"},
		{"/badge/ibex/alone", 404, "no such probe"},
		{"/badge/ibex/nobody.svg", 404, "no such probe"},
		{"/icon/pass.svg", 200, "<circle"},
		{"/icon/../../etc/passwd", 307, ""},
		{"/icon/other.svg", 404, ""},
	} {
		w := ask(h, "GET", c.path)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("GET %s: got %d, wanted %d and %q:\n%.300s", c.path, w.Code, c.status, c.says, w.Body)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("GET %s may be kept", c.path)
		}
	}
	if got := ask(h, "GET", "/probes/alone").Header().Get("Location"); got != "../probes/ibex/alone" {
		t.Errorf("led to %q, which does not hold behind a prefix", got)
	}
}

func TestBadge(t *testing.T) {
	until := Maintenance{Until: time.Unix(1_800_000_000, 0)}
	ran := time.Unix(1_700_000_000, 0)
	for want, row := range map[string]ProbeStatus{
		"passed":                               {Verdict: probe.Pass, Reason: probe.OK, LastRun: ran},
		"FAILED: connection refused":           {Verdict: probe.Fail, Reason: probe.Refused, LastRun: ran},
		"inconclusive: the prober's own clock": {Reason: probe.SelfClock, LastRun: ran},
		"not run yet":                          {Reason: probe.NothingChecked},
		"FAILED: wrong status (maintenance)":   {Verdict: probe.Fail, Reason: probe.Status, LastRun: ran, Maintenance: until},
	} {
		if got := summary(row); got != want {
			t.Errorf("got %q, wanted %q", got, want)
		}
	}
	if a, b, c := badgeSVG("x", "y", probe.Pass), badgeSVG("x", "y", probe.Fail), badgeSVG("x", "y", probe.Inconclusive); a == b || b == c || a == c {
		t.Error("verdicts of one colour")
	}
}

func TestBadge_uptime(t *testing.T) {
	board := NewStatusStore()
	board.SetJobs([]probe.Job{job("proxy")})
	o := optionsFor(board, false)
	day := 24 * time.Hour
	o.Past = func(probe.ID) (probe.Past, error) {
		return probe.Past{Uptimes: [4]probe.Uptime{
			{Span: day, Known: day, Passed: day}, {Span: 7 * day, Known: 7 * day, Passed: 7*day - time.Minute},
			{Span: 30 * day, Known: 30 * day, Passed: 29 * day}, {Span: 90 * day, Known: 44 * day, Passed: 44 * day},
		}}, nil
	}
	h := New(o)
	for span, want := range map[string]struct {
		text    string
		verdict probe.Verdict
	}{"24h": {"proxy 24h: 100 %", probe.Pass}, "7d": {"proxy 7d: 99.99 %", probe.Inconclusive}, "30d": {"proxy 30d: 96.66 %", probe.Fail}, "90d": {"proxy 90d: 100 % (51 % unknown)", probe.Inconclusive}} {
		w := ask(h, "GET", "/badge/ibex/proxy.svg?uptime="+span)
		if got := w.Body.String(); w.Code != 200 || !strings.Contains(got, "<title>"+want.text+"</title>") || !strings.Contains(got, color(want.verdict)) {
			t.Errorf("%s: got %d %s", span, w.Code, got)
		}
	}
	if w := ask(h, "GET", "/badge/ibex/proxy.svg?uptime=1y"); w.Code != 404 {
		t.Errorf("an unknown span: got %d", w.Code)
	}
	o.Past = nil
	if w := ask(New(o), "GET", "/badge/ibex/proxy.svg?uptime=7d"); w.Code != 404 {
		t.Errorf("without history: got %d", w.Code)
	}
}

// TestPages_hostileText fills everything that a probe's page, the badge and the icons show with what would
// do harm if it were not escaped.
func TestPages_hostileText(t *testing.T) {
	evil := `"><script>alert(1)</script><img src=x onerror=alert(1)>'{{.}}</title></svg></style>`
	x := probe.Exchange{
		Check: evil, Target: evil, Method: evil, URL: "javascript:alert(1)//" + evil, Addr: evil, Status: 200, Proto: evil, Reason: probe.Reason{Word: evil}, Took: 5,
		Phases: []probe.Phase{{Name: evil, Took: 5}}, TraceID: evil, TargetTraceID: evil, Version: evil, Denied: evil,
	}
	story := &RunDetail{Checks: []probe.Check{{Name: evil, Target: evil, Reason: probe.Reason{Word: evil}, Detail: evil}}, Exchanges: []probe.Exchange{x}}
	row := ProbeStatus{
		ID: probe.ID{System: evil, Name: evil, Type: evil, Runbook: evil, Severity: evil}, RunbookURL: "javascript:alert(1)", Verdict: probe.Fail,
		About: About{evil, evil, evil, evil, evil}, Cause: probe.Key{System: evil, Name: evil},
		Reason: probe.Reason{Word: evil}, Detail: evil, Failing: story.Checks, Maintenance: Maintenance{Why: evil, Until: time.Unix(1_800_000_000, 0)}, LastRun: time.Unix(1, 0),
	}
	o := full()
	o.Status = func() []ProbeStatus { return []ProbeStatus{row, row} }
	o.Probe = func(string, string) (Detail, bool) {
		return Detail{ProbeStatus: row, Last: story, Failed: &RunDetail{Exchanges: []probe.Exchange{x}}, Job: &probe.Job{
			Labels: map[string]string{evil: evil}, Signals: map[string]probe.Signal{evil: {Name: evil, Labels: map[string]string{evil: evil}}}, DependsOn: []string{evil},
		}}, true
	}
	o.FailedSelfChecks = func() []string { return []string{evil} }
	h := New(o)
	escapedEvil := escaped(evil)
	for path, least := range map[string]int{"/": 10, "/probes/" + escapedEvil: 2, "/probes/x/" + escapedEvil: 25, "/badge/x/" + escapedEvil + ".svg": 4} {
		page := ask(h, "GET", path).Body.String()
		for _, never := range []string{"<script", "<img", `href="javascript:`, `'{{`, "</svg></style>", "</title></svg></style"} {
			if strings.Contains(page, never) {
				t.Errorf("%.30s has %s", path, never)
			}
		}
		if n := strings.Count(page, "&lt;script&gt;"); n < least {
			t.Errorf("the control: the text should be in %d places of %.30s at least, got %d", least, path, n)
		}
	}
	for decoder := xml.NewDecoder(strings.NewReader(ask(h, "GET", "/badge/x/"+escapedEvil+".svg").Body.String())); ; {
		if _, err := decoder.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("the badge is no XML: %v", err)
		}
	}
}
