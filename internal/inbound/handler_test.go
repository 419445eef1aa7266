package inbound

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
)

func TestReceivers_delivers(t *testing.T) {
	a, b := &receiving{}, &receiving{}
	inWorld(t, Options{}, func(w *world) {
		status, body, header := w.ask("POST /" + tokenA + "/x%2fy/?q=%20&r HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 10.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\x00b\r\n0\r\n\r\n")
		if status != 200 || body != "OK" || header.Get("Content-Type") != "text/plain; charset=utf-8" || header.Get("Cache-Control") != "no-store" {
			t.Errorf("got %d %q %v", status, body, header)
		}
		d := a.received()[0]
		if d.Method != "POST" || d.Path != "/x%2fy/" || d.Query != "q=%20&r" || string(d.Body) != "a\x00b" || !d.At.Equal(time.Now()) || d.Header.Get("X-Forwarded-For") != "10.0.0.1" {
			t.Errorf("got %+v", d)
		}
		if status, body, _ := w.ask("HEAD /" + tokenB + " HTTP/1.0\r\n\r\n"); status != 200 || body != "" || b.received()[0].Path != "" {
			t.Errorf("got %d %q", status, body)
		}
		if len(a.received()) != 1 || len(b.received()) != 1 || w.count("delivered") != 2 {
			t.Errorf("got %v", w.outcomes)
		}
	}, a, b)
}

// Whatever is not the path of a probe is answered alike, and repeats nothing of the request.
func TestReceivers_unknown(t *testing.T) {
	a := &receiving{}
	inWorld(t, Options{}, func(w *world) {
		long := strings.Repeat("a", 10_000)
		paths := []string{
			"/", "/" + tokenB, "/" + tokenA[1:], "/" + tokenA + "x", "/" + strings.ToLower(tokenA), "//" + tokenA, "/x/" + tokenA, "/./" + tokenA,
			"/%6b" + tokenA[1:], "/metrics", "/-/healthy", "/" + long, "http://other/" + tokenA, "*", "/?token=" + tokenA, "/" + tokenA + "%2fstart",
			"/" + tokenA + ";a=b", "/" + strings.Repeat("0", 22),
		}
		for _, path := range paths {
			for _, method := range []string{"GET", "POST", "OPTIONS", "TRACE"} {
				if path == "*" && method != "OPTIONS" {
					continue
				}
				status, body, header := w.ask(method + " " + path + " HTTP/1.1\r\nHost: hunter2\r\nX-Hunter2: hunter2\r\n\r\n")
				names := slices.Sorted(maps.Keys(header))
				if status != 404 || body != "not found\n" || fmt.Sprint(names) != "[Cache-Control Content-Length Content-Type Date X-Content-Type-Options]" {
					t.Errorf("%s %.40s: got %d %q %v", method, path, status, body, names)
				}
			}
		}
		if status, _, _ := w.ask("CONNECT " + tokenA + ":443 HTTP/1.1\r\nHost: h\r\n\r\n"); status != 404 {
			t.Errorf("CONNECT: got %d", status)
		}
		if len(a.received()) != 0 || w.count("delivered") != 0 || w.count("unknown") < len(paths) {
			t.Errorf("got %v", w.outcomes)
		}
		if _, missed := w.inbox(0).Gap(time.Time{}, time.Now()); missed {
			t.Error("a guess counts as a request that the prober missed")
		}
		// Nothing that somebody sends is read before it is known for whom it is.
		conn := w.dial()
		defer conn.Close()
		begin := time.Now()
		io.WriteString(conn, "POST /guess HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n")
		if answer, _ := io.ReadAll(conn); !strings.HasPrefix(string(answer), "HTTP/1.1 404") || time.Since(begin) > time.Second {
			t.Errorf("after %s: %q", time.Since(begin), answer)
		}
	}, a)
}

// Requests of which a proxy may read another end than the prober never carry a second one.
func TestReceivers_smuggling(t *testing.T) {
	second := "POST /" + tokenA + "/fail HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
	head := "POST /" + tokenA + " HTTP/1.1\r\nHost: h\r\n"
	for name, request := range map[string]string{
		"two in a row":            head + "Content-Length: 0\r\n\r\n" + second,
		"both lengths":            head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second,
		"two lengths":             head + "Content-Length: 0\r\nContent-Length: 4\r\n\r\n" + second,
		"a space before a colon":  head + "Transfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n" + second,
		"an unknown coding":       head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + second,
		"two codings":             head + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + second,
		"a folded header":         head + "X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n" + second,
		"a negative length":       head + "Content-Length: -1\r\n\r\n" + second,
		"a bare line feed":        head + "Content-Length: 0\n\n" + second,
		"an upgrade":              head + "Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n" + second,
		"no host":                 "POST /" + tokenA + " HTTP/1.1\r\n\r\n" + second,
		"a get with a body":       "GET /" + tokenA + " HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nxxxxx" + second,
		"an expected continue":    head + "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n" + second,
		"the preface of HTTP/2":   "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + second,
		"an invalid chunk length": head + "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + second,
	} {
		t.Run(name, func(t *testing.T) {
			a := &receiving{}
			inWorld(t, Options{}, func(w *world) {
				conn := w.dial()
				defer conn.Close()
				go io.WriteString(conn, request)
				answers, _ := io.ReadAll(conn)
				if n := strings.Count(string(answers), "HTTP/1.1 "); n > 1 {
					t.Errorf("got %d answers:\n%s", n, answers)
				}
				synctest.Wait()
				for _, d := range a.received() {
					if d.Path == "/fail" {
						t.Error("the second request was delivered")
					}
				}
			}, a)
		})
	}
}

func TestReceivers_bodies(t *testing.T) {
	a := &receiving{}
	head := "POST /" + tokenA + " HTTP/1.1\r\nHost: h\r\n"
	full := strings.Repeat("x", probe.MaxDelivery)
	chunked := func(n int) string {
		return head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("400\r\n"+strings.Repeat("x", 1024)+"\r\n", n)
	}
	inWorld(t, Options{}, func(w *world) {
		for name, test := range map[string]struct {
			request string
			want    int
		}{
			"the largest":           {fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(full), full), 200},
			"one byte more":         {fmt.Sprintf("%sContent-Length: %d\r\n\r\n%sx", head, len(full)+1, full), 413},
			"announced and not":     {head + "Content-Length: 9000000000\r\n\r\n", 413},
			"the largest in chunks": {chunked(256) + "0\r\n\r\n", 200},
			"endless":               {chunked(2000), 413},
			"broken chunks":         {head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
		} {
			if status, _, _ := w.ask(test.request); status != test.want {
				t.Errorf("%s: expected %d, got %d", name, test.want, status)
			}
		}
		if len(a.received()) != 2 || len(a.received()[0].Body) != probe.MaxDelivery {
			t.Errorf("got %d deliveries", len(a.received()))
		}
		if w.count("too_large") != 3 || w.count("incomplete") != 1 || w.count("delivered") != 2 {
			t.Errorf("got %v", w.outcomes)
		}
		if _, missed := w.inbox(0).Gap(time.Time{}, time.Now()); missed {
			t.Error("what a sender did wrong counts as what the prober missed")
		}
	}, a)
}

// A job may send its log along with its report, which is not kept.
func TestReceivers_ignoredBodies(t *testing.T) {
	a := &receiving{}
	head := "POST /" + tokenA + " HTTP/1.1\r\nHost: h\r\n"
	sized := func(n int) string {
		return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, n, strings.Repeat("x", n))
	}
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 1<<20, strings.Repeat("x", 1<<20))
	chunked := func(n int) string { return head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat(chunk, n) }
	inWorld(t, Options{}, func(w *world) {
		w.jobs[0].Probe = ignoring{a}
		w.receivers.SetJobs(w.jobs)
		for name, test := range map[string]struct {
			request string
			want    int
		}{
			"a log":                 {sized(probe.MaxDelivery + 1), 200},
			"the largest in chunks": {chunked(probe.MaxIgnored>>20) + "0\r\n\r\n", 200},
			"one byte more":         {chunked(probe.MaxIgnored>>20) + "1\r\nx\r\n0\r\n\r\n", 413},
			"announced and not":     {fmt.Sprintf("%sContent-Length: %d\r\n\r\n", head, probe.MaxIgnored+1), 413},
			"broken chunks":         {head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
		} {
			if status, _, _ := w.ask(test.request); status != test.want {
				t.Errorf("%s: expected %d, got %d", name, test.want, status)
			}
		}
		for _, d := range a.received() {
			if d.Body != nil {
				t.Errorf("got a body of %d bytes", len(d.Body))
			}
		}
		if w.count("too_large") != 2 || w.count("incomplete") != 1 || w.count("delivered") != 2 {
			t.Errorf("got %v", w.outcomes)
		}
	}, a)
}

// Whoever sends slowly, header or body, is cut off, and nobody waits for them.
func TestReceivers_slow(t *testing.T) {
	a := &receiving{}
	inWorld(t, Options{}, func(w *world) {
		for begin, limit := range map[string]time.Duration{
			"POST /" + tokenA + " HTTP/1.1\r\nX: ":                                                  headerTime,
			"POST /" + tokenA + " HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n":              bodyTime,
			"POST /" + tokenA + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n": bodyTime,
			"": headerTime,
		} {
			conn := w.dial()
			began := time.Now()
			go func() {
				io.WriteString(conn, begin)
				for {
					if _, err := io.WriteString(conn, "x"); err != nil || begin == "" {
						return
					}
					time.Sleep(time.Second)
				}
			}()
			io.ReadAll(conn)
			if open := time.Since(began); open > limit+2*time.Second {
				t.Errorf("%q: open for %s", begin, open)
			}
			conn.Close()
		}
		if len(a.received()) != 0 {
			t.Errorf("got %+v", a.received())
		}
		if status, _, _ := w.ask("POST /" + tokenA + " HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 40_000) + "\r\n\r\n"); status != http.StatusRequestHeaderFieldsTooLarge && status != 0 {
			t.Errorf("a header bomb: got %d", status)
		}
		if status, _, _ := w.ask("POST /" + tokenA + " HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("X: \r\n", 10_000) + "\r\n"); status != http.StatusRequestHeaderFieldsTooLarge && status != 0 {
			t.Errorf("many headers: got %d", status)
		}
	}, a)
}

// More requests than a probe may have are refused, and the probe knows that it may have missed one.
func TestReceivers_limits(t *testing.T) {
	a, b := &receiving{}, &receiving{}
	inWorld(t, Options{}, func(w *world) {
		for i := range maxBurst {
			if status, _, _ := w.ask(post("/" + tokenA)); status != 200 {
				t.Fatalf("request %d: got %d", i, status)
			}
		}
		status, _, header := w.ask(post("/" + tokenA))
		if status != 429 || header.Get("Retry-After") == "" || w.count("limited") != 1 {
			t.Errorf("got %d %v", status, w.outcomes)
		}
		if gap, missed := w.inbox(0).Gap(time.Time{}, time.Now()); !missed || gap.Why != whyRate {
			t.Errorf("got %+v", gap)
		}
		if status, _, _ := w.ask(post("/" + tokenB)); status != 200 {
			t.Errorf("another probe: got %d", status)
		}
		if _, missed := w.inbox(1).Gap(time.Time{}, time.Now()); missed {
			t.Error("the other probe missed nothing")
		}
		time.Sleep(10 * time.Second)
		if status, _, _ := w.ask(post("/" + tokenA)); status != 200 {
			t.Errorf("later: got %d", status)
		}
	}, a, b)

	a = &receiving{answer: func(probe.Delivery) probe.Answer { return probe.Answer{Delay: 10 * time.Second} }}
	inWorld(t, Options{}, func(w *world) {
		for range maxConcurrent {
			go w.ask(post("/" + tokenA))
		}
		synctest.Wait()
		if status, _, _ := w.ask(post("/" + tokenA)); status != 503 || w.count("overloaded") != 1 {
			t.Errorf("got %d %v", status, w.outcomes)
		}
		if gap, missed := w.inbox(0).Gap(time.Time{}, time.Now()); !missed || gap.Why != whyLoad {
			t.Errorf("got %+v", gap)
		}
		time.Sleep(11 * time.Second)
		if status, _, _ := w.ask(post("/" + tokenA)); status != 200 {
			t.Errorf("later: got %d", status)
		}
	}, a)
}

// More connections than there may be count as what every probe may have missed.
func TestReceivers_connections(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		for range 20 {
			defer w.dial().Close()
		}
		synctest.Wait()
		if _, missed := w.inbox(0).Gap(time.Time{}, time.Now()); missed {
			t.Error("there is room for 20")
		}
		defer w.dial().Close()
		synctest.Wait()
		if gap, missed := w.inbox(0).Gap(time.Time{}, time.Now()); !missed || gap.Why != whyLoad || w.count("overloaded") != 1 {
			t.Errorf("got %+v", gap)
		}
	}, &receiving{})
}

func TestReceivers_answers(t *testing.T) {
	var next probe.Answer
	a := &receiving{answer: func(probe.Delivery) probe.Answer { return next }}
	inWorld(t, Options{}, func(w *world) {
		for _, test := range []struct {
			answer probe.Answer
			status int
			body   string
			header string // name: value
			took   time.Duration
		}{
			{probe.Answer{Status: 500}, 500, "internal server error\n", "", 0},
			{probe.Answer{Status: 429, RetryAfter: 1500 * time.Millisecond}, 429, "too many requests\n", "Retry-After: 2", 0},
			{probe.Answer{Status: 302, Location: "https://example.com/"}, 302, "found\n", "Location: https://example.com/", 0},
			{probe.Answer{Status: 204}, 204, "", "", 0},
			{probe.Answer{Delay: 20 * time.Second}, 200, "OK", "", 20 * time.Second},
			{probe.Answer{Delay: time.Hour}, 200, "OK", "", probe.MaxAnswerDelay},
			{probe.Answer{Status: 100}, 200, "OK", "", 0},
			{probe.Answer{Status: 1000}, 200, "OK", "", 0},
			{probe.Answer{Close: true, Delay: time.Second}, 0, "", "", time.Second},
		} {
			next = test.answer
			began := time.Now()
			status, body, header := w.ask(post("/" + tokenA))
			name, value, _ := strings.Cut(test.header, ": ")
			if status != test.status || body != test.body || header.Get(name) != value || time.Since(began) != test.took {
				t.Errorf("%+v: got %d %q %v after %s", test.answer, status, body, header, time.Since(began))
			}
		}
	}, a)
	a.answer = func(probe.Delivery) probe.Answer { panic(tokenA) }
	inWorld(t, Options{}, func(w *world) {
		if status, body, _ := w.ask(post("/" + tokenA)); status != 500 || body != "internal server error\n" || w.count("failed") != 1 {
			t.Errorf("got %d %q %v", status, body, w.outcomes)
		}
		if gap, missed := w.inbox(0).Gap(time.Time{}, time.Now()); !missed || gap.Why != whyPanic {
			t.Errorf("got %+v", gap)
		}
		a.answer = nil
		for range maxConcurrent + 1 { // no place is lost
			if status, _, _ := w.ask(post("/" + tokenA)); status != 200 {
				t.Errorf("got %d", status)
			}
		}
	}, a)
}

// FuzzServeHTTP holds that nothing but the path of a probe reaches it, whatever is sent.
func FuzzServeHTTP(f *testing.F) {
	f.Add("GET /" + tokenA + " HTTP/1.1\r\nHost: h\r\n\r\n")
	f.Add("POST /" + tokenA + "/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")
	f.Add("POST //%2e/?" + tokenA + " HTTP/1.0\r\nContent-Length: 1\r\n\r\n\r\n")
	f.Setenv("INBOUND_TEST_a", tokenA)
	f.Fuzz(func(t *testing.T, request string) {
		a := &receiving{}
		inWorld(t, Options{}, func(w *world) {
			conn := w.dial()
			go func() {
				io.WriteString(conn, request)
			}()
			answer, _ := io.ReadAll(conn)
			conn.Close()
			for _, d := range a.received() {
				if !strings.Contains(request, tokenA) || d.Path != "" && d.Path[0] != '/' || len(d.Body) > probe.MaxDelivery {
					t.Errorf("delivered: %+v", d)
				}
			}
			if strings.Contains(string(answer), tokenA) {
				t.Errorf("the answer repeats the token: %q", answer)
			}
		}, a)
	})
}
