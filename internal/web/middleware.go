package web

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Bounds of request bodies: no route needs more than a line, and who is slow to send it holds a connection.
const (
	maxRequestBody = 64 << 10
	bodyTime       = 2 * time.Second
)

// guard sets the headers of every response, bounds the request body and refuses cross-origin requests.
func guard(h http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "refused: the request was sent by a page of another site", http.StatusForbidden)
	}))
	h = origin.Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Cache-Control", "no-store")
		// With no-referrer, browsers would send "Origin: null" with the page's own forms, which would then be refused.
		header.Set("Referrer-Policy", "same-origin")
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxRequestBody)
		h.ServeHTTP(w, r)
	})
}

// allowMethods answers 405 to all other methods.
func allowMethods(h http.HandlerFunc, methods ...string) http.Handler {
	list := strings.Join(methods, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(methods, r.Method) {
			h(w, r)
			return
		}
		w.Header().Set("Allow", list)
		http.Error(w, "expected method "+list, http.StatusMethodNotAllowed)
	})
}

// recoverPanics turns a panic into a 500 without details. If the response has started, it is aborted, so that it does not
// look complete.
func recoverPanics(h http.Handler, told func(string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		track := &responseTracker{ResponseWriter: w}
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p != http.ErrAbortHandler && told != nil {
				told(r.Pattern)
			}
			if track.started || p == http.ErrAbortHandler {
				panic(http.ErrAbortHandler)
			}
			http.Error(w, "internal error", http.StatusInternalServerError)
		}()
		h.ServeHTTP(track, r)
	})
}

// A responseTracker knows whether the response has started.
type responseTracker struct {
	http.ResponseWriter
	started bool
}

func (t *responseTracker) WriteHeader(status int) {
	t.started = true
	t.ResponseWriter.WriteHeader(status)
}

func (t *responseTracker) Write(p []byte) (int, error) {
	t.started = true
	return t.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (t *responseTracker) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// redirectAfterPost redirects a browser that posted a form back to the page after a success. Other clients get the
// handler's own response.
func redirectAfterPost(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !strings.Contains(r.Header.Get("Accept"), "text/html") {
			h.ServeHTTP(w, r)
			return
		}
		// Relative, so that it works behind a proxy that strips a prefix.
		back := &redirectWriter{ResponseWriter: w, to: cameFrom(r, "./"+strings.Repeat("../", strings.Count(r.URL.Path, "/")-1))}
		h.ServeHTTP(back, r)
		if !back.started {
			back.WriteHeader(http.StatusOK)
		}
	})
}

// redirectWriter turns any success into a redirect.
type redirectWriter struct {
	http.ResponseWriter
	to                  string
	started, redirected bool
}

func (w *redirectWriter) WriteHeader(status int) {
	if !w.started && status >= 200 && status < 300 {
		w.redirected, status = true, http.StatusSeeOther
		w.Header().Del("Content-Length")
		w.Header().Del("Content-Type")
		w.Header().Set("Location", w.to)
	}
	w.started = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *redirectWriter) Write(p []byte) (int, error) {
	if !w.started {
		w.WriteHeader(http.StatusOK)
	}
	if w.redirected {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}
