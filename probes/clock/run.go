package clock

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/timesync"
)

// Times of a run.
const (
	maxNTPWait = 2 * time.Second        // a packet without an answer by then counts as lost
	spareTime  = 100 * time.Millisecond // left at the end of a run, to report the readings
)

// runState is what one run has seen. All times in it are of this machine's wall clock as it stood at base, carried on
// by the monotonic clock: a clock that is set during the run moves none of them.
type runState struct {
	*Probe
	base    time.Time
	answers []serverReading  // as Clock.servers
	clocks  []sourceReadings // as Clock.sources
	utc     timesync.Interval
	agreed  bool // that many servers agree on utc
	agree   int  // how many do

	leapNear bool // a leap second is, or was, announced
}

// serverReading is what an NTP server said.
type serverReading struct {
	timesync.Reply
	err     *probe.Outcome
	outside bool // the other servers contradict it
}

// sourceReadings is what is known of the clock of a service.
type sourceReadings struct {
	timesync.Estimate
	err    *probe.Outcome
	before time.Duration // from the start of the last exchange until its request was sent
	took   time.Duration // the duration of the last exchange
	late   bool          // there was no time left to ask again
	from   string        // the address that answered last
}

// at converts a time to the clock of the run.
func (s *runState) at(t time.Time) time.Time { return s.base.Round(0).Add(t.Sub(s.base)) }

// askAll asks every NTP server and every service, all at once.
func (c *Probe) askAll(ctx context.Context, r *probe.Result, base time.Time) *runState {
	seen := &runState{
		Probe: c, base: base,
		answers: make([]serverReading, len(c.servers)), clocks: make([]sourceReadings, len(c.sources)),
	}
	for i := range seen.answers {
		seen.answers[i].err = readErrorf(probe.NothingChecked, "it was not asked")
	}
	r.Each(append(slices.Clone(c.NTP), names(c.sources)...), func(i int, r *probe.Result) {
		if i < len(c.NTP) {
			seen.answers[i] = c.askServer(ctx, c.servers[i], base)
			return
		}
		seen.ask(ctx, r, i-len(c.NTP))
	})
	seen.agreeOnUTC()
	return seen
}

func names(sources []*source) []string {
	var all []string
	for _, s := range sources {
		all = append(all, s.name)
	}
	return all
}

// sourceIndex returns the index of a service.
//
//go:noinline
func (c *Probe) sourceIndex(name string) int {
	return slices.IndexFunc(c.sources, func(s *source) bool { return s.name == name })
}

// askServer asks an NTP server, within a part of the remaining time.
func (c *Probe) askServer(ctx context.Context, server *timesync.Server, base time.Time) serverReading {
	limit := maxNTPWait
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end)*2/5)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	reply, err := server.Ask(ctx, &c.asker)
	flawed, _ := errors.AsType[*timesync.ReplyError](err)
	_, lookup := errors.AsType[*net.DNSError](err)
	switch {
	case err == nil:
		reply.Offset = reply.Offset.Shift(probe.Step(base, reply.At))
		return serverReading{Reply: reply}
	case flawed != nil:
		return serverReading{err: readErrorf(flawed.Reason, "%s", flawed)}
	case !lookup && (errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)):
		return serverReading{err: readErrorf(probe.Timeout, "no answer within %s", limit.Round(time.Millisecond))}
	}
	o := dial.Explain(ctx, err)
	return serverReading{err: &o}
}

// ask asks a service once more.
func (s *runState) ask(ctx context.Context, r *probe.Result, i int) {
	seen := &s.clocks[i]
	began := time.Now()
	said, t := s.sources[i].read(ctx, r)
	if t != nil {
		seen.err = t
		return
	}
	said.Sent, said.Received = s.at(said.Sent), s.at(said.Received)
	seen.before, seen.took, seen.from = said.before, time.Since(began), said.from
	seen.Add(said.Sample)
}

// agreeOnUTC computes UTC from the servers that agree, and which servers are outside. A server that is listed under two
// names counts once.
func (s *runState) agreeOnUTC() {
	var heard []int
	var said []timesync.Interval
	peers, sources := map[string]int{}, map[string]int{}
	for i := range s.answers {
		seen := &s.answers[i]
		if seen.err != nil {
			continue
		}
		if twin, twice := peers[seen.Peer]; twice {
			seen.err = readErrorf(reasonSameServer, "it is the same server as %s (%s), so it counts once", s.NTP[twin], seen.Peer)
			continue
		}
		if twin, twice := sources[seen.ReferenceID]; twice && seen.ReferenceID != "" {
			seen.err = readErrorf(reasonSameServer, "it is the same server as %s (same reference time), so it counts once", s.NTP[twin])
			continue
		}
		peers[seen.Peer], sources[seen.ReferenceID] = i, i
		heard, said = append(heard, i), append(said, seen.Offset)
	}
	utc, outside, ok := timesync.Intersect(said, s.quorum())
	s.utc, s.agreed = utc, ok
	if !ok {
		return
	}
	announced := 0
	for k, i := range heard {
		s.answers[i].outside = outside[k]
		if !outside[k] {
			s.agree++
			announced += min(s.answers[i].Leap, 1)
		}
	}
	s.leapNear = s.leap.near(announced > s.agree/2, s.base)
}

// leapHistory remembers when a leap second was announced.
type leapHistory struct {
	sync.Mutex
	last time.Time
}

// near reports whether a leap second may be under way: it is announced, or was within the last 24 hours.
func (m *leapHistory) near(announced bool, now time.Time) bool {
	m.Lock()
	defer m.Unlock()
	if announced {
		m.last = now
	}
	return !m.last.IsZero() && now.Sub(m.last) < 24*time.Hour
}

// sourcesToAskAgain lists the services of which more must be known, and how long to wait before each is asked: those in a
// comparison that is not decided, while asking again helps, and those whose clock has not been seen to move.
func (s *runState) sourcesToAskAgain() (all []string, waits map[string]time.Duration) {
	open := map[string]bool{}
	for _, p := range s.pairs() {
		if s.judgePair(p) == reasonWithinUncertainty {
			open[p.a], open[p.b] = true, true
		}
	}
	now := s.at(time.Now())
	waits = map[string]time.Duration{}
	for i, source := range s.sources {
		seen := &s.clocks[i]
		if !seen.usable() || seen.late || seen.Samples >= source.maxReadings {
			continue
		}
		helps, last := open[source.name] && !seen.Exhausted(source.resolution), seen.Samples == source.maxReadings-1
		switch {
		case !seen.Moved && (!helps || last):
			waits[source.name] = seen.WaitForTick(now)
		case helps:
			waits[source.name] = seen.Next(now, source.resolution, seen.before)
		default:
			continue
		}
		all = append(all, source.name)
	}
	return all, waits
}

// askAgain asks those services once more, each when its answer narrows the interval most. It reports whether there
// were any.
func (s *runState) askAgain(ctx context.Context, r *probe.Result) bool {
	wanted, waits := s.sourcesToAskAgain()
	r.Each(wanted, func(n int, r *probe.Result) {
		name := wanted[n]
		i := s.sourceIndex(name)
		seen := &s.clocks[i]
		// The next exchange may take as long as the last one, and longer.
		if end, ok := ctx.Deadline(); ok && time.Until(end) < waits[name]+2*seen.took+spareTime {
			seen.late = true
			return
		}
		timer := time.NewTimer(waits[name])
		defer timer.Stop()
		select {
		case <-timer.C:
			s.ask(ctx, r, i)
		case <-ctx.Done():
			seen.late = true
		}
	})
	return len(wanted) > 0
}
