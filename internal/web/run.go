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
		s.answerRun(w, r, id, http.StatusTooManyRequests, "not run: "+tooEarly(wait), runEarly)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), maxRunWait)
	defer cancel()
	switch err := s.Run(ctx, id); {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		s.answerRun(w, r, id, http.StatusAccepted, "the run has not ended yet", runPending)
	case err != nil:
		cancelRun()
		why := text.Lines(err.Error())
		s.answerRun(w, r, id, http.StatusConflict, "not run: "+why, runRefused+s.refusals.number(why))
	default:
		row, _ = s.find(id.System, id.Name)
		s.answerRun(w, r, id, http.StatusOK, "run", strconv.FormatInt(row.LastRun.UnixMilli(), 10))
	}
}

func tooEarly(wait time.Duration) string {
	return fmt.Sprintf("too many requests; try again in %d s", int(wait/time.Second)+1)
}

// answerRun answers a program with a status and a word, and redirects a browser to the page, which says the outcome.
func (s *server) answerRun(w http.ResponseWriter, r *http.Request, id probe.ID, status int, word, outcome string) {
	if wantsPage(r) {
		to := "../" + escaped(id.Name) // relative, so that it works behind any prefix
		if outcome != "" {
			to += "?" + runParameter + "=" + outcome + "#recent"
		}
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, word)
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

// wait is how long it takes until a probe may be run again.
func (l *rateLimiter) wait(id probe.ID) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	remaining := func(of *rate.Limiter) time.Duration {
		if of == nil || of.TokensAt(now) >= 1 {
			return 0
		}
		return time.Duration((1 - of.TokensAt(now)) / float64(of.Limit()) * float64(time.Second))
	}
	return max(remaining(l.all), remaining(l.probes[id]))
}
