package sandbox

import (
	"cmp"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// The state of these interceptors is made with the table of faults, so each injection starts without any. It is bounded:
// an answer or two, or a small cache.

const (
	bufferHoldTime = 10 * time.Millisecond // how long a read holds the shared buffer
	halfwayDelay   = 25 * time.Millisecond // between the two halves of an answer, so that a caller can hang up there
	staleBodyLife  = 5 * time.Second       // how long the rest of a cancelled read can be served
	cacheTTL       = 10 * time.Second      // how long the cache keeps an answer
)

// sleep waits, and reports whether the caller hung up in the meantime.
func sleep(ctx context.Context, d time.Duration) (hungUp bool) {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
		return false
	case <-ctx.Done():
		return true
	}
}

// sharedBuffer writes every good answer to one buffer and sends the buffer's content a little later. A caller that is
// alone never notices.
func sharedBuffer() interceptor {
	var buffer atomic.Pointer[string]
	return func(at target, w http.ResponseWriter, r *http.Request) {
		taken := at.capture(w, r)
		if taken.status != http.StatusOK {
			taken.send()
			return
		}
		body := taken.body.String()
		buffer.Store(&body)
		if !sleep(r.Context(), bufferHoldTime) {
			_, _ = io.WriteString(w, *buffer.Load())
		}
	}
}

// A swapFrequency says how often swapAnswers swaps.
type swapFrequency struct {
	oneIn    int
	byChance bool
}

// occurs reports whether the n-th read is swapped.
func (m swapFrequency) occurs(n int) bool {
	if m.byChance {
		return rand.IntN(m.oneIn) == 0
	}
	return n%m.oneIn == 0
}

// swapAnswers answers one good read in so many with the last answer of the other org.
func swapAnswers() interceptor {
	var mu sync.Mutex
	last, reads := map[string][]byte{}, 0 // by org
	return func(at target, w http.ResponseWriter, r *http.Request) {
		taken := at.capture(w, r)
		if taken.status == http.StatusOK {
			org, other := at.host.sandbox.tenants.org(bearer(r)), orgA
			if org == orgA {
				other = orgB
			}
			mu.Lock()
			reads++
			last[org] = append([]byte(nil), taken.body.Bytes()...)
			if last[other] != nil && at.host.sandbox.swaps.occurs(reads) {
				taken.body.Reset()
				taken.body.Write(last[other])
			}
			mu.Unlock()
		}
		taken.send()
	}
}

// leakCancelledBody sends every good answer in two halves. When the caller hangs up in between, the next read gets that
// answer.
func leakCancelledBody() interceptor {
	type rest struct {
		body  []byte
		since time.Time
	}
	var left atomic.Pointer[rest]
	return func(at target, w http.ResponseWriter, r *http.Request) {
		taken := at.capture(w, r)
		if taken.status != http.StatusOK {
			taken.send()
			return
		}
		if found := left.Swap(nil); found != nil && time.Since(found.since) < staleBodyLife {
			_, _ = w.Write(found.body)
			return
		}
		body := taken.body.Bytes()
		half := len(body) / 2
		_, _ = w.Write(body[:half])
		_ = http.NewResponseController(w).Flush() // an error means that the caller is gone
		if sleep(r.Context(), halfwayDelay) {
			left.Store(&rest{body, time.Now()})
			return
		}
		_, _ = w.Write(body[half:])
	}
}

// A urlCache is a cache in front of the service whose key is the URL alone, without the caller. It ignores Cache-Control,
// and its answers do not show that they are cached.
type urlCache struct {
	life time.Duration // of an entry; cacheTTL if zero

	mu      sync.Mutex
	entries map[string]cacheEntry
}

type cacheEntry struct {
	body  []byte
	until time.Time
}

// Bounds of the cache. A full cache is cleared.
const (
	maxCacheEntries    = 128
	maxCacheEntryBytes = 64 << 10
)

// serve is an interceptor.
func (c *urlCache) serve(at target, w http.ResponseWriter, r *http.Request) {
	url := r.URL.RequestURI()
	if body, ok := c.get(url); ok {
		writeText(w, http.StatusOK, "application/json", string(body))
		return
	}
	taken := at.capture(w, r)
	if taken.status == http.StatusOK {
		c.put(url, taken.body.Bytes())
	}
	taken.send()
}

// fill keeps what an update answers.
func (c *urlCache) fill(at target, w http.ResponseWriter, r *http.Request) {
	taken := at.capture(w, r)
	if taken.status == http.StatusOK {
		c.put(r.URL.RequestURI(), taken.body.Bytes())
	}
	taken.send()
}

// serveFilled answers from what the cache has, and keeps nothing.
func (c *urlCache) serveFilled(at target, w http.ResponseWriter, r *http.Request) {
	if body, ok := c.get(r.URL.RequestURI()); ok {
		writeText(w, http.StatusOK, "application/json", string(body))
		return
	}
	at.next(w, r)
}

// drop forgets what a delete deletes.
func (c *urlCache) drop(at target, w http.ResponseWriter, r *http.Request) {
	taken := at.capture(w, r)
	if taken.status < http.StatusBadRequest {
		c.mu.Lock()
		delete(c.entries, r.URL.RequestURI())
		c.mu.Unlock()
	}
	taken.send()
}

func (c *urlCache) get(url string) (body []byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.entries[url]
	return found.body, ok && time.Now().Before(found.until)
}

func (c *urlCache) put(url string, body []byte) {
	if len(body) > maxCacheEntryBytes {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= maxCacheEntries {
		clear(c.entries)
	}
	c.entries[url] = cacheEntry{body, time.Now().Add(cmp.Or(c.life, cacheTTL))}
}
