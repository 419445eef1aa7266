package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"time"
)

// An effect is what a broken fault does to some hosts: it refuses connections, or it twists what a route answers.
type effect struct {
	hosts      []string
	route      string      // a pattern of the hosts' routes, "/" for what none of them serves; every route if empty
	intercept  interceptor // nil: the hosts refuse connections
	alterReply udpFault    // of a server of time, which has no routes and refuses nothing

	harmless bool // it alarms nobody
}

// A interceptor answers in place of a route, or has it answer otherwise.
type interceptor func(at target, w http.ResponseWriter, r *http.Request)

// A target is where a twist is at work.
type target struct {
	host  *host
	route string
	next  http.HandlerFunc // the route itself, or another fault's twist of it
}

// refuses reports whether one of the faults closes a host's port.
func refuses(broken []Fault, name string) bool {
	return slices.ContainsFunc(broken, func(f Fault) bool {
		return slices.ContainsFunc(f.effects, func(e effect) bool {
			return e.intercept == nil && e.alterReply == nil && slices.Contains(e.hosts, name)
		})
	})
}

// intercepted returns the route as the faults that are broken now leave it. Where several twist the same route, the one
// further down the table has the last word.
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

func refuseConnections(hosts ...string) effect { return effect{hosts: hosts} }

func on(hosts []string, route string, t interceptor) effect {
	return effect{hosts: hosts, route: route, intercept: t}
}

// harmless marks an effect that no probe may complain of.
func harmless(e effect) effect {
	e.harmless = true
	return e
}

// respondJSON answers as the service itself would.
func respondJSON(status int, body object) interceptor {
	return func(_ target, w http.ResponseWriter, _ *http.Request) { writeJSON(w, status, body) }
}

// respondPage answers as what stands before the service would: a page without the service's own headers.
func respondPage(status int, page string) interceptor {
	return func(_ target, w http.ResponseWriter, _ *http.Request) {
		clear(w.Header())
		writeText(w, status, html, page)
	}
}

// redirect sends the caller elsewhere.
func redirect(to string) interceptor {
	return func(_ target, w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
}

// onlyPath limits a twist to one path, for routes that match many.
func onlyPath(path string, t interceptor) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			at.next(w, r)
			return
		}
		t(at, w, r)
	}
}

// onlyWithToken limits a twist to callers that present a token.
func onlyWithToken(t interceptor) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		if bearer(r) == "" {
			at.next(w, r)
			return
		}
		t(at, w, r)
	}
}

// addHeaders adds headers, given as names and values in turn.
func addHeaders(pairs ...string) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		for pair := range slices.Chunk(pairs, 2) {
			w.Header().Set(pair[0], pair[1])
		}
		at.next(w, r)
	}
}

// sameAs answers what another route of the same host answers while nothing is broken.
func sameAs(route string) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) { at.host.routes[route](w, r) }
}

// asHost answers what another host answers while nothing is broken.
func asHost(name string) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		other := at.host.sandbox.host(name)
		other.stamp(w.Header(), r)
		other.routes[at.route](w, r)
	}
}

// delay answers rightly and too late.
func delay(at target, w http.ResponseWriter, r *http.Request) {
	wait := time.NewTimer(at.host.sandbox.delay)
	defer wait.Stop()
	select {
	case <-wait.C:
		at.next(w, r)
	case <-r.Context().Done():
	}
}

// hang leaves the caller without an answer until it hangs up.
func hang(_ target, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// asAdmin forgets to ask who the caller is.
func asAdmin(at target, w http.ResponseWriter, r *http.Request) {
	admitted := r.Clone(r.Context())
	admitted.Header.Set("Authorization", "Bearer "+at.host.sandbox.credentials.admin)
	at.next(w, admitted)
}

// truncate announces more than it sends; the server then cuts the connection.
func truncate(_ target, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "4096")
	writeText(w, http.StatusOK, html, upPage)
}

// endlessBody sends a body without end, until the caller hangs up.
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

// editJSON changes the JSON of what the route answers with 200.
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

// removeField leaves a field out of a JSON object.
func removeField(field string) interceptor {
	return editJSON(func(body any) any {
		delete(body.(object), field)
		return body
	})
}

// setField sets a field of a JSON object.
func setField(field string, value any) interceptor {
	return editJSON(func(body any) any {
		body.(object)[field] = value
		return body
	})
}

// An capturedResponse keeps an answer back instead of sending it.
type capturedResponse struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// capture has the route answer and keeps the answer back. Its headers are set already.
func (p target) capture(w http.ResponseWriter, r *http.Request) *capturedResponse {
	taken := &capturedResponse{ResponseWriter: w, status: http.StatusOK}
	p.next(taken, r)
	return taken
}

// send sends the answer as it is.
func (a *capturedResponse) send() {
	a.ResponseWriter.WriteHeader(a.status)
	_, _ = a.ResponseWriter.Write(a.body.Bytes())
}

func (a *capturedResponse) WriteHeader(status int)      { a.status = status }
func (a *capturedResponse) Write(b []byte) (int, error) { return a.body.Write(b) }
