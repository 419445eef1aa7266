package inbound

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"prober/internal/memory"
	"prober/internal/probe"
)

// Outcomes are what becomes of requests.
var Outcomes = [...]string{
	"delivered",    // to a probe
	"unknown",      // there is no such path
	"too_large",    // the body
	"incomplete",   // the body did not come in time, or was cut short
	"limited",      // more than the probe may have
	"overloaded",   // too many at a time, or no memory: connections that were closed for others too
	"refused",      // by the listener's own configuration, before anybody knew whom it was for
	"failed",       // the prober did
	"unauthorized", // without the password or the client certificate that the listener's configuration asks for
}

const (
	delivered = iota
	unknown
	tooLarge
	incomplete
	limited
	overloaded
	refused
	failed
	unauthorized
)

// memoryPatience is how long a request waits for memory.
const memoryPatience = 2 * time.Second

// ServeHTTP answers a request as its probe says.
func (r *Receivers) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	outcome := failed
	defer func() {
		if r.options.Counted != nil {
			r.options.Counted(Outcomes[outcome])
		}
	}()
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Set("Connection", "close") // what follows in the connection is not a request
	at := time.Now()
	token, path := split(q.URL.EscapedPath())
	x := r.find(token)
	if x == nil || q.URL.Host != "" {
		outcome = unknown
		answer(w, http.StatusNotFound)
		return
	}
	d := probe.Delivery{At: at, Method: q.Method, Path: path, Query: q.URL.RawQuery, Header: q.Header}
	ctx, account := r.options.Memory.Open(q.Context())
	defer account.Close()
	if outcome = x.read(ctx, w, q, &d); outcome != delivered {
		return
	}
	defer func() { <-x.slots }()
	a, ok := x.receive(d)
	if !ok {
		outcome = failed
		x.missed(at, at, whyPanic)
		answer(w, http.StatusInternalServerError)
		return
	}
	x.await()
	reply(q.Context(), w, a)
}

// read reads the body of a request, if the probe may have one more. The caller gives its slot back if it was delivered.
func (x *receiver) read(ctx context.Context, w http.ResponseWriter, q *http.Request, d *probe.Delivery) (outcome int) {
	refuse := func(outcome, status int, why string) int {
		if why != "" {
			x.missed(d.At, d.At, why)
		}
		answer(w, status)
		return outcome
	}
	if !x.limiter.Allow() {
		w.Header().Set("Retry-After", "10")
		return refuse(limited, http.StatusTooManyRequests, whyRate)
	}
	select {
	case x.slots <- struct{}{}:
	default:
		return refuse(overloaded, http.StatusServiceUnavailable, whyLoad)
	}
	defer func() {
		if outcome != delivered {
			<-x.slots
		}
	}()
	size, limit := q.ContentLength, int64(probe.MaxDelivery)
	_, ignored := x.probe.(probe.BodyIgnorer)
	if ignored {
		limit = probe.MaxIgnored
	}
	if size > limit {
		return refuse(tooLarge, http.StatusRequestEntityTooLarge, "")
	}
	in := io.LimitReader(q.Body, limit+1)
	if ignored {
		switch n, err := io.Copy(io.Discard, in); {
		case n > limit:
			return refuse(tooLarge, http.StatusRequestEntityTooLarge, "")
		case err != nil:
			return refuse(incomplete, http.StatusBadRequest, "")
		}
		return delivered
	}
	if size < 0 {
		size = probe.MaxDelivery
	}
	room, cancel := context.WithTimeout(ctx, memoryPatience)
	defer cancel()
	if memory.Take(room, size) != nil {
		return refuse(overloaded, http.StatusServiceUnavailable, whyLoad)
	}
	body, err := io.ReadAll(in)
	switch {
	case len(body) > probe.MaxDelivery:
		return refuse(tooLarge, http.StatusRequestEntityTooLarge, "")
	case err != nil:
		return refuse(incomplete, http.StatusBadRequest, "")
	}
	d.Body = body
	return delivered
}

// receive asks the probe. It is not ok if that panicked.
func (x *receiver) receive(d probe.Delivery) (a probe.Answer, ok bool) {
	defer func() { ok = recover() == nil }()
	return x.probe.Receive(x.inbox, d), true
}

// reply answers as the probe says, within its bounds.
func reply(ctx context.Context, w http.ResponseWriter, a probe.Answer) {
	if delay := min(a.Delay, probe.MaxAnswerDelay); delay > 0 {
		wait := time.NewTimer(delay)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done(): // the client left, or the prober stops
		}
	}
	if a.Close {
		panic(http.ErrAbortHandler)
	}
	if a.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((a.RetryAfter+time.Second-1)/time.Second)))
	}
	if a.Location != "" {
		w.Header().Set("Location", a.Location)
	}
	if a.Status < http.StatusOK || a.Status > 599 {
		a.Status = http.StatusOK
	}
	if a.Status == http.StatusOK {
		io.WriteString(w, "OK")
		return
	}
	answer(w, a.Status)
}

// split takes a path apart into its first segment and what follows.
func split(path string) (token, rest string) {
	path = strings.TrimPrefix(path, "/")
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// answer answers with a status and its text. What the client still sends is not waited for.
func answer(w http.ResponseWriter, status int) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now())
	w.WriteHeader(status)
	io.WriteString(w, strings.ToLower(http.StatusText(status))+"\n")
}

// Restrict returns a server that answers for the Receivers, of one that has at most max connections at a time. Each has one request,
// so that nothing that a proxy took for a part of another is taken for one.
func (r *Receivers) Restrict(s *http.Server, max int) *http.Server {
	s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.MaxHeaderBytes = headerTime, bodyTime, probe.MaxAnswerDelay+bodyTime, maxHeader
	s.SetKeepAlivesEnabled(false)
	s.DisableGeneralOptionsHandler = true
	var open atomic.Int32
	changed := s.ConnState
	s.ConnState = func(conn net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			if open.Add(1) > int32(max) {
				r.Refused(whyLoad)
			}
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
		if changed != nil {
			changed(conn, state)
		}
	}
	return s
}

// The bounds of a request.
const (
	headerTime = 5 * time.Second
	bodyTime   = 10 * time.Second // header included
	maxHeader  = 16 << 10
)

// Refused notes that a connection or a request was refused before it was known for whom it is.
func (r *Receivers) Refused(why string) {
	now := time.Now()
	r.missedAll(now, now, why)
	outcome := overloaded
	if why == ByConfiguration {
		outcome = refused
	}
	if r.options.Counted != nil {
		r.options.Counted(Outcomes[outcome])
	}
}

// Unauthorized counts a request without the password that the listener's configuration asks for or, nil, a connection without its
// certificate. It is no fault of the prober's, so that nothing came in vain: whom the request was for is told of it all the same.
func (r *Receivers) Unauthorized(q *http.Request) {
	if q != nil {
		token, _ := split(q.URL.EscapedPath())
		if x := r.find(token); x != nil {
			x.mu.Lock()
			x.refused = append(x.refused[max(0, len(x.refused)-probe.MaxUnauthorized+1):], time.Now().Round(0))
			x.mu.Unlock()
		}
	}
	if r.options.Counted != nil {
		r.options.Counted(Outcomes[unauthorized])
	}
}
