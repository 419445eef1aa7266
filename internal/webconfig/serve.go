package webconfig

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Serve serves on all listeners as the file says, and returns why it does so no longer on one of them. It adds what it needs
// to the server. Whether TLS is spoken, HTTP/2 and the limit on requests are as they were at first; all else is read for each
// request, and certificates for each handshake.
func (f *File) Serve(listeners []net.Listener, server *http.Server, log *slog.Logger) error {
	serve, http2 := server.Serve, false
	if f.path != "" {
		c, err := f.current()
		if err != nil {
			return err
		}
		g := newGuard(f, server, c, log)
		server.Handler = g
		if server.TLSConfig, err = c.serverTLS(); err != nil {
			return err
		}
		if server.TLSConfig != nil {
			http2 = bool(c.HTTP.HTTP2)
			server.Protocols = new(http.Protocols)
			server.Protocols.SetHTTP1(true)
			server.Protocols.SetHTTP2(http2)
			server.TLSConfig.GetConfigForClient = g.handshake
			serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
		}
	}
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		log.Info("Listening on", "address", l.Addr().String())
		state := "TLS is disabled."
		if server.TLSConfig != nil {
			state = "TLS is enabled."
		}
		log.Info(state, "http2", http2, "address", l.Addr().String())
		go func() { failed <- serve(l) }()
	}
	return <-failed
}

// handshake returns the TLS for a new connection: with the certificates as they are now. An error ends the handshake.
func (g *guard) handshake(*tls.ClientHelloInfo) (*tls.Config, error) {
	c, err := g.current()
	if err != nil {
		g.file.refused(nil)
		return nil, err
	}
	out, err := c.serverTLS()
	told := err
	if err == nil {
		if leaf, now := out.Certificates[0].Leaf, time.Now(); leaf != nil { // it is shown all the same: clients say best what is wrong
			what, at := "expired on ", leaf.NotAfter
			if now.Before(leaf.NotBefore) {
				what, at = "is not valid before ", leaf.NotBefore
			}
			if now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
				told = errors.New("the certificate " + what + at.UTC().Format(time.RFC3339) + ": clients that look at it refuse it")
			}
		}
	}
	g.handshakes.report(g.log, "Cannot use the certificates", told)
	if told != nil {
		g.file.refused(nil)
	}
	if err != nil {
		return nil, err
	}
	// net/http adds these to the first configuration only, and knows by now whether it speaks HTTP/2.
	out.NextProtos = []string{"http/1.1"}
	if g.server.TLSNextProto["h2"] != nil {
		out.NextProtos = []string{"h2", "http/1.1"}
	}
	return out, nil
}

// A reporter logs an error once, until it is another one or over.
type reporter struct {
	mu   sync.Mutex
	last string
}

func (r *reporter) report(log *slog.Logger, message string, err error) {
	now := ""
	if err != nil {
		now = err.Error()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now != r.last && err != nil {
		log.Error(message, "err", now)
	}
	r.last = now
}
