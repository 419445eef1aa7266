package public

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Limits of a server that anybody may reach. A response is never large, but a reader may be slow.
const (
	headerTime   = 5 * time.Second
	responseTime = 30 * time.Second
	idleTime     = 30 * time.Second
	maxHeader    = 8 << 10
)

// Restrict gives a server the limits of one that anybody may reach.
func Restrict(s *http.Server) *http.Server {
	s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout, s.MaxHeaderBytes = headerTime, headerTime, responseTime, idleTime, maxHeader
	return s
}

// ServeHTTP answers GET and HEAD for the few documents there are. Nothing else of a request matters but whether it takes gzip.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	header.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		header.Set("Connection", "close") // rather than to read a body
		http.Error(w, "expected method GET, HEAD", http.StatusMethodNotAllowed)
		return
	}
	if r.ContentLength != 0 {
		header.Set("Connection", "close")
		http.Error(w, "expected no body", http.StatusRequestEntityTooLarge)
		return
	}
	d, ok := s.document(strings.TrimPrefix(r.URL.Path, "/"))
	if !ok {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	switch d.kind {
	case pageType:
		header.Set("Content-Security-Policy", policy+"; frame-ancestors 'none'")
	case svgType: // some browsers apply it to pictures, which may have a style
		header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox")
	}
	header.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(maxAge.Seconds())))
	header.Set("Content-Type", d.kind)
	header.Set("Vary", "Accept-Encoding")
	size := d.size
	var body io.Reader
	switch {
	case d.zip != nil && takesGzip(r):
		header.Set("Content-Encoding", "gzip")
		body, size = bytes.NewReader(d.zip), len(d.zip)
	case d.zip != nil && r.Method == http.MethodGet:
		select {
		case s.expanding <- struct{}{}:
			defer func() { <-s.expanding }()
		default:
			header.Set("Retry-After", "5")
			http.Error(w, "too many readers that do not accept gzip", http.StatusServiceUnavailable)
			return
		}
		body = d.open()
	default:
		body = bytes.NewReader(d.plain)
	}
	header.Set("Content-Length", strconv.Itoa(size))
	if r.Method == http.MethodGet {
		_, _ = io.Copy(w, body)
	}
}

// maxExpanding is how many readers that do not accept gzip are served at a time: each takes 80 KiB.
const maxExpanding = 8

// document returns what a path names.
func (s *Site) document(name string) (document, bool) {
	if len(name) > 20 { // longer than any: a path of a scanner costs no rendering
		return document{}, false
	}
	if name == "" {
		name = pageName
	}
	for _, d := range s.current().documents {
		if d.name == name {
			return d, true
		}
	}
	return document{}, false
}

func takesGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(strings.Join(r.Header["Accept-Encoding"], ","), ",") {
		name, weight, _ := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";q=")
		if q, err := strconv.ParseFloat(weight, 64); strings.EqualFold(name, "gzip") {
			return weight == "" || err == nil && q > 0
		}
	}
	return false
}
