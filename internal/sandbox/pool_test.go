package sandbox

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// broken starts a sample system with one fault broken and a memory in each org.
func broken(t *testing.T, fault string, o Options) (s *Sandbox, a, b ask) {
	t.Helper()
	s = start(t, o)
	a = s.asking(orgA, "GET", s.make(t, orgA, "canary-of-a"), "")
	b = s.asking(orgB, "GET", s.make(t, orgB, "canary-of-b"), "")
	if err := s.Inject(fault); err != nil {
		t.Fatal(err)
	}
	return s, a, b
}

// until repeats an attempt that a busy machine may spoil.
func until(t *testing.T, seen func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !seen(); {
		if time.Now().After(deadline) {
			t.Fatalf("not seen for %s", patience)
		}
	}
}

// wantOwn asks for what an org's own read must be answered.
func wantOwn(t *testing.T, s *Sandbox, a ask, text string) {
	t.Helper()
	if answer := s.must(t, a); answer.status != 200 || answer.json(t)["text"] != text {
		t.Errorf("wanted 200 and %s, got %d %s", text, answer.status, answer.body)
	}
}

func TestASharedBufferShowsOnlyWhenReadsOverlap(t *testing.T) {
	s, a, b := broken(t, "tenant-shared-buffer", Options{})
	for range 10 {
		wantOwn(t, s, a, "canary-of-a")
		wantOwn(t, s, b, "canary-of-b")
	}
	until(t, func() bool {
		var ofA, ofB got
		var both sync.WaitGroup
		both.Go(func() { ofA, _ = s.do(t.Context(), a) })
		both.Go(func() { ofB, _ = s.do(t.Context(), b) })
		both.Wait()
		if ofA.status != 200 || ofB.status != 200 {
			t.Fatalf("wanted 200 twice, got %d and %d", ofA.status, ofB.status)
		}
		return strings.Contains(ofA.body, "canary-of-b") || strings.Contains(ofB.body, "canary-of-a")
	})
}

// hangUp asks, waits for the first part of the answer and hangs up.
func hangUp(t *testing.T, s *Sandbox, a ask) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, a.method, s.host(a.host).url()+a.path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = a.header.Clone()
	request.Header.Set("Authorization", "Bearer "+a.token)
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	n, err := response.Body.Read(make([]byte, 1<<10)) // at the end already, where the service sees a hang-up of before late
	if n == 0 || (err != nil && err != io.EOF) {
		t.Fatalf("wanted a part of the answer, got %d bytes and %v", n, err)
	}
}

func TestACancelledReadIsLeftForTheNext(t *testing.T) {
	s, a, b := broken(t, "tenant-leak-cancelled", Options{})
	for range 3 {
		wantOwn(t, s, a, "canary-of-a") // whole, although in two parts
		wantOwn(t, s, b, "canary-of-b")
	}
	until(t, func() bool {
		hangUp(t, s, a)
		return strings.Contains(s.must(t, b).body, "canary-of-a")
	})
	until(t, func() bool { return strings.Contains(s.must(t, b).body, "canary-of-b") })
	wantOwn(t, s, a, "canary-of-a")
}

func TestWhatACancelledReadLeavesIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leak := leakCancelledBody()
		answering := func(body string) target {
			return target{next: func(w http.ResponseWriter, _ *http.Request) { writeText(w, 200, plain, body) }}
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		read := func() string {
			w := httptest.NewRecorder()
			leak(answering("of b"), w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
			return w.Body.String()
		}
		for _, c := range []struct {
			after time.Duration
			want  string
		}{{0, "of a"}, {staleBodyLife - time.Second, "of a"}, {staleBodyLife + time.Second, "of b"}} {
			leak(answering("of a"), httptest.NewRecorder(), httptest.NewRequestWithContext(gone, "GET", "/", nil))
			time.Sleep(c.after)
			if got := read(); got != c.want {
				t.Errorf("after %s: wanted %q, got %q", c.after, c.want, got)
			}
			if got := read(); got != "of b" {
				t.Errorf("the answer was given twice: %q", got)
			}
		}
	})
}

func TestOneReadInFifty(t *testing.T) {
	s, a, b := broken(t, "tenant-one-in-fifty", Options{})
	never := s.asking(orgB, "GET", a.path, "") // denials are not counted
	crossed := func() string {
		var at []int
		for n := 1; n <= 110; n++ {
			read, own := a, "canary-of-a"
			if n%2 == 0 {
				read, own = b, "canary-of-b"
			}
			if answer := s.must(t, read); !strings.Contains(answer.body, own) {
				at = append(at, n)
			}
			if answer := s.must(t, never); answer.status != 404 {
				t.Fatalf("wanted 404, got %d", answer.status)
			}
		}
		return fmt.Sprint(at)
	}
	if got := crossed(); got != "[50 100]" {
		t.Errorf("wanted the 50th and the 100th mixed up, got %s", got)
	}
	// Broken anew, it counts anew.
	s.ClearAll()
	if err := s.Inject("tenant-one-in-fifty"); err != nil {
		t.Fatal(err)
	}
	if got := crossed(); got != "[50 100]" {
		t.Errorf("broken again: wanted the 50th and the 100th mixed up, got %s", got)
	}
	if err := s.Inject("tenant-one-in-fifty"); err != nil { // it is broken: nothing changes
		t.Fatal(err)
	}
	if got := crossed(); got != "[40 90]" {
		t.Errorf("broken all along: wanted the 150th and the 200th mixed up, got %s", got)
	}
}

func TestMixUpsByChance(t *testing.T) {
	const reads, oneIn = 100_000, 50
	m, happened, places := swapFrequency{oneIn: oneIn, byChance: true}, 0, map[int]bool{}
	for n := range reads {
		if m.occurs(n) {
			happened++
			places[n%oneIn] = true
		}
	}
	if want := reads / oneIn; happened < want*3/4 || happened > want*5/4 {
		t.Errorf("wanted about %d, got %d", want, happened)
	}
	if len(places) != oneIn {
		t.Errorf("only at %d places of %d: it counts", len(places), oneIn)
	}
}

func TestTheCacheForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := &urlCache{entries: map[string]cacheEntry{}}
		size := 0
		at := target{next: func(w http.ResponseWriter, r *http.Request) {
			writeText(w, 200, "application/json", r.Header.Get("Authorization")+strings.Repeat(" ", size))
		}}
		read := func(who, url string) string {
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", url, nil)
			r.Header.Set("Authorization", who)
			cache.serve(at, w, r)
			return strings.TrimSpace(w.Body.String())
		}
		for _, c := range []struct {
			after          time.Duration
			who, url, want string
		}{
			{0, "a", "/x", "a"},
			{0, "b", "/x", "a"},
			{0, "b", "/x?q", "b"},
			{cacheTTL - time.Millisecond, "b", "/x", "a"},
			{time.Millisecond, "b", "/x", "b"},
		} {
			time.Sleep(c.after)
			if got := read(c.who, c.url); got != c.want {
				t.Errorf("%s as %s: wanted what %s was answered, got %s", c.url, c.who, c.want, got)
			}
		}
		for i := range 10 * maxCacheEntries {
			read("a", fmt.Sprint("/", i))
		}
		if n := len(cache.entries); n == 0 || n > maxCacheEntries {
			t.Errorf("it keeps %d answers", n)
		}
		size = maxCacheEntryBytes
		if read("a", "/large"); read("b", "/large") != "b" {
			t.Error("it keeps an answer of any size")
		}
	})
}

func TestWhatWasCreatedIsSeenInTheEnd(t *testing.T) {
	s := start(t, Options{VisibilityDelay: 300 * time.Millisecond})
	if err := s.Inject("tenant-eventual"); err != nil {
		t.Fatal(err)
	}
	created := time.Now()
	own := s.make(t, orgA, "canary-of-a")
	until(t, func() bool { return s.must(t, s.asking(orgA, "GET", own, "")).status == 200 })
	if took := time.Since(created); took < 300*time.Millisecond {
		t.Errorf("seen after %s, wanted 300ms", took)
	}
	if answer := s.must(t, s.asking(orgB, "GET", own, "")); answer.status != 404 {
		t.Errorf("wanted it hidden from the other org for good, got %d", answer.status)
	}
}

// Every fault of the tenants is broken and mended while both orgs write and read; the race detector judges. In the
// end all is well and the memories from the start are as they were.
func TestTenantFaultsAtOnce(t *testing.T) {
	s := start(t, Options{VisibilityDelay: time.Millisecond, SwapOneIn: 3})
	done, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for _, org := range []string{orgA, orgB} {
		callers.Go(func() {
			for done.Err() == nil {
				made, err := s.do(done, s.asking(org, "POST", "/v1/memories", `{"text":"x","org_id":"org-a"}`))
				if err != nil {
					return
				}
				for _, path := range []string{made.header.Get("Location"), "/v1/memories/" + s.tenants.seeds[orgA].id} {
					for _, method := range []string{"GET", "PUT", "GET", "DELETE"} {
						_, _ = s.do(done, s.asking(org, method, "/"+strings.TrimPrefix(path, "/"), `{"text":"y"}`)) // any outcome will do
					}
				}
			}
		})
	}
	for _, f := range s.Faults() {
		if !ofTenants(f) {
			continue
		}
		if err := s.Inject(f.Name); err != nil {
			t.Error(err)
		}
		s.Memories()
		time.Sleep(5 * time.Millisecond)
		if err := s.Clear(f.Name); err != nil {
			t.Error(err)
		}
	}
	stop()
	callers.Wait()
	s.tenants.empty()
	for org, name := range map[string]string{orgA: "A", orgB: "B"} {
		path := "/v1/memories/" + s.Env()["PROBER_DEMO_MEMORY_"+name]
		wantOwn(t, s, s.asking(org, "GET", path, ""), s.Env()["PROBER_DEMO_CANARY_"+name])
	}
}

// What a fault let another org do to the memories from the start is undone when it is mended; other memories are let be.
func TestMendingPutsTheFirstMemoriesBack(t *testing.T) {
	s := start(t, Options{})
	own := s.make(t, orgA, "canary-of-a")
	first := "/v1/memories/" + s.Env()["PROBER_DEMO_MEMORY_A"]
	list := s.asking(orgA, "GET", "/v1/memories", "")
	before := s.must(t, list)
	for _, c := range []struct{ fault, method string }{
		{"tenant-foreign-update", "PUT"}, {"tenant-foreign-delete", "DELETE"},
	} {
		if err := s.Inject(c.fault); err != nil {
			t.Fatal(err)
		}
		s.must(t, s.asking(orgB, c.method, first, `{"text":"b-was-here"}`))
		if during := s.must(t, list); during.body == before.body {
			t.Errorf("%s: nothing happened", c.fault)
		}
		if err := s.Clear(c.fault); err != nil {
			t.Fatal(err)
		}
		if after := s.must(t, list); after.body != before.body {
			t.Errorf("%s: wanted %s, got %s", c.fault, before.body, after.body)
		}
	}
	wantOwn(t, s, s.asking(orgA, "GET", own, ""), "canary-of-a")
}

// A header that holds a text must not be longer than callers read, nor end the header.
func TestALeakInAHeaderIsReadable(t *testing.T) {
	s := start(t, Options{})
	own := s.make(t, orgA, "two\r\nlines: "+strings.Repeat("x", 4<<10))
	if err := s.Inject("tenant-leak-header"); err != nil {
		t.Fatal(err)
	}
	answer := s.must(t, s.asking(orgB, "GET", own, ""))
	if got := answer.header.Get("X-Debug"); len(got) != 1<<10 || !strings.HasPrefix(got, "two  lines: x") {
		t.Errorf("wanted the beginning of the text, got %d bytes", len(got))
	}
}
