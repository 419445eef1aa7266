package sandbox

import (
	"compress/gzip"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"strings"
)

// Routes of the status page. The first is what people have bookmarked; it redirects to the second.
const (
	statusRoute     = "GET /status"
	componentsRoute = "GET /status/components"
)

// serveWeb makes a host a status page: over TLS, by HTTP/2 to those who offer it, and in gzip to those who ask for it.
func serveWeb(h *host, a *authority) {
	h.serve = func(l net.Listener) func() {
		return serve(tls.NewListener(l, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			c := &tls.Config{Certificates: []tls.Certificate{a.certificates[webCertificate]}}
			if !h.sandbox.withoutHTTP2(h.name) {
				c.NextProtos = []string{"h2", "http/1.1"}
			}
			return c, nil
		}}), http.HandlerFunc(h.serveGzip))
	}
	h.handle(statusRoute, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/status/components", http.StatusMovedPermanently)
	})
	h.handle(componentsRoute, func(w http.ResponseWriter, _ *http.Request) {
		list := []object{}
		for _, name := range []string{"api", "login", "webhooks", "docs"} {
			list = append(list, object{"name": name, "status": "operational"})
		}
		writeJSON(w, http.StatusOK, object{"components": list})
	})
}

// withoutHTTP2 reports whether a fault takes HTTP/2 from a host.
func (s *Sandbox) withoutHTTP2(name string) bool {
	return slices.ContainsFunc(*s.active.Load(), func(f Fault) bool {
		return slices.ContainsFunc(f.effects, func(e *effect) bool { return e.onlyHTTP1 && e.on(name) })
	})
}

// serveGzip answers with the host's routes, in gzip if the request still asks for it afterwards.
func (h *host) serveGzip(w http.ResponseWriter, r *http.Request) {
	answer := target{next: h.mux.ServeHTTP}.capture(w, r)
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		answer.send()
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	w.WriteHeader(answer.status)
	z := gzip.NewWriter(w)
	_, _ = z.Write(answer.body.Bytes())
	_ = z.Close()
}
