package sandbox

import (
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"strconv"
	"time"
)

// defaultDependencyTimeout is how long the proxy waits for auth before it reports that it is not ready.
const defaultDependencyTimeout = time.Second

// serveProxy makes a host one replica of the proxy. It is live while it runs, and ready while auth is healthy, which it
// checks for each request. It verifies tokens with keys and a cache of its own. The protected route is not implemented:
// 501 means that the caller's token was accepted.
func serveProxy(h *host, authURL string, dependencyTimeout time.Duration, i *issuer, v *verifier) {
	h.issuer, h.verifier = i, v
	h.stamp = func(header http.Header, r *http.Request) {
		stamp(header, r)
		header.Set("X-Instance", h.name)
	}
	h.handle("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, object{"status": "ok", "instance": h.name})
	})
	h.handle("GET /ready", func(w http.ResponseWriter, r *http.Request) {
		if !isUp(r.Context(), authURL+"/health", dependencyTimeout) {
			writeJSON(w, http.StatusServiceUnavailable, object{"status": "not_ready", "dependency": auth})
			return
		}
		writeJSON(w, http.StatusOK, object{"status": "ready", "instance": h.name})
	})
	serveKeySet(h, v.keys, "max-age=10")
	serveMetrics(h, proxyFamilies())
	seen := &cache{until: map[[sha256.Size]byte]time.Time{}, looked: func(result string) { h.meter.count(cacheLookups, result, 0) }}
	h.handle("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		status := serveCompletions(w, seen, v, bearer(r), func(result string) { h.meter.count(validations, result, time.Since(began)) })
		h.meter.count(requestsTotal, strconv.Itoa(status), 0)
		h.meter.count(requestDuration, "", time.Since(began))
	})
}

// serveCompletions answers on the protected route and returns the status. The token's validation is counted with its result.
func serveCompletions(w http.ResponseWriter, seen *cache, v *verifier, token string, validated func(result string)) int {
	got := seen.verify(v, token)
	if got == accepted {
		validated("ok")
		writeJSON(w, http.StatusNotImplemented, object{"error": "not_implemented"})
		return http.StatusNotImplemented
	}
	if got != missing {
		validated(string(got))
	}
	return got.refuse(w)
}

// isUp reports whether a URL answers 200. It reuses no connection, so that it notices at once when nothing listens.
func isUp(ctx context.Context, url string, timeout time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	return err == nil && response.StatusCode == http.StatusOK
}
