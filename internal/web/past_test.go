package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// TestFormatUptime: a share is never rounded up, and what is not known is beside it.
func TestFormatUptime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		passed, known, span time.Duration
		want                string
	}{
		{0, 0, 24 * time.Hour, "unknown"},
		{24 * time.Hour, 24 * time.Hour, 24 * time.Hour, "100 %"},
		{24*time.Hour - time.Second, 24 * time.Hour, 24 * time.Hour, "99.99 %"},
		{0, 24 * time.Hour, 24 * time.Hour, "0 %"},
		{6 * time.Hour, 12 * time.Hour, 24 * time.Hour, "50 % (50 % unknown)"},
		{time.Hour, time.Hour, 90 * 24 * time.Hour, "100 % (over 99 % unknown)"},
		{24*time.Hour - time.Minute, 24*time.Hour - time.Minute, 24 * time.Hour, "100 % (under 1 % unknown)"},
	} {
		if got := formatUptime(probe.Uptime{Passed: c.passed, Known: c.known, Span: c.span}); got != c.want {
			t.Errorf("%s of %s in %s: got %q, expected %q", c.passed, c.known, c.span, got, c.want)
		}
	}
}

// remembering are options with a past, whose text is hostile.
func remembering() (Options, *[]probe.Breach) {
	board, jobs := storeWithRuns(2, true)
	o := optionsFor(board, true)
	day := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	u := probe.Uptime{Span: 24 * time.Hour, Known: 23 * time.Hour, Passed: 22 * time.Hour}
	o.Uptimes = func(ids []probe.ID) []probe.Uptime {
		all := make([]probe.Uptime, len(ids))
		for i := range all {
			all[i] = u
		}
		return all
	}
	o.Past = func(probe.ID) (probe.Past, error) {
		return probe.Past{
			Uptimes: [4]probe.Uptime{u, u, {Span: 30 * 24 * time.Hour}, u},
			Hours: []probe.Day{
				{Start: day.Add(20 * time.Hour), Uptime: probe.Uptime{Span: time.Hour}},
				{Start: day.Add(21 * time.Hour), Uptime: probe.Uptime{Span: time.Hour, Known: time.Hour, Passed: time.Hour}, Pass: 60, Latency95: 8 * time.Millisecond, LatencyMax: 40 * time.Millisecond},
				{Start: day.Add(22 * time.Hour), Uptime: probe.Uptime{Span: time.Hour, Known: time.Hour}, Fail: 60},
				{Start: day.Add(23 * time.Hour), Uptime: probe.Uptime{Span: 10 * time.Minute, Known: 10 * time.Minute, Passed: 5 * time.Minute}, Pass: 5, Fail: 5, Latency95: 16 * time.Millisecond, LatencyMax: 16 * time.Millisecond},
			},
			Days: []probe.Day{
				{Start: day.AddDate(0, 0, -3), Uptime: probe.Uptime{Span: 24 * time.Hour}},
				{Start: day.AddDate(0, 0, -2), Inconclusive: 5},
				{Start: day.AddDate(0, 0, -1), Uptime: u, Pass: 90, Fail: 2, Latency95: 8 * time.Millisecond, LatencyMax: 40 * time.Millisecond},
				{Start: day, Uptime: u, Pass: 90},
			},
			Changes: []probe.Change{{At: day, Verdict: probe.Fail, Reason: "status", Detail: "expected <b>2xx"}},
		}, nil
	}
	breaches := &[]probe.Breach{{Key: jobs[0].Key(), Reason: "leak_<b>", First: day, Last: day.Add(time.Hour)}}
	o.Breaches = func() []probe.Breach { return append([]probe.Breach(nil), *breaches...) }
	o.Acknowledge = func(k probe.Key, by, why string) error {
		for i := range *breaches {
			if b := &(*breaches)[i]; b.Key == k && b.Acknowledged.At.IsZero() {
				b.Acknowledged = probe.Acknowledgement{At: day.Add(2 * time.Hour), By: by, Why: why}
				return nil
			}
		}
		return errors.New("no breach of this probe")
	}
	return o, breaches
}

// TestPast shows uptime with the unknown beside it, the days, the changes, and on the list the last day.
func TestPast(t *testing.T) {
	t.Parallel()
	o, _ := remembering()
	h := New(o)
	page := ask(h, "GET", "/probes/ibex/http-000").Body.String()
	for _, want := range []string{
		"95.65 % (4 % unknown)", "Last 30 days</dt><dd>unknown", "1 of the last 4 days had failures",
		"2026-11-27: 95.65 % (4 % unknown), 2 failed, 90 passed, latency 95 % within 8.0 ms, max 40 ms", "2026-11-26: unknown, 5 inconclusive",
		"expected &lt;b&gt;2xx", `class="inconclusive"`,
		"last 24 hours: 65 failed, 65 passed", "2 of the last 4 hours had failures", "21:00 to 22:00 UTC: 100 %, 60 passed, latency 95 % within 8.0 ms, max 40 ms", "22:00 to 23:00 UTC: 0 %, 60 failed",
		"latency of the last 24 hours: within 16 ms for 95 % of the runs of each hour",
		`<path class="pass" d="M8 12h7v8h-7z"><title>21:00`, `<path class="fail" d="M16 0h7v20h-7z"><title>22:00`, `<path class="latency" d="M24 1h7V60h-7z"><title>23:00 to 23:10 UTC`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("expected %q on the page:\n%s", want, page)
		}
	}
	if strings.Contains(page, "<title>20:00 to ") {
		t.Error("an hour without runs has a bar")
	}
	if n := strings.Count(page, `class="latency" d="M`); n < 2 || strings.Contains(page, `class="latency" d="M16 `) {
		t.Error("an hour in which nothing passed has a latency, or none has")
	}
	if strings.Contains(page, "<b>") || strings.Contains(page, "2026-11-25:") {
		t.Error("text is not escaped, or a day without runs has a bar")
	}
	list := ask(h, "GET", "/").Body.String()
	if n := strings.Count(list, "24 h: 95.65 % (4 % unknown)"); n != 2 {
		t.Errorf("%d of 2 rows have an uptime:\n%s", n, list)
	}
	o.Past = func(probe.ID) (probe.Past, error) {
		return probe.Past{}, errors.New("the history cannot be read at the moment")
	}
	o.Uptimes = func([]probe.ID) []probe.Uptime { return nil }
	h = New(o)
	if page := ask(h, "GET", "/probes/ibex/http-000").Body.String(); !strings.Contains(page, "The history is not shown.") {
		t.Errorf("got %s", page)
	}
	if w := ask(h, "GET", "/"); w.Code != 200 {
		t.Errorf("got %d", w.Code)
	}
}

// TestAcknowledge: a breach stays on the page until somebody acknowledges it with a reason, and it is written down who did.
func TestAcknowledge(t *testing.T) {
	t.Parallel()
	o, breaches := remembering()
	user := ""
	o.User = func(*http.Request) string { return user }
	h := New(o)
	const path = "/probes/ibex/http-000/acknowledge"
	post := func(h http.Handler, target, form string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", target, strings.NewReader(form))
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i < len(headers); i += 2 {
			if r.Header.Set(headers[i], headers[i+1]); headers[i] == "Host" {
				r.Host = headers[i+1]
			}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for _, page := range []string{"/", "/probes/ibex/http-000", "/?system=ibex"} {
		text := ask(h, "GET", page).Body.String()
		if !strings.Contains(text, "Breach: ibex/http-000 saw leak &lt;b&gt;.") || !strings.Contains(text, "Acknowledge</button>") || strings.Contains(text, "<b>") {
			t.Errorf("%s does not show the breach:\n%s", page, text)
		}
	}
	if strings.Contains(ask(h, "GET", "/probes/ibex/http-001").Body.String(), "Breach:") {
		t.Error("another probe shows the breach")
	}
	off := o
	off.Acknowledge = nil
	if strings.Contains(ask(New(off), "GET", "/").Body.String(), "Acknowledge</button>") {
		t.Error("there is a button that does nothing")
	}
	for name, c := range map[string]struct {
		h       http.Handler
		path    string
		form    string
		headers []string
		status  int
	}{
		"no reason":     {h, path, "why=+%0a", nil, 400},
		"another field": {h, path + "?why=x", "reason=x", nil, 400},
		"another site":  {h, path, "why=x", []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, 403},
		"another host":  {h, path, "why=x", []string{"Host", "evil.example"}, 403},
		"not enabled":   {New(off), path, "why=x", nil, 403},
		"no breach":     {h, "/probes/ibex/http-001/acknowledge", "why=x", nil, 404},
		"no probe":      {h, "/probes/ibex/none/acknowledge", "why=x", nil, 404},
	} {
		if w := post(c.h, c.path, c.form, c.headers...); w.Code != c.status {
			t.Errorf("%s: got %d %s, expected %d", name, w.Code, w.Body, c.status)
		}
	}
	if w := ask(h, "GET", path); w.Code != 405 {
		t.Errorf("GET: got %d", w.Code)
	}
	if !(*breaches)[0].Acknowledged.At.IsZero() {
		t.Fatal("one of these acknowledged it")
	}
	w := post(h, path, "why=rotated+%3Cb%3Ethe+key%0d%0a"+strings.Repeat("x", 500), "Accept", "text/html")
	if w.Code != 303 || w.Header().Get("Location") != "../http-000" {
		t.Errorf("got %d to %q", w.Code, w.Header().Get("Location"))
	}
	if a := (*breaches)[0].Acknowledged; a.By != "unauthenticated" || strings.ContainsAny(a.Why, "\r\n") || len(a.Why) > maxWhy+3 {
		t.Errorf("got %+v", a)
	}
	if strings.Contains(ask(h, "GET", "/").Body.String(), "Breach:") {
		t.Error("an acknowledged breach has its banner still")
	}
	text := ask(h, "GET", "/probes/ibex/http-000").Body.String()
	if !strings.Contains(text, "acknowledged by unauthenticated at") || !strings.Contains(text, "rotated &lt;b&gt;the key") || strings.Contains(text, "<b>") {
		t.Errorf("the page does not say who acknowledged it:\n%s", text)
	}
	if w := post(h, path, "why=x"); w.Code != 404 {
		t.Errorf("the second time: got %d", w.Code)
	}
	(*breaches)[0].Acknowledged, user = probe.Acknowledgement{}, "on-call"
	(*breaches)[0].Name = "removed"
	w = post(h, "/probes/ibex/removed/acknowledge", "why=x", "Accept", "text/html")
	if w.Code != 303 || w.Header().Get("Location") != "../../../" || (*breaches)[0].Acknowledged.By != "on-call" {
		t.Errorf("of a probe that is gone: got %d to %q, %+v", w.Code, w.Header().Get("Location"), *breaches)
	}
}

// TestIncidents lists past incidents with their notes, page by page.
func TestIncidents(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	var all []probe.IncidentRecord
	for n := range 7 {
		all = append(all, probe.IncidentRecord{System: "shop", Start: start.Add(-time.Duration(n) * time.Hour), Probes: []string{"up", "home"}, Note: fmt.Sprintf("## Incident\nnote <b>%d", n)})
	}
	all[0].Ongoing, all[1].End, all[1].Severity = true, all[1].Start.Add(12*time.Minute), "P1"
	o := Options{Hosts: []string{"prober.example"}, Incidents: func(before time.Time) (page []probe.IncidentRecord, err error) {
		for _, r := range all {
			if len(page) < 4 && (before.IsZero() || r.Start.Before(before)) {
				page = append(page, r)
			}
		}
		return page, nil
	}}
	h := New(o)
	page := ask(h, "GET", "/incidents").Body.String()
	for _, want := range []string{"2026-11-28 10:00:00 UTC</time></strong> not over", " 12 min, P1", "its end was not seen", "shop: up, home", "note &lt;b&gt;3", "before=2026-11-28T07%3A00%3A00Z"} {
		if !strings.Contains(page, want) {
			t.Errorf("expected %q in\n%s", want, page)
		}
	}
	second := ask(h, "GET", "/incidents?before=2026-11-28T07%3A00%3A00Z").Body.String()
	if !strings.Contains(second, "note &lt;b&gt;6") || strings.Contains(second, "note &lt;b&gt;3") || strings.Contains(second, "Earlier") || strings.Contains(page+second, "<b>") {
		t.Errorf("got\n%s", second)
	}
	all = nil
	if w := ask(h, "GET", "/incidents?before=nonsense"); w.Code != 200 || !strings.Contains(w.Body.String(), "None is remembered.") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	o.Incidents = func(time.Time) ([]probe.IncidentRecord, error) { return nil, errors.New("the disk is slow") }
	if w := ask(New(o), "GET", "/incidents"); w.Code != 503 {
		t.Errorf("got %d", w.Code)
	}
}
