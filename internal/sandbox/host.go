package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// A host is one service on a port of its own.
type host struct {
	sandbox *Sandbox
	name    string
	address string
	release func() // frees the port
	mux     *http.ServeMux
	routes  map[string]http.HandlerFunc      // by pattern, without faults
	stamp   func(http.Header, *http.Request) // sets the headers that mark an answer as this host's

	verifier *verifier // of the tokens that callers present; nil if the host does not check any
	issuer   *issuer   // of those tokens
	meter    *meter    // counts what the host does; nil if it exposes no metrics

	serve func(net.Listener) (end func()) // speaks the host's protocol, HTTP unless another is set

	listener net.Listener // nil while the port refuses connections
	end      func()       // ends what serve started
}

// newHost takes the port of a service without serving it yet, so that services can be given each other's addresses.
func newHost(s *Sandbox, name string, ephemeral bool) (*host, error) {
	h := &host{
		sandbox: s,
		name:    name,
		release: func() {},
		mux:     http.NewServeMux(),
		routes:  map[string]http.HandlerFunc{},
		stamp:   stamp,
	}
	h.serve = func(l net.Listener) func() { return serve(l, h.mux) }
	want := defaults()[name]
	if ephemeral {
		want = anyPort
	}
	err := h.reserve(want)
	if err != nil && want != anyPort {
		err = h.reserve(anyPort)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	h.handle("/", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusNotFound, object{"error": "not_found"})
	})
	return h, nil
}

// reserve reserves an address for the life of the host and listens on it.
func (h *host) reserve(address string) error {
	held, release, err := lockPort(address)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", held)
	if err != nil {
		release()
		return err
	}
	h.listener, h.address, h.release = listener, listener.Addr().String(), release
	return nil
}

func (h *host) url() string { return "http://" + h.address }

// handle adds a route. Every request to it passes through the faults that are active at that moment. The pattern "/"
// answers where no other route matches.
func (h *host) handle(pattern string, route http.HandlerFunc) {
	h.routes[pattern] = route
	h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		h.stamp(w.Header(), r)
		h.sandbox.intercepted(h, pattern, route)(w, r)
	})
}

// open starts to serve; it does nothing if the host serves already.
func (h *host) open() error {
	if h.end != nil {
		return nil
	}
	if h.listener == nil {
		listener, err := net.Listen("tcp", h.address)
		if err != nil {
			return fmt.Errorf("%s cannot listen again: %w", h.name, err)
		}
		h.listener = listener
	}
	listener := h.listener
	if h.sandbox.wrap != nil {
		listener = h.sandbox.wrap(listener)
	}
	h.end = h.serve(listener)
	return nil
}

// close ends every connection and refuses new ones. It returns when no goroutine of the host is left.
func (h *host) close() {
	if h.end != nil {
		h.end()
	} else if h.listener != nil {
		h.listener.Close()
	}
	h.listener, h.end = nil, nil
}

// serve serves HTTP/1 on a listener until the returned function is called.
func serve(listener net.Listener, handler http.Handler) (end func()) {
	return serveProtocols(listener, handler, nil)
}

// serveProtocols serves some versions of HTTP, those of net/http if there are none.
func serveProtocols(listener net.Listener, handler http.Handler, protocols *http.Protocols) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	server := &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnState: func(c net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				running.Add(1)
				if ctx.Err() != nil {
					c.Close() // accepted too late for server.Close to know of it
				}
			case http.StateClosed, http.StateHijacked:
				running.Done()
			}
		},
	}
	running.Go(func() { _ = server.Serve(listener) })
	return func() {
		cancel()
		server.Close()
		running.Wait()
	}
}

// stamp sets the headers that every service has on its answers.
func stamp(header http.Header, r *http.Request) {
	header.Set("X-Version", release)
	if id := traceID(r); id != "" {
		header.Set("X-Trace-Id", id)
	}
}

// traceParent is version 00 of the W3C header.
var traceParent = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// traceID returns the trace id that the caller sent; empty if there is none.
func traceID(r *http.Request) string {
	parent := r.Header.Get("Traceparent")
	if !traceParent.MatchString(parent) {
		return ""
	}
	return parent[3:35]
}

// object is a JSON object.
type object = map[string]any

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, "the sample system cannot encode its answer", http.StatusInternalServerError)
		return
	}
	writeText(w, status, "application/json", string(body)+"\n")
}

func writeText(w http.ResponseWriter, status int, kind, body string) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// bearer returns the bearer token of a request; empty if there is none.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// writeUnauthorized refuses a request whose token is missing or unknown.
func writeUnauthorized(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", "Bearer")
	writeJSON(w, http.StatusUnauthorized, object{"error": "unauthorized"})
}
