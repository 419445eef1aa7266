// Package dns has the kind of probe that asks name servers: what they answer, whether all name servers of a zone agree, and whether
// DNSSEC holds.
package dns

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/probes/internal/expect"
)

// Probe asks one question of each server, which has a verdict of its own. With a zone, the servers are those of the zone: they are
// asked without recursion, must have authority for it, and must agree.
type Probe struct {
	Servers  []string `yaml:"servers" doc:"host:port of each name server to ask; without them, those of zone"`
	Zone     *Zone    `yaml:"zone" doc:"the servers are the name servers of this zone, which must agree"`
	Resolver string   `yaml:"resolver" doc:"host:port of the name server that knows the hosts of servers and the name servers of zone; default: the system's"`

	QueryName        string `yaml:"query_name" required:"true" doc:"the name to ask for"`
	QueryType        string `yaml:"query_type" default:"A" doc:"the type of record to ask for: A, AAAA, MX, ..., ANY, or TYPE and a number"`
	QueryClass       string `yaml:"query_class" default:"IN" doc:"IN, CH or HS"`
	RecursionDesired bool   `yaml:"recursion_desired" default:"true" doc:"ask the server to ask others (RD); false with a zone"`

	Transport string    `yaml:"transport" default:"udp" doc:"udp, with tcp for a truncated answer; tcp; or tls"`
	TLS       *dial.TLS `yaml:"tls" doc:"settings of transport tls"`
	EDNS      EDNS      `yaml:"edns" doc:"the extensions that the prober offers"`

	Expect  Expect   `yaml:"expect" doc:"what the answer must be; default: NOERROR with a record of query_type"`
	Control *Control `yaml:"control" doc:"a name that the same servers must have records for; needed where something must be absent"`

	Latency     *probe.Duration     `yaml:"latency" doc:"maximum duration of the question and its answer, over TCP too if that was needed"`
	Certificate *expect.Certificate `yaml:"certificate" doc:"minimum remaining validity of the certificates of transport tls: warn, or warn and fail"`

	dialer   *dial.Dialer
	question dnsmessage.Question
	control  dnsmessage.Question

	mu     sync.Mutex
	behind map[string]laggard // by server
}

// A Zone is one whose name servers are asked.
type Zone struct {
	Name       string          `yaml:"name" required:"true" doc:"the name of the zone"`
	Want       int             `yaml:"want" doc:"how many name servers it has at least; needed without servers"`
	IPProtocol string          `yaml:"ip_protocol" doc:"ip4 or ip6: ask only these addresses of its name servers; default: all"`
	MaxLag     *probe.Duration `yaml:"max_lag" doc:"how long a name server may have an old serial; default: the refresh of the zone, at most a day"`
}

// EDNS are the extensions that the prober offers (RFC 6891).
type EDNS struct {
	Size     int  `yaml:"size" default:"1232" doc:"the largest answer over UDP, in bytes; 0 asks without EDNS"`
	DNSSECOK bool `yaml:"dnssec_ok" doc:"ask for signatures too (DO)"`
}

// A Control is a question that has an answer.
type Control struct {
	QueryName string          `yaml:"query_name" required:"true" doc:"a name that has records"`
	QueryType string          `yaml:"query_type" doc:"the type of its records; default: that of the probe"`
	Match     *expect.Pattern `yaml:"match" doc:"a regular expression that one of its records must match"`
}

// Reasons of this kind.
var (
	reasonRCode = probe.Reason{Word: "rcode", Verdict: probe.Fail, Text: "another response code",
		Action: "Ask the server by hand (dig): REFUSED points to its access list or a zone that it no longer serves, NOTIMP and FORMERR to something in between."}
	reasonServfail = probe.Reason{Word: "servfail", Verdict: probe.Fail, Text: "the name server failed (SERVFAIL)",
		Action: "Read the name server's log: a zone that does not load or has expired, servers above it that do not answer, or broken DNSSEC, which expect.dnssec tells apart."}
	reasonNoRecord = probe.Reason{Word: "no_record", Verdict: probe.Fail, Text: "the name has no such record",
		Action: "The name exists without a record of this type: restore the record, or see who changed the zone last."}
	reasonRecords = probe.Reason{Word: "records", Verdict: probe.Fail, Text: "other records than expected",
		Action: "Compare the records with those expected (dig), and find who changed the zone; records that nobody changed may be forged."}
	reasonTTL = probe.Reason{Word: "ttl", Verdict: probe.Fail, Text: "a TTL beyond its limits",
		Action: "Set the TTL of the record in the zone: too long a one delays the next change, too short a one loads the servers."}
	reasonLame = probe.Reason{Word: "lame", Verdict: probe.Fail, Text: "no authority for the zone",
		Action: "Load the zone at this name server, or take the server out of the NS records here and at the parent: a part of all clients asks it in vain."}
	reasonBehind = probe.Reason{Word: "serial_behind", Verdict: probe.Fail, Seen: true, Text: "an old version of the zone",
		Action: "Look at zone transfers to this name server: the notification, the TSIG key, TCP port 53 and its disk."}
	reasonDiffer = probe.Reason{Word: "answers_differ", Verdict: probe.Fail, Seen: true, Text: "name servers answer differently",
		Action: "Compare the zone at the servers: one was edited in place, or without a new serial, so that no transfer corrects it."}
	reasonBogus = probe.Reason{Word: "dnssec_bogus", Verdict: probe.Fail, Text: "DNSSEC is broken",
		Action: "Look for signatures that expired and for a DS at the parent that fits no key of the zone; validating resolvers answer nothing until that is fixed."}
	reasonNotValidated = probe.Reason{Word: "not_validated", Verdict: probe.Fail, Text: "the answer is not validated",
		Action: "Check that the zone is signed and has a DS at its parent, and that the resolver validates with a current trust anchor."}
	reasonBogusAccepted = probe.Reason{Word: "bogus_accepted", Verdict: probe.Fail, Text: "broken signatures are accepted",
		Action: "Turn validation on at the resolver: it hands forged answers on."}
	reasonUnprotected = probe.Reason{Word: "unprotected_path", Verdict: probe.Inconclusive, Text: "nothing protects what the resolver says",
		Action: "Ask a resolver on this machine, or use transport tls: on the way from here anyone can set the flag that says validated."}
	reasonNoEDNS = probe.Reason{Word: "no_edns", Verdict: probe.Fail, Text: "no EDNS in the answer",
		Action: "Look for a firewall or an old server that drops EDNS: answers over 512 bytes and DNSSEC need it."}
)

// Measures of this kind.
var (
	answerGauge     = &probe.Measure{Name: "probe_dns_answer_rrs", Help: "Records in the answer section.", Labels: []string{"target"}}
	authorityGauge  = &probe.Measure{Name: "probe_dns_authority_rrs", Help: "Records in the authority section.", Labels: []string{"target"}}
	additionalGauge = &probe.Measure{Name: "probe_dns_additional_rrs", Help: "Records in the additional section, without that of EDNS.", Labels: []string{"target"}}
	serialGauge     = &probe.Measure{Name: "probe_dns_serial", Help: "Serial number of the zone at the server.", Labels: []string{"target"}}
)

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return New() },
		Summary:  "name servers: response code, records, TTL, DNSSEC, over UDP, TCP or TLS; whether all name servers of a zone agree",
		Measures: []*probe.Measure{answerGauge, authorityGauge, additionalGauge, serialGauge, expect.CertificateExpiring},
		Reasons: []probe.Reason{
			reasonRCode, reasonServfail, reasonNoRecord, reasonRecords, reasonTTL, reasonLame, reasonBehind, reasonDiffer, reasonBogus,
			reasonNotValidated, reasonBogusAccepted, reasonUnprotected, reasonNoEDNS,
		},
	}
}

var (
	_ probe.Addresser         = (*Probe)(nil)
	_ probe.CertificateWarner = (*Probe)(nil)
	_ probe.TimeoutChecker    = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe {
	return &Probe{QueryType: "A", QueryClass: "IN", RecursionDesired: true, Transport: transportUDP, EDNS: EDNS{Size: 1232}}
}

// The values of transport.
const (
	transportUDP = "udp"
	transportTCP = "tcp"
	transportTLS = "tls"
)

// Names of the checks.
const (
	checkQuery         = "query"
	checkAuthoritative = "authoritative"
	checkRCode         = "rcode"
	checkAnswer        = "answer"
	checkAuthority     = "authority"
	checkAdditional    = "additional"
	checkTTL           = "ttl"
	checkDNSSEC        = "dnssec"
	checkEDNS          = "edns"
	checkLatency       = "latency"
	checkSerial        = "serial"
	checkNameServers   = "name_servers"
	checkAgreement     = "agreement"
)

// Checks names the checks of a run.
func (p *Probe) Checks() (names []string) {
	e := &p.Expect
	for _, c := range []struct {
		name string
		made bool
	}{
		{checkQuery, true}, {checkAuthoritative, p.Zone != nil || e.Authoritative}, {checkRCode, true}, {checkAnswer, e.wantsAnswer()},
		{checkAuthority, e.Authority != nil}, {checkAdditional, e.Additional != nil}, {checkTTL, e.TTL != nil}, {checkDNSSEC, e.DNSSEC != ""},
		{checkEDNS, e.EDNS}, {checkLatency, p.Latency != nil}, {probe.CheckCertificate, p.Certificate != nil}, {checkSerial, p.Zone != nil},
		{checkNameServers, p.Zone != nil && len(p.Servers) == 0}, {checkAgreement, p.Zone != nil},
	} {
		if c.made {
			names = append(names, c.name)
		}
	}
	return names
}

// Addresses lists the servers that the configuration names, or the zone whose name servers are asked.
func (p *Probe) Addresses() []string {
	if len(p.Servers) == 0 && p.Zone != nil {
		return []string{p.Zone.Name}
	}
	return slices.Clone(p.Servers)
}

// CertificateWarning tells whether the certificate's end is warned of, and how.
func (p *Probe) CertificateWarning() (severity string, ok bool) {
	if p.Certificate == nil || p.Certificate.Warn == nil {
		return "", false
	}
	return p.Certificate.Severity, true
}

// CheckTimeout refuses a latency that is never exceeded, since the run ends before.
func (p *Probe) CheckTimeout(timeout time.Duration) error {
	return expect.CheckLatency(p.Latency, timeout)
}
