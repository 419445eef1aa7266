package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
)

func TestRunNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board, jobs := storeWithRuns(3, true)
		var ran []string
		var answer error
		o := optionsFor(board, true)
		o.Run = func(ctx context.Context, id probe.ID) error {
			ran = append(ran, id.System+"/"+id.Name)
			if errors.Is(answer, context.DeadlineExceeded) {
				<-ctx.Done()
				return ctx.Err()
			}
			return answer
		}
		h := New(o)
		path := "/probes/ibex/" + jobs[0].Name + "/run"
		browser := []string{"Accept", "text/html,*/*"}
		for _, c := range []struct {
			name    string
			answer  error
			headers []string
			status  int
			body    string // or of the page that a browser is led to
			to      string
			waits   time.Duration
		}{
			{"curl", nil, nil, 200, "run\n", "", 0},
			{"a browser", nil, browser, 303, "This is the result of the run that you asked for at ", "?run=TIME#recent", 0},
			{"a run under way", errors.New("a run is under way"), nil, 409, "not run: a run is under way\n", "", 0},
			{"a browser, a run under way", errors.New("a run is <b>under way"), browser, 303, "Not run: a run is &lt;b&gt;under way.", "?run=refused-1#recent", 0},
			{"a long run", context.DeadlineExceeded, nil, 202, "the run has not ended yet\n", "", maxRunWait},
			{"a browser and a long run", context.DeadlineExceeded, browser, 303, "The run had not ended after 15s.", "?run=pending#recent", maxRunWait},
			{"another site", nil, []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, 403, "refused", "", 0},
		} {
			answer, ran = c.answer, nil
			began := time.Now()
			w := ask(h, "POST", path, c.headers...)
			got := w.Body.String()
			if c.status == 303 {
				to := w.Header().Get("Location")
				last, _ := board.Probe("ibex", "http-000")
				if want := "../http-000" + strings.Replace(c.to, "TIME", strconv.FormatInt(last.LastRun.UnixMilli(), 10), 1); to != want {
					t.Errorf("%s: led to %q, expected %q", c.name, to, want)
				}
				query, _, _ := strings.Cut(strings.TrimPrefix(to, "../http-000"), "#")
				got = ask(h, "GET", "/probes/ibex/http-000"+query).Body.String()
			}
			if w.Code != c.status || !strings.Contains(got, c.body) || time.Since(began) != c.waits {
				t.Errorf("%s: got %d after %s: %s", c.name, w.Code, time.Since(began), got)
			}
			if again := ask(h, "POST", path, c.headers...); c.status == 409 && again.Code != 409 || strings.Contains(c.to, "refused") && strings.Contains(again.Header().Get("Location"), runEarly) {
				t.Errorf("%s: what was not run counts as if it were: got %d", c.name, again.Code)
			}
			if strings.Contains(got, "<b>") {
				t.Errorf("%s: not escaped: %s", c.name, got)
			}
			if asked := len(ran) > 0 && ran[0] == "ibex/http-000"; asked == (c.status == 403) {
				t.Errorf("%s: ran %v", c.name, ran)
			}
			<-time.After(probeEvery)
		}
		for method, status := range map[string]int{"GET": 405, "HEAD": 405, "PUT": 405} {
			if w := ask(h, method, path); w.Code != status {
				t.Errorf("%s: got %d, wanted %d", method, w.Code, status)
			}
		}
		if w := ask(h, "POST", "/probes/ibex/nobody/run"); w.Code != 404 {
			t.Errorf("nobody: got %d", w.Code)
		}
		o.Run = nil
		h = New(o)
		if w := ask(h, "POST", path); w.Code != 403 || !strings.Contains(w.Body.String(), "not enabled") {
			t.Errorf("where it is off: got %d %s", w.Code, w.Body)
		}
		if strings.Contains(ask(h, "GET", "/probes/ibex/http-000").Body.String(), "Run now") {
			t.Error("the page offers what is off")
		}
	})
}

// TestRunNow_answersOnThePage asks too early with a browser, and looks at what later pages say.
func TestRunNow_answersOnThePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board, jobs := storeWithRuns(3, false)
		o := optionsFor(board, false)
		runs := 0
		o.Run = func(context.Context, probe.ID) error {
			runs++
			board.Observe(ordinaryResult(&jobs[0], time.Now(), runs, probe.Status))
			return nil
		}
		h := New(o)
		line := func(query string) string {
			page := ask(h, "GET", "/probes/ibex/http-000"+query).Body.String()
			_, rest, _ := strings.Cut(page, `Run now</button> <`)
			_, rest, _ = strings.Cut(rest, ">")
			line, _, _ := strings.Cut(rest, "<")
			return line
		}
		post := func() string {
			to := ask(h, "POST", "/probes/ibex/http-000/run", "Accept", "text/html").Header().Get("Location")
			query, _, _ := strings.Cut(strings.TrimPrefix(to, "../http-000"), "#")
			return query
		}
		const own = "runs the probe once more, in addition to the schedule"
		if got := line(""); got != own {
			t.Errorf("without a run: %q", got)
		}
		ran := post()
		at := formatTime(time.Now())
		if got, want := line(ran), "This is the result of the run that you asked for at "+at+": FAILED: wrong status."; got != want {
			t.Errorf("got %q, expected %q", got, want)
		}
		<-time.After(4 * time.Second)
		early := post()
		if got, want := line(early), "Not run: too many requests; try again in 6 s."; early != "?run=early" || runs != 1 || got != want {
			t.Errorf("%q after %d runs: got %q, expected %q", early, runs, got, want)
		}
		<-time.After(7 * time.Second)
		if got, want := line(early), "Not run: too many requests. It can be run now."; got != want {
			t.Errorf("got %q, expected %q", got, want)
		}
		board.Observe(ordinaryResult(&jobs[0], time.Now(), 9, probe.OK))
		if got := line(ran); !strings.HasPrefix(got, "The run that you asked for: "+at+": failed, wrong status, ") {
			t.Errorf("after another run: %q", got)
		}
		for _, forged := range []string{"?run=1", "?run=refused-0", "?run=refused--1", "?run=refused-x", "?run=%3Cb%3E", "?run=99999999999999999999"} {
			if got := line(forged); got != own {
				t.Errorf("%s: the page says %q", forged, got)
			}
		}
	})
}

func TestRunNow_rateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board, jobs := storeWithRuns(60, false)
		o := optionsFor(board, false)
		ran := 0
		o.Run = func(context.Context, probe.ID) error { ran++; return nil }
		h := New(o)
		post := func(i int) (status int, after string) {
			w := ask(h, "POST", "/probes/"+jobs[i].System+"/"+jobs[i].Name+"/run")
			return w.Code, w.Header().Get("Retry-After")
		}
		post(0)
		<-time.After(3 * time.Second)
		if status, after := post(0); status != http.StatusTooManyRequests || after != "7" {
			t.Errorf("the same probe after 3s: got %d, to be tried again after %s s", status, after)
		}
		for range 57 {
			for i := range jobs {
				post(i)
			}
			<-time.After(time.Second)
		}
		if ran > 2*runBurst || ran < 2*runBurst-2 {
			t.Errorf("%d runs in a minute, expected at most %d", ran, 2*runBurst)
		}
		<-time.After(time.Minute)
		if status, _ := post(0); status != 200 {
			t.Errorf("after a minute: got %d", status)
		}
	})
}
