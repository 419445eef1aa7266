package dial

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/probe"
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
	addrs     map[netip.Addr]bool // in answers; true if they are those of the name, or of one that it is an alias of
	mapped    []netip.Addr        // IPv4 addresses in answers about IPv6, which package net leaves out
	other     bool                // there is a record of the type that was asked for, of another name or class
	alias     bool                // the name is an alias of one that does not exist
	failed    bool                // a name server refuses connections
	self      syscall.Errno       // this machine could not ask
}

type queryLogKey struct{}

// observed returns a copy of a resolver and the log of what it asks.
func observed(r *net.Resolver) (*net.Resolver, *queryLog) {
	log := &queryLog{questions: map[dnsmessage.Question]status{}, addrs: map[netip.Addr]bool{}}
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

// learnAddrs reads the addresses in an answer. Package net takes those of any name and class for those of the name that was asked
// for, and leaves out the IPv4 addresses among the IPv6 ones.
func (l *queryLog) learnAddrs(p *dnsmessage.Parser, asked *dnsmessage.Question) {
	records, _ := p.AllAnswers()
	names := namesOf(records, asked)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, record := range records {
		ours := record.Header.Class == asked.Class && holds(names, record.Header.Name)
		l.other = l.other || record.Header.Type == asked.Type && !ours
		var ip netip.Addr
		switch body := record.Body.(type) {
		case *dnsmessage.AResource:
			ip = netip.AddrFrom4(body.A)
		case *dnsmessage.AAAAResource:
			ip = netip.AddrFrom16(body.AAAA)
		default:
			continue
		}
		if ours && ip.Is4In6() && len(l.mapped) < maxTries {
			l.mapped = append(l.mapped, ip.Unmap())
		}
		ip = ip.Unmap()
		l.addrs[ip] = l.addrs[ip] || ours
	}
}

// maxAliases bounds a chain of aliases.
const maxAliases = 16

// namesOf returns the name that was asked for, and those that it is an alias of.
func namesOf(records []dnsmessage.Resource, asked *dnsmessage.Question) []dnsmessage.Name {
	names := []dnsmessage.Name{asked.Name}
	for known := 0; known < len(names) && len(names) <= maxAliases; {
		known = len(names)
		for _, record := range records { // in any order
			body, ok := record.Body.(*dnsmessage.CNAMEResource)
			if ok && len(names) <= maxAliases && holds(names, record.Header.Name) && !holds(names, body.CNAME) {
				names = append(names, body.CNAME)
			}
		}
	}
	return names
}

func holds(names []dnsmessage.Name, name dnsmessage.Name) bool {
	return slices.ContainsFunc(names, func(n dnsmessage.Name) bool { return strings.EqualFold(n.String(), name.String()) })
}

// failure returns an error unless all that was found is about the name that was asked for.
func (l *queryLog) failure(ctx context.Context, err error) error {
	l.mu.Lock()
	other := l.other
	l.mu.Unlock()
	if err == nil && !other {
		return nil
	}
	why := &lookupError{reason: probe.DNSServfail, other: true}
	if err != nil {
		why = l.why(err)
	}
	s := search{ctx: ctx, errs: []*lookupError{why}}
	return s.err()
}

// ofAnother reports whether only answers about another name hold the address.
func (l *queryLog) ofAnother(ip netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ours, seen := l.addrs[ip]
	return seen && !ours
}

func (l *queryLog) isAlias() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alias = true
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
		p.SkipAllQuestions()
		if first, err := p.AnswerHeader(); err == nil && first.Type == dnsmessage.TypeCNAME {
			r.log.isAlias()
		}
	case dnsmessage.RCodeSuccess:
		p.SkipAllQuestions()
		if _, err := p.AnswerHeader(); err == nil || !h.Truncated && (h.Authoritative || h.RecursionAvailable) {
			r.log.learn(*r.question, exists)
			r.log.learnAddrs(&p, r.question)
			return
		}
		r.log.learn(*r.question, failed) // a referral to nowhere, or nothing of an answer that is cut off
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
