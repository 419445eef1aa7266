package sandbox

import (
	"cmp"
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

	"prober/internal/testenv"
)

// startWithFault starts a sample system with one active fault and a memory in each org.
func startWithFault(t *testing.T, fault string, o Options) (s *Sandbox, a, b request) {
	t.Helper()
	s = start(t, o)
	a = s.orgRequest(orgA, "GET", s.createMemory(t, orgA, "canary-of-a"), "")
	b = s.orgRequest(orgB, "GET", s.createMemory(t, orgB, "canary-of-b"), "")
	if err := s.Inject(fault); err != nil {
		t.Fatal(err)
	}
	return s, a, b
}

// repeatUntil repeats an attempt that may fail on a busy machine.
func repeatUntil(t *testing.T, seen func() bool) {
	t.Helper()
	for deadline := time.Now().Add(answerTimeout); !seen(); {
		if time.Now().After(deadline) {
			t.Fatalf("not seen within %s", answerTimeout)
		}
	}
}

// expectOwn reads an org's own memory and expects its text.
func expectOwn(t *testing.T, s *Sandbox, a request, text string) {
	t.Helper()
	if answer := s.mustDo(t, a); answer.status != 200 || answer.json(t)["text"] != text {
		t.Errorf("expected 200 and %s, got %d %s", text, answer.status, answer.body)
	}
}

func TestSharedBuffer_onlyConcurrentReads(t *testing.T) {
	s, a, b := startWithFault(t, "tenant-shared-buffer", Options{})
	for range 10 {
		expectOwn(t, s, a, "canary-of-a")
		expectOwn(t, s, b, "canary-of-b")
	}
	repeatUntil(t, func() bool {
		var ofA, ofB response
		var both sync.WaitGroup
		both.Go(func() { ofA, _ = s.do(t.Context(), a) })
		both.Go(func() { ofB, _ = s.do(t.Context(), b) })
		both.Wait()
		if ofA.status != 200 || ofB.status != 200 {
			t.Fatalf("expected 200 twice, got %d and %d", ofA.status, ofB.status)
		}
		return strings.Contains(ofA.body, "canary-of-b") || strings.Contains(ofB.body, "canary-of-a")
	})
}

// hangUp sends a request, waits for the first part of the answer and hangs up.
func hangUp(t *testing.T, s *Sandbox, a request) {
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
	n, err := response.Body.Read(make([]byte, 1<<10)) // EOF is possible: a service may notice an earlier hang-up late
	if n == 0 || (err != nil && err != io.EOF) {
		t.Fatalf("expected a part of the answer, got %d bytes and %v", n, err)
	}
}

func TestLeakCancelledBody(t *testing.T) {
	s, a, b := startWithFault(t, "tenant-leak-cancelled", Options{})
	for range 3 {
		expectOwn(t, s, a, "canary-of-a") // complete, although in two parts
		expectOwn(t, s, b, "canary-of-b")
	}
	repeatUntil(t, func() bool {
		hangUp(t, s, a)
		return strings.Contains(s.mustDo(t, b).body, "canary-of-a")
	})
	repeatUntil(t, func() bool { return strings.Contains(s.mustDo(t, b).body, "canary-of-b") })
	expectOwn(t, s, a, "canary-of-a")
}

func TestLeakCancelledBody_expires(t *testing.T) {
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
				t.Errorf("after %s: expected %q, got %q", c.after, c.want, got)
			}
			if got := read(); got != "of b" {
				t.Errorf("expected the leaked answer only once, got %q", got)
			}
		}
	})
}

func TestSwapAnswers_everyFiftieth(t *testing.T) {
	testenv.WithoutRace(t)
	s, a, b := startWithFault(t, "tenant-one-in-fifty", Options{})
	never := s.orgRequest(orgB, "GET", a.path, "") // denials are not counted
	crossed := func() string {
		var at []int
		for n := 1; n <= 110; n++ {
			read, own := a, "canary-of-a"
			if n%2 == 0 {
				read, own = b, "canary-of-b"
			}
			if answer := s.mustDo(t, read); !strings.Contains(answer.body, own) {
				at = append(at, n)
			}
			if answer := s.mustDo(t, never); answer.status != 404 {
				t.Fatalf("expected 404, got %d", answer.status)
			}
		}
		return fmt.Sprint(at)
	}
	if got := crossed(); got != "[50 100]" {
		t.Errorf("expected the 50th and the 100th swapped, got %s", got)
	}
	// After another injection, it counts from one again.
	s.ClearAll()
	if err := s.Inject("tenant-one-in-fifty"); err != nil {
		t.Fatal(err)
	}
	if got := crossed(); got != "[50 100]" {
		t.Errorf("injected again: expected the 50th and the 100th swapped, got %s", got)
	}
	if err := s.Inject("tenant-one-in-fifty"); err != nil { // it is active: nothing changes
		t.Fatal(err)
	}
	if got := crossed(); got != "[40 90]" {
		t.Errorf("still active: expected the 150th and the 200th swapped, got %s", got)
	}
}

func TestSwapFrequency_atRandom(t *testing.T) {
	const reads, oneIn = 100_000, 50
	m, happened, places := swapFrequency{oneIn: oneIn, byChance: true}, 0, map[int]bool{}
	for n := range reads {
		if m.occurs(n) {
			happened++
			places[n%oneIn] = true
		}
	}
	if want := reads / oneIn; happened < want*3/4 || happened > want*5/4 {
		t.Errorf("expected about %d, got %d", want, happened)
	}
	if len(places) != oneIn {
		t.Errorf("swapped at only %d positions of %d: not at random", len(places), oneIn)
	}
}

func TestURLCache_expiresAndIsBounded(t *testing.T) {
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
				t.Errorf("%s as %s: expected the answer to %s, got that to %s", c.url, c.who, c.want, got)
			}
		}
		for i := range 10 * maxCacheEntries {
			read("a", fmt.Sprint("/", i))
		}
		if n := len(cache.entries); n == 0 || n > maxCacheEntries {
			t.Errorf("expected at most %d cached answers, got %d", maxCacheEntries, n)
		}
		size = maxCacheEntryBytes
		if read("a", "/large"); read("b", "/large") != "b" {
			t.Error("an answer over the size limit was cached")
		}
	})
}

func TestVisibleAfterDelay(t *testing.T) {
	s := start(t, Options{VisibilityDelay: 300 * time.Millisecond})
	if err := s.Inject("tenant-eventual"); err != nil {
		t.Fatal(err)
	}
	created := time.Now()
	own := s.createMemory(t, orgA, "canary-of-a")
	repeatUntil(t, func() bool { return s.mustDo(t, s.orgRequest(orgA, "GET", own, "")).status == 200 })
	if took := time.Since(created); took < 300*time.Millisecond {
		t.Errorf("seen after %s, expected 300ms", took)
	}
	if answer := s.mustDo(t, s.orgRequest(orgB, "GET", own, "")); answer.status != 404 {
		t.Errorf("expected it to stay hidden from the other org, got %d", answer.status)
	}
}

// Every tenant fault is injected and cleared while both orgs write and read. The race detector finds nothing, and at the
// end the seeds are restored.
func TestTenantFaults_concurrent(t *testing.T) {
	s := start(t, Options{VisibilityDelay: time.Millisecond, SwapOneIn: 3})
	done, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for _, org := range []string{orgA, orgB} {
		callers.Go(func() {
			for done.Err() == nil {
				made, err := s.do(done, s.orgRequest(org, "POST", "/v1/memories", `{"text":"x","org_id":"org-a"}`))
				if err != nil {
					return
				}
				for _, path := range []string{made.header.Get("Location"), "/v1/memories/" + s.tenants.seeds[orgA].id} {
					for _, method := range []string{"GET", "PUT", "GET", "DELETE"} {
						_, _ = s.do(done, s.orgRequest(org, method, "/"+strings.TrimPrefix(path, "/"), `{"text":"y"}`)) // any outcome will do
					}
				}
			}
		})
	}
	for _, f := range s.Faults() {
		if !isTenantFault(f) {
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
	// A request that was under way when its fault was cleared may have taken effect since.
	for _, fault := range []string{"tenant-foreign-update", "tenant-foreign-delete"} {
		if err := cmp.Or(s.Inject(fault), s.Clear(fault)); err != nil {
			t.Error(err)
		}
	}
	s.tenants.deleteAll()
	for org, name := range map[string]string{orgA: "A", orgB: "B"} {
		path := "/v1/memories/" + s.Env()["PROBER_DEMO_MEMORY_"+name]
		expectOwn(t, s, s.orgRequest(org, "GET", path, ""), s.Env()["PROBER_DEMO_CANARY_"+name])
	}
}

// Clear restores seeds that a fault let another org change or delete. It leaves other memories alone.
func TestClear_restoresSeeds(t *testing.T) {
	s := start(t, Options{})
	own := s.createMemory(t, orgA, "canary-of-a")
	first := "/v1/memories/" + s.Env()["PROBER_DEMO_MEMORY_A"]
	list := s.orgRequest(orgA, "GET", "/v1/memories", "")
	before := s.mustDo(t, list)
	for _, c := range []struct{ fault, method string }{
		{"tenant-foreign-update", "PUT"}, {"tenant-foreign-delete", "DELETE"},
	} {
		if err := s.Inject(c.fault); err != nil {
			t.Fatal(err)
		}
		s.mustDo(t, s.orgRequest(orgB, c.method, first, `{"text":"b-was-here"}`))
		if during := s.mustDo(t, list); during.body == before.body {
			t.Errorf("%s: expected a change, got none", c.fault)
		}
		if err := s.Clear(c.fault); err != nil {
			t.Fatal(err)
		}
		if after := s.mustDo(t, list); after.body != before.body {
			t.Errorf("%s: expected %s, got %s", c.fault, before.body, after.body)
		}
	}
	expectOwn(t, s, s.orgRequest(orgA, "GET", own, ""), "canary-of-a")
}

// A header with a leaked text must not be longer than callers accept, and the text must not end the header.
func TestLeakInHeader_length(t *testing.T) {
	testenv.WithoutRace(t)
	s := start(t, Options{})
	own := s.createMemory(t, orgA, "two\r\nlines: "+strings.Repeat("x", 4<<10))
	if err := s.Inject("tenant-leak-header"); err != nil {
		t.Fatal(err)
	}
	answer := s.mustDo(t, s.orgRequest(orgB, "GET", own, ""))
	if got := answer.header.Get("X-Debug"); len(got) != 1<<10 || !strings.HasPrefix(got, "two  lines: x") {
		t.Errorf("expected the beginning of the text, got %d bytes", len(got))
	}
}
