package web

import (
	"net/http"
	"time"
)

// NewServer returns a server that no client can keep busy for long: headers are read within 5 s and up to 64 KiB,
// requests within 10 s, answers are written within a minute, and idle connections are closed after two. Where it logs
// is left to the caller.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}
