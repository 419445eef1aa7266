package web

import (
	"net/http"
	"time"
)

// NewServer returns a server with timeouts: headers are read within 5 s and up to 64 KiB, requests within 10 s, responses
// are written within a minute, and idle connections are closed after two, or when there are more than maxConns. Live pages
// end when it shuts down. The caller sets the log.
func NewServer(h http.Handler, maxConns int) *http.Server {
	server := &http.Server{
		ConnState:         newConnectionLimit(maxConns).changed,
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	if s, ok := h.(*site); ok {
		s.streams.max, s.waits.max = min(maxStreams, maxConns/4), min(maxWaits, maxConns/2)
		server.RegisterOnShutdown(s.streams.end)
	}
	return server
}
