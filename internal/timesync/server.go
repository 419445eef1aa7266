package timesync

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// How often one server is asked at most.
const (
	minInterval = 64 * time.Second // RFC 8633 and the operators of public servers ask for no more
	maxInterval = time.Hour        // however often it says that it is asked too often
)

// A Server remembers one NTP server between the runs of a probe, so that it is never asked more often than it may be.
type Server struct {
	Address string // host:port

	mu        sync.Mutex
	asked     time.Time     // by both clocks; zero if never
	interval  time.Duration // leastInterval, or more if the server said so
	forbidden error         // it said never to ask again
	last      Reply         // the outcome of the last asking
	err       error
}

// Ask asks the server, or returns its last answer while that is less than 64 s old and the server must not be asked
// again. What the offset may have changed by since then is added to its uncertainty. A Flaw says why there is no
// answer to use, in a sentence that tells when it will be asked next.
func (s *Server) Ask(ctx context.Context, a *Client) (Reply, error) {
	now := probe.ReadClock()
	if !s.due(now) {
		return s.known(now)
	}
	reply, err := a.Ask(ctx, s.Address)
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		return Reply{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.err = reply, err
	if kiss, ok := errors.AsType[*ReplyError](err); ok {
		switch kiss.Reason {
		case probe.RateLimited:
			s.interval = min(2*s.interval, maxInterval)
		case Kiss:
			s.forbidden = err
		}
	}
	return reply, err
}

// due reports whether the server may be asked now, and if so counts it as asked.
func (s *Server) due(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interval = max(s.interval, minInterval)
	if s.forbidden != nil || !s.asked.IsZero() && now.Sub(s.asked) < s.interval {
		return false
	}
	s.asked, s.last, s.err = now, Reply{}, nil // until it answers, it has said nothing
	return true
}

// known is what is known of a server that must not be asked now.
func (s *Server) known(now time.Time) (Reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forbidden != nil {
		return Reply{}, s.forbidden
	}
	ago, next := now.Sub(s.asked), s.asked.Add(s.interval).Sub(now)
	when := fmt.Sprintf("; asked %s ago, and again in %s", text.Duration(ago), text.Duration(next))
	if s.err != nil {
		if known, ok := errors.AsType[*ReplyError](s.err); ok {
			return Reply{}, reject(known.Reason, known.text+when)
		}
		return Reply{}, s.err
	}
	switch by := probe.Step(s.last.At, now); {
	case s.last.At.IsZero():
		return Reply{}, reject(probe.NothingChecked, "it has not answered yet")
	case by.Abs() > probe.MaxClockStep:
		return Reply{}, reject(probe.SelfClock, "this machine's clock was set by "+text.Duration(by)+" since its last answer"+when)
	case now.Sub(s.last.At) > minInterval:
		return Reply{}, reject(probe.RateLimited, "it said that it was asked too often, and its last answer is too old"+when)
	}
	reply := s.last
	reply.Offset = reply.Offset.Widen(Drift(now.Sub(s.last.At)))
	return reply, nil
}
