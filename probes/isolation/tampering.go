package isolation

import (
	"maps"
	"slices"
	"strings"

	"prober/internal/canary"
	"prober/internal/drop"
)

// A mutation is a way to name, or not to name, the org that a request is for.
type mutation struct {
	name      string   // for messages
	org       string   // {org} becomes this; if empty and not set by empty, it stays the caller's own id
	empty     bool     // {org} becomes ""
	omit      bool     // headers, parameters and JSON members that contain {org} are left out
	pollution []string // headers and parameters that contain {org} are repeated, once for each of these orgs
	header    string   // an additional header of this name names org
	query     string   // an additional parameter of this name names org
	member    string   // an additional member of this name in the JSON that is sent names org; a dot leads into an object
	beside    bool     // the member is in the object with the canary, if that is not the outermost
	path      string   // the path, below the base, in place of that of the template
	uncached  bool     // no cache may answer
	oversized bool     // the statuses for a request that is too large are denials too
}

// undocumented reports whether the mutation names the org in a way that the API does not document.
func (m mutation) undocumented() bool { return m.header+m.query+m.member != "" }

// orgLocations are the places in a request that name the org. The org cannot be left out of a path or a text body, and
// only headers and parameters can name two.
type orgLocations struct{ path, headerOrQuery, jsonMember, body bool }

// orgLocations finds where a request names its org.
func (p *Probe) orgLocations(tmpl *Template) orgLocations {
	namesOrg := func(text string) bool { return strings.Contains(text, "{org}") }
	path, query, _ := strings.Cut(tmpl.URL, "?")
	headers := append(slices.Collect(maps.Values(p.orgHeaders)), slices.Collect(maps.Values(tmpl.Headers))...)
	return orgLocations{
		path: namesOrg(path), headerOrQuery: namesOrg(query) || slices.ContainsFunc(headers, namesOrg),
		jsonMember: slices.ContainsFunc(jsonTexts(tmpl.JSON), namesOrg), body: namesOrg(tmpl.Body),
	}
}

// any reports whether a request names its org at all.
func (l orgLocations) any() bool { return l.path || l.headerOrQuery || l.jsonMember || l.body }

// Names of the mutations that are tried with every operation, and of one that is also tried with lists.
const (
	ownersOrg      = "the owner's org"
	noOrg          = "no org"
	emptyOrg       = "an empty org"
	bothOrgs       = "both orgs"
	nonexistentOrg = "a nonexistent org"
)

// tamperings are the ways in which an intruder may name the wrong org, or none, where a request names it. No mutated
// request may name only the right org: a service that answers it would do nothing wrong.
func (p *Probe) tamperings(tmpl *Template, owner, intruder string) []mutation {
	at := p.orgLocations(tmpl)
	if !at.any() {
		return nil
	}
	all := []mutation{{name: ownersOrg, org: owner}}
	if (at.headerOrQuery || at.jsonMember) && !at.path && !at.body {
		all = append(all, mutation{name: noOrg, omit: true})
	}
	if at.headerOrQuery || at.jsonMember || at.body {
		all = append(all, mutation{name: emptyOrg, empty: true})
	}
	if at.headerOrQuery {
		all = append(all,
			mutation{name: bothOrgs, pollution: []string{intruder, owner}},
			mutation{name: "both orgs, the owner's first", pollution: []string{owner, intruder}},
		)
	}
	all = append(all, mutation{name: nonexistentOrg, org: owner + "-" + canary.Random()})
	if p.Mismatch == "trust" {
		return keepNamed(all, noOrg, emptyOrg, nonexistentOrg) // whoever names the owner's org acts as it
	}
	return all
}

// spellingTamperings are spellings of the owner's org that a careless comparison accepts.
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
		{name: "the owner's org in another letter case", org: swapped},
		{name: "the owner's org and a space", org: owner + " "},
		{name: "SQL as the org", org: "' OR '1'='1"},
		{name: "an org of 8 KiB", org: strings.Repeat("a", large), oversized: true},
	}
}

// undocumentedTamperings name the owner's org in a further place, which the API does not document.
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

// hasHeader reports whether a request has a header of that name without any mutation.
func (p *Probe) hasHeader(tmpl *Template, name string) bool {
	same := func(other string) bool { return strings.EqualFold(other, name) }
	return slices.ContainsFunc(slices.Collect(maps.Keys(p.orgHeaders)), same) || slices.ContainsFunc(slices.Collect(maps.Keys(tmpl.Headers)), same)
}

// tamperingsFor are the mutations that are tried with an operation: all of them where an object is read, and elsewhere
// those that have mattered in practice.
func (p *Probe) tamperingsFor(tmpl *Template, op, owner, intruder string) []mutation {
	all, undocumented := p.tamperings(tmpl, owner, intruder), p.undocumentedTamperings(tmpl, owner)
	if p.Mismatch == "trust" {
		if slices.Contains([]string{"create", "update", "delete"}, op) {
			return keepNamed(all, noOrg) // what names a nonexistent org might make one
		}
		return all
	}
	switch op {
	case "read":
		all = append(all, p.spellingTamperings(tmpl, owner)...)
	case "list":
		all = keepNamed(all, ownersOrg, noOrg, bothOrgs)
	default:
		all, undocumented = keepNamed(all, ownersOrg, noOrg), undocumented[:min(len(undocumented), 1)]
	}
	return append(all, undocumented...)
}

func keepNamed(all []mutation, names ...string) []mutation {
	return drop.If(all, func(m mutation) bool { return !slices.Contains(names, m.name) })
}
