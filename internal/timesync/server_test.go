package timesync

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
)

// A counter counts the requests to a server and answers each as the test says.
type counter struct {
	mu     sync.Mutex
	asked  []time.Time
	answer func(question []byte) [][]byte
}

func (c *counter) client() *Client {
	return answering(func(q []byte) [][]byte {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.asked = append(c.asked, time.Now())
		return c.answer(q)
	})
}

// gaps are the times between requests.
func (c *counter) gaps() []time.Duration {
	var gaps []time.Duration
	for i := 1; i < len(c.asked); i++ {
		gaps = append(gaps, c.asked[i].Sub(c.asked[i-1]))
	}
	return gaps
}

func TestAServerIsAskedNoMoreThanEvery64Seconds(t *testing.T) {
	for _, every := range []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 64 * time.Second, 5 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			c := &counter{answer: func(q []byte) [][]byte { return [][]byte{honest(q, 0)} }}
			s, a := &Server{Address: "127.0.0.1:1"}, c.client()
			for range 100 {
				reply, err := s.Ask(t.Context(), a)
				if err != nil || !reply.Offset.Meets(Interval{}) {
					t.Fatalf("every %s: got %v, %v", every, reply.Offset, err)
				}
				age := time.Since(reply.At)
				if got, least := reply.Offset.Uncertainty(), reply.RootDistance+Drift(age); age > minInterval || got < least {
					t.Fatalf("every %s: an answer %s old with an uncertainty of %s, expected at least %s", every, age, got, least)
				}
				time.Sleep(every)
			}
			for _, gap := range c.gaps() {
				if gap < minInterval {
					t.Fatalf("every %s: asked twice within %s", every, gap)
				}
			}
			if len(c.asked) < 1 || every >= minInterval && len(c.asked) != 100 {
				t.Errorf("every %s: asked %d times", every, len(c.asked))
			}
		})
	}
}

func TestAServerThatIsAskedTooOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{answer: tampered(func(b []byte) { b[1] = 0; copy(b[12:], "RATE") })}
		s, a := &Server{Address: "127.0.0.1:1"}, c.client()
		for range 4 * 3600 {
			if _, err := s.Ask(t.Context(), a); why(err) != probe.RateLimited {
				t.Fatalf("got %v", err)
			}
			time.Sleep(time.Second)
		}
		want := []time.Duration{128, 256, 512, 1024, 2048, 3600, 3600}
		for i, gap := range c.gaps() {
			if i >= len(want) || gap != want[i]*time.Second {
				t.Fatalf("asked after %s, expected %v s", c.gaps(), want)
			}
		}
		// It replies again, and is still queried no more often: between two replies there is none to use.
		c.answer = func(q []byte) [][]byte { return [][]byte{honest(q, 0)} }
		time.Sleep(time.Hour)
		if _, err := s.Ask(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		time.Sleep(65 * time.Second)
		if _, err := s.Ask(t.Context(), a); why(err) != probe.RateLimited || !strings.Contains(err.Error(), "too old") {
			t.Errorf("got %v; expected that a stale answer is not used", err)
		}
	})
}

func TestAServerThatForbidsToBeAsked(t *testing.T) {
	for _, code := range []string{"DENY", "RSTR"} {
		synctest.Test(t, func(t *testing.T) {
			c := &counter{answer: tampered(func(b []byte) { b[1] = 0; copy(b[12:], code) })}
			s, a := &Server{Address: "127.0.0.1:1"}, c.client()
			for range 100 {
				if _, err := s.Ask(t.Context(), a); why(err) != Kiss {
					t.Fatalf("got %v", err)
				}
				time.Sleep(time.Hour)
			}
			if len(c.asked) != 1 {
				t.Errorf("%s: asked %d times", code, len(c.asked))
			}
		})
	}
}

// A kiss-o'-death for another request is ignored: anyone could send one and keep a server from being queried.
func TestAForgedKissIsNoKiss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{answer: tampered(func(b []byte) { b[1] = 0; copy(b[12:], "DENY"); b[25] ^= 1 })}
		s, a := &Server{Address: "127.0.0.1:1"}, c.client()
		for range 3 {
			if _, err := s.Ask(t.Context(), a); why(err) != Replayed {
				t.Fatalf("got %v", err)
			}
			time.Sleep(minInterval)
		}
		if len(c.asked) != 3 {
			t.Errorf("asked %d times, expected each time", len(c.asked))
		}
	})
}

// A failure is repeated until the server may be queried again; an older good reply does not replace it.
func TestAFailureIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{answer: func(q []byte) [][]byte { return [][]byte{honest(q, 0)} }}
		s, a := &Server{Address: "127.0.0.1:1"}, c.client()
		if _, err := s.Ask(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		c.answer = tampered(func(b []byte) { b[1] = 16 })
		time.Sleep(minInterval)
		for range 2 {
			if _, err := s.Ask(t.Context(), a); why(err) != Unsynchronised {
				t.Fatalf("got %v", err)
			}
			time.Sleep(30 * time.Second)
		}
		if _, err := s.Ask(t.Context(), a); err == nil || !strings.Contains(err.Error(), "queried 1m0s ago, next in 4.0 s") {
			t.Errorf("got %v", err)
		}
	})
}

// A server that did not answer in time did not, until it may be asked again: that it was not asked is no answer.
func TestATimeoutIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{answer: func([]byte) [][]byte { time.Sleep(2 * time.Second); return nil }}
		s, a := &Server{Address: "127.0.0.1:1"}, c.client()
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := s.Ask(ctx, a); why(err).Word != "network" {
				t.Errorf("got %v", err)
			}
			cancel()
		}
		if len(c.asked) != 1 {
			t.Errorf("asked %d times", len(c.asked))
		}
	})
}

// A cancelled run does not claim that the server demanded fewer requests: it never did.
func TestAGivenUpRunIsNoRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{answer: func(q []byte) [][]byte { return [][]byte{honest(q, 0)} }}
		s, a := &Server{Address: "127.0.0.1:1"}, c.client()
		if _, err := s.Ask(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		time.Sleep(minInterval + time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		c.answer = func([]byte) [][]byte { cancel(); return nil }
		if _, err := s.Ask(ctx, a); err == nil {
			t.Fatal("answered all the same")
		}
		if _, err := s.Ask(t.Context(), a); why(err) != probe.NothingChecked || strings.Contains(err.Error(), "said") {
			t.Errorf("got %v", err)
		}
	})
}

// A cancelled run says nothing about the server.
func TestAGivenUpRunIsForgotten(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &Server{Address: "127.0.0.1:9"}
	if _, err := s.Ask(ctx, new(Client)); err == nil {
		t.Fatal("asked all the same")
	}
	if _, err := s.Ask(t.Context(), new(Client)); why(err) != probe.NothingChecked {
		t.Errorf("got %v; expected that it was not asked yet", err)
	}
}
