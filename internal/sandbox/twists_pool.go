package sandbox

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// What these twists remember is made with the table of faults, anew each time that one of them is broken. It is
// bounded: an answer or two, or a small cache.

const (
	overlap  = 10 * time.Millisecond // how long a read holds the shared buffer
	midway   = 25 * time.Millisecond // between the two parts of an answer, so that a caller can hang up there
	leftLife = 5 * time.Second       // how long what a cancelled read left behind lies around
	ttl      = 3 * time.Second       // how long the cache keeps an answer
)

// pause waits, and reports whether the caller hung up meanwhile.
func pause(ctx context.Context, d time.Duration) (hungUp bool) {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
		return false
	case <-ctx.Done():
		return true
	}
}

// sharedBuffer puts every good answer in one buffer and sends, a little later, what is then in it. Alone, a caller
// never notices.
func sharedBuffer() twist {
	var buffer atomic.Pointer[string]
	return func(at place, w http.ResponseWriter, r *http.Request) {
		taken := at.take(w, r)
		if taken.status != http.StatusOK {
			taken.send()
			return
		}
		body := taken.body.String()
		buffer.Store(&body)
		if !pause(r.Context(), overlap) {
			_, _ = io.WriteString(w, *buffer.Load())
		}
	}
}

// A mixUp says how often mixesUp does what it does.
type mixUp struct {
	oneIn    int
	byChance bool
}

// happens reports whether the n-th read is one of them.
func (m mixUp) happens(n int) bool {
	if m.byChance {
		return rand.IntN(m.oneIn) == 0
	}
	return n%m.oneIn == 0
}

// mixesUp answers one good read in so many with what the other org was last answered.
func mixesUp() twist {
	var mu sync.Mutex
	last, reads := map[string][]byte{}, 0 // by org
	return func(at place, w http.ResponseWriter, r *http.Request) {
		taken := at.take(w, r)
		if taken.status == http.StatusOK {
			org, other := at.host.sandbox.tenants.org(bearer(r)), orgA
			if org == orgA {
				other = orgB
			}
			mu.Lock()
			reads++
			last[org] = append([]byte(nil), taken.body.Bytes()...)
			if last[other] != nil && at.host.sandbox.mixUp.happens(reads) {
				taken.body.Reset()
				taken.body.Write(last[other])
			}
			mu.Unlock()
		}
		taken.send()
	}
}

// leavesTheRest sends every good answer in two parts. When the caller hangs up in between, the answer is left in the
// worker that the next read is given.
func leavesTheRest() twist {
	type rest struct {
		body  []byte
		since time.Time
	}
	var left atomic.Pointer[rest]
	return func(at place, w http.ResponseWriter, r *http.Request) {
		taken := at.take(w, r)
		if taken.status != http.StatusOK {
			taken.send()
			return
		}
		if found := left.Swap(nil); found != nil && time.Since(found.since) < leftLife {
			_, _ = w.Write(found.body)
			return
		}
		body := taken.body.Bytes()
		half := len(body) / 2
		_, _ = w.Write(body[:half])
		_ = http.NewResponseController(w).Flush() // fails only where there is no caller to see it
		if pause(r.Context(), midway) {
			left.Store(&rest{body, time.Now()})
			return
		}
		_, _ = w.Write(body[half:])
	}
}

// A urlCache stands before the service and knows the URL alone: not whose an answer was, and not that it must not be
// stored. Nothing in its answers tells where they are from.
type urlCache struct {
	mu      sync.Mutex
	entries map[string]cached
}

type cached struct {
	body  []byte
	until time.Time
}

// Bounds of the cache. When it is full it begins anew.
const (
	mostCached    = 128
	largestCached = 64 << 10
)

// serve is a twist.
func (c *urlCache) serve(at place, w http.ResponseWriter, r *http.Request) {
	url := r.URL.RequestURI()
	if body, ok := c.recall(url); ok {
		text(w, http.StatusOK, "application/json", string(body))
		return
	}
	taken := at.take(w, r)
	if taken.status == http.StatusOK {
		c.remember(url, taken.body.Bytes())
	}
	taken.send()
}

func (c *urlCache) recall(url string) (body []byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.entries[url]
	return found.body, ok && time.Now().Before(found.until)
}

func (c *urlCache) remember(url string, body []byte) {
	if len(body) > largestCached {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= mostCached {
		clear(c.entries)
	}
	c.entries[url] = cached{body, time.Now().Add(ttl)}
}
