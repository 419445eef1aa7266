package web

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The page that a browser is sent to after it asked for a run has one of these in its query, or the start of the run in
// milliseconds.
const (
	runParameter = "run"
	runEarly     = "early"
	runPending   = "pending"
	runRefused   = "refused-" // and a number
)

// runOutcome says what became of the run that the reader of a page asked for; empty if none is known.
func (s *server) runOutcome(d Detail, outcome string) string {
	number, refused := strings.CutPrefix(outcome, runRefused)
	switch {
	case refused:
		if why := s.refusals.text(number); why != "" {
			return "Not run: " + why + "."
		}
		return ""
	case outcome == runEarly:
		if wait := s.limiter.wait(d.ID); wait > 0 {
			return "Not run: " + tooEarly(wait) + "."
		}
		return "Not run: too many requests. It can be run now."
	case outcome == runPending:
		return fmt.Sprintf("The run had not ended after %s. Reload the page to see its result.", maxRunWait)
	}
	started, err := strconv.ParseInt(outcome, 10, 64)
	if err != nil || d.Last == nil {
		return ""
	}
	at := time.UnixMilli(started)
	if d.Last.Started.UnixMilli() == started {
		return "This is the result of the run that you asked for at " + formatTime(at) + ": " + summary(d.ProbeStatus) + "."
	}
	for _, run := range d.History.Runs() {
		if run.Started.Unix() == at.Unix() {
			return "The run that you asked for: " + run.words() + ". Others have ended since."
		}
	}
	return ""
}

const maxRefusals = 100

// refusals numbers the reasons for which probes were not run, so that an address names one without holding its text, which
// anybody could write. They are a few constants.
type refusals struct {
	mu   sync.Mutex
	said []string
}

func (l *refusals) number(why string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.said, why)
	if i < 0 && len(l.said) < maxRefusals {
		i = len(l.said)
		l.said = append(l.said, why)
	}
	return strconv.Itoa(i)
}

// text returns the reason of that number; empty if there is none.
func (l *refusals) text(number string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i, err := strconv.Atoi(number); err == nil && i >= 0 && i < len(l.said) {
		return l.said[i]
	}
	return ""
}
