package httpx

import (
	"cmp"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// maxRetryAfter bounds how long a Retry-After excuses a target that keeps refusing.
const maxRetryAfter = time.Hour

// maxWaits bounds how many targets are remembered.
const maxWaits = 1000

// waits remembers until when targets asked to be left alone. The zero value is ready for use.
type waits struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// excused reports whether an answer is a 429 that asks for fewer requests, by Retry-After, and the time that the target
// asked for first has not passed since. After that the prober's rate is no longer the reason.
func (w *waits) excused(a *Answer, q *Request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	target := q.Check + " " + cmp.Or(q.Addr, q.URL)
	if a.Status != http.StatusTooManyRequests {
		delete(w.until, target)
		return false
	}
	now := time.Now()
	wait := retryAfter(a.Header, now)
	until, waiting := w.until[target]
	switch {
	case wait <= 0:
		return false
	case waiting:
		return now.Before(until)
	case w.until == nil, len(w.until) >= maxWaits:
		w.until = map[string]time.Time{}
	}
	w.until[target] = now.Add(min(wait, maxRetryAfter))
	return true
}

// retryAfter reads Retry-After: seconds or a date (RFC 9110, section 10.2.3). It is zero if there is none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return at.Sub(now)
	}
	return 0
}
