package probe

import (
	"net/http"
	"time"
)

// RateLimited reports whether the target asked for fewer requests, and how long it asked to be left alone: the longest
// Retry-After, or 0 if it did not say. A 429 that the probe causes on purpose does not count.
func (r Result) RateLimited() (wait time.Duration, limited bool) {
	for _, c := range r.Checks {
		limited = limited || c.Reason == RateLimited
	}
	for i := range r.Exchanges {
		if x := &r.Exchanges[i]; x.Status == http.StatusTooManyRequests && !x.Expected {
			wait, limited = max(wait, x.RetryAfter), true
		}
	}
	return wait, limited
}
