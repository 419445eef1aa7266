package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// How long who pulls waits for a result, unless its scrape has another timeout, and what of that is left for the answer.
const (
	pullWait   = 10 * time.Second
	pullMost   = 2 * time.Minute
	pullAnswer = 500 * time.Millisecond
	pullLook   = 50 * time.Millisecond // how often a run in progress is looked at
	maxWaits   = 64                    // who wait for a run at a time, and half of the connections
)

// scrapeTimeout is the header with the timeout of a scrape of Prometheus, in seconds.
const scrapeTimeout = "X-Prometheus-Scrape-Timeout-Seconds"

// pull has the probe that a query names run, unless it ran within its interval, and then has answer write its series. Who pulls
// never gets a result that is older: without one in time it gets a 503. Of those who pull a probe at once, one has it run.
func (s *server) pull(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, status, err := s.pullable(r)
		if err == nil {
			limit := pullTimeout(r)
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit + readTime))
			ctx, cancel := context.WithTimeout(r.Context(), limit)
			defer cancel()
			status, err = http.StatusServiceUnavailable, s.inTurn(ctx, id)
		}
		if err != nil {
			http.Error(w, text.Lines(err.Error()), status)
			return
		}
		answer(w, r)
	}
}

// pulled writes the series of the probe that a query names.
func (s *server) pulled(w http.ResponseWriter, r *http.Request) {
	id, status, err := s.pullable(r)
	if err != nil { // a reload has just removed it
		http.Error(w, text.Lines(err.Error()), status)
		return
	}
	s.ProbeMetrics(id).ServeHTTP(w, r)
}

// pullable returns the probe that a query names. Nothing else of a query is allowed: the prober asks what its configuration
// says.
func (s *server) pullable(r *http.Request) (probe.ID, int, error) {
	query := r.URL.Query()
	for key := range query {
		if key != "probe" {
			return probe.ID{}, http.StatusBadRequest, fmt.Errorf("expected the parameter probe alone, got %s: what a probe asks is said by the configuration", text.Line(key))
		}
	}
	if len(query["probe"]) != 1 {
		return probe.ID{}, http.StatusBadRequest, fmt.Errorf("expected the parameter probe once, got it %d times", len(query["probe"]))
	}
	system, name, both := strings.Cut(query["probe"][0], "/")
	if !both {
		system, name = "", system
	}
	switch rows := s.byName(system, name); len(rows) {
	case 0:
		return probe.ID{}, http.StatusNotFound, fmt.Errorf("no probe is named %s", text.Line(query["probe"][0]))
	case 1:
		return rows[0].ID, 0, nil
	default:
		return probe.ID{}, http.StatusBadRequest, fmt.Errorf("%d systems have a probe %s: expected SYSTEM/NAME", len(rows), text.Line(name))
	}
}

// pullTimeout is how long a reader waits for a result.
func pullTimeout(r *http.Request) time.Duration {
	seconds, err := strconv.ParseFloat(r.Header.Get(scrapeTimeout), 64)
	if err != nil || !(seconds > 0) {
		return pullWait
	}
	return max(pullAnswer, min(pullMost, time.Duration(min(seconds, pullMost.Seconds())*float64(time.Second))-pullAnswer))
}

// A turnstile lets one at a time through for each probe.
type turnstile struct {
	mu    sync.Mutex
	taken map[probe.Key]chan struct{} // closed when who is through leaves
}

// enter returns when nobody else is through, with what to call at the end, or when ctx ends.
func (t *turnstile) enter(ctx context.Context, key probe.Key) (leave func(), err error) {
	mine := make(chan struct{})
	for {
		t.mu.Lock()
		other, taken := t.taken[key]
		if !taken {
			t.taken[key] = mine
		}
		t.mu.Unlock()
		if !taken {
			break
		}
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.taken, key)
		close(mine)
	}, nil
}

// inTurn refreshes a probe when nobody else does. Only so many wait for a run at a time: the prober's own health is asked over the same
// connections, and must not depend on a target.
func (s *server) inTurn(ctx context.Context, id probe.ID) error {
	if row, ok := s.find(id.System, id.Name); ok && isFresh(&row) {
		return nil
	} else if !s.waits.enter() {
		return fmt.Errorf("expected a run within %s, got none: too many wait for one already", probe.Duration(row.Interval))
	}
	defer s.waits.leave()
	leave, err := s.pulls.enter(ctx, id.Key())
	if err != nil {
		return errors.New("expected a run, got none in time: the run has not ended yet")
	}
	defer leave()
	return s.refresh(ctx, id)
}

// isFresh reports whether the last run of a probe began less than its interval ago.
func isFresh(row *ProbeStatus) bool {
	return !row.LastRun.IsZero() && !row.Overdue && time.Since(row.LastRun) < row.Interval
}

// refresh returns when the last run of a probe began less than its interval ago. It has the probe run if runs on request are
// enabled and no run is in progress, which it then waits for.
func (s *server) refresh(ctx context.Context, id probe.ID) error {
	look := time.NewTicker(pullLook)
	defer look.Stop()
	why := errors.New("running a probe on request is not enabled")
	for {
		row, ok := s.find(id.System, id.Name)
		if !ok {
			return errors.New("the probe no longer exists")
		}
		if isFresh(&row) {
			return nil
		}
		if s.Run != nil {
			if why = s.Run(ctx, id); why == nil {
				return nil
			}
		}
		select {
		case <-look.C:
		case <-ctx.Done():
		}
		if err := ctx.Err(); err != nil {
			if errors.Is(why, err) {
				why = errors.New("the run has not ended yet")
			}
			return fmt.Errorf("expected a run within %s, got none in time: %w", probe.Duration(row.Interval), why)
		}
	}
}
