package alerts

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// sampled is a run of a probe with samples of one series, by the value of its only label.
func (p *past) sampled(j probe.Job, after time.Duration, c probe.Check, series, label string, values map[string]float64) {
	p.now = p.now.Add(after)
	r := probe.Result{ID: j.ID, Started: p.now, Checks: []probe.Check{c}}
	for _, name := range []string{"a", "b", "c"} {
		if value, ok := values[name]; ok {
			r.Samples = append(r.Samples, probe.Sample{Measure: &probe.Measure{Name: series, Labels: []string{label}}, Values: []string{name}, Value: value})
		}
	}
	p.Observe(r)
}

var passes = probe.Check{Name: "identity", Verdict: probe.Pass, Reason: probe.OK}

// TestEvaluator_breach: a breach is told for an hour, for each surface, however mild the runbook is, and passes take it not back.
func TestEvaluator_breach(t *testing.T) {
	mild := change(tenants, func(j *probe.Job) { j.Severity = "P3" })
	p := newPast(mild)
	told := func() (all []string) {
		for _, a := range p.Alerts(p.now) {
			if a.Labels["alertname"] == "ProbeBreach" {
				all = append(all, a.Labels["surface"]+" "+a.Labels["runbook_severity"])
			}
		}
		slices.Sort(all)
		return all
	}
	for _, step := range []struct {
		after  time.Duration
		values map[string]float64
		want   string
	}{
		{time.Minute, map[string]float64{"a": 0, "b": 0}, "[]"},
		{time.Minute, map[string]float64{"a": 1, "b": 0}, "[a P1]"},
		{time.Minute, nil, "[a P1]"},
		{28 * time.Minute, map[string]float64{"b": 1}, "[a P1 b P1]"},
		{31 * time.Minute, nil, "[b P1]"},
		{30 * time.Minute, nil, "[]"},
	} {
		p.sampled(mild, step.after, passes, breaches, "surface", step.values)
		if got := fmt.Sprint(told()); got != step.want {
			t.Errorf("after %s: got %s, expected %s", p.now.Sub(p.began), got, step.want)
		}
	}
}

// TestEvaluator_unproven: that tenants are apart must have been proven within a time, for each surface.
func TestEvaluator_unproven(t *testing.T) {
	p := newPast(tenants)
	at := func(d time.Duration) float64 { return float64(p.began.Add(d).Unix()) }
	var longest time.Duration
	for _, step := range []struct {
		at   time.Duration
		a, b float64
		want bool
	}{
		{time.Minute, 0, 0, false}, // not long enough
		{time.Hour, at(time.Hour), at(time.Hour), false},
		{time.Hour + 10*time.Minute, at(time.Hour + 10*time.Minute), at(time.Hour + 10*time.Minute), false},
		{6 * time.Hour, at(6 * time.Hour), at(time.Hour), true},
		{7 * time.Hour, at(7 * time.Hour), at(7 * time.Hour), false},
	} {
		p.now = p.began
		p.sampled(tenants, step.at, passes, lastProven, "surface", map[string]float64{"a": step.a, "b": step.b})
		if got := strings.Contains(p.names(), "ProbeIsolationUnproven"); got != step.want {
			t.Errorf("after %s: unproven %t, expected %t", step.at, got, step.want)
		}
		longest = step.at
	}
	p.now = p.began.Add(longest)
	p.sampled(tenants, 5*time.Hour, passes, lastProven, "surface", nil)
	if !strings.Contains(p.names(), "ProbeIsolationUnproven") {
		t.Error("what no run proves any more counts as proven")
	}
}

// TestEvaluator_primaries: no primary and two are told, one of several is right.
func TestEvaluator_primaries(t *testing.T) {
	fails := probe.Check{Name: checkPrimary, Verdict: probe.Fail, Reason: probe.Reason{Word: "primaries", Verdict: probe.Fail}}
	for name, c := range map[string]struct {
		check  probe.Check
		values map[string]float64
		want   string
	}{
		"one":                         {passes, map[string]float64{"a": 0, "b": 1, "c": 1}, ""},
		"two":                         {fails, map[string]float64{"a": 0, "b": 0, "c": 1}, "ProbeTwoPrimaries"},
		"three":                       {fails, map[string]float64{"a": 0, "b": 0, "c": 0}, "ProbeTwoPrimaries"},
		"none":                        {fails, map[string]float64{"a": 1, "b": 1}, "ProbeNoPrimary"},
		"one, and the check fails":    {fails, map[string]float64{"a": 0, "b": 1}, ""},
		"nothing is known of servers": {fails, nil, ""},
	} {
		p := newPast(servers)
		p.sampled(servers, time.Minute, c.check, sqlInRecovery, "server", c.values)
		got := ""
		for _, name := range strings.Fields(p.names()) {
			if strings.HasSuffix(name, "Primaries") || strings.HasSuffix(name, "Primary") {
				got = name
			}
		}
		if got != c.want {
			t.Errorf("%s: got %s, expected %s", name, got, c.want)
		}
	}
}

// TestEvaluator_changed: who waits for news hears of the first run, of each change and of whatever did not pass.
func TestEvaluator_changed(t *testing.T) {
	p := newPast(up)
	select { // the configuration
	case <-p.changed:
	default:
	}
	for i, step := range []struct {
		verdict probe.Verdict
		want    bool
	}{{probe.Pass, true}, {probe.Pass, false}, {probe.Fail, true}, {probe.Fail, true}, {probe.Inconclusive, true}, {probe.Pass, true}, {probe.Pass, false}} {
		p.runs(up, up.Interval, 0, step.verdict)
		got := false
		select {
		case <-p.changed:
			got = true
		default:
		}
		if got != step.want {
			t.Errorf("run %d, %s: news %t, expected %t", i, step.verdict, got, step.want)
		}
	}
}

// TestEvaluator_says: an alert on a probe says which check failed and why.
func TestEvaluator_says(t *testing.T) {
	p := newPast(up)
	p.runs(up, time.Minute, 0, probe.Pass)
	p.runs(up, 10*time.Minute, 0, probe.Fail)
	all := p.Alerts(p.now)
	i := slices.IndexFunc(all, func(a probe.Alert) bool { return a.Labels["alertname"] == "ProbeFailing" })
	if i < 0 || all[i].Reason != "refused" || !strings.Contains(all[i].Annotations["description"], "status (refused)") {
		t.Errorf("got %+v", all)
	}
}

// TestState_exchanges: of the answers of a run it is known whether one names another trace and, unless all passed, their statuses.
func TestState_exchanges(t *testing.T) {
	sent, constant := strings.Repeat("ab", 16), strings.Repeat("0", 31)+"1"
	of := func(v probe.Verdict, traces ...string) *state {
		r := probe.Result{ID: up.ID, Started: time.Now(), Checks: []probe.Check{{Name: "status", Verdict: v}}}
		for _, got := range traces {
			r.Exchanges = append(r.Exchanges, probe.Exchange{Check: "status", Status: 502, TraceID: sent, TargetTraceID: got})
		}
		return newState(up, time.Now()).after(&r, time.Time{})
	}
	for name, c := range map[string]struct {
		state *state
		other bool
		codes int
	}{
		"none is named":     {of(probe.Fail, ""), false, 1},
		"the one sent":      {of(probe.Fail, sent, sent), false, 2},
		"a constant":        {of(probe.Fail, constant), true, 1},
		"one of two":        {of(probe.Pass, constant, sent), true, 0},
		"inconclusive":      {of(probe.Inconclusive, sent), false, 1},
		"very many answers": {of(probe.Fail, make([]string, maxChecks+1)...), false, maxChecks},
	} {
		if got := c.state; got.otherTrace != c.other || len(got.codes) != c.codes {
			t.Errorf("%s: another trace %t, %d statuses", name, got.otherTrace, len(got.codes))
		}
	}
}

// TestErrorRate: runs under maintenance, now or then, and failures that have alerts of their own are left out.
func TestErrorRate(t *testing.T) {
	now := time.Now()
	of := func(window []probe.Window, targetOnly bool) bool {
		j := change(up, func(j *probe.Job) { j.Maintenance = window })
		s := &state{}
		for n := range 40 {
			s.runs = append(s.runs, run{at: now.Add(time.Duration(n-40) * 10 * time.Second).UnixMilli(), verdict: int8(probe.Fail), targetOnly: targetOnly && n == 39})
		}
		m := &moment{now: now, states: map[probe.Key]*state{j.Key(): s}}
		return (&view{moment: m}).errorRate([]probe.Job{j}, 10*time.Minute) != nil
	}
	for name, c := range map[string]struct {
		window     []probe.Window
		targetOnly bool
		want       bool
	}{
		"all fail":            {nil, false, true},
		"and one for its own": {nil, true, false},
		"maintained now":      {[]probe.Window{{From: now.Add(-time.Second), To: now.Add(time.Hour)}}, false, false},
		"maintained then":     {[]probe.Window{{From: now.Add(-5 * time.Minute), To: now.Add(-4 * time.Minute)}}, false, false},
		"maintained long ago": {[]probe.Window{{From: now.Add(-5 * time.Hour), To: now.Add(-4 * time.Hour)}}, false, true},
	} {
		if got := of(c.window, c.targetOnly); got != c.want {
			t.Errorf("%s: told %t, expected %t", name, got, c.want)
		}
	}
}

// TestSlow: the 95th percentile is that of the nearest rank, and needs enough conclusive runs.
func TestSlow(t *testing.T) {
	now := time.Now()
	of := func(fast, slow, inconclusive, old int) *view {
		s := &state{}
		add := func(n int, took int32, v probe.Verdict, at time.Time) {
			for range n {
				s.runs = append(s.runs, run{at: at.UnixMilli(), took: took, verdict: int8(v)})
			}
		}
		add(old, 9000, probe.Pass, now.Add(-2*time.Hour))
		add(fast, 100, probe.Pass, now)
		add(slow, 5000, probe.Fail, now)
		add(inconclusive, 100, probe.Inconclusive, now)
		return &view{moment: &moment{now: now}, state: s}
	}
	const enough = minLatencySamples
	for name, c := range map[string]struct {
		view *view
		want bool
	}{
		"two of forty":                   {of(38, 2, 0, 0), false},
		"three of forty":                 {of(37, 3, 0, 0), true},
		"ten of two hundred":             {of(190, 10, 0, 0), false},
		"eleven of two hundred":          {of(189, 11, 0, 0), true},
		"all of enough":                  {of(0, enough, 0, 0), true},
		"all of one too few":             {of(0, enough-1, 0, 0), false},
		"and one that proves nothing":    {of(0, enough-1, 1, 0), false},
		"all, long ago":                  {of(0, 0, 0, 100), false},
		"as slow as it may be, and fast": {of(100, 0, 0, 100), false},
	} {
		if got := c.view.slow(time.Hour); (got != nil) != c.want || c.want && got[0].value != 5 {
			t.Errorf("%s: got %v, expected %t", name, got, c.want)
		}
	}
}

// TestKeepRuns: as many runs are kept as conditions look back to.
func TestKeepRuns(t *testing.T) {
	for interval, want := range map[time.Duration]int{
		0: int(1.5*minRuns + 1), time.Hour: max(int(1.5*minRuns+1), minLatencySamples*5/4) + 1, 10 * time.Second: 61, time.Second: 601, 100 * time.Millisecond: maxRuns,
	} {
		if got := newState(change(up, func(j *probe.Job) { j.Interval = interval }), time.Now()).keepRuns; got != want {
			t.Errorf("every %s: %d runs are kept, expected %d", interval, got, want)
		}
	}
}

// TestGroupByRunbook: probes of one runbook, with one address and one severity, are one group.
func TestGroupByRunbook(t *testing.T) {
	of := func(runbook, url, severity string) probe.Job {
		return change(up, func(j *probe.Job) { j.Runbook, j.RunbookURL, j.Severity = runbook, url, severity })
	}
	var got []string
	for _, g := range groupByRunbook([]probe.Job{of("a", "u", "P1"), of("a", "u", "P2"), of("a", "v", "P1"), of("b", "u", "P1"), of("a", "u", "P1")}) {
		got = append(got, fmt.Sprint(g.runbook, g.url, g.severity.word, len(g.jobs)))
	}
	if want := "[auP12 auP21 avP11 buP11]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, expected %s", got, want)
	}
}

// TestServiceAlerts_ofOthers: a counter of another system, or of no probe of this one, has no alerts here.
func TestServiceAlerts_ofOthers(t *testing.T) {
	for name, c := range map[string]struct {
		counter Counter
		want    bool
	}{
		"of the system":        {Counter{System: "shop", Metric: "requests_total"}, true},
		"of one of its probes": {Counter{System: "shop", Metric: "requests_total", Probes: []string{"up"}}, true},
		"of a probe elsewhere": {Counter{System: "shop", Metric: "requests_total", Probes: []string{"elsewhere"}}, false},
		"of another system":    {Counter{System: "bank", Metric: "requests_total"}, false},
	} {
		for _, s := range systems([]probe.Job{up}, Options{Kinds: kinds(), Counters: []Counter{c.counter}}) {
			if got := len(s.serviceAlerts()) > 0; got != c.want {
				t.Errorf("%s: alerts %t, expected %t", name, got, c.want)
			}
		}
	}
}

func TestExpand(t *testing.T) {
	labels := map[string]string{"surface": "a/b"}
	for template, want := range map[string]string{
		"{{ $labels.surface }} at {{ $value }}": "a/b at 0.5", `{{"{{"}} is none`: "{{ is none",
		"before{{ range query \"x\" }} {{ .Value }} {{ end }}after": "beforeafter", "{{ $labels.none }}.": ".",
	} {
		if got := expand(template, labels, 0.5); got != want {
			t.Errorf("%s: got %q, expected %q", template, got, want)
		}
	}
}

func TestWhen(t *testing.T) {
	if got := when(0) + ", " + when(5*time.Minute); got != "at once, within 5m" {
		t.Error(got)
	}
}

// TestSLO_pages: what spends a budget within hours pages, what takes days is a ticket.
func TestSLO_pages(t *testing.T) {
	j := change(up, func(j *probe.Job) { j.SLO = probe.Objective{Percent: 99.9, Window: 30 * 24 * time.Hour} })
	seen := map[string]string{}
	for _, g := range Rules([]probe.Job{j}, Options{Kinds: kinds()}).Groups {
		for _, r := range g.Rules {
			if r.Alert == burnAlert {
				seen[r.Labels["burn"]] = r.Expr + " " + r.Labels["severity"]
			}
		}
	}
	fast, slow := seen["fast"], seen["slow"]
	if !strings.Contains(fast, "1h") || strings.Contains(fast, "72h") || !strings.Contains(slow, "72h") || strings.Contains(slow, "5m{") || !strings.HasSuffix(fast, " critical") || strings.HasSuffix(slow, " critical") {
		t.Errorf("got fast\n%s\nslow\n%s", fast, slow)
	}
}

// TestState_bounded: of a probe no more surfaces are kept than have room, and those that are kept go on.
func TestState_bounded(t *testing.T) {
	t.Parallel()
	var s state
	measure := &probe.Measure{Name: lastProven, Labels: []string{"surface"}}
	prove := func(n int, at float64) {
		s.keep(probe.Sample{Measure: measure, Value: at, Values: []string{strings.Repeat("s", n+1)}}, time.Time{})
	}
	for _, at := range []float64{100, 200} {
		for n := range 2 * maxChecks {
			prove(n, at)
		}
		if first := s.proven["s"]; len(s.proven) != maxChecks || first != at {
			t.Errorf("%d surfaces, the first proven at %g, expected %d at %g", len(s.proven), first, maxChecks, at)
		}
	}
}
