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

// How often one server may be queried.
const (
	minInterval = 64 * time.Second // RFC 8633, and the rules of public servers
	maxInterval = time.Hour        // however often it demands fewer requests
)

// A Server keeps the state of one NTP server between the runs of a probe, so that it is never queried more often than
// it allows.
type Server struct {
	Address string // host:port

	mu        sync.Mutex
	asked     time.Time     // by both clocks; zero if never
	interval  time.Duration // minInterval, or more if the server demanded it
	forbidden error         // it refuses all requests
	last      Reply         // the outcome of the last query
	err       error
}

// Ask queries the server, or returns its last reply while that is less than 64 s old and the server must not be queried
// again. The drift since then is added to the uncertainty of the offset. A ReplyError says why there is no usable reply,
// and when the server will be queried next.
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

// due reports whether the server may be queried now, and if so counts the query.
func (s *Server) due(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interval = max(s.interval, minInterval)
	if s.forbidden != nil || !s.asked.IsZero() && now.Sub(s.asked) < s.interval {
		return false
	}
	s.asked, s.last, s.err = now, Reply{}, nil // until it replies, nothing is known
	return true
}

// known returns the last outcome of a server that must not be queried now.
func (s *Server) known(now time.Time) (Reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forbidden != nil {
		return Reply{}, s.forbidden
	}
	ago, next := now.Sub(s.asked), s.asked.Add(s.interval).Sub(now)
	when := fmt.Sprintf("; queried %s ago, next in %s", text.Duration(ago), text.Duration(next))
	if s.err != nil {
		if known, ok := errors.AsType[*ReplyError](s.err); ok {
			return Reply{}, reject(known.Reason, known.text+when)
		}
		return Reply{}, s.err
	}
	switch by := probe.Step(s.last.At, now); {
	case s.last.At.IsZero():
		return Reply{}, reject(probe.NothingChecked, "it has not replied yet")
	case by.Abs() > probe.MaxClockStep:
		return Reply{}, reject(probe.SelfClock, "this machine's clock was set by "+text.Duration(by)+" since its last reply"+when)
	case now.Sub(s.last.At) > minInterval:
		return Reply{}, reject(probe.RateLimited, "it demanded fewer requests, and its last reply is too old"+when)
	}
	reply := s.last
	reply.Offset = reply.Offset.Widen(Drift(now.Sub(s.last.At)))
	return reply, nil
}
