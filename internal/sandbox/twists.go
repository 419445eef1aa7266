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
	hosts []string
	route string // a pattern of the hosts' routes, "/" for what none of them serves; every route if empty
	twist twist  // nil: the hosts refuse connections
}

// A twist answers in place of a route, or has it answer otherwise.
type twist func(at place, w http.ResponseWriter, r *http.Request)

// A place is where a twist is at work.
type place struct {
	host  *host
	route string
	next  http.HandlerFunc // the route itself, or another fault's twist of it
}

// refuses reports whether one of the faults closes a host's port.
func refuses(broken []Fault, name string) bool {
	return slices.ContainsFunc(broken, func(f Fault) bool {
		return slices.ContainsFunc(f.effects, func(e effect) bool {
			return e.twist == nil && slices.Contains(e.hosts, name)
		})
	})
}

// twisted returns the route as the faults that are broken now leave it. Where several twist the same route, the one
// further down the table has the last word.
func (s *Sandbox) twisted(h *host, route string, next http.HandlerFunc) http.HandlerFunc {
	for _, f := range *s.broken.Load() {
		for _, e := range f.effects {
			if e.twist == nil || !slices.Contains(e.hosts, h.name) || (e.route != "" && e.route != route) {
				continue
			}
			at := place{host: h, route: route, next: next}
			next = func(w http.ResponseWriter, r *http.Request) { e.twist(at, w, r) }
		}
	}
	return next
}

func refuse(hosts ...string) effect { return effect{hosts: hosts} }

func on(hosts []string, route string, t twist) effect { return effect{hosts, route, t} }

// says answers as the service itself would.
func says(status int, body object) twist {
	return func(_ place, w http.ResponseWriter, _ *http.Request) { reply(w, status, body) }
}

// shows answers as what stands before the service would: a page without the service's own headers.
func shows(status int, page string) twist {
	return func(_ place, w http.ResponseWriter, _ *http.Request) {
		clear(w.Header())
		text(w, status, html, page)
	}
}

// redirects sends the caller elsewhere.
func redirects(to string) twist {
	return func(_ place, w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
}

// only limits a twist to one path, for routes that match many.
func only(path string, t twist) twist {
	return func(at place, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			at.next(w, r)
			return
		}
		t(at, w, r)
	}
}

// withHeaders adds headers, given as names and values in turn.
func withHeaders(pairs ...string) twist {
	return func(at place, w http.ResponseWriter, r *http.Request) {
		for pair := range slices.Chunk(pairs, 2) {
			w.Header().Set(pair[0], pair[1])
		}
		at.next(w, r)
	}
}

// like answers what another route of the same host answers while nothing is broken.
func like(route string) twist {
	return func(at place, w http.ResponseWriter, r *http.Request) { at.host.routes[route](w, r) }
}

// as answers what another host answers while nothing is broken.
func as(name string) twist {
	return func(at place, w http.ResponseWriter, r *http.Request) {
		other := at.host.sandbox.host(name)
		other.stamp(w.Header(), r)
		other.routes[at.route](w, r)
	}
}

// slowly answers rightly and too late.
func slowly(at place, w http.ResponseWriter, r *http.Request) {
	wait := time.NewTimer(at.host.sandbox.slowBy)
	defer wait.Stop()
	select {
	case <-wait.C:
		at.next(w, r)
	case <-r.Context().Done():
	}
}

// never leaves the caller without an answer until it hangs up.
func never(_ place, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// asAdmin forgets to ask who the caller is.
func asAdmin(at place, w http.ResponseWriter, r *http.Request) {
	admitted := r.Clone(r.Context())
	admitted.Header.Set("Authorization", "Bearer "+at.host.sandbox.credentials.admin)
	at.next(w, admitted)
}

// asAdminWithAny asks only whether there is a token, not whose.
func asAdminWithAny(at place, w http.ResponseWriter, r *http.Request) {
	if bearer(r) == "" {
		at.next(w, r)
		return
	}
	asAdmin(at, w, r)
}

// forbids takes the right to the route from whoever presents a token.
func forbids(at place, w http.ResponseWriter, r *http.Request) {
	if bearer(r) == "" {
		at.next(w, r)
		return
	}
	reply(w, http.StatusForbidden, object{"error": "forbidden"})
}

// truncates announces more than it sends; the server then cuts the connection.
func truncates(_ place, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "4096")
	text(w, http.StatusOK, html, upPage)
}

// floods sends a body without end, until the caller hangs up.
func floods(_ place, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", html)
	chunk := bytes.Repeat([]byte(upPage), 500)
	for r.Context().Err() == nil {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// babbles answers in another protocol.
func babbles(_ place, w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "SSH-2.0-OpenSSH_9.2\r\n")
}

// edits changes the JSON of what the route answers with 200.
func edits(change func(body any) any) twist {
	return func(at place, w http.ResponseWriter, r *http.Request) {
		taken := at.take(w, r)
		var body any
		if taken.status != http.StatusOK || json.Unmarshal(taken.body.Bytes(), &body) != nil {
			taken.send()
			return
		}
		reply(w, http.StatusOK, change(body))
	}
}

// without leaves a field out of a JSON object.
func without(field string) twist {
	return edits(func(body any) any {
		delete(body.(object), field)
		return body
	})
}

// with sets a field of a JSON object.
func with(field string, value any) twist {
	return edits(func(body any) any {
		body.(object)[field] = value
		return body
	})
}

// An answerTaken keeps an answer back instead of sending it.
type answerTaken struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// take has the route answer and keeps the answer back. Its headers are set already.
func (p place) take(w http.ResponseWriter, r *http.Request) *answerTaken {
	taken := &answerTaken{ResponseWriter: w, status: http.StatusOK}
	p.next(taken, r)
	return taken
}

// send sends the answer as it is.
func (a *answerTaken) send() {
	a.ResponseWriter.WriteHeader(a.status)
	_, _ = a.ResponseWriter.Write(a.body.Bytes())
}

func (a *answerTaken) WriteHeader(status int)      { a.status = status }
func (a *answerTaken) Write(b []byte) (int, error) { return a.body.Write(b) }
