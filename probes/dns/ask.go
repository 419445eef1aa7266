package dns

import (
	"context"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/budget"
	"prober/probes/internal/expect"
)

// Ask asks all servers at the same time, and compares the name servers of a zone.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	ctx, done := budget.Keep(ctx, margin)
	defer done()
	targets := p.Servers
	if len(targets) == 0 {
		targets = p.findNameServers(ctx, r)
	}
	if len(targets) == 0 {
		return
	}
	copies := make([]zoneCopy, len(targets))
	r.Each(targets, func(i int, r *probe.Result) {
		s := &server{probe: p, result: r, address: targets[i]}
		copies[i] = s.judge(ctx)
	})
	if p.Zone != nil {
		r.Note(checkAgreement, p.agreement(targets, copies))
	}
}

// flags are those of the question.
func (p *Probe) flags() flags {
	return flags{recursion: p.RecursionDesired && p.Zone == nil, dnssecOK: p.EDNS.DNSSECOK || p.Expect.DNSSEC != "", size: p.EDNS.Size}
}

// judge asks a server and notes what came of it. What comes after a check that the others rest on is not noted.
func (s *server) judge(ctx context.Context) (copy zoneCopy) {
	p, r := s.probe, s.result
	first, done := budget.Share(ctx, p.share())
	a := s.ask(first, checkQuery, p.question, p.flags())
	done()
	if !a.answered() {
		r.Note(checkQuery, a.outcome)
		return copy
	}
	for i, m := range []*probe.Measure{answerGauge, authorityGauge, additionalGauge} {
		r.Measure(m, float64(len(a.sections[i])), r.Target())
	}
	r.Pass(checkQuery, "answered over %s", a.over)
	if p.Latency != nil {
		r.Note(checkLatency, expect.JudgeLatency(&a.record, *p.Latency))
	}
	if p.Certificate != nil {
		now := a.record.Started.Add(a.record.Took)
		r.Note(probe.CheckCertificate, p.Certificate.Judge(a.record.CertExpiry, now))
		p.Certificate.Report(r, a.record.CertExpiry, now)
	}
	if p.Expect.EDNS {
		s.judgeEDNS(a)
	}
	if p.Zone != nil || p.Expect.Authoritative {
		o := authority(a)
		r.Note(checkAuthoritative, o)
		if !o.Passed() {
			return copy
		}
	}
	s.judgeRecords(ctx, a)
	if p.Zone != nil {
		copy = s.askSerial(ctx, a)
	}
	return copy
}

// share is which part of the time the first question may take: another one may follow from its answer.
func (p *Probe) share() float64 {
	if p.Zone != nil || p.Control != nil || p.Expect.DNSSEC != "" {
		return 0.5
	}
	return 1
}

// authority says whether a server has authority for the name.
func authority(a *answer) probe.Outcome {
	switch code := a.rcode; {
	case code == dnsmessage.RCodeRefused || code == rcodes["NOTAUTH"]:
		return probe.Outcomef(reasonLame, "expected an answer with authority, got %s", rcodeName(code))
	case code == dnsmessage.RCodeServerFailure:
		return probe.Outcomef(reasonServfail, "expected an answer with authority, got SERVFAIL: the zone is not loaded, or has expired")
	case a.referral():
		return probe.Outcomef(reasonLame, "expected an answer with authority, got a referral to other name servers")
	case !a.header.Authoritative:
		return probe.Outcomef(reasonLame, "expected an answer with authority (AA), got one without")
	}
	return probe.Outcomef(probe.OK, "the server has authority")
}

func (s *server) judgeEDNS(a *answer) {
	if a.edns {
		s.result.Pass(checkEDNS, "the answer has EDNS")
		return
	}
	s.result.Report(checkEDNS, reasonNoEDNS, "expected EDNS in the answer, got none")
}

// judgeRecords notes the response code, the records and DNSSEC. Nothing is noted of the records behind another response code than
// expected.
func (s *server) judgeRecords(ctx context.Context, a *answer) {
	e, r := &s.probe.Expect, s.result
	if e.DNSSEC == dnssecValid && a.rcode == dnsmessage.RCodeServerFailure {
		if o := s.diagnose(ctx); o.Reason == reasonBogus {
			r.Note(checkDNSSEC, o)
			return
		}
	}
	type finding struct {
		check string
		made  bool
		judge func() probe.Outcome
	}
	var control *probe.Outcome // asked once, and only if something is absent as expected
	for _, f := range []finding{
		{checkRCode, true, func() probe.Outcome { return e.judgeRCode(&a.believed) }},
		{checkAnswer, e.wantsAnswer() && a.rcode == dnsmessage.RCodeSuccess, func() probe.Outcome { return e.judgeAnswer(&a.believed) }},
		{checkAuthority, e.Authority != nil, func() probe.Outcome { return e.Authority.judge(a.authority, a.authority) }},
		{checkAdditional, e.Additional != nil, func() probe.Outcome { return e.Additional.judge(a.additional, a.additional) }},
		{checkTTL, e.TTL != nil && len(a.found) > 0, func() probe.Outcome { return e.TTL.judge(a.answer()) }},
		{checkDNSSEC, e.DNSSEC == dnssecValid, func() probe.Outcome { return validated(a) }},
		{checkDNSSEC, e.DNSSEC == dnssecBogus, func() probe.Outcome { return s.refusesBogus(ctx) }},
	} {
		if !f.made {
			r.Omit(f.check) // not expected, or behind a response code that has no records
			continue
		}
		o := f.judge()
		if o.Passed() && s.rests(f.check, a) {
			if control == nil {
				control = new(s.askControl(ctx))
			}
			if !control.Passed() {
				o = *control
			} else {
				o.Detail += "; " + control.Detail
			}
		}
		r.Note(f.check, o)
		if !o.Passed() && f.check == checkRCode {
			return
		}
	}
}

// rests reports whether a check that passed rests on the control: something was absent as expected.
func (s *server) rests(check string, a *answer) bool {
	e := &s.probe.Expect
	switch check {
	case checkRCode:
		return e.NoData || a.rcode != dnsmessage.RCodeSuccess && e.DNSSEC != dnssecBogus
	case checkAnswer:
		return e.Answer.absence()
	case checkAuthority:
		return e.Authority.absence()
	case checkAdditional:
		return e.Additional.absence()
	}
	return false
}

// askControl asks for the name that has records. Only a server that knows it can tell what is absent.
func (s *server) askControl(ctx context.Context) probe.Outcome {
	c := s.probe.Control
	a := s.ask(ctx, checkRCode, s.probe.control, s.probe.flags())
	failed := func(format string, args ...any) probe.Outcome {
		o := probe.Outcomef(probe.ControlFailed, format, args...)
		o.Detail = "the control " + c.QueryName + " did not hold: " + o.Detail
		return o
	}
	switch all := a.all(); {
	case !a.answered():
		return failed("%s", a.outcome.Detail)
	case a.rcode != dnsmessage.RCodeSuccess:
		return failed("expected NOERROR, got %s", rcodeName(a.rcode))
	case len(a.found) == 0:
		return failed("expected a record, got none")
	case c.Match != nil && !matches(c.Match, all):
		return failed("expected a record that matches /%s/, got %s that %s", c.Match, text.Count(len(all), "record"), doNot(len(all)))
	}
	return probe.Outcomef(probe.OK, "the control %s has %s", c.QueryName, text.Count(len(a.found), "record"))
}

func doNot(n int) string {
	if n == 1 {
		return "does not"
	}
	return "do not"
}

func matches(pattern *expect.Pattern, records []record) bool {
	for i := range records {
		if pattern.MatchString(records[i].String()) {
			return true
		}
	}
	return false
}
