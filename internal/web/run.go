package web

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"prober/internal/probe"
	"prober/internal/text"
)

// Limits for runs on request, in addition to the schedule. They bound what a target sees of a page that many have open:
// of all probes together at most 2*runBurst in any minute.
const (
	runBurst   = 10
	runEvery   = time.Minute / runBurst // of all probes
	probeEvery = 10 * time.Second       // of one probe
	maxRunWait = 15 * time.Second       // how long a browser waits for the result
)

// run runs a probe at once and redirects a browser to the probe's page, which shows the result.
func (s *server) run(w http.ResponseWriter, r *http.Request) {
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
	wait, cancelRun := s.limiter.reserve(id)
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		s.answerNotRun(w, r, id, http.StatusTooManyRequests, fmt.Sprintf("too many requests; try again in %d s", int(wait/time.Second)+1))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), maxRunWait)
	defer cancel()
	switch err := s.Run(ctx, id); {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		s.answerRun(w, r, id, http.StatusAccepted, "the run has not ended yet")
	case err != nil:
		cancelRun()
		s.answerNotRun(w, r, id, http.StatusConflict, err.Error())
	default:
		s.answerRun(w, r, id, http.StatusOK, "run")
	}
}

// answerRun answers a program with a word, and redirects a browser.
func (s *server) answerRun(w http.ResponseWriter, r *http.Request, id probe.ID, status int, word string) {
	if wantsPage(r) {
		w.Header().Set("Location", "../"+escaped(id.Name)) // relative, so that it works behind any prefix
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, word)
}

// answerNotRun says why the probe was not run.
func (s *server) answerNotRun(w http.ResponseWriter, r *http.Request, id probe.ID, status int, why string) {
	if !wantsPage(r) {
		http.Error(w, "not run: "+text.Lines(why), status)
		return
	}
	v := messageView{layout: s.layout("../../../", id.System+"/"+id.Name+" was not run"), Text: "Not run: " + text.Lines(why) + ".",
		Choices: []namedLink{{"Back to " + id.Key().String(), "../" + escaped(id.Name)}}}
	s.render(w, status, v.node())
}

func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// A rateLimiter limits runs on request. Its zero value is ready.
type rateLimiter struct {
	mu     sync.Mutex
	all    *rate.Limiter
	probes map[probe.ID]*rate.Limiter
}

// reserve counts a run and returns how to take it back, or how long to wait before the next attempt.
func (l *rateLimiter) reserve(id probe.ID) (wait time.Duration, cancel func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.all == nil {
		l.all, l.probes = rate.NewLimiter(rate.Every(runEvery), runBurst), map[probe.ID]*rate.Limiter{}
	}
	maps.DeleteFunc(l.probes, func(_ probe.ID, p *rate.Limiter) bool { return p.TokensAt(now) >= 1 })
	if l.probes[id] == nil {
		l.probes[id] = rate.NewLimiter(rate.Every(probeEvery), 1)
	}
	all, one := l.all.ReserveN(now, 1), l.probes[id].ReserveN(now, 1)
	cancel = func() { all.CancelAt(now); one.CancelAt(now) }
	if wait = max(all.DelayFrom(now), one.DelayFrom(now)); wait > 0 {
		cancel()
	}
	return wait, cancel
}
