package isolation

import (
	"maps"
	"slices"
	"strings"

	"prober/internal/canary"
)

// A mutation is a way to say, or not to say, which org a request is for.
type mutation struct {
	name   string
	org    string   // what {org} becomes; empty and not blank: the org's own id
	blank  bool     // {org} becomes nothing
	drop   bool     // headers, parameters and members with {org} are left out
	double []string // headers and parameters with {org} stand once for each of these
	header string   // one more header of that name says org
	query  string   // one more parameter of that name says org
	member string   // one more member of the JSON that is sent says org
	long   bool     // the statuses for a request that is too large are denials too
}

// extra reports whether the mutation adds a way to say the org that the API does not document.
func (m mutation) extra() bool { return m.header+m.query+m.member != "" }

// Carriers are where in a request the org is said. From a path or a text it cannot be left out, and only headers and
// parameters can say two.
type carriers struct{ path, listed, member, text bool }

// carriers tells where a request says its org.
func (p *Probe) carriers(t *Template) carriers {
	says := func(text string) bool { return strings.Contains(text, "{org}") }
	path, query, _ := strings.Cut(t.URL, "?")
	headers := append(slices.Collect(maps.Values(p.spoken)), slices.Collect(maps.Values(t.Headers))...)
	return carriers{
		path: says(path), listed: says(query) || slices.ContainsFunc(headers, says),
		member: slices.ContainsFunc(members(t.JSON), says), text: says(t.Body),
	}
}

// any reports whether a request says its org at all.
func (c carriers) any() bool { return c.path || c.listed || c.member || c.text }

// attacks are the ways in which an intruder may say the wrong org, or none, in a request that says it rightly. None of
// them may still say it rightly, and nothing else: the answer to that would be no mistake.
func (p *Probe) attacks(t *Template, owner, intruder string) []mutation {
	c := p.carriers(t)
	if !c.any() {
		return nil
	}
	all := []mutation{{name: "the owner's org", org: owner}}
	if (c.listed || c.member) && !c.path && !c.text {
		all = append(all, mutation{name: "no org", drop: true})
	}
	if c.listed || c.member || c.text {
		all = append(all, mutation{name: "an empty org", blank: true})
	}
	if c.listed {
		all = append(all,
			mutation{name: "both orgs", double: []string{intruder, owner}},
			mutation{name: "both orgs, the owner's first", double: []string{owner, intruder}},
		)
	}
	return append(all, mutation{name: "an org that is none", org: owner + "-" + canary.Random()})
}

// variants are spellings of the owner's org that a careless comparison takes for it.
func (p *Probe) variants(t *Template, owner string) []mutation {
	if !p.carriers(t).any() {
		return nil
	}
	swapped := strings.ToUpper(owner)
	if swapped == owner {
		swapped = strings.ToLower(owner)
	}
	const large = 8 << 10
	return []mutation{
		{name: "the owner's org in another case", org: swapped},
		{name: "the owner's org and a space", org: owner + " "},
		{name: "an org that is SQL", org: "' OR '1'='1"},
		{name: "an org of 8 KiB", org: strings.Repeat("a", large), long: true},
	}
}

// undocumented are ways to name the owner's org beside the one that the API documents.
func (p *Probe) undocumented(t *Template, owner string) []mutation {
	var all []mutation
	for _, name := range p.Overrides.Headers {
		if !p.names(t, name) {
			all = append(all, mutation{name: "the owner's org in " + name + " as well", header: name, org: owner})
		}
	}
	for _, name := range p.Overrides.Query {
		if !strings.Contains(t.URL, "?"+name+"=") && !strings.Contains(t.URL, "&"+name+"=") {
			all = append(all, mutation{name: "the owner's org in the parameter " + name + " as well", query: name, org: owner})
		}
	}
	return all
}

// names reports whether a request has a header of that name anyway.
func (p *Probe) names(t *Template, name string) bool {
	same := func(other string) bool { return strings.EqualFold(other, name) }
	return slices.ContainsFunc(slices.Collect(maps.Keys(p.spoken)), same) || slices.ContainsFunc(slices.Collect(maps.Keys(t.Headers)), same)
}

// contexts are the ways to get the org wrong that are tried with an operation: all of them where an object is read,
// and those that have been seen to matter elsewhere.
func (p *Probe) contexts(t *Template, op, owner, intruder string) []mutation {
	all, extra := p.attacks(t, owner, intruder), p.undocumented(t, owner)
	switch op {
	case "read":
		all = append(all, p.variants(t, owner)...)
	case "list":
		all = only(all, "the owner's org", "no org", "both orgs")
	default:
		all, extra = only(all, "the owner's org", "no org"), extra[:min(len(extra), 1)]
	}
	return append(all, extra...)
}

func only(all []mutation, names ...string) []mutation {
	return slices.DeleteFunc(all, func(m mutation) bool { return !slices.Contains(names, m.name) })
}
