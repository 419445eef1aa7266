package dns

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/text"
)

const (
	portDNS = "53"
	portTLS = "853"

	maxNameServers = 26 // each may have several addresses
	maxServers     = 100
)

// findNameServers returns the addresses of all name servers of the zone, and notes whether they are as many as there must be.
func (p *Probe) findNameServers(ctx context.Context, r *probe.Result) []string {
	names, err := dial.NameServers(ctx, p.dialer.Resolver, p.Zone.Name)
	if err != nil {
		o := dial.Explain(ctx, err)
		r.Report(checkNameServers, o.Reason, "expected %s: %s", text.Count(p.Zone.Want, "name server"), o.Detail)
		return nil
	}
	if len(names) > maxNameServers {
		r.Inconclusive(checkNameServers, probe.TooLarge, "found %d name servers; more than %d cannot be asked at once", len(names), maxNameServers)
		return nil
	}
	port := portDNS
	if p.Transport == transportTLS {
		port = portTLS
	}
	var found []string
	var missing probe.Outcome
	without := 0
	for _, name := range names {
		four, six, err := dial.Addresses(ctx, p.dialer.Resolver, name)
		if err != nil {
			missing = dial.Explain(ctx, err)
			without++
			continue
		}
		if p.Zone.IPProtocol != "ip6" {
			found = appendAddresses(found, port, four)
		}
		if p.Zone.IPProtocol != "ip4" {
			found = appendAddresses(found, port, six)
		}
	}
	slices.Sort(found)
	found = slices.Compact(found)
	switch {
	case without > 0:
		r.Report(checkNameServers, missing.Reason, "expected the addresses of %s, got none of %d: %s", text.Count(len(names), "name server"), without, missing.Detail)
	case len(names) < p.Zone.Want:
		r.Fail(checkNameServers, probe.Replicas, "expected %s, got %d", text.Count(p.Zone.Want, "name server"), len(names))
	case len(found) == 0:
		r.Fail(checkNameServers, probe.NoAddress, "expected the addresses of %s, got none over %s", text.Count(len(names), "name server"), p.Zone.IPProtocol)
	case len(found) > maxServers:
		r.Inconclusive(checkNameServers, probe.TooLarge, "found %d addresses; more than %d cannot be asked at once", len(found), maxServers)
		return nil
	default:
		r.Pass(checkNameServers, "%s with %s", text.Count(len(names), "name server"), text.Plural(len(found), "address", "addresses"))
	}
	return found
}

// A zoneCopy is the zone as one server has it.
type zoneCopy struct {
	known  bool
	soa    record
	answer []string // to the question, in an order that does not depend on the server's
}

// askSerial asks a server for the version of its zone.
func (s *server) askSerial(ctx context.Context, first *answer) (z zoneCopy) {
	p, r := s.probe, s.result
	a := first
	if asked := p.soaQuestion(); asked != p.question {
		a = s.ask(ctx, checkSerial, asked, p.flags())
	}
	switch o := authorityOf(a); {
	case !a.answered():
		r.Note(checkSerial, a.outcome)
		return z
	case !o.Passed():
		r.Note(checkSerial, o)
		return z
	case len(a.found) == 0:
		r.Report(checkSerial, reasonLame, "expected the SOA of the zone, got none: the server does not know a zone of that name")
		return z
	}
	z = zoneCopy{known: true, soa: a.found[0], answer: append(dataOf(first.answer()), rcodeName(first.rcode))}
	r.Measure(serialGauge, float64(z.soa.serial), r.Target())
	r.Pass(checkSerial, "serial %d", z.soa.serial)
	return z
}

func authorityOf(a *answer) probe.Outcome {
	if !a.answered() {
		return a.outcome
	}
	return authority(a)
}

func (p *Probe) soaQuestion() dnsmessage.Question {
	return dnsmessage.Question{Name: dnsmessage.MustNewName(absolute(p.Zone.Name)), Type: dnsmessage.TypeSOA, Class: p.question.Class}
}

// agreement compares the zone at all servers. A server may have an old version for as long as the zone allows. That is counted from
// when the prober first saw it, so a single run is inconclusive.
func (p *Probe) agreement(targets []string, copies []zoneCopy) probe.Outcome {
	var newest zoneCopy
	known := 0
	for _, z := range copies {
		if z.known {
			known++
		}
		if z.known && (!newest.known || newer(z.soa.serial, newest.soa.serial)) {
			newest = z
		}
	}
	old := map[string]uint32{}
	different := 0
	var unknown []string
	for i, z := range copies {
		switch {
		case !z.known:
			unknown = append(unknown, targets[i])
		case z.soa.serial != newest.soa.serial:
			old[targets[i]] = z.soa.serial
		case !slices.Equal(z.answer, newest.answer):
			different++
		}
	}
	worst, lasted := p.laggard(old, unknown, time.Now())
	allowed := probe.Duration(newest.soa.lag())
	if p.Zone.MaxLag != nil {
		allowed = *p.Zone.MaxLag
	}
	switch {
	case different > 0:
		return probe.Outcomef(reasonDiffer, "expected the same answer of all servers with serial %d, got other records from %d of %d", newest.soa.serial, different, known-len(old))
	case worst != "" && lasted >= allowed:
		return probe.Outcomef(reasonBehind, "expected serial %d, got %d from %s for %s, and the limit is %s", newest.soa.serial, old[worst], worst, lasted, allowed)
	case known < len(copies):
		return probe.Outcomef(probe.ControlFailed, "only %d of %s could be compared", known, text.Count(len(copies), "server"))
	case worst != "":
		return probe.Outcomef(probe.Settling, "expected serial %d, got %d from %s for %s, which is allowed for %s", newest.soa.serial, old[worst], worst, lasted, allowed)
	}
	return probe.Outcomef(probe.OK, "%s with serial %d and the same answer", text.Count(known, "server"), newest.soa.serial)
}

// A laggard is a server that has an old version of the zone.
type laggard struct {
	since  time.Time
	serial uint32
	silent bool // since it was seen to have it
}

// laggard remembers which servers have an old version and returns the one that has had one for longest. One that said nothing
// for a while and has the same one then has had it all the time.
func (p *Probe) laggard(old map[string]uint32, unknown []string, now time.Time) (worst string, lasted probe.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	behind := make(map[string]laggard, len(old))
	for _, target := range unknown {
		if was, ok := p.behind[target]; ok {
			was.silent = true
			behind[target] = was
		}
	}
	for target, serial := range old {
		was, ok := p.behind[target]
		if !ok || was.silent && was.serial != serial {
			was.since = now
		}
		behind[target] = laggard{since: was.since, serial: serial}
		if d := probe.Duration(now.Sub(was.since).Round(time.Second)); worst == "" || d > lasted || d == lasted && target < worst {
			worst, lasted = target, d
		}
	}
	p.behind = behind
	return worst, lasted
}

// absolute writes a name with its last dot.
func absolute(name string) string {
	if name == "." || name == "" {
		return "."
	}
	if name[len(name)-1] == '.' {
		return name
	}
	return name + "."
}

// domainName returns a name as DNS has it, or false if it cannot be one.
func domainName(name string) (dnsmessage.Name, bool) {
	if name != "." {
		name = dial.HostName(name)
	}
	name = absolute(name)
	n, err := dnsmessage.NewName(name)
	if err != nil || len(name) > 254 {
		return n, false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if len(label) > 63 || label == "" && name != "." {
			return n, false
		}
	}
	return n, true
}

func appendAddresses(found []string, port string, addresses []netip.Addr) []string {
	for _, ip := range addresses {
		found = append(found, net.JoinHostPort(ip.String(), port))
	}
	return found
}
