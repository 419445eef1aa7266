package httpx

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
)

// A public page may refuse by 429 while the prober has not waited as it was asked to. After that it fails.
func TestClassify_retryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w waits
		ask := func(status int, after string) probe.Reason {
			a := &Answer{Exchange: probe.Exchange{Status: status, Reason: probe.OK}, Header: http.Header{}}
			if d, err := time.ParseDuration(after); err == nil && d != 0 {
				after = time.Now().Add(d).UTC().Format(http.TimeFormat)
			}
			if after != "" {
				a.Header.Set("Retry-After", after)
			}
			a.askedToWait = w.excused(a, &Request{Check: "status", URL: "https://a.example/"})
			if a.askedToWait && status != 429 {
				t.Errorf("%d asks for fewer requests", status)
			}
			return a.Classify(ClassifyOptions{Want: Codes(200), Public: true}).Reason
		}
		for i, c := range []struct {
			wait   time.Duration // before the request
			status int
			after  string // as it is sent, or how far ahead the date is
			want   probe.Reason
		}{
			{0, 429, "", probe.Status},
			{0, 429, "soon", probe.Status},
			{0, 429, "0", probe.Status},
			{0, 429, "-5", probe.Status},
			{0, 429, "-1m", probe.Status},
			{0, 429, "30", probe.RateLimited},
			{15 * time.Second, 429, "30", probe.RateLimited}, // asked too early
			{16 * time.Second, 429, "30", probe.Status},      // waited, and is refused again
			{time.Hour, 429, "30", probe.Status},
			{0, 200, "", probe.OK},
			{0, 429, "1m", probe.RateLimited},
			{time.Minute + time.Second, 429, "1m", probe.Status},
			{0, 200, "5", probe.OK},
			{0, 503, "5", probe.Status},
			{0, 429, "2000000000", probe.RateLimited},
			{maxRetryAfter, 429, "2000000000", probe.Status}, // for years: no excuse
		} {
			if c.wait > 0 {
				time.Sleep(c.wait)
			}
			if got := ask(c.status, c.after); got != c.want {
				t.Errorf("%d: %d with Retry-After %q: got %s, expected %s", i, c.status, c.after, got, c.want)
			}
		}
		for i := range 2 * maxWaits {
			a := &Answer{Exchange: probe.Exchange{Status: 429}, Header: http.Header{"Retry-After": {"9"}}}
			w.excused(a, &Request{Check: "catch_all", URL: time.Now().Add(time.Duration(i)).String()})
		}
		if len(w.until) > maxWaits {
			t.Errorf("%d targets are remembered", len(w.until))
		}
	})
}

// The exchange says for how long a 429 asks to be left alone, within bounds.
func TestDo_retryAfter(t *testing.T) {
	for _, c := range []struct {
		status int
		after  string
		want   time.Duration
	}{{429, "5", 5 * time.Second}, {429, "", 0}, {429, "-5", 0}, {429, "2000000000", maxRetryAfter}, {503, "5", 0}, {200, "5", 0}} {
		url := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", c.after)
			w.WriteHeader(c.status)
		}))
		var s Settings
		client, err := s.Client(url.URL)
		if err != nil {
			t.Fatal(err)
		}
		r := probe.NewResult(probe.ID{})
		client.Do(t.Context(), r, Request{Check: "status", URL: url.URL, Want: Success})
		if got := r.Exchanges[0].RetryAfter; got != c.want {
			t.Errorf("%d with Retry-After %q: got %s, expected %s", c.status, c.after, got, c.want)
		}
		url.Close()
	}
}
