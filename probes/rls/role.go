package rls

import (
	"prober/internal/probe"
	"prober/internal/text"
)

// judgeRole tells whether anything binds the role at all.
func (p *Probe) judgeRole(r *probe.Result, c *catalogue) {
	const expected = "expected a role that policies bind, got "
	if way := c.self.way(); way != "" {
		r.Report(checkRole, roleExempt, "%s%s", expected, way)
		return
	}
	if c.self.left {
		r.Report(checkRole, roleLeft, "expected the role that logs in, got another, which somebody left on the connection of the pool: what follows is about that one")
		return
	}
	if open := p.tables(c, c.opensByAnotherRole); len(open) > 0 {
		r.Report(checkRole, roleExempt, "%sa member of a role for which a policy of %s does not look at the org: SET ROLE is all that it takes: %s", expected, text.Count(len(open), "table"), text.List(open, maxNamed))
		return
	}
	owned := p.tables(c, func(t *relation) bool { return t.enabled && !t.forced && c.self.member[t.owner] })
	if len(owned) > 0 {
		r.Report(checkRole, roleOwns, "%sthe owner, or a member of the owner, of %s without FORCE ROW LEVEL SECURITY: %s", expected, text.Count(len(owned), "table"), text.List(owned, maxNamed))
		return
	}
	r.Pass(checkRole, "the role is neither superuser nor owner of what is not forced, has no BYPASSRLS, and cannot become such a role")
}

// way says by what a role gets around every policy; it is empty if there is nothing.
func (r *role) way() string {
	const nothing = ": no policy binds it, and nothing else here says anything of the application"
	switch {
	case r.super:
		return "a superuser" + nothing
	case r.bypass:
		return "one with BYPASSRLS" + nothing
	case r.becomesExempt:
		return "a member of a role that is superuser or has BYPASSRLS: SET ROLE is all that it takes"
	case r.readsFiles:
		return "one that may read or write the server's files, or run programs there: the files of the tables are among them"
	case r.createsRoles:
		return "one with CREATEROLE: it can make itself a member of the owner of the tables"
	}
	return ""
}

// tables names the tables of tenants of which something is true.
func (p *Probe) tables(c *catalogue, is func(*relation) bool) (names []string) {
	for _, t := range c.relations {
		if t.isTable() && !c.isExempt(t) && is(t) {
			names = append(names, p.shown(t.ident))
		}
	}
	return names
}

// opensByAnotherRole reports whether a role that the one that asks may become, without having its rights, gets rows of any org
// by a policy.
func (c *catalogue) opensByAnotherRole(t *relation) bool {
	for id, r := range c.roles {
		if c.self.member[id] && !c.self.inherits[id] && t.enabled && c.open(t, r, 'r', usingOf) {
			return true
		}
	}
	return false
}
