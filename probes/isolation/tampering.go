package isolation

import (
	"maps"
	"slices"
	"strings"

	"prober/internal/canary"
)

// A mutation is a way to say, or not to say, which org a request is for.
type mutation struct {
	name      string
	org       string   // what {org} becomes; empty and not blank: the org's own id
	empty     bool     // {org} becomes nothing
	omit      bool     // headers, parameters and members with {org} are left out
	pollution []string // headers and parameters with {org} stand once for each of these
	header    string   // one more header of that name says org
	query     string   // one more parameter of that name says org
	member    string   // one more member of the JSON that is sent says org
	oversized bool     // the statuses for a request that is too large are denials too
}

// undocumented reports whether the mutation adds a way to say the org that the API does not document.
func (m mutation) undocumented() bool { return m.header+m.query+m.member != "" }

// Carriers are where in a request the org is said. From a path or a text it cannot be left out, and only headers and
// parameters can say two.
type orgLocations struct{ path, headerOrQuery, jsonMember, body bool }

// orgLocations tells where a request says its org.
func (p *Probe) orgLocations(tmpl *Template) orgLocations {
	says := func(text string) bool { return strings.Contains(text, "{org}") }
	path, query, _ := strings.Cut(tmpl.URL, "?")
	headers := append(slices.Collect(maps.Values(p.orgHeaders)), slices.Collect(maps.Values(tmpl.Headers))...)
	return orgLocations{
		path: says(path), headerOrQuery: says(query) || slices.ContainsFunc(headers, says),
		jsonMember: slices.ContainsFunc(jsonTexts(tmpl.JSON), says), body: says(tmpl.Body),
	}
}

// any reports whether a request says its org at all.
func (c orgLocations) any() bool { return c.path || c.headerOrQuery || c.jsonMember || c.body }

// tamperings are the ways in which an intruder may say the wrong org, or none, in a request that says it rightly. None of
// them may still say it rightly, and nothing else: the answer to that would be no mistake.
func (p *Probe) tamperings(tmpl *Template, owner, intruder string) []mutation {
	c := p.orgLocations(tmpl)
	if !c.any() {
		return nil
	}
	all := []mutation{{name: "the owner's org", org: owner}}
	if (c.headerOrQuery || c.jsonMember) && !c.path && !c.body {
		all = append(all, mutation{name: "no org", omit: true})
	}
	if c.headerOrQuery || c.jsonMember || c.body {
		all = append(all, mutation{name: "an empty org", empty: true})
	}
	if c.headerOrQuery {
		all = append(all,
			mutation{name: "both orgs", pollution: []string{intruder, owner}},
			mutation{name: "both orgs, the owner's first", pollution: []string{owner, intruder}},
		)
	}
	return append(all, mutation{name: "an org that is none", org: owner + "-" + canary.Random()})
}

// spellingTamperings are spellings of the owner's org that a careless comparison takes for it.
func (p *Probe) spellingTamperings(tmpl *Template, owner string) []mutation {
	if !p.orgLocations(tmpl).any() {
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
		{name: "an org of 8 KiB", org: strings.Repeat("a", large), oversized: true},
	}
}

// undocumentedTamperings are ways to name the owner's org beside the one that the API documents.
func (p *Probe) undocumentedTamperings(tmpl *Template, owner string) []mutation {
	var all []mutation
	for _, name := range p.Overrides.Headers {
		if !p.hasHeader(tmpl, name) {
			all = append(all, mutation{name: "the owner's org in " + name + " as well", header: name, org: owner})
		}
	}
	for _, name := range p.Overrides.Query {
		if !strings.Contains(tmpl.URL, "?"+name+"=") && !strings.Contains(tmpl.URL, "&"+name+"=") {
			all = append(all, mutation{name: "the owner's org in the parameter " + name + " as well", query: name, org: owner})
		}
	}
	return all
}

// hasHeader reports whether a request has a header of that name anyway.
func (p *Probe) hasHeader(tmpl *Template, name string) bool {
	same := func(other string) bool { return strings.EqualFold(other, name) }
	return slices.ContainsFunc(slices.Collect(maps.Keys(p.orgHeaders)), same) || slices.ContainsFunc(slices.Collect(maps.Keys(tmpl.Headers)), same)
}

// tamperingsFor are the ways to get the org wrong that are tried with an operation: all of them where an object is read,
// and those that have been seen to matter elsewhere.
func (p *Probe) tamperingsFor(tmpl *Template, op, owner, intruder string) []mutation {
	all, extra := p.tamperings(tmpl, owner, intruder), p.undocumentedTamperings(tmpl, owner)
	switch op {
	case "read":
		all = append(all, p.spellingTamperings(tmpl, owner)...)
	case "list":
		all = keepNamed(all, "the owner's org", "no org", "both orgs")
	default:
		all, extra = keepNamed(all, "the owner's org", "no org"), extra[:min(len(extra), 1)]
	}
	return append(all, extra...)
}

func keepNamed(all []mutation, names ...string) []mutation {
	return slices.DeleteFunc(all, func(m mutation) bool { return !slices.Contains(names, m.name) })
}
