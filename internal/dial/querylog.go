package dial

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/net/dns/dnsmessage"
)

// A status is what is known of one question: of one name, which may be that of a search domain, and one type.
type status int

// What is known of a question. Of several answers to one question the last in this order counts.
const (
	unanswered status = iota
	failed            // the name server fails, or refuses to answer
	nonexistent
	exists // with or without such a record
)

// A queryLog records what name servers answer to the questions of one look-up. Package net returns a single error for all
// of them.
type queryLog struct {
	mu        sync.Mutex
	questions map[dnsmessage.Question]status
	mapped    []netip.Addr  // IPv4 addresses in answers about IPv6, which package net leaves out
	failed    bool          // a name server refuses connections
	self      syscall.Errno // this machine could not ask
}

type queryLogKey struct{}

// observed returns a copy of a resolver and the log of what it asks.
func observed(r *net.Resolver) (*net.Resolver, *queryLog) {
	log := &queryLog{questions: map[dnsmessage.Question]status{}}
	own := &net.Resolver{PreferGo: r.PreferGo, StrictErrors: r.StrictErrors}
	if r.Dial != nil {
		own.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			nc, err := r.Dial(context.WithValue(ctx, queryLogKey{}, log), network, address)
			if err != nil {
				log.broken(nil, err)
			}
			return nc, err
		}
	}
	return own, log
}

func queryLogOf(ctx context.Context) *queryLog {
	log, _ := ctx.Value(queryLogKey{}).(*queryLog)
	return log
}

// learn notes what is known of a question, unless more is known already.
func (l *queryLog) learn(q dnsmessage.Question, s status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.questions[q] = max(l.questions[q], s)
}

// learnMapped reads the IPv4 addresses among the IPv6 ones of an answer, a few of them.
func (l *queryLog) learnMapped(p *dnsmessage.Parser) {
	records, _ := p.AllAnswers()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, record := range records {
		body, ok := record.Body.(*dnsmessage.AAAAResource)
		if !ok || len(l.mapped) >= maxTries {
			continue
		}
		if ip := netip.AddrFrom16(body.AAAA); ip.Is4In6() {
			l.mapped = append(l.mapped, ip.Unmap())
		}
	}
}

func (l *queryLog) mappedAddrs() []netip.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mapped
}

// broken notes the error of a connection to a name server, which may have been asked a question.
func (l *queryLog) broken(q *dnsmessage.Question, err error) {
	var timed interface{ Timeout() bool }
	if errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled) || errors.As(err, &timed) && timed.Timeout() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for errno := range selfNetwork {
		if errors.Is(err, errno) {
			l.self = errno
			return
		}
	}
	if q == nil {
		l.failed = true
	} else {
		l.questions[*q] = max(l.questions[*q], failed)
	}
}

// A queryReader reads the queries and responses of one connection for a log. A nil log takes nothing.
type queryReader struct {
	log      *queryLog
	id       uint16
	question *dnsmessage.Question
}

// ended notes the error of the connection, if there is one.
func (r *queryReader) ended(err error) {
	if r.log != nil && err != nil {
		r.log.broken(r.question, err)
	}
}

// sent reads a query.
func (r *queryReader) sent(message []byte) {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if r.log == nil || err != nil {
		return
	}
	if q, err := p.Question(); err == nil {
		r.id, r.question = h.ID, &q
		r.log.learn(q, unanswered)
	}
}

// received reads a response, by the rules of package net: what that ignores is ignored here too.
func (r *queryReader) received(message []byte, datagram bool) {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if r.log == nil || r.question == nil || err != nil || h.ID != r.id || !h.Response || datagram && h.Truncated {
		return
	}
	q, err := p.Question()
	if err != nil || q.Type != r.question.Type || q.Class != r.question.Class || HostName(q.Name.String()) != HostName(r.question.Name.String()) {
		return
	}
	switch h.RCode {
	case dnsmessage.RCodeNameError:
		r.log.learn(*r.question, nonexistent)
	case dnsmessage.RCodeSuccess:
		p.SkipAllQuestions()
		if _, err := p.AnswerHeader(); err == nil || h.Authoritative || h.RecursionAvailable {
			r.log.learn(*r.question, exists)
			r.log.learnMapped(&p)
			return
		}
		r.log.learn(*r.question, failed) // a referral to nowhere
	default:
		r.log.learn(*r.question, failed)
	}
}

// stream reads responses out of a stream, each of which has its length before it.
func (r *queryReader) stream(buffer, chunk []byte) (rest []byte) {
	if r.log == nil {
		return nil
	}
	buffer = append(buffer, chunk...)
	for len(buffer) >= 2 {
		size := 2 + int(binary.BigEndian.Uint16(buffer))
		if len(buffer) < size {
			break
		}
		r.received(buffer[2:size], false)
		buffer = buffer[size:]
	}
	return buffer
}
