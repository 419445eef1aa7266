package web

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	g "maragu.dev/gomponents"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// names lists the probes of a page in the order in which they stand there.
func names(page string) []string {
	var all []string
	for _, m := range regexp.MustCompile(`<a class="name" href="./probes/([^"]*)">`).FindAllStringSubmatch(page, -1) {
		all = append(all, m[1])
	}
	return all
}

func TestIndex_failedFirst(t *testing.T) {
	testenv.WithoutRace(t)
	synctest.Test(t, func(t *testing.T) {
		board, _ := storeWithRuns(300, true)
		page := ask(New(optionsFor(board, true)), "GET", "/").Body.String()
		statuses := map[string]ProbeStatus{}
		for _, row := range board.Statuses() {
			statuses[row.Key().String()] = row
		}
		cause, last, level := probe.Key{}, -1, -1
		for _, name := range names(page) {
			row := statuses[name]
			if row.Cause != (probe.Key{}) {
				if row.Cause != cause {
					t.Errorf("%s does not stand below %s, which explains it", name, row.Cause)
				}
				continue
			}
			rank := map[probe.Verdict]int{probe.Fail: 0, probe.Inconclusive: 1, probe.Pass: 2}[row.Verdict]
			if rank < last {
				t.Fatalf("%s, which is %s, comes after what is better", name, row.Verdict)
			}
			if rank > last {
				level = -1
			}
			if row.Verdict != probe.Pass && urgency(row.Severity) < level {
				t.Errorf("%s, which is %s, comes after what is less urgent", name, row.Severity)
			}
			cause, last, level = row.Key(), rank, urgency(row.Severity)
		}
		if n := len(names(page)); n != 300 {
			t.Errorf("%d probes on the page", n)
		}
		for _, want := range []string{
			`<a href="./?verdict=fail"><strong>45</strong> failed</a>`, `<a href="./?verdict=inconclusive"><strong>11</strong> inconclusive</a>`, `<a href="./?verdict=pass"><strong>244</strong> passed</a>`,
			`<title>16 P1, 14 P2, 15 P3 failed since 1999-12-31 23:52:30 UTC (7 min) - ibex prober</title>`, `href="./icon/fail.svg"`,
			`<a href="./?system=shop">shop (9 failed)</a>`,
			"search is in maintenance until", "database move", "Probes keep running, alerts are silenced",
			"The reference cannot be reached", "unknown key expcet",
			"last 40 runs: ", "median ", "next ", `<a href="./incident">Incident note</a>`,
		} {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
	})
}

func TestIndex_filter(t *testing.T) {
	testenv.WithoutRace(t)
	synctest.Test(t, func(t *testing.T) {
		board, _ := storeWithRuns(300, true)
		h := New(optionsFor(board, true))
		page := ask(h, "GET", "/?system=shop").Body.String()
		if got := names(page); len(got) != 60 || slices.ContainsFunc(got, func(n string) bool { return !strings.HasPrefix(n, "shop/") }) {
			t.Errorf("of shop: %d", len(got))
		}
		if !strings.Contains(page, `<a href="./incident?system=shop">Incident note</a>`) {
			t.Error("the note of the system is not led to")
		}
		if !strings.Contains(page, `<a href="./?system=shop" aria-current="true">`) || strings.Contains(page, "in maintenance") {
			t.Error("it is not said what is shown, or told of another system's maintenance")
		}
		page = ask(h, "GET", "/?system=shop&runbook=runbook-3&verdict=pass").Body.String()
		if got := names(page); len(got) != 4 || !strings.Contains(page, `<a href="./?runbook=runbook-3&amp;system=shop&amp;verdict=fail">`) {
			t.Errorf("of one runbook, those that pass: %v", got)
		}
		w := ask(h, "GET", "/?system=nobody")
		if w.Code != 404 || !strings.Contains(w.Body.String(), "no probes") || !strings.Contains(w.Body.String(), `<a href="./">All systems</a>`) {
			t.Errorf("of nobody: got %d", w.Code)
		}
	})
}

// TestIncident_unknownSystem shows that a system's name written wrongly does not read as if all were well.
func TestIncident_unknownSystem(t *testing.T) {
	o := full()
	o.Status = func() []ProbeStatus { return []ProbeStatus{{ID: probe.ID{System: "shop", Name: "up"}}} }
	o.Incident = func(system string) string { return "note of " + system }
	h := New(o)
	for query, want := range map[string]string{"": "200 note of ", "?system=shop": "200 note of shop", "?system=shp": "404 no such system; / lists all\n"} {
		if w := ask(h, "GET", "/incident"+query); fmt.Sprintf("%d %s", w.Code, w.Body) != want {
			t.Errorf("%s: got %d %s", query, w.Code, w.Body)
		}
	}
}

// TestStatus_unknownSystem shows the same of the list for programs.
func TestStatus_unknownSystem(t *testing.T) {
	o := full()
	o.Status = func() []ProbeStatus { return []ProbeStatus{{ID: probe.ID{System: "shop", Name: "up"}}} }
	h := New(o)
	for path, want := range map[string]int{
		"/api/v1/status": 200, "/api/v1/status?system=shop": 200, "/api/v1/status?system=shp": 404, "/api/v1/status?system=shp&recent=0": 404,
		"/?system=shop": 200, "/?system=shp": 404, "/?runbook=typo": 404, "/?system=shop&verdict=fail": 200,
	} {
		if w := ask(h, "GET", path); w.Code != want {
			t.Errorf("%s: got %d, expected %d", path, w.Code, want)
		}
	}
	o.Status = func() []ProbeStatus { return nil }
	if w := ask(New(o), "GET", "/api/v1/status"); w.Code != 200 {
		t.Errorf("without probes and without a name: got %d", w.Code)
	}
}

func TestIndex_refresh(t *testing.T) {
	h := New(full())
	for query, want := range map[string]string{"": "", "?refresh=30": "30", "?refresh=1": "", "?refresh=x": "", "?refresh=99999": "3600"} {
		w := ask(h, "GET", "/"+query)
		if got := w.Header().Get("Refresh"); got != want {
			t.Errorf("%s: Refresh is %q, wanted %q", query, got, want)
		}
		if strings.Contains(w.Body.String(), "http-equiv") {
			t.Error("the page reloads itself by an element")
		}
	}
}

// TestIndex_pagination follows the links of a list from part to part: each probe comes once.
func TestIndex_pagination(t *testing.T) {
	testenv.WithoutRace(t)
	synctest.Test(t, func(t *testing.T) {
		jobs := manyJobs(1100)
		board := NewStatusStore()
		board.SetJobs(jobs)
		h := New(optionsFor(board, false))
		page := ask(h, "GET", "/").Body.String()
		if n := len(names(page)); n != maxRows || !strings.Contains(page, "1 to 500 of 1100.") {
			t.Errorf("%d probes on the first page", n)
		}
		next := regexp.MustCompile(`<a href="./([^"]*)">Next \d+</a>`)
		seen := map[string]bool{}
		for pages := 0; ; pages++ {
			for _, name := range names(page) {
				if seen[name] {
					t.Fatalf("%s comes twice", name)
				}
				seen[name] = true
			}
			m := next.FindStringSubmatch(page)
			if m == nil {
				break
			}
			page = ask(h, "GET", "/"+strings.ReplaceAll(m[1], "&amp;", "&")).Body.String()
			if pages > 10 {
				t.Fatal("there is no end")
			}
		}
		if len(seen) != len(jobs) || !strings.Contains(page, "1001 to 1100 of 1100.") {
			t.Errorf("%d of %d came", len(seen), len(jobs))
		}
		if n := len(names(ask(h, "GET", "/?verdict=inconclusive&from=999999").Body.String())); n != 100 {
			t.Errorf("beyond the end: %d probes, wanted the last part", n)
		}
	})
}

func TestIndex_overdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board, jobs := storeWithRuns(3, false)
		h := New(optionsFor(board, false))
		<-time.After(time.Hour)
		page := ask(h, "GET", "/").Body.String()
		if !strings.Contains(page, "ibex prober: 3 inconclusive") || strings.Contains(page, `class="mark pass"`) || strings.Contains(page, "latency 1") {
			t.Error("what was true an hour ago is shown as if it were now")
		}
		detail := ask(h, "GET", "/probes/ibex/"+jobs[0].Name).Body.String()
		for _, want := range []string{"Last run, out of date", "It does not show the present state.", "<strong>out of date</strong>: expected a run every 30s"} {
			if !strings.Contains(detail, want) {
				t.Errorf("the probe's page lacks %q", want)
			}
		}
		if badge := ask(h, "GET", "/badge/ibex/"+jobs[0].Name+".svg").Body.String(); !strings.Contains(badge, "inconclusive: out of date") {
			t.Errorf("the badge: %s", badge)
		}
	})
}

func TestIndex_maintenance(t *testing.T) {
	var rows []*ProbeStatus
	until := Maintenance{Why: "jobs", Until: time.Unix(1_800_000_000, 0)}
	for i := range 30 {
		row := &ProbeStatus{ID: probe.ID{System: "shop", Name: fmt.Sprint("p", i)}}
		if i < 15 {
			row.Maintenance = until
		}
		rows = append(rows, row)
	}
	got := maintenanceBanners(rows, maxNames)
	if len(got) != 1 || got[0].What != "15 of 30 probes of shop are" || len(got[0].Names) != 12 || got[0].More != 3 || got[0].Why != "jobs" {
		t.Errorf("got %+v", got)
	}
	if got := maintenanceBanners(rows[:15], maxNames); len(got) != 1 || got[0].What != "shop is" || got[0].Names != nil {
		t.Errorf("of a whole system: got %+v", got)
	}
}

func TestChart_withoutColor(t *testing.T) {
	c := newChart([]Run{{Verdict: probe.Pass, Latency: 10e6}, {Verdict: probe.Fail, Latency: 30e6}, {Verdict: probe.Inconclusive, Latency: 20e6}}, 0)
	if c.bars(probe.Pass) != "M185 12h4v8h-4z" || c.bars(probe.Fail) != "M190 0h4v20h-4z" || c.bars(probe.Inconclusive) != "M195.5 4.5h3v15h-3z" {
		t.Errorf("got %q %q %q", c.bars(probe.Pass), c.bars(probe.Fail), c.bars(probe.Inconclusive))
	}
	if c.Words != "last 3 runs: 1 failed, 1 inconclusive, 1 passed" || c.Latencies != "" {
		t.Errorf("got %+v", c)
	}
	if c := newChart(nil, 0); c.Words != "no runs yet" || c.Latencies != "" {
		t.Errorf("of nothing: %+v", c)
	}
	if c := newChart([]Run{{Verdict: probe.Pass}, {Verdict: probe.Pass}}, 0); c.line() != "M192 19L197 19" {
		t.Errorf("of no time at all: %s", c.line())
	}
}

// A refused connection is over at once and is no fast answer: it leaves a gap. A slow answer is drawn although it failed.
func TestChart_latencies(t *testing.T) {
	pass := func(ms time.Duration) Run { return Run{Verdict: probe.Pass, Latency: ms * time.Millisecond} }
	refused := Run{Verdict: probe.Fail, Reason: probe.Refused, Latency: 200 * time.Microsecond}
	slow := Run{Verdict: probe.Fail, Reason: probe.Slow, Latency: 36 * time.Millisecond}
	runs := []Run{pass(9), pass(18), refused, pass(18), refused, pass(9), slow}
	c := newChart(runs, 30*time.Millisecond)
	if want := "M167 14.5L172 10M182 10h1M192 14.5L197 1"; c.line() != want {
		t.Errorf("got %s, expected %s", c.line(), want)
	}
	if want := "latency of 5 runs: median 18 ms, slowest 36 ms, limit 30 ms"; c.Latencies != want {
		t.Errorf("got %q, expected %q", c.Latencies, want)
	}
	for _, x := range []struct {
		limit time.Duration
		top   string
		drawn bool
	}{{30 * time.Millisecond, "36 ms", true}, {72 * time.Millisecond, "72 ms", true}, {time.Second, "36 ms", false}, {0, "36 ms", false}} {
		c := newChart(runs, x.limit)
		var page strings.Builder
		for _, n := range []g.Node{c.scale(), c.latencyBars(), c.ends()} {
			if err := n.Render(&page); err != nil {
				t.Fatal(err)
			}
		}
		got := page.String()
		if !strings.Contains(got, "<span>"+x.top+"</span>") || strings.Contains(got, `<path class="limit"`) != x.drawn || strings.Contains(got, "above the scale") != (x.limit == time.Second) {
			t.Errorf("limit %s: got %s", x.limit, got)
		}
		if n := strings.Count(got, `class="latency"`); n != 5 {
			t.Errorf("%d bars, expected 5: %s", n, got)
		}
	}
}

func TestChart_eachRunHasWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that the times are of today
		board, jobs := storeWithRuns(3, true)
		jobs[1].Probe = limited{limit: 80 * time.Millisecond}
		h := New(optionsFor(board, true))
		page := ask(h, "GET", "/probes/ibex/"+jobs[1].Name).Body.String()
		first, last := formatTime(time.Now().Add(-40*jobs[1].Interval)), formatTime(time.Now().Add(-jobs[1].Interval))
		for _, want := range []string{
			"<title>" + last + ": failed, wrong status, ", "<title>" + first + ": passed, ", "limit 80 ms",
			strings.TrimSuffix(first, " UTC") + "</time><time datetime=", strings.TrimSuffix(last, " UTC") + "</time></div>",
		} {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		if n := strings.Count(page, ": passed, ") + strings.Count(page, ": failed, "); n < 40 {
			t.Errorf("%d of 40 runs have words", n)
		}
		front := ask(h, "GET", "/").Body.String()
		if !strings.Contains(front, "<title>"+last+": failed, wrong status, ") {
			t.Error("a failed row has no words for its runs")
		}
		if strings.Contains(front, "<br>latency") {
			t.Error("a failed run has a latency")
		}
	})
}

// limited is a probe with a maximum of its latency.
type limited struct {
	probe.Probe
	limit time.Duration
}

func (l limited) LatencyLimit() time.Duration { return l.limit }

func TestStatus_fields(t *testing.T) {
	testenv.WithoutRace(t)
	synctest.Test(t, func(t *testing.T) {
		board, _ := storeWithRuns(300, true)
		h := New(optionsFor(board, true))
		type status struct {
			Summary struct{ Pass, Fail, Inconclusive int }
			Probes  []struct {
				System      string
				NextRun     time.Time `json:"next_run"`
				Maintenance *struct {
					Why   string
					Until time.Time
				}
				Recent []struct {
					Started         time.Time
					Verdict, Reason string
					Latency         float64 `json:"latency_seconds"`
				}
			}
		}
		read := func(path string) (s status) {
			if err := json.Unmarshal(ask(h, "GET", path).Body.Bytes(), &s); err != nil {
				t.Fatal(err)
			}
			return s
		}
		s := read("/api/v1/status")
		if len(s.Probes) != 300 || s.Summary.Fail != 45 {
			t.Fatalf("%d probes, %+v", len(s.Probes), s.Summary)
		}
		p := s.Probes[1]
		if !p.NextRun.Equal(time.Now().Add(17*time.Second)) || p.Maintenance != nil || len(p.Recent) != maxRuns {
			t.Errorf("got %+v", p)
		}
		if r := p.Recent[maxRuns-1]; r.Verdict != "fail" || r.Reason != "status" || r.Latency < .01 || !r.Started.Equal(time.Now().Add(-30*time.Second)) {
			t.Errorf("the last run: %+v", r)
		}
		if m := s.Probes[299].Maintenance; m == nil || m.Why != "database move" || !m.Until.Equal(time.Now().Add(time.Hour)) {
			t.Errorf("maintenance: %+v", m)
		}
		if s := read("/api/v1/status?system=shop&recent=0"); len(s.Probes) != 60 || s.Summary.Fail != 9 || s.Probes[0].Recent != nil {
			t.Errorf("of one system: %d probes, %+v", len(s.Probes), s.Summary)
		}
	})
}

func TestIndex_groupsFailures(t *testing.T) {
	check := func(name, target, detail string) probe.Check {
		return probe.Check{Name: name, Target: target, Verdict: probe.Fail, Reason: probe.Refused, Detail: detail, TraceID: "of " + name + target}
	}
	checks := []probe.Check{check("live", "a", "down"), check("ready", "a", "down"), check("live", "b", "down"), check("live", "c", "gone"), check("count", "", "two")}
	for i := range 20 {
		checks = append(checks, check("ready", fmt.Sprint("t", i), "down"))
	}
	o := full()
	o.Status = func() []ProbeStatus { return []ProbeStatus{{Verdict: probe.Fail, Failing: checks}} }
	page := visible(ask(New(o), "GET", "/").Body.String())
	for _, want := range []string{
		"live a, b: connection refused : down", "live c: connection refused : gone", "count: connection refused : two",
		"ready a, t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10 and 9 more: connection refused : down",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page[strings.Index(page, "FAIL"):])
		}
	}
	o.Status = func() []ProbeStatus {
		return []ProbeStatus{{Verdict: probe.Fail, Check: "live", Detail: "down", Failing: []probe.Check{checks[0], checks[2], checks[3]}}}
	}
	page = visible(ask(New(o), "GET", "/").Body.String())
	if !strings.Contains(page, "down (check live a, b)") || strings.Contains(page, "live a, b:") || !strings.Contains(page, "live c: connection refused : gone") {
		t.Errorf("one thing is said twice: %s", page[strings.Index(page, "FAIL"):])
	}
	o.Status = func() []ProbeStatus {
		replicas := []probe.Check{check("live", "10.0.0.1:80", "refused by 10.0.0.1:80"), check("live", "10.0.0.2:80", "refused by 10.0.0.2:80")}
		return []ProbeStatus{{Verdict: probe.Fail, Check: "live", Detail: "refused by 10.0.0.1:80", Failing: replicas}}
	}
	if page := visible(ask(New(o), "GET", "/").Body.String()); !strings.Contains(page, "refused by it (check live 10.0.0.1:80, 10.0.0.2:80)") {
		t.Errorf("each replica is told for itself: %s", page[strings.Index(page, "FAIL"):])
	}
}
