package web

import (
	"context"
	"errors"
	"net/http"
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
			body    string
			waits   time.Duration
		}{
			{"curl", nil, nil, 200, "run\n", 0},
			{"a browser", nil, browser, 303, "", 0},
			{"a run under way", errors.New("a run is under way"), nil, 409, "not run: a run is under way\n", 0},
			{"a browser, a run under way", errors.New("a run is <b>under way"), browser, 409, `<a href="../http-000">Back to ibex/http-000</a>`, 0},
			{"a long run", context.DeadlineExceeded, nil, 202, "the run has not ended yet\n", maxRunWait},
			{"a browser and a long run", context.DeadlineExceeded, browser, 303, "", maxRunWait},
			{"another site", nil, []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, 403, "refused", 0},
		} {
			answer, ran = c.answer, nil
			began := time.Now()
			w := ask(h, "POST", path, c.headers...)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.body) || time.Since(began) != c.waits {
				t.Errorf("%s: got %d after %s: %s", c.name, w.Code, time.Since(began), w.Body)
			}
			if c.status == 303 && w.Header().Get("Location") != "../http-000" {
				t.Errorf("%s: led to %q", c.name, w.Header().Get("Location"))
			}
			if again := ask(h, "POST", path, c.headers...); c.status == 409 && again.Code != 409 {
				t.Errorf("%s: what was not run counts as if it were: got %d", c.name, again.Code)
			}
			if strings.Contains(w.Body.String(), "<b>") {
				t.Errorf("%s: not escaped: %s", c.name, w.Body)
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
