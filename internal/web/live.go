package web

import (
	_ "embed"
	"io"
	"net/http"
	"sync"
	"time"
)

//go:embed live.js
var script string

// Bounds of what live pages cost.
const (
	maxStreams = 16               // open at a time, and a quarter of the connections; the pages of other readers are fetched twice a minute
	streamRest = time.Second      // between two events of a stream
	heartbeat  = 15 * time.Second // so that what is between does not close a quiet stream
	maxStream  = 5 * time.Minute  // the browser opens another one: a reader that is gone without a word holds none for longer
	streamTime = 10 * time.Second // to write an event
)

// streams counts the open streams, or others that hold a connection for long. It ends them all when the server shuts down.
type streams struct {
	mu     sync.Mutex
	max    int
	open   int
	closed bool
	ending chan struct{}
}

func newStreams(max int) *streams { return &streams{max: max, ending: make(chan struct{})} }

// enter reports whether there is room for another stream.
func (l *streams) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.open >= l.max {
		return false
	}
	l.open++
	return true
}

func (l *streams) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
}

// end ends all streams, and lets no other begin.
func (l *streams) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.ending)
	}
}

// events tells a page by server-sent events that it is out of date, not what has changed: the page fetches itself, and all
// readers of one share what is rendered.
func (s *server) events(w http.ResponseWriter, r *http.Request) {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		http.Error(w, "refused: the request was sent by a page of another site", http.StatusForbidden)
		return
	}
	if !s.streams.enter() {
		w.Header().Set("Retry-After", "30")
		http.Error(w, "too many live pages at once", http.StatusServiceUnavailable)
		return
	}
	defer s.streams.leave()
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // that of the server is for requests, and would end the stream
	send := func(event string) bool {
		_ = control.SetWriteDeadline(time.Now().Add(streamTime))
		_, err := io.WriteString(w, event)
		return err == nil && control.Flush() == nil
	}
	defer func() { _ = control.SetWriteDeadline(time.Now().Add(streamTime)) }() // for the end of the answer
	changed := s.Changed()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // proxies
	if !send("retry: 5000\n\n") {
		return
	}
	beat, old := time.NewTicker(heartbeat), time.NewTimer(maxStream)
	defer beat.Stop()
	defer old.Stop()
	var later <-chan struct{} // closed at the next change after the one that was sent
	var rested <-chan time.Time
	for {
		event := ": \n\n"
		select {
		case <-changed:
			event, changed, later, rested = "data: changed\n\n", nil, s.Changed(), time.After(streamRest)
		case <-rested:
			changed, rested = later, nil
			continue
		case <-beat.C:
		case <-old.C:
			return
		case <-r.Context().Done():
			return
		case <-s.streams.ending:
			return
		}
		if !send(event) {
			return
		}
	}
}

// A site is the handler of all routes, with what is to end before its server can.
type site struct {
	http.Handler
	streams, waits *streams
}
