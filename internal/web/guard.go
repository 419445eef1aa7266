package web

import (
	"net/http"
	"slices"
	"strings"
)

// most bounds the bodies of requests: no route needs any.
const most = 64 << 10

// guard sets the headers that every answer has, bounds the request and refuses what a page of another site has a
// browser send.
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
		// Not no-referrer: with that, browsers send "Origin: null" with the page's own forms, which are then refused.
		header.Set("Referrer-Policy", "same-origin")
		r.Body = http.MaxBytesReader(w, r.Body, most)
		h.ServeHTTP(w, r)
	})
}

// allow answers 405 to every other method.
func allow(h http.HandlerFunc, methods ...string) http.Handler {
	list := strings.Join(methods, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(methods, r.Method) {
			h(w, r)
			return
		}
		w.Header().Set("Allow", list)
		http.Error(w, "this answers only to "+list, http.StatusMethodNotAllowed)
	})
}

// contain turns a panic into a 500 that says nothing of it. If an answer was under way, it is cut off, so that nobody
// takes it for a whole one.
func contain(h http.Handler, told func(string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		track := &tracker{ResponseWriter: w}
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p != http.ErrAbortHandler && told != nil {
				told(r.Pattern)
			}
			if track.began || p == http.ErrAbortHandler {
				panic(http.ErrAbortHandler)
			}
			http.Error(w, "internal error", http.StatusInternalServerError)
		}()
		h.ServeHTTP(track, r)
	})
}

// A tracker knows whether the answer has begun.
type tracker struct {
	http.ResponseWriter
	began bool
}

func (t *tracker) WriteHeader(status int) {
	t.began = true
	t.ResponseWriter.WriteHeader(status)
}

func (t *tracker) Write(p []byte) (int, error) {
	t.began = true
	return t.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (t *tracker) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// home leads a browser that posted a form back to the page, once the handler did as it was told. Others get the
// handler's own answer.
func home(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !strings.Contains(r.Header.Get("Accept"), "text/html") {
			h.ServeHTTP(w, r)
			return
		}
		// Relative, so that it also holds behind a prefix that was cut off before us.
		back := &homeward{ResponseWriter: w, to: "./" + strings.Repeat("../", strings.Count(r.URL.Path, "/")-1)}
		h.ServeHTTP(back, r)
		if !back.begun {
			back.WriteHeader(http.StatusOK)
		}
	})
}

// homeward answers with the way home in place of any success.
type homeward struct {
	http.ResponseWriter
	to           string
	begun, going bool
}

func (w *homeward) WriteHeader(status int) {
	if !w.begun && status >= 200 && status < 300 {
		w.going, status = true, http.StatusSeeOther
		w.Header().Del("Content-Length")
		w.Header().Del("Content-Type")
		w.Header().Set("Location", w.to)
	}
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *homeward) Write(p []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	if w.going {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}
