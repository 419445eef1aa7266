package dial

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/idna"

	"prober/internal/probe"
)

// resolutionDelay is how long the addresses of one family wait for those of the preferred one, IPv6 by default (RFC 8305,
// section 3).
const resolutionDelay = 50 * time.Millisecond

// hostNames maps a name to the form in which it is looked up (UTS 46). Names of hosts within a network may have underscores.
var hostNames = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.CheckHyphens(false))

// HostName returns a host as DNS and TLS know it: in lower case, other scripts encoded, whatever form its characters and
// dots have. It returns the host itself if it cannot be a name.
func HostName(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	if name, err := hostNames.ToASCII(host); err == nil && name != "" {
		return name
	}
	return host
}

// A lookupError says why a name has no address, or why that is not known.
type lookupError struct {
	reason probe.Reason
	self   syscall.Errno // of this machine, with probe.SelfNetwork
	alias  bool          // with probe.NXDomain: the name is an alias of one that does not exist
	other  bool          // with probe.DNSServfail: the answer is about another name
}

func (e *lookupError) Error() string { return "look-up: " + e.reason.Word }

// lookupReasons orders the reasons of several look-ups of one name. While one of them may still have an answer, no other
// proves that there is none.
var lookupReasons = []probe.Reason{probe.SelfNetwork, probe.DNSServfail, probe.DNSTimeout, probe.NoAddress, probe.NXDomain}

// An answer is the result of one query for the addresses of one family, "ip4" or "ip6".
type answer struct {
	family string
	addrs  []netip.Addr
	err    *lookupError // if there are none
}

// ask looks up the addresses of one family. The resolver is a copy, so that what its name servers say is known for this
// look-up alone.
func ask(ctx context.Context, r *net.Resolver, family, name string) answer {
	own, said := observed(r)
	found, err := own.LookupNetIP(ctx, family, name)
	a := answer{family: family}
	other := false
	for _, ip := range found {
		if ip = ip.Unmap(); said.ofAnother(ip) {
			other = true
		} else {
			a.addrs = append(a.addrs, ip)
		}
	}
	if len(a.addrs) == 0 {
		a.addrs = said.mappedAddrs()
	}
	if len(a.addrs) == 0 {
		a.err = said.why(err)
		a.err.other = other
	}
	return a
}

// why judges a look-up that has found nothing, by what was said in all of its queries: the last error is only that of the
// last name server, or of the last search domain.
func (l *queryLog) why(err error) *lookupError {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := map[status]bool{}
	for _, s := range l.questions {
		known[s] = true
	}
	dns, _ := errors.AsType[*net.DNSError](err)
	self := l.self
	for errno := range selfNetwork { // the error of a resolver that is not observed is kept as text, which comes from this machine
		if dns != nil && strings.HasSuffix(dns.Err, errno.Error()) {
			self = errno
		}
	}
	_, unsuitable := errors.AsType[*net.AddrError](err) // the file of hosts has the other family
	switch {
	case self != 0:
		return &lookupError{reason: probe.SelfNetwork, self: self}
	case known[failed], l.failed && (known[unanswered] || len(known) == 0): // by another name server it may have been answered
		return &lookupError{reason: probe.DNSServfail}
	case known[unanswered]:
		return &lookupError{reason: probe.DNSTimeout}
	case unsuitable, known[exists] && dns != nil && dns.IsNotFound:
		return &lookupError{reason: probe.NoAddress}
	case dns != nil && dns.IsNotFound:
		return &lookupError{reason: probe.NXDomain, alias: l.alias}
	case dns != nil && dns.IsTimeout, errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &lookupError{reason: probe.DNSTimeout}
	}
	return &lookupError{reason: probe.DNSServfail}
}

// A search is the look-up of one name. Its families are asked apart, and neither answer is waited for while the other will
// do.
type search struct {
	ctx     context.Context
	prefers string // the family whose addresses come first
	answers chan answer
	pending int
	errs    []*lookupError
}

// startSearch asks for the families of a name, the preferred one first.
func startSearch(ctx context.Context, r *net.Resolver, name string, families ...string) *search {
	s := &search{ctx: ctx, prefers: families[0], answers: make(chan answer, len(families)), pending: len(families)}
	for _, family := range families {
		go func() { s.answers <- ask(ctx, cmp.Or(r, system), family, name) }()
	}
	return s
}

// next waits for one more answer, as long as it may. It reports false if there was none.
func (s *search) next(wait <-chan time.Time) (answer, bool) {
	if s.pending == 0 {
		return answer{}, false
	}
	select {
	case a := <-s.answers: // which comes, at the latest, when the context ends
		s.pending--
		if a.err != nil {
			s.errs = append(s.errs, a.err)
		}
		return a, true
	case <-wait:
		return answer{}, false
	}
}

// first returns the addresses that there are soon: those of the preferred family and of the other in turn, or those of the
// family that answered.
func (s *search) first() []netip.Addr {
	var preferred, others []netip.Addr
	var wait <-chan time.Time
	for {
		a, ok := s.next(wait)
		if !ok {
			return inTurn(preferred, others)
		}
		if a.family == s.prefers {
			preferred = a.addrs
		} else {
			others = a.addrs
		}
		switch {
		case len(preferred) > 0 && s.pending > 0 && wait == nil:
			return preferred
		case len(others) > 0 && wait == nil:
			wait = time.After(resolutionDelay)
		}
	}
}

// rest returns the addresses of the family that had not answered before, within a time.
func (s *search) rest(within time.Duration) []netip.Addr {
	a, _ := s.next(time.After(within))
	return a.addrs
}

// err says why the name has no address: what matters most of all that was said, in whatever order.
func (s *search) err() error {
	if errors.Is(s.ctx.Err(), context.Canceled) {
		return s.ctx.Err()
	}
	worst := slices.MinFunc(append(s.errs, &lookupError{reason: probe.NXDomain}), func(a, b *lookupError) int {
		return cmp.Compare(slices.Index(lookupReasons, a.reason), slices.Index(lookupReasons, b.reason))
	})
	for _, e := range s.errs { // the answer that says more, whichever came first
		if e.reason == worst.reason && (e.alias || e.other) {
			worst = e
		}
	}
	if worst.reason == probe.DNSTimeout && s.ctx.Err() != nil {
		return &net.DNSError{Err: "timeout", IsTimeout: true, UnwrapErr: s.ctx.Err()}
	}
	return worst
}

// inTurn merges the addresses of two families (RFC 8305, section 4): one that is dead must not hide the other.
func inTurn(a, b []netip.Addr) []netip.Addr {
	out := make([]netip.Addr, 0, len(a)+len(b))
	for i := range max(len(a), len(b)) {
		if i < len(a) {
			out = append(out, a[i])
		}
		if i < len(b) {
			out = append(out, b[i])
		}
	}
	return out
}

// Addresses returns the addresses of a host by family. A family may be empty only if it is certain that the host has no
// such address; if there are none at all, the error says why.
func Addresses(ctx context.Context, r *net.Resolver, host string) (four, six []netip.Addr, err error) {
	s := startSearch(ctx, r, HostName(host), "ip4", "ip6")
	for s.pending > 0 {
		if a, _ := s.next(nil); a.family == "ip4" {
			four = a.addrs
		} else {
			six = a.addrs
		}
	}
	unknown := slices.ContainsFunc(s.errs, func(e *lookupError) bool { return e.reason != probe.NoAddress && e.reason != probe.NXDomain })
	if unknown && len(four) == 0 || len(four)+len(six) == 0 {
		return nil, nil, s.err()
	}
	return four, six, nil
}

// Services returns the SRV records of a name: all of them, or an error if one names what cannot be a host.
func Services(ctx context.Context, r *net.Resolver, name string) ([]*net.SRV, error) {
	own, said := observed(cmp.Or(r, system))
	_, records, err := own.LookupSRV(ctx, "", "", name)
	if err := said.failure(ctx, err); err != nil {
		return nil, err
	}
	return records, nil
}

// NameServers returns the hosts of the name servers of a zone, as its NS records name them: all of them, or an error.
func NameServers(ctx context.Context, r *net.Resolver, zone string) (hosts []string, err error) {
	own, said := observed(cmp.Or(r, system))
	records, err := own.LookupNS(ctx, HostName(zone))
	if err := said.failure(ctx, err); err != nil {
		return nil, err
	}
	for _, record := range records {
		hosts = append(hosts, record.Host)
	}
	return hosts, nil
}
