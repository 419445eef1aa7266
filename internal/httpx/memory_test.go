package httpx

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"prober/internal/dial"
	"prober/internal/memory"
	"prober/internal/probe"
	"prober/internal/testenv"
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

// What a head takes is paid like a body: its text, and a place in a table for every field however short it is.
func TestDo_paysForHeads(t *testing.T) {
	wide := func(h http.Header) {
		for i := range 400 {
			h.Set(fmt.Sprintf("X-Wide-%d", i), strings.Repeat("x", 120))
		}
	}
	short := func(h http.Header) {
		for i := range 1500 {
			h.Set(fmt.Sprintf("X%d", i), "1")
		}
	}
	for name, c := range map[string]struct {
		set     func(http.Header)
		interim bool
		trailer bool
	}{
		"text": {set: wide}, "fields": {set: short}, "interim": {set: wide, interim: true}, "trailer": {set: short, trailer: true},
	} {
		for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
			if c.trailer && proto == "HTTP/1.1" {
				continue // no more than 4 KiB are read of one
			}
			t.Run(name+" "+proto, func(t *testing.T) {
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					switch {
					case c.interim:
						c.set(w.Header())
						w.WriteHeader(http.StatusEarlyHints)
						clear(w.Header())
					case c.trailer:
						w.WriteHeader(http.StatusOK)
						trailer := http.Header{}
						c.set(trailer)
						for name, values := range trailer {
							w.Header()[http.TrailerPrefix+name] = values
						}
					default:
						c.set(w.Header())
					}
				}))
				server.EnableHTTP2 = true
				server.StartTLS()
				defer server.Close()
				client, err := (&Settings{HTTP2: proto == "HTTP/2.0", TLS: &dial.TLS{InsecureSkipVerify: true}}).Client(server.URL)
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				for size, want := range map[int64]probe.Reason{48 << 10: probe.SelfLimit, 1 << 20: probe.OK} {
					ctx, account := memory.NewBudget(size).Open(t.Context())
					a := client.Do(ctx, probe.NewResult(probe.ID{}), Request{URL: server.URL})
					if a.Reason != want || a.Reason == probe.OK && a.Proto != proto {
						t.Errorf("with %d KiB: %s: %s, by %s", size>>10, a.Reason, a.Detail, a.Proto)
					}
					if limits := len(account.Excesses()); (limits == 1) != (want == probe.SelfLimit) {
						t.Errorf("with %d KiB the account says %v", size>>10, account.Excesses())
					}
					account.Close()
				}
			})
		}
	}
}

// A head that has to wait for memory is not the target's delay.
func TestDo_leavesTheWaitForAHeadOut(t *testing.T) {
	url := testenv.ServeInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 400 {
			w.Header().Set(fmt.Sprintf("X-Wide-%d", i), strings.Repeat("x", 120))
		}
	}))
	c := newClient(t, url)
	const wait = 50 * time.Millisecond
	testenv.Bubble(t, func(ctx context.Context, open testenv.Open) {
		ctx = dial.WithOpen(ctx, open)
		b := memory.NewBudget(256 << 10)
		first, oldest := b.Open(ctx)
		second, other := b.Open(ctx)
		if memory.Take(first, 256<<10) != nil || memory.Take(second, 128<<10) != nil {
			t.Fatal("no memory")
		}
		defer other.Close()
		limited, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		asking, account := b.Open(limited)
		defer account.Close()
		time.AfterFunc(wait, oldest.Close)
		a := c.Do(asking, probe.NewResult(probe.ID{}), Request{URL: url})
		if a.Reason != probe.OK || len(a.Header) < 400 {
			t.Fatalf("%s: %s", a.Reason, a.Detail)
		}
		if a.waited != wait || a.Took != 0 || account.Waited() != wait {
			t.Errorf("expected a wait of %s and no other time, got %s, %s, and %s by the account", wait, a.waited, a.Took, account.Waited())
		}
	})
}

// A token that there is no room for is a limit of the prober's, no bad credential.
func TestToken_namesTheLimit(t *testing.T) {
	tokens, _ := issuer(t, func(_ int64, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("x", 60_000))
		issue(w, "issued-token", 3600)
	})
	url, asked, _ := listen(t, func(http.ResponseWriter, *http.Request) {})
	s := &Settings{OAuth2: &OAuth2{TokenURL: tokens, ClientID: "me", ClientSecret: keep(t, "client-secret")}}
	client, err := s.Client(url)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, account := memory.NewBudget(16 << 10).Open(t.Context())
	defer account.Close()
	a := client.Do(ctx, probe.NewResult(probe.ID{}), Request{URL: url})
	if a.Reason != probe.SelfLimit || !strings.Contains(a.Detail, "16 KiB") || asked.Load() != 0 {
		t.Errorf("%s: %s, and the target was asked %d times", a.Reason, a.Detail, asked.Load())
	}
}
