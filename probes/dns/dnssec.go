package dns

import (
	"context"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/probe"
)

// unchecked asks for the answer without validation.
func (s *server) unchecked(ctx context.Context) *answer {
	f := s.probe.flags()
	f.checkingDisabled = true
	return s.ask(ctx, checkDNSSEC, s.probe.question, f)
}

// diagnose says why a resolver that must validate fails: DNSSEC is broken if it has an answer as soon as it need not validate.
func (s *server) diagnose(ctx context.Context) probe.Outcome {
	a := s.unchecked(ctx)
	if a.answered() && (a.rcode == dnsmessage.RCodeSuccess || a.rcode == dnsmessage.RCodeNameError) {
		return probe.Outcomef(reasonBogus, "expected an answer that is validated, got SERVFAIL, and %s with checking disabled (CD): DNSSEC is broken, and not the server", rcodeName(a.rcode))
	}
	return probe.Outcomef(reasonServfail, "SERVFAIL with checking disabled too")
}

// validated says whether the resolver has validated the answer. On an open path anyone can say so in its place.
func validated(a *answer) probe.Outcome {
	switch {
	case !a.header.AuthenticData:
		return probe.Outcomef(reasonNotValidated, "expected an answer that is validated (AD), got one that is not")
	case !a.trusted:
		return probe.Outcomef(reasonUnprotected, "the answer says that it is validated, but the resolver is not on this machine, and nothing is encrypted on the way there")
	}
	return probe.Outcomef(probe.OK, "validated by the resolver")
}

// refusesBogus asks for what the resolver refused. That it has it, unvalidated, is the control: a resolver that is down refuses too.
func (s *server) refusesBogus(ctx context.Context) probe.Outcome {
	switch a := s.unchecked(ctx); {
	case !a.answered():
		return probe.Outcomef(probe.ControlFailed, "expected an answer with checking disabled (CD): %s", a.outcome.Detail)
	case a.rcode != dnsmessage.RCodeSuccess || len(a.found) == 0:
		return probe.Outcomef(probe.ControlFailed, "expected a record with checking disabled (CD), got %s with %s", rcodeName(a.rcode), shown(a.found))
	}
	return probe.Outcomef(probe.OK, "refused because of its signatures: there is an answer with checking disabled (CD)")
}
