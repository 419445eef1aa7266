package web

import (
	"strings"
	"testing"

	"prober/internal/probe"
)

// TestIndex_lead: the first failure names what it explains, and nothing else.
func TestIndex_lead(t *testing.T) {
	row := func(name string, cause probe.Key) ProbeStatus {
		return ProbeStatus{ID: probe.ID{System: "shop", Name: name, Severity: "P1"}, Verdict: probe.Fail, Reason: probe.Refused, Detail: "nobody listens", Cause: cause}
	}
	database := probe.Key{System: "shop", Name: "database"}
	o := full()
	o.Status = func() []ProbeStatus {
		return []ProbeStatus{row("database", probe.Key{}), row("login", database), row("mail", probe.Key{}), row("orders", database)}
	}
	page := ask(New(o), "GET", "/").Body.String()
	_, text, ok := strings.Cut(page, `class="lead"`)
	text, _, _ = strings.Cut(text, "</p>")
	if !ok || !strings.Contains(text, ">database</a>: ") || !strings.Contains(visible(text), "It explains login , orders .") {
		t.Errorf("the first failure is told as %s", text)
	}
	o.Status = func() []ProbeStatus { return []ProbeStatus{row("database", probe.Key{}), row("mail", probe.Key{})} }
	if page := ask(New(o), "GET", "/").Body.String(); strings.Contains(page, "It explains") || !strings.Contains(page, ">database</a>: ") {
		t.Errorf("nothing is explained, and the page does not begin with the database, or explains something")
	}
}

// TestExchanges_failed: a request is marked that a check rests on which did not pass, or that got no answer, and no other.
func TestExchanges_failed(t *testing.T) {
	answered := probe.Exchange{Check: "status", TraceID: "a", Status: 200, Reason: probe.OK}
	other := probe.Exchange{Check: "other", TraceID: "b", Status: 500, Reason: probe.OK}
	broken := probe.Exchange{Check: "third", Reason: probe.Refused}
	wanted := probe.Exchange{Check: "fourth", Reason: probe.Refused, Expected: true}
	for name, c := range map[string]struct {
		checks []probe.Check
		want   string // a mark for each exchange
	}{
		"all passed":         {[]probe.Check{{Name: "status", Verdict: probe.Pass}, {Name: "other", Verdict: probe.Pass}}, "--x-"},
		"one failed":         {[]probe.Check{{Name: "status", Verdict: probe.Pass}, {Name: "other", Verdict: probe.Fail}}, "-xx-"},
		"one is not known":   {[]probe.Check{{Name: "status", Verdict: probe.Inconclusive}, {Name: "other", Verdict: probe.Pass}}, "x-x-"},
		"it cites a request": {[]probe.Check{{Name: "body", Verdict: probe.Fail, TraceID: "b"}}, "-xx-"},
	} {
		got := ""
		for _, v := range exchanges(&RunDetail{Checks: c.checks, Exchanges: []probe.Exchange{answered, other, broken, wanted}}) {
			got += map[bool]string{true: "x", false: "-"}[v.Failed]
			if v.Open != v.Failed {
				t.Errorf("%s: %s is open: %t", name, v.For, v.Open)
			}
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

// TestStatusStore_changed: pages that are open learn of a reload too.
func TestStatusStore_changed(t *testing.T) {
	b := NewStatusStore()
	b.SetJobs([]probe.Job{job("a")})
	for what, change := range map[string]func(){
		"a reload": func() { b.SetJobs([]probe.Job{job("a"), job("b")}) },
		"a run":    func() { b.Observe(resultOf(job("a"), probe.OK)) },
	} {
		changed := b.Changed()
		select {
		case <-changed:
			t.Errorf("before %s it has changed", what)
		default:
		}
		change()
		select {
		case <-changed:
		default:
			t.Errorf("nobody is told of %s", what)
		}
	}
}

// TestIncident_type: the note is no page, whatever stands in it.
func TestIncident_type(t *testing.T) {
	o := full()
	o.Incident = func(string) string { return "<html><script>alert(1)</script>" }
	if w := ask(New(o), "GET", "/incident"); w.Code != 200 || w.Header().Get("Content-Type") != "text/markdown; charset=utf-8" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("got %d, %v", w.Code, w.Header())
	}
}
