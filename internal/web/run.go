package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// What somebody may ask for beside the schedule. It bounds what a target sees of a page that many have open.
const (
	mostAsked  = 20               // runs in span, of all probes together
	span       = time.Minute      //
	breather   = 10 * time.Second // between two runs of one probe
	longestRun = 15 * time.Second // how long a browser is kept waiting for the result
)

// run asks a probe at once and leads a browser back to the probe's page, where the result is to be seen.
func (s *site) run(w http.ResponseWriter, r *http.Request) {
	row, ok := s.find(r.PathValue("system"), r.PathValue("name"))
	id := row.ID
	if !ok {
		http.Error(w, "no such probe", http.StatusNotFound)
		return
	}
	if s.Run == nil {
		http.Error(w, "running a probe on request is not enabled", http.StatusForbidden)
		return
	}
	if wait := s.pace.take(id, time.Now()); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		s.refused(w, r, id, http.StatusTooManyRequests, fmt.Sprintf("asked too often; try again in %d s", int(wait/time.Second)+1))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), longestRun)
	defer cancel()
	switch err := s.Run(ctx, id); {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		s.ran(w, r, id, http.StatusAccepted, "the run has not ended yet")
	case err != nil:
		s.pace.giveBack(id)
		s.refused(w, r, id, http.StatusConflict, err.Error())
	default:
		s.ran(w, r, id, http.StatusOK, "run")
	}
}

// ran answers a program with a word and a browser with the way back.
func (s *site) ran(w http.ResponseWriter, r *http.Request, id probe.ID, status int, word string) {
	if wantsPage(r) {
		w.Header().Set("Location", "../"+escaped(id.Name)) // relative, so that it holds behind any prefix
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, word)
}

// refused says why there was no run.
func (s *site) refused(w http.ResponseWriter, r *http.Request, id probe.ID, status int, why string) {
	if !wantsPage(r) {
		http.Error(w, "not run: "+text.Lines(why), status)
		return
	}
	v := noteView{frame: s.frame("../../../", id.System+"/"+id.Name+" was not run"), Text: "Not run: " + text.Lines(why) + ".",
		Ways: []namedLink{{"Back to " + id.System + "/" + id.Name, "../" + escaped(id.Name)}}}
	s.draw(w, status, "note", v)
}

func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// A pace bounds how often something is done. Its zero value is ready.
type pace struct {
	mu   sync.Mutex
	done []asked // in the last span, the oldest first; never more than mostAsked
}

type asked struct {
	id probe.ID
	at time.Time
}

// take counts a run now, or returns how long there must be none.
func (p *pace) take(id probe.ID, now time.Time) (wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = slices.DeleteFunc(p.done, func(a asked) bool { return now.Sub(a.at) >= span })
	for _, a := range p.done {
		if a.id == id {
			wait = max(wait, a.at.Add(breather).Sub(now))
		}
	}
	if len(p.done) >= mostAsked {
		wait = max(wait, p.done[0].at.Add(span).Sub(now))
	}
	if wait <= 0 {
		p.done = append(p.done, asked{id, now})
	}
	return wait
}

// giveBack takes back the last count of a probe: it was not run.
func (p *pace) giveBack(id probe.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, a := range slices.Backward(p.done) {
		if a.id == id {
			p.done = slices.Delete(p.done, i, i+1)
			return
		}
	}
}
