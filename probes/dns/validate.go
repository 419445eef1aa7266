package dns

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/text"
	"prober/probes/internal/expect"
)

// Validate reports what is wrong with the settings.
func (p *Probe) Validate() error {
	var ok bool
	wrong := []error{
		p.validateServers(), p.validateZone(), p.validateTransport(), p.validateControl(), expect.ValidateLatency(p.Latency),
		probe.InSetting("expect", p.Expect.validate(p)),
	}
	if p.Resolver != "" && !dial.IsHostPort(p.Resolver) {
		wrong = append(wrong, probe.Settingf("resolver", "expected host:port"))
	}
	if p.question.Name, ok = domainName(p.QueryName); !ok && p.QueryName != "" {
		wrong = append(wrong, probe.Settingf("query_name", "expected a name of at most 253 bytes and labels of at most 63"))
	}
	if p.question.Type, ok = typeOf(p.QueryType); !ok {
		wrong = append(wrong, unknownType("query_type", p.QueryType))
	}
	if p.question.Class, ok = classNames[p.QueryClass]; !ok {
		wrong = append(wrong, probe.Settingf("query_class", "expected IN, CH or HS"))
	}
	p.control.Class = p.question.Class
	p.dialer = dial.New(p.Resolver, p.TLS)
	p.dialer.MaxRead = maxRead
	return errors.Join(wrong...)
}

func unknownType(setting, got string) error {
	known := sorted.Keys(typeNames)
	return probe.Settingf(setting, "expected a type such as A or MX, or TYPE and a number, and no zone transfer%s", text.DidYouMean(got, known))
}

func (p *Probe) validateServers() error {
	var wrong []error
	if len(p.Servers) > maxServers {
		wrong = append(wrong, probe.Settingf("servers", "expected at most %d, got %d", maxServers, len(p.Servers)))
	}
	for i, address := range p.Servers {
		at := fmt.Sprintf("servers[%d]", i)
		if err := dial.CheckHostPort(address); err != nil {
			wrong = append(wrong, probe.Settingf(at, "%s", err))
		}
		if slices.Contains(p.Servers[:i], address) {
			wrong = append(wrong, probe.Settingf(at, "%s is listed twice", address))
		}
	}
	if len(p.Servers) == 0 && p.Zone == nil {
		wrong = append(wrong, probe.Settingf("servers", "expected a server, or zone for its name servers"))
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateZone() error {
	z := p.Zone
	if z == nil {
		return nil
	}
	var wrong []error
	listed := len(p.Servers) > 0
	name, ok := domainName(z.Name)
	asked, fits := domainName(p.QueryName)
	switch {
	case z.Name == "":
	case !ok:
		wrong = append(wrong, probe.Settingf("zone.name", "expected a name of at most 253 bytes and labels of at most 63"))
	case fits && p.QueryName != "" && !within(asked.String(), name.String()):
		wrong = append(wrong, probe.Settingf("query_name", "expected a name in the zone"))
	}
	if ok {
		z.Name = name.String()
	}
	switch {
	case listed && len(p.Servers) < 2:
		wrong = append(wrong, probe.Settingf("servers", "expected at least two, which can agree"))
	case listed && z.Want != 0:
		wrong = append(wrong, probe.Settingf("zone.want", "has no effect beside servers"))
	case !listed && (z.Want < 1 || z.Want > maxNameServers):
		wrong = append(wrong, probe.Settingf("zone.want", "expected 1 to %d, got %d", maxNameServers, z.Want))
	}
	switch {
	case listed && z.IPProtocol != "":
		wrong = append(wrong, probe.Settingf("zone.ip_protocol", "has no effect beside servers"))
	case z.IPProtocol != "" && z.IPProtocol != "ip4" && z.IPProtocol != "ip6":
		wrong = append(wrong, probe.Settingf("zone.ip_protocol", "expected ip4 or ip6"))
	}
	if z.MaxLag != nil && *z.MaxLag < 0 {
		wrong = append(wrong, probe.Settingf("zone.max_lag", "must not be negative"))
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateTransport() error {
	var wrong []error
	if p.Transport != transportUDP && p.Transport != transportTCP && p.Transport != transportTLS {
		wrong = append(wrong, probe.Settingf("transport", "expected udp, tcp or tls"))
	}
	if p.TLS != nil && p.Transport != transportTLS {
		wrong = append(wrong, probe.Settingf("tls", "has no effect without transport: tls"))
	}
	wrong = append(wrong, probe.InSetting("tls", p.TLS.Validate(false)))
	if p.Certificate != nil {
		wrong = append(wrong, probe.InSetting("certificate", p.Certificate.Validate()))
		if p.Transport != transportTLS {
			wrong = append(wrong, probe.Settingf("certificate", "has no effect without transport: tls"))
		}
	}
	if size := p.EDNS.Size; size != 0 && (size < 512 || size > maxMessage) {
		wrong = append(wrong, probe.Settingf("edns.size", "expected 0 or 512 to %d, got %d", maxMessage, size))
	}
	if p.EDNS.Size == 0 && (p.EDNS.DNSSECOK || p.Expect.EDNS || p.Expect.DNSSEC != "") {
		wrong = append(wrong, probe.Settingf("edns.size", "expected a size: what is expected needs EDNS"))
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateControl() error {
	absent := p.Expect.absence()
	c := p.Control
	switch {
	case c == nil && absent:
		return probe.Settingf("control", "expected a name that the servers have records for: something is expected to be absent, and a server that knows nothing passes too")
	case c == nil:
		return nil
	case !absent:
		return probe.Settingf("control", "has no effect: nothing is expected to be absent")
	}
	var wrong []error
	var ok bool
	if p.control.Name, ok = domainName(c.QueryName); !ok && c.QueryName != "" {
		wrong = append(wrong, probe.Settingf("control.query_name", "expected a name of at most 253 bytes and labels of at most 63"))
	}
	kind := c.QueryType
	if kind == "" {
		kind = p.QueryType
	}
	if p.control.Type, ok = typeOf(kind); !ok && c.QueryType != "" {
		wrong = append(wrong, unknownType("control.query_type", kind))
	}
	asked, _ := domainName(p.QueryName)
	if same := sameName(asked.String(), p.control.Name.String()) && kind == p.QueryType; same && c.Match == nil {
		wrong = append(wrong, probe.Settingf("control", "expected another question than that of the probe, or match"))
	}
	if c.Match != nil && c.Match.MatchString("") {
		wrong = append(wrong, emptyMatch("control.match", c.Match))
	}
	return errors.Join(wrong...)
}

//go:noinline
func emptyMatch(setting string, pattern *expect.Pattern) error {
	return probe.Settingf(setting, "/%s/ matches the empty text too, so it proves nothing", pattern)
}

func (e *Expect) validate(p *Probe) error {
	var wrong []error
	for i, code := range e.RCode {
		if _, ok := rcodes[code]; !ok {
			known := sorted.Keys(rcodes)
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("rcode[%d]", i), "expected one of %s%s", strings.Join(known, ", "), text.DidYouMean(code, known)))
		}
	}
	data := slices.Contains(e.accepted(), "NOERROR")
	if e.NoData && (e.Answer != nil || e.TTL != nil || !data) {
		wrong = append(wrong, probe.Settingf("no_data", "leaves no answer, TTL or other response code to expect"))
	}
	if e.Answer != nil && e.Answer.Max != nil && *e.Answer.Max == 0 {
		wrong = append(wrong, probe.Settingf("answer.max", "expected no_data in place of 0"))
	}
	if !data && (e.Answer != nil || e.TTL != nil) {
		wrong = append(wrong, probe.Settingf("", "answer and ttl need NOERROR"))
	}
	if is4 := p.QueryType == "A"; e.Answer != nil && (is4 || p.QueryType == "AAAA") {
		for i, data := range e.Answer.Equals {
			if ip, err := netip.ParseAddr(data); err != nil || ip.Is4() != is4 {
				wrong = append(wrong, probe.Settingf(fmt.Sprintf("answer.equals[%d]", i), "expected an address as records of the type %s have it", p.QueryType))
			}
		}
	}
	for setting, s := range map[string]*Records{"answer": e.Answer, "authority": e.Authority, "additional": e.Additional} {
		wrong = append(wrong, probe.InSetting(setting, s.validate(setting)))
	}
	if e.TTL != nil {
		wrong = append(wrong, probe.InSetting("ttl", e.TTL.validate()))
	}
	return errors.Join(append(wrong, e.validateDNSSEC(p))...)
}

func (e *Expect) validateDNSSEC(p *Probe) error {
	switch {
	case e.DNSSEC == "":
		return nil
	case e.DNSSEC != dnssecValid && e.DNSSEC != dnssecBogus:
		return probe.Settingf("dnssec", "expected valid or bogus")
	case p.Zone != nil || !p.RecursionDesired:
		return probe.Settingf("dnssec", "only a resolver validates: expected recursion_desired and no zone")
	case e.DNSSEC == dnssecBogus && (len(e.RCode) > 0 || e.NoData || e.Answer != nil || e.Authority != nil || e.Additional != nil || e.TTL != nil):
		return probe.Settingf("dnssec", "bogus leaves nothing else to expect")
	}
	return nil
}

func (s *Records) validate(section string) error {
	if s == nil {
		return nil
	}
	var wrong []error
	count := len(s.Equals)
	for i, list := range [...][]*expect.Pattern{s.Match, s.Every, s.NotMatch, s.NotEvery} {
		count += len(list)
		for j, pattern := range list {
			setting := fmt.Sprintf("%s[%d]", [...]string{"match", "every", "not_match", "not_every"}[i], j)
			if pattern.MatchString("") {
				wrong = append(wrong, emptyMatch(setting, pattern))
			}
			if i < 2 && has(s.NotMatch, pattern) || i == 1 && has(s.NotEvery, pattern) {
				wrong = append(wrong, probe.Settingf(setting, "is what must not match too, so nothing can be right"))
			}
		}
	}
	if count == 0 && s.Min == nil && s.Max == nil {
		wrong = append(wrong, probe.Settingf("", "expected at least one condition"))
	}
	if len(s.Equals) > 0 && section != "answer" {
		wrong = append(wrong, probe.Settingf("equals", "expected match: only the answer has records of one type"))
	}
	if s.Min != nil && *s.Min < 0 || s.Max != nil && *s.Max < 0 {
		wrong = append(wrong, probe.Settingf("", "min and max must not be negative"))
	}
	if n := len(s.Equals); n > 0 && (s.Min != nil && *s.Min > n || s.Max != nil && *s.Max < n) {
		wrong = append(wrong, probe.Settingf("equals", "has %s, which min or max does not allow", text.Count(n, "record")))
	}
	for i, data := range s.Equals {
		if slices.Contains(s.Equals[:i], data) {
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("equals[%d]", i), "is listed twice; no two records are the same"))
		}
	}
	if s.Min != nil && *s.Min == 0 && count == 0 && s.Max == nil {
		wrong = append(wrong, probe.Settingf("min", "0 is always met"))
	}
	if s.Min != nil && s.Max != nil && *s.Min > *s.Max {
		wrong = append(wrong, probe.Settingf("min", "%d is above max, so nothing can be within", *s.Min))
	}
	return errors.Join(wrong...)
}

//go:noinline
func has(list []*expect.Pattern, pattern *expect.Pattern) bool {
	return slices.ContainsFunc(list, func(other *expect.Pattern) bool { return other.String() == pattern.String() })
}

func (t *TTL) validate() error {
	switch {
	case t.Min == nil && t.Max == nil:
		return probe.Settingf("", "expected min or max")
	case t.Min != nil && *t.Min < 0 || t.Max != nil && *t.Max < 0:
		return probe.Settingf("", "min and max must not be negative")
	case t.Min != nil && *t.Min == 0 && t.Max == nil:
		return probe.Settingf("min", "0s is always met")
	case t.Min != nil && t.Max != nil && *t.Min > *t.Max:
		return probe.Settingf("min", "%s is above max, so nothing can be within", t.Min)
	}
	return nil
}
