package httpx

import (
	"bytes"
	"compress/gzip"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"prober/internal/memory"
	"prober/internal/probe"
)

func newClient(t *testing.T, url string) *Client {
	t.Helper()
	c, err := (&Settings{}).Client(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// What does not fit beside the answers of other runs waits, and the wait is not the target's.
func TestDo_waitsForMemoryAndLeavesTheWaitOut(t *testing.T) {
	url, _, _ := listen(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 600_000)) })
	c := newClient(t, url)
	b := memory.NewBudget(2 << 20)
	first, oldest := b.Open(t.Context())
	second, other := b.Open(t.Context())
	if memory.Take(first, 2<<20) != nil || memory.Take(second, 1<<20) != nil {
		t.Fatal("no memory")
	}
	defer other.Close()
	limited, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ctx, account := b.Open(limited)
	defer account.Close()
	time.AfterFunc(50*time.Millisecond, oldest.Close)
	began := time.Now()
	a := c.Do(ctx, probe.NewResult(probe.ID{}), Request{URL: url})
	if a.Reason != probe.OK || len(a.Body) != 600_000 {
		t.Fatalf("%s: %s", a.Reason, a.Detail)
	}
	var sum time.Duration
	for _, p := range a.Phases {
		sum += p.Took
	}
	if a.waited <= 0 || a.Took > time.Since(began)-a.waited || sum > a.Took {
		t.Errorf("waited %s of %s and yet the exchange took %s, its phases %s", a.waited, time.Since(began), a.Took, sum)
	}
}

func TestDo_namesTheLimitThatKeptItFromReading(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(make([]byte, 900_000))
	z.Close()
	for name, handler := range map[string]http.HandlerFunc{
		"plain": func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 900_000)) },
		"gzip": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(zipped.Bytes())
		},
	} {
		t.Run(name, func(t *testing.T) {
			url, _, _ := listen(t, handler)
			c := newClient(t, url)
			ctx, account := memory.NewBudget(256 << 10).Open(t.Context())
			defer account.Close()
			a := c.Do(ctx, probe.NewResult(probe.ID{}), Request{URL: url})
			if a.Reason != probe.SelfLimit || !strings.Contains(a.Detail, "256 KiB") || len(a.Body) > 256<<10+64<<10 {
				t.Errorf("%s: %s, after %d bytes", a.Reason, a.Detail, len(a.Body))
			}
			if got := account.Excesses(); len(got) != 1 || got[0].TraceID != a.TraceID {
				t.Errorf("the account says %v", got)
			}
		})
	}
}

func TestJSON_isPaidByTheRun(t *testing.T) {
	url, _, _ := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("[" + strings.Repeat("1,", 50_000) + "1]"))
	})
	c := newClient(t, url)
	ctx, account := memory.NewBudget(256 << 10).Open(t.Context())
	defer account.Close()
	request, cancel := context.WithCancel(ctx)
	a := c.Do(request, probe.NewResult(probe.ID{}), Request{URL: url})
	cancel() // the request's time is not the run's
	if a.Reason != probe.OK {
		t.Fatalf("%s: %s", a.Reason, a.Detail)
	}
	_, err := a.JSON()
	if o := NotJSON(err); o.Reason != probe.SelfLimit || len(account.Excesses()) != 1 {
		t.Errorf("%s: %s, %v", o.Reason, o.Detail, account.Excesses())
	}
}
