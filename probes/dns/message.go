package dns

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// A query is one question as it is sent.
type query struct {
	id     uint16
	asked  dnsmessage.Question
	packed []byte
}

// flags are those of a query.
type flags struct {
	recursion        bool // RD
	checkingDisabled bool // CD
	dnssecOK         bool // DO
	size             int  // of EDNS; 0 for none
}

// newQuery packs a question. The number of the query is random, so that nobody can answer who has not seen it.
func newQuery(asked dnsmessage.Question, f flags) (*query, error) {
	var random [2]byte
	_, _ = rand.Read(random[:]) // never fails
	q := &query{id: binary.BigEndian.Uint16(random[:]), asked: asked}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: q.id, RecursionDesired: f.recursion, CheckingDisabled: f.checkingDisabled})
	wrong := []error{b.StartQuestions(), b.Question(asked)}
	if f.size > 0 {
		var h dnsmessage.ResourceHeader
		wrong = append(wrong, b.StartAdditionals(), h.SetEDNS0(f.size, dnsmessage.RCodeSuccess, f.dnssecOK), b.OPTResource(h, dnsmessage.OPTResource{}))
	}
	var err error
	q.packed, err = b.Finish()
	return q, errors.Join(append(wrong, err)...)
}

// A response is an answer to a query.
type response struct {
	header   dnsmessage.Header
	rcode    dnsmessage.RCode // of the header and EDNS
	edns     bool
	sections [3][]record // answer, authority and additional, as they came
}

// errOther is the error of a message that answers something else.
var errOther = errors.New("the message answers another question")

// errBroken is the error of an answer that cannot be read.
var errBroken = errors.New("the answer cannot be read")

// read reads an answer. The error is errOther if it is none to this query, which says nothing of the answer that may still come.
func (q *query) read(message []byte) (*response, error) {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil || h.ID != q.id || !h.Response || h.OpCode != 0 {
		return nil, errOther
	}
	questions, err := p.AllQuestions()
	switch {
	case err == nil && len(questions) == 0 && mayLackQuestion(h.RCode):
	case err != nil || len(questions) != 1 || !sameQuestion(questions[0], q.asked):
		return nil, errOther
	}
	r := &response{header: h, rcode: h.RCode}
	if h.Truncated { // what it holds counts for nothing
		return r, nil
	}
	whole := p
	if whole.SkipAllAnswers() != nil || whole.SkipAllAuthorities() != nil || whole.SkipAllAdditionals() != nil {
		return nil, errBroken
	}
	for i, next := range []func(*dnsmessage.Parser) (dnsmessage.ResourceHeader, error){
		(*dnsmessage.Parser).AnswerHeader, (*dnsmessage.Parser).AuthorityHeader, (*dnsmessage.Parser).AdditionalHeader,
	} {
		if err := r.readSection(&p, i, next); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *response) readSection(p *dnsmessage.Parser, i int, next func(*dnsmessage.Parser) (dnsmessage.ResourceHeader, error)) error {
	for {
		h, err := next(p)
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return nil
		}
		if err != nil {
			return errBroken
		}
		if h.Type == dnsmessage.TypeOPT {
			if _, err := p.UnknownResource(); err != nil || r.edns || i != 2 { // one, and there (RFC 6891, section 6.1.1)
				return errBroken
			}
			r.edns, r.rcode = true, h.ExtendedRCode(r.header.RCode)
			continue
		}
		one, err := readRecord(p, h)
		if err != nil {
			return err
		}
		r.sections[i] = append(r.sections[i], one)
	}
}

// mayLackQuestion reports whether an answer with this code may come without the question: a server that could not read it, or did not
// try to, has nothing to repeat.
func mayLackQuestion(code dnsmessage.RCode) bool {
	return slices.Contains([]dnsmessage.RCode{
		dnsmessage.RCodeFormatError, dnsmessage.RCodeServerFailure, dnsmessage.RCodeNotImplemented, dnsmessage.RCodeRefused,
	}, code)
}

func sameQuestion(a, b dnsmessage.Question) bool {
	return a.Type == b.Type && a.Class == b.Class && sameName(a.Name.String(), b.Name.String())
}

// sameName compares names as DNS does: the case of ASCII letters makes no difference.
func sameName(a, b string) bool { return lower(a) == lower(b) }

// lower changes ASCII letters only, and leaves bytes that are no text as they are.
//
//go:noinline
func lower(name string) string {
	b := []byte(name)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// within reports whether a name is that of a zone or below it.
func within(name, zone string) bool {
	name, zone = lower(name), lower(zone)
	return zone == "." || name == zone || strings.HasSuffix(name, "."+zone)
}
