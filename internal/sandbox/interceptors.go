package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"time"
)

// An effect is what an active fault does to some hosts: they refuse connections, or an interceptor changes a route's
// answers.
type effect struct {
	hosts         []string
	route         string        // a pattern of the hosts' routes, "/" for what none of them serves; every route if empty
	intercept     interceptor   // nil: the hosts refuse connections
	alterReply    udpFault      // of a server of time, which has no routes and refuses nothing
	alterDatabase databaseFault // of a database, which has no routes
	alterRedis    redisFault    // of a Redis server, which has no routes
	alterMail     mailFault     // of the mail server, which has no routes
	alterDNS      dnsFault      // of a name server, which has no routes
	alterLive     liveFault     // of the WebSocket service, which has no routes
	alterWebhooks webhookFault  // of the dispatcher of webhooks
	alterWitness  witnessFault  // of what the Prometheus has seen
	alterJob      jobFault      // of the job, which is no host
	onlyHTTP1     bool          // the hosts no longer offer HTTP/2 over TLS

	harmless bool // no probe may fail because of it

	prepare func(s *Sandbox) error // slow work, done before the fault is active; may be nil
}

// on reports whether the effect concerns a host.
func (e *effect) on(name string) bool { return slices.Contains(e.hosts, name) }

// An interceptor answers in place of a route, or changes its answer.
type interceptor func(at target, w http.ResponseWriter, r *http.Request)

// A target is the route that an interceptor works on.
type target struct {
	host  *host
	route string
	next  http.HandlerFunc // the route itself, or the interceptor of another fault
}

// refuses reports whether one of the faults closes a host's port.
func refuses(active []Fault, name string) bool {
	return slices.ContainsFunc(active, func(f Fault) bool {
		return slices.ContainsFunc(f.effects, func(e *effect) bool {
			return e.intercept == nil && e.alterReply == nil && e.alterDatabase == nil && e.alterRedis == nil && e.alterMail == nil && e.alterDNS == nil && e.alterLive == nil && e.alterWebhooks == nil && e.alterWitness == nil && !e.onlyHTTP1 && e.on(name)
		})
	})
}

// intercepted wraps a route in the interceptors of the active faults. Where several faults change the same route, the
// one further down the table wins.
func (s *Sandbox) intercepted(h *host, route string, next http.HandlerFunc) http.HandlerFunc {
	for _, f := range *s.active.Load() {
		for _, e := range f.effects {
			if e.intercept == nil || !slices.Contains(e.hosts, h.name) || (e.route != "" && e.route != route) {
				continue
			}
			at := target{host: h, route: route, next: next}
			next = func(w http.ResponseWriter, r *http.Request) { e.intercept(at, w, r) }
		}
	}
	return next
}

//go:noinline
func refuseConnections(hosts ...string) *effect { return &effect{hosts: hosts} }

//go:noinline
func on(hosts []string, route string, i interceptor) *effect {
	return &effect{hosts: hosts, route: route, intercept: i}
}

// harmless marks an effect that no probe may fail because of.
//
//go:noinline
func harmless(e *effect) *effect {
	e.harmless = true
	return e
}

// prepared adds slow work to an effect, so that it does not delay the first answer.
func prepared(e *effect, work func(s *Sandbox) error) *effect {
	e.prepare = work
	return e
}

// respondJSON answers like the service itself.
//
//go:noinline
func respondJSON(status int, body object) interceptor {
	return func(_ target, w http.ResponseWriter, _ *http.Request) { writeJSON(w, status, body) }
}

// respondPage answers like something in front of the service: a page without the service's own headers.
//
//go:noinline
func respondPage(status int, page string) interceptor {
	return func(_ target, w http.ResponseWriter, _ *http.Request) {
		clear(w.Header())
		writeText(w, status, html, page)
	}
}

// redirect redirects the caller.
//
//go:noinline
func redirect(to string) interceptor {
	return func(_ target, w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
}

// onlyPath limits an interceptor to one path, for routes that match many.
//
//go:noinline
func onlyPath(path string, i interceptor) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			at.next(w, r)
			return
		}
		i(at, w, r)
	}
}

// onlyWithToken limits an interceptor to requests with a token.
//
//go:noinline
func onlyWithToken(i interceptor) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		if bearer(r) == "" {
			at.next(w, r)
			return
		}
		i(at, w, r)
	}
}

// addHeaders adds headers, given as names and values in turn.
//
//go:noinline
func addHeaders(pairs ...string) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		for pair := range slices.Chunk(pairs, 2) {
			w.Header().Set(pair[0], pair[1])
		}
		at.next(w, r)
	}
}

// sameAs answers like another route of the same host, without faults.
//
//go:noinline
func sameAs(route string) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) { at.host.routes[route](w, r) }
}

// asHost answers like another host, without faults.
//
//go:noinline
func asHost(name string) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		other := at.host.sandbox.host(name)
		other.stamp(w.Header(), r)
		other.routes[at.route](w, r)
	}
}

// delay gives the right answer too late.
func delay(at target, w http.ResponseWriter, r *http.Request) {
	wait := time.NewTimer(at.host.sandbox.delay)
	defer wait.Stop()
	select {
	case <-wait.C:
		at.next(w, r)
	case <-r.Context().Done():
	}
}

// hang never answers. It ends when the caller hangs up.
func hang(_ target, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// asAdmin treats every caller as the admin.
func asAdmin(at target, w http.ResponseWriter, r *http.Request) {
	admitted := r.Clone(r.Context())
	admitted.Header.Set("Authorization", "Bearer "+at.host.sandbox.credentials.admin)
	at.next(w, admitted)
}

// truncate announces a longer body than it sends, so that the server cuts the connection.
func truncate(_ target, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "4096")
	writeText(w, http.StatusOK, html, upPage)
}

// endlessBody sends a body that never ends, until the caller hangs up.
func endlessBody(_ target, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", html)
	chunk := bytes.Repeat([]byte(upPage), 500)
	for r.Context().Err() == nil {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// notHTTP answers in another protocol.
func notHTTP(_ target, w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "SSH-2.0-OpenSSH_9.2\r\n")
}

// editJSON changes the JSON body of a 200 answer.
//
//go:noinline
func editJSON(change func(body any) any) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		taken := at.capture(w, r)
		var body any
		if taken.status != http.StatusOK || json.Unmarshal(taken.body.Bytes(), &body) != nil {
			taken.send()
			return
		}
		writeJSON(w, http.StatusOK, change(body))
	}
}

// removeField removes a field of a JSON object.
//
//go:noinline
func removeField(field string) interceptor {
	return editJSON(func(body any) any {
		delete(body.(object), field)
		return body
	})
}

// setField sets a field of a JSON object.
//
//go:noinline
func setField(field string, value any) interceptor {
	return editJSON(func(body any) any {
		body.(object)[field] = value
		return body
	})
}

// A capturedResponse holds an answer instead of sending it.
type capturedResponse struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// capture calls the route and holds its answer. The headers are set already.
//
//go:noinline
func (p target) capture(w http.ResponseWriter, r *http.Request) *capturedResponse {
	taken := &capturedResponse{ResponseWriter: w, status: http.StatusOK}
	p.next(taken, r)
	return taken
}

// send sends the captured answer.
func (a *capturedResponse) send() {
	a.ResponseWriter.WriteHeader(a.status)
	_, _ = a.ResponseWriter.Write(a.body.Bytes())
}

func (a *capturedResponse) WriteHeader(status int)      { a.status = status }
func (a *capturedResponse) Write(b []byte) (int, error) { return a.body.Write(b) }
