package sandbox

import (
	"slices"

	"golang.org/x/net/dns/dnsmessage"
)

// A dnsFault changes what a name server answers.
type dnsFault func(*dnsReply)

//go:noinline
func onDNS(change dnsFault, servers ...string) []*effect {
	return []*effect{{hosts: servers, alterDNS: change}}
}

// atName applies a change to the answers about one name.
//
//go:noinline
func atName(name string, change dnsFault) dnsFault {
	return func(r *dnsReply) {
		if r.query.Questions[0].Name.String() == name {
			change(r)
		}
	}
}

// says answers with a code and no record.
func says(code dnsmessage.RCode) dnsFault {
	return func(r *dnsReply) { r.RCode, r.Answers, r.AuthenticData = code, nil, false }
}

// dnsFaults break the name servers of a zone and a resolver.
func dnsFaults() []Fault {
	const (
		part   = "a part of all clients asks a name server that is of no use"
		differ = "name servers that do not agree"
		lost   = "a name that clients need, or one that must be gone"
		tcp    = "answers over 1,232 bytes need TCP"
		dnssec = "broken DNSSEC looks like a broken resolver"
		forged = "an answer that somebody else sent"
	)
	servfail := says(dnsmessage.RCodeServerFailure)
	is := func(addresses ...string) dnsFault {
		return atName(wwwName, func(r *dnsReply) {
			r.RCode, r.Answers = dnsmessage.RCodeSuccess, nil
			for _, ip := range addresses {
				r.Answers = append(r.Answers, addressRecord(wwwName, ip))
			}
		})
	}
	return []Fault{
		{"dns-server-silent", "the second name server answers nothing", part, onDNS(func(r *dnsReply) { r.silent = true }, ns2)},
		{"dns-server-lame", "the second name server refuses questions about the zone", part, onDNS(func(r *dnsReply) {
			says(dnsmessage.RCodeRefused)(r)
			r.Authoritative = false
		}, ns2)},
		{"dns-serial-old", "the second name server has an old version of the zone", differ, onDNS(atName(zoneName, func(r *dnsReply) {
			for i := range r.Answers {
				if r.Answers[i].Header.Type == dnsmessage.TypeSOA {
					r.Answers[i].Body = soa(zoneSerial - 1)
				}
			}
		}), ns2)},
		{"dns-answers-differ", "the second name server has another address for www, under the same serial", differ, onDNS(is(wwwAddress, "10.1.0.99"), ns2)},
		{"dns-name-gone", "www does not exist any more", lost, onDNS(atName(wwwName, says(dnsmessage.RCodeNameError)), ns1, ns2)},
		{"dns-record-gone", "www exists and has no address", lost, onDNS(is(), ns1, ns2)},
		{"dns-address-changed", "www has another address at both name servers", lost, onDNS(is("10.1.0.99"), ns1, ns2)},
		{"dns-name-back", "the old name exists again", lost, onDNS(atName(formerName, func(r *dnsReply) {
			r.RCode, r.Answers = dnsmessage.RCodeSuccess, []dnsmessage.Resource{addressRecord(formerName, wwwAddress)}
		}), ns1, ns2)},
		{"dns-zone-empty", "the first name server has lost its records: no name exists", lost, onDNS(func(r *dnsReply) {
			if r.query.Questions[0].Name.String() != zoneName {
				says(dnsmessage.RCodeNameError)(r)
			}
		}, ns1)},
		{"dns-tcp-blocked", "the first name server answers nothing over TCP", tcp, onDNS(func(r *dnsReply) { r.silent = r.network == "tcp" }, ns1)},
		{"dns-signature-broken", "the signatures of a name are broken: the resolver answers SERVFAIL, unless asked not to validate", dnssec, onDNS(atName(signedName, func(r *dnsReply) {
			if !r.query.CheckingDisabled {
				servfail(r)
			}
		}), resolver)},
		{"dns-resolver-fails", "the resolver answers SERVFAIL to everything", dnssec, onDNS(servfail, resolver)},
		{"dns-not-validated", "the resolver does not validate", dnssec, onDNS(func(r *dnsReply) { r.AuthenticData = false }, resolver)},
		{"dns-alias-elsewhere", "the answer for www has an address for another name only", forged, onDNS(atName(wwwName, func(r *dnsReply) {
			r.Answers = []dnsmessage.Resource{addressRecord("www.elsewhere.test.", wwwAddress)}
		}), ns1, ns2)},
		{"dns-guessed", "answers with a wrong id come before the right ones", forged, harmlessDNS(func(r *dnsReply) {
			wrong := r.Message
			wrong.ID ^= 1
			wrong.Answers = slices.Clone(r.Answers)
			for i := range wrong.Answers {
				if wrong.Answers[i].Header.Type == dnsmessage.TypeA {
					wrong.Answers[i] = addressRecord(wwwName, "10.1.0.66")
				}
			}
			if r.network == "udp" {
				r.before = []dnsmessage.Message{wrong}
			}
		})},
	}
}

// harmlessDNS is a change at all servers that no client may fall for.
func harmlessDNS(change dnsFault) []*effect {
	all := onDNS(change, ns1, ns2, resolver)
	all[0].harmless = true
	return all
}
