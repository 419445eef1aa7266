package dns

import (
	"slices"

	"golang.org/x/net/dns/dnsmessage"
)

// maxAliases bounds a chain of CNAMEs.
const maxAliases = 16

// believed is the part of a response that says something about the question. A server can put anything into a message: only the
// records of the name count, and of the names that it is an alias for.
type believed struct {
	*response
	chain      []record // CNAMEs from the name that was asked for
	found      []record // of the type that was asked for, at the end of the chain
	authority  []record // of zones that hold one of the names
	additional []record // of hosts that the other records name
	endless    bool     // the chain leads in a circle, or is too long
}

func believe(r *response, asked dnsmessage.Question) believed {
	b := believed{response: r}
	names := b.follow(asked)
	for _, one := range r.sections[1] {
		if one.class == asked.Class && slices.ContainsFunc(names, func(name string) bool { return within(name, one.name) }) {
			b.authority = append(b.authority, one)
		}
	}
	hosts := map[string]bool{}
	for _, one := range slices.Concat(b.found, b.authority) {
		if one.host != "" {
			hosts[lower(one.host)] = true
		}
	}
	for _, one := range r.sections[2] {
		if one.class == asked.Class && hosts[lower(one.name)] {
			b.additional = append(b.additional, one)
		}
	}
	return b
}

// follow follows the aliases of the name that was asked for, and returns the names that it came by.
func (b *believed) follow(asked dnsmessage.Question) []string {
	names := []string{asked.Name.String()}
	for {
		name, alias := names[len(names)-1], -1
		for i, one := range b.sections[0] {
			switch {
			case one.class != asked.Class || !sameName(one.name, name):
			case one.typ == asked.Type || asked.Type == dnsmessage.TypeALL:
				b.found = append(b.found, one)
			case one.typ == dnsmessage.TypeCNAME && alias < 0:
				alias = i
			}
		}
		if len(b.found) > 0 || alias < 0 || len(names) > maxAliases {
			b.endless = len(b.found) == 0 && alias >= 0
			return names
		}
		b.chain = append(b.chain, b.sections[0][alias])
		names = append(names, b.sections[0][alias].host)
	}
}

// answer are the records of the answer section that are believed.
func (b *believed) answer() []record { return slices.Concat(b.chain, b.found) }

// all are the records that are believed.
func (b *believed) all() []record { return slices.Concat(b.chain, b.found, b.authority, b.additional) }

// noData reports whether the name exists and has no record of the type. Neither a referral to other servers nor a chain of aliases
// without its end says that.
func (b *believed) noData() bool {
	return b.rcode == dnsmessage.RCodeSuccess && len(b.found) == 0 && !b.referral() && !b.unfinished()
}

// unfinished reports whether the answer does not say what is at the end of the aliases. A server without recursion that knows the last
// name shows the SOA of its zone (RFC 2308, section 2.2).
func (b *believed) unfinished() bool {
	return b.endless || len(b.found) == 0 && len(b.chain) > 0 && !b.header.RecursionAvailable && !b.shows(dnsmessage.TypeSOA)
}

func (b *believed) referral() bool {
	return len(b.found) == 0 && !b.header.Authoritative && b.shows(dnsmessage.TypeNS) && !b.shows(dnsmessage.TypeSOA)
}

// shows reports whether a record of the type is in the authority section.
func (b *believed) shows(t dnsmessage.Type) bool {
	return slices.ContainsFunc(b.sections[1], func(one record) bool { return one.typ == t })
}
