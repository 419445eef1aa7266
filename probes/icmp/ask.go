package icmp

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/budget"
	"prober/probes/internal/expect"
)

// maxRead bounds what a host may send in all: enough for every reply three times.
const maxRead = 4 << 20

// margin is what is left of a run for what follows from a reply that did not come.
const margin = 100 * time.Millisecond

// Ask sends echo requests to all hosts at the same time.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	targets, ok := p.Replicas.Find(ctx, r, p.dialer.Resolver)
	if !ok {
		return
	}
	p.Replicas.Note(r, checkReplicas, targets)
	ctx, done := budget.Keep(ctx, margin)
	defer done()
	r.Each(targets, func(i int, r *probe.Result) { p.ask(ctx, r, cmp.Or(targets[i], p.Host)) })
}

// ask sends the requests to one host and notes what came of them.
func (p *Probe) ask(ctx context.Context, r *probe.Result, host string) {
	x := dial.Begin(ctx, 1)
	record := probe.Exchange{Check: checkReply, Target: r.Target(), URL: "icmp://" + strings.TrimSuffix(net.JoinHostPort(host, ""), ":"), Started: x.Start()}
	watch := probe.LatenessOf(ctx)
	late := watch.Total()
	s := &session{probe: p, exchange: x}
	err := s.run(host)
	record.Took, record.Late = time.Since(record.Started), watch.Total()-late
	o := s.judge(err)
	record.Reason, record.Expected = o.Reason, o.Passed()
	x.Close()
	x.Fill(&record, err)
	if n := len(record.Phases); s.replies > 0 { // the slowest reply stands for all: the rest is waiting
		record.Took += s.slowest - record.Phases[n-1].Took
		record.Phases[n-1].Took = s.slowest
	}
	r.Exchanged(record)
	r.Note(checkReply, o)
	if s.replies > 0 {
		r.Measure(rttGauge, (s.total / time.Duration(s.replies)).Seconds(), r.Target())
	}
	if n := len(s.requests); n > 0 {
		r.Measure(lossGauge, float64(n-s.replies)/float64(n), r.Target())
	}
	if !o.Passed() {
		return
	}
	switch {
	case p.Count == 1:
	case s.duplicates > 0:
		r.Report(checkDuplicates, reasonDuplicate, "expected one reply to each request, got %s more", text.Plural(s.duplicates, "reply", "replies"))
	default:
		r.Pass(checkDuplicates, "one reply to each request")
	}
	if p.Latency != nil {
		record.Took = s.slowest
		r.Note(checkLatency, expect.JudgeLatency(&record, *p.Latency))
	}
}

// A request is an echo request that was sent.
type request struct {
	sent      time.Time
	answered  bool
	corrupted bool
	failed    *dial.EchoError // what was reported of it
}

// A session is the requests to one host.
type session struct {
	probe    *Probe
	exchange *dial.Exchange
	nc       net.Conn
	family   family
	id       uint16 // of all requests
	first    uint16 // sequence number; the others follow
	payload  []byte
	requests []request

	replies, duplicates, strangers int
	slowest, total                 time.Duration
}

// run sends the requests and reads until each is answered, or nothing more is to be waited for.
func (s *session) run(host string) error {
	nc, err := s.probe.dialer.DialContext(s.exchange.Context(), "icmp", host)
	if err != nil {
		return err
	}
	s.begin(nc)
	s.exchange.Enter(dial.PhaseProcessing)
	began := time.Now()
	buffer := make([]byte, len(s.payload)+256) // longer than any reply, even with what a raw socket reads before it
	for {
		until := time.Time{}
		if n := len(s.requests); n < s.probe.Count {
			until = began.Add(time.Duration(n) * s.probe.PacketInterval.D())
			if !time.Now().Before(until) {
				if err := s.send(); err != nil {
					return err
				}
				continue
			}
		} else if s.settled() {
			return nil
		}
		if err := s.read(buffer, until); err != nil {
			return err
		}
	}
}

// begin chooses what nobody can guess.
func (s *session) begin(nc net.Conn) {
	s.nc, s.family = nc, icmp4
	if to, ok := nc.RemoteAddr().(*net.UDPAddr); ok && to.IP.To4() == nil {
		s.family = icmp6
	}
	if own, ok := nc.LocalAddr().(*net.UDPAddr); ok {
		s.id = uint16(own.Port)
	}
	random := make([]byte, 2+s.probe.PayloadSize)
	rand.Read(random) // never fails
	s.first, s.payload = binary.BigEndian.Uint16(random), random[2:]
}

func (s *session) send() error {
	seq := s.first + uint16(len(s.requests))
	s.requests = append(s.requests, request{sent: time.Now()})
	_, err := s.nc.Write(s.family.echo(s.id, seq, s.payload))
	if failed, ok := errors.AsType[*dial.EchoError](err); ok {
		s.requests[len(s.requests)-1].failed = failed
		return nil
	}
	return err
}

// changed reports whether a request has only a reply with another payload: that is no loss.
func (s *session) changed() bool {
	return slices.ContainsFunc(s.requests, func(q request) bool { return q.corrupted && !q.answered })
}

// settled reports whether something is known of every request.
func (s *session) settled() bool {
	return !slices.ContainsFunc(s.requests, func(q request) bool { return !q.answered && q.failed == nil })
}

// read reads one message, until a time if there is one.
func (s *session) read(buffer []byte, until time.Time) error {
	if err := s.nc.SetReadDeadline(until); err != nil {
		return err
	}
	n, err := s.nc.Read(buffer)
	now := time.Now()
	if failed, ok := errors.AsType[*dial.EchoError](err); ok {
		if i, ok := s.family.about(failed, s.id, s.first, len(s.requests)); ok {
			s.requests[i].failed = failed
		}
		return nil
	}
	if !until.IsZero() && errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if err != nil {
		return err
	}
	i, m := s.family.read(buffer[:n], s.id, s.first, len(s.requests), s.payload)
	switch {
	case m == corrupted:
		s.requests[i].corrupted = true
	case m == stranger && n > 0 && buffer[0] == s.family.reply:
		s.strangers++
	case m == stranger:
	case s.requests[i].answered:
		s.duplicates++
	default:
		s.requests[i].answered = true
		took := now.Sub(s.requests[i].sent)
		s.replies, s.total, s.slowest = s.replies+1, s.total+took, max(s.slowest, took)
	}
	return nil
}

// judge says whether enough replies came or, if not, why: what is reported of a request says more than silence.
func (s *session) judge(err error) probe.Outcome {
	p, peer := s.probe, s.exchange.Peer()
	if errors.Is(err, dial.ErrPing) {
		return probe.Outcomef(reasonPermission, "the kernel lets this process open neither a ping socket, for which its group must be in the sysctl net.ipv4.ping_group_range, nor a raw one, which takes CAP_NET_RAW")
	}
	unfinished := err != nil && !errors.Is(err, context.DeadlineExceeded)
	if s.nc == nil || unfinished || len(s.requests) < p.Count {
		return s.exchange.Explain(err)
	}
	if p.Count-s.replies <= p.MaxLost && !s.changed() {
		return probe.Outcomef(probe.OK, "%d of %s from %s, the slowest after %s", s.replies, text.Plural(p.Count, "reply", "replies"), peer, s.slowest.Round(10*time.Microsecond))
	}
	o := probe.Outcomef(reasonLoss, "")
	if s.replies == 0 {
		o.Reason = probe.Timeout
	}
	for _, q := range s.requests {
		switch {
		case q.answered || q.failed == nil && !q.corrupted:
			continue
		case q.corrupted:
			o.Reason, o.Detail = reasonCorrupted, ": a reply has another payload than its request"
		default:
			why, said := s.family.explain(q.failed)
			o.Reason, o.Detail = *why, ": "+reporter(q.failed.From)+" says that "+said
			if o.Reason == reasonTooBig && q.failed.MTU > 0 {
				o.Detail += fmt.Sprintf(", the MTU is %d", q.failed.MTU)
			}
		}
		break
	}
	if o.Detail == "" && s.strangers > 0 {
		o.Detail = fmt.Sprintf(", and %s about something else", text.Count(s.strangers, "message"))
	}
	o.Detail = fmt.Sprintf("expected %s from %s, got %d%s", text.Plural(p.Count-p.MaxLost, "reply", "replies"), peer, s.replies, o.Detail)
	return o
}

// reporter names who reports an error.
func reporter(from netip.Addr) string {
	if !from.IsValid() {
		return "this machine"
	}
	return from.String()
}
